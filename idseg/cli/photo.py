"""``idseg photo``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from idseg.cli.many import each_photo, finish, json_line, unique
from idseg.cli.runner import clear_errors, model_options, segmenter_of
from idseg.errors import OptionError

if TYPE_CHECKING:
    from idseg.photo.finish import Finished
    from idseg.photo.output import Encoded, Format
    from idseg.photo.size import PhotoSize
    from idseg.segmenter import Segmenter


@click.command(context_settings={"max_content_width": 110})
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO...", type=click.Path(path_type=Path))
@click.option(
    "-s",
    "--size",
    "size_names",
    multiple=True,
    required=True,
    metavar="SIZE",
    help="A name from `idseg sizes`, 35x45mm, 413x531px, 2x2in, 35x45mm@600; repeatable.",
)
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="Output file (for one photo and one size) or folder.",
)
@click.option(
    "--background",
    metavar="BACK",
    help="Background: keep (the photo's own wall), white, #438edb, vertical:blue,white, radial:white,blue, @wall.jpg, "
    "transparent (default: the document's; keep if it allows only cropping).",
)
@click.option(
    "--format",
    "format_name",
    metavar="jpeg|png|webp|tiff|pdf",
    help="Format of the file (default: from its name, or JPEG).",
)
@click.option("--kb", metavar="MOST|LEAST-MOST", help="Range of kilobytes of the file (default: the document's).")
@click.option(
    "--sheet",
    "papers",
    multiple=True,
    metavar="PAPER",
    help="Also make a print sheet: 5inch, 6inch, 7inch, 4x6, A4, A5, Letter, 100x148mm.",
)
@click.option(
    "--copies",
    multiple=True,
    metavar="N|SIZE=N",
    help="Photos on a sheet, of each size or of one; repeatable (default: as many as fit).",
)
@click.option("--sheet-format", default="pdf", show_default=True, metavar="pdf|jpeg|png", help="Format of the sheet.")
@click.option(
    "--sheet-dpi",
    type=float,
    metavar="DPI",
    help="Resolution of a sheet as a picture (default: that of its finest photo).",
)
@click.option("--margin", type=float, metavar="MM", help="Free margin at the paper's edge (default 4).")
@click.option("--gap", type=float, metavar="MM", help="Distance between photos (default 2).")
@click.option(
    "--marks", type=click.Choice(["corners", "lines", "none"]), default="corners", show_default=True, help="Cut marks."
)
@click.option("--check/--no-check", "look_again", default=True, show_default=True, help="Check the finished file.")
@click.option("--json", "as_json", is_flag=True, help="Print a record of the output as JSON, one line per photo.")
@model_options
def photo(photos: tuple[Path, ...], size_names: tuple[str, ...], out: Path, **chosen: Any) -> None:
    """Make finished ID photos: place the head by the document's rules, set background and file size, lay out a print
    sheet.

    \b
    Examples:
      idseg photo selfie.jpg -s us-visa -o visa.jpg
      idseg photo selfie.jpg -s 一寸 -s 二寸 --background blue -o out --sheet 6inch
      idseg photo *.jpg -s cn-id-card -o out --json > made.jsonl
    """
    with clear_errors():
        job = _Job(size_names, out, chosen, many=len(photos) > 1)
        segmenter = segmenter_of(chosen)
        names = job.file_names(photos)

        def make(number: int, path: Path) -> str:
            made = job.make(segmenter, path, names[number])
            return json_line(made) if chosen["as_json"] else _report_text(made)

        with segmenter:
            failures = each_photo(photos, make, load=segmenter.warm, done="made")
    finish(failures)


class _Job:
    """The command line's options, parsed before the first photo, so that a wrong option is reported at once."""

    def __init__(self, size_names: Sequence[str], out: Path, chosen: dict[str, Any], *, many: bool) -> None:
        from idseg.photo.background import parse_background
        from idseg.photo.output import SUFFIXES, format_of, parse_kb
        from idseg.photo.sheet import SheetOptions, paper
        from idseg.photo.sizes import find_size

        self.sizes = tuple(find_size(name) for name in size_names)
        self.background = None if chosen["background"] is None else parse_background(chosen["background"])
        self.kb = None if chosen["kb"] is None else parse_kb(chosen["kb"])
        single = not many and len(self.sizes) == 1
        self.file = out if single and out.suffix.lower() in SUFFIXES else None
        self.folder = out.parent if self.file else out
        named = chosen["format_name"] or (self.file.suffix if self.file else None)
        self.format: Format | None = (
            None if named is None else format_of(f"x{named}" if named.startswith(".") else named)
        )
        self.papers = {name: paper(name) for name in chosen["papers"]}
        self.copies = _copies(chosen["copies"], self.sizes)
        self.look_again = chosen["look_again"]
        self.sheet_format = format_of(chosen["sheet_format"])
        given = {"margin_mm": chosen["margin"], "gap_mm": chosen["gap"], "dpi": chosen["sheet_dpi"]}
        self.sheet_options = SheetOptions(
            marks=chosen["marks"], **{name: value for name, value in given.items() if value is not None}
        )

    def file_names(self, photos: Sequence[Path]) -> list[list[str]]:
        """Names of the output files of each photo, without suffixes: first those of the sizes, then those of the
        sheets. All names are unique."""
        sizes = unique([_file_name(size.name) for size in self.sizes])
        ends = [*sizes, *(f"sheet-{_file_name(name)}" for name in self.papers)]
        stems = unique([path.stem for path in photos])
        names = unique([f"{stem}-{end}" for stem in stems for end in ends])
        return [names[first : first + len(ends)] for first in range(0, len(names), len(ends))]

    def make(self, segmenter: Segmenter, path: Path, names: Sequence[str]) -> dict[str, Any]:
        """Write all files of one photo, with the names of :meth:`file_names`; returns a record of the output."""
        from idseg.check import delivered
        from idseg.photo.finish import finish
        from idseg.photo.window import crop_options
        from idseg.system import write

        result = segmenter(path, crop=crop_options(*self.sizes))
        self.folder.mkdir(parents=True, exist_ok=True)
        files, finished = [], []
        for size, name in zip(self.sizes, names, strict=False):
            done = finish(result, size, self.background)
            encoded = done.encode(self.format, self.kb)
            target = self.file or self.folder / f"{name}{_suffix(encoded)}"
            _keep(path, target)
            write(target, encoded.content)
            finished.append(done)
            entry = {"file": str(target), **_about(encoded), **done.to_dict()}
            if self.look_again:
                entry["check"] = delivered(segmenter, encoded.content, size, done).to_dict()
            files.append(entry)
        sheets = [
            self._sheet(paper, finished, self.folder / name)
            for paper, name in zip(self.papers, names[len(self.sizes) :], strict=True)
        ]
        return {"photo": str(path), "files": files, "sheets": sheets}

    def _sheet(self, paper: str, finished: Sequence[Finished], without_suffix: Path) -> dict[str, Any]:
        from idseg.photo.sheet import SheetPhoto, encode_sheet, lay_out
        from idseg.system import write

        if any(done.pixels.shape[2] == 4 for done in finished):
            raise OptionError("a print sheet needs a background; transparent photos cannot be printed")
        items = [
            SheetPhoto(done.size.width_mm, done.size.height_mm, copies)
            for done, copies in zip(finished, self.copies, strict=True)
        ]
        layout = lay_out(items, self.papers[paper], self.sheet_options)
        encoded = encode_sheet(layout, [done.pixels for done in finished], self.sheet_format, self.sheet_options)
        target = without_suffix.with_name(without_suffix.name + _suffix(encoded))
        write(target, encoded.content)
        return {"file": str(target), "paper_mm": list(layout.paper_mm), "photos": len(layout.spots), **_about(encoded)}


def _copies(texts: Sequence[str], sizes: Sequence[PhotoSize]) -> tuple[int | None, ...]:
    """Number of photos of each size on a sheet; None: as many as fit.

    Raises:
        OptionError: a text is not a whole number of at least 1, or names a size that is not used.
    """
    from idseg.photo.sizes import find_size

    copies: list[int | None] = [None] * len(sizes)
    for text in texts:
        name, equals, number = text.rpartition("=")
        if not (number.isascii() and number.isdigit()):
            raise OptionError(f"--copies {text!r} is not N or SIZE=N", copies=text)
        if int(number) < 1:
            raise OptionError(f"--copies {text!r} is less than 1", copies=text)
        wanted = find_size(name).name if equals else None
        found = [index for index, size in enumerate(sizes) if wanted in (None, size.name)]
        if not found:
            raise OptionError(f"--copies {text!r}: {name} is not a size of this run", copies=text)
        for index in found:
            copies[index] = int(number)
    return tuple(copies)


def _keep(photo: Path, target: Path) -> None:
    """Raises OptionError if the finished photo would overwrite the photo that it is made from."""
    if target.exists() and target.samefile(photo):
        raise OptionError(f"{target} is the photo itself; name another file with -o", path=str(target))


def _about(encoded: Encoded) -> dict[str, Any]:
    return {
        "format": encoded.format,
        "quality": encoded.quality,
        "kb": round(encoded.kb, 1),
        "padding": encoded.padding,
    }


def _suffix(encoded: Encoded) -> str:
    return {"JPEG": ".jpg", "TIFF": ".tif"}.get(encoded.format, f".{encoded.format.lower()}")


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-._" else "_" for letter in name)


def _report_text(made: dict[str, Any]) -> str:
    lines = []
    for file in made["files"]:
        width, height = file["px"]
        lines.append(f"{file['file']}: {file['size']}, {width} x {height} px, {file['dpi']:g} dpi, {file['kb']} KB")
        lines.append(f"  {', '.join(file['done'])}{'; face not retouched' if file['unretouched'] else ''}")
        if file["padding"]:
            lines.append(f"  padded with {file['padding']} invisible bytes, because the document requires more KB")
        lines += [f"  warning: {warning}" for warning in file["warnings"]]
        if "check" in file:
            lines += [f"  {line}" for line in _checked(file["check"])]
    lines += [
        f"{sheet['file']}: {sheet['photos']} photos on {sheet['paper_mm'][0]:.4g} x {sheet['paper_mm'][1]:.4g} mm"
        for sheet in made["sheets"]
    ]
    return "\n".join(lines)


def _checked(report: dict[str, Any]) -> list[str]:
    """The verdict on a finished file, and the rules that are not met or must be checked by the person."""
    counts = report["counts"]
    counted = ", ".join(f"{counts[status]} {status}" for status in counts if counts[status])
    lines = [f"checked: {report['verdict']} ({counted})"]
    for status in ("not met", "check yourself"):
        lines += [f"{status}: {rule['rule']}. {rule['advice']}" for rule in report["rules"] if rule["status"] == status]
    return lines

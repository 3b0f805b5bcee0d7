"""The command line. Imports nothing heavy until a command runs: ``idseg --help`` must answer at once."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from idseg import __version__
from idseg.errors import DependencyError, IdsegError, InputError, ModelError, OptionError, PersonError, ProviderError

if TYPE_CHECKING:
    from idseg.pipeline import Options, Segmenter
    from idseg.result import Result

EXIT_SOME_FAILED = 1
"""Several photos, some of them without an answer, for different kinds of reasons."""
EXIT_CODES: dict[type[IdsegError], int] = {
    OptionError: 2,
    InputError: 3,
    PersonError: 4,
    ModelError: 5,
    ProviderError: 6,
    DependencyError: 7,
}
"""Exit code by kind of error (2 is also click's for a wrong command line)."""

_EXITS = """\b
Exit codes: 0 all answered · 2 wrong option · 3 a photo cannot be used · 4 not exactly one upright person ·
5 weights missing or damaged · 6 provider not there · 7 a package or library is missing · 1 several kinds.
"""

_LAZY: dict[str, tuple[str, str]] = {
    "batch": ("idseg.cli_batch:batch", "Cut out many photos: folders, globs, manifests; resumable, or on Ray."),
    "compare": ("idseg.cli_compare:compare", "Compare saved replies of the API with our answers; one HTML report."),
    "record": ("idseg.cli_compare:record", "Ask a service of the API about photos and save its replies."),
    "photo": ("idseg.cli_photo:photo", "Make finished ID photos: placed by a document's rules, and print sheets."),
    "sizes": ("idseg.cli_photo:sizes", "List the sizes of ID photos."),
    "check": ("idseg.cli_photo:check", "Say rule by rule whether a photo can be used for a document."),
    "serve": ("idseg.cli_server:serve", "Answer the cloud API's requests over HTTP, with a web page."),
    "keys": ("idseg.cli_server:keys", "Make and list API keys of the server."),
}
"""Commands that live in other files: module:function and the line that --help shows without importing them."""


class _Commands(click.Group):
    """Imports a command's file only when that command runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_LAZY})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _LAZY:
            return super().get_command(ctx, cmd_name)
        module, _, name = _LAZY[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            rows = []
            for name in self.list_commands(ctx):
                lazy = _LAZY.get(name)
                own = self.commands.get(name)
                rows.append((name, lazy[1] if lazy else own.get_short_help_str(80) if own else ""))
            formatter.write_dl(rows)


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}, epilog=_EXITS
)
@click.version_option(__version__, prog_name="idseg")
def main() -> None:
    """Portrait segmentation for ID photos, on this machine.

    \b
    One selfie in; out come the head-and-shoulders cut, a hair-level matte, a demo on black,
    the face box, ten body parts and the classes of face and body pose. Nothing leaves the machine.

    \b
    Start with:
      idseg segment selfie.jpg -o out --overlay --background white
    """


@main.command(epilog=_EXITS)
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO...", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder; each photo gets a folder of its name in it.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the API's JSON (a line a photo; pictures as base64) instead."
)
@click.option("--overlay", is_flag=True, help="Also write the photo with box, points, window and classes drawn on it.")
@click.option("--background", metavar="COLOR", help="Also write the person on this colour: white, blue, red, #rrggbb.")
@click.option("--aspect", metavar="W:H", help="Shape of the cut, e.g. 5:7 (default), 1:1, 35:45.")
@click.option(
    "--head-room", type=float, metavar="SHARE", help="Space above the face box in face heights (default 0.51)."
)
@click.option(
    "--refine",
    type=click.Choice(["net", "closed-form", "none"]),
    default="net",
    show_default=True,
    help="How hair is refined. net: on large cuts, where it helps.",
)
@click.option(
    "--matting-model",
    metavar="NAME|FILE",
    help="Another matting model: a name of `idseg models`, or an ONNX file. Otherwise ours (8-bit on a CPU).",
)
@click.option(
    "--preset", type=click.Choice(["modnet", "isnet", "u2net", "birefnet"]), help="What kind an ONNX file is of."
)
@click.option(
    "--second-face",
    type=float,
    metavar="RATIO",
    help="Face height, as a share of the largest, that counts as a second person (0.45).",
)
@click.option(
    "--turn", is_flag=True, help="Turn a photo that lies on its side or stands on its head instead of refusing it."
)
@click.option("--max-side", type=int, metavar="PX", help="Longest side allowed (default 4096, the API's).")
@click.option(
    "--provider", default="auto", show_default=True, metavar="auto|cpu|cuda|…", help="Where the matting nets run."
)
@click.option("--threads", type=int, metavar="N", help="Threads of the matting nets (default: one for each core).")
def segment(photos: tuple[Path, ...], out: Path | None, as_json: bool, **chosen: Any) -> None:
    """Cut one person out of each PHOTO (JPEG, PNG or BMP).

    \b
    Writes OUT/NAME/cut.png      the head-and-shoulders cut of the photo
           OUT/NAME/scoremap.png the matte, grey 0..255
           OUT/NAME/demo.png     the person on black
           OUT/NAME/cutout.png   the person with transparency
           OUT/NAME/result.json  box, points, classes, angles, window

    \b
    Examples:
      idseg segment selfie.jpg -o out
      idseg segment *.jpg -o out --overlay --background '#438edb'
      idseg segment selfie.jpg --json > reply.json
    """
    if out is None and not as_json:
        raise click.UsageError("say where to with -o FOLDER, or print with --json")
    with _clear_errors():
        failures = list(_segment_all(photos, out, as_json, chosen))
    if failures:
        sys.exit(_exit_code(failures))


def _segment_all(
    photos: Sequence[Path], out: Path | None, as_json: bool, chosen: dict[str, Any]
) -> Iterator[IdsegError]:
    """Answer all photos; yield the errors of those that have no answer, each already told on stderr."""
    from tqdm import tqdm

    overlay, background = chosen.pop("overlay"), chosen.pop("background")
    if background is not None:
        from idseg.compose import parse_color

        parse_color(background)  # a wrong colour is told before the first photo, not after
    folders = _folders(photos, out)
    with tqdm(
        total=len(photos), unit="photo", disable=len(photos) < 2 and not sys.stderr.isatty(), leave=len(photos) > 1
    ) as bar:
        bar.set_description("loading models")
        segmenter = _segmenter(chosen)
        for photo, folder in zip(photos, folders, strict=True):
            bar.set_description(photo.name[:24])
            try:
                result = segmenter(photo)
                if folder is not None:
                    result.save(folder, background=background, overlay=overlay)
                if as_json:
                    click.echo(json.dumps(result.to_api(), separators=(",", ":")))
                elif len(photos) == 1 and folder is not None:
                    bar.write(_summary(photo, folder, result), file=sys.stdout)
            except (InputError, PersonError) as error:
                bar.write(f"{photo}: {error}", file=sys.stderr)
                if as_json:
                    from idseg import api

                    click.echo(json.dumps(api.render_error(error, api.new_log_id()), separators=(",", ":")))
                yield error
            bar.update()
    if out is not None and len(photos) > 1:
        click.echo(f"{len(photos)} photos, results in {out}")


def _summary(photo: Path, folder: Path, result: Result) -> str:
    pose = result.pose
    window = result.window
    names = ", ".join(sorted(path.name for path in folder.iterdir()))
    return (
        f"{photo.name}: facepose {int(pose.facepose)} ({_words(pose.facepose.name)}), "
        f"bodypose {int(pose.bodypose)} ({_words(pose.bodypose.name)}), "
        f"cut {window.width}x{window.height} at ({window.left}, {window.top}), "
        f"{sum(result.timings_ms.values()):.0f} ms, matting on {result.provider}\n"
        f"{folder}: {names}"
    )


def _words(name: str) -> str:
    return name.lower().replace("_", " ")


def _segmenter(chosen: dict[str, Any]) -> Segmenter:
    from idseg.pipeline import Segmenter

    return Segmenter(_options(chosen))


def _options(chosen: dict[str, Any]) -> Options:
    """The pipeline's options from the command line's."""
    from idseg.crop import CropOptions
    from idseg.decode import DecodeLimits
    from idseg.detect import DetectOptions
    from idseg.pipeline import Options

    named = chosen["matting_model"]
    if named is not None and chosen["preset"] is None and Path(named).is_file():
        raise OptionError(f"say with --preset what kind of net {named} is", matting_model=named)
    crop = {"aspect": _aspect(chosen["aspect"]), "head_room": chosen["head_room"]}
    detect = {"second_face_ratio": chosen["second_face"], "turn": chosen["turn"] or None}
    limits = {"max_side": chosen["max_side"]}
    return Options(
        crop=CropOptions(**_given(crop)),
        detect=DetectOptions(**_given(detect)),
        limits=DecodeLimits(**_given(limits)),
        **_given({name: chosen[name] for name in ("matting_model", "preset", "refine", "provider", "threads")}),
    )


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _aspect(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        width, height = (float(part) for part in text.split(":"))
        return width / height
    except (ValueError, ZeroDivisionError):
        raise OptionError(f"--aspect {text!r} is not W:H, e.g. 5:7", aspect=text) from None


def _folders(photos: Sequence[Path], out: Path | None) -> list[Path | None]:
    """A folder for each photo, by its name; a second photo of the same name gets ``NAME-2``."""
    if out is None:
        return [None] * len(photos)
    seen: dict[str, int] = {}
    folders: list[Path | None] = []
    for photo in photos:
        count = seen[photo.stem] = seen.get(photo.stem, 0) + 1
        folders.append(out / (photo.stem if count == 1 else f"{photo.stem}-{count}"))
    return folders


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as JSON.")
def models(as_json: bool) -> None:
    """List the models that ship and check their files.

    Each model's task, size, licence and source; its file is compared with its sha256.
    """
    from idseg.models import load_manifest

    with _clear_errors():
        rows = []
        failure: IdsegError | None = None
        for entry in load_manifest():
            try:
                entry.check()
                state = "ok"
            except ModelError as error:
                state, failure = error.reason, error
            rows.append(
                {
                    "name": entry.name,
                    "task": entry.task,
                    "file": str(entry.path),
                    "bytes": entry.bytes,
                    "licence": entry.licence,
                    "source": entry.source,
                    "sha256": entry.sha256,
                    "state": state,
                }
            )
        if as_json:
            click.echo(json.dumps(rows, indent=2))
        else:
            for row in rows:
                click.echo(
                    f"{row['name']:<18} {row['task']:<16} {int(str(row['bytes'])) / 1e6:6.2f} MB  {row['licence']:<11} "
                    f"{row['state']:<13} sha256 {str(row['sha256'])[:16]}…"
                )
                click.echo(f"{'':<18} {row['source']}")
        if failure is not None:
            raise failure


@main.command()
def doctor() -> None:
    """Say what is missing on this machine, and what mends it.

    Looks at Python, packages, system libraries, execution providers and weights.
    """
    from idseg import doctor as checks

    failed = False
    for check in checks.run():
        mark = "ok  " if check.ok else "FAIL"
        click.echo(f"{mark} {check.name:<22} {check.found}")
        if not check.ok:
            failed = True
            click.echo(f"     → {check.mend}")
    sys.exit(EXIT_CODES[DependencyError] if failed else 0)


class _clear_errors:
    """Turns idseg's errors into one line on stderr and an exit code, instead of a traceback."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, IdsegError):
            click.echo(f"idseg: {error}", err=True)
            sys.exit(_exit_code([error]))


def _exit_code(failures: Sequence[IdsegError]) -> int:
    codes = {next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), 1) for error in failures}
    return codes.pop() if len(codes) == 1 else EXIT_SOME_FAILED

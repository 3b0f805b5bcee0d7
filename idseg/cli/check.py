"""``idseg check``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from idseg.cli.many import each_photo, finish, json_line
from idseg.cli.runner import clear_errors, model_options, segmenter_of
from idseg.errors import PersonError, PhotoReadError

if TYPE_CHECKING:
    from idseg.check import Report
    from idseg.photo.size import PhotoSize
    from idseg.segmenter import Segmenter

EXIT_NOT_MET = 8
"""At least one rule is not met."""
EXIT_CHECK_YOURSELF = 9
"""With ``--strict``: no rule is broken, but the person must check at least one."""


@click.command(context_settings={"max_content_width": 110})
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO...", type=click.Path(path_type=Path))
@click.option("-s", "--size", "size_name", required=True, metavar="SIZE", help="A name from `idseg sizes`, or 35x45mm.")
@click.option("--finished", is_flag=True, help="Judge a finished photo as it is, including its file.")
@click.option("--strict", is_flag=True, help="Exit with 9 if no rule is broken but you must check one.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, one line per photo.")
@model_options
def check(photos: tuple[Path, ...], size_name: str, finished: bool, strict: bool, as_json: bool, **chosen: Any) -> None:
    """Check for each rule of a document whether PHOTO meets it, and give advice. Does not change the photo.

    \b
    met · not met · check yourself: idseg cannot tell, or it is too close · not applicable: not a rule of the document
    Exit code 0: no rule is broken · 8: at least one is not met · 9 with --strict: you must check at least one.
    """
    from idseg.check.report import summary
    from idseg.photo.sizes import find_size
    from idseg.photo.verdict import CHECK_YOURSELF, NOT_MET

    with clear_errors():
        size = find_size(size_name)
        segmenter = segmenter_of(chosen)
        verdicts: set[str] = set()

        def look(number: int, path: Path) -> str:
            report = _report(segmenter, path, size, finished)
            verdicts.add(report.verdict)
            return json_line({"photo": str(path), **report.to_dict()}) if as_json else f"{path}: {summary(report)}"

        with segmenter:
            failures = each_photo(photos, look, load=segmenter.warm, done="checked")
    code = EXIT_NOT_MET if NOT_MET in verdicts else 0
    if not code and strict and CHECK_YOURSELF in verdicts:
        code = EXIT_CHECK_YOURSELF
    finish(failures, code)


def _report(segmenter: Segmenter, path: Path, size: PhotoSize, finished: bool) -> Report:
    from idseg.check import check as check_result
    from idseg.check import delivered, refused
    from idseg.photo.window import crop_options

    if finished:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise PhotoReadError(f"Cannot read '{path}': {error.strerror}.", path=str(path)) from None
        return delivered(segmenter, content, size)
    try:
        return check_result(segmenter(path, crop=crop_options(size)), size)
    except PersonError as error:
        return refused(error, size)

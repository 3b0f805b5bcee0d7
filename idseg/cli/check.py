"""``idseg check``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from idseg.cli.runner import clear_errors, model_options, segmenter_of
from idseg.errors import PersonError

if TYPE_CHECKING:
    from idseg.check import Report
    from idseg.photo.size import PhotoSize
    from idseg.segmenter import Segmenter

EXIT_CHECK_FAILED = 8
"""`idseg check`: the photo was looked at and breaks a rule."""


@click.command(context_settings={"max_content_width": 110})
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO...", type=click.Path(path_type=Path))
@click.option("-s", "--size", "size_name", required=True, metavar="SIZE", help="A name of `idseg sizes`, or 35x45mm.")
@click.option("--finished", is_flag=True, help="The photo is finished: judge it as it is, its file too.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON, a line a photo.")
@model_options
def check(photos: tuple[Path, ...], size_name: str, finished: bool, as_json: bool, **chosen: Any) -> None:
    """Say rule by rule whether PHOTO can be used for a document, and what to do. Changes nothing.

    \b
    ok: obeys the rule · FAIL: breaks it · ?: we cannot tell.
    Exit code 0: no rule is broken · 8: at least one is.
    """
    from idseg.check.report import summary
    from idseg.photo.sizes import find_size

    with clear_errors():
        size = find_size(size_name)
        segmenter = segmenter_of(chosen)
        failed = False
        for path in photos:
            report = _report(segmenter, path, size, finished)
            failed = failed or report.verdict == "fail"
            if as_json:
                click.echo(json.dumps({"photo": str(path), **report.to_dict()}, ensure_ascii=False))
            else:
                click.echo(f"{path}: {summary(report)}")
        if failed:
            sys.exit(EXIT_CHECK_FAILED)


def _report(segmenter: Segmenter, path: Path, size: PhotoSize, finished: bool) -> Report:
    from dataclasses import replace

    from idseg.check import check as check_result
    from idseg.check import check_file, refused
    from idseg.photo.finish import crop_options

    try:
        result = segmenter(path, crop=crop_options(size))
    except PersonError as error:
        return refused(error, size)
    report = check_result(result, size, finished=finished)
    if finished:
        report = replace(report, rules=(*report.rules, *check_file(path.read_bytes(), size)))
    return report

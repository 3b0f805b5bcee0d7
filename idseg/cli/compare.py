"""``idseg compare``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from idseg.cli.runner import clear_errors, given, progress_bar, quality_option, write_text

if TYPE_CHECKING:
    from idseg.cloud.compare import ComparisonSummary

_SHOWN = (
    "matte MAD",
    "matte SAD",
    "matte IoU at 0.5",
    "window IoU",
    "face box IoU",
    "nose_tip distance",
    "left_eye distance",
    "left_shoulder distance",
)
"""Measures for the terminal; the report has all of them."""


@click.command(context_settings={"max_content_width": 110})
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--ours",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    metavar="FOLDER",
    help="Use saved replies (NAME.json) as our side too, instead of running idseg.",
)
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Path of the HTML report (default: FOLDER/compare.html).",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Path of a JSON file with all figures (default: beside the report, NAME-figures.json).",
)
@click.option(
    "--frame",
    type=click.Choice(["auto", "cut", "photo"]),
    default="auto",
    show_default=True,
    help="Picture to which their box and points refer; auto: the one in which their face boxes fit ours.",
)
@click.option("--worst", default=6, show_default=True, metavar="N", help="Pictures for each kind of worst case.")
@quality_option
@click.option(
    "--refine", type=click.Choice(["net", "closed-form", "none"]), help="Refiner for our matte (default: as in idseg)."
)
@click.option("--matting-model", metavar="NAME|FILE", help="Our matting model, as in `idseg segment`.")
@click.option(
    "--preset", type=click.Choice(["modnet", "isnet", "u2net", "birefnet"]), help="Kind of net in an ONNX file."
)
@click.option("--threads", type=int, metavar="N", help="Threads of the matting nets.")
def compare(
    folder: Path, ours: Path | None, report: Path | None, json_file: Path | None, frame: Any, worst: int, **chosen: Any
) -> None:
    """Compare saved replies of the API with idseg's answers to the same photos.

    \b
    FOLDER contains photos, and beside each photo its reply: NAME.jpg and NAME.json.
    `idseg record` saves such replies. Files from other clients are read leniently.

    \b
    Examples:
      idseg compare replies/
      idseg compare replies/ --ours last-week/ --report changes.html
    """
    with clear_errors():
        from idseg.cloud.compare import run, summarise, to_json
        from idseg.cloud.compare.report import html

        run.photos_with_replies(folder)  # reports a wrong folder before the models load
        report = folder / "compare.html" if report is None else report
        json_file = report.with_name(f"{report.stem}-figures.json") if json_file is None else json_file
        with _responder(ours, chosen) as respond:
            comparison = run.compare(folder, respond, frame=frame, worst=worst, progress=progress_bar("photo"))
        summary = summarise(comparison)
        write_text(report, html(comparison, summary, f"idseg compare: {folder.resolve().name}"))
        write_text(json_file, json.dumps(to_json(comparison, summary), indent=1) + "\n")
        for line in _lines(summary):
            click.echo(line)
        for line in comparison.unreadable:
            click.echo(line, err=True)
        click.echo(f"report {report}\nfigures {json_file}")


@contextmanager
def _responder(ours: Path | None, chosen: dict[str, Any]) -> Iterator[Callable[[Path], Any]]:
    from idseg.cloud.compare import own_responder, saved_responder

    if ours is not None:
        yield saved_responder(ours)
        return
    from idseg.segmenter import Options, Segmenter

    with Segmenter(Options(**given(chosen))) as segmenter:
        yield own_responder(segmenter)


def _lines(summary: ComparisonSummary) -> Iterator[str]:
    yield f"{summary.photos} photos, {summary.answered_by_both} answered by both"
    for matrix in summary.matrices:
        if matrix.total:
            yield f"{matrix.name:<24} {matrix.agreement:7.1%} of {matrix.total} agree"
    for row in summary.spreads:
        if row.name in _SHOWN:
            yield f"{row.name:<24} median {row.median:8.4f}   5 % {row.p5:8.4f}   95 % {row.p95:8.4f}"
    for finding in summary.findings:
        yield f"* {finding.text} ({finding.photos} of {finding.of} photos)"

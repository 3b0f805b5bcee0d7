"""``idseg compare`` and ``idseg record``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from idseg.errors import IdsegError, OptionError

if TYPE_CHECKING:
    from idseg.compare import Summary

_T = TypeVar("_T")
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
"""Measures that the terminal shows; the report has all."""


@click.command(context_settings={"max_content_width": 110})
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--ours",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    metavar="FOLDER",
    help="Take our side from saved replies too (NAME.json), instead of running idseg.",
)
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The report, one HTML file (default: FOLDER/compare.html).",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Every figure, for machines (default: beside the report, NAME-figures.json).",
)
@click.option(
    "--frame",
    type=click.Choice(["auto", "cut", "photo"]),
    default="auto",
    show_default=True,
    help="Which picture their box and points are measured in; auto: where their face boxes fit ours.",
)
@click.option("--worst", default=6, show_default=True, metavar="N", help="Pictures of each kind of worst cases.")
@click.option(
    "--refine", type=click.Choice(["net", "closed-form", "none"]), help="How our matte is refined (default: idseg's)."
)
@click.option("--matting-model", metavar="NAME|FILE", help="Our matting model, as in `idseg segment`.")
@click.option(
    "--preset", type=click.Choice(["modnet", "isnet", "u2net", "birefnet"]), help="What kind an ONNX file is of."
)
@click.option("--threads", type=int, metavar="N", help="Threads of the matting nets.")
def compare(
    folder: Path, ours: Path | None, report: Path | None, json_file: Path | None, frame: Any, worst: int, **chosen: Any
) -> None:
    """Compare saved replies of the API with our answers to the same photos.

    \b
    FOLDER has photos and, beside each, the reply: NAME.jpg and NAME.json.
    `idseg record` saves such replies; hand-made files are read leniently.

    \b
    Examples:
      idseg compare replies/
      idseg compare replies/ --ours last-week/ --report changes.html
    """
    with _clear_errors():
        from idseg.compare import run, summarise, to_json
        from idseg.compare.report import html

        run.photos_with_replies(folder)  # a wrong folder is told before the models load
        report = folder / "compare.html" if report is None else report
        json_file = report.with_name(f"{report.stem}-figures.json") if json_file is None else json_file
        with _responder(ours, chosen) as respond:
            comparison = run.compare(folder, respond, frame=frame, worst=worst, progress=_bar("photo"))
        summary = summarise(comparison)
        _write(report, html(comparison, summary, f"idseg compare: {folder.resolve().name}"))
        _write(json_file, json.dumps(to_json(comparison, summary), indent=1) + "\n")
        for line in _lines(summary):
            click.echo(line)
        for line in comparison.unreadable:
            click.echo(line, err=True)
        click.echo(f"report {report}\nfigures {json_file}")


@contextmanager
def _responder(ours: Path | None, chosen: dict[str, Any]) -> Iterator[Callable[[Path], Any]]:
    from idseg.compare import own_responder, saved_responder

    if ours is not None:
        yield saved_responder(ours)
        return
    from idseg.pipeline import Options, Segmenter

    with Segmenter(Options(**{name: value for name, value in chosen.items() if value is not None})) as segmenter:
        yield own_responder(segmenter)


def _lines(summary: Summary) -> Iterator[str]:
    yield f"{summary.photos} photos, {summary.answered_by_both} answered by both"
    for matrix in summary.matrices:
        if matrix.total:
            yield f"{matrix.name:<24} {matrix.agreement:7.1%} of {matrix.total} agree"
    for row in summary.spreads:
        if row.name in _SHOWN:
            yield f"{row.name:<24} median {row.median:8.4f}   5 % {row.p5:8.4f}   95 % {row.p95:8.4f}"
    for finding in summary.findings:
        yield f"* {finding.text} ({finding.photos} of {finding.of} photos)"


@click.command(context_settings={"max_content_width": 110})
@click.argument(
    "photos", nargs=-1, required=True, metavar="PHOTO|FOLDER...", type=click.Path(exists=True, path_type=Path)
)
@click.option(
    "--host",
    required=True,
    metavar="URL",
    help="https://aip.baidubce.com, or http://127.0.0.1:8080 for an idseg server.",
)
@click.option(
    "--keys",
    "keys_file",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    metavar="FILE",
    help="File with the API key and the secret key: two words, or the JSON of `idseg keys add --json`. "
    "Without it: IDSEG_API_KEY and IDSEG_SECRET_KEY.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Where replies and copies of the photos go (default: beside the photos).",
)
@click.option("--rate", "per_second", default=2.0, show_default=True, metavar="N", help="Calls a second, at most.")
@click.option(
    "--tries", default=5, show_default=True, metavar="N", help="Calls for one photo where the service is busy or away."
)
@click.option("--timeout", "timeout_s", default=60.0, show_default=True, metavar="SECONDS", help="For an answer.")
def record(
    photos: tuple[Path, ...],
    host: str,
    keys_file: Path | None,
    out: Path | None,
    per_second: float,
    tries: int,
    timeout_s: float,
) -> None:
    """Ask a service of the API about photos and save its replies for `idseg compare`.

    Start it again after a break: photos with a final reply are not sent again. The photos go to the host you name.

    \b
    Examples:
      idseg record photos/ --host https://aip.baidubce.com --keys keys.txt -o replies/
      idseg record *.jpg --host http://127.0.0.1:8080 --rate 10
    """
    with _clear_errors():
        from idseg import record as recorder
        from idseg.client import Client

        found = list(_photos(photos))
        client = Client(host, *_keys(keys_file, os.environ), timeout_s=timeout_s)
        counts: dict[str, int] = {}
        calls = recorder.record(found, client, out, per_second=per_second, tries=tries)
        for result in _bar("photo", len(found))(calls):
            counts[result.state] = counts.get(result.state, 0) + 1
            if result.message:
                click.echo(f"{result.photo}: {result.message}", err=True)
        click.echo(", ".join(f"{count} {state}" for state, count in counts.items()))
    if counts.get("failed"):
        sys.exit(1)


def _photos(given: Iterable[Path]) -> Iterator[Path]:
    """The files named, and those with a photo's suffix in folders named."""
    from idseg.compare.run import PHOTO_SUFFIXES

    for path in given:
        if path.is_dir():
            yield from sorted(entry for entry in path.iterdir() if entry.suffix.lower() in PHOTO_SUFFIXES)
        else:
            yield path


def _keys(path: Path | None, environment: Any) -> tuple[str, str]:
    """(API key, secret key) from a file, else from the environment; both empty for a server without keys."""
    if path is None:
        return environment.get("IDSEG_API_KEY", ""), environment.get("IDSEG_SECRET_KEY", "")
    text = path.read_text(encoding="utf-8-sig")
    if text.lstrip().startswith("{"):
        try:
            pair = json.loads(text)
            return str(pair["api_key"]), str(pair["secret_key"])
        except (ValueError, KeyError):
            raise OptionError(f"{path} is no JSON with api_key and secret_key") from None
    words = text.split()
    if len(words) != 2:
        raise OptionError(f"{path} has {len(words)} words; it must have two: the API key and the secret key")
    return words[0], words[1]


def _bar(unit: str, total: int | None = None) -> Callable[[Iterable[_T]], Iterable[_T]]:
    """A progress bar on stderr, where that is a terminal."""
    from tqdm import tqdm

    def wrap(items: Iterable[_T]) -> Iterable[_T]:
        bar: Iterable[_T] = tqdm(items, unit=unit, total=total, disable=not sys.stderr.isatty())
        return bar

    return wrap


def _write(path: Path, text: str) -> None:
    from idseg import encode

    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        encode.write(path, text.encode())
    except OSError as error:
        raise OptionError(f"cannot write {path}: {error.strerror}") from None


@contextmanager
def _clear_errors() -> Iterator[None]:
    """One line on stderr and an exit code in place of a traceback."""
    try:
        yield
    except IdsegError as error:
        from idseg.cli import EXIT_CODES

        click.echo(f"idseg: {error}", err=True)
        sys.exit(next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), 1))

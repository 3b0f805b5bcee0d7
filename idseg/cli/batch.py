"""``idseg batch``."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from idseg.cli.runner import clear_errors
from idseg.cli.segment import segment, segment_options

if TYPE_CHECKING:
    from idseg.batch import BatchSummary, Work
    from idseg.batch.run import Engine

EXIT_STOPPED = 8
"""The batch could not continue: disk full, workers that die while loading, or another batch in the same folder."""
EXIT_SIGNAL = 128
"""Plus the signal's number, as in a shell: 130 after Ctrl-C, 143 after SIGTERM."""
_LINE_EVERY_S = 30.0
"""Interval between progress lines if stderr is not a terminal."""
_PIPELINE = (
    *("aspect", "head_room", "turn", "second_face", "pick", "max_side"),
    *("quality", "refine", "matting_model", "preset", "provider"),
)
"""Options that this command shares with ``idseg segment``."""

_EXITS = """\b
Exit codes: 0 every photo has an answer · 1 finished, but some were refused or failed (see report.csv) ·
8 could not continue · 130 or 143 stopped by Ctrl-C or SIGTERM (to continue, run the same command again).
Others as for `idseg segment`.
"""


def _shared_options(command: click.Command) -> click.Command:
    """Add the options that this command shares with ``idseg segment``."""
    command.params += [option for option in segment.params if option.name in _PIPELINE]
    return command


@_shared_options
@click.command(epilog=_EXITS, context_settings={"max_content_width": 110})
@click.argument("sources", nargs=-1, required=True, metavar="IN...")
@click.argument("out", metavar="OUT")
@click.option(
    "--write",
    "products",
    default="scoremap,cutout,json",
    show_default=True,
    metavar="LIST",
    help="Files to write for each photo: cut, scoremap, demo, cutout, overlay, json, api (the API's reply).",
)
@click.option("--background", metavar="COLOR", help="Also write the person on this colour: white, blue, #rrggbb.")
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Processes (default: one per core).")
@click.option(
    "--threads", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="Threads per process."
)
@click.option(
    "--tries",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    metavar="N",
    help="Number of workers that a photo may kill before it counts as failed.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=300.0,
    show_default=True,
    metavar="S",
    help="Seconds after which a photo counts as hanging.",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="GLOB",
    help="Skip files and folders with this name ('*_small.jpg', 'old') or path below IN ('2019/raw'); repeatable.",
)
@click.option("--retry-failed", is_flag=True, help="Retry photos that failed in an earlier run.")
@click.option("--thumbnails/--no-thumbnails", default=True, help="Whether refusals.html shows the refused photos.")
@click.option(
    "--state", type=click.Path(file_okay=False, path_type=Path), help="Folder for the journal (default: in OUT)."
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="local: processes on this machine; ray: a Ray cluster (needs idseg[ray]).",
)
@click.option("--parquet", "shards", is_flag=True, help="Write the answers to OUT/answers/*.parquet (Ray only).")
@click.option("--address", metavar="ADDRESS", help="Ray cluster to join (default: $RAY_ADDRESS, or else a local one).")
def batch(sources: tuple[str, ...], out: str, **chosen: Any) -> None:
    """Cut one person out of each photo of IN and write the answers to the same tree under OUT.

    \b
    IN is a folder, files, a glob in quotes ('in/**/*.jpg'), a manifest (.csv, .jsonl), a .parquet, a URL (s3://…).
    IN/a/b.jpg gives OUT/a/b.jpg.scoremap.png, OUT/a/b.jpg.cutout.png, OUT/a/b.jpg.result.json,
    and OUT/report.csv and OUT/refusals.html for all photos together.

    \b
    After a stop or crash, run the same command again to continue. It processes a photo again only if the photo
    changed (size or time), if options, model files or idseg's version changed, or if its output files are missing.

    \b
    Examples:
      idseg batch photos out
      idseg batch 'photos/**/*.jpg' more/list.csv out --write cut,scoremap
      idseg batch photos out --background white --workers 4
    """
    with _stop_message(), _signals() as caught:
        from idseg.batch import BatchOptions, run

        options = BatchOptions(chosen["state"], chosen["retry_failed"], chosen["exclude"], chosen["thumbnails"])
        with _progress() as watch:
            summary = run(sources, _work(out, chosen), _engine(chosen), options, stop=lambda: bool(caught), watch=watch)
        _print_summary(summary, out)
    if caught and summary.stopped:
        click.echo("stopped; run the same command again to continue", err=True)
        sys.exit(EXIT_SIGNAL + caught[0])
    sys.exit(0 if summary.counts["ok"] == summary.total else 1)


def _work(out: str, chosen: dict[str, Any]) -> Work:
    from idseg.batch import Work

    products = tuple(name.strip() for name in chosen["products"].split(",") if name.strip())
    if chosen["background"] is not None:
        from idseg.imaging.colours import parse_color

        parse_color(chosen["background"])  # reports a wrong colour before the first photo
        products = (*products, "background")
    pipeline = {name: chosen[name] for name in _PIPELINE}
    options = segment_options({**pipeline, "threads": None})
    return Work(out, options, products, chosen["background"], shards=chosen["shards"])


def _engine(chosen: dict[str, Any]) -> Engine:
    from idseg.batch.local import LocalOptions

    options = LocalOptions(chosen["workers"] or 0, chosen["threads"], chosen["tries"], chosen["timeout"])
    if chosen["engine"] == "ray":
        from idseg.batch.cluster import ray_engine

        return ray_engine(options, chosen["address"])
    if chosen["address"] is not None:
        raise click.UsageError("--address requires --engine ray")
    if chosen["shards"]:
        raise click.UsageError("--parquet requires --engine ray")
    from idseg.batch.run import local_engine

    return local_engine(options)


@contextmanager
def _stop_message() -> Iterator[None]:
    from idseg.batch import BatchError

    with clear_errors({BatchError: EXIT_STOPPED}):
        yield


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect the signals that asked to stop. After a second one, the photos in work are dropped."""
    caught: list[int] = []

    def catch(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        if len(caught) > 1:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # protects the report, which is being written
            raise KeyboardInterrupt
        click.echo("\nfinishing the photos in work; press Ctrl-C again to drop them", err=True)

    before = {number: signal.signal(number, catch) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    except KeyboardInterrupt:
        click.echo("stopped; run the same command again to continue", err=True)
        sys.exit(EXIT_SIGNAL + caught[0])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _progress() -> Iterator[Callable[[BatchSummary], None]]:
    """A progress bar on a terminal; otherwise a line every half minute."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from tqdm import tqdm

    with tqdm(unit="photo", smoothing=0, dynamic_ncols=True) as bar:  # smoothing 0: the mean rate of this run

        def watch(summary: BatchSummary) -> None:
            if not summary.seconds:  # the rate starts at this run's first outcome, as in the summary
                bar.start_t, bar.initial = time.time(), summary.done
            bar.total = summary.total
            bar.set_postfix_str(_counts(summary), refresh=False)
            bar.update(summary.done - bar.n)

        yield watch
        bar.refresh()


class _Lines:
    """Progress for a log: a line at the start, then one every half minute."""

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, summary: BatchSummary) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _LINE_EVERY_S
        rate = summary.rate_per_s
        left = f", {(summary.total - summary.done) / rate:.0f} s left" if rate else ""
        click.echo(f"{summary.done}/{summary.total} ({_counts(summary)}), {rate:.1f} photos/s{left}", err=True)


def _counts(summary: BatchSummary) -> str:
    return ", ".join(f"{summary.counts[status]} {status}" for status in ("ok", "refused", "failed"))


def _print_summary(summary: BatchSummary, out: str) -> None:
    new = summary.done - summary.before
    click.echo(
        f"{summary.done} of {summary.total} photos: {_counts(summary)}; "
        f"{new} now, {summary.before} before; {summary.rate_per_s:.2f} photos/s"
    )
    if summary.changed_options:
        click.echo("options, weights or version changed since the last run: its photos are processed again")
    if summary.swept:
        click.echo(f"{summary.swept} unfinished files of a killed run deleted")
    for title, counts in (("without an answer", summary.reasons), ("skipped", summary.skipped)):
        if counts:
            click.echo(f"{title}: {_listed(counts)}")
    folder = out if "://" in out else os.path.relpath(out)
    click.echo(f"{os.path.join(folder, 'report.csv')}  {os.path.join(folder, 'refusals.html')}")


def _listed(counts: Counter[Any]) -> str:
    words = {word: word.value if isinstance(word, Enum) else word for word in counts}
    return ", ".join(f"{count} {words[word]}" for word, count in counts.most_common())

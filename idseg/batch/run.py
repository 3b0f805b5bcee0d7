"""Runs a batch: finds the photos, skips finished ones, gives the others to an engine, and writes the reports."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Protocol

from idseg.batch import contact, inputs, products, report, storage
from idseg.batch.items import LISTED, BatchError, Item, Outcome, Status, Trouble
from idseg.batch.journal import Journal, sweep, sweep_shards
from idseg.batch.local import LocalOptions, WorkerPool
from idseg.batch.walk import STATE_FOLDER, Found, Skip
from idseg.batch.work import Work, thumbnail_name
from idseg.errors import OptionError

_ASKED_AT_ONCE = 16
"""Number of URLs whose version is requested at the same time."""
_THUMBNAILS = f"{STATE_FOLDER}/thumbnails"


class Engine(Protocol):
    """Turns items into outcomes, in any order. It takes only as many items at a time as it can hold."""

    def __call__(self, items: Iterator[Item], work: Work, stop: Callable[[], bool]) -> Iterator[Outcome]: ...


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """How a batch works. These options do not change the answers."""

    state: Path | None = None
    """Folder of the journal; None: ``OUT/.idseg-batch``. Required if OUT is a URL."""
    retry_failed: bool = False
    exclude: tuple[str, ...] = ()
    """Globs of excluded photos and folders (:func:`idseg.batch.inputs.find`)."""
    thumbnails: bool = True
    """Store a small copy of refused photos for the contact sheet."""


@dataclass(slots=True)
class BatchSummary:
    """Counts, during a batch and at its end. ``sum(counts) + left`` is ``total``."""

    total: int = 0
    """Number of photos found."""
    before: int = 0
    """Number of photos that earlier runs finished."""
    counts: Counter[Status] = field(default_factory=Counter)
    """Photos by status, including those of earlier runs."""
    reasons: Counter[str] = field(default_factory=Counter)
    skipped: Counter[Skip] = field(default_factory=Counter)
    """Files that are not photos."""
    swept: int = 0
    """Number of unfinished files of a killed run that were deleted."""
    changed_options: bool = False
    """An earlier run had other options, model files or another version, so its photos are processed again."""
    stopped: bool = False
    seconds: float = 0.0
    """Seconds since this run's first outcome, so that loading the models does not count."""

    @property
    def done(self) -> int:
        return sum(self.counts.values())

    @property
    def rate_per_s(self) -> float:
        """Photos per second in this run, without the first one."""
        return (self.done - self.before - 1) / self.seconds if self.seconds else 0.0

    def add(self, outcome: Outcome) -> None:
        self.counts[outcome.status] += 1
        if outcome.reason:
            self.reasons[outcome.reason] += 1


def local_engine(options: LocalOptions) -> Engine:
    """Use processes of this machine."""

    def engine(items: Iterator[Item], work: Work, stop: Callable[[], bool]) -> Iterator[Outcome]:
        if work.shards:
            raise OptionError("answers in Parquet files need the Ray engine: --engine ray")
        with WorkerPool(work, options) as pool:
            yield from pool.run(items, stop)

    return engine


def run(
    sources: Sequence[str],
    work: Work,
    engine: Engine,
    options: BatchOptions | None = None,
    *,
    stop: Callable[[], bool] = lambda: False,
    watch: Callable[[BatchSummary], None] = lambda summary: None,
) -> BatchSummary:
    """Process all photos of ``sources`` that have no answer yet, then write ``report.csv`` and ``refusals.html``.

    Args:
        sources: see :func:`idseg.batch.inputs.find`.
        work: what to do with each photo, and where to write the answers.
        engine: where to do it.
        options: see :class:`BatchOptions`.
        stop: called often; true ends the batch properly.
        watch: receives the counts after each photo.

    Raises:
        OptionError: an input does not exist, there is no photo, or options contradict each other.
        BatchError: another batch uses the folder, nothing can be written, or workers die while loading.
        IdsegError: the model files or the provider are wrong.
    """
    options = BatchOptions() if options is None else options
    sources = [_absolute(source) for source in sources]  # workers may have another working directory
    work = replace(work, out=_absolute(work.out))
    if os.path.isfile(work.options.matting_model):
        work = replace(work, options=replace(work.options, matting_model=_absolute(work.options.matting_model)))
    products.check(work.products, work.background)
    inputs.check(sources, work.out)
    state = _state(work.out, options)
    total, skipped = _count(sources, work.out, options.exclude)
    thumbnails = storage.join(work.out, _THUMBNAILS)  # all workers can write there
    work = replace(work, thumbnails=thumbnails if options.thumbnails else "")
    with Journal(state, work.out, work.signature(), retry_failed=options.retry_failed) as journal:
        changed = journal.earlier_signature not in ("", work.signature())
        summary = BatchSummary(total=total, skipped=skipped, changed_options=changed)
        if not journal.clean and not storage.is_url(work.out):
            summary.swept = sweep(work.out)
        if not journal.clean and work.shards:
            summary.swept += sweep_shards(work.out, journal)
        watch(summary)
        try:
            founds = _with_versions(inputs.find(sources, work.out, options.exclude), journal)
            outcomes = engine(_unfinished(founds, journal, summary, stop, watch), work, stop)
            _record_outcomes(outcomes, work.out, journal, summary, watch)
            summary.stopped = stop() and summary.done < summary.total
        finally:
            _write_reports(journal, state, work.out, thumbnails)
        if not storage.is_url(work.out):
            sweep(work.out)  # dead workers leave unfinished files
        journal.end()
    return summary


def _unfinished(
    founds: Iterator[Found],
    journal: Journal,
    summary: BatchSummary,
    stop: Callable[[], bool],
    watch: Callable[[BatchSummary], None],
) -> Iterator[Item]:
    """Yield the photos without an answer, and count the others and files that are not photos."""
    for found in founds:
        if stop():
            return
        if isinstance(found, Skip):
            continue
        if isinstance(found, Trouble):
            trouble = Outcome(found.key, "", "failed", found.reason, found.message)
            journal.add(trouble)
            summary.add(trouble)
        elif (earlier := journal.done(found)) is not None:
            summary.add(earlier)
            summary.before += 1
        else:
            yield found
            continue
        watch(summary)


def _record_outcomes(
    outcomes: Iterator[Outcome],
    out: str,
    journal: Journal,
    summary: BatchSummary,
    watch: Callable[[BatchSummary], None],
) -> None:
    """Record the outcome of each photo as it arrives."""
    first: float | None = None
    for outcome in outcomes:
        earlier = journal.add(outcome)
        if earlier is not None:
            _delete_old_files(earlier, outcome, out)
        summary.add(outcome)
        first = time.monotonic() if first is None else first
        summary.seconds = time.monotonic() - first
        watch(summary)


def _with_versions(founds: Iterator[Found], journal: Journal) -> Iterator[Found]:
    """Add the current version to URLs that a manifest names and that an earlier run processed. A URL that does not
    respond counts as unchanged. Several versions are requested at a time."""
    with ThreadPoolExecutor(_ASKED_AT_ONCE, thread_name_prefix="idseg-url") as pool:
        while some := list(islice(founds, 1)):
            if isinstance(some[0], Item) and some[0].version == LISTED:
                some += islice(founds, 4 * _ASKED_AT_ONCE)
            noted = [
                journal.earlier(found.key) if isinstance(found, Item) and found.version == LISTED else None
                for found in some
            ]
            urls = [
                found.source if isinstance(found, Item) and earlier is not None and earlier.version != LISTED else ""
                for found, earlier in zip(some, noted, strict=True)
            ]
            versions = pool.map(lambda url: storage.version(url) if url else "", urls)
            for found, earlier, version in zip(some, noted, versions, strict=True):
                if isinstance(found, Item) and earlier is not None:
                    yield replace(found, version=version or earlier.version)
                else:
                    yield found


def _delete_old_files(earlier: Outcome, outcome: Outcome, out: str) -> None:
    """Delete the files of an earlier outcome that the new outcome does not have."""
    for name in earlier.files.keys() - outcome.files.keys():
        if name.startswith(outcome.key):  # a shard also contains other photos' answers
            storage.remove(storage.join(out, name))
    if earlier.status == "refused" and outcome.status != "refused":
        storage.remove(storage.join(out, f"{_THUMBNAILS}/{thumbnail_name(outcome.key)}"))


def _count(sources: Sequence[str], out: str, exclude: Sequence[str]) -> tuple[int, Counter[Skip]]:
    """Number of photos (and unusable inputs), and counts of skipped files."""
    total = 0
    skipped: Counter[Skip] = Counter()
    for found in inputs.find(sources, out, exclude):
        if isinstance(found, Skip):
            skipped[found] += 1
        else:
            total += 1
    if not total:
        raise OptionError(f"no photos in {', '.join(sources)} ({sum(skipped.values())} other files)")
    return total, skipped


def _absolute(place: str) -> str:
    return place if storage.is_url(place) else os.path.abspath(place)


def _state(out: str, options: BatchOptions) -> Path:
    if options.state is not None:
        return options.state
    if storage.is_url(out):
        raise OptionError("answers go to a URL: name a local folder for the journal with --state")
    return Path(out) / STATE_FOLDER


def _write_reports(journal: Journal, state: Path, out: str, thumbnails: str) -> None:
    """Write the reports beside the answers. If those are in a bucket, write them to the state folder and copy them."""
    folder = state if storage.is_url(out) else Path(out)
    try:
        report.write_csv(folder / "report.csv", journal.outcomes())
        contact.write_pages(folder, "refusals", lambda: _without(journal), thumbnails)
    except OSError as error:
        raise BatchError(f"cannot write the report to {folder}: {error.strerror}") from error
    if storage.is_url(out):
        for path in [folder / "report.csv", *folder.glob("refusals*.html")]:
            storage.write(storage.join(out, path.name), path.read_bytes())


def _without(journal: Journal) -> Iterator[Outcome]:
    return (outcome for outcome in journal.outcomes() if outcome.status != "ok")

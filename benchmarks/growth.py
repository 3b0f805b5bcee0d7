"""How throughput and memory grow with the clients of a server and the photos of a batch, for several checkouts.

    python -m benchmarks.growth --tree before=PATH --photos ../shared/data/photos --isnet ISNET.onnx

measures these checkouts, this one ("now") with each ``--quality``, and rembg with ISNet in a plain loop over a few of
the photos, because that program has neither server nor batch. The checkouts run in short turns, because a machine's
speed can change within a minute. It writes ``results/growth.json``; ``python -m benchmarks tables`` draws the table
and the plot. Growth with the photo's size is measured by ``benchmarks.paired``.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from subprocess import DEVNULL

import click
import numpy as np

from benchmarks.answering import PEER, Tree, Trees, commit_of, named, peer_answers, trees_of
from benchmarks.callers import Caller, Tally, callers_of, load
from benchmarks.environment import Run
from benchmarks.figures import RESULTS, Figure, write
from benchmarks.serving import Server, descendants, serving
from idseg.server.memory import resident_bytes
from idseg.system import usable_cores

_SIDE = 1000
"""Side of the clients' square photos, px."""
_PEER_PHOTOS = 8
_SAMPLE_EVERY_S = 0.5
_TURN_S = 10.0
"""Length of a turn of a batch."""


def clients(trees: Trees, counts: tuple[int, ...], seconds: float, turns: int) -> Iterator[Figure]:
    """Photos a second, median time and memory of ``idseg serve --workers 2``, by the number of clients. All servers
    run, and their clients call in turn."""
    with ExitStack() as stack:
        callers: dict[str, tuple[Server, list[Caller]]] = {}
        for name, tree in trees.items():
            options = ["--workers", str(usable_cores()), *tree.options]
            server = stack.enter_context(serving(*options, tree=tree.folder))
            callers[name] = server, callers_of(server, max(counts), _SIDE)
        for count in counts:
            tallies = {name: Tally() for name in trees}
            for _ in range(turns):
                for name, (server, all_callers) in callers.items():
                    tallies[name].add(load(server, all_callers[:count], seconds / turns))
            for name, tally in tallies.items():
                yield from _figures(name, f"{count} clients", tally)


def _figures(name: str, on: str, tally: Tally) -> Iterator[Figure]:
    answered = len(tally.times_s)
    yield Figure(name, on, "throughput", "value", round(answered / tally.seconds, 3), "photos/s", answered)
    yield Figure(name, on, "memory", "most", round(tally.peak_bytes / 2**20, 1), "MiB", answered)
    yield Figure(name, on, "lost or mixed up", "count", tally.lost + tally.mixed_up, "requests", answered)
    if answered:
        yield Figure(name, on, "CPU time", "mean", round(tally.cpu_s / answered, 3), "s", answered)
        yield Figure(name, on, "time", "median", round(float(np.median(tally.times_s)), 3), "s", answered)


def batches(trees: Trees, counts: tuple[int, ...], photos: list[Path], scratch: Path) -> Iterator[Figure]:
    """Photos a second and memory of ``idseg batch`` with one process a core, by the number of photos, from the first
    answer to the last. All batches are started; all but one are stopped at any time, in turn."""
    for count in counts:
        source = scratch / f"in-{count}"
        copy(photos, count, source)
        running = [_Batch(name, tree, source, scratch / f"out-{name}") for name, tree in trees.items()]
        left = list(running)
        try:
            while left:
                for batch in left:
                    batch.go_on(_TURN_S)
                left = [batch for batch in left if batch.process.poll() is None]
        finally:
            for batch in left:
                batch.send(signal.SIGKILL)
        for batch in running:
            yield Figure(batch.name, f"{count} photos", "throughput", "value", batch.rate(), "photos/s", count)
            yield Figure(batch.name, f"{count} photos", "memory", "most", round(batch.peak, 1), "MiB", count)


class _Batch:
    """``idseg batch`` of one checkout, which runs only while it has its turn."""

    def __init__(self, name: str, tree: Tree, source: Path, out: Path) -> None:
        self.name, self.peak, self._out = name, 0.0, out
        self._turns: list[tuple[float, float]] = []
        shutil.rmtree(out, ignore_errors=True)
        words = ["batch", str(source), str(out), "--workers", str(usable_cores()), *tree.options]
        command = [sys.executable, "-m", "idseg", *words]
        self.process = subprocess.Popen(command, cwd=tree.folder, env=tree.environment, stdout=DEVNULL, stderr=DEVNULL)
        self.send(signal.SIGSTOP)

    def go_on(self, seconds: float) -> None:
        """Run for some seconds, or to the end."""
        begin = time.time()
        self.send(signal.SIGCONT)
        while self.process.poll() is None and time.time() < begin + seconds:
            self.peak = max(self.peak, sum(map(resident_bytes, descendants(self.process.pid))) / 2**20)
            time.sleep(_SAMPLE_EVERY_S)
        self.send(signal.SIGSTOP)
        self._turns.append((begin, time.time()))

    def send(self, number: signal.Signals) -> None:
        """Send a signal to all processes of the batch."""
        if self.process.poll() is None:
            for pid in descendants(self.process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)

    def rate(self) -> float:
        """Photos a second of its turns, from the first answer to the last."""
        times = sorted(path.stat().st_mtime for path in self._out.rglob("*.result.json"))
        if self.process.returncode not in (0, 1) or len(times) < 2:  # 1: some photos were refused
            raise click.ClickException(f"the batch of {self.name} ended with {self.process.returncode}")
        ran = sum(max(min(end, times[-1]) - max(begin, times[0]), 0.0) for begin, end in self._turns)
        return round((len(times) - 1) / ran, 3)


def copy(photos: list[Path], count: int, folder: Path) -> None:
    """Copy ``count`` photos from all of the list, reused in turn."""
    folder.mkdir(parents=True)
    chosen = [photos[place] for place in np.linspace(0, len(photos) - 1, min(count, len(photos))).astype(int)]
    for number in range(count):
        shutil.copyfile(chosen[number % len(chosen)], folder / f"{number:05}.jpg")


def peer(isnet: Path, photos: list[Path]) -> Iterator[Figure]:
    """rembg in a plain loop."""
    chosen = [photos[place] for place in np.linspace(0, len(photos) - 1, _PEER_PHOTOS).astype(int)]
    told = peer_answers(isnet, chosen)
    rate = 1e3 * len(chosen) / sum(told.wall_ms)
    on = f"{_PEER_PHOTOS} photos"
    yield Figure(PEER, on, "throughput", "value", round(rate, 3), "photos/s", _PEER_PHOTOS)
    yield Figure(PEER, on, "memory", "most", round(told.peak_mib, 1), "MiB", _PEER_PHOTOS)


def _numbers(context: click.Context, option: click.Parameter, text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(",") if number)


@click.command(help=__doc__)
@click.option("--tree", "others", multiple=True, metavar="NAME=PATH", help="Another checkout.")
@click.option("--quality", multiple=True, default=("fast", "best"), show_default=True, help="Of this checkout.")
@click.option("--photos", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--clients", "callers", default="1,8,32,64", show_default=True, callback=_numbers, help="Empty: none.")
@click.option("--seconds", default=20.0, show_default=True, help="For each number of clients.")
@click.option("--turns", default=4, show_default=True, help="Turns of each server, into which its seconds are split.")
@click.option("--counts", default="100,1000", show_default=True, callback=_numbers, help="Photos; empty: none.")
@click.option("--isnet", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Also run rembg.")
@click.option("--results", type=click.Path(file_okay=False, path_type=Path), default=RESULTS, show_default=True)
def main(  # noqa: PLR0913 - an option each
    others: tuple[str, ...],
    quality: tuple[str, ...],
    photos: Path,
    callers: tuple[int, ...],
    seconds: float,
    turns: int,
    counts: tuple[int, ...],
    isnet: Path | None,
    results: Path,
) -> None:
    before = dict(map(named, others))
    trees = trees_of(before, quality)
    settings = {
        "before": {name: commit_of(tree.folder) for name, tree in before.items()},
        "seconds": seconds,
        "turns": turns,
    }
    run, found = Run("growth", usable_cores(), settings), sorted(photos.rglob("*.jpg"))
    if isnet is not None:
        run.add(*peer(isnet, found))
    if callers:
        click.echo("clients …", err=True)
        run.add(*clients(trees, callers, seconds, turns))
    with tempfile.TemporaryDirectory(prefix="idseg-growth-") as folder:
        if counts:
            click.echo("batches …", err=True)
            run.add(*batches(trees, counts, found, Path(folder)))
    click.echo(f"{write(run.result(), results)}")
    for figure in run.figures:
        click.echo(f"{figure.subject:18} {figure.on:14} {figure.measure:16} {figure.value:10.2f} {figure.unit}")


if __name__ == "__main__":
    main()

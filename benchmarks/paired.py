"""Several checkouts of idseg in one run on one machine, in turn (A B C A B C …).

``python -m benchmarks.paired --tree before=PATH --tree first=OTHER`` measures these checkouts, and this one ("now")
with each ``--quality``: photo to API reply, memory, the command line, photos a second, and how the cost grows with the
photo, with ``--isnet`` also against rembg with ISNet. It writes ``results/paired.json``, from which ``python -m
benchmarks tables`` draws the tables and the plot. Each round is a new process of each checkout. The processes answer
one photo each, in turn, because a machine's speed can change within seconds. They use the names that all checkouts
have: ``idseg.Segmenter``, ``idseg.body_seg_photo`` and the commands. The other checkouts run with their own default
quality.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from subprocess import DEVNULL
from typing import TypeAlias

import click

from benchmarks.answering import PEER, Answering, Told, Trees, commit_of, named, peer_answers, trees_of
from benchmarks.environment import Run
from benchmarks.figures import RESULTS, Figure, Statistic, write
from benchmarks.speed import portrait_jpeg
from idseg.system import usable_cores

GROWTH_MP = (0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 24.0, 48.0)
_REPLIES = {1.0: 8, 12.0: 4}
"""Size in megapixels → replies that a round measures of each checkout, after two that load the models."""
_GROWTH_RUNS = 2
_BATCH_TURNS = 8
"""Turns of each checkout and round, in which each worker answers a photo."""
_WORKERS = 2

_ONCE = "peak memory, each page once"
_Key: TypeAlias = tuple[str, str, str, Statistic, str]
"""Subject, measure, tree, statistic, unit."""


class _Figures:
    """Collects values and gives one figure for each row and tree."""

    def __init__(self) -> None:
        self._values: dict[_Key, list[float]] = defaultdict(list)

    def add(self, subject: str, measure: str, tree: str, *values: float) -> None:
        statistic: Statistic = "most" if measure in ("peak memory", _ONCE) else "median"
        unit = {"peak memory": "MiB", _ONCE: "MiB", "throughput": "photos/s"}.get(measure, "ms")
        self._values[subject, measure, tree, statistic, unit].extend(values)

    def __iter__(self) -> Iterator[Figure]:
        for (subject, measure, tree, statistic, unit), values in self._values.items():
            value = max(values) if statistic == "most" else statistics.median(values)
            yield Figure(subject, tree, measure, statistic, round(value, 2), unit, len(values))


def replies(found: _Figures, trees: Trees, photos: dict[float, Path], rounds: int) -> None:
    """Photo to API reply, warm, with all cores."""
    for megapixels, runs in _REPLIES.items():
        for _ in range(rounds):
            asked = {name: Answering(tree, photos[megapixels], usable_cores(), "reply") for name, tree in trees.items()}
            _in_turn(list(asked.values()), runs)
            for name, process in asked.items():
                _add(found, f"photo to API reply, {megapixels:g} MP", name, process.end())


def _in_turn(processes: Sequence[Answering], runs: int) -> None:
    """Let each process answer ``runs`` times, one at a time."""
    for _ in range(runs):
        for process in processes:
            process.ask()
            process.wait()


def _add(found: _Figures, row: str, name: str, told: Told) -> None:
    found.add(row, "time", name, *told.wall_ms)
    found.add(row, "CPU time", name, *told.cpu_ms)
    found.add(row, "peak memory", name, told.peak_mib)
    found.add(row, _ONCE, name, told.once_mib)


def commands(found: _Figures, trees: Trees, photo: Path, rounds: int) -> None:
    """New processes of the command line. The first round fills the page cache and does not count."""
    with tempfile.TemporaryDirectory() as folder:
        for at in range(rounds + 1):
            for row, words in (
                ("idseg --help", ["--help"]),
                ("idseg segment, cold", ["segment", str(photo), "-o", folder]),
            ):
                for name, tree in trees.items():
                    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
                    options = tree.options if words[0] == "segment" else []
                    command = [sys.executable, "-m", "idseg", *words, *options]
                    subprocess.run(
                        command, cwd=tree.folder, env=tree.environment, check=True, stdout=DEVNULL, stderr=DEVNULL
                    )
                    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
                    if at:
                        found.add(row, "time", name, 1e3 * wall)
                        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
                        found.add(row, "CPU time", name, 1e3 * cpu)


def batches(found: _Figures, trees: Trees, photo: Path, rounds: int) -> None:
    """Photos a second of two workers with one thread each, as ``idseg batch`` and ``idseg serve`` run them."""
    for _ in range(rounds):
        teams = {name: [Answering(tree, photo, 1, "reply") for _ in range(_WORKERS)] for name, tree in trees.items()}
        for _ in range(_BATCH_TURNS):
            for name, team in teams.items():
                start = time.perf_counter()
                for worker in team:
                    worker.ask()
                for worker in team:
                    worker.wait()
                rate = _WORKERS / (time.perf_counter() - start)
                found.add(f"{_WORKERS} workers, 1 MP", "throughput", name, rate)
        for worker in (worker for team in teams.values() for worker in team):
            worker.end()


def growth(found: _Figures, trees: Trees, photos: dict[float, Path], isnet: Path | None) -> None:
    """Time and memory of photo to result, by the photo's size; no figures where a checkout gives no result."""
    for megapixels in GROWTH_MP:
        row, asked = f"photo to result, {megapixels:g} MP", {}
        for name, tree in trees.items():
            try:
                asked[name] = Answering(tree, photos[megapixels], usable_cores(), "result")
            except click.ClickException as error:  # an older tree may refuse a large photo
                click.echo(f"{row}: {error.message}", err=True)
        _in_turn(list(asked.values()), _GROWTH_RUNS)
        for name, process in asked.items():
            _add(found, row, name, process.end())
        if isnet is not None:
            _add(found, row, PEER, peer_answers(isnet, [photos[megapixels]] * _GROWTH_RUNS))


@click.command(help=__doc__)
@click.option("--tree", "others", required=True, multiple=True, metavar="NAME=PATH", help="Another checkout.")
@click.option("--quality", multiple=True, default=("fast", "best"), show_default=True, help="Of this checkout.")
@click.option("--rounds", default=4, show_default=True, help="Times that each checkout has its turn.")
@click.option("--grow/--no-grow", default=True, show_default=True, help="Also measure 0.5 to 48 MP.")
@click.option("--isnet", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Also run rembg (grow).")
@click.option("--results", type=click.Path(file_okay=False, path_type=Path), default=RESULTS, show_default=True)
def main(
    others: tuple[str, ...], quality: tuple[str, ...], rounds: int, grow: bool, isnet: Path | None, results: Path
) -> None:
    trees = dict(map(named, others))
    settings = {
        "before": {name: commit_of(tree.folder) for name, tree in trees.items()},
        "rounds": rounds,
        "photo": "astronaut of scikit-image, enlarged",
    }
    trees = trees_of(trees, quality)
    run, found = Run("paired", usable_cores(), settings), _Figures()
    with tempfile.TemporaryDirectory() as folder:
        photos = {size: Path(folder) / f"{size:g}.jpg" for size in GROWTH_MP}
        for size, path in photos.items():
            path.write_bytes(portrait_jpeg(size))
        click.echo("replies …", err=True)
        replies(found, trees, photos, rounds)
        click.echo("commands …", err=True)
        commands(found, trees, photos[1.0], rounds)
        click.echo("two workers …", err=True)
        batches(found, trees, photos[1.0], max(1, rounds // 2))
        if grow:
            click.echo("growth …", err=True)
            growth(found, trees, photos, isnet)
    run.add(*found)
    click.echo(f"{write(run.result(), results)}")
    for figure in found:
        click.echo(f"{figure.subject:28} {figure.measure:12} {figure.on:16} {figure.value:10.1f} {figure.unit}")


if __name__ == "__main__":
    main()

"""How throughput and memory grow with the clients of a server and the photos of a batch; several checkouts in turn.

    python -m benchmarks.growth --tree before=PATH --photos ../shared/data/photos --isnet ISNET.onnx

measures these checkouts, this one ("now") with each ``--quality``, and rembg with ISNet in a plain loop over a few of
the photos, because that program has neither server nor batch. It writes ``results/growth.json``; ``python -m
benchmarks tables`` draws the table and the plot. Growth with the photo's size is measured by ``benchmarks.paired``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import DEVNULL

import click
import numpy as np

from benchmarks.environment import Run
from benchmarks.figures import RESULTS, Figure, write
from benchmarks.paired import PEER, Trees, commit_of, named, peer_answers, trees_of
from benchmarks.server import callers_of, descendants, load, serving
from idseg.server.memory import resident_bytes
from idseg.system import usable_cores

_SIDE = 1000
"""Side of the clients' square photos, px."""
_PEER_PHOTOS = 8
_SAMPLE_EVERY_S = 0.5


def clients(trees: Trees, counts: tuple[int, ...], seconds: float) -> Iterator[Figure]:
    """Photos a second, median time and memory of ``idseg serve --workers 2``, by the number of clients."""
    for name, tree in trees.items():
        quality = ["--quality", tree.quality] if tree.quality else []
        with serving("--workers", str(usable_cores()), *quality, tree=tree.folder) as server:
            callers = callers_of(server, max(counts), _SIDE)
            for count in counts:
                tally = load(server, callers[:count], seconds)
                on, answered = f"{count} clients", len(tally.times_s)
                yield Figure(name, on, "throughput", "value", round(answered / tally.seconds, 3), "photos/s", answered)
                yield Figure(name, on, "memory", "most", round(tally.peak_bytes / 2**20, 1), "MiB", answered)
                wrong = tally.lost + tally.mixed_up
                yield Figure(name, on, "lost or mixed up", "count", wrong, "requests", answered)
                if answered:
                    median = float(np.median(tally.times_s))
                    yield Figure(name, on, "time", "median", round(median, 3), "s", answered)


def batches(trees: Trees, counts: tuple[int, ...], photos: list[Path], scratch: Path) -> Iterator[Figure]:
    """Photos a second and memory of ``idseg batch`` with one process a core, by the number of photos, from the first
    answer to the last."""
    for count in counts:
        source = scratch / f"in-{count}"
        copy(photos, count, source)
        for name in trees:
            rate, peak = _batch(source, scratch / "out", name, trees)
            yield Figure(name, f"{count} photos", "throughput", "value", round(rate, 3), "photos/s", count)
            yield Figure(name, f"{count} photos", "memory", "most", round(peak, 1), "MiB", count)


def copy(photos: list[Path], count: int, folder: Path) -> None:
    """Copy ``count`` photos from all of the list, reused in turn."""
    folder.mkdir(parents=True)
    chosen = [photos[place] for place in np.linspace(0, len(photos) - 1, min(count, len(photos))).astype(int)]
    for number in range(count):
        shutil.copyfile(chosen[number % len(chosen)], folder / f"{number:05}.jpg")


def _batch(source: Path, out: Path, name: str, trees: Trees) -> tuple[float, float]:
    tree = trees[name]
    shutil.rmtree(out, ignore_errors=True)
    quality = ["--quality", tree.quality] if tree.quality else []
    words = ["batch", str(source), str(out), "--workers", str(usable_cores()), *quality]
    environment = {**os.environ, "PYTHONPATH": str(tree.folder)}
    command = [sys.executable, "-m", "idseg", *words]
    process = subprocess.Popen(command, cwd=tree.folder, env=environment, stdout=DEVNULL, stderr=DEVNULL)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, sum(map(resident_bytes, descendants(process.pid))) / 2**20)
        time.sleep(_SAMPLE_EVERY_S)
    times = sorted(path.stat().st_mtime for path in out.rglob("*.result.json"))
    if process.returncode not in (0, 1) or len(times) < 2:  # 1: some photos were refused
        raise click.ClickException(f"the batch of {name} ended with {process.returncode}")
    return (len(times) - 1) / (times[-1] - times[0]), peak


def peer(isnet: Path, photos: list[Path]) -> Iterator[Figure]:
    """rembg in a plain loop."""
    chosen = [photos[place] for place in np.linspace(0, len(photos) - 1, _PEER_PHOTOS).astype(int)]
    times_ms, _, peak = peer_answers(isnet, chosen)
    rate = 1e3 * len(chosen) / sum(times_ms)
    on = f"{_PEER_PHOTOS} photos"
    yield Figure(PEER, on, "throughput", "value", round(rate, 3), "photos/s", _PEER_PHOTOS)
    yield Figure(PEER, on, "memory", "most", round(peak, 1), "MiB", _PEER_PHOTOS)


def _numbers(context: click.Context, option: click.Parameter, text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(",") if number)


@click.command(help=__doc__)
@click.option("--tree", "others", multiple=True, metavar="NAME=PATH", help="Another checkout.")
@click.option("--quality", multiple=True, default=("fast", "best"), show_default=True, help="Of this checkout.")
@click.option("--photos", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--clients", "callers", default="1,8,32,64", show_default=True, callback=_numbers, help="Empty: none.")
@click.option("--seconds", default=20.0, show_default=True, help="For each number of clients.")
@click.option("--counts", default="100,1000", show_default=True, callback=_numbers, help="Photos; empty: none.")
@click.option("--isnet", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Also run rembg.")
@click.option("--results", type=click.Path(file_okay=False, path_type=Path), default=RESULTS, show_default=True)
def main(  # noqa: PLR0913 - an option each
    others: tuple[str, ...],
    quality: tuple[str, ...],
    photos: Path,
    callers: tuple[int, ...],
    seconds: float,
    counts: tuple[int, ...],
    isnet: Path | None,
    results: Path,
) -> None:
    before = dict(map(named, others))
    trees = trees_of(before, quality)
    settings = {"before": {name: commit_of(tree.folder) for name, tree in before.items()}, "seconds": seconds}
    run, found = Run("growth", usable_cores(), settings), sorted(photos.rglob("*.jpg"))
    if isnet is not None:
        run.add(*peer(isnet, found))
    if callers:
        click.echo("clients …", err=True)
        run.add(*clients(trees, callers, seconds))
    with tempfile.TemporaryDirectory(prefix="idseg-growth-") as folder:
        if counts:
            click.echo("batches …", err=True)
            run.add(*batches(trees, counts, found, Path(folder)))
    click.echo(f"{write(run.result(), results)}")
    for figure in run.figures:
        click.echo(f"{figure.subject:18} {figure.on:14} {figure.measure:16} {figure.value:10.2f} {figure.unit}")


if __name__ == "__main__":
    main()

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

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import NamedTuple, TypeAlias

import click

from benchmarks.environment import ROOT, Run
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

_CLOCK = """
import json, os, time
def timed(answer, times):
    wall, cpu = time.perf_counter(), time.process_time()
    answer()
    times.append((1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu)))
def twice():
    files = {}
    for line in open("/proc/self/smaps"):
        head = line.split(maxsplit=5)
        if "-" in head[0]:
            path = head[5].rstrip() if len(head) == 6 and head[4] != "0" else None
        elif head[0] == "Rss:" and path is not None:
            files[path] = files.get(path, 0) + int(head[1])
    sizes = {path: os.stat(path).st_size / 1024 for path in files if os.path.exists(path)}
    return sum(max(files[path] - size, 0) for path, size in sizes.items()) / 1024
def report(times):
    peak = next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(json.dumps({"times": times, "peak": peak, "once": peak - twice()}), flush=True)
"""
"""The beginning of a measured process: its clock, and what it prints at the end: VmHWM, and the same with the pages of
files that are mapped twice counted once. (The two copies of a MediaPipe model share the pages of its file.)"""

_WORK = (
    _CLOCK
    + """
import base64, sys
import idseg
path, threads, what, quality = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
content = open(path, "rb").read()
text = base64.b64encode(content)
times = []
chosen = {"quality": quality} if quality else {}
with idseg.Segmenter(idseg.Options(threads=threads, **chosen)) as segmenter:
    def answer():
        if what == "result":
            segmenter(content)
        else:
            assert "seg_info" in json.dumps(idseg.body_seg_photo(text, segmenter))
    answer()
    answer()
    print("ready", flush=True)
    for _ in sys.stdin:
        timed(answer, times)
        print("done", flush=True)
    report(times)
"""
)
"""What a measured process runs: it loads the models, answers once for each line, and prints its times and its peak."""

_PEER = (
    _CLOCK
    + """
import os, sys
photos, isnet = json.loads(sys.argv[1]), sys.argv[2]
os.environ["U2NET_HOME"] = os.path.dirname(isnet)  # rembg opens models only in this folder
import rembg
from PIL import Image
session = rembg.new_session("dis_custom", providers=["CPUExecutionProvider"], model_path=isnet)
times = []
def answer(photo):
    rembg.remove(Image.open(photo).convert("RGB"), session=session)
answer(photos[0])
for photo in photos:
    timed(lambda: answer(photo), times)
report(times)
"""
)
"""The same for rembg: it makes the cut-outs of whole photos, with this ISNet file."""
PEER = "rembg with ISNet"


class Tree(NamedTuple):
    """A checkout and the quality that it runs with."""

    folder: Path
    quality: str = ""
    """Empty: its default."""

    @property
    def options(self) -> list[str]:
        """Options of a command for the quality."""
        return ["--quality", self.quality] if self.quality else []

    @property
    def environment(self) -> dict[str, str]:
        """Environment of a process that imports this checkout."""
        return {**os.environ, "PYTHONPATH": str(self.folder)}


Trees: TypeAlias = dict[str, Tree]
"""Name → the checkout."""
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


class _Told(NamedTuple):
    """What a measured process told at its end."""

    wall_ms: list[float]
    cpu_ms: list[float]
    peak_mib: float
    once_mib: float
    """The peak, with pages of files that are mapped twice counted once."""


class _Answering:
    """A process that has loaded the models of a checkout and answers one photo, again and again."""

    def __init__(self, tree: Tree, photo: Path, threads: int, what: str) -> None:
        self._tree = tree
        command = [sys.executable, "-W", "ignore", "-c", _WORK, str(photo), str(threads), what, tree.quality]
        self._process = subprocess.Popen(
            command, cwd=tree.folder, env=tree.environment, stdin=PIPE, stdout=PIPE, text=True
        )
        self._expect("ready")

    def _expect(self, line: str) -> None:
        assert self._process.stdout is not None
        if self._process.stdout.readline() != f"{line}\n":
            raise click.ClickException(f"idseg of {self._tree.folder} does not answer; see above")

    def ask(self) -> None:
        """Let it begin an answer."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def wait(self) -> None:
        """Wait for the end of the answer."""
        self._expect("done")

    def end(self) -> _Told:
        return _told(self._process.communicate()[0])


def peer_answers(isnet: Path, photos: Sequence[Path]) -> _Told:
    """What rembg's process told, with one answer for each photo."""
    asked = json.dumps([str(photo.resolve()) for photo in photos])
    command = [sys.executable, "-W", "ignore", "-c", _PEER, asked, str(isnet.resolve())]
    done = subprocess.run(command, stdout=PIPE, text=True, check=False)
    if done.returncode:
        raise click.ClickException("rembg does not answer; see above")
    return _told(done.stdout)


def _told(output: str) -> _Told:
    """What a measured process printed."""
    found = json.loads(output)
    wall, cpu = zip(*found["times"], strict=True)
    return _Told(list(wall), list(cpu), found["peak"], found["once"])


def replies(found: _Figures, trees: Trees, photos: dict[float, Path], rounds: int) -> None:
    """Photo to API reply, warm, with all cores."""
    for megapixels, runs in _REPLIES.items():
        for _ in range(rounds):
            asked = {
                name: _Answering(tree, photos[megapixels], usable_cores(), "reply") for name, tree in trees.items()
            }
            _in_turn(list(asked.values()), runs)
            for name, process in asked.items():
                _add(found, f"photo to API reply, {megapixels:g} MP", name, process.end())


def _in_turn(processes: Sequence[_Answering], runs: int) -> None:
    """Let each process answer ``runs`` times, one at a time."""
    for _ in range(runs):
        for process in processes:
            process.ask()
            process.wait()


def _add(found: _Figures, row: str, name: str, told: _Told) -> None:
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
        teams = {name: [_Answering(tree, photo, 1, "reply") for _ in range(_WORKERS)] for name, tree in trees.items()}
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
                asked[name] = _Answering(tree, photos[megapixels], usable_cores(), "result")
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


def trees_of(others: Trees, quality: tuple[str, ...]) -> Trees:
    """The other checkouts, and this one with each quality."""
    return others | {f"now, {each}": Tree(ROOT, each) for each in quality}


def named(text: str) -> tuple[str, Tree]:
    """The name and the checkout of an option ``--tree``."""
    name, equals, folder = text.partition("=")
    if not equals or not Path(folder).is_dir():
        raise click.BadParameter(f"{text!r} is not NAME=PATH with the path of a folder", param_hint="--tree")
    return name, Tree(Path(folder).resolve())


def commit_of(tree: Path) -> str:
    """The checked-out commit of a folder."""
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tree, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()

"""Processes that answer photos with idseg of a checkout, or with rembg, and tell their times and their peak memory.

For :mod:`benchmarks.paired`, :mod:`benchmarks.growth` and :mod:`benchmarks.answers`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from subprocess import PIPE
from typing import NamedTuple, TypeAlias

import click

from benchmarks.environment import ROOT

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


class Told(NamedTuple):
    """What a measured process told at its end."""

    wall_ms: list[float]
    cpu_ms: list[float]
    peak_mib: float
    once_mib: float
    """The peak, with pages of files that are mapped twice counted once."""


class Answering:
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

    def end(self) -> Told:
        return _told(self._process.communicate()[0])


def peer_answers(isnet: Path, photos: Sequence[Path]) -> Told:
    """What rembg's process told, with one answer for each photo."""
    asked = json.dumps([str(photo.resolve()) for photo in photos])
    command = [sys.executable, "-W", "ignore", "-c", _PEER, asked, str(isnet.resolve())]
    done = subprocess.run(command, stdout=PIPE, text=True, check=False)
    if done.returncode:
        raise click.ClickException("rembg does not answer; see above")
    return _told(done.stdout)


def _told(output: str) -> Told:
    """What a measured process printed."""
    found = json.loads(output)
    wall, cpu = zip(*found["times"], strict=True)
    return Told(list(wall), list(cpu), found["peak"], found["once"])


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

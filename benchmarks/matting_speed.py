"""Speed and memory of the mattes: the section ``speed`` of benchmarks/matting.py."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar

import cv2
import numpy as np
from tqdm import tqdm

from benchmarks.environment import ROOT, describe
from benchmarks.sets import beside
from idseg.models.manifest import load_manifest
from idseg.segmenter import Options, Segmenter
from idseg.stages.follow import load_follower
from idseg.stages.foreground import estimate_foreground
from idseg.stages.matte import AUTO, load_matte
from idseg.stages.refine import load_refiner
from idseg.types import Rgb, Size

CUTS = {"600x840": ("val", Size(600, 840)), "2.4 MP": ("val-hr", Size(1310, 1834))}
"""Name → the set whose pictures are resized, and the size: the cut of the API's example, and one of 2.4 MP."""
_PICTURES = 3

_T = TypeVar("_T")
_P = ParamSpec("_P")

_MEMORY = """
import sys
import cv2, numpy
from idseg.models.manifest import load_manifest
from idseg.segmenter import Options, Segmenter
from idseg.stages.follow import load_follower
from idseg.stages.follow import load_follower
from idseg.stages.foreground import estimate_foreground
from idseg.stages.matte import load_matte

what, path, width, height, threads = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
cv2.setNumThreads(threads)
cut = cv2.resize(cv2.imread(path), (width, height), interpolation=cv2.INTER_CUBIC)[..., ::-1].copy()
if what in ("best", "fast"):
    segmenter = Segmenter(Options(threads=threads, provider="cpu", quality=what))
    for _ in range(3):
        estimate_foreground(cut, segmenter.matte(cut))
elif what != "imports":
    net = load_matte(load_manifest(), what, "cpu", threads, preset="isnet")
    for _ in range(3):
        net(cut)
print(next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
"""Prints its own peak (VmHWM): getrusage of a child process also counts the parent's memory."""


class Clock:
    """Collects times by name, by the clock and of all threads' CPU."""

    def __init__(self) -> None:
        self._ms: dict[str, list[tuple[float, float]]] = {}

    def __call__(self, name: str, work: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        wall, cpu = time.perf_counter(), time.process_time()
        value = work(*args, **kwargs)
        spent = 1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu)
        self._ms.setdefault(name, []).append(spent)
        return value

    def forget(self) -> None:
        """Drop all times."""
        self._ms.clear()

    def summary(self) -> dict[str, dict[str, float]]:
        """Medians, and the fastest by the clock, in ms."""
        return {
            name: {
                "wall_ms": float(np.median([wall for wall, _ in times])),
                "fastest_ms": min(wall for wall, _ in times),
                "cpu_ms": float(np.median([cpu for _, cpu in times])),
            }
            for name, times in self._ms.items()
        }


def measure(data: Path, threads: int, isnet: Path | None, rounds: int) -> dict[str, Any]:
    """Median times of idseg's stages and of ISNet, in turn; then the peak memory of new processes.

    ``best`` and ``fast`` are a result's matte and foreground colours; the rows below ``best`` are its parts.
    """
    environment = describe(threads)
    times = {name: _times(cuts_of(data, name), threads, isnet, rounds, name) for name in CUTS}
    return {
        "environment": environment,
        "rounds": rounds,
        "times": times,
        "memory_mib": dict(_memory(data, threads, isnet)),
        "files_bytes": {
            entry.name: entry.bytes
            for entry in load_manifest()
            if entry.task in ("matting", "matting-edge", "refine", "colours")
        },
    }


def cuts_of(data: Path, name: str) -> list[Rgb]:
    """Three pictures, resized to the cut's size."""
    folder, size = CUTS[name]
    samples = beside(data / folder)
    return [
        np.asarray(cv2.resize(sample.rgb(), size, interpolation=cv2.INTER_CUBIC), np.uint8)
        for sample in samples[:: max(len(samples) // _PICTURES, 1)][:_PICTURES]
    ]


def _times(cuts: list[Rgb], threads: int, isnet: Path | None, rounds: int, on: str) -> dict[str, dict[str, float]]:
    manifest = load_manifest()
    coarse, refine = load_matte(manifest, AUTO, "cpu", threads), load_refiner(manifest, "net", "cpu", threads)
    colours = load_follower(manifest, threads)
    peer = None if isnet is None else load_matte(manifest, str(isnet), "cpu", threads, preset="isnet")
    segmenters: dict[Literal["best", "fast"], Segmenter] = {
        "best": Segmenter(Options(threads=threads, provider="cpu", quality="best")),
        "fast": Segmenter(Options(threads=threads, provider="cpu", quality="fast")),
    }
    clock = Clock()
    # The same helper thread as a Segmenter's.
    with ThreadPoolExecutor(1) if threads > 1 else nullcontext() as pool:
        for turn in tqdm(range(rounds + 1), f"speed of {on}", unit="round"):
            if turn == 1:
                clock.forget()  # the first round warms up
            for cut in cuts:
                for quality, segmenter in segmenters.items():
                    clock(quality, _result, segmenter, cut, pool)
                seen = clock("coarse", coarse.look, cut)
                alpha = clock("refine", refine, cut, seen, pool)
                alpha = clock("colours", colours, cut, alpha)
                clock("foreground", estimate_foreground, cut, alpha, pool)
                if peer is not None:
                    clock("ISNet", peer, cut)
    return clock.summary()


def _result(segmenter: Segmenter, cut: Rgb, pool: Executor | None) -> Rgb:
    """What a result needs of a cut: matte and foreground colours."""
    return estimate_foreground(cut, segmenter.matte(cut), pool)


def _memory(data: Path, threads: int, isnet: Path | None) -> Iterator[tuple[str, float]]:
    """Peak resident memory (Linux) in MiB of new processes that make three mattes of one cut."""
    if not Path("/proc/self/status").exists():
        return
    jobs = [("imports", "600x840"), ("best", "600x840"), ("best", "2.4 MP"), ("fast", "600x840"), ("fast", "2.4 MP")]
    for what, on in [*jobs, *([] if isnet is None else [(str(isnet.resolve()), "600x840")])]:
        folder, size = CUTS[on]
        path = beside(data / folder)[0].picture.resolve()
        words = [sys.executable, "-c", _MEMORY, what, str(path), *map(str, (*size, threads))]
        done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT)
        name = "ISNet" if isnet is not None and what == str(isnet.resolve()) else what
        yield name if what == "imports" else f"{name} {on}", float(done.stdout)

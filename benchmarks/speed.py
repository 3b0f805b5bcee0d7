"""Speed of each stage, the whole pipeline, the command line, parallel processes and the peers, measured in one run.

The photo is scikit-image's astronaut portrait (public domain), enlarged to each size and saved as JPEG, so anyone can
repeat the run. Warm times are medians and 95 % quantiles over runs in one process. The runs of idseg and its peers are
interleaved; the runs of different sizes are not. Cold times are those of new processes, with the files in the page
cache.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from benchmarks.environment import Run
from benchmarks.figures import Figure, Result
from benchmarks.peers import Files, Method, peers
from idseg.cloud import wire
from idseg.imaging import encode
from idseg.segmenter import Options, Segmenter
from idseg.types import Rgb

SIZES_MP = (0.5, 1.0, 4.0, 12.0)
_RUNS = {0.5: 20, 1.0: 20, 4.0: 10, 12.0: 8}
_COLD_RUNS = 5
_HELP_RUNS = 9
_PROCESS_PHOTOS = 24
"""Photos per process when counting photos per second (1 MP each)."""
_PEER_RUNS = 4
OUTSIDE_MATTING = ("decode", "detect", "landmarks", "pose", "crop", "foreground")
"""All stages except matte and refine. Goal: together under 80 ms at 1 MP."""


@lru_cache(maxsize=4)
def portrait_jpeg(megapixels: float) -> bytes:
    """The astronaut portrait as JPEG (quality 90), square, enlarged to this many megapixels."""
    return encode.jpeg(portrait(megapixels), quality=90)


def portrait(megapixels: float) -> Rgb:
    """The same portrait as an array (H, W, 3)."""
    from skimage import data

    side = round((megapixels * 1e6) ** 0.5)
    original = np.asarray(data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]
    enlarged = cv2.resize(original, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(enlarged)


def measure(files: Files, threads: int, quick: bool = False) -> Result:
    """Run the benchmark; ``quick`` uses two sizes and few runs (not for publishing)."""
    sizes = SIZES_MP[:2] if quick else SIZES_MP
    run = Run(
        "speed", threads, {"sizes_mp": list(sizes), "quick": quick, "photo": "astronaut of scikit-image, enlarged"}
    )
    with Segmenter(Options(threads=threads)) as segmenter:
        for megapixels in sizes:
            run.add(*stage_figures(segmenter, megapixels, 3 if quick else _RUNS[megapixels]))
    run.add(*command_figures(1 if quick else _COLD_RUNS, 1 if quick else _HELP_RUNS))
    for processes in (1, 2):
        run.add(process_figure(processes, threads, 4 if quick else _PROCESS_PHOTOS))
    run.add(*peer_figures(files, threads, 2 if quick else _PEER_RUNS))
    return run.result()


def stage_figures(segmenter: Segmenter, megapixels: float, runs: int) -> Iterator[Figure]:
    """Warm times of every stage and of the whole pipeline, for one size."""
    content = portrait_jpeg(megapixels)
    on = f"{megapixels:g} MP"
    stages: dict[str, list[float]] = {}
    cpu_times: list[float] = []
    segmenter(content)  # warms up
    for _ in range(runs):
        start, cpu = time.perf_counter(), time.process_time()
        result = segmenter(content)
        whole = time.perf_counter()
        cpu_times.append(1e3 * (time.process_time() - cpu))
        reply = json.dumps(wire.render(result, 0))
        written = time.perf_counter()
        for name, milliseconds in result.timings_ms.items():
            stages.setdefault(f"stage: {name}", []).append(milliseconds)
        outside = sum(milliseconds for name, milliseconds in result.timings_ms.items() if name in OUTSIDE_MATTING)
        stages.setdefault("all but matte and refine", []).append(outside)
        stages.setdefault("photo to result", []).append(1e3 * (whole - start))
        stages.setdefault("stage: API reply (encode)", []).append(1e3 * (written - whole))
        stages.setdefault("photo to API reply", []).append(1e3 * (written - start))
        assert reply.startswith("{")
    for name, times in stages.items():
        yield from _time_figures(name, on, times)
    yield Figure("photo to result", on, "CPU time, all threads", "median", statistics.median(cpu_times), "ms", runs)
    yield Figure("cut", on, "size", "value", result.window.width * result.window.height / 1e6, "MP", 1)


def command_figures(cold_runs: int, help_runs: int) -> Iterator[Figure]:
    """Times of the command line in new processes."""
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "selfie.jpg"
        photo.write_bytes(portrait_jpeg(1.0))
        commands: dict[str, tuple[list[str], int]] = {
            "idseg --help": (["--help"], help_runs),
            "idseg --version": (["--version"], help_runs),
            "idseg segment, one photo": (["segment", str(photo), "-o", str(Path(folder) / "out")], cold_runs),
        }
        for name, (words, runs) in commands.items():
            yield from _process_figures(name, words, runs)
    yield from _process_figures("python -c pass", None, help_runs)


def _process_figures(name: str, words: list[str] | None, runs: int) -> Iterator[Figure]:
    times = list(_process_times(words, runs))
    yield from _time_figures(name, "cold start", [wall for wall, _ in times])
    yield Figure(
        name, "cold start", "CPU time, all threads", "median", statistics.median(cpu for _, cpu in times), "ms", runs
    )


def _process_times(words: list[str] | None, runs: int) -> Iterator[tuple[float, float]]:
    """(wall, CPU) milliseconds of whole processes. The first run fills the page cache and is not counted."""
    command = [sys.executable, "-c", "pass"] if words is None else [sys.executable, "-m", "idseg", *words]
    for at in range(runs + 1):
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True)
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        if at:
            yield 1e3 * wall, 1e3 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def process_figure(processes: int, threads: int, photos: int) -> Figure:
    """Photos per second of several processes that share the cores; each gets ``threads / processes`` threads."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes + 1)
    each = max(1, threads // processes)
    workers = [context.Process(target=_work, args=(barrier, photos, each)) for _ in range(processes)]
    for worker in workers:
        worker.start()
    barrier.wait(300)
    start = time.perf_counter()
    for worker in workers:
        worker.join()
    seconds = time.perf_counter() - start
    if any(worker.exitcode for worker in workers):
        raise RuntimeError(f"a worker failed: exit codes {[worker.exitcode for worker in workers]}")
    total = processes * photos
    return Figure(
        f"{processes} process{'es' if processes > 1 else ''}",
        "1 MP",
        "throughput",
        "mean",
        total / seconds,
        "photos/s",
        total,
    )


def _work(barrier: multiprocessing.synchronize.Barrier, photos: int, threads: int) -> None:
    cv2.setNumThreads(threads)
    content = portrait_jpeg(1.0)
    with Segmenter(Options(threads=threads)) as segmenter:
        segmenter(content)
        barrier.wait(300)
        for _ in range(photos):
            segmenter(content)


def peer_figures(files: Files, threads: int, runs: int) -> Iterator[Figure]:
    """Times of idseg and its peers for the matte of a 600 x 840 cut, in turn, in one process."""
    rgb = np.ascontiguousarray(cv2.resize(portrait(1.0)[:, 150:864], (600, 840), interpolation=cv2.INTER_AREA))
    ready: list[tuple[str, Method]] = [
        (peer.name, peer.load())
        for peer in peers(files, threads)
        if "PyMatting" not in peer.name and "ISNet + " not in peer.name
    ]
    times: dict[str, list[float]] = {name: [] for name, _ in ready}
    for at in range(runs + 1):
        for name, method in ready:
            fresh = rgb.copy()  # a new array, so that no peer can reuse its last answer
            elapsed = _timed(lambda method=method, fresh=fresh: method(fresh))  # type: ignore[misc]
            if at:
                times[name].append(elapsed)
    for name, _ in ready:
        yield from _time_figures(name, "matte of 600x840", times[name])


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - start)


def _time_figures(subject: str, on: str, times: Sequence[float]) -> Iterator[Figure]:
    yield Figure(subject, on, "time", "median", statistics.median(times), "ms", len(times))
    yield Figure(subject, on, "time", "p95", float(np.percentile(times, 95)), "ms", len(times))
    yield Figure(subject, on, "time", "least", min(times), "ms", len(times))

"""Where a benchmark ran: machine, package versions, commit, date, models, and the load before it started."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, Result
from idseg.models.manifest import load_manifest

_PACKAGES = ("idseg", "numpy", "opencv-contrib-python", "onnxruntime", "mediapipe", "pymatting", "pillow", "rembg")
ROOT = Path(__file__).resolve().parent.parent
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Environment variables that limit the libraries' thread pools. Each library reads them when it is imported."""


def pin(threads: int) -> None:
    """Pin this process and its children to ``threads`` cores, and limit the libraries' thread pools."""
    for name in THREAD_VARIABLES:
        os.environ[name] = str(threads)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    import cv2

    cv2.setNumThreads(threads)


class Run:
    """Collects the figures of one benchmark run."""

    def __init__(self, benchmark: str, threads: int, settings: Mapping[str, Any]) -> None:
        self.figures: list[Figure] = []
        self.matrices: dict[str, Any] = {}
        self.notes: list[str] = []
        self._benchmark = benchmark
        self._settings = dict(settings)
        self._environment = describe(threads)
        self._start = time.perf_counter()

    def add(self, *figures: Figure) -> None:
        """Add figures to this run."""
        self.figures.extend(figures)

    def result(self) -> Result:
        """The finished run as a `Result`."""
        commit, changed = commit_now()
        return Result(
            benchmark=self._benchmark,
            date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            commit=commit,
            changed=changed,
            seconds=round(time.perf_counter() - self._start, 3),
            environment=self._environment,
            settings=self._settings,
            figures=tuple(self.figures),
            matrices=self.matrices,
            notes=tuple(self.notes),
        )


def describe(threads: int) -> dict[str, Any]:
    """Describe the machine and the installed software."""
    return {
        "machine": _processor(),
        "cores": os.cpu_count() or 1,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "python": platform.python_version(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "threads": threads,
        "versions": dict(_versions(_PACKAGES)),
        "models": {entry.name: entry.sha256 for entry in load_manifest()},
    }


def commit_now() -> tuple[str, bool]:
    """The checked-out commit, and whether the package or its models differ from it."""
    try:
        commit = _git("rev-parse", "HEAD")
        changed = bool(
            _git("status", "--porcelain", "--untracked-files=no", "--", "idseg", "models", "benchmarks/*.py")
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown", True
    return commit, changed


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _versions(names: Iterable[str]) -> Iterable[tuple[str, str]]:
    for name in names:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue

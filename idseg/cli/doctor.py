"""``idseg doctor``: checks what idseg needs on this machine, without loading anything that could crash."""

from __future__ import annotations

import ctypes
import platform
import sys
import time
from collections.abc import Iterator
from importlib import metadata, util
from typing import Literal, NamedTuple

import click

from idseg import system
from idseg.cli.runner import EXIT_CODES
from idseg.errors import DependencyError, IdsegError
from idseg.models.manifest import ModelEntry, load_manifest

PYTHONS = (3, 10), (3, 14)
"""First and last supported Python version."""
PACKAGES = ("click", "isal", "mediapipe", "numpy", "onnxruntime", "pi-heif", "pillow", "tqdm")
OPTIONAL = {
    "pymatting": ("idseg segment --refine closed-form", "pip install pymatting"),
    "fastapi": ("idseg serve", "pip install 'idseg[server]'"),
    "ray": ("idseg batch --engine ray", "pip install 'idseg[ray]'"),
    "pyarrow": ("Parquet in idseg batch", "pip install 'idseg[ray]'"),
}
"""Optional packages → the feature that needs them, and the command that installs them."""
OPENCV = (
    "opencv-contrib-python",
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python-headless",
)
"""Distributions that contain the package ``cv2``; MediaPipe requires the first. Two of them overwrite each other."""
LIBRARIES = {
    "libEGL.so.1": "apt-get install -y libegl1",
    "libGLESv2.so.2": "apt-get install -y libgles2",
    "libGL.so.1": "apt-get install -y libgl1",
    "libgthread-2.0.so.0": "apt-get install -y libglib2.0-0",
}
"""Shared libraries that slim systems lack and that the Linux wheels of MediaPipe (the first two) and OpenCV need, and
Debian's command for each. The headless OpenCV needs only the first two."""
_HEADLESS = ("libEGL.so.1", "libGLESv2.so.2")

State = Literal["ok", "FAIL", "note"]
"""``note``: idseg works without it; the line names the feature that does not work."""


class Check(NamedTuple):
    """One line of the report."""

    name: str
    state: State
    found: str
    mend: str = ""


def run() -> Iterator[Check]:
    """All checks, the cheap ones first."""
    yield _python()
    for package in PACKAGES:
        yield _package(package)
    for package, (use, mend) in OPTIONAL.items():
        yield _optional(package, use, mend)
    opencv = _opencv()
    yield opencv
    if sys.platform.startswith("linux"):
        headless = "headless" in opencv.found
        for library, mend in LIBRARIES.items():
            if not headless or library in _HEADLESS:
                yield _library(library, mend)
        if not system.CORES.exists():
            yield Check("/sys", "FAIL", f"MediaPipe needs {system.CORES}", "mount -t sysfs sysfs /sys")
    yield _reports()
    yield from _weights()
    yield from _providers()


def _python() -> Check:
    first, last = PYTHONS
    names = ".".join(map(str, first)), ".".join(map(str, last))
    found = f"{platform.python_version()} on {platform.platform()}"
    supported = first <= sys.version_info[:2] <= last
    return Check("python", "ok" if supported else "FAIL", found, f"use Python {names[0]} to {names[1]}")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _package(name: str) -> Check:
    version = _version(name)
    if version is None:
        return Check(name, "FAIL", "not installed", f"pip install {name}")
    return Check(name, "ok", version)


def _optional(name: str, use: str, mend: str) -> Check:
    version = _version(name)
    if version is None:
        return Check(name, "note", f"not installed; only {use} needs it", mend)
    return Check(name, "ok", version)


def _opencv() -> Check:
    """Check that exactly one distribution of OpenCV is installed."""
    found = {name: version for name in OPENCV if (version := _version(name))}
    listed = ", ".join(f"{name} {version}" for name, version in found.items())
    if len(found) > 1:
        extra = [name for name in found if name != OPENCV[0]]
        keep = f"pip install --force-reinstall --no-deps {OPENCV[0]}"
        return Check(
            "opencv", "FAIL", f"{listed}: they overwrite each other", f"pip uninstall -y {' '.join(extra)} && {keep}"
        )
    if not found and util.find_spec("cv2") is None:
        return Check("opencv", "FAIL", "not installed", f"pip install {OPENCV[0]}")
    return Check("opencv", "ok", listed or "cv2 from a package of the system")


def _library(name: str, mend: str) -> Check:
    try:
        ctypes.CDLL(name)
    except OSError as error:
        return Check(name, "FAIL", str(error), mend)
    return Check(name, "ok", "there")


def _reports() -> Check:
    """Check how MediaPipe is kept from sending usage reports."""
    from idseg.models.sandbox import can_confine

    if can_confine():
        return Check("mediapipe's reports", "ok", "no network for MediaPipe's threads (seccomp)")
    found = "no seccomp here: MediaPipe may look up Google's host name, but trusts no server and sends no report"
    return Check("mediapipe's reports", "note", found)


def _weights() -> Iterator[Check]:
    mend = "reinstall idseg, or in a checkout run: git checkout -- models"
    try:
        manifest = load_manifest()
    except IdsegError as error:
        yield Check("manifest", "FAIL", str(error), mend)
        return
    for entry in manifest:
        try:
            entry.check()
            yield Check(entry.name, "ok", f"{entry.bytes / 1e6:.2f} MB, {entry.licence}")
        except IdsegError as error:
            yield Check(entry.name, "FAIL", str(error), mend)


def _providers() -> Iterator[Check]:
    """Start the matting net on each execution provider and run it once."""
    try:
        from idseg.models.onnx import available_providers, first_provider

        names, chosen = available_providers(), first_provider("auto")
        entry = next(entry for entry in load_manifest() if entry.task == "matting")
    except (IdsegError, ImportError, StopIteration) as error:
        yield Check("providers", "FAIL", str(error), "pip install --force-reinstall onnxruntime")
        return
    for name in names:
        yield _provider(name, entry, chosen=name == chosen)


def _provider(name: str, entry: ModelEntry, *, chosen: bool) -> Check:
    import numpy as np

    from idseg.stages.matte import load_matte

    try:
        matte = load_matte(load_manifest(), entry.name, name, 1)
        grey = np.full((160, 128, 3), 128, dtype=np.uint8)
        matte(grey)
        start = time.perf_counter()
        matte(grey)
        milliseconds = (time.perf_counter() - start) * 1e3
    except IdsegError as error:
        state: State = "FAIL" if name == "cpu" else "note"
        return Check(f"provider {name}", state, str(error), f"use another: --provider cpu instead of {name}")
    used = "; --provider auto uses it" if chosen else ""
    return Check(f"provider {name}", "ok", f"ran {entry.name} on {matte.provider} in {milliseconds:.0f} ms{used}")


@click.command()
def doctor() -> None:
    """Check this machine and say how to fix what is missing.

    Checks Python, packages, system libraries and model files, and runs the matting net on every execution provider. A
    line with "note" is not an error: idseg works without that part.
    """
    failed = False
    for check in run():
        click.echo(f"{check.state:<4} {check.name:<22} {check.found}")
        if check.mend and check.state != "ok":
            click.echo(f"     → {check.mend}")
        failed = failed or check.state == "FAIL"
    sys.exit(EXIT_CODES[DependencyError] if failed else 0)

"""``idseg doctor``: what idseg needs from the machine, looked at without loading anything that might fail hard."""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import NamedTuple

import click

from idseg.cli.runner import EXIT_CODES
from idseg.errors import DependencyError, IdsegError
from idseg.models.manifest import load_manifest

PACKAGES = ("mediapipe", "opencv-contrib-python", "onnxruntime", "numpy", "pillow", "pymatting", "numba")
LIBRARIES = {
    "libEGL.so.1": "apt-get install -y libegl1",
    "libGLESv2.so.2": "apt-get install -y libgles2",
    "libGL.so.1": "apt-get install -y libgl1",
    "libgthread-2.0.so.0": "apt-get install -y libglib2.0-0",
}
"""Shared libraries that MediaPipe's (the first two) and OpenCV's Linux wheels are linked to and slim systems lack, and
Debian's command for each."""


class Check(NamedTuple):
    """One line of the report."""

    name: str
    ok: bool
    found: str
    mend: str


def run() -> Iterator[Check]:
    """All checks, the cheap ones first."""
    supported = (3, 10) <= sys.version_info[:2] <= (3, 13)
    yield Check("python", supported, f"{platform.python_version()} on {platform.platform()}", "use Python 3.10 to 3.13")
    for package in PACKAGES:
        yield _package(package)
    if sys.platform.startswith("linux"):
        for library, mend in LIBRARIES.items():
            yield _library(library, mend)
    yield _second_opencv()
    yield _providers()
    yield from _weights()


def _package(name: str) -> Check:
    try:
        return Check(name, True, metadata.version(name), "")
    except metadata.PackageNotFoundError:
        return Check(name, False, "not installed", f"pip install {name}")


def _library(name: str, mend: str) -> Check:
    try:
        ctypes.CDLL(name)
    except OSError as error:
        return Check(name, False, str(error), mend)
    return Check(name, True, "there", "")


def _second_opencv() -> Check:
    names = ("opencv-python", "opencv-python-headless", "opencv-contrib-python-headless")
    found = [name for name in names if _package(name).ok]
    mend = f"pip uninstall -y {' '.join(found)} && pip install --force-reinstall --no-deps opencv-contrib-python"
    return Check("one OpenCV", not found, ", ".join(found) or "only mediapipe's", mend if found else "")


def _providers() -> Check:
    try:
        from idseg.models.onnx import available_providers

        return Check("providers", True, ", ".join(available_providers()), "")
    except (IdsegError, ImportError) as error:
        return Check("providers", False, str(error), "pip install --force-reinstall onnxruntime")


def _weights() -> Iterator[Check]:
    mend = "reinstall idseg, or in a checkout run: git checkout -- models"
    try:
        manifest = load_manifest()
    except IdsegError as error:
        yield Check("manifest", False, str(error), mend)
        return
    for entry in manifest:
        try:
            entry.check()
            yield Check(entry.name, True, f"{entry.bytes / 1e6:.2f} MB, {entry.licence}", "")
        except IdsegError as error:
            yield Check(entry.name, False, str(error), mend)


@click.command()
def doctor() -> None:
    """Say what is missing on this machine, and what mends it.

    Looks at Python, packages, system libraries, execution providers and weights.
    """
    failed = False
    for check in run():
        mark = "ok  " if check.ok else "FAIL"
        click.echo(f"{mark} {check.name:<22} {check.found}")
        if not check.ok:
            failed = True
            click.echo(f"     → {check.mend}")
    sys.exit(EXIT_CODES[DependencyError] if failed else 0)

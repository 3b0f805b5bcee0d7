"""Shared by demo.py and test.py: create a virtual environment beside the checkout and install idseg into it.

Needs only Python 3.10 to 3.14 and the standard library.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_LIBRARIES = {
    "libEGL.so.1": "libegl1",
    "libGLESv2.so.2": "libgles2",
    "libGL.so.1": "libgl1",
    "libgthread-2.0.so.0": "libglib2.0-0",
}
"""System libraries that MediaPipe (the first two) and OpenCV are linked to, and their Debian packages."""


def environment(extra: str, more: tuple[str, ...] = ()) -> Path:
    """Create or update a virtual environment with ``idseg[extra]`` and ``more``; return the path of its python."""
    if not (3, 10) <= sys.version_info[:2] <= (3, 14):
        raise SystemExit(
            f"idseg needs Python 3.10 to 3.14, this is {sys.version.split()[0]}; run it with another python3"
        )
    system_libraries()
    folder = ROOT / f".venv-{extra}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / "installed"
    wanted = hashlib.sha256(
        (ROOT / "pyproject.toml").read_bytes() + " ".join((sys.version, *more)).encode()
    ).hexdigest()
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"Setting up {folder.name} (once; about a minute) …", flush=True)
    if subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)]).returncode != 0:
        raise SystemExit("making a virtual environment failed; on Debian or Ubuntu: apt-get install -y python3-venv")
    # One call, so that pip resolves all requirements together.
    install = [
        str(python),
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "-e",
        f"{ROOT}[{extra}]",
        *more,
    ]
    if subprocess.run(install).returncode != 0:
        raise SystemExit("the installation failed; see pip's messages above. Is the package index reachable?")
    stamp.write_text(wanted)
    return python


def system_libraries() -> None:
    """Check the system libraries that slim systems lack: install them if possible, else exit with the command."""
    if not sys.platform.startswith("linux"):
        return
    missing = [package for library, package in _LIBRARIES.items() if not _loads(library)]
    if not missing:
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"Installing {' '.join(missing)} (MediaPipe and OpenCV need it) …", flush=True)
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        if subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 0:
            return
    raise SystemExit(f"MediaPipe and OpenCV need {' and '.join(missing)}; run: sudo {' '.join(command)}")


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True

"""MediaPipe sends no usage report, also where seccomp cannot confine it (macOS, Windows)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROBE = Path(__file__).with_name("report_probe.py")
TOOLS = ("unshare", "ip", "mount", "openssl")


def report(folder: Path, certificates: str) -> str:
    """What the maker's server, played by the probe, received."""
    command = ["unshare", "--mount", "--net", sys.executable, str(PROBE), str(folder), certificates]
    environment = {**os.environ, "PYTHONPATH": str(PROBE.parent.parent.parent)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


@pytest.fixture
def maker(tmp_path: Path) -> Path:
    """A folder with a certificate for the maker's host that nobody but the test trusts."""
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing or not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip(f"needs root on Linux and {', '.join(missing) or 'nothing else'}: a network of its own")
    if subprocess.run(["unshare", "--mount", "--net", "true"], capture_output=True).returncode != 0:
        pytest.skip("this system lets nobody make a network of its own")
    name = "/CN=play.googleapis.com"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", name]
    command += ["-addext", "subjectAltName=DNS:play.googleapis.com"]
    command += ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    subprocess.run(command, check=True, capture_output=True)
    return tmp_path


def test_a_server_that_mediapipe_trusts_gets_a_report(maker: Path) -> None:
    assert report(maker, str(maker / "cert.pem")).startswith("report of ")


def test_with_idsegs_list_of_authorities_no_report_is_sent(maker: Path) -> None:
    assert report(maker, "idseg") == "refused"

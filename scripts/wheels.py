"""Check that all dependencies have wheels: a table per extra, with a row per Python and a column per platform.

    python -m scripts.wheels [--json FILE]

``uv pip compile`` (``pip install uv``) resolves the dependencies of idseg and of each extra from wheels only, for every
supported platform and Python. uv evaluates environment markers for the target platform; pip's ``--platform`` evaluates
them for the machine it runs on. Nothing is installed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts._setup import ROOT

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
PLATFORMS = {
    "Linux x86-64": "x86_64-manylinux_2_28",
    "Linux arm64": "aarch64-manylinux_2_28",
    "macOS arm64": "aarch64-apple-darwin",
    "Windows x86-64": "x86_64-pc-windows-msvc",
}
"""Our name of each platform → uv's name. ``manylinux_2_28``: glibc 2.28 or newer (Debian 10, RHEL 8, Ubuntu 20.04)."""
EXTRAS = ("", "server", "https", "ray")
MACOS = "14.0"
"""Oldest macOS version to resolve for; onnxruntime's wheels for Python 3.14 need it."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """Result of one resolution."""

    extra: str
    python: str
    platform: str
    packages: tuple[str, ...]
    """``name==version``; empty if no set of wheels fits."""
    reason: str
    """uv's message if no set of wheels fits."""


def resolve(extra: str, python: str, platform: str) -> Resolved:
    """Resolve ``idseg[extra]`` for one Python and one of ``PLATFORMS``."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
    command += ["--only-binary", ":all:", "--python-version", python, "--python-platform", PLATFORMS[platform]]
    command += ["--extra", extra] if extra else []
    done = subprocess.run(
        [*command, str(ROOT / "pyproject.toml")],
        capture_output=True,
        text=True,
        env=_environment(),
        check=False,
    )
    if done.returncode == 0:
        return Resolved(extra, python, platform, tuple(done.stdout.split()), "")
    reason = " ".join(done.stderr.split())
    if "No module named uv" in reason:
        raise SystemExit("scripts.wheels needs uv: pip install uv")
    return Resolved(extra, python, platform, (), reason)


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "MACOSX_DEPLOYMENT_TARGET": MACOS}


def table(outcomes: tuple[Resolved, ...]) -> Iterator[str]:
    """Markdown lines: a row per Python, a column per platform; each cell is the number of packages, or "none"."""
    for extra in dict.fromkeys(outcome.extra for outcome in outcomes):
        yield f"**{f'idseg[{extra}]' if extra else 'idseg'}**"
        yield ""
        yield f"| Python | {' | '.join(PLATFORMS)} |"
        yield f"|---|{'---|' * len(PLATFORMS)}"
        for python in PYTHONS:
            row = [o for o in outcomes if (o.extra, o.python) == (extra, python)]
            cells = (f"{len(o.packages)} wheels" if o.packages else "none" for o in row)
            yield f"| {python} | {' | '.join(cells)} |"
        yield ""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", type=Path, help="also write every package and every reason to this file")
    arguments = parser.parse_args()
    outcomes = []
    for extra in EXTRAS:
        for python in PYTHONS:
            for platform in PLATFORMS:
                outcome = resolve(extra, python, platform)
                outcomes.append(outcome)
                name = f"idseg[{extra}]" if extra else "idseg"
                said = f"{len(outcome.packages)} wheels" if outcome.packages else f"none: {outcome.reason}"
                print(f"{name}, Python {python}, {platform}: {said}", file=sys.stderr, flush=True)
    print("\n".join(table(tuple(outcomes))))
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1) + "\n")
    return 0 if all(outcome.packages for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())

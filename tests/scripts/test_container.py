"""The container: its steps can be read, its packages are all there, and idseg runs without those left out."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.container import parse

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCRIPTS = Path(__file__).resolve().parent.parent.parent / "scripts"
LEAN = (SCRIPTS / "lean.txt").read_text(encoding="utf-8")
LEFT_OUT = ("absl", "flatbuffers", "llvmlite", "matplotlib", "numba", "pymatting", "scipy", "sounddevice")
"""Packages that ``scripts/lean.txt`` leaves out, by the names that they are imported by."""


def names(requirements: list[str]) -> set[str]:
    """Normalised names of requirement lines (PEP 503)."""
    found = (re.match(r"[A-Za-z0-9._-]+", line) for line in requirements)
    return {re.sub(r"[-_.]+", "-", match[0]).lower() for match in found if match}


def lean() -> set[str]:
    return names([line for line in LEAN.splitlines() if line and not line.startswith("#")])


def test_every_dependency_is_in_the_lean_list_or_named_as_left_out() -> None:
    project = tomllib.loads((SCRIPTS.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["server"]]
    wanted = names([line for line in asked if "python_version <" not in line])
    comments = "\n".join(line for line in LEAN.splitlines() if line.startswith("#"))
    missing = {name for name in wanted - lean() if name not in comments}
    assert not missing, f"neither listed nor named as left out in scripts/lean.txt: {missing}"


def test_the_lean_list_is_sorted_in_its_two_parts_and_has_one_opencv() -> None:
    assert "opencv-python-headless" in lean()
    assert not lean() & {"opencv-contrib-python", "opencv-python", "matplotlib", "scipy"}


@pytest.mark.weights
def test_idseg_runs_without_what_the_lean_list_leaves_out() -> None:
    code = f"""
import sys
for name in {LEFT_OUT}:
    sys.modules[name] = None
import numpy as np
from pathlib import Path
import cv2, idseg
from importlib.util import find_spec
astronaut = Path(find_spec("skimage").origin).parent / "data" / "astronaut.png"
rgb = np.ascontiguousarray(cv2.imread(str(astronaut))[..., ::-1])
print(idseg.segment(rgb).person.face_score > 0.5)
import idseg.server.app
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=SCRIPTS.parent)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "True"


def test_the_dockerfile_is_read() -> None:
    build, last = parse((SCRIPTS / "Dockerfile").read_text(encoding="utf-8"))
    assert build.name == "build"
    assert last.base == "debian:trixie-slim"
    instructions = dict(last.steps)
    assert instructions["USER"] == "idseg"
    assert "readyz" in instructions["HEALTHCHECK"]
    for instruction, rest in build.steps:
        if instruction == "COPY":
            *origins, _ = rest.split()
            assert all((SCRIPTS.parent / origin).exists() for origin in origins)


def test_a_line_that_goes_on_is_one_step() -> None:
    (stage,) = parse("# a comment\nFROM debian:trixie-slim\nRUN one && \\\n    two\n")
    assert stage.steps == (("RUN", "one && two"),)

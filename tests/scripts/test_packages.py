"""Every extra is tried by ``scripts/packages.py``; what the wheel and the sdist are made of is there."""

from __future__ import annotations

import sys

from scripts._setup import ROOT
from scripts.packages import USES

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def test_every_extra_is_tried() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(USES) == {"", *project["project"]["optional-dependencies"]}


def test_the_packages_hold_the_weights_and_the_page() -> None:
    targets = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    assert targets["wheel"]["force-include"] == {"models": "idseg/_models"}
    for name in targets["sdist"]["include"]:
        assert (ROOT / name.lstrip("/")).exists(), name

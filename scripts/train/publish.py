"""Copies the exported files into models/ and rewrites their blocks of the manifest."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import NamedTuple

from idseg.types import Levels


class Section(NamedTuple):
    """The part of the manifest that one program writes."""

    title: str
    program: str

    @property
    def begin(self) -> str:
        return f"# --- {self.title}: written by scripts.train.{self.program} publish ---"

    @property
    def end(self) -> str:
        return f"# --- end of {self.title} ---"


NETS = Section("our matting nets", "accelerator")
GLANCE = Section("our glance net", "glance")

_BLOCK = """[[model]]
name = "{name}"
task = "{task}"
file = "{name}.onnx"
sha256 = "{sha256}"
bytes = {bytes}
source = "{source}"
licence = "Apache-2.0"
input = {{ {input} }}
output = {{ {output}, activation = "none" }}
"""
_SCALED = ", mean = [123.675, 116.28, 103.53], std = [58.395, 57.12, 57.375]"
_LEVELS = ", levels = [{levels.scale!r}, {levels.zero}]"
_PICTURE = 'name = "rgb", fit = "area", size = [{size[0]}, {size[1]}], multiple = 32' + _SCALED
_COARSE = {
    "task": "matting",
    "input": _PICTURE + ', second_look = "portrait-glance", enlarged = [0.5, 0.8], closer = [0.8, 1.3]',
    "output": 'name = "alpha", features = "features"',
}
_GLANCE = {"task": "matting", "input": _PICTURE, "output": 'name = "alpha"'}
_REFINED = 'rgb = "rgb", coarse = "coarse", features = "features", multiple = 16' + _SCALED
_DETAIL = {"task": "refine", "input": _REFINED, "output": 'name = "alpha"'}
_EDGE = {
    "task": "matting-edge",
    "input": 'rgb = "rgb", deep = "deep", early = "early"' + _SCALED,
    "output": 'name = "alpha", features = "features", channels = 24' + _LEVELS,
}
_COLOURS = {"task": "colours", "input": 'name = "evidence"', "output": 'name = "change"'}
_NETS = {
    "portrait-coarse": _COARSE,
    "portrait-coarse-int8": _COARSE | {"output": 'guess = "guess", edge = "portrait-edge-int8"'},
    "portrait-edge-int8": _EDGE,
    "portrait-glance": _GLANCE,
    "portrait-detail": _DETAIL,
    "portrait-detail-int8": _DETAIL | {"input": _REFINED + _LEVELS},
    "portrait-colours-low": _COLOURS,
    "portrait-colours": _COLOURS,
}

Size = tuple[int, int]


class Described(NamedTuple):
    """What the blocks tell of the nets' inputs."""

    size: Size = (0, 0)
    """Of the usual input of the coarse net and the glance net."""
    levels: Levels | None = None
    """Of the features between the nets in 8-bit integers; None if none of them is written."""


def publish(
    section: Section, runs: Path, models: Path, facts: dict[str, tuple[int, str]], source: str, told: Described
) -> None:
    """Copy ``runs/NAME.onnx`` of every name in ``facts`` (bytes, sha256) and describe them in models/manifest.toml."""
    blocks = []
    for name, (length, sha256) in facts.items():
        shutil.copyfile(runs / f"{name}.onnx", models / f"{name}.onnx")
        net = {key: text.format(size=told.size, levels=told.levels) for key, text in _NETS[name].items()}
        blocks.append(_BLOCK.format(name=name, bytes=length, sha256=sha256, source=source, **net))
    written = "\n".join((section.begin, "", *blocks, section.end)) + "\n"
    manifest = models / "manifest.toml"
    text = manifest.read_text(encoding="utf-8")
    pattern = re.compile(re.escape(section.begin) + ".*?" + re.escape(section.end) + "\n", re.DOTALL)
    text = pattern.sub(lambda _: written, text) if section.begin in text else text.rstrip("\n") + "\n\n" + written
    beside = manifest.with_suffix(".part")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, manifest)

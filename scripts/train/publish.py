"""Copies the exported files into models/ and rewrites their blocks of the manifest."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

BEGIN = "# --- our matting nets: written by scripts.train.accelerator publish ---"
END = "# --- end of our matting nets ---"

_COARSE = """[[model]]
name = "{name}"
task = "matting"
file = "{name}.onnx"
sha256 = "{sha256}"
bytes = {bytes}
source = "{source}"
licence = "Apache-2.0"
input = {{ name = "rgb", fit = "area", size = [{width}, {height}], multiple = 32, mean = [123.675, 116.28, 103.53], \
std = [58.395, 57.12, 57.375], second_look = true }}
output = {{ name = "alpha", features = "features", activation = "none" }}
"""
_DETAIL = """[[model]]
name = "{name}"
task = "refine"
file = "{name}.onnx"
sha256 = "{sha256}"
bytes = {bytes}
source = "{source}"
licence = "Apache-2.0"
input = {{ rgb = "rgb", coarse = "coarse", features = "features", multiple = 16, mean = [123.675, 116.28, 103.53], \
std = [58.395, 57.12, 57.375] }}
output = {{ name = "alpha", activation = "none" }}
"""
_BLOCKS = {"portrait-coarse": _COARSE, "portrait-coarse-int8": _COARSE, "portrait-detail": _DETAIL}


def publish(runs: Path, models: Path, facts: dict[str, tuple[int, str]], source: str, size: tuple[int, int]) -> None:
    """Copy ``runs/NAME.onnx`` of every name in ``facts`` (bytes, sha256) and describe them in models/manifest.toml."""
    blocks = []
    for name, (length, sha256) in facts.items():
        shutil.copyfile(runs / f"{name}.onnx", models / f"{name}.onnx")
        block = _BLOCKS[name].format(
            name=name, bytes=length, sha256=sha256, source=source, width=size[0], height=size[1]
        )
        blocks.append(block)
    section = "\n".join((BEGIN, "", *blocks, END)) + "\n"
    manifest = models / "manifest.toml"
    text = manifest.read_text(encoding="utf-8")
    pattern = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END) + "\n", re.DOTALL)
    text = pattern.sub(lambda _: section, text) if BEGIN in text else text.rstrip("\n") + "\n\n" + section
    beside = manifest.with_suffix(".part")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, manifest)

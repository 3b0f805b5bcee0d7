"""A manifest block for nets of one node, and pictures for them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from idseg.models.manifest import Manifest, ModelEntry


def red_picture(red: int, width: int = 60, height: int = 80) -> npt.NDArray[np.uint8]:
    return np.full((height, width, 3), (red, 7, 9), np.uint8)


def entry(path: Path, **changed: object) -> ModelEntry:
    content = path.read_bytes()
    tables: dict[str, object] = {
        "name": "rgb",
        "fit": "area",
        "size": [64, 96],
        "multiple": 32,
        "mean": [0.0, 0.0, 0.0],
        "std": 255.0,
        "activation": "none",
        "result": "alpha",
    }
    tables |= changed
    output = {"activation": tables.pop("activation"), "name": tables.pop("result")}
    return ModelEntry(
        "tiny", "matting", path, hashlib.sha256(content).hexdigest(), len(content), "test", "CC0", tables, output
    )


def tiny_manifest(path: Path, **changed: object) -> Manifest:
    return Manifest(path.parent, (entry(path, **changed),))

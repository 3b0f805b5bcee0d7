"""The published ONNX files back as weights of the torch nets, so that a training can start from them.

The checkpoints of a training are large and may be gone; the files in ``models/`` are always there. Their weights are
those of the nets, rounded to float16 where they are stored so.
"""

# torch and onnx are not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from onnx import numpy_helper

_HALF = "_half"
"""What ``export.halve_weights`` appends to the name of a weight that it stores as float16."""
_WRAPPER = "net."
"""The exported modules hold the net under this name."""
_FILES = {"coarse": "portrait-coarse.onnx", "detail": "portrait-detail.onnx"}


def published_weights(models: Path) -> dict[str, torch.Tensor]:
    """Float32 weights of the nets in a folder, as :func:`scripts.train.joint.pair_of` takes them.

    The names are those of the torch nets behind ``coarse.`` and ``detail.``; there are none of the detail net where its
    file is missing.
    """
    found: dict[str, torch.Tensor] = {}
    for part, name in _FILES.items():
        path = models / name
        if part == "coarse" or path.exists():
            found |= {f"{part}.{name}": value for name, value in stored_weights(path).items()}
    return found


def stored_weights(path: Path) -> dict[str, torch.Tensor]:
    """The weights in an exported float file, under the names that they have in the torch net."""
    weights = {}
    for tensor in onnx.load(str(path)).graph.initializer:
        name = tensor.name.removesuffix(_HALF)
        if name.startswith(_WRAPPER):
            values = numpy_helper.to_array(tensor).astype("float32")
            weights[name.removeprefix(_WRAPPER)] = torch.from_numpy(values)
    return weights

"""Converts the published ONNX files to weights of the torch nets, so that a training can start from them.

This needs no checkpoints of the original training. The weights equal those of the nets, except for the rounding of
weights that are stored as float16.
"""

# torch and onnx are not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from onnx import numpy_helper

from scripts.train.detail import from_refiner

_HALF = "_half"
"""Suffix that ``export.halve_weights`` adds to the name of a float16 weight."""
_WRAPPER = "net."
"""Name prefix of the net inside an exported module."""


def published_weights(models: Path) -> dict[str, torch.Tensor]:
    """Float32 weights of the nets in a folder, in the form that :func:`scripts.train.joint.pair_of` takes.

    The names are those of the torch nets with the prefix ``coarse.`` or ``detail.``. If the detail net's file is
    missing, the weights are those of an untrained detail net with the refiner's body.
    """
    detail = models / "portrait-detail.onnx"
    if detail.exists():
        weights = stored_weights(detail)
    else:
        weights = from_refiner(convolution_weights(models / "portrait-refine.onnx")).state_dict()
    parts = {"coarse": stored_weights(models / "portrait-coarse.onnx"), "detail": weights}
    return {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}


def stored_weights(path: Path) -> dict[str, torch.Tensor]:
    """The weights in an exported float file, with their names in the torch net."""
    weights = {}
    for tensor in onnx.load(str(path)).graph.initializer:
        name = tensor.name.removesuffix(_HALF)
        if name.startswith(_WRAPPER):
            values = numpy_helper.to_array(tensor).astype("float32")
            weights[name.removeprefix(_WRAPPER)] = torch.from_numpy(values)
    return weights


def convolution_weights(path: Path) -> dict[str, torch.Tensor]:
    """The weights and biases of all convolutions of an exported float file, with the convolutions' names in the net.

    Unlike :func:`stored_weights`, it also finds those of convolutions with which the export merged a batch norm: they
    lose their names in the file, but their nodes keep them ("/net/up4/up4.1/up4.1.0/Conv" is "up4.1.0").
    """
    graph = onnx.load(str(path)).graph
    stored = {tensor.name.removesuffix(_HALF): tensor for tensor in graph.initializer}
    weights = {}
    for node in graph.node:
        if node.op_type == "Conv":
            name = node.name.split("/")[-2]
            for kind, source in zip(("weight", "bias"), node.input[1:], strict=True):
                values = numpy_helper.to_array(stored[source]).astype("float32")
                weights[f"{name}.{kind}"] = torch.from_numpy(values)
    return weights

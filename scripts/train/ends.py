"""Cuts the coarse net in 8-bit integers in two, so that its last and dearest part runs only where it is needed.

The layers at stride 2 take two fifths of the time, but away from the person's edge they find nothing new. So the
first file ends at stride 4, with a **guess**: the matte at half size, by one linear 3x3 convolution of the features
there. The second file continues from the first one's outputs, on tiles in which the guess is not certain
(`idseg.models.edge`). The idea is PointRend's: compute finer where it is uncertain (Kirillov et al. 2020, section 3.1).
"""

# torch and onnx are not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn import functional

from idseg.types import Levels
from scripts.train.graph import showing
from scripts.train.quantize import Feeds, quantize

DEEP, EARLY = "/deeper.2/Add_output_0", "/encoder/_blocks.0/_project_conv/Conv_output_0"
"""The values from which the second part continues: the decoder's features at stride 4, the encoder's at stride 2."""
_QUANTIZED = "_QuantizeLinear_Output"
"""ONNX Runtime's suffix of a value's name after quantisation."""
_EPOCHS = 6
_RATE = 0.01
_UNSURE = (0.02, 0.98)
_WEIGHT = 4.0
"""Additional weight of uncertain pixels."""


def write(source: Path, first: Path, second: Path, samples: Sequence[Feeds]) -> None:
    """Write both parts of a coarse net in 8-bit integers.

    Args:
        source: the float net.
        first: the file that ends with the guess.
        second: the file that continues from there.
        samples: inputs that give the activations' ranges and the guess.
    """
    model = onnx.load(str(source))
    with tempfile.TemporaryDirectory() as folder:
        guessing, whole = Path(folder) / "guessing.onnx", Path(folder) / "whole.onnx"
        onnx.save(with_guess(model, fit_guess(model, samples)), str(guessing))
        quantize(guessing, whole, iter(samples))
        for part, path in zip(cut(onnx.load(str(whole))), (first, second), strict=True):
            beside = path.with_suffix(".part")
            onnx.save(part, str(beside))
            beside.replace(path)


def fit_guess(model: onnx.ModelProto, samples: Iterable[Feeds]) -> nn.Conv2d:
    """The convolution of the decoder's features at stride 4 whose logits, four for each place, are closest to the net's
    own matte at half size."""
    session = showing(model, [DEEP])
    seen = []
    for sample in samples:
        features, alpha = (torch.from_numpy(found) for found in session.run([DEEP, "alpha"], dict(sample)))
        unsure = ((alpha > _UNSURE[0]) & (alpha < _UNSURE[1])).float()
        seen.append((features, functional.avg_pool2d(alpha, 2), 1.0 + _WEIGHT * functional.max_pool2d(unsure, 2)))
    torch.manual_seed(0)
    guess = nn.Conv2d(seen[0][0].shape[1], 4, 3, padding=1)
    optimizer = torch.optim.Adam(guess.parameters(), _RATE)
    for epoch in range(_EPOCHS):
        for group in optimizer.param_groups:
            group["lr"] = _RATE * (1.0 - epoch / _EPOCHS)
        for features, goal, weight in seen:
            logits = functional.pixel_shuffle(guess(features), 2)
            loss = (weight * functional.binary_cross_entropy_with_logits(logits, goal, reduction="none")).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return guess


def with_guess(model: onnx.ModelProto, guess: nn.Conv2d) -> onnx.ModelProto:
    """Add the guess to the net's outputs, in place."""
    graph = model.graph
    for name, value in (("weight", guess.weight), ("bias", guess.bias)):
        assert value is not None
        graph.initializer.append(numpy_helper.from_array(value.detach().numpy(), f"guess.{name}"))
    inputs = [DEEP, "guess.weight", "guess.bias"]
    convolved, spread, alpha = ["/guess/Conv_output"], ["/guess/map"], ["guess"]
    nodes = [
        helper.make_node("Conv", inputs, convolved, name="/guess/Conv", kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("DepthToSpace", convolved, spread, name="/guess/map", blocksize=2, mode="CRD"),
        helper.make_node("Sigmoid", spread, alpha, name="/Sigmoid/guess"),
    ]
    graph.node.extend(nodes)
    graph.output.append(helper.make_tensor_value_info("guess", TensorProto.FLOAT, ["batch", 1, None, None]))
    return model


def cut(model: onnx.ModelProto) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """Both parts of the quantised net with a guess: ``rgb`` to ``guess``, ``deep`` and ``early``; and ``rgb``, ``deep``
    and ``early`` of a tile to its ``alpha`` and ``features``."""
    _rename(model, {f"{DEEP}{_QUANTIZED}": "deep", f"{EARLY}{_QUANTIZED}": "early"})
    known = {value.name: value for value in (*model.graph.input, *model.graph.output)}
    bytes_between = [
        helper.make_tensor_value_info(name, TensorProto.UINT8, ["batch", channels, None, None])
        for name, channels in (("deep", 40), ("early", 16))
    ]
    first = _part(model, [known["rgb"]], [known["guess"], *bytes_between])
    second = _part(model, [known["rgb"], *bytes_between], [known["alpha"], known["features"]])
    return first, features_as_bytes(second)


def features_as_bytes(second: onnx.ModelProto) -> onnx.ModelProto:
    """Let the second part's output ``features`` be the bytes of the quantised features, in place. As floats they take
    four times the memory, and a refiner in 8-bit integers would convert them back."""
    _rename(second, {"features": "features_float", f"features{_QUANTIZED}": "features"})
    channels = second.graph.output[1].type.tensor_type.shape.dim[1].dim_value
    second.graph.output[1].CopyFrom(_half_size_bytes("features", channels))
    onnx.checker.check_model(second)
    return second


def levels_of(second: onnx.ModelProto) -> Levels:
    """What the bytes of :func:`features_as_bytes` stand for."""
    return Levels(*(value.item() for value in _parameters(second).values()))


def from_bytes(detail: onnx.ModelProto, levels: Levels) -> onnx.ModelProto:
    """Let the quantised detail net take the features as bytes with these levels, in place."""
    graph = detail.graph
    for node in [node for node in graph.node if node.op_type == "QuantizeLinear" and node.input[0] == "features"]:
        graph.node.remove(node)
    given = next(value for value in graph.input if value.name == "features")
    given.CopyFrom(_half_size_bytes("features", given.type.tensor_type.shape.dim[1].dim_value))
    for (name, old), new in zip(_parameters(detail).items(), levels, strict=True):
        weight = next(tensor for tensor in graph.initializer if tensor.name == name)
        weight.CopyFrom(numpy_helper.from_array(np.array(new, old.dtype), name))
    _rename(detail, {f"features{_QUANTIZED}": "features"})
    onnx.checker.check_model(detail)
    return detail


def _parameters(model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    """Scale and zero point of the features, by their names in the file."""
    names = ("features_scale", "features_zero_point")
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    return {name: stored[name] for name in names}


def _half_size_bytes(name: str, channels: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.UINT8, ["n", channels, "half_height", "half_width"])


def _rename(model: onnx.ModelProto, names: Mapping[str, str]) -> None:
    """Change names of values inside the graph, in place."""
    for node in model.graph.node:
        for values in (node.input, node.output):
            for number, name in enumerate(values):
                values[number] = names.get(name, name)


def _part(model: onnx.ModelProto, inputs: Sequence[Any], outputs: Sequence[Any]) -> onnx.ModelProto:
    """The nodes between inputs and outputs, with their weights."""
    given = {value.name for value in inputs}
    wanted, nodes = {value.name for value in outputs}, []
    for node in reversed(model.graph.node):
        made = wanted.intersection(node.output) - given
        if made:
            nodes.append(node)
            wanted.update(name for name in node.input if name not in given)
    weights = [tensor for tensor in model.graph.initializer if tensor.name in wanted]
    graph = helper.make_graph(nodes[::-1], "part", inputs, outputs, weights)
    part = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    helper.set_model_props(part, {prop.key: prop.value for prop in model.metadata_props})
    onnx.checker.check_model(part)
    return part

"""Gives the tensors that a net joins equal ranges, so that it loses less in 8-bit integers.

The decoder joins its own features with the encoder's, whose values are three to eight times as large. A joined tensor
has one scale, so the decoder's features would get only some of the 256 levels. Here the encoder's features are divided
by that factor, and the weights that they meet are multiplied by it; the outputs stay the same. With a factor of its own
for each channel (Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", section
4.1) the error was a sixth larger, because the weights then differ more.
"""

# onnx is not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from scripts.train.graph import Graph, groups, kernel, showing

Ranges: TypeAlias = dict[str, float]
"""Name of a value → its largest absolute value."""


def balance(model: onnx.ModelProto, samples: Sequence[Mapping[str, NDArray[Any]]]) -> onnx.ModelProto:
    """Scale the weights in place and return the model.

    Args:
        model: its weights are all stored, as ONNX Runtime's basic optimisation leaves them.
        samples: inputs that give the ranges.
    """
    graph = _Weights(model)
    joins = [node for node in graph.graph.node if node.op_type == "Concat" and len(graph.users(node.output[0])) == 1]
    joins = [node for node in joins if graph.users(node.output[0])[0].op_type == "Conv"]
    ranges = measured(model, [name for node in joins for name in node.input], samples)
    for join in joins:
        for name in join.input[1:]:
            graph.rescale(join, name, ranges[join.input[0]] / ranges[name])
    onnx.checker.check_model(model)
    return model


def measured(model: onnx.ModelProto, names: Sequence[str], samples: Sequence[Mapping[str, NDArray[Any]]]) -> Ranges:
    """The ranges of some values of the net with the samples."""
    session = showing(model, names)
    ranges = dict.fromkeys(names, 0.0)
    for sample in samples:
        for name, value in zip(names, session.run(list(names), dict(sample)), strict=True):
            ranges[name] = max(ranges[name], float(np.abs(value).max()))
    return ranges


class _Weights(Graph):
    """A graph whose weights are being scaled."""

    def __init__(self, model: onnx.ModelProto) -> None:
        super().__init__(model)
        self._tensors = {tensor.name: tensor for tensor in self.graph.initializer}

    def rescale(self, join: onnx.NodeProto, name: str, factor: float) -> None:
        """Multiply an input of a Concat by the factor, if it comes from 1x1 convolutions, and correct its users."""
        values = self.added_together(name)
        makers = [self.maker(value) for value in values]
        sources = [maker for maker in makers if maker is not None and maker.op_type != "Add"]
        users = [user for value in values for user in self.users(value) if user.op_type != "Add" and user is not join]
        if None in makers or any(kernel(node) != [1, 1] or groups(node) != 1 for node in (*sources, *users)):
            return
        for source in sources:
            for weight in source.input[1:]:
                self._multiply(weight, np.float32(factor))
        for user in users:
            self._multiply(user.input[1], np.float32(1 / factor))
        (after,) = self.users(join.output[0])
        widths = [self.channels[each] for each in join.input]
        place = list(join.input).index(name)
        by = np.ones(sum(widths), np.float32)
        by[sum(widths[:place]) : sum(widths[: place + 1])] = 1 / factor
        self._multiply(after.input[1], by.reshape((-1, 1, 1, 1) if groups(after) > 1 else (1, -1, 1, 1)))

    def _multiply(self, weight: str, factor: Any) -> None:
        tensor = self._tensors[weight]
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * factor, weight))

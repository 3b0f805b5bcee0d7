"""Finds and replaces nodes of an ONNX graph; for ``layout``, ``balance`` and ``ends``."""

# onnx is not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper


class Graph:
    """The graph of a model, which is changed in place."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.graph = model.graph
        shapes = onnx.shape_inference.infer_shapes(model).graph
        self.channels = {
            value.name: value.type.tensor_type.shape.dim[1].dim_value
            for value in (*shapes.value_info, *shapes.input, *shapes.output)
            if len(value.type.tensor_type.shape.dim) == 4
        }

    def added_together(self, value: str) -> list[str]:
        """The values that are inputs or outputs of the same additions, directly or through others."""
        found = [value]
        for name in found:
            adds = [node for node in (self.maker(name), *self.users(name)) if node is not None]
            for add in adds:
                if add.op_type == "Add":
                    found += [other for other in (*add.input, *add.output) if other not in found]
        return found

    def pad_weights(self, conv: onnx.NodeProto, numbers: Iterable[int], extra: int, axis: int) -> None:
        """Append ``extra`` zeros along an axis of some of the convolution's inputs: weights, or a bias."""
        new = []
        for number in numbers:
            name, axes = conv.input[number], 1 if number == 2 else 4
            sides = np.zeros(2 * axes, np.int64)
            sides[axes + axis] = extra
            pads = self.stored(f"layout/more{axes}{axis}{extra}", sides)
            new.append(helper.make_node("Pad", [name, pads], [f"{name}/filled{axis}"], f"{name}/filled{axis}"))
            conv.input[number] = f"{name}/filled{axis}"
        kept = onnx.NodeProto.FromString(conv.SerializeToString())
        self.replace([conv], [*new, kept])

    def part(self, nodes: list[onnx.NodeProto], weight: str, start: int, end: int, axis: int = 0) -> str:
        """The name of a part of a weight; the node that makes it is added to ``nodes``."""
        name = f"{weight}/{start}"
        bounds = [self.stored(f"layout/{value}", np.array([value], np.int64)) for value in (start, end, axis)]
        nodes.append(helper.make_node("Slice", [weight, *bounds], [name], name=name))
        return name

    def stored(self, name: str, value: Any) -> str:
        if all(tensor.name != name for tensor in self.graph.initializer):
            self.graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def chain(self, node: onnx.NodeProto, kinds: tuple[str, ...]) -> list[onnx.NodeProto] | None:
        """The nodes of these kinds from ``node`` on, each the only user of the one before; None if there are none."""
        if node.op_type != kinds[0]:
            return None
        chain = [node]
        for kind in kinds[1:]:
            users = self.users(chain[-1].output[0])
            if len(users) != 1 or users[0].op_type != kind or users[0].input[0] != chain[-1].output[0]:
                return None
            chain.append(users[0])
        return chain

    def users(self, name: str) -> list[onnx.NodeProto]:
        return [node for node in self.graph.node if name in node.input]

    def maker(self, name: str) -> onnx.NodeProto | None:
        return next((node for node in self.graph.node if name in node.output), None)

    def replace(self, old: Iterable[onnx.NodeProto], new: list[onnx.NodeProto]) -> None:
        """Put ``new`` in the place of the last of ``old``."""
        outputs = [node.output[0] for node in old]
        nodes: list[onnx.NodeProto] = []
        for node in self.graph.node:
            if node.output[0] == outputs[-1]:
                nodes += new
            elif node.output[0] not in outputs:
                nodes.append(node)
        kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del self.graph.node[:]
        self.graph.node.extend(kept)


def showing(model: onnx.ModelProto, names: Iterable[str]) -> onnxruntime.InferenceSession:
    """A session of the model that can also return these inner values."""
    shown = onnx.ModelProto.FromString(model.SerializeToString())
    known = {output.name for output in shown.graph.output}
    shown.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in set(names) - known)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; it would warn of unused constants
    return onnxruntime.InferenceSession(shown.SerializeToString(), options, providers=["CPUExecutionProvider"])


def convolution(inputs: list[str], outputs: list[str], **attributes: Any) -> onnx.NodeProto:
    return helper.make_node("Conv", inputs, outputs, name=outputs[0], **attributes)


def clip(like: onnx.NodeProto, source: str, output: str) -> onnx.NodeProto:
    return helper.make_node("Clip", [source, *like.input[1:]], [output], output)


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def kernel(node: onnx.NodeProto) -> list[int] | None:
    return list(attributes(node)["kernel_shape"]) if node.op_type == "Conv" else None


def groups(node: onnx.NodeProto) -> int:
    return int(attributes(node).get("group", 1)) if node.op_type == "Conv" else 0

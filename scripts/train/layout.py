"""Rewrites exported nets into equal forms that ONNX Runtime runs faster on CPUs.

    python -m scripts.train.layout models/portrait-detail.onnx    # prints the manifest's values

``export`` and ``quantize`` call :func:`rewrite`. The weights keep their names and values: a part of a weight is a Slice
of it, which ONNX Runtime computes when it loads the file. A rewritten file stays as it is.
"""

# onnx is not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

_AT_ONCE = 32
"""Channels of an expansion that are computed together, a multiple of the 16 lanes of AVX-512."""
_GROUPED = 96
"""Maximum channels of an expansion that is computed in groups: the encoder's first one. The later ones have a quarter
of its pixels or less, and fit anyway."""


_NARROW = {1: 4, 2: 2, 4: 2}
"""Number of output channels of a narrow convolution → pixels in a row that it computes together, as channels."""


def rewrite(model: onnx.ModelProto) -> onnx.ModelProto:
    """Apply all rewrites in place and return the model."""
    graph = _Graph(model)
    graph.unfold_by_convolution()
    graph.split_joins()
    graph.group_expansions()
    graph.widen_outputs()
    onnx.checker.check_model(model)
    return model


class _Graph:
    """A graph that is being rewritten."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._graph = model.graph
        shapes = onnx.shape_inference.infer_shapes(model).graph
        self._channels = {
            value.name: value.type.tensor_type.shape.dim[1].dim_value
            for value in (*shapes.value_info, *shapes.input, *shapes.output)
            if len(value.type.tensor_type.shape.dim) == 4
        }

    def unfold_by_convolution(self) -> None:
        """A 2x2 fold of pixels into channels as a convolution with zeros and ones, instead of a slow transposition.

        The exporter writes ``nn.PixelUnshuffle(2)`` as Unsqueeze, Reshape, Reshape, Transpose, Reshape, Squeeze.
        """
        kinds = ("Unsqueeze", "Reshape", "Reshape", "Transpose", "Reshape", "Squeeze")
        for node in list(self._graph.node):
            chain = self._chain(node, kinds)
            if chain is None or not self._channels.get(node.input[0]):
                continue
            channels = self._channels[node.input[0]]
            ones = np.eye(4 * channels, dtype=np.float32).reshape(4 * channels, channels, 2, 2)
            weight = self._stored(f"{node.name}/ones", ones)
            inputs, outputs = [node.input[0], weight], list(chain[-1].output)
            self._replace(chain, [_conv(inputs, outputs, kernel_shape=[2, 2], strides=[2, 2])])

    def split_joins(self) -> None:
        """A 1x1 convolution of joined tensors as a sum of convolutions, which saves copying them into one."""
        for node in list(self._graph.node):
            join = self._maker(node.input[0]) if _kernel(node) == [1, 1] and _groups(node) == 1 else None
            if join is None or join.op_type != "Concat" or len(self._users(join.output[0])) > 1:
                continue
            widths = [self._channels.get(name, 0) for name in join.input]
            grouped = join.input[0].startswith(join.output[0])  # by group_expansions
            if grouped or not all(widths):
                continue
            new: list[onnx.NodeProto] = []
            total, start = "", 0
            for number, (name, width) in enumerate(zip(join.input, widths, strict=True)):
                part = self._slice(new, node.input[1], start, start + width, axis=1)
                found = node.output[0] + f"/part{number}"
                bias = [] if number else list(node.input[2:])
                new.append(_conv([name, part, *bias], [found], **_attributes(node)))
                if number:
                    both = node.output[0] if number == len(widths) - 1 else node.output[0] + f"/sum{number}"
                    new.append(helper.make_node("Add", [total, found], [both], name=both))
                    found = both
                total, start = found, start + width
            self._replace([join, node], new)

    def group_expansions(self) -> None:
        """An expansion (1x1 convolution, Clip, depthwise convolution at stride 2, Clip) in groups of channels.

        Between the convolutions a group of channels fits into the processor's cache, and less memory is needed.
        """
        for node in list(self._graph.node):
            chain = self._chain(node, ("Conv", "Clip", "Conv", "Clip"))
            if chain is None or _kernel(node) != [1, 1] or not _AT_ONCE < _groups(chain[2]) <= _GROUPED:
                continue
            _, first, depthwise, second = chain
            if _attributes(depthwise).get("strides") != [2, 2] or not self._is_float(node, depthwise):
                continue
            new: list[onnx.NodeProto] = []
            found = []
            channels = _groups(depthwise)
            for start in range(0, channels, _AT_ONCE):
                end = min(start + _AT_ONCE, channels)
                name = f"{second.output[0]}/{start}"
                weights = [self._slice(new, weight, start, end) for weight in node.input[1:]]
                new.append(_conv([node.input[0], *weights], [f"{name}/wide"], **_attributes(node)))
                new.append(_clip(first, f"{name}/wide", f"{name}/clipped"))
                weights = [self._slice(new, weight, start, end) for weight in depthwise.input[1:]]
                attributes = {**_attributes(depthwise), "group": end - start}
                new.append(_conv([f"{name}/clipped", *weights], [f"{name}/halved"], **attributes))
                new.append(_clip(second, f"{name}/halved", name))
                found.append(name)
            # Named like its output, so that quantize.py knows which block it belongs to.
            new.append(helper.make_node("Concat", found, list(second.output), second.output[0], axis=1))
            self._replace(chain, new)

    def widen_outputs(self) -> None:
        """A 3x3 convolution with a few output channels as a larger one at a stride, whose channels are pixels.

        ONNX Runtime computes at least 8 or 16 output channels, whatever their number. The net's sides must be multiples
        of 4 there; a 3x3 kernel that begins at pixel (a, b) of a square of pixels is the larger kernel's part.
        """
        for node in list(self._graph.node):
            if _kernel(node) != [3, 3] or _groups(node) != 1 or not self._is_float(node):
                continue
            attributes = _attributes(node)
            step = _NARROW.get(self._channels.get(node.output[0], 0), 0)
            if not step or attributes.get("strides", [1, 1]) != [1, 1] or attributes.get("pads") != [1, 1, 1, 1]:
                continue
            new: list[onnx.NodeProto] = []
            weights, name = [], f"{node.name}/wide"
            for a in range(step):
                for b in range(step):
                    part = f"{node.input[1]}/at{a}{b}"
                    sides = np.array([0, 0, a, b, 0, 0, step - 1 - a, step - 1 - b], np.int64)
                    pads = self._stored(f"layout/pads{step}{a}{b}", sides)
                    new.append(helper.make_node("Pad", [node.input[1], pads], [part], part))
                    weights.append(part)
            inputs = [node.input[0], f"{name}/weight"]
            new.append(helper.make_node("Concat", weights, inputs[1:], inputs[1], axis=0))
            if len(node.input) > 2:
                inputs.append(f"{name}/bias")
                bias = [node.input[2]] * step**2
                new.append(helper.make_node("Concat", bias, inputs[2:], inputs[2], axis=0))
            size = {"kernel_shape": [step + 2] * 2, "strides": [step] * 2}
            new.append(helper.make_node("Conv", inputs, [name], name, **(attributes | size)))
            new.append(helper.make_node("DepthToSpace", [name], list(node.output), node.output[0], blocksize=step))
            self._replace([node], new)

    def _is_float(self, *nodes: onnx.NodeProto) -> bool:
        """Whether the weights are stored, or cast from stored ones: those of a quantised convolution are neither."""
        stored = {tensor.name for tensor in self._graph.initializer}
        names = [name for node in nodes for name in node.input[1:]]
        makers = [self._maker(name) for name in names if name not in stored]
        return all(maker is not None and maker.op_type == "Cast" for maker in makers)

    def _slice(self, nodes: list[onnx.NodeProto], weight: str, start: int, end: int, axis: int = 0) -> str:
        """The name of a part of a weight; the node that makes it is added to ``nodes``."""
        name = f"{weight}/{start}"
        bounds = [self._stored(f"layout/{value}", np.array([value], np.int64)) for value in (start, end, axis)]
        nodes.append(helper.make_node("Slice", [weight, *bounds], [name], name=name))
        return name

    def _stored(self, name: str, value: Any) -> str:
        if all(tensor.name != name for tensor in self._graph.initializer):
            self._graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def _chain(self, node: onnx.NodeProto, kinds: tuple[str, ...]) -> list[onnx.NodeProto] | None:
        """The nodes of these kinds from ``node`` on, each the only user of the one before; None if there are none."""
        if node.op_type != kinds[0]:
            return None
        chain = [node]
        for kind in kinds[1:]:
            users = self._users(chain[-1].output[0])
            if len(users) != 1 or users[0].op_type != kind or users[0].input[0] != chain[-1].output[0]:
                return None
            chain.append(users[0])
        return chain

    def _users(self, name: str) -> list[onnx.NodeProto]:
        return [node for node in self._graph.node if name in node.input]

    def _maker(self, name: str) -> onnx.NodeProto | None:
        return next((node for node in self._graph.node if name in node.output), None)

    def _replace(self, old: Iterable[onnx.NodeProto], new: list[onnx.NodeProto]) -> None:
        """Put ``new`` in the place of the last of ``old``."""
        outputs = [node.output[0] for node in old]
        nodes: list[onnx.NodeProto] = []
        for node in self._graph.node:
            if node.output[0] == outputs[-1]:
                nodes += new
            elif node.output[0] not in outputs:
                nodes.append(node)
        kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del self._graph.node[:]
        self._graph.node.extend(kept)


def _conv(inputs: list[str], outputs: list[str], **attributes: Any) -> onnx.NodeProto:
    return helper.make_node("Conv", inputs, outputs, name=outputs[0], **attributes)


def _clip(like: onnx.NodeProto, source: str, output: str) -> onnx.NodeProto:
    return helper.make_node("Clip", [source, *like.input[1:]], [output], output)


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _kernel(node: onnx.NodeProto) -> list[int] | None:
    return list(_attributes(node)["kernel_shape"]) if node.op_type == "Conv" else None


def _groups(node: onnx.NodeProto) -> int:
    return int(_attributes(node).get("group", 1)) if node.op_type == "Conv" else 0


def main() -> None:
    from scripts.train.export import report

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="ONNX files to rewrite in place")
    for path in parser.parse_args().files:
        beside = path.with_suffix(".part")
        onnx.save(rewrite(onnx.load(str(path))), str(beside))
        beside.replace(path)
        report(path)


if __name__ == "__main__":
    main()

"""Rewrites exported nets into equal forms that ONNX Runtime runs faster on CPUs.

    python -m scripts.train.layout models/portrait-detail.onnx    # prints the manifest's values

``export`` and ``quantize`` call :func:`rewrite`. The weights keep their names and values: a part of a weight is a Slice
of it, which ONNX Runtime computes when it loads the file. A rewritten file stays as it is.
"""

# onnx is not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from scripts.train.graph import Graph, attributes, clip, convolution, groups, kernel

_AT_ONCE = 32
"""Channels of an expansion that are computed together, a multiple of the 16 lanes of AVX-512."""
_GROUPED = 96
"""Maximum channels of an expansion that is computed in groups: the encoder's first one. The later ones have a quarter
of its pixels or less, and fit anyway."""


_LANES = 16
"""ONNX Runtime's depthwise convolution of integers is two to three times slower per channel if their number is not a
multiple of this."""

_NARROW = {1: 4, 2: 2, 4: 2}
"""Number of output channels of a narrow convolution → pixels in a row that it computes together, as channels."""


def rewrite(model: onnx.ModelProto) -> onnx.ModelProto:
    """Apply all rewrites in place and return the model."""
    graph = _Layout(model)
    graph.unfold_by_convolution()
    graph.split_joins()
    graph.fill_joins()
    graph.group_expansions()
    graph.widen_outputs()
    onnx.checker.check_model(model)
    return model


class _Layout(Graph):
    """A graph that is being rewritten."""

    def unfold_by_convolution(self) -> None:
        """A 2x2 fold of pixels into channels as a convolution with zeros and ones, instead of a slow transposition.

        The exporter writes ``nn.PixelUnshuffle(2)`` as Unsqueeze, Reshape, Reshape, Transpose, Reshape, Squeeze.
        """
        kinds = ("Unsqueeze", "Reshape", "Reshape", "Transpose", "Reshape", "Squeeze")
        for node in list(self.graph.node):
            chain = self.chain(node, kinds)
            if chain is None or not self.channels.get(node.input[0]):
                continue
            channels = self.channels[node.input[0]]
            ones = np.eye(4 * channels, dtype=np.float32).reshape(4 * channels, channels, 2, 2)
            weight = self.stored(f"{node.name}/ones", ones)
            inputs, outputs = [node.input[0], weight], list(chain[-1].output)
            self.replace(chain, [convolution(inputs, outputs, kernel_shape=[2, 2], strides=[2, 2])])

    def split_joins(self) -> None:
        """A 1x1 convolution of joined tensors as a sum of convolutions, which saves copying them into one."""
        for node in list(self.graph.node):
            join = self.maker(node.input[0]) if kernel(node) == [1, 1] and groups(node) == 1 else None
            if join is None or join.op_type != "Concat" or len(self.users(join.output[0])) > 1:
                continue
            widths = [self.channels.get(name, 0) for name in join.input]
            grouped = join.input[0].startswith(join.output[0])  # by group_expansions
            if grouped or not all(widths):
                continue
            new: list[onnx.NodeProto] = []
            total, start = "", 0
            for number, (name, width) in enumerate(zip(join.input, widths, strict=True)):
                part = self.part(new, node.input[1], start, start + width, axis=1)
                found = node.output[0] + f"/part{number}"
                bias = [] if number else list(node.input[2:])
                new.append(convolution([name, part, *bias], [found], **attributes(node)))
                if number:
                    both = node.output[0] if number == len(widths) - 1 else node.output[0] + f"/sum{number}"
                    new.append(helper.make_node("Add", [total, found], [both], name=both))
                    found = both
                total, start = found, start + width
            self.replace([join, node], new)

    def fill_joins(self) -> None:
        """Add channels of zeros to the last of the joined tensors before a depthwise convolution, so that it has a
        multiple of :data:`_LANES` channels."""
        for node in list(self.graph.node):
            join = self.maker(node.input[0]) if groups(node) > 1 else None
            if join is None or join.op_type != "Concat" or groups(node) % _LANES == 0:
                continue
            extra = -groups(node) % _LANES
            values = self.added_together(join.input[-1])
            makers = [self.maker(value) for value in values]
            outwards = [user for value in values for user in self.users(value) if user.op_type != "Add"]
            inwards = [maker for maker in makers if maker is not None and maker.op_type != "Add"]
            after = self.users(node.output[0])
            while len(after) == 1 and after[0].op_type in ("Relu", "Clip"):
                after = self.users(after[0].output[0])
            followers = [user for user in (*outwards, *after) if user is not join]
            if None in makers or len(self.users(join.output[0])) > 1:
                continue
            if any(kernel(conv) != [1, 1] or groups(conv) != 1 for conv in (*inwards, *followers)):
                continue
            for conv in inwards:
                self.pad_weights(conv, range(1, len(conv.input)), extra, axis=0)
            for conv in followers:
                self.pad_weights(conv, [1], extra, axis=1)
            self.pad_weights(node, range(1, len(node.input)), extra, axis=0)
            wider = convolution(
                list(node.input), list(node.output), **{**attributes(node), "group": groups(node) + extra}
            )
            wider.name = node.name
            self.replace([node], [wider])

    def group_expansions(self) -> None:
        """An expansion (1x1 convolution, Clip, depthwise convolution at stride 2, Clip) in groups of channels.

        Between the convolutions a group of channels fits into the processor's cache, and less memory is needed.
        """
        for node in list(self.graph.node):
            chain = self.chain(node, ("Conv", "Clip", "Conv", "Clip"))
            if chain is None or kernel(node) != [1, 1] or not _AT_ONCE < groups(chain[2]) <= _GROUPED:
                continue
            _, first, depthwise, second = chain
            if attributes(depthwise).get("strides") != [2, 2] or not self._is_float(node, depthwise):
                continue
            new: list[onnx.NodeProto] = []
            found = []
            channels = groups(depthwise)
            for start in range(0, channels, _AT_ONCE):
                end = min(start + _AT_ONCE, channels)
                name = f"{second.output[0]}/{start}"
                weights = [self.part(new, weight, start, end) for weight in node.input[1:]]
                new.append(convolution([node.input[0], *weights], [f"{name}/wide"], **attributes(node)))
                new.append(clip(first, f"{name}/wide", f"{name}/clipped"))
                weights = [self.part(new, weight, start, end) for weight in depthwise.input[1:]]
                narrower = {**attributes(depthwise), "group": end - start}
                new.append(convolution([f"{name}/clipped", *weights], [f"{name}/halved"], **narrower))
                new.append(clip(second, f"{name}/halved", name))
                found.append(name)
            # Named like its output, so that quantize.py knows which block it belongs to.
            new.append(helper.make_node("Concat", found, list(second.output), second.output[0], axis=1))
            self.replace(chain, new)

    def widen_outputs(self) -> None:
        """A 3x3 convolution with a few output channels as a larger one at a stride, whose channels are pixels.

        ONNX Runtime computes at least 8 or 16 output channels, whatever their number. The net's sides must be multiples
        of 4 there; a 3x3 kernel that begins at pixel (a, b) of a square of pixels is the larger kernel's part.
        """
        for node in list(self.graph.node):
            if kernel(node) != [3, 3] or groups(node) != 1 or not self._is_float(node):
                continue
            given = attributes(node)
            step = _NARROW.get(self.channels.get(node.output[0], 0), 0)
            if not step or given.get("strides", [1, 1]) != [1, 1] or given.get("pads") != [1, 1, 1, 1]:
                continue
            new: list[onnx.NodeProto] = []
            weights, name = [], f"{node.name}/wide"
            for a in range(step):
                for b in range(step):
                    part = f"{node.input[1]}/at{a}{b}"
                    sides = np.array([0, 0, a, b, 0, 0, step - 1 - a, step - 1 - b], np.int64)
                    pads = self.stored(f"layout/pads{step}{a}{b}", sides)
                    new.append(helper.make_node("Pad", [node.input[1], pads], [part], part))
                    weights.append(part)
            inputs = [node.input[0], f"{name}/weight"]
            new.append(helper.make_node("Concat", weights, inputs[1:], inputs[1], axis=0))
            if len(node.input) > 2:
                inputs.append(f"{name}/bias")
                bias = [node.input[2]] * step**2
                new.append(helper.make_node("Concat", bias, inputs[2:], inputs[2], axis=0))
            size = {"kernel_shape": [step + 2] * 2, "strides": [step] * 2}
            new.append(helper.make_node("Conv", inputs, [name], name, **(given | size)))
            new.append(helper.make_node("DepthToSpace", [name], list(node.output), node.output[0], blocksize=step))
            self.replace([node], new)

    def _is_float(self, *nodes: onnx.NodeProto) -> bool:
        """Whether the weights are stored, or cast from stored ones: those of a quantised convolution are neither."""
        stored = {tensor.name for tensor in self.graph.initializer}
        names = [name for node in nodes for name in node.input[1:]]
        makers = [self.maker(name) for name in names if name not in stored]
        return all(maker is not None and maker.op_type == "Cast" for maker in makers)


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

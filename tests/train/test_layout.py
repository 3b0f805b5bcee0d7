"""The rewrites of exported nets give the same outputs, and the weights keep their names.

The same of the scaling before quantisation, and of the two parts of the coarse net in integers.
"""

# torch and onnx are not in the environment of every check of types.
# mypy: disable-error-code="import-not-found,misc,unused-ignore"

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch (pip install idseg[train])")
pytest.importorskip("onnx", reason="export needs onnx (pip install idseg[train])")

import onnx
import onnxruntime
import torch
from torch import Tensor, nn
from torch.nn import functional

from scripts.train import balance, ends, graph, layout
from scripts.train.nets import CoarseNet, PublishedCoarse, fold_batchnorm
from scripts.train.published import stored_weights


class Patterns(nn.Module):
    """A fold, a join of three tensors before a 1x1 convolution, the encoder's first expansion, and a narrow output."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.ModuleDict(
            {
                "join": nn.Conv2d(16 + 4 + 8, 16, 1),
                "near": nn.Conv2d(16, 4, 3, padding=1),
                "wide": nn.Conv2d(16, 96, 1),
                "deep": nn.Conv2d(96, 96, 3, 2, 1, groups=96),
                "last": nn.Conv2d(96, 4, 1),
                "alpha": nn.Conv2d(1, 1, 3, padding=1),
                "four": nn.Conv2d(2, 4, 3, padding=1, bias=False),
            }
        )
        self.fold = nn.PixelUnshuffle(2)

    def forward(self, rgba: Tensor, more: Tensor) -> Tensor:
        folded = self.fold(rgba)
        joined = self.net["join"](torch.cat((folded, torch.relu(self.net["near"](folded)), more), dim=1))
        wide = functional.relu6(self.net["wide"](joined))
        full = nn.functional.pixel_shuffle(self.net["last"](functional.relu6(self.net["deep"](wide))), 2)
        alpha: Tensor = self.net["alpha"](full)
        found: Tensor = self.net["four"](torch.cat((full, alpha), dim=1))
        return found


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_outputs_stay_the_same(tmp_path: Path) -> None:
    torch.manual_seed(0)
    inputs = torch.rand(1, 4, 32, 16), torch.rand(1, 8, 16, 8)
    path, names = tmp_path / "plain.onnx", ["rgba", "more"]
    free = {name: {2: f"{name}_height", 3: f"{name}_width"} for name in names}
    options: dict[str, Any] = {"input_names": names, "dynamic_axes": free, "opset_version": 17, "dynamo": False}
    torch.onnx.export(Patterns().eval(), inputs, str(path), **options)
    model = onnx.load(str(path))
    before = stored_weights(path)
    onnx.save(layout.rewrite(model), str(tmp_path / "fast.onnx"))
    kinds = [node.op_type for node in model.graph.node]
    assert "Transpose" not in kinds
    # fold, near, three parts of the join, three groups, last, alpha, four
    assert kinds.count("Conv") == 1 + 1 + 3 + 2 * 3 + 1 + 2
    strides = [graph.attributes(node).get("strides") for node in model.graph.node if node.op_type == "Conv"]
    assert strides[-2:] == [[4, 4], [2, 2]]
    feeds = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
    outputs = [
        onnxruntime.InferenceSession(str(tmp_path / name), providers=["CPUExecutionProvider"]).run(None, feeds)[0]
        for name in ("plain.onnx", "fast.onnx")
    ]
    assert np.abs(outputs[0] - outputs[1]).max() < 1e-5
    after = stored_weights(tmp_path / "fast.onnx")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert [node.op_type for node in layout.rewrite(model).graph.node] == kinds


class Join(nn.Module):
    """Large features are added, used and joined with small ones, before a depthwise convolution of 24 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.ModuleDict(
            {
                "small": nn.Conv2d(3, 16, 1),
                "first": nn.Conv2d(3, 8, 1),
                "second": nn.Conv2d(8, 8, 1),
                "third": nn.Conv2d(8, 8, 1),
                "around": nn.Conv2d(24, 24, 5, padding=2, groups=24),
                "last": nn.Conv2d(24, 2, 1),
            }
        )

    def forward(self, rgb: Tensor) -> Tensor:
        small, first = torch.relu(self.net["small"](rgb)), 50.0 * rgb
        first = self.net["first"](first)
        second = first + self.net["second"](first)
        third = self.net["third"](second)
        joined = torch.cat((small, second), dim=1)
        found: Tensor = self.net["last"](torch.relu(self.net["around"](joined))) + third.mean(dim=1, keepdim=True)
        return found


def exported(net: nn.Module, path: Path, outputs: list[str], size: tuple[int, int] = (32, 24)) -> onnx.ModelProto:
    """The net as ONNX file with free sides and one input, rgb."""
    free = {2: "height", 3: "width"}
    options: dict[str, Any] = {"input_names": ["rgb"], "output_names": outputs, "opset_version": 17, "dynamo": False}
    torch.onnx.export(net.eval(), (torch.rand(1, 3, *size),), str(path), dynamic_axes={"rgb": free}, **options)
    return onnx.load(str(path))


def outputs_of(model: onnx.ModelProto, feeds: dict[str, Any]) -> list[Any]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(None, feeds))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_join_gets_channels_of_zeros_and_equal_ranges(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = exported(Join(), tmp_path / "join.onnx", ["found"])
    feeds = {"rgb": np.random.default_rng(0).random((1, 3, 40, 32), np.float32)}
    (expected,) = outputs_of(model, feeds)

    def joined_ranges() -> list[float]:
        (join,) = (node for node in model.graph.node if node.op_type == "Concat")
        return list(balance.measured(model, list(join.input), [feeds]).values())

    small, large = joined_ranges()
    assert large > 5 * small
    balance.balance(model, [feeds])
    small, large = joined_ranges()
    assert large == pytest.approx(small, rel=1e-4)
    assert np.abs(outputs_of(model, feeds)[0] - expected).max() < 1e-4
    layout.rewrite(model)
    (around,) = (node for node in model.graph.node if graph.groups(node) > 1)
    assert graph.groups(around) == 32
    assert np.abs(outputs_of(model, feeds)[0] - expected).max() < 1e-4


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_both_parts_of_the_net_in_integers_continue_each_other(tmp_path: Path) -> None:
    """The second part on a tile with 12 px around it gives what it gives on the whole picture, to the bit."""
    torch.manual_seed(0)
    net = CoarseNet(grown=True, deep=True)
    fold_batchnorm(net)
    source, first, second = (tmp_path / f"{name}.onnx" for name in ("float", "first", "second"))
    exported(PublishedCoarse(net), source, ["alpha", "features"], (64, 96))
    rng = np.random.default_rng(0)
    samples = [{"rgb": rng.normal(size=(1, 3, 160, 224)).astype(np.float32)} for _ in range(2)]
    ends.write(source, first, second, samples)
    assert second.stat().st_size < first.stat().st_size / 20
    one, two = onnx.load(str(first)), onnx.load(str(second))
    rgb = samples[0]["rgb"]
    guess, deep, early = outputs_of(one, {"rgb": rgb})
    assert guess.shape == (1, 1, 80, 112)
    assert 0.0 <= guess.min() <= guess.max() <= 1.0
    alpha, features = outputs_of(two, {"rgb": rgb, "deep": deep, "early": early})
    floats, _ = outputs_of(onnx.load(str(source)), {"rgb": rgb})
    assert np.abs(alpha - floats).mean() < 0.05
    assert features.dtype == np.uint8
    assert ends.levels_of(two).scale > 0
    rows, columns = slice(20, 116), slice(52, 164)
    parts = {
        name: np.ascontiguousarray(
            value[:, :, rows.start // n : rows.stop // n, columns.start // n : columns.stop // n]
        )
        for name, value, n in (("rgb", rgb, 1), ("deep", deep, 4), ("early", early, 2))
    }
    tile, near = outputs_of(two, parts)
    assert np.array_equal(tile[0, 0, 12:-12, 12:-12], alpha[0, 0, 32:104, 64:152])
    assert np.array_equal(near[0, :, 6:-6, 6:-6], features[0, :, 16:52, 32:76])

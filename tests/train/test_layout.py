"""The rewrites of exported nets give the same outputs, and the weights keep their names."""

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

from scripts.train import layout
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
    strides = [layout._attributes(node).get("strides") for node in model.graph.node if node.op_type == "Conv"]
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

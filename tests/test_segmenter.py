"""With quality "fast" the refiner runs where a picture has more pixels than the coarse net saw, with "best" always."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from idseg.models.onnx import OnnxNet
from idseg.segmenter import _FAST_UPSCALE, _MattingModels
from idseg.stages.matte import Matte, MatteForm
from idseg.types import Alpha, Coarse, Rgb, Size
from tests.models.tiny_onnx import write_channel


@pytest.mark.parametrize(
    ("side", "worth", "runs"),
    [(100, _FAST_UPSCALE, False), (190, _FAST_UPSCALE, False), (210, _FAST_UPSCALE, True), (100, 0.0, True)],
)
def test_the_refiner_runs_where_it_is_worth_it(side: int, worth: float, runs: bool, tmp_path: Path) -> None:
    path = write_channel(tmp_path / "red.onnx", "rgb", "alpha", 0)
    form = MatteForm(Size(100, 100), "area", 4, (0.0,) * 3, (255.0,) * 3, "none")
    called: list[int] = []

    def refine(rgb: Rgb, coarse: Coarse) -> Alpha:
        called.append(rgb.shape[0])
        return coarse.alpha

    matter = _MattingModels(Matte(OnnxNet(path, provider="cpu", threads=1), form), refine, worth)
    picture = np.zeros((side, side, 3), np.uint8)
    matter.refined(picture, matter.coarse.look(picture))
    assert bool(called) is runs

"""With quality "fast" the refiner runs where a picture has more pixels than the coarse net saw, with "best" always."""

from __future__ import annotations

from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import pytest

from idseg.loaded import FAST_UPSCALE, MattingModels
from idseg.models.form import MatteForm
from idseg.models.manifest import load_manifest
from idseg.models.onnx import OnnxNet
from idseg.options import Options
from idseg.segmenter import Segmenter
from idseg.stages.matte import AUTO, Matte, load_matte
from idseg.types import Alpha, Coarse, Rgb, Size
from tests.models.tiny_onnx import write_channel


@pytest.mark.parametrize(
    ("side", "worth", "runs"),
    [(100, FAST_UPSCALE, False), (190, FAST_UPSCALE, False), (210, FAST_UPSCALE, True), (100, 0.0, True)],
)
def test_the_refiner_runs_where_it_is_worth_it(side: int, worth: float, runs: bool, tmp_path: Path) -> None:
    path = write_channel(tmp_path / "red.onnx", "rgb", "alpha", 0)
    form = MatteForm(Size(100, 100), "area", 4, (0.0,) * 3, (255.0,) * 3, "none")
    called: list[int] = []

    def refine(rgb: Rgb, coarse: Coarse, pool: Executor | None = None) -> Alpha:
        called.append(rgb.shape[0])
        return coarse.alpha

    matter = MattingModels(Matte(OnnxNet(path, provider="cpu", threads=1), form), refine, worth)
    picture = np.zeros((side, side, 3), np.uint8)
    matter.refined(picture, matter.coarse.look(picture))
    assert bool(called) is runs


@pytest.mark.weights
def test_best_and_fast_differ_at_the_edge_alone(astronaut: Rgb) -> None:
    """The cut has fewer pixels than the coarse net's input, so "fast" gives the coarse matte."""
    mattes = []
    for quality in ("best", "fast"):
        with Segmenter(Options(quality=quality, threads=1)) as segmenter:
            mattes.append(segmenter.matte(astronaut))
    best, fast = mattes
    coarse = load_matte(load_manifest(), AUTO, "cpu", 1)(astronaut)
    assert np.array_equal(fast, coarse)
    assert np.abs(best - fast).max() > 0.1
    assert np.abs(best - fast).mean() < 0.01


@pytest.mark.weights
def test_one_copy_of_the_pose_model_gives_the_same_answer(astronaut: Rgb) -> None:
    """Also from the second photo on, for which a second copy would otherwise be loaded."""
    answers = []
    for second in (True, False):
        with Segmenter(Options(threads=2, second_pose=second)) as segmenter:
            segmenter.find(astronaut)
            answers.append(segmenter.find(astronaut))
            copies = len(segmenter._finding.pose._idle)  # type: ignore[union-attr]
            assert copies <= (2 if second else 1)
    assert answers[0] == answers[1]

"""With quality "fast" the refiner runs where a picture has more pixels than the coarse net saw, with "best" always."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from idseg.loaded import FAST_UPSCALE, MattingModels
from idseg.models.form import MatteForm
from idseg.models.manifest import load_manifest
from idseg.models.onnx import OnnxNet
from idseg.options import Options
from idseg.segmenter import Segmenter
from idseg.stages.follow import Follower, load_follower
from idseg.stages.matte import AUTO, Matte, load_matte
from idseg.stages.refine import RefinerName, refine_none
from idseg.types import Alpha, Coarse, Quality, Rgb, Size
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


@pytest.mark.parametrize("quality", ["best", "fast"])
@pytest.mark.weights
def test_the_colours_are_followed_in_mattes_of_our_own_nets_alone(quality: Quality) -> None:
    models = MattingModels.load(load_manifest(), Options(quality=quality, threads=1))
    height, width, stripe = 500, 400, 5
    truth = np.zeros((height, width), np.float32)
    truth[:, : width // 2] = 1.0
    for left in range(width // 2, width * 3 // 4, 2 * stripe):
        truth[:, left : left + stripe] = 1.0
    guess = np.asarray(cv2.blur(truth, (4 * stripe + 1, 4 * stripe + 1)), np.float32)
    rgb = np.where(truth[..., None] > 0.5, (60, 40, 30), (190, 200, 210)).astype(np.uint8)
    features = models.coarse.look(rgb).features
    own = replace(models, refine=refine_none).refined(rgb, Coarse(guess, features))
    assert np.abs(own - truth).mean() < 0.9 * np.abs(guess - truth).mean()
    assert np.array_equal(models.refined(rgb, Coarse(guess, None)), guess)


class Recorder(Follower):
    """Follows nothing, and remembers whether it was asked to do so twice."""

    def __init__(self) -> None:
        self.again: list[bool] = []

    def __call__(self, rgb: Rgb, alpha: Alpha, *, again: bool = False) -> Alpha:
        self.again.append(again)
        return alpha


@pytest.mark.weights
@pytest.mark.parametrize(("quality", "expected"), [("best", [False, True]), ("fast", [False, False])])
def test_large_pictures_are_refined_and_follow_twice_with_best(quality: Quality, expected: list[bool]) -> None:
    refined: list[int] = []

    def refine(rgb: Rgb, coarse: Coarse, pool: Executor | None = None) -> Alpha:
        refined.append(rgb.shape[0])
        return coarse.alpha

    recorder = Recorder()
    loaded = MattingModels.load(load_manifest(), Options(quality=quality, threads=1))
    models = replace(loaded, colours=recorder, refine=refine)
    for side in (630, 650):
        picture = np.zeros((side, side, 3), np.uint8)
        models.refined(picture, models.coarse.look(picture))
    assert recorder.again == expected
    assert refined == ([650] if quality == "best" else [])


@pytest.mark.weights
def test_best_and_fast_differ_on_large_pictures_alone(astronaut: Rgb) -> None:
    """On small ones, both are the coarse matte, which then follows the colours."""
    large = np.asarray(cv2.resize(astronaut, None, fx=1.6, fy=1.6, interpolation=cv2.INTER_CUBIC), np.uint8)
    mattes = []
    for quality in ("best", "fast"):
        with Segmenter(Options(quality=quality, threads=1)) as segmenter:
            mattes.append((segmenter.matte(astronaut), segmenter.matte(large)))
    (best, best_large), (fast, fast_large) = mattes
    coarse = load_matte(load_manifest(), AUTO, "cpu", 1)(astronaut)
    assert np.array_equal(best, fast)
    assert np.array_equal(fast, load_follower(load_manifest(), 1)(astronaut, coarse))
    assert np.abs(fast - coarse).max() > 0.1
    assert np.abs(best_large - fast_large).max() > 0.1
    assert np.abs(best_large - fast_large).mean() < 0.01


@pytest.mark.weights
@pytest.mark.parametrize("refine", ["none", "closed-form"])
def test_only_the_default_refiner_follows_the_colours(refine: RefinerName) -> None:
    assert MattingModels.load(load_manifest(), Options()).colours is not None
    assert MattingModels.load(load_manifest(), Options(refine=refine)).colours is None


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

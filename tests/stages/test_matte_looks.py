"""Several mattes of one picture: the low-resolution one, and a second, closer one, on nets that show their input."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import pytest

from idseg.errors import ModelDamagedError, ModelNameError
from idseg.models.form import MatteForm
from idseg.models.manifest import Manifest
from idseg.models.onnx import OnnxNet
from idseg.stages.matte import Glance, Matte, load_matte
from idseg.types import Size, Window
from tests.models.tiny_onnx import write_channel
from tests.stages.tiny_matte import entry, red_picture, tiny_manifest


def small_form() -> MatteForm:
    """Input of 100 x 125 px."""
    return MatteForm(Size(100, 125), "area", 32, (0.0,) * 3, (255.0,) * 3, "none")


def test_a_glance_is_made_by_the_smaller_net(tmp_path: Path) -> None:
    path = write_channel(tmp_path / "red.onnx", "rgb", "alpha", 0)
    tiny = entry(path, size=[200, 250], second_look="low")
    low = replace(entry(write_channel(tmp_path / "green.onnx", "rgb", "alpha", 1), size=[100, 125]), name="low")
    matte = load_matte(Manifest(tmp_path, (tiny, low)), "tiny")
    assert not matte.glances_are_whole
    picture = red_picture(0, 300, 400)
    picture[..., 1] = 51
    alpha, seen, whole = matte.glance(picture)
    assert whole
    assert alpha.shape == (400, 300)
    assert alpha.mean() == pytest.approx(0.2, abs=1e-3)
    assert seen.size < 0.3 * 200 * 250
    alone = load_matte(tiny_manifest(path, size=[200, 250]), "tiny")
    assert alone.glances_are_whole
    assert np.array_equal(alone.glance(red_picture(51, 300, 400)).alpha, alone(red_picture(51, 300, 400)))


def test_a_glance_is_the_matte_unless_the_net_has_features_for_a_refiner(tmp_path: Path) -> None:
    net = OnnxNet(write_channel(tmp_path / "red.onnx", "rgb", "alpha", 0), provider="cpu", threads=1)
    picture = red_picture(51, 300, 400)
    plain, with_features = Matte(net, small_form()), Matte(net, replace(small_form(), features="alpha"))
    glance = plain.glance(picture)
    assert plain.look(picture, glance).alpha is glance.alpha
    assert not with_features.glances_are_whole
    assert with_features.look(picture, with_features.glance(picture)).features is not None


@pytest.mark.parametrize("wrong", [True, 3, ["low"]])
def test_the_second_look_is_the_name_of_a_block(wrong: object, tmp_path: Path) -> None:
    path = write_channel(tmp_path / "red.onnx", "rgb", "alpha", 0)
    with pytest.raises(ModelDamagedError, match=r"second_look = .* name of another block"):
        load_matte(tiny_manifest(path, second_look=wrong), "tiny")
    with pytest.raises(ModelNameError, match="absent"):
        load_matte(tiny_manifest(path, second_look="absent"), "tiny")


def test_a_second_look_bounds_the_matte_where_it_is_sure_all_around(tmp_path: Path) -> None:
    path = write_channel(tmp_path / "red.onnx", "rgb", "alpha", 0)
    once = load_matte(tiny_manifest(path, size=[200, 250]), "tiny")
    net = OnnxNet(path, provider="cpu", threads=1)
    twice = Matte(net, once._form, Matte(net, small_form()))
    picture = np.zeros((250, 200, 3), np.uint8)
    picture[:, 100:] = 255
    for far, near, red in ((50, 97, 40), (150, 103, 215)):  # dots far from the edge, too weak for a glance, and near it
        picture[::5, far] = picture[::10, near] = red
    expected = picture[..., 0] / 255
    assert np.abs(once(picture) - expected).max() < 1e-6
    expected[:, 50], expected[:, 150] = 0, 1
    assert np.abs(twice(picture) - expected).max() < 1e-6
    small = picture[:100:2, :100]  # no larger than a glance sees it: nothing new to see
    assert np.array_equal(twice(small), once(small))


def in_two_sizes(net: object, size: Size = Size(200, 250)) -> Matte:  # noqa: B008 - immutable
    """A matte of the stand-in for a net, which also makes the low-resolution matte."""
    form = replace(small_form(), size=size)
    return Matte(cast(OnnxNet, net), form, Matte(cast(OnnxNet, net), small_form()))


class TwoMinds:
    """In place of a net: a person in the right half; the smaller of two inputs shows one in the left half too.

    Args:
        doubt: alpha in the left half of the larger input; 0: sure that nobody is there.
    """

    inputs, outputs, path, provider = ("rgb",), ("alpha",), Path("none.onnx"), "cpu"

    def __init__(self, doubt: float) -> None:
        self.doubt = doubt
        self.runs = 0

    def __call__(self, feeds: dict[str, npt.NDArray[np.float32]]) -> dict[str, npt.NDArray[np.float32]]:
        height, width = feeds["rgb"].shape[2:]
        alpha = np.ones((1, 1, height, width), np.float32)
        self.runs += 1
        if height > 200:
            alpha[..., : width // 2] = self.doubt
        return {"alpha": alpha}


@pytest.mark.parametrize(("doubt", "expected"), [(0.0, 0.0), (0.3, 1.0)])
def test_a_glance_is_not_believed_where_the_look_from_near_is_sure(doubt: float, expected: float) -> None:
    alpha = in_two_sizes(TwoMinds(doubt))(red_picture(0, 200, 250))
    assert alpha[:, :90].mean() == pytest.approx(expected, abs=1e-6)
    assert alpha[:, 110:].min() == 1.0


class Uneven:
    """In place of a net: a person in the middle, and in the input's right half alpha is higher by .04."""

    inputs, outputs, path, provider = ("rgb",), ("alpha",), Path("none.onnx"), "cpu"

    def __init__(self) -> None:
        self.sizes: list[Size] = []

    def __call__(self, feeds: dict[str, npt.NDArray[np.float32]]) -> dict[str, npt.NDArray[np.float32]]:
        height, width = feeds["rgb"].shape[2:]
        self.sizes.append(Size(width, height))
        alpha = np.zeros((1, 1, height, width), np.float32)
        alpha[..., width // 4 : width // 4 * 3] = 0.5
        alpha[..., width // 2 : width // 4 * 3] += 0.04
        return {"alpha": alpha}


def test_the_second_time_the_picture_is_mirrored_and_the_two_mattes_are_averaged() -> None:
    net = Uneven()
    form = replace(small_form(), size=Size(192, 256), closer=(0.8, 4.0))
    alpha = Matte(cast(OnnxNet, net), form, Matte(cast(OnnxNet, net), small_form()))(red_picture(0, 192, 256))
    assert net.sizes == [(192, 256), (96, 128), (384, 512)]
    assert alpha[128, 60:132] == pytest.approx(0.52, abs=0.005)
    assert alpha[:, :40].max() == alpha[:, -40:].max() == 0.0


class FaintFromAfar:
    """In place of a net: a person in the right half, and in the left a bar, faint in the smaller of two inputs.

    Args:
        width: of the bar, as a share of the input's.
    """

    inputs, outputs, path, provider = ("rgb",), ("alpha",), Path("none.onnx"), "cpu"

    def __init__(self, width: float) -> None:
        self.width = width

    def __call__(self, feeds: dict[str, npt.NDArray[np.float32]]) -> dict[str, npt.NDArray[np.float32]]:
        height, width = feeds["rgb"].shape[2:]
        alpha = np.zeros((1, 1, height, width), np.float32)
        alpha[..., width // 2 :] = 1.0
        alpha[..., width // 5 : width // 5 + round(self.width * width)] = 0.9 if height > 200 else 0.25
        return {"alpha": alpha}


@pytest.mark.parametrize(("width", "expected"), [(0.02, 0.71), (0.15, 0.0)])
def test_a_broad_piece_that_is_faint_from_afar_is_background_and_a_strand_is_only_fainter(
    width: float, expected: float
) -> None:
    alpha = in_two_sizes(FaintFromAfar(width), Size(224, 256))(red_picture(0, 224, 256))
    assert alpha[128, 224 // 5 + round(0.5 * width * 224)] == pytest.approx(expected, abs=2e-3)
    assert alpha[:, 130:].min() == 1.0


def test_a_glance_with_surroundings_needs_a_second_opinion_to_take_much_away() -> None:
    """The net sees a person in the left half only in small inputs that are not the picture itself."""
    net = TwoMinds(0.3)
    matte = in_two_sizes(net)
    picture = red_picture(0, 200, 250)
    nobody = Glance(np.zeros((250, 200), np.float32), np.zeros((125, 100), np.float32), whole=False)
    before = net.runs
    with_doubt = matte(picture, nobody)
    assert net.runs == before + 2  # the matte, and a second glance
    assert with_doubt[:, :90].min() > 0.2
    assert matte(picture, nobody._replace(whole=True))[:, :90].max() == 0.0


def test_a_part_of_a_glance_shows_what_the_whole_shows_there() -> None:
    seen = np.linspace(0, 1, 100, dtype=np.float32)[None].repeat(50, axis=0)
    alpha = np.linspace(0, 1, 400, dtype=np.float32)[None].repeat(200, axis=0)
    part = Glance(alpha, seen).part(Window(100, 20, 240, 120))
    assert not part.whole
    assert part.alpha.shape == (120, 240)
    assert part.seen.shape == (30, 60)
    assert np.abs(part.seen - seen[:30, 25:85]).max() < 1e-5


def test_a_glance_is_not_computed_twice() -> None:
    net, picture = TwoMinds(0.3), red_picture(0, 200, 250)
    matte = in_two_sizes(net)
    alone = matte(picture)
    assert net.runs == 2
    glance = matte.glance(picture)
    assert np.array_equal(matte(picture, glance), alone)
    assert net.runs == 4

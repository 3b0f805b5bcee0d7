"""Coarse mattes: presets and manifest blocks, on nets of one node whose output shows the input."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from idseg.errors import ModelDamagedError, ModelMissingError, ModelNameError, OptionError, ProviderError
from idseg.imaging.resize import resize, unit
from idseg.models.form import PRESETS, closer, frame, into_frame
from idseg.models.manifest import load_manifest
from idseg.models.onnx import PROVIDERS, OnnxNet, available_providers
from idseg.stages.matte import AUTO, Matte, load_matte, resolved
from idseg.types import Rgb, Size
from tests.models.tiny_onnx import write_channel, write_net
from tests.stages.tiny_matte import red_picture, tiny_manifest


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_each_preset_normalises_red_as_it_says(preset: str, tmp_path: Path) -> None:
    net = write_channel(tmp_path / "red.onnx", "any", "name", 0)
    matte = load_matte(load_manifest(), str(net), preset=preset)
    form = PRESETS[preset]
    for red in (0, 100, 200, 255):
        value = (red - form.mean[0]) / form.std[0]
        expected = 1 / (1 + np.exp(-value)) if form.activation == "sigmoid" else np.clip(value, 0, 1)
        alpha = matte(red_picture(red))
        assert alpha.shape == (80, 60)
        assert alpha.dtype == np.float32
        # A constant picture gives a constant: nothing is stretched between minimum and maximum.
        assert np.abs(alpha - expected).max() < 1e-5


def test_channels_are_red_green_blue(tmp_path: Path) -> None:
    picture = np.zeros((40, 40, 3), np.uint8)
    picture[..., 2] = 255
    for channel, expected in ((0, 0.0), (1, 0.0), (2, 1.0)):
        path = write_channel(tmp_path / f"{channel}.onnx", "rgb", "alpha", channel)
        assert load_matte(tiny_manifest(path), "tiny")(picture).mean() == expected


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (500, 3), (97, 64), (640, 360)])
def test_any_aspect_comes_back_at_its_own_size(shape: tuple[int, int], tmp_path: Path) -> None:
    path = write_channel(tmp_path / "red.onnx", "rgb", "alpha", 0)
    alpha = load_matte(tiny_manifest(path), "tiny")(red_picture(255, shape[1], shape[0]))
    assert alpha.shape == shape
    assert alpha.min() >= 0.999
    assert alpha.max() <= 1.0


def test_a_mirrored_picture_gives_the_mirrored_matte(tmp_path: Path) -> None:
    path = write_channel(tmp_path / "red.onnx", "rgb", "alpha", 0)
    matte = load_matte(tiny_manifest(path), "tiny")
    picture = np.random.default_rng(0).integers(0, 256, (120, 90, 3), dtype=np.uint8)
    mirrored = matte(np.ascontiguousarray(picture[:, ::-1]))
    assert np.abs(mirrored[:, ::-1] - matte(picture)).max() < 1e-2


@pytest.mark.parametrize(
    ("picture", "seen", "whole"),
    [
        ((600, 840), (192, 256), (192, 256)),
        ((500, 500), (224, 224), (224, 224)),
        ((840, 600), (256, 192), (256, 192)),
        ((200, 250), (200, 250), (224, 256)),
        ((220, 270), (220, 270), (224, 288)),
        ((100, 200), (100, 200), (128, 224)),
        ((100, 190), (128, 224), (128, 224)),
        ((20, 20), (160, 160), (160, 160)),
        ((1, 900), (128, 384), (128, 384)),
    ],
)
def test_area_keeps_the_aspect_and_does_not_resample_what_fits(
    picture: tuple[int, int], seen: tuple[int, int], whole: tuple[int, int], tmp_path: Path
) -> None:
    path = write_channel(tmp_path / "red.onnx", "rgb", "alpha", 0)
    form = load_matte(tiny_manifest(path, size=[200, 250]), "tiny")._form
    assert frame(Size(*picture), form) == (seen, whole)


@pytest.mark.parametrize(
    ("picture", "seen"), [((100, 200), (100, 200)), ((160, 200), (192, 256)), ((200, 220), (200, 220))]
)
def test_pictures_between_the_shares_are_enlarged(
    picture: tuple[int, int], seen: tuple[int, int], tmp_path: Path
) -> None:
    """.4, .64 and .88 of the net's pixels."""
    path = write_channel(tmp_path / "red.onnx", "rgb", "alpha", 0)
    form = load_matte(tiny_manifest(path, size=[200, 250], enlarged=[0.5, 0.8]), "tiny")._form
    assert frame(Size(*picture), form)[0] == seen
    for wrong in (0.5, [0.5], ["a", 1]):
        with pytest.raises(ModelDamagedError):
            load_matte(tiny_manifest(path, size=[200, 250], enlarged=wrong), "tiny")


def test_large_pictures_are_seen_a_second_time(tmp_path: Path) -> None:
    path = write_channel(tmp_path / "red.onnx", "rgb", "alpha", 0)
    form = load_matte(tiny_manifest(path, size=[200, 250], closer=[0.8, 1.6]), "tiny")._form
    assert closer(Size(190, 210), form) is None
    for picture, seen in (((200, 200), (288, 288)), ((250, 320), (250, 320)), ((1000, 1250), (256, 320))):
        second = closer(Size(*picture), form)
        assert second is not None
        assert frame(Size(*picture), second)[0] == seen
    assert load_matte(tiny_manifest(path, closer=[0.8, 1.6]), "tiny", twice=False)._form.closer is None
    for wrong in (0.5, [0.5], ["a", 1], [0.8, 0.0], [-1, 2]):
        with pytest.raises(ModelDamagedError):
            load_matte(tiny_manifest(path, closer=wrong), "tiny")


def test_a_picture_that_fits_goes_in_as_it_is(tmp_path: Path) -> None:
    path = write_channel(tmp_path / "red.onnx", "rgb", "alpha", 0)
    matte = load_matte(tiny_manifest(path, size=[200, 250]), "tiny")
    picture = np.random.default_rng(0).integers(0, 256, (237, 211, 3), dtype=np.uint8)
    framed, inner = into_frame(picture, matte._form)
    assert framed.shape == (256, 224, 3)
    assert np.array_equal(framed[inner.top : inner.bottom, inner.left : inner.right], picture)
    assert np.abs(matte(picture) - picture[..., 0] / 255).max() < 1e-6


@pytest.mark.parametrize(
    ("picture", "times"),
    [
        ((200, 250), 1.0),
        ((400, 500), 400 * 500 / (192 * 256)),
        ((211, 237), 1.0),
        ((100, 125), 100 * 125 / (128 * 192)),
    ],
)
def test_enlargement_counts_pixels(picture: tuple[int, int], times: float, tmp_path: Path) -> None:
    path = write_channel(tmp_path / "red.onnx", "rgb", "alpha", 0)
    matte = load_matte(tiny_manifest(path, size=[200, 250]), "tiny")
    assert matte.enlargement(Size(*picture)) == pytest.approx(times, rel=0.01)


def test_extreme_aspects_never_shrink_a_side_to_nothing() -> None:
    form = PRESETS["modnet"]
    assert frame(Size(10, 10_000), form)[1].width == 512
    assert min(frame(Size(10_000, 10), form)[1]) == 512


def test_fixed_sizes_are_kept() -> None:
    assert frame(Size(10, 900), PRESETS["isnet"]) == ((1024, 1024), (1024, 1024))


def test_resize_keeps_the_mean_and_unit_clips() -> None:
    values = np.random.default_rng(1).random((90, 60), np.float32)
    assert resize(values, Size(30, 45)).mean() == pytest.approx(values.mean(), abs=1e-4)
    assert resize(values, Size(60, 90)) is values
    step = np.zeros((8, 8), np.float32)
    step[:, 4:] = 1.0
    grown = resize(step, Size(64, 64))
    assert grown.min() < 0.0
    assert unit(grown).min() == 0.0
    assert unit(grown).max() == 1.0


def test_one_matte_serves_many_threads(tmp_path: Path) -> None:
    matte = load_matte(tiny_manifest(write_channel(tmp_path / "red.onnx", "rgb", "alpha", 0)), "tiny")
    with ThreadPoolExecutor(8) as pool:
        means = list(pool.map(lambda red: float(matte(red_picture(red)).mean()), range(0, 256, 5)))
    assert means == pytest.approx([red / 255 for red in range(0, 256, 5)], abs=1e-5)


def test_errors_of_names_and_files(tmp_path: Path) -> None:
    manifest = load_manifest()
    net = write_channel(tmp_path / "red.onnx", "rgb", "alpha", 0)
    with pytest.raises(OptionError, match="modnet, isnet, u2net, birefnet"):
        load_matte(manifest, str(net), preset="modnett")
    with pytest.raises(ModelNameError, match="nothing-like-that"):
        load_matte(manifest, "nothing-like-that")
    with pytest.raises(ModelNameError, match="face-detection, not matting"):
        load_matte(manifest, "face-short")
    with pytest.raises(ModelMissingError):
        load_matte(manifest, str(tmp_path / "none.onnx"), preset="isnet")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a network")
    with pytest.raises(ModelDamagedError, match=r"broken\.onnx"):
        load_matte(manifest, str(broken), preset="isnet")
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(net.read_bytes()[:-7])
    with pytest.raises(ModelDamagedError):
        load_matte(manifest, str(cut), preset="isnet")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"fit": "letterbocks"}, r"fit = 'letterbocks'; it is one of area, stretch, short-side"),
        ({"activation": "softmax"}, r"'softmax'; it is one of none, sigmoid"),
        ({"mean": [1, 2]}, r"'tiny'.*mean and std are one number, or"),
        ({"size": 5}, r"'tiny'.*size is \[width, height\]"),
        ({"name": "x"}, r"has inputs \('rgb',\)"),
        ({"result": "y"}, r"not 'rgb' and 'y'"),
    ],
)
def test_a_manifest_block_that_makes_no_sense_is_refused(changed: dict[str, object], told: str, tmp_path: Path) -> None:
    path = write_channel(tmp_path / "red.onnx", "rgb", "alpha", 0)
    with pytest.raises(ModelDamagedError, match=told):
        load_matte(tiny_manifest(path, **changed), "tiny")


def test_a_forced_provider_that_is_missing_is_an_error(tmp_path: Path) -> None:
    path = write_net(tmp_path / "same.onnx", "Identity", "x", "y")
    missing = next(name for name in PROVIDERS if name not in available_providers())
    with pytest.raises(ProviderError, match=missing):
        OnnxNet(path, provider=missing)
    with pytest.raises(ProviderError, match="warp-drive"):
        OnnxNet(path, provider="warp-drive")
    assert OnnxNet(path, provider="cpu").provider == "cpu"
    assert OnnxNet(path).provider in available_providers()


def test_our_net_has_the_form_that_suits_the_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idseg.models.onnx.available_providers", lambda: ("cpu",))
    assert resolved("auto") == resolved("auto", "cpu") == "portrait-coarse-int8"
    assert resolved("portrait-coarse", "cpu") == "portrait-coarse"
    with pytest.raises(ProviderError, match="cuda"):
        resolved("auto", "cuda")
    monkeypatch.setattr("idseg.models.onnx.available_providers", lambda: ("cuda", "coreml", "cpu"))
    assert resolved("auto") == resolved("auto", "cuda") == resolved("auto", "coreml") == "portrait-coarse"
    assert resolved("auto", "cpu") == "portrait-coarse-int8"


@pytest.mark.weights
def test_integers_and_floats_give_nearly_the_same_matte(shipped: Matte, astronaut: Rgb) -> None:
    floating = load_matte(load_manifest(), "portrait-coarse", "cpu", 1)(astronaut)
    difference = np.abs(shipped(astronaut) - floating)
    assert 0.0 < float(difference.mean()) < 0.005


def test_a_net_runs_by_names_and_casts(tmp_path: Path) -> None:
    net = OnnxNet(write_net(tmp_path / "minus.onnx", "Neg", "here", "there"), threads=1)
    assert (net.inputs, net.outputs) == (("here",), ("there",))
    found = net({"here": np.arange(4, dtype=np.float64).reshape(1, 1, 2, 2)})
    assert found["there"].dtype == np.float32
    assert found["there"].ravel().tolist() == [0.0, -1.0, -2.0, -3.0]


@pytest.fixture(scope="module")
def shipped() -> Matte:
    """The coarse net that ships, as a CPU runs it."""
    return load_matte(load_manifest(), AUTO, "cpu", 1)


@pytest.mark.weights
@pytest.mark.parametrize("shape", [(320, 256), (64, 900), (33, 17), (840, 600)])
def test_the_shipped_net_keeps_range_and_size(shipped: Matte, shape: tuple[int, int]) -> None:
    alpha = shipped(np.random.default_rng(4).integers(0, 256, (*shape, 3), dtype=np.uint8))
    assert alpha.shape == shape
    assert alpha.dtype == np.float32
    assert float(alpha.min()) >= 0.0
    assert float(alpha.max()) <= 1.0


@pytest.mark.weights
@pytest.mark.parametrize("level", [0, 128, 255])
def test_the_shipped_net_finds_nobody_in_an_empty_picture(shipped: Matte, level: int) -> None:
    assert float(shipped(np.full((420, 300, 3), level, np.uint8)).mean()) < 0.02


@pytest.mark.weights
def test_the_shipped_net_finds_the_astronaut_and_not_the_backdrop(shipped: Matte, astronaut: Rgb) -> None:
    alpha = shipped(astronaut)
    assert alpha[80:160, 200:250].min() > 0.9  # her face
    assert alpha[380:, 150:300].mean() > 0.9  # her suit
    assert alpha[:300, :60].mean() < 0.1  # the flag

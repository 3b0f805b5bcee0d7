"""Refiners: the tiling of ours on a net that gives the coarse alpha back; closed form; none."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idseg.errors import ModelDamagedError, ModelNameError, OptionError
from idseg.models.levels import stored_as
from idseg.models.manifest import Manifest, ModelEntry, load_manifest
from idseg.stages.matte import AUTO, load_matte
from idseg.stages.refine import (
    REFINE_INT8,
    DetailNet,
    Refiner,
    doubtful_tiles,
    doubts,
    load_refiner,
    refine_closed_form,
    tile_features,
    unknown_band,
)
from idseg.types import Coarse, Features, Levels, Rgb, Size, Window
from tests.models.tiny_onnx import write_chosen


def disc(height: int, width: int, radius: float, soft: float) -> npt.NDArray[np.float32]:
    rows, columns = np.mgrid[0:height, 0:width]
    distance = np.hypot(rows - height / 2, columns - width / 2)
    return np.asarray(np.clip((radius - distance) / soft + 0.5, 0.0, 1.0), np.float32)


INPUTS = ("rgb", "coarse", "features")


def with_features(alpha: npt.NDArray[np.float32], values: npt.NDArray[np.float32] | None = None) -> Coarse:
    """A coarse matte of a picture that was not resampled, with features (zeros, if not given)."""
    height, width = alpha.shape
    if values is None:
        values = np.zeros((-(-height // 2), -(-width // 2), 2), np.float32)
    return Coarse(alpha, Features(values, Window(0, 0, width, height)))


def tiny(path: Path, chosen: str, channel: int) -> Path:
    """A refiner that gives one channel of one of its inputs back."""
    return write_chosen(path, INPUTS, chosen, "alpha", channel)


def manifest_of(path: Path, **changed: object) -> Manifest:
    content = path.read_bytes()
    names = {name: name for name in INPUTS}
    table: dict[str, object] = {**names, "mean": [0.0, 0.0, 0.0], "std": [255.0, 255.0, 255.0]} | changed
    block = ModelEntry(
        REFINE_INT8,
        "refine",
        path,
        hashlib.sha256(content).hexdigest(),
        len(content),
        "test",
        "CC0",
        table,
        {"name": "alpha"},
    )
    return Manifest(path.parent, (block,))


@pytest.fixture(scope="module")
def gives_back(tmp_path_factory: pytest.TempPathFactory) -> Refiner:
    """Our tiling around a net whose output is the coarse alpha."""
    return load_refiner(manifest_of(tiny(tmp_path_factory.mktemp("net") / "a.onnx", "coarse", 0)))


@pytest.fixture(scope="module")
def gives_green(tmp_path_factory: pytest.TempPathFactory) -> Refiner:
    """The same around a net whose output is the picture's green: shows where tiles come from and go to."""
    return load_refiner(manifest_of(tiny(tmp_path_factory.mktemp("net") / "g.onnx", "rgb", 1)))


@pytest.mark.weights
def test_the_net_has_integers_on_cpus_and_floats_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = load_manifest()
    for first, file in (("cpu", "portrait-detail-int8.onnx"), ("cuda", "portrait-detail.onnx")):
        monkeypatch.setattr("idseg.models.onnx.first_provider", lambda provider, first=first: first)
        refiner = load_refiner(shipped)
        assert isinstance(refiner, DetailNet)
        assert refiner._net.path.name == file


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 500), st.integers(1, 500), st.integers(0, 2**32 - 1))
def test_tiles_hold_every_wide_band_once(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    alpha = np.zeros((height, width), np.float32)
    top, left = rng.integers(0, height), rng.integers(0, width)
    band = np.s_[top : top + rng.integers(10, 60), left : left + rng.integers(10, 60)]
    alpha[band] = 0.5
    seen = np.zeros(alpha.shape, int)
    for core in doubtful_tiles(doubts(alpha)):
        assert core.right <= width
        assert core.bottom <= height
        seen[core.top : core.bottom, core.left : core.right] += 1
    assert seen.max() <= 1
    if min(alpha[band].shape) >= 20:  # less than a third of the neighbourhood of a smaller band is uncertain
        middle = seen[top + 6 : band[0].stop - 6, left + 6 : band[1].stop - 6]
        assert middle.min(initial=1) == 1


def test_tiles_follow_the_band() -> None:
    """Two wide bands in one row make two tiles, not one as wide as the picture."""
    alpha = np.zeros((80, 960), np.float32)
    alpha[:, 100:110] = alpha[:, 700:710] = 0.5
    cores = list(doubtful_tiles(doubts(alpha)))
    assert [core.left <= at < core.right for core, at in zip(cores, (104, 704), strict=True)] == [True, True]
    assert sum(core.width for core in cores) < 200


def test_a_narrow_edge_stays_as_it_is(gives_green: Refiner) -> None:
    """The coarse matte is kept there, and rounded where it is certain."""
    alpha = disc(300, 300, radius=100, soft=3)
    assert list(doubtful_tiles(doubts(alpha))) == []
    alpha[0, 0], alpha[150, 150] = 0.01, 0.99
    refined = gives_green(np.zeros((300, 300, 3), np.uint8), with_features(alpha))
    assert (refined[0, 0], refined[150, 150]) == (0.0, 1.0)
    between = (alpha > 0.02) & (alpha < 0.98)
    assert np.array_equal(refined[between], alpha[between])


@pytest.mark.parametrize(("level", "expected"), [(0.0, 0.0), (0.01, 0.0), (0.99, 1.0), (1.0, 1.0)])
def test_nothing_unsure_nothing_run_and_no_haze_left(gives_green: Refiner, level: float, expected: float) -> None:
    refined = gives_green(np.full((200, 300, 3), 90, np.uint8), with_features(np.full((200, 300), level, np.float32)))
    assert refined.dtype == np.float32
    assert refined.min() == refined.max() == expected


@pytest.mark.parametrize(
    ("shape", "soft", "least"),
    [
        ((5, 7), 9, 0.4),
        ((96, 96), 9, 0.4),
        ((200, 331), 9, 0.4),
        ((840, 600), 9, 0.4),
        ((400, 300), 30, 0.4),
        ((97, 193), 9, 0.4),
        ((1000, 1020), 40, 0.8),
    ],
)
def test_paste_back_is_exact(
    gives_back: Refiner, gives_green: Refiner, shape: tuple[int, int], soft: float, least: float
) -> None:
    """The net runs where much is uncertain, and in large pictures where more is."""
    alpha = disc(*shape, radius=min(shape) / 3, soft=soft)
    alpha[alpha < 0.03], alpha[alpha > 0.97] = 0.0, 1.0
    picture = np.random.default_rng(5).integers(10, 256, (*shape, 3), dtype=np.uint8)
    assert np.array_equal(gives_back(picture, with_features(alpha)), alpha)
    green, doubt = gives_green(picture, with_features(alpha)), doubts(alpha)
    cores = list(doubtful_tiles(doubt, least))
    assert cores
    for core in cores:
        window = np.s_[core.top : core.bottom, core.left : core.right]
        free = doubt.share[window] >= 32
        assert free.any()
        assert np.abs(green[window] - picture[..., 1][window] / 255)[free].max() < 1e-6


def test_the_net_changes_nothing_away_from_uncertain_pixels(gives_green: Refiner) -> None:
    """Where the matte is certain all around, a tile's answer (here green, .4) is haze or a hole."""
    alpha = disc(300, 300, radius=90, soft=20)
    refined = gives_green(np.full((300, 300, 3), 102, np.uint8), with_features(alpha))
    share = doubts(alpha).share
    assert np.array_equal(refined[share == 0], np.round(alpha)[share == 0])
    assert np.abs(refined[share >= 128] - 0.4).max() < 1e-6
    assert not ((refined > 0) & (refined < 0.02)).any()


def test_features_fit_the_net_as_bytes_or_floats(tmp_path: Path) -> None:
    levels = Levels(0.5, 10)
    floats = Features(np.array([[[-1.0, 0.2, 130.0]]], np.float32), Window(0, 0, 2, 2))
    stored = stored_as(floats, levels)
    assert stored.values.dtype == np.uint8
    assert stored.values.ravel().tolist() == [8, 10, 255]
    assert stored_as(stored, levels) is stored
    assert stored_as(stored, None).values.ravel().tolist() == [-1.0, 0.0, 122.5]
    assert stored_as(stored, Levels(1.0, 0)).values.ravel().tolist() == [0, 0, 122]
    gives_features = load_refiner(manifest_of(tiny(tmp_path / "f.onnx", "coarse", 0), levels=[0.5, 10]))
    alpha = disc(96, 96, 30, 20)
    assert gives_features(np.zeros((96, 96, 3), np.uint8), with_features(alpha)).shape == (96, 96)


def test_two_threads_give_the_same(astronaut: Rgb) -> None:
    """Every tile is computed once, by whichever thread is free."""
    coarse = load_matte(load_manifest(), AUTO, "cpu", 1).look(astronaut)
    refine = load_refiner(load_manifest(), "net", "cpu", 2)
    with ThreadPoolExecutor(1) as pool:
        assert np.array_equal(refine(astronaut, coarse, pool), refine(astronaut, coarse))


def test_a_tile_gets_the_features_of_its_place() -> None:
    """Of a picture that the net saw shrunk to a third, with a border; each feature holds its own place there."""
    columns, rows = np.meshgrid(np.arange(60, dtype=np.float32), np.arange(50, dtype=np.float32))
    features = Features(np.dstack((columns, rows)), Window(10, 4, 100, 90))
    tile = Window(96, 48, 64, 32)
    found = tile_features(features, tile, Size(300, 270))
    assert found.shape == (2, 16, 32)
    at = np.arange(32) * 2 + 1 + 96  # middle of two picture pixels
    assert np.abs(found[0] - ((10 + at / 3) / 2 - 0.5)).max() < 0.04
    down = np.arange(16)[:, None] * 2 + 1 + 48
    assert np.abs(found[1] - ((4 + down / 3) / 2 - 0.5)).max() < 0.04


@pytest.mark.parametrize("at", [(-8, -8), (40, 24), (70, 60)])
def test_a_tile_of_a_picture_at_its_own_size_gets_a_part_of_the_features(at: tuple[int, int]) -> None:
    """Equal to what the general way gives; beyond the features, the outermost are repeated."""
    planes = np.random.default_rng(0).standard_normal((3, 48, 64)).astype(np.float32)
    features = Features(planes.transpose(1, 2, 0), Window(4, 2, 120, 90))
    tile, picture = Window(*at, 64, 48), Size(120, 90)
    map_back = np.array(((1.0, 0.0, 2 + at[0] / 2), (0.0, 1.0, 1 + at[1] / 2)))
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    values = np.ascontiguousarray(features.values)
    expected = cv2.warpAffine(values, map_back, (32, 24), flags=how, borderMode=cv2.BORDER_REPLICATE)
    assert np.array_equal(tile_features(features, tile, picture), expected.transpose(2, 0, 1))


def test_a_matte_of_another_net_stays_as_it_is(gives_green: Refiner) -> None:
    alpha = disc(300, 200, 60, 8)
    assert gives_green(np.zeros((300, 200, 3), np.uint8), Coarse(alpha, None)) is alpha


def test_inputs_are_left_alone(gives_green: Refiner) -> None:
    alpha = disc(300, 200, 60, 8)
    picture = np.random.default_rng(6).integers(0, 256, (300, 200, 3), dtype=np.uint8)
    kept = alpha.copy(), picture.copy()
    gives_green(picture, with_features(alpha))
    assert np.array_equal(alpha, kept[0])
    assert np.array_equal(picture, kept[1])


def test_a_large_picture_is_refined_smaller_and_grows_back(gives_back: Refiner) -> None:
    alpha = disc(1600, 1200, 400, 60)
    refined = gives_back(np.zeros((1600, 1200, 3), np.uint8), with_features(alpha))
    assert refined.shape == alpha.shape
    assert np.abs(refined - alpha).max() < 0.021  # below .02 it is rounded
    assert refined.min() >= 0.0
    assert refined.max() <= 1.0


def test_none_gives_the_matte_back() -> None:
    alpha = disc(30, 40, 10, 4)
    assert load_refiner(load_manifest(), "none")(np.zeros((30, 40, 3), np.uint8), Coarse(alpha, None)) is alpha


def test_errors(tmp_path: Path) -> None:
    path = tiny(tmp_path / "a.onnx", "coarse", 0)
    with pytest.raises(OptionError, match="net, closed-form, none"):
        load_refiner(manifest_of(path), "closedform")
    with pytest.raises(ModelNameError):
        load_refiner(Manifest(tmp_path, ()), "net")
    for changed in ({"rgb": "red"}, {"mean": "red"}, {"std": None}, {"levels": 3}, {"levels": [0.0, 3]}):
        with pytest.raises(ModelDamagedError):
            load_refiner(manifest_of(path, **changed), "net")
    path.write_bytes(path.read_bytes() + b"x")
    damaged = manifest_of(path)
    path.write_bytes(b"")
    with pytest.raises(ModelDamagedError):
        load_refiner(damaged, "net")


def test_the_unknown_band_lies_around_the_edge() -> None:
    alpha = disc(400, 300, 90, 1)
    band = unknown_band(alpha)
    rows, columns = np.nonzero(band)
    distance = np.hypot(rows - 200, columns - 150)
    assert distance.min() > 80
    assert distance.max() < 100
    assert not unknown_band(np.zeros((50, 50), np.float32)).any()


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_closed_form_leaves_empty_and_full_mattes_alone_without_pymatting(level: float) -> None:
    code = (
        "import sys, numpy as np\n"
        "from idseg.types import Coarse\nfrom idseg.stages.refine import refine_closed_form\n"
        f"alpha = np.full((60, 50), {level}, np.float32)\n"
        "same = np.array_equal(refine_closed_form(np.zeros((60, 50, 3), np.uint8), Coarse(alpha, None)), alpha)\n"
        "sys.exit(0 if same and 'pymatting' not in sys.modules else 1)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_closed_form_gives_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without these limits, a matte that is grey everywhere took more than an hour and ended with an error."""
    picture = np.random.default_rng(8).integers(0, 256, (120, 120, 3), dtype=np.uint8)
    grey = disc(120, 120, 40, 300)
    assert refine_closed_form(picture, Coarse(grey, None)) is grey
    monkeypatch.setattr("idseg.stages.refine._estimate_alpha_cf", lambda image, trimap: None)
    edge = disc(120, 120, 40, 6)
    assert refine_closed_form(picture, Coarse(edge, None)) is edge


@pytest.mark.slow
def test_closed_form_finds_the_edge_of_a_two_coloured_picture() -> None:
    truth = disc(160, 120, 40, 6)
    rng = np.random.default_rng(7)
    colours = truth[..., None] * (200, 60, 40) + (1 - truth[..., None]) * (20, 90, 160)
    picture = np.clip(colours + rng.normal(0, 1, colours.shape), 0, 255).astype(np.uint8)
    coarse = np.roll(disc(160, 120, 41, 14), 1, axis=1)
    refined = refine_closed_form(picture, Coarse(coarse, None))
    assert np.abs(refined - truth).mean() < 0.2 * np.abs(coarse - truth).mean()


@pytest.mark.weights
def test_the_shipped_refiner_changes_the_edge_of_the_astronaut_and_nothing_else(astronaut: Rgb) -> None:
    coarse = load_matte(load_manifest(), AUTO, "cpu", 1).look(astronaut)
    refined = load_refiner(load_manifest(), "net", "cpu", 1)(astronaut, coarse)
    band = unknown_band(coarse.alpha)
    changed = np.abs(refined - coarse.alpha)
    assert 0.005 < changed[band].mean() < 0.1
    assert changed[~band].mean() < 0.001
    assert refined.min() >= 0.0
    assert refined.max() <= 1.0

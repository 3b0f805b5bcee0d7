"""Refiners: the tiling of ours on a net that gives the coarse alpha back; closed form; none."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idseg.errors import ModelDamagedError, ModelNameError, OptionError
from idseg.models.manifest import Manifest, ModelEntry, load_manifest
from idseg.stages.refine import REFINE_MODEL, Refiner, load_refiner, refine_closed_form, unknown_band, unsure_tiles
from tests.models.tiny_onnx import write_channel


def disc(height: int, width: int, radius: float, soft: float) -> npt.NDArray[np.float32]:
    rows, columns = np.mgrid[0:height, 0:width]
    distance = np.hypot(rows - height / 2, columns - width / 2)
    return np.asarray(np.clip((radius - distance) / soft + 0.5, 0.0, 1.0), np.float32)


def manifest_of(path: Path, **changed: object) -> Manifest:
    content = path.read_bytes()
    table: dict[str, object] = {"name": "rgba", "mean": [0.0, 0.0, 0.0], "std": [255.0, 255.0, 255.0]} | changed
    block = ModelEntry(
        REFINE_MODEL,
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
    """Our tiling around a net whose output is its fourth channel: the coarse alpha."""
    return load_refiner(manifest_of(write_channel(tmp_path_factory.mktemp("net") / "a.onnx", "rgba", "alpha", 3)))


@pytest.fixture(scope="module")
def gives_green(tmp_path_factory: pytest.TempPathFactory) -> Refiner:
    """The same around a net whose output is the picture's green: shows where tiles come from and go to."""
    return load_refiner(manifest_of(write_channel(tmp_path_factory.mktemp("net") / "g.onnx", "rgba", "alpha", 1)))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 500), st.integers(1, 500), st.integers(0, 2**32 - 1))
def test_tiles_hold_every_unsure_pixel_once(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    alpha = np.round(rng.random((height, width), np.float32))
    alpha[rng.random((height, width)) < 0.5] = 1.0
    alpha.flat[rng.integers(0, alpha.size)] = 0.5
    seen = np.zeros(alpha.shape, int)
    for core in unsure_tiles(alpha):
        assert core.right <= width
        assert core.bottom <= height
        seen[core.top : core.bottom, core.left : core.right] += 1
    assert seen.max() == 1
    assert seen[(alpha > 0.02) & (alpha < 0.98)].min() == 1


def test_a_sharp_edge_between_two_tiles_counts_for_both() -> None:
    """In the row above and in the row below; and in the columns on both sides."""
    below = np.zeros((192, 64), np.float32)
    below[96:] = 1.0
    assert [core.top for core in unsure_tiles(below)] == [0, 96]
    beside = np.zeros((96, 960), np.float32)
    beside[:, 480:] = 1.0
    (core,) = unsure_tiles(beside)
    assert core.left <= 480 - 16
    assert 480 + 16 <= core.right < 600


def test_tiles_follow_the_edge() -> None:
    """Two strands in one row make two tiles, not one as wide as the picture."""
    alpha = np.zeros((96, 960), np.float32)
    alpha[:, [100, 700]] = 0.5
    cores = list(unsure_tiles(alpha))
    assert [core.left <= at < core.right for core, at in zip(cores, (100, 700), strict=True)] == [True, True]
    assert sum(core.width for core in cores) < 200


@pytest.mark.parametrize(("level", "expected"), [(0.0, 0.0), (0.01, 0.0), (0.99, 1.0), (1.0, 1.0)])
def test_nothing_unsure_nothing_run_and_no_haze_left(gives_green: Refiner, level: float, expected: float) -> None:
    refined = gives_green(np.full((200, 300, 3), 90, np.uint8), np.full((200, 300), level, np.float32))
    assert refined.dtype == np.float32
    assert refined.min() == refined.max() == expected


@pytest.mark.parametrize("shape", [(5, 7), (96, 96), (200, 331), (840, 600), (97, 193)])
def test_paste_back_is_exact(gives_back: Refiner, gives_green: Refiner, shape: tuple[int, int]) -> None:
    alpha = disc(*shape, radius=min(shape) / 3, soft=9)
    picture = np.random.default_rng(5).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert np.array_equal(gives_back(picture, alpha), alpha)
    green = gives_green(picture, alpha)
    for core in unsure_tiles(alpha):
        window = np.s_[core.top : core.bottom, core.left : core.right]
        assert np.abs(green[window] - picture[..., 1][window] / 255).max() < 1e-6


def test_inputs_are_left_alone(gives_green: Refiner) -> None:
    alpha = disc(300, 200, 60, 8)
    picture = np.random.default_rng(6).integers(0, 256, (300, 200, 3), dtype=np.uint8)
    kept = alpha.copy(), picture.copy()
    gives_green(picture, alpha)
    assert np.array_equal(alpha, kept[0])
    assert np.array_equal(picture, kept[1])


def test_a_large_picture_is_refined_smaller_and_grows_back(gives_back: Refiner) -> None:
    alpha = disc(1600, 1200, 400, 60)
    refined = gives_back(np.zeros((1600, 1200, 3), np.uint8), alpha)
    assert refined.shape == alpha.shape
    assert np.abs(refined - alpha).max() < 0.01
    assert refined.min() >= 0.0
    assert refined.max() <= 1.0


def test_none_gives_the_matte_back() -> None:
    alpha = disc(30, 40, 10, 4)
    assert load_refiner(load_manifest(), "none")(np.zeros((30, 40, 3), np.uint8), alpha) is alpha


def test_errors(tmp_path: Path) -> None:
    path = write_channel(tmp_path / "a.onnx", "rgba", "alpha", 3)
    with pytest.raises(OptionError, match="net, closed-form, none"):
        load_refiner(manifest_of(path), "closedform")
    with pytest.raises(ModelNameError):
        load_refiner(Manifest(tmp_path, ()), "net")
    for changed in ({"name": "rgb"}, {"mean": "red"}, {"std": None}):
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
        "import sys, numpy as np\nfrom idseg.stages.refine import refine_closed_form\n"
        f"alpha = np.full((60, 50), {level}, np.float32)\n"
        "same = np.array_equal(refine_closed_form(np.zeros((60, 50, 3), np.uint8), alpha), alpha)\n"
        "sys.exit(0 if same and 'pymatting' not in sys.modules else 1)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_closed_form_finds_the_edge_of_a_two_coloured_picture() -> None:
    truth = disc(160, 120, 40, 6)
    rng = np.random.default_rng(7)
    colours = truth[..., None] * (200, 60, 40) + (1 - truth[..., None]) * (20, 90, 160)
    picture = np.clip(colours + rng.normal(0, 1, colours.shape), 0, 255).astype(np.uint8)
    coarse = np.roll(disc(160, 120, 41, 14), 1, axis=1)
    refined = refine_closed_form(picture, coarse)
    assert np.abs(refined - truth).mean() < 0.2 * np.abs(coarse - truth).mean()


@pytest.mark.weights
def test_the_shipped_refiner_sharpens_a_blurred_matte() -> None:
    truth = disc(480, 360, 120, 3)
    picture = np.asarray(truth[..., None] * (70, 50, 40) + (1 - truth[..., None]) * (180, 190, 200), np.uint8)
    coarse = disc(480, 360, 120, 12)
    refined = load_refiner(load_manifest(), "net", "cpu", 1)(picture, coarse)
    assert np.abs(refined - truth).mean() < 0.6 * np.abs(coarse - truth).mean()

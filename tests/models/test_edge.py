"""The second file of the coarse net: where it runs, and what stands in the places where it does not."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idseg.errors import ModelDamagedError
from idseg.models.edge import EdgeNet, unsure_tiles
from idseg.models.levels import stored_as
from idseg.models.manifest import ModelEntry, load_manifest
from idseg.stages.matte import load_matte
from idseg.types import Rgb

NAMES = {"rgb": "rgb", "deep": "deep", "early": "early"}
NETS = ("portrait-coarse-int8", "portrait-coarse")
OUTPUT = {"name": "alpha", "features": "features", "channels": 2}


class Copies:
    """A net whose alpha is the red channel, and whose features are two channels of ``early``."""

    def __init__(self) -> None:
        self.path, self.provider = Path("copies.onnx"), "cpu"
        self.inputs: tuple[str, ...] = ("rgb", "deep", "early")
        self.outputs: tuple[str, ...] = ("alpha", "features")
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        rgb, deep, early = (feeds[name] for name in self.inputs)
        height, width = rgb.shape[2:]
        assert deep.shape[2:] == (height // 4, width // 4)
        assert early.shape[2:] == (height // 2, width // 2)
        self.shapes.append((height, width))
        return {"alpha": rgb[:, :1], "features": early[:, :2].astype(np.float32)}


def entry(**output: object) -> ModelEntry:
    return ModelEntry("edge", "matting-edge", Path("edge.onnx"), "", 0, "a test", "CC0-1.0", NAMES, OUTPUT | output)


def disc(height: int, width: int, radius: float) -> npt.NDArray[np.float32]:
    """A guess: a soft disc in the middle of (H, W)."""
    rows, columns = np.mgrid[0:height, 0:width]
    distance = np.hypot(rows - height / 2, columns - width / 2)
    return np.asarray(1.0 / (1.0 + np.exp(np.clip(distance - radius, -30, 30))), np.float32)


def inputs(height: int, width: int) -> tuple[npt.NDArray[np.float32], dict[str, npt.NDArray[np.uint8]]]:
    rng = np.random.default_rng(0)
    deep, early = (rng.integers(0, 255, (1, 3, height // n, width // n)).astype(np.uint8) for n in (4, 2))
    return rng.random((1, 3, height, width)).astype(np.float32), {"deep": deep, "early": early}


def test_along_the_edge_the_result_is_the_nets_and_elsewhere_the_guess() -> None:
    guess, net = disc(160, 128, 50.0), Copies()
    rgb, first = inputs(320, 256)
    alpha, features = EdgeNet(net, entry())(rgb, first, guess)
    computed = np.zeros((320, 256), bool)
    for tile in unsure_tiles(guess):
        computed[tile.top : tile.bottom, tile.left : tile.right] = True
    assert 0.2 < computed.mean() < 0.8
    assert np.array_equal(alpha[computed], rgb[0, 0][computed])
    whole = np.repeat(np.repeat(guess > 0.5, 2, axis=0), 2, axis=1)
    assert np.array_equal(alpha[~computed], whole[~computed].astype(np.float32))
    halves = computed[::2, ::2]
    assert np.array_equal(features[:, halves], first["early"][0, :2][:, halves])
    middle = features[:, 80, 64]  # not computed: the nearest computed column of its row
    left = np.flatnonzero(halves[80, :64])[-1]
    assert not halves[80, 64]
    assert np.array_equal(middle, features[:, 80, left])
    assert np.all(features[:, 0] == features[:, np.flatnonzero(halves.any(axis=1))[0]])


def test_a_second_thread_changes_nothing() -> None:
    guess = disc(200, 160, 60.0)
    rgb, first = inputs(400, 320)
    alone = EdgeNet(Copies(), entry())(rgb, first, guess)
    with ThreadPoolExecutor(1) as pool:
        helped = EdgeNet(Copies(), entry())(rgb, first, guess, pool)
    assert np.array_equal(alone.alpha, helped.alpha)
    assert np.array_equal(alone.features, helped.features)


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_a_certain_guess_needs_no_net(level: float) -> None:
    net = Copies()
    rgb, first = inputs(64, 96)
    alpha, features = EdgeNet(net, entry())(rgb, first, np.full((32, 48), level, np.float32))
    assert net.shapes == []
    assert np.all(alpha == level)
    assert features.shape == (2, 32, 48)


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 9))
def test_tiles_hold_every_doubt_and_every_change_and_do_not_overlap(seed: int, rows: int, columns: int) -> None:
    rng = np.random.default_rng(seed)
    coarse = rng.choice([0.0, 0.3, 1.0], (rows, columns), p=[0.6, 0.1, 0.3]).astype(np.float32)
    guess = np.asarray(cv2.resize(coarse, (16 * columns, 16 * rows), interpolation=cv2.INTER_NEAREST), np.float32)
    count = np.zeros((32 * rows, 32 * columns), np.int64)
    for tile in unsure_tiles(guess):
        assert all(side % 4 == 0 for side in tile)
        count[tile.top : tile.bottom, tile.left : tile.right] += 1
    assert count.max(initial=0) <= 1
    around = np.ones((3, 3), np.uint8)
    changes = cv2.dilate(guess, around) != cv2.erode(guess, around)
    doubts = ((guess > 0.1) & (guess < 0.9)) | changes
    assert np.all(count[::2, ::2][doubts] == 1)


@pytest.mark.weights
def test_the_shipped_nets_bytes_stand_for_the_float_nets_features(astronaut: Rgb) -> None:
    """In uncertain places, where both nets compute them."""
    integers, floats = (load_matte(load_manifest(), name, "cpu", 1).look(astronaut) for name in NETS)
    assert integers.features is not None
    assert floats.features is not None
    assert integers.features.values.dtype == np.uint8
    found, exact = stored_as(integers.features, None).values, floats.features.values
    alpha = cv2.resize(floats.alpha, exact.shape[1::-1], interpolation=cv2.INTER_AREA)
    unsure = (alpha > 0.1) & (alpha < 0.9)
    assert np.abs(found - exact)[unsure].mean() < 0.25 * np.abs(exact)[unsure].mean()


@pytest.mark.parametrize("wrong", [{"channels": "many"}, {"name": "beta"}, {"levels": 1}, {"levels": [1.0, 300]}])
def test_a_file_that_does_not_fit_its_block_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ModelDamagedError):
        EdgeNet(Copies(), entry(**wrong))

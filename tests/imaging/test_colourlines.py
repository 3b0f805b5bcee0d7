"""What a picture's colours say about a matte."""

import cv2
import numpy as np
import pytest

from idseg.imaging.colourlines import PLANES, Evidence, Scaled, first_change
from tests.drawn_hair import HAIR, SIDE, WALL, Bytes, Floats, error, photo, soft, strands


def said(rgb: Bytes, alpha: Floats) -> Evidence:
    found = evidence(rgb, alpha)
    assert found is not None
    return found


def evidence(rgb: Bytes, alpha: Floats) -> Evidence | None:
    scaled = Scaled.high(rgb, alpha)
    return Evidence.of(scaled, first_change(scaled))


def own(found: Evidence, plane: int) -> Floats:
    """A plane without halos."""
    return found.cells.inner(found.planes[plane])


def test_the_planes_belong_to_the_pixels_of_the_cells() -> None:
    truth = strands()
    found = said(photo(truth), soft(truth))
    assert found.planes.shape == (PLANES, *found.cells.pixels.shape)
    assert found.planes.dtype == np.float32
    small = cv2.resize(soft(truth), found.cells.size, interpolation=cv2.INTER_AREA)
    assert np.abs(own(found, 0) - found.cells.read_own(small)).mean() < 0.005


def test_a_certain_matte_needs_no_evidence() -> None:
    alpha = np.zeros((240, 320), np.float32)
    alpha[100:200] = 1.0
    assert evidence(np.full((240, 320, 3), 90, np.uint8), alpha) is None


def test_the_steps_and_the_place_between_the_colours_come_nearer_to_the_truth() -> None:
    truth = strands()
    found = said(photo(truth), soft(truth))
    true = found.cells.read_own(cv2.resize(truth, found.cells.size, interpolation=cv2.INTER_AREA))
    guess = own(found, 0)
    assert error(guess + own(found, 1), true) < 0.95 * error(guess, true)
    assert error(guess + own(found, 2), true) < 0.85 * error(guess, true)
    assert error(np.clip(own(found, 3), 0.0, 1.0), true) < 0.1 * error(guess, true)


def test_only_uncertain_pixels_and_those_beside_them_may_change() -> None:
    truth = strands(2)
    found = said(photo(truth), soft(truth))
    small = np.asarray(cv2.resize(soft(truth), found.cells.size, interpolation=cv2.INTER_AREA), np.float32)
    sure = cv2.erode(((small < 0.01) | (small > 0.99)).astype(np.uint8), np.ones((5, 5), np.uint8))
    assert set(np.unique(found.free)) == {0.0, 1.0}
    assert (found.free[found.cells.read(sure) == 1] == 0).all()
    assert (found.planes[1:3][:, found.free == 0] == 0).all()


def test_distances_are_those_of_the_colours() -> None:
    """Before a plain wall, person and background have one colour each; the line between them is their distance."""
    truth = strands(1)
    found = said(photo(truth, noise=0.0), soft(truth))
    length = float(np.linalg.norm(np.subtract(HAIR, WALL)) / 255)
    assert np.median(own(found, 4)) < 0.01  # beside the line
    assert np.median(own(found, 5)) == pytest.approx(length, abs=0.02)
    assert np.median(own(found, 6)) < 0.02  # the wall's own deviation
    assert np.median(np.abs(own(found, 7) + own(found, 8) - own(found, 5))) < 0.02


def test_a_busy_background_deviates_more() -> None:
    truth = strands(4)
    guess, plain = soft(truth), photo(truth)
    spots = np.random.default_rng(5).integers(0, 256, (SIDE // 12, SIDE // 12, 3)).astype(np.uint8)
    many = cv2.resize(spots, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    busy = (truth[..., None] * plain + (1 - truth[..., None]) * many).astype(np.uint8)
    calm, wild = (np.median(own(said(rgb, guess), 6)) for rgb in (plain, busy))
    assert wild > 5 * calm


def test_the_change_of_the_lower_resolution_is_where_the_steps_start() -> None:
    truth = strands()
    scaled = Scaled.high(photo(truth), soft(truth))
    ways = [np.full((5, 5), change, np.float32) for change in (-0.2, 0.0, 0.2)]
    less, none, more = (Evidence.of(scaled, way) for way in ways)
    assert less is not None and none is not None and more is not None  # noqa: PT018
    assert (own(none, 1) == 0).all()
    assert (own(less, 1) <= 0).all() and own(less, 1).min() == pytest.approx(-0.2)  # noqa: PT018
    assert own(less, 2).mean() < own(none, 2).mean() < own(more, 2).mean()


def test_the_shares_of_uncertain_pixels_are_counted_near_by_and_farther_around() -> None:
    alpha = np.zeros((300, 300), np.float32)
    alpha[:, 140:160] = 0.5
    found = said(np.full((300, 300, 3), 90, np.uint8), alpha)
    middle = found.cells.read(np.asarray(alpha > 0)) & (found.free == 1)
    near, far = (found.planes[plane][middle].max() for plane in (10, 11))
    assert near == pytest.approx(1.0)
    assert far == pytest.approx(20 / 31, abs=0.05)


def test_the_same_picture_gives_the_same_planes() -> None:
    truth = strands(1)
    first, second = (said(photo(truth), soft(truth)).planes for _ in range(2))
    assert (first == second).all()


@pytest.mark.parametrize("level", [0.5, 0.97, 0.03])
def test_without_a_certain_pixel_the_planes_are_finite(level: float) -> None:
    found = said(photo(strands()), np.full((SIDE, SIDE), level, np.float32))
    assert np.isfinite(found.planes).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (5, 5), (1, 100_001), (100_001, 1), (9, 12_000), (30_000, 5)])
def test_small_and_narrow_pictures(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    alpha = random.random(shape).astype(np.float32)
    found = evidence(random.integers(0, 256, (*shape, 3)).astype(np.uint8), alpha)
    assert found is None or np.isfinite(found.planes).all()


@pytest.mark.parametrize("seed", range(8))
def test_any_picture_gives_planes_in_their_ranges(seed: int) -> None:
    random = np.random.default_rng(seed)
    shape = tuple(int(side) for side in random.integers(320, 700, 2))
    spots = random.integers(0, 256, (*(side // 7 + 1 for side in shape), 3)) // 255 * 255
    rgb = np.asarray(
        cv2.resize(spots.astype(np.uint8), shape[::-1], interpolation=int(random.integers(0, 3))), np.uint8
    )
    alpha = np.asarray(cv2.blur((random.random(shape) < 0.5).astype(np.float32), (9, 9)), np.float32)
    alpha[: shape[0] // 3], alpha[-shape[0] // 3 :] = 0.0, 1.0
    found = said(rgb, alpha)
    assert np.isfinite(found.planes).all()
    for change in found.planes[1:3]:
        assert ((found.planes[0] + change) >= -1e-6).all()
        assert ((found.planes[0] + change) <= 1 + 1e-6).all()
    assert found.planes[3].min() >= -0.5
    assert found.planes[3].max() <= 1.5
    assert found.planes[4:].min() >= 0.0
    assert found.planes[10:].max() <= 1.0 + 1e-5

"""A matte that follows the picture's colours where it is in doubt."""

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from idseg.imaging.colourlines import along_colours

SIDE = 480
HAIR, WALL = (60, 40, 30), (190, 200, 210)
Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]


def strands(seed: int = 0) -> Floats:
    """The true alpha of a head, with strands and gaps around it."""
    random = np.random.default_rng(seed)
    drawn = np.zeros((SIDE * 4, SIDE * 4), np.uint8)
    middle = SIDE * 2
    cv2.circle(drawn, (middle, middle), SIDE, 255, -1)
    for angle in np.linspace(0, 2 * np.pi, 160):
        length, bend = SIDE * random.uniform(1.1, 1.5), random.uniform(-0.2, 0.2)
        start, end = (
            (int(middle + r * np.cos(a)), int(middle + r * np.sin(a)))
            for r, a in ((SIDE, angle), (length, angle + bend))
        )
        cv2.line(drawn, start, end, 255, int(random.integers(4, 12)), cv2.LINE_AA)
    return (cv2.resize(drawn, (SIDE, SIDE), interpolation=cv2.INTER_AREA) / 255).astype(np.float32)


def soft(alpha: Floats) -> Floats:
    """What a net makes of it: a wide grey band instead of strands."""
    return np.asarray(cv2.blur(alpha, (25, 25)), np.float32)


def photo(alpha: Floats, hair: tuple[int, ...] = HAIR, wall: tuple[int, ...] = WALL, noise: float = 1.0) -> Bytes:
    colours = alpha[..., None] * np.array(hair) + (1 - alpha[..., None]) * np.array(wall)
    colours += np.random.default_rng(9).normal(0, noise, colours.shape)
    return np.asarray(np.clip(colours + 0.5, 0, 255), np.uint8)


def error(alpha: Floats, truth: Floats) -> float:
    return float(np.abs(alpha - truth).mean())


def test_strands_are_drawn_and_gaps_open() -> None:
    truth = strands()
    guess = soft(truth)
    rgb = photo(truth)
    kept = guess.copy(), rgb.copy()
    found = along_colours(rgb, guess)
    assert found.shape == truth.shape
    assert found.dtype == np.float32
    assert error(found, truth) < 0.65 * error(guess, truth)
    assert (guess == kept[0]).all()
    assert (rgb == kept[1]).all()


def test_the_same_picture_gives_the_same_matte() -> None:
    truth = strands(1)
    assert (along_colours(photo(truth), soft(truth)) == along_colours(photo(truth), soft(truth))).all()


def test_a_part_that_is_certain_stays() -> None:
    truth = strands(2)
    guess = soft(truth)
    sure = cv2.erode(((guess == 0) | (guess == 1)).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert (along_colours(photo(truth), guess)[sure] == guess[sure]).all()


def test_an_ordinary_edge_hardly_changes() -> None:
    """Nets draw it well. Its band is narrow."""
    truth = np.zeros((SIDE, SIDE), np.float32)
    cv2.circle(truth, (SIDE // 2, SIDE // 2), SIDE // 3, 1.0, -1)
    guess = np.asarray(cv2.blur(truth, (3, 3)), np.float32)
    found = along_colours(photo(truth, noise=3.0), guess)
    assert error(found, guess) < 0.1 * error(guess, truth)
    assert error(found, truth) < error(guess, truth)


def test_without_contrast_nothing_changes() -> None:
    truth = strands(3)
    guess = soft(truth)
    assert (along_colours(photo(truth, HAIR, (66, 44, 34)), guess) == guess).all()


def test_before_a_background_of_many_colours_less_changes() -> None:
    truth = strands(4)
    guess, plain = soft(truth), photo(truth)
    spots = np.random.default_rng(5).integers(0, 256, (SIDE // 12, SIDE // 12, 3)).astype(np.uint8)
    many = cv2.resize(spots, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    busy = (truth[..., None] * plain + (1 - truth[..., None]) * many).astype(np.uint8)
    calm, moved = (np.abs(along_colours(rgb, guess) - guess).mean() for rgb in (plain, busy))
    assert moved < 0.5 * calm


def test_alpha_that_is_nearly_nothing_becomes_background() -> None:
    truth = strands()
    found = along_colours(photo(truth), soft(truth))
    assert not ((found > 0) & (found < 0.02)).any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (5, 5), (1, 100_001), (100_001, 1), (9, 12_000), (30_000, 5)])
def test_small_and_narrow_pictures(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    alpha = random.random(shape).astype(np.float32)
    found = along_colours(random.integers(0, 256, (*shape, 3)).astype(np.uint8), alpha)
    assert found.shape == shape
    assert np.isfinite(found).all()


@pytest.mark.parametrize("seed", range(8))
def test_any_picture_gives_alpha_from_0_to_1(seed: int) -> None:
    random = np.random.default_rng(seed)
    shape = tuple(int(side) for side in random.integers(320, 700, 2))
    spots = random.integers(0, 256, (*(side // 7 + 1 for side in shape), 3)) // 255 * 255
    rgb = np.asarray(
        cv2.resize(spots.astype(np.uint8), shape[::-1], interpolation=int(random.integers(0, 3))), np.uint8
    )
    alpha = np.asarray(cv2.blur((random.random(shape) < 0.5).astype(np.float32), (9, 9)), np.float32)
    alpha[: shape[0] // 3], alpha[-shape[0] // 3 :] = 0.0, 1.0
    found = along_colours(rgb, alpha)
    assert np.isfinite(found).all()
    assert found.min() >= 0.0
    assert found.max() <= 1.0

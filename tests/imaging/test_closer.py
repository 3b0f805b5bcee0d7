"""The mean of a matte and of a closer one, where a third opinion allows it."""

import numpy as np
import numpy.typing as npt
import pytest

from idseg.imaging.bounds import LowResolution
from idseg.imaging.closer import averaged

SIDE = 400
PLACE = np.s_[150:250, 150:250]
"""Far from the person's edge."""
MIDDLE = np.s_[190:210, 190:210]


def person(size: int = SIDE, place: float = 1.0) -> npt.NDArray[np.float32]:
    """A person in all but the outer tenth, with another alpha in PLACE."""
    alpha = np.zeros((size, size), np.float32)
    alpha[size // 10 : -size // 10, size // 10 : -size // 10] = 1.0
    side = size // 8
    alpha[size // 2 - side : size // 2 + side, size // 2 - side : size // 2 + side] = place
    return alpha


def seen(place: float) -> LowResolution:
    return LowResolution.of(person(SIDE // 4, place))


def test_equal_mattes_stay_as_they_are() -> None:
    alpha = np.random.default_rng(0).random((SIDE, SIDE)).astype(np.float32)
    assert np.array_equal(averaged(alpha, alpha.copy(), seen(1.0)), alpha)


def test_strands_in_other_places_are_averaged() -> None:
    stripes = np.where(np.arange(SIDE) % 4 < 2, 0.9, 0.1).astype(np.float32)[None].repeat(SIDE, axis=0)
    mean = averaged(stripes, np.roll(stripes, 1, axis=1), seen(0.0))[PLACE]
    assert set(np.unique(mean.round(3))) == {np.float32(0.1), np.float32(0.5), np.float32(0.9)}


@pytest.mark.parametrize("place", [0.0, 1.0])
def test_a_place_that_only_the_closer_matte_sees_otherwise_stays(place: float) -> None:
    """A sleeve that it loses, or a chair that it takes for the person."""
    alpha = person(place=place)
    assert np.array_equal(averaged(alpha, person(place=1.0 - place), seen(place))[MIDDLE], alpha[MIDDLE])


@pytest.mark.parametrize("place", [0.0, 1.0])
def test_a_place_where_the_first_matte_is_alone_comes_into_doubt(place: float) -> None:
    mean = averaged(person(place=place), person(place=1.0 - place), seen(1.0 - place))
    assert mean[MIDDLE] == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_an_amount_between_the_other_two_counts(place: float) -> None:
    mean = averaged(person(place=0.0), person(place=place), seen(1.0))
    assert mean[MIDDLE] == pytest.approx(place / 2, abs=1e-6)


def test_with_two_low_resolution_mattes_each_may_agree() -> None:
    both = LowResolution.of(person(SIDE // 4, 0.0), person(SIDE // 4, 1.0))
    assert averaged(person(place=0.0), person(place=1.0), both)[MIDDLE] == pytest.approx(0.5, abs=1e-6)


def test_the_inputs_stay_as_they_are() -> None:
    alpha, closer = person(place=0.2), person(place=0.3)
    copies = alpha.copy(), closer.copy()
    assert not np.array_equal(averaged(alpha, closer, seen(0.2)), alpha)
    assert np.array_equal(alpha, copies[0])
    assert np.array_equal(closer, copies[1])


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (37, 53)])
def test_any_two_sizes_will_do(shape: tuple[int, int]) -> None:
    alpha = np.random.default_rng(0).random(shape).astype(np.float32)
    mean = averaged(alpha, 1 - alpha, seen(1.0))
    assert mean.shape == shape
    assert mean.dtype == np.float32
    assert 0 <= mean.min() <= mean.max() <= 1

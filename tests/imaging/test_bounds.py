"""The full-resolution matte, corrected by the low-resolution one."""

import numpy as np
import numpy.typing as npt
import pytest

from idseg.imaging.bounds import LowResolution, bounded, settled

SIDE = 400
MIDDLE = np.s_[50:-50, SIDE // 2 - 40 : SIDE // 2 + 40]
"""Rows and columns of strands far from the person and from the background."""


def strands(low: float, high: float) -> npt.NDArray[np.float32]:
    """A person in the left quarter, background in the right one, and between them stripes 4 px wide of two alphas."""
    alpha = np.zeros((SIDE, SIDE), np.float32)
    alpha[:, : SIDE // 4] = 1.0
    alpha[:, SIDE // 4 : SIDE // 4 * 3] = np.where(np.arange(SIDE // 2) % 8 < 4, high, low)
    return alpha


def seen(between: float) -> LowResolution:
    """The same at a quarter of the size, with one alpha instead of the stripes."""
    alpha = np.zeros((SIDE // 4, SIDE // 4), np.float32)
    alpha[:, : SIDE // 16] = 1.0
    alpha[:, SIDE // 16 : SIDE // 16 * 3] = between
    return LowResolution.of(alpha)


@pytest.mark.parametrize(("between", "mean"), [(0.0, 0.0), (0.16, 0.2), (0.94, 0.8), (1.0, 1.0)])
def test_the_low_resolution_says_how_much_and_the_full_resolution_where(between: float, mean: float) -> None:
    after = settled(strands(0.1, 0.7), seen(between))[MIDDLE]
    assert after.mean() == pytest.approx(mean, abs=0.02)
    if 0 < mean < 1:
        contrast = np.abs(after[:, :4].mean() - after[:, 4:8].mean())
        assert contrast > 0.15


@pytest.mark.parametrize("between", [0.4, 0.6, 0.7])
def test_a_low_resolution_that_is_in_doubt_changes_nothing(between: float) -> None:
    before = strands(0.1, 0.7)
    assert np.array_equal(settled(before, seen(between))[MIDDLE], before[MIDDLE])


@pytest.mark.parametrize("between", [0.0, 1.0])
def test_gaps_between_strands_stay_open(between: float) -> None:
    before = strands(0.0, 0.6)
    after = settled(before, seen(between))
    assert not after[before == 0.0].any()
    assert (after[before > 0.0] > before[before > 0.0]).any() == (between == 1.0)


def test_a_person_without_uncertain_pixels_stays() -> None:
    before = strands(0.0, 1.0)
    assert np.array_equal(settled(before, seen(0.0))[MIDDLE], before[MIDDLE])


def test_the_input_stays_as_it_is() -> None:
    before = strands(0.1, 0.7)
    copy = before.copy()
    assert settled(before, seen(0.0)) is not before
    assert np.array_equal(before, copy)


@pytest.mark.parametrize("shape", [(SIDE, 3), (3, SIDE), (SIDE // 4, SIDE // 4), (90, 110)])
def test_any_two_sizes_will_do(shape: tuple[int, int]) -> None:
    after = settled(np.full(shape, 0.5, np.float32), seen(0.0))
    assert after.shape == shape
    assert after.min() >= 0.0
    assert after.max() <= 1.0


def test_only_what_two_mattes_agree_on_is_taken_away() -> None:
    alpha = np.zeros((SIDE, SIDE), np.float32)
    alpha[:, : SIDE // 2] = 0.9
    background = np.zeros((SIDE // 4, SIDE // 4), np.float32)
    person = np.asarray(alpha[::4, ::4])
    away = np.s_[:, : SIDE // 4]
    assert not bounded(alpha, LowResolution.of(background))[away].any()
    assert not bounded(alpha, LowResolution.of(background, background[::2, ::2]))[away].any()
    assert bounded(alpha, LowResolution.of(background, person))[away].min() == np.float32(0.9)
    assert settled(alpha, LowResolution.of(background, person))[away].min() == np.float32(0.9)

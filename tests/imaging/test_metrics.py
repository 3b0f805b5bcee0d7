"""The errors of a matte: properties, and numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from idseg.imaging.metrics import gradient, matte_errors


def disc(side: int = 64, radius: float = 20.0, soft: float = 4.0) -> npt.NDArray[np.float32]:
    rows, columns = np.mgrid[0:side, 0:side] - side / 2
    return np.asarray(np.clip((radius - np.hypot(rows, columns)) / soft + 0.5, 0.0, 1.0), np.float32)


def test_the_truth_has_no_error() -> None:
    errors = matte_errors(disc(), disc())
    assert (errors.mad, errors.mse, errors.grad, errors.sad, errors.conn) == (0.0, 0.0, 0.0, 0.0, 0.0)


def test_a_constant_offset_by_hand() -> None:
    truth = np.zeros((40, 50), np.float32)
    errors = matte_errors(truth + np.float32(0.25), truth)
    assert errors.mad == pytest.approx(0.25)
    assert errors.mse == pytest.approx(0.0625)
    assert errors.sad == pytest.approx(40 * 50 * 0.25 / 1000)
    assert errors.grad == pytest.approx(0.0, abs=1e-12)  # a constant has no gradient, borders included


def test_only_the_mask_counts() -> None:
    truth = disc()
    alpha = truth.copy()
    alpha[:8, :8] += 0.5  # wrong only in a corner
    mask = np.zeros(truth.shape, bool)
    mask[20:40, 20:40] = True
    assert matte_errors(alpha, truth, mask).sad == 0.0
    mask[:8, :8] = True
    assert matte_errors(alpha, truth, mask).sad == pytest.approx(64 * 0.5 / 1000)
    assert matte_errors(alpha, truth, mask).mad == pytest.approx(64 * 0.5 / mask.sum())


def test_the_gradient_of_a_ramp_is_its_slope_times_the_kernels_gain() -> None:
    # On a ramp a x, convolution with bell(y) slope(x) gives a * sum(bell) * sum(-x slope): the same everywhere.
    ramp = np.asarray(np.tile(np.arange(64) / 64, (64, 1)), np.float32)
    inner = gradient(ramp)[16:-16, 16:-16]
    assert inner.std() < 1e-9
    assert gradient(ramp + ramp)[32, 32] == pytest.approx(2 * inner.mean())
    # Worked out apart from the code: x = -4..4, sigma 1.4, both kernels over their Euclidean norms.
    x = np.arange(-4, 5)
    bell = np.exp(-(x**2) / (2 * 1.4**2))
    slope = x * bell
    gain = bell.sum() * (x * slope).sum() / np.linalg.norm(np.outer(bell, slope))
    assert inner.mean() == pytest.approx(gain / 64, rel=1e-6)


def test_the_gradient_error_sees_blur_that_the_mean_hardly_sees() -> None:
    sharp, blurred = disc(soft=2.0), disc(soft=8.0)
    assert matte_errors(blurred, sharp).grad > 10 * matte_errors(disc(soft=2.2), sharp).grad


def test_connectivity_punishes_an_island_more_than_the_same_error_at_the_edge() -> None:
    truth = disc(radius=16)
    island = truth.copy()
    island[2:8, 2:8] = 1.0
    errors = matte_errors(island, truth)
    # 36 pixels, each fully disconnected: the level where both hang together is 0, so each counts 1.
    assert errors.conn == pytest.approx(36 / 1000)
    # A slightly wrong edge stays below the slack of .15 everywhere and costs nothing.
    edge = np.clip(truth + 0.04 * ((truth > 0.1) & (truth < 0.9)), 0, 1).astype(np.float32)
    assert matte_errors(edge, truth).conn < 0.1 * errors.conn


def test_wrong_shapes_and_empty_masks_are_refused() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        matte_errors(disc(64), disc(48))
    with pytest.raises(ValueError, match="empty"):
        matte_errors(disc(), disc(), np.zeros((64, 64), bool))

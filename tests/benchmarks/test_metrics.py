"""idseg.imaging.metrics against a second implementation, written here from the paper's definitions with SciPy and plain
loops.

Rhemann, Rother, Wang, Gelautz, Kohli, Rott: "A Perceptually Motivated Online Benchmark for Image Matting", CVPR 2009:
Grad is the sum of squared differences of the magnitudes of alpha filtered with first-order Gaussian derivatives (sigma
1.4); Conn compares each pixel's rise above the threshold at which it leaves the largest region that both mattes share.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage  # type: ignore[import-untyped, unused-ignore]

from idseg.imaging.metrics import matte_errors
from tests.cloud.compare.scene import matte

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

SIGMA = 1.4
THETA = 0.15


def derivative_kernel() -> Floats:
    """The two-dimensional kernel for d/dx, cut where a Gaussian falls below 1 %, with unit Euclidean norm."""
    half = math.ceil(SIGMA * math.sqrt(-2 * math.log(math.sqrt(2 * math.pi) * SIGMA * 0.01)))
    side = 2 * half + 1
    kernel = np.zeros((side, side))
    for row in range(side):
        for column in range(side):
            y, x = row - half, column - half
            bell = math.exp(-(x * x) / (2 * SIGMA**2)) / (SIGMA * math.sqrt(2 * math.pi))
            across = math.exp(-(y * y) / (2 * SIGMA**2)) / (SIGMA * math.sqrt(2 * math.pi))
            kernel[row, column] = across * (-x * bell / SIGMA**2)
    return kernel / math.sqrt(float((kernel**2).sum()))


def slow_gradient(alpha: Floats) -> Floats:
    kernel = derivative_kernel()
    across = ndimage.convolve(alpha, kernel, mode="nearest")
    down = ndimage.convolve(alpha, kernel.T, mode="nearest")
    return np.asarray(np.sqrt(across**2 + down**2))


def slow_conn(alpha: Floats, truth: Floats, counted: Mask) -> float:
    level = np.full(truth.shape, -1.0)
    for step in range(1, 11):
        threshold = step / 10
        labels, count = ndimage.label((alpha >= threshold) & (truth >= threshold))  # 4-connected
        shared = np.zeros(truth.shape, bool)
        if count:
            sizes = ndimage.sum_labels(np.ones(truth.shape), labels, range(1, count + 1))
            shared = labels == 1 + int(np.argmax(sizes))
        level[(level == -1) & ~shared] = (step - 1) / 10
    level[level == -1] = 1.0
    total = 0.0
    for row, column in zip(*np.nonzero(counted), strict=True):
        phi = []
        for value in (truth[row, column], alpha[row, column]):
            rise = value - level[row, column]
            phi.append(1 - rise if rise >= THETA else 1.0)
        total += abs(phi[0] - phi[1])
    return total / 1000


def compare(alpha: npt.NDArray[np.float32], truth: npt.NDArray[np.float32], mask: Mask | None) -> None:
    counted = np.ones(truth.shape, bool) if mask is None else mask
    a, t = alpha.astype(np.float64), truth.astype(np.float64)
    off = [abs(x - y) for x, y in zip(a[counted].tolist(), t[counted].tolist(), strict=True)]
    errors = matte_errors(alpha, truth, mask)
    assert errors.sad == pytest.approx(math.fsum(off) / 1000, abs=1e-6)
    assert errors.mad == pytest.approx(math.fsum(off) / len(off), abs=1e-6)
    assert errors.mse == pytest.approx(math.fsum(x * x for x in off) / len(off), abs=1e-6)
    grad = float(((slow_gradient(a) - slow_gradient(t))[counted] ** 2).sum()) / 1000
    assert errors.grad == pytest.approx(grad, abs=1e-6)
    assert errors.conn == pytest.approx(slow_conn(a, t, counted), abs=1e-6)


def eighths(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """Values on a grid that binary fractions hold exactly: no threshold of Conn falls on a rounding error."""
    return (np.round(np.asarray(values, np.float64) * 256) / 256 + 1 / 4096).astype(np.float32)


@pytest.mark.parametrize("masked", [False, True])
def test_a_portrait_matte_moved_blurred_and_with_holes(masked: bool) -> None:
    truth = eighths(matte(90, 120))
    alpha = np.roll(truth, (2, -3), (0, 1))
    alpha[60:70, 40:44] = 0.3125
    alpha[5:9, 5:9] = 0.90625  # an island
    alpha = eighths(ndimage.gaussian_filter(alpha, 0.8))
    mask = (truth > 0.02) & (truth < 0.98) if masked else None
    compare(alpha, truth, mask)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(6, 24), st.integers(6, 24), st.sampled_from([0.0, 0.7, 2.0]))
def test_random_mattes(seed: int, height: int, width: int, smooth: float) -> None:
    random = np.random.default_rng(seed)
    mattes = random.random((2, height, width))
    if smooth:
        mattes = np.array([ndimage.gaussian_filter(one, smooth) for one in mattes])
        mattes = np.clip((mattes - 0.5) * 6 * smooth + 0.5, 0, 1)
    compare(eighths(mattes[0]), eighths(mattes[1]), None)


def test_equal_and_opposite() -> None:
    truth = eighths(matte(40, 50))
    compare(truth, truth, None)
    compare(eighths(1 - truth), truth, None)

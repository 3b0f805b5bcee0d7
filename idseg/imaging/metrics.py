"""Errors of a matte compared with the truth, as defined in the matting literature.

SAD, MSE, Grad and Conn are those of Rhemann et al., "A Perceptually Motivated Online Benchmark for Image Matting" (CVPR
2009), in the units of deep-matting papers: SAD, Grad and Conn are sums over pixels divided by 1000; MAD and MSE are
means over the counted pixels (the whole picture, or ``mask``: the unknown band), on alpha in 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from idseg.types import Alpha

Mask = npt.NDArray[np.bool_]

_THOUSAND = 1000.0
_GRADIENT_SIGMA_PX = 1.4  # Rhemann et al. 2009, section 4.1: sigma of the Gaussian derivative
_CONNECTIVITY_STEP = 0.1  # threshold step of the connectivity error, as in their code
_CONNECTIVITY_SLACK = 0.15  # differences below this count as connected (theta, ibid.)


@dataclass(frozen=True, slots=True)
class MatteErrors:
    """All five errors of one matte."""

    mad: float
    """Mean absolute difference, 0..1."""
    mse: float
    """Mean squared difference, 0..1."""
    grad: float
    """Squared difference of gradient magnitudes, sum / 1000."""
    sad: float
    """Absolute difference, sum / 1000."""
    conn: float
    """Difference of connectedness, sum / 1000."""


def matte_errors(alpha: Alpha, truth: Alpha, mask: Mask | None = None) -> MatteErrors:
    """All errors of ``alpha`` (H, W) compared with ``truth`` (H, W). ``mask`` limits them to its pixels.

    Raises:
        ValueError: shapes differ, or the mask is empty.
    """
    if alpha.shape != truth.shape or (mask is not None and mask.shape != truth.shape):
        raise ValueError(f"shapes differ: alpha {alpha.shape}, truth {truth.shape}")
    if mask is not None and not mask.any():
        raise ValueError("the mask is empty")
    counted = np.ones(truth.shape, bool) if mask is None else mask
    difference = np.abs(alpha.astype(np.float64) - truth)[counted]
    return MatteErrors(
        mad=float(difference.mean()),
        mse=float(np.square(difference).mean()),
        grad=float(np.square(gradient(alpha) - gradient(truth))[counted].sum()) / _THOUSAND,
        sad=float(difference.sum()) / _THOUSAND,
        conn=float(np.abs(_disconnection(alpha, truth))[counted].sum()) / _THOUSAND,
    )


def gradient(alpha: Alpha) -> npt.NDArray[np.float64]:
    """Magnitude of the first-order Gaussian derivative. The kernels have unit Euclidean norm; borders are repeated."""
    sigma = _GRADIENT_SIGMA_PX
    # Truncated where the Gaussian falls below 1 % (epsilon of the published gaussgradient.m): 4 px for sigma 1.4.
    half = int(np.ceil(sigma * np.sqrt(-2.0 * np.log(np.sqrt(2.0 * np.pi) * sigma * 1e-2))))
    x = np.arange(-half, half + 1, dtype=np.float64)
    bell = np.exp(-(x**2) / (2.0 * sigma**2)) / (sigma * np.sqrt(2.0 * np.pi))
    slope = -x * bell / sigma**2
    norm = np.linalg.norm(bell) * np.linalg.norm(slope)
    values = alpha.astype(np.float64)
    border = cv2.BORDER_REPLICATE
    across = cv2.sepFilter2D(values, cv2.CV_64F, slope / norm, bell, borderType=border)
    down = cv2.sepFilter2D(values, cv2.CV_64F, bell, slope / norm, borderType=border)
    return np.asarray(np.hypot(across, down), np.float64)


def _disconnection(alpha: Alpha, truth: Alpha) -> npt.NDArray[np.float64]:
    """Connectedness of the truth minus that of alpha (Rhemann et al. 2009, section 4.2).

    The level of a pixel is the highest threshold at which it is connected to the largest region where both mattes
    exceed the threshold. Its connectedness is 1 minus the height of its alpha above that level.
    """
    level = np.zeros(truth.shape, np.float64)
    settled = np.zeros(truth.shape, bool)
    for step in range(1, round(1.0 / _CONNECTIVITY_STEP) + 1):
        threshold = step * _CONNECTIVITY_STEP
        both = ((alpha >= threshold) & (truth >= threshold)).astype(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(both, connectivity=4)
        connected = np.zeros(truth.shape, bool)
        if count > 1:
            connected = labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
        leaves = ~settled & ~connected
        level[leaves] = threshold - _CONNECTIVITY_STEP
        settled |= leaves
    level[~settled] = 1.0
    return np.asarray(_connectedness(truth, level) - _connectedness(alpha, level), np.float64)


def _connectedness(alpha: Alpha, level: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    rise = alpha - level
    return np.asarray(1.0 - rise * (rise >= _CONNECTIVITY_SLACK), np.float64)

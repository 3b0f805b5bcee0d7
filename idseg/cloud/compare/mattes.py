"""Differences between two mattes (H, W) of one picture besides their errors: overlap, shift, softness."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from idseg.types import Alpha, Size

_MATTE_SEARCH_PX = 12
"""Maximum shift between the two mattes that is searched, px."""
_SIGMAS_PX = (0.5, 0.71, 1.0, 1.41, 2.0, 2.83, 4.0)
_ENOUGH_BETTER = 0.9
"""A blur counts only if it reduces the squared difference below this share, because any two mattes differ a little."""
_OPAQUE = 0.5


def mask_iou(a: Alpha, b: Alpha) -> float:
    """Intersection over union of the pixels above 0.5; 1 if both are empty."""
    one, other = a >= _OPAQUE, b >= _OPAQUE
    union = int((one | other).sum())
    return float((one & other).sum()) / union if union else 1.0


def matte_shift(a: Alpha, b: Alpha) -> tuple[float, float]:
    """(dx, dy): how far ``b`` lies right of and below ``a``, in px, from the best correlation of their edges.

    Edges are compared instead of areas, because the rest of the outline shows the shift even if one matte lacks an arm.
    (0, 0) if a matte is too small or too uniform.
    """
    reach = min(_MATTE_SEARCH_PX, min(a.shape) // 4)
    inner = _edges_of(a)[reach : a.shape[0] - reach, reach : a.shape[1] - reach]
    if reach < 1 or float(inner.std()) < 1e-3:
        return 0.0, 0.0
    match = -cv2.matchTemplate(_edges_of(b), np.ascontiguousarray(inner), cv2.TM_CCOEFF_NORMED).astype(np.float64)
    y, x = np.unravel_index(int(np.argmin(match)), match.shape)
    dx, dy = float(x - reach), float(y - reach)
    if 0 < x < match.shape[1] - 1 and 0 < y < match.shape[0] - 1:
        dx += _valley(match[y, x - 1 : x + 2])
        dy += _valley(match[y - 1 : y + 2, x])
    return dx, dy


def matte_blur(a: Alpha, b: Alpha) -> float:
    """Sigma (px) of the Gaussian that makes the sharper matte equal to the softer one; > 0 if ``b`` is the softer."""
    least, best = _ENOUGH_BETTER * _squared(a, b), 0.0
    for sigma in _SIGMAS_PX:
        for signed, sharp, soft in ((sigma, a, b), (-sigma, b, a)):
            cost = _squared(cv2.GaussianBlur(sharp, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), soft)
            if cost < least:
                least, best = cost, signed
    return best


def _edges_of(alpha: Alpha) -> npt.NDArray[np.float32]:
    """Gradient magnitude of the matte (H, W)."""
    across, down = cv2.Sobel(alpha, cv2.CV_32F, 1, 0), cv2.Sobel(alpha, cv2.CV_32F, 0, 1)
    return np.asarray(np.hypot(across, down), np.float32)


def _squared(a: npt.NDArray[np.generic], b: npt.NDArray[np.generic]) -> float:
    return float(np.square(np.subtract(a, b, dtype=np.float64)).mean())


def _valley(values: npt.NDArray[np.float64]) -> float:
    """Vertex of the parabola through three values, as an offset from the middle one."""
    bend = values[0] - 2 * values[1] + values[2]
    return float(np.clip(0.5 * (values[0] - values[2]) / bend, -0.5, 0.5)) if bend > 0 else 0.0


def moved(alpha: Alpha, dx: float, dy: float) -> Alpha:
    """The matte shifted by whole pixels (the fraction is dropped), with its edge repeated."""
    matrix = np.array([[1.0, 0.0, round(dx)], [0.0, 1.0, round(dy)]])
    size = Size(alpha.shape[1], alpha.shape[0])
    shifted = cv2.warpAffine(alpha, matrix, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    return shifted.astype(np.float32, copy=False)

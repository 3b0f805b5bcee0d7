"""Small computations on mattes and other planes (H, W) that several steps share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from idseg.types import Alpha

_UNCERTAIN = (0.02, 0.98)
"""A pixel is uncertain if its alpha is between these values."""
FAINT = 0.02
"""Alpha below it, in a finished matte, is background."""


def uncertain(alpha: Alpha) -> npt.NDArray[np.bool_]:
    """The uncertain pixels of a matte."""
    low, high = _UNCERTAIN
    return (alpha > low) & (alpha < high)


def ramp(values: npt.NDArray[Any], none: float, full: float) -> npt.NDArray[np.float32]:
    """0 from ``none`` on, 1 from ``full`` on, linear between; ``none`` may be the larger one."""
    return np.asarray(np.clip((values - none) / (full - none), 0.0, 1.0), np.float32)


def half_side(share: float, shape: tuple[int, ...]) -> int:
    """A share of the longer side of a shape (H, W), px, at least 1."""
    return max(round(share * max(shape)), 1)


def local_means(planes: Sequence[npt.NDArray[Any]], reach: int) -> npt.NDArray[np.float32]:
    """The means (n, h, w) of n planes (h, w) around each pixel: two boxes of half side ``reach``, which are nearly a
    Gaussian with a deviation of .8 half sides."""
    box = (2 * reach + 1, 2 * reach + 1)
    joined = cv2.merge([np.asarray(plane, np.float32) for plane in planes])
    means = np.asarray(cv2.blur(cv2.blur(joined, box), box), np.float32)
    return np.moveaxis(np.atleast_3d(means), 2, 0)

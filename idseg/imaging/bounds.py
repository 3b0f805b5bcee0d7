"""Bounds a full-resolution matte by a low-resolution matte of the same picture.

At low resolution a net separates person and background more reliably; at full resolution it sees strands. So the
low-resolution matte decides away from its own edge, unless the full-resolution matte is certain of the opposite.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from idseg.types import Alpha

_REACH = 0.01
"""Distance from the low-resolution edge, as a share of the longer side, within which the low-resolution matte sets no
bounds. The bounds tighten up to three times this distance."""
_SURE = (0.1, 0.85)
"""Low-resolution alpha below the first value is background, above the second certainly person. Long strands of hair are
above .1 there, and many wrong pieces of background below. For broad parts see :data:`_SURE_SOLID`."""
_SOLID, _SURE_SOLID = 0.015, 0.35
"""Where the full-resolution matte is broad, low-resolution alpha below the second value is background. A part is broad
if it contains a square whose side is twice the first value, as a share of the longer side. Wrong pieces of background,
such as rock or planks beside the head, are broad; strands are thin."""
_UNCERTAIN_SHARE = 0.15
"""Share of a connected piece that must be uncertain at full resolution (:data:`_UNCERTAIN`) for the low-resolution
matte to overrule it."""
_UNCERTAIN = (0.02, 0.98)
"""A pixel is uncertain if its full-resolution alpha is between these values."""
_SOMETHING = 0.3
"""Full-resolution alpha above which a pixel counts for :data:`_SOLID`."""


def bounded(alpha: Alpha, seen: Alpha) -> Alpha:
    """The matte ``alpha`` (H, W), limited by the low-resolution matte ``seen`` (h, w) of the same picture."""
    reach = max(round(_REACH * max(seen.shape)), 1)
    around = np.ones((4 * reach + 1, 4 * reach + 1), np.uint8)
    near = np.asarray(cv2.resize(alpha, seen.shape[::-1]), np.float32)
    least = np.asarray(cv2.erode((seen > _SURE[1]).astype(np.uint8), around), np.float32)
    possible = seen > np.where(_broad(near > _SOMETHING), np.float32(_SURE_SOLID), np.float32(_SURE[0]))
    most = np.asarray(cv2.dilate(possible.astype(np.uint8), around), np.float32)
    least[_sure_pieces((least > near) & (near < 0.5), near)] = 0.0
    most[_sure_pieces((most < near) & (near > 0.5), near)] = 1.0
    # The bounds end in linear ramps, because a step in the bounds would show as a step in the matte.
    ramp, size = (2 * reach + 1, 2 * reach + 1), alpha.shape[::-1]
    lower, upper = (cv2.resize(cv2.blur(bound, ramp), size) for bound in (least, most))
    return np.asarray(np.clip(alpha, lower, upper), np.float32)


def _broad(where: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The parts of ``where`` (H, W) that contain a square of side 2 :data:`_SOLID` of the longer side."""
    side = 2 * max(round(_SOLID * max(where.shape)), 1) + 1
    square = np.ones((side, side), np.uint8)
    return np.asarray(cv2.morphologyEx(where.astype(np.uint8), cv2.MORPH_OPEN, square), np.bool_)


def _sure_pieces(where: npt.NDArray[np.bool_], alpha: Alpha) -> npt.NDArray[np.bool_]:
    """The connected pieces of ``where`` (H, W) in which nearly all ``alpha`` (H, W) is 0 or 1."""
    if not where.any():
        return where
    count, labels = cv2.connectedComponents(where.astype(np.uint8))
    doubtful = (alpha > _UNCERTAIN[0]) & (alpha < _UNCERTAIN[1])
    size = np.bincount(labels.ravel(), minlength=count)
    sure = np.bincount(labels.ravel(), doubtful.ravel(), minlength=count) < _UNCERTAIN_SHARE * size
    sure[0] = False  # label 0 is the outside
    return np.asarray(sure[labels], np.bool_)

"""Corrects a full-resolution matte by a low-resolution matte of the same picture.

At low resolution a net separates person and background more reliably; at full resolution it sees strands. So the
low-resolution matte decides away from its own edge, unless the full-resolution matte is certain of the opposite
(:func:`bounded`). Near the edge, where the full-resolution matte is in doubt, the low-resolution matte decides how much
of a neighbourhood is person, and the full-resolution matte how it is distributed (:func:`settled`).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from idseg.imaging.planes import half_side, local_means, ramp, uncertain
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
"""Share of a connected piece that must be uncertain at full resolution for the low-resolution
matte to overrule it."""
_SOMETHING = 0.3
"""Full-resolution alpha above which a pixel counts for :data:`_SOLID`."""

_AROUND = 0.018
"""Half side of the neighbourhood of :func:`settled`, as a share of the longer side. With .012 or .025, no mean error of
the three sets or of labelled photos changes by more than 1.5 %."""
_AMOUNTS = ((0.7, 1.0), (0.0, 0.8))
"""Low-resolution alpha between these values becomes a neighbourhood's least and most amount of person, 0 to 1."""
_UNSEEN = 0.002
"""Changes of a neighbourhood's mean up to it are left out."""
_NEARLY_NOTHING = 0.1
"""Alpha below it is raised less, in proportion: otherwise a faint haze would fill the gaps between strands."""
_TINY = 1e-3
"""Mean below which a neighbourhood has nothing to multiply."""


class LowResolution(NamedTuple):
    """What low-resolution mattes of a picture agree on: alpha between ``least`` and ``most``, (h, w) each. For one
    matte the two are the same."""

    least: Alpha
    most: Alpha

    @classmethod
    def of(cls, alpha: Alpha, other: Alpha | None = None) -> LowResolution:
        """Of one matte, or of two, whose sizes may differ."""
        if other is None:
            return cls(alpha, alpha)
        other = np.asarray(cv2.resize(other, alpha.shape[::-1]), np.float32)
        return cls(np.minimum(alpha, other), np.maximum(alpha, other))


def bounded(alpha: Alpha, seen: LowResolution) -> Alpha:
    """The matte ``alpha`` (H, W), limited by low-resolution mattes of the same picture."""
    small = seen.most.shape
    reach = half_side(_REACH, small)
    around = np.ones((4 * reach + 1, 4 * reach + 1), np.uint8)
    near = np.asarray(cv2.resize(alpha, small[::-1]), np.float32)
    least = np.asarray(cv2.erode((seen.least > _SURE[1]).astype(np.uint8), around), np.float32)
    possible = seen.most > np.where(_broad(near > _SOMETHING), np.float32(_SURE_SOLID), np.float32(_SURE[0]))
    most = np.asarray(cv2.dilate(possible.astype(np.uint8), around), np.float32)
    least[_sure_pieces((least > near) & (near < 0.5), near)] = 0.0
    most[_sure_pieces((most < near) & (near > 0.5), near)] = 1.0
    # The bounds end in linear ramps, because a step in the bounds would show as a step in the matte.
    ramp, size = (2 * reach + 1, 2 * reach + 1), alpha.shape[::-1]
    lower, upper = (cv2.resize(cv2.blur(bound, ramp), size) for bound in (least, most))
    return np.asarray(np.clip(alpha, lower, upper), np.float32)


def settled(alpha: Alpha, seen: LowResolution) -> Alpha:
    """The matte ``alpha`` (H, W), with as much person in each uncertain neighbourhood as low-resolution mattes of the
    same picture allow.

    The neighbourhood's mean moves towards the nearest mean that they allow (:data:`_AMOUNTS`), by the share of its
    pixels that are uncertain. Alpha, or 1 - alpha, is multiplied, so that strands and gaps stay where they are, and
    certain background stays background.
    """
    small = seen.most.shape
    near = np.asarray(cv2.resize(alpha, small[::-1]), np.float32)
    allowed = (ramp(part, *amounts) for part, amounts in zip(seen, _AMOUNTS, strict=True))
    mean, doubt, least, most = local_means((near, uncertain(near), *allowed), half_side(_AROUND, small))
    moved = mean + doubt * (np.clip(mean, least, most) - mean)
    rows, columns = (np.flatnonzero((np.abs(moved - mean) > _UNSEEN).any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return alpha
    there = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    here = tuple(
        slice(math.floor(part.start * scale), math.ceil(part.stop * scale))
        for part, scale in zip(there, np.divide(alpha.shape, small), strict=True)
    )
    result = alpha.copy()
    size = result[here].shape[::-1]
    fewer = _ratio(np.minimum(moved, mean)[there], mean[there])
    fuller = _ratio(1 - np.maximum(moved, mean)[there], 1 - mean[there])
    changed = np.asarray(cv2.resize(fewer, size), np.float32)
    changed *= alpha[here]
    if (fuller < 1).any():
        more = np.asarray(cv2.resize(1 - fuller, size), np.float32)
        more *= np.minimum(changed * np.float32(1 / _NEARLY_NOTHING), np.float32(1))
        changed += more * (1 - changed)
    result[here] = changed
    return result


def _ratio(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """``part / whole``; 1 where the whole is nearly nothing."""
    return np.asarray(np.where(whole > _TINY, part / np.maximum(whole, _TINY), 1.0), np.float32)


def _broad(where: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The parts of ``where`` (H, W) that contain a square of side 2 :data:`_SOLID` of the longer side."""
    side = 2 * half_side(_SOLID, where.shape) + 1
    square = np.ones((side, side), np.uint8)
    return np.asarray(cv2.morphologyEx(where.astype(np.uint8), cv2.MORPH_OPEN, square), np.bool_)


def _sure_pieces(where: npt.NDArray[np.bool_], alpha: Alpha) -> npt.NDArray[np.bool_]:
    """The connected pieces of ``where`` (H, W) in which nearly all ``alpha`` (H, W) is 0 or 1."""
    if not where.any():
        return where
    count, labels = cv2.connectedComponents(where.astype(np.uint8))
    size = np.bincount(labels.ravel(), minlength=count)
    sure = np.bincount(labels.ravel(), uncertain(alpha).ravel(), minlength=count) < _UNCERTAIN_SHARE * size
    sure[0] = False  # label 0 is the outside
    return np.asarray(sure[labels], np.bool_)

"""Corrects a full-resolution matte by a low-resolution matte of the same picture.

At low resolution a net separates person and background more reliably; at full resolution it sees strands. So the
low-resolution matte decides away from its own edge, unless the full-resolution matte is certain of the opposite
(:func:`bounded`). Near the edge, where the full-resolution matte is in doubt, the low-resolution matte decides how much
of a neighbourhood is person, and the full-resolution matte how it is distributed (:func:`settled`).
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

_AROUND = 0.018
"""Half side of the neighbourhood of :func:`settled`, as a share of the longer side."""
_AMOUNTS = ((0.7, 1.0), (0.0, 0.8))
"""Low-resolution alpha between these values becomes a neighbourhood's least and most amount of person, 0 to 1."""
_UNSEEN = 0.002
"""Changes of a neighbourhood's mean up to it are left out."""
_NEARLY_NOTHING = 0.1
"""Alpha below it is raised less, in proportion: otherwise a faint haze would fill the gaps between strands."""
_TINY = np.float32(1e-3)
"""Mean below which a neighbourhood has nothing to multiply."""


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


def settled(alpha: Alpha, seen: Alpha) -> Alpha:
    """The matte ``alpha`` (H, W), with as much person in each uncertain neighbourhood as the low-resolution matte ``seen``
    (h, w) allows.

    The neighbourhood's mean moves towards the nearest mean that ``seen`` allows (:data:`_AMOUNTS`), by the share of its
    pixels that are uncertain. Alpha, or 1 - alpha, is multiplied, so that strands and gaps stay where they are, and
    certain background stays background.
    """
    near = np.asarray(cv2.resize(alpha, seen.shape[::-1]), np.float32)
    uncertain = ((near > _UNCERTAIN[0]) & (near < _UNCERTAIN[1])).astype(np.float32)
    least, most = (np.clip((seen - low) / (high - low), 0.0, 1.0) for low, high in _AMOUNTS)
    side = 2 * max(round(_AROUND * max(seen.shape)), 1) + 1
    # Two boxes are nearly a Gaussian with a deviation of .8 half sides.
    means = cv2.merge([near, uncertain, np.asarray(least, np.float32), np.asarray(most, np.float32)])
    mean, doubt, least, most = cv2.split(cv2.blur(cv2.blur(means, (side, side)), (side, side)))
    moved = mean + doubt * (np.clip(mean, least, most) - mean)
    rows, columns = (np.flatnonzero((np.abs(moved - mean) > _UNSEEN).any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return alpha
    there = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    here = tuple(
        slice(round(part.start * large / small), round(part.stop * large / small))
        for part, large, small in zip(there, alpha.shape, seen.shape, strict=True)
    )
    size = (here[1].stop - here[1].start, here[0].stop - here[0].start)
    fewer = _ratio(np.minimum(moved, mean)[there], mean[there])
    fuller = _ratio(1 - np.maximum(moved, mean)[there], 1 - mean[there])
    part = alpha[here] * cv2.resize(fewer, size)
    if (fuller < 1).any():
        something = np.minimum(part * np.float32(1 / _NEARLY_NOTHING), np.float32(1))
        part = 1 - (1 - part) * (1 - something * (1 - cv2.resize(fuller, size)))
    result = alpha.copy()
    result[here] = part
    return result


def _ratio(part: npt.NDArray[np.float32], whole: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """``part / whole``; 1 where the whole is nearly nothing."""
    return np.where(whole > _TINY, part / np.maximum(whole, _TINY), np.float32(1))


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

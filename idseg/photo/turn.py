"""How far a photo is turned: until the head is upright, or a little less where that would tip the shoulders."""

from __future__ import annotations

import math

import numpy as np

from idseg.types import Alpha, Box, Window

LEVEL_DEG = 4.0
"""Slope of the shoulders that is kept: a degree within the 5 that the check allows."""
LEFT_DEG = 3.0
"""Roll that may be left to the head for the shoulders' sake or the photo's edge: ISO/IEC 19794-5:2005 7.2.2 allows
8, and nobody sees 3."""
_MOUTH_UP = 0.25
"""The mouth above the face box's lower edge, in its heights."""
_BESIDE = (0.85, 1.25)
"""Where the outline is looked at, in face box widths beside the face's middle."""
_LEAST_SLOPES = 5


def upright_deg(roll_deg: float, slope_deg: float | None, most_deg: float | None = None) -> float:
    """By how many degrees the photo is turned, > 0 clockwise.

    Args:
        roll_deg: of the head in the photo.
        slope_deg: of the shoulders in the photo; None where they are not seen.
        most_deg: the document's limit; None: none.
    """
    left = 0.0
    if slope_deg is not None:
        apart = slope_deg - roll_deg  # the shoulders' slope once the head is upright
        left = -math.copysign(min(max(abs(apart) - LEVEL_DEG, 0.0), LEFT_DEG), apart)
    turn = left - roll_deg
    return turn if most_deg is None else min(max(turn, -most_deg), most_deg)


def shoulder_slope_deg(alpha: Alpha, window: Window, face_box: Box) -> float | None:
    """Slope of the shoulders' outline, > 0 where the right one in the picture is lower; None where one is not seen.

    The first row of the matte below the mouth, at equal distances left and right of the face, beside long hair.
    """
    body = alpha >= 0.5
    first = max(0, int(face_box.bottom - _MOUTH_UP * face_box.height) - window.top)
    center = face_box.center[0] - window.left
    slopes = []
    for share in np.linspace(*_BESIDE, 9):
        columns = [int(center + side * share * face_box.width) for side in (-1, 1)]
        if min(columns) < 0 or max(columns) >= body.shape[1]:
            continue
        left, right = (np.flatnonzero(body[first:, column]) for column in columns)
        if left.size and right.size:
            slopes.append((float(right[0]) - float(left[0])) / (2 * share * face_box.width))
    if len(slopes) < _LEAST_SLOPES:
        return None
    return math.degrees(math.atan(float(np.median(slopes))))

"""Chooses the rotation of a photo: until the head is upright, or slightly less if that would tilt the shoulders."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from idseg.types import Alpha, Box, Window

LEVEL_DEG = 4.0
"""Slope of the shoulders that is accepted: one degree less than the 5 that the check allows."""
LEFT_DEG = 3.0
"""Maximum roll left to the head, to keep the shoulders level or the photo's edge outside: ISO/IEC 19794-5:2005 7.2.2
allows 8, and 3 is not visible."""
MOST_LEFT_DEG = 6.0
"""Maximum roll left to the head if otherwise the photo's edge would cut hair off or a rule would be broken: 8 degrees
are allowed (above), and the error of a measured roll is about 1."""
_MOUTH_UP = 0.25
"""Height of the mouth above the face box's lower edge, as a share of the box's height."""
_BESIDE = (0.75, 1.3)
"""Range in which the outline is examined, in face box widths beside the face's centre."""
_COLUMNS = 25
_OUTER = 0.4
"""Width of the outer part of the visible outline that counts, in face box widths; near the neck, shoulders slope less
than they are tilted."""
_LEAST_SLOPES = 5
SURE_SPREAD_DEG = 4.0
"""Standard deviation of the slopes above which the outline is that of hair, not of the shoulders."""


class Slope(NamedTuple):
    """Slope of the shoulders."""

    deg: float
    """> 0 if the shoulder at the picture's right is lower."""
    spread_deg: float
    """Standard deviation over the examined places; hair over a shoulder makes it large."""


def upright_deg(roll_deg: float, slope_deg: float | None, most_deg: float | None = None) -> float:
    """Rotation of the photo in degrees, > 0 clockwise.

    Args:
        roll_deg: roll of the head in the photo.
        slope_deg: slope of the shoulders in the photo; None if they are not visible.
        most_deg: the document's limit; None: no limit.
    """
    left = 0.0
    if slope_deg is not None:
        apart = slope_deg - roll_deg  # slope of the shoulders when the head is upright
        left = -math.copysign(min(max(abs(apart) - LEVEL_DEG, 0.0), LEFT_DEG), apart)
    turn = left - roll_deg
    return turn if most_deg is None else min(max(turn, -most_deg), most_deg)


def shoulder_slope(alpha: Alpha, window: Window, face_box: Box) -> Slope | None:
    """Slope of the shoulders' outline; None if a shoulder is not visible.

    Uses the first person row of the matte below the mouth, at equal distances left and right of the face.
    """
    body = alpha >= 0.5
    first = max(0, int(face_box.bottom - _MOUTH_UP * face_box.height) - window.top)
    center = face_box.center[0] - window.left
    found = []
    for share in np.linspace(*_BESIDE, _COLUMNS):
        columns = [int(center + side * share * face_box.width) for side in (-1, 1)]
        if min(columns) < 0 or max(columns) >= body.shape[1]:
            break
        left, right = (np.flatnonzero(body[first:, column]) for column in columns)
        if left.size and right.size and left[0] > 0 and right[0] > 0:  # at row 0 the outline is that of hair
            found.append((share, math.degrees(math.atan((right[0] - left[0]) / (2 * share * face_box.width)))))
    outer = [slope for share, slope in found if share >= found[-1][0] - _OUTER]
    if len(outer) < _LEAST_SLOPES:
        return None
    return Slope(float(np.median(outer)), float(np.std(outer)))


def sure_slope_deg(alpha: Alpha, window: Window, face_box: Box) -> float | None:
    """The slope if the outline is that of the shoulders, else None."""
    slope = shoulder_slope(alpha, window, face_box)
    return None if slope is None or slope.spread_deg > SURE_SPREAD_DEG else slope.deg

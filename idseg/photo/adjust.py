"""Manual adjustment of a placement, after the rules have placed the head.

Zoom and rotation keep the midpoint of the eyes fixed, so each of the four values changes one thing: the shift moves the
eyes, the zoom scales the head about them, the turn rotates it, and the flip mirrors the picture. So a page can update
the rules' values with simple arithmetic during a gesture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from idseg.errors import OptionError
from idseg.photo.head import Head, Reach, Side
from idseg.photo.place import Placement
from idseg.photo.size import PhotoSize, RuleName

_ZOOM = (0.25, 4.0)
_MOST_TURN_DEG = 45.0
_VISIBLE_MM = 0.1
"""Maximum lack that is not visible: one pixel at 300 dpi."""


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A manual change, in millimetres and degrees of the finished photo."""

    right_mm: float = 0.0
    down_mm: float = 0.0
    zoom: float = 1.0
    """Above 1 enlarges the head."""
    turn_deg: float = 0.0
    """> 0 rotates clockwise."""
    flip: bool = False
    """Mirror left and right, which mirrored selfies need."""

    def __post_init__(self) -> None:
        if not _ZOOM[0] <= self.zoom <= _ZOOM[1]:
            raise OptionError(f"zoom {self.zoom:g} is outside {_ZOOM[0]:g} .. {_ZOOM[1]:g}", zoom=self.zoom)
        if not abs(self.turn_deg) <= _MOST_TURN_DEG:
            raise OptionError(f"turn {self.turn_deg:g} is outside ±{_MOST_TURN_DEG:g} degrees", turn=self.turn_deg)

    @property
    def is_none(self) -> bool:
        return self == Adjustment()


def adjusted(placement: Placement, head: Head, reach: Reach, size: PhotoSize, by: Adjustment) -> Placement:
    """Apply a manual change to a placement and measure its rules again.

    Args:
        placement: the placement by the rules.
        head: the placed head.
        reach: where the edges of the picture cut the person off.
        size: the document.
        by: the change.

    Raises:
        OptionError: the eyes would be outside the photo.
    """
    per_mm = size.px_per_mm
    eyes_x, eyes_y = placement.at(*head.origin)
    to_x, to_y = eyes_x + by.right_mm * per_mm, eyes_y + by.down_mm * per_mm
    if not (0 <= to_x <= size.px.width and 0 <= to_y <= size.px.height):
        raise OptionError("the eyes would lie outside the photo", right_mm=by.right_mm, down_mm=by.down_mm)
    cos, sin = (by.zoom * f(math.radians(by.turn_deg)) for f in (math.cos, math.sin))
    step = np.array([[cos, -sin, to_x - cos * eyes_x + sin * eyes_y], [sin, cos, to_y - sin * eyes_x - cos * eyes_y]])
    matrix = step @ np.vstack((np.array(placement.matrix), (0.0, 0.0, 1.0)))
    if by.flip:
        matrix[0] = -matrix[0]
        matrix[0, 2] += size.px.width
        to_x = size.px.width - to_x
    mm = _measures(placement, size, by)
    rules = tuple(replace(rule, value_mm=mm[rule.rule]) for rule in placement.rules)
    scale = placement.scale * by.zoom
    edges = _reach_of(reach, by.flip)
    return Placement(
        matrix=(tuple(map(float, matrix[0])), tuple(map(float, matrix[1]))),  # type: ignore[arg-type]  # three each
        scale=scale,
        turned_deg=placement.turned_deg + by.turn_deg,
        mm=mm,
        rules=rules,
        lacks_mm=_lacks(edges, (to_x / per_mm, to_y / per_mm), scale / per_mm, size),
    )


def _measures(placement: Placement, size: PhotoSize, by: Adjustment) -> dict[RuleName, float]:
    """Scale the head and the face, move the eyes, and compute the gaps from both."""
    old = placement.mm
    eyes = old["eyes"] - by.down_mm
    return {
        "head": old["head"] * by.zoom,
        "eyes": eyes,
        "top": size.height_mm - eyes - (size.height_mm - old["eyes"] - old["top"]) * by.zoom,
        "chin": eyes - (old["eyes"] - old["chin"]) * by.zoom,
        "face": old["face"] * by.zoom,
        "width": old["width"] * by.zoom,
    }


def _reach_of(reach: Reach, flip: bool) -> Reach:
    if not flip:
        return reach
    left, right = (None if end is None else -end for end in (reach.right, reach.left))
    return Reach(left=left, top=reach.top, right=right, bottom=reach.bottom)


def _lacks(reach: Reach, eyes_mm: tuple[float, float], mm_per_px: float, size: PhotoSize) -> dict[Side, float]:
    """Where the person is cut off inside the finished photo; ignores a small rotation."""
    x, y = eyes_mm
    ends: dict[Side, float | None] = {
        "left": None if reach.left is None else x + reach.left * mm_per_px,
        "top": None if reach.top is None else y + reach.top * mm_per_px,
        "right": None if reach.right is None else size.width_mm - x - reach.right * mm_per_px,
        "bottom": None if reach.bottom is None else size.height_mm - y - reach.bottom * mm_per_px,
    }
    return {side: lack for side, lack in ends.items() if lack is not None and lack > _VISIBLE_MM}

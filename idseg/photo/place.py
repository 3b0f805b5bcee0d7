"""Where the head goes: one scale, one turn, one shift; never a stretch.

The rules of a size pull at three numbers only (how large, how high, how far across), so all of them are tried on a
fine grid and the cheapest is taken: breaking a rule costs most, then a torn body at the lower edge, then being off
the middle of a rule's range.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from idseg.photo.head import Head, Reach
from idseg.photo.size import Band, PhotoSize, RuleName
from idseg.types import Size

_Grid = npt.NDArray[np.float64]

# Cost of breaking a rule by the whole height of the photo. The eyes and the head's size go before the gaps (GA 461
# says so).
_RULE_COST: Mapping[RuleName, float] = {"head": 1000, "eyes": 1000, "face": 700, "width": 700, "chin": 500, "top": 500}
_HAIR_CUT_COST = 200.0
_TORN_COST = 3.0
_OFF_MIDDLE_COST = 0.05
"""Cost at the end of a range; grows with the square of the distance from the middle."""
_KEEP_INSIDE = 0.06
"""Share of a range's half that is not used at either end: what is measured again on the finished photo stays
inside."""
_GRID = 121
"""Steps of each of the two numbers; three rounds, each around the last's best."""
_ROUNDS = 3

_DEFAULT_HEAD = Band(0.63, 0.70)
"""Head height over photo height where the document has no rule (GA 461-2004: two thirds)."""
_DEFAULT_TOP = Band(0.07, 0.12)
"""Gap above the hair over photo height where the document has no rule (NEEA: one tenth)."""

_SEEN_MM = 0.1
"""A lack up to this is not seen: a pixel at 300 dpi."""

Side = Literal["left", "top", "right", "bottom"]


@dataclass(frozen=True, slots=True)
class Measured:
    """One rule: what came out, and what is allowed, in millimetres of the finished photo."""

    rule: RuleName
    value_mm: float
    allowed_mm: Band

    @property
    def off(self) -> float:
        """How far outside the range, as a share of the nearer end; 0 inside. An end at 0 mm: as a share of the other
        end."""
        over = max(self.allowed_mm.low - self.value_mm, self.value_mm - self.allowed_mm.high, 0.0)
        end = self.allowed_mm.low if self.value_mm < self.allowed_mm.low else self.allowed_mm.high
        return over / (end or self.allowed_mm.high)


@dataclass(frozen=True, slots=True)
class Placement:
    """How photo pixels become pixels of the finished photo."""

    matrix: tuple[tuple[float, float, float], tuple[float, float, float]]
    """(x, y) of the photo to (x, y) of the finished photo; pixel centres at .5 in both."""
    scale: float
    """Finished pixels per photo pixel, the same in both directions."""
    turned_deg: float
    """How far the photo was turned, > 0 clockwise."""
    mm: Mapping[RuleName, float]
    """head, eyes, top, chin, face as they came out, also those without a rule."""
    rules: tuple[Measured, ...]
    """The document's own rules."""
    lacks_mm: Mapping[Side, float]
    """Where the photo ends before the finished photo does and the person is cut off there: millimetres of backdrop
    instead of person; only the sides that lack something."""

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a photo point lies in the finished photo, pixels."""
        (a, b, c), (d, e, f) = self.matrix
        return a * x + b * y + c, d * x + e * y + f


def place(head: Head, reach: Reach, size: PhotoSize) -> Placement:
    """The placement that obeys the size's rules best.

    Args:
        head: the head in the photo.
        reach: where the picture's edge cuts the person off.
        size: what is asked for.
    """
    scales, heights = _ranges(head, size)
    for _ in range(_ROUNDS):
        grid_scale, grid_eyes = np.meshgrid(np.linspace(*scales, _GRID), np.linspace(*heights, _GRID), indexing="ij")
        cost = _cost(head, reach, size, grid_scale, grid_eyes)
        row, column = np.unravel_index(int(np.argmin(cost)), cost.shape)
        mm_per_px, eyes_mm = float(grid_scale[row, column]), float(grid_eyes[row, column])
        step_scale, step_eyes = (scales[1] - scales[0]) / (_GRID - 1), (heights[1] - heights[0]) / (_GRID - 1)
        scales = (mm_per_px - 2 * step_scale, mm_per_px + 2 * step_scale)
        heights = (eyes_mm - 2 * step_eyes, eyes_mm + 2 * step_eyes)
    return _placed(head, reach, size, mm_per_px, eyes_mm)


def as_it_is(head: Head, size: PhotoSize, photo: Size) -> Placement:
    """The placement of a photo that is taken for finished: only scaled to the size's height, neither moved nor
    turned.

    The head is measured along its own axis, as in :func:`place`.
    """
    scale = size.px.height / photo.height
    _, y = head.origin
    across = (size.px.width - photo.width * scale) / 2
    matrix = ((scale, 0.0, across), (0.0, scale, 0.0))
    mm_per_px = size.height_mm / photo.height
    eyes_mm = (photo.height - y) * mm_per_px
    mm = _measures(head, size, mm_per_px, eyes_mm)
    return Placement(matrix, scale, 0.0, mm, _rules(size, mm), {})


def _ranges(head: Head, size: PhotoSize) -> tuple[tuple[float, float], tuple[float, float]]:
    """What is tried: millimetres per photo pixel, and the height of the eyes in millimetres."""
    framing = size.framing
    if framing.head is not None:
        band, length = framing.head, _head_px(head, size)
    elif framing.face is not None:
        band, length = framing.face, head.face_width
    elif framing.width is not None:
        band, length = framing.width, head.head_width
    else:
        band, length = _times(_DEFAULT_HEAD, size.height_mm), head.to_hair
    return (0.75 * band.low / length, 1.25 * band.high / length), (0.2 * size.height_mm, 0.95 * size.height_mm)


def _head_px(head: Head, size: PhotoSize) -> float:
    return head.to_hair if size.framing.head_top == "hair" else head.to_skull


def _gap_y(head: Head, size: PhotoSize) -> float:
    """Where the gap above the head begins, upright frame."""
    return head.hair_y if size.framing.gap_top == "hair" else head.skull_y


def _times(band: Band, factor: float) -> Band:
    return Band(band.low * factor, band.high * factor)


def _cost(head: Head, reach: Reach, size: PhotoSize, mm_per_px: _Grid, eyes_mm: _Grid) -> _Grid:
    height = size.height_mm
    bands = size.framing.bands()
    values: dict[RuleName, _Grid] = {
        "head": _head_px(head, size) * mm_per_px,
        "eyes": eyes_mm,
        "top": height - eyes_mm + _gap_y(head, size) * mm_per_px,
        "chin": eyes_mm - head.chin_y * mm_per_px,
        "face": head.face_width * mm_per_px,
        "width": head.head_width * mm_per_px,
    }
    wished = {rule for rule, band in bands.items() if band.high < height}  # "at least 7 mm" has no middle to wish for
    cost = np.zeros_like(mm_per_px)
    for rule, band in bands.items():
        margin = _KEEP_INSIDE * band.half
        outside = np.maximum(np.maximum(band.low + margin - values[rule], values[rule] - band.high + margin), 0.0)
        cost += _RULE_COST[rule] * outside / height
        if rule in wished:
            cost += _OFF_MIDDLE_COST * ((values[rule] - band.middle) / band.half) ** 2
    if not {"head", "face", "width"} & wished:
        usual = _times(_DEFAULT_HEAD, height)
        cost += _OFF_MIDDLE_COST * ((head.to_hair * mm_per_px - usual.middle) / usual.half) ** 2
    if "top" not in wished:
        usual = _times(_DEFAULT_TOP, height)
        weight = _OFF_MIDDLE_COST if "eyes" not in wished else _OFF_MIDDLE_COST / 10
        cost += weight * ((values["top"] - usual.middle) / usual.half) ** 2
    cost += _HAIR_CUT_COST * np.maximum(eyes_mm - height - head.hair_y * mm_per_px, 0.0) / height
    for side, lack in _lack_mm(head, reach, size, mm_per_px, eyes_mm).items():
        if side != "top":  # a larger head hides the others
            cost += _TORN_COST * np.maximum(lack, 0.0) / height
    return cost


def _placed(head: Head, reach: Reach, size: PhotoSize, mm_per_px: float, eyes_mm: float) -> Placement:
    scale = mm_per_px * size.px_per_mm
    cos, sin = (scale * f(math.radians(head.roll_deg)) for f in (math.cos, math.sin))
    x, y = head.origin
    to_x = size.px.width / 2 - head.center_x * scale
    to_y = size.px.height - eyes_mm * size.px_per_mm
    matrix = ((cos, sin, to_x - cos * x - sin * y), (-sin, cos, to_y + sin * x - cos * y))
    mm = _measures(head, size, mm_per_px, eyes_mm)
    lacks = _lacks(head, reach, size, mm_per_px, eyes_mm)
    return Placement(matrix, scale, -head.roll_deg, mm, _rules(size, mm), lacks)


def _measures(head: Head, size: PhotoSize, mm_per_px: float, eyes_mm: float) -> dict[RuleName, float]:
    return {
        "head": _head_px(head, size) * mm_per_px,
        "eyes": eyes_mm,
        "top": size.height_mm - eyes_mm + _gap_y(head, size) * mm_per_px,
        "chin": eyes_mm - head.chin_y * mm_per_px,
        "face": head.face_width * mm_per_px,
        "width": head.head_width * mm_per_px,
    }


def _rules(size: PhotoSize, mm: Mapping[RuleName, float]) -> tuple[Measured, ...]:
    if not size.framing_is_rule:
        return ()
    return tuple(Measured(rule, mm[rule], band) for rule, band in size.framing.bands().items())


def _lacks(head: Head, reach: Reach, size: PhotoSize, mm_per_px: float, eyes_mm: float) -> dict[Side, float]:
    lack = _lack_mm(head, reach, size, np.array(mm_per_px), np.array(eyes_mm))
    return {side: float(mm) for side, mm in lack.items() if mm > _SEEN_MM}


def _lack_mm(head: Head, reach: Reach, size: PhotoSize, mm_per_px: _Grid, eyes_mm: _Grid) -> dict[Side, _Grid]:
    """Millimetres from where the photo's edge cuts the person off to the finished photo's edge, for the sides that are
    cut; below 0 the cut lies outside."""
    half = size.px.width / size.px_per_mm / 2
    ends: dict[Side, tuple[float | None, _Grid | float]] = {
        "left": (None if reach.left is None else head.center_x - reach.left, half),
        "top": (None if reach.top is None else -reach.top, size.height_mm - eyes_mm),
        "right": (None if reach.right is None else reach.right - head.center_x, half),
        "bottom": (reach.bottom, eyes_mm),
    }
    return {side: wanted - there * mm_per_px for side, (there, wanted) in ends.items() if there is not None}

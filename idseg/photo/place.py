"""Places the head with one scale, one rotation and one shift, without stretching.

A size's rules depend on only three numbers (scale, height, horizontal shift), so all combinations on a fine grid are
tried, and the cheapest is used. If the wall is kept, placements that extend beyond the photo are excluded. Breaking a
rule costs most, then a person cut off at an edge, then the distance from the middle of a rule's range. So the ranges of
the rules are used before the person is cut off.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from idseg.photo.head import Head, Reach, Side, upright
from idseg.photo.size import Band, PhotoSize, RuleName
from idseg.photo.verdict import Status, judge
from idseg.types import Size

_Grid = npt.NDArray[np.float64]
Edges = npt.NDArray[np.float64]
"""The photo's four edges in a head's frame, float64 (4, 3): left, top, right, bottom. A point p (photo pixels) is
inside if ``edge[:2] @ p <= edge[2]``."""
SIDES: tuple[Side, ...] = ("left", "top", "right", "bottom")

# Cost of breaking a rule by the whole height of the photo. The rules for the eyes and the head's size have priority
# over those for the gaps (as in GA 461).
_RULE_COST: Mapping[RuleName, float] = {"head": 1000, "eyes": 1000, "face": 700, "width": 700, "chin": 500, "top": 500}
_LEAVES_COST = 1e5
_HAIR_CUT_COST, _HAIR_CUT_COST_FREE = 200.0, 5000.0
"""Cost of hair that the upper edge cuts off; the second value applies to documents without a rule for the head."""
_TORN_COST = 60.0
_OFF_MIDDLE_COST = 0.05
"""Cost at the end of a range; it grows with the square of the distance from the middle."""
_KEEP_INSIDE = 0.06
"""Share of half a range that is left unused at each end, so that a measurement of the finished photo is inside."""
_GRID, _ROUNDS, _AROUND = 61, 5, 3
"""Values per number in each round; rounds; steps on each side of a round's best point that the next round searches. In
90 heads, photos and documents, a grid twice as fine took nearly three times as long and met no more rules."""
SHIFT = 0.05
"""Maximum distance of the face's centre from the photo's centre, as a share of its width: ISO/IEC 19794-5:2005 8.3
requires 45 % to 55 %."""
_SHIFTS = 11
_SPARE_PX = 1.0
"""Margin inside the photo's edge if the wall is kept, photo pixels, because resampling needs neighbouring pixels."""

_DEFAULT_HEAD = Band(0.63, 0.70)
"""Head height / photo height if the document has no rule (GA 461-2004: two thirds)."""
_DEFAULT_TOP = Band(0.07, 0.12)
"""Gap above the hair / photo height if the document has no rule (NEEA: one tenth)."""

_DEFAULT_CHIN = 0.10
"""Minimum gap below the chin / photo height if the document has no rule for it or the eyes, so that the neck is
visible."""
_CHIN_LOW_COST = 30.0

_VISIBLE_MM = 0.1
"""Maximum lack that is not visible: one pixel at 300 dpi."""
_DOUBT_OF_VALUE, _DOUBT_OF_HEIGHT = 0.015, 0.003
"""Error of a measurement on a finished photo (95 %): a share of its value, and at least this share of the photo's
height."""
_ROUNDING_MM = 1e-3


@dataclass(frozen=True, slots=True)
class Measured:
    """One rule with its value and range, in millimetres of the finished photo."""

    rule: RuleName
    value_mm: float
    allowed_mm: Band
    doubt_mm: float = 0.0
    """Error of the value (95 %)."""
    estimated: bool = False
    """Whether the value depends on the crown, which hair hides."""

    @property
    def off(self) -> float:
        """Distance from the range, as a share of the nearer end; 0 inside. For an end at 0 mm, as a share of the other
        end."""
        over = max(self.allowed_mm.low - self.value_mm, self.value_mm - self.allowed_mm.high, 0.0)
        end = self.allowed_mm.low if self.value_mm < self.allowed_mm.low else self.allowed_mm.high
        return over / (end or self.allowed_mm.high)

    @property
    def status(self) -> Status:
        """The verdict; ``check yourself`` if the error extends over an end of the range."""
        return judge(self.value_mm, *self.allowed_mm, self.doubt_mm, estimated=self.estimated)


@dataclass(frozen=True, slots=True)
class Placement:
    """The transformation from photo pixels to pixels of the finished photo."""

    matrix: tuple[tuple[float, float, float], tuple[float, float, float]]
    """Maps (x, y) of the photo to (x, y) of the finished photo; pixel centres are at .5 in both."""
    scale: float
    """Finished pixels per photo pixel, the same in both directions."""
    turned_deg: float
    """Rotation of the photo, > 0 clockwise."""
    mm: Mapping[RuleName, float]
    """Resulting values of head, eyes, top, chin and face, including those without a rule."""
    rules: tuple[Measured, ...]
    """The document's own rules."""
    lacks_mm: Mapping[Side, float]
    """Millimetres of backdrop instead of person on the sides where the photo ends too early and cuts the person off;
    only sides that lack something."""
    leaves_mm: Mapping[Side, float] = field(default_factory=dict)
    """Millimetres by which the finished photo extends beyond the photo, with or without person there; only sides that
    do."""
    cost: float = 0.0
    """The minimised cost, for comparing placements of one photo."""

    @property
    def mirrored(self) -> bool:
        """Whether left and right are exchanged: the determinant of the matrix is negative."""
        (a, b, _), (d, e, _) = self.matrix
        return a * e - b * d < 0

    def hair_cut_mm(self, head: Head, size: PhotoSize) -> float:
        """Millimetres of hair above the upper edge; negative: the gap above the hair."""
        return self.mm["eyes"] - size.height_mm - head.hair_y * self.scale / size.px_per_mm

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Convert a photo point to pixels of the finished photo."""
        (a, b, c), (d, e, f) = self.matrix
        return a * x + b * y + c, d * x + e * y + f


def place(head: Head, reach: Reach, size: PhotoSize, photo: Size | None = None, *, keep: bool = False) -> Placement:
    """Find the placement that meets the size's rules best.

    Args:
        head: the head in the photo.
        reach: where the edges of the picture cut the person off.
        size: the document.
        photo: size of the photo, for ``leaves_mm``; None: unknown.
        keep: never extend beyond the photo, even if that breaks a rule.
    """
    edges = None if photo is None else photo_edges(photo, head)
    scales, heights = _ranges(head, size, photo if keep else None)
    may_shift = keep or reach.left is not None or reach.right is not None
    shifts = np.linspace(-SHIFT, SHIFT, _SHIFTS) * width_mm(size) if may_shift else np.zeros(1)
    for _ in range(_ROUNDS):
        grids = np.meshgrid(np.linspace(*scales, _GRID), np.linspace(*heights, _GRID), shifts, indexing="ij")
        cost = _cost(head, reach, size, Spot(*grids), edges if keep else None)
        best = np.unravel_index(int(np.argmin(cost)), cost.shape)
        mm_per_px, eyes_mm, shift_mm = (float(grid[best]) for grid in grids)
        step_scale, step_eyes = (scales[1] - scales[0]) / (_GRID - 1), (heights[1] - heights[0]) / (_GRID - 1)
        scales = (max(mm_per_px - _AROUND * step_scale, mm_per_px / 2), mm_per_px + _AROUND * step_scale)
        heights = (eyes_mm - _AROUND * step_eyes, eyes_mm + _AROUND * step_eyes)
        if may_shift:
            step = shifts[1] - shifts[0]
            shifts = np.clip(
                shift_mm + np.linspace(-step, step, _SHIFTS), *(SHIFT * width_mm(size) * np.array([-1, 1]))
            )
    return _placed(head, reach, size, Spot(mm_per_px, eyes_mm, shift_mm), edges, float(cost[best]))


def as_it_is(head: Head, size: PhotoSize, photo: Size) -> Placement:
    """The placement of an already finished photo: scaled to the size's height, neither moved nor rotated.

    The head is measured along its own axis, as in :func:`place`.
    """
    scale = size.px.height / photo.height
    _, y = head.origin
    across = (size.px.width - photo.width * scale) / 2
    matrix = ((scale, 0.0, across), (0.0, scale, 0.0))
    mm_per_px = size.height_mm / photo.height
    mm = measures(head, size, mm_per_px, (photo.height - y) * mm_per_px)
    return Placement(matrix, scale, 0.0, mm, _rules(head, size, mm, mm_per_px), {})


def width_mm(size: PhotoSize) -> float:
    """Width of the finished photo, in the millimetres defined by its height."""
    return size.px.width / size.px_per_mm


def photo_edges(photo: Size, head: Head) -> Edges:
    """The photo's edges in the head's frame, moved one pixel inwards."""
    normals = np.array([[-1.0, 0.0], [0.0, -1.0], [1.0, 0.0], [0.0, 1.0]])
    on_edge = np.array([[0.0, 0.0], [0.0, 0.0], [photo.width, photo.height], [photo.width, photo.height]])
    turned = upright(normals, (0.0, 0.0), head.roll_deg)
    at = upright(on_edge, head.origin, head.roll_deg)
    return np.column_stack((turned, (turned * at).sum(axis=1) - _SPARE_PX))


@dataclass(frozen=True, slots=True, eq=False)
class Spot:
    """A candidate placement, as numbers or as grids of the same shape."""

    mm_per_px: _Grid | float
    """Millimetres of the finished photo per photo pixel."""
    eyes_mm: _Grid | float
    """Height of the eyes above the lower edge."""
    shift_mm: _Grid | float
    """Distance of the face's centre to the right of the photo's centre."""


def _ranges(head: Head, size: PhotoSize, photo: Size | None) -> tuple[tuple[float, float], tuple[float, float]]:
    """The ranges to try: millimetres per photo pixel, and the height of the eyes in millimetres. With ``photo``, they
    include values that fit into it."""
    framing = size.framing
    if framing.head is not None:
        band, length = framing.head, _head_px(head, size)
    elif framing.face is not None:
        band, length = framing.face, head.face_width
    elif framing.width is not None:
        band, length = framing.width, head.head_width
    else:
        band, length = _times(_DEFAULT_HEAD, size.height_mm), head.to_hair
    low, high = 0.75 * band.low / length, 1.25 * band.high / length
    if photo is None:
        return (low, high), (0.2 * size.height_mm, 0.95 * size.height_mm)
    fits = max(width_mm(size) / photo.width, size.height_mm / photo.height)
    return (low, max(high, 2.5 * fits)), (0.02 * size.height_mm, 0.98 * size.height_mm)


def _head_px(head: Head, size: PhotoSize) -> float:
    return head.chin_y - head.top_y(size.framing.head_top)


def _times(band: Band, factor: float) -> Band:
    return Band(band.low * factor, band.high * factor)


def _cost(head: Head, reach: Reach, size: PhotoSize, spot: Spot, edges: Edges | None) -> _Grid:
    height = size.height_mm
    bands = size.framing.bands()
    values = measures(head, size, spot.mm_per_px, spot.eyes_mm)
    wished = {rule for rule, band in bands.items() if band.high < height}  # "at least 7 mm" has no middle
    cost = np.zeros_like(np.asarray(spot.mm_per_px))
    for rule, band in bands.items():
        margin = _KEEP_INSIDE * band.half
        outside = np.maximum(np.maximum(band.low + margin - values[rule], values[rule] - band.high + margin), 0.0)
        cost += _RULE_COST[rule] * outside / height
        if rule in wished:
            cost += _OFF_MIDDLE_COST * ((values[rule] - band.middle) / band.half) ** 2
    if not {"head", "face", "width"} & wished:
        usual = _times(_DEFAULT_HEAD, height)
        cost += _OFF_MIDDLE_COST * ((head.to_hair * spot.mm_per_px - usual.middle) / usual.half) ** 2
    gap = height - spot.eyes_mm + head.hair_y * spot.mm_per_px
    if "top" not in wished:
        usual = _times(_DEFAULT_TOP, height)
        weight = _OFF_MIDDLE_COST if "eyes" not in wished else _OFF_MIDDLE_COST / 10
        cost += weight * ((gap - usual.middle) / usual.half) ** 2
    if not {"eyes", "chin"} & set(bands):
        cost += _CHIN_LOW_COST * np.maximum(_DEFAULT_CHIN * height - values["chin"], 0.0) / height
    hair_cut = _HAIR_CUT_COST if size.framing_is_rule else _HAIR_CUT_COST_FREE
    cost += hair_cut * np.maximum(-gap, 0.0) / height
    cost += _OFF_MIDDLE_COST * (spot.shift_mm / (SHIFT * width_mm(size))) ** 2
    for side, lack in _lack_mm(head, reach, size, spot).items():
        if side != "top":  # a larger head hides the other lacks
            cost += _TORN_COST * np.maximum(lack, 0.0) / height
    if edges is not None:
        for leave in leave_mm(head, size, spot, edges).values():
            cost += _LEAVES_COST * np.maximum(leave, 0.0) / height
    return np.asarray(cost)


def _placed(head: Head, reach: Reach, size: PhotoSize, spot: Spot, edges: Edges | None, cost: float) -> Placement:
    mm_per_px, eyes_mm, shift_mm = float(spot.mm_per_px), float(spot.eyes_mm), float(spot.shift_mm)
    scale = mm_per_px * size.px_per_mm
    cos, sin = (scale * f(math.radians(head.roll_deg)) for f in (math.cos, math.sin))
    x, y = head.origin
    to_x = size.px.width / 2 + shift_mm * size.px_per_mm - head.center_x * scale
    to_y = size.px.height - eyes_mm * size.px_per_mm
    matrix = ((cos, sin, to_x - cos * x - sin * y), (-sin, cos, to_y + sin * x - cos * y))
    mm = measures(head, size, mm_per_px, eyes_mm)
    lacks = _seen(_lack_mm(head, reach, size, spot))
    leaves = {} if edges is None else _seen(leave_mm(head, size, spot, edges))
    return Placement(matrix, scale, -head.roll_deg, mm, _rules(head, size, mm, mm_per_px), lacks, leaves, cost)


def measures(head: Head, size: PhotoSize, mm_per_px: Any, eyes_mm: Any) -> dict[RuleName, Any]:
    """The value of every rule in millimetres; numbers give numbers, grids give grids."""
    return {
        "head": _head_px(head, size) * mm_per_px,
        "eyes": eyes_mm,
        "top": size.height_mm - eyes_mm + head.top_y(size.framing.gap_top) * mm_per_px,
        "chin": eyes_mm - head.chin_y * mm_per_px,
        "face": head.face_width * mm_per_px,
        "width": head.head_width * mm_per_px,
    }


def _rules(head: Head, size: PhotoSize, mm: Mapping[RuleName, float], mm_per_px: float) -> tuple[Measured, ...]:
    if not size.framing_is_rule:
        return ()
    crown = {"head": size.framing.head_top == "crown", "top": size.framing.gap_top == "crown"}
    rules = []
    for rule, band in size.framing.bands().items():
        doubt = max(_DOUBT_OF_VALUE * mm[rule], _DOUBT_OF_HEIGHT * size.height_mm)
        estimated = crown.get(rule, False)
        value = min(max(mm[rule], band.low), band.high)
        if abs(value - mm[rule]) > _ROUNDING_MM:  # differences below a thousandth of a millimetre do not count
            value = mm[rule]
        rules.append(
            Measured(rule, value, band, max(doubt, head.crown_doubt * mm_per_px) if estimated else doubt, estimated)
        )
    return tuple(rules)


def _seen(mm: Mapping[Side, _Grid]) -> dict[Side, float]:
    return {side: float(value) for side, value in mm.items() if value > _VISIBLE_MM}


def _lack_mm(head: Head, reach: Reach, size: PhotoSize, spot: Spot) -> dict[Side, _Grid]:
    """Millimetres from the place where an edge of the photo cuts the person off to the edge of the finished photo, for
    such sides; negative if the place is outside."""
    half = width_mm(size) / 2
    ends: dict[Side, tuple[float | None, _Grid | float]] = {
        "left": (None if reach.left is None else head.center_x - reach.left, half + spot.shift_mm),
        "top": (None if reach.top is None else -reach.top, size.height_mm - spot.eyes_mm),
        "right": (None if reach.right is None else reach.right - head.center_x, half - spot.shift_mm),
        "bottom": (reach.bottom, spot.eyes_mm),
    }
    return {
        side: np.asarray(wanted - there * spot.mm_per_px) for side, (there, wanted) in ends.items() if there is not None
    }


def leave_mm(head: Head, size: PhotoSize, spot: Spot, edges: Edges) -> dict[Side, _Grid]:
    """Millimetres by which the finished photo extends beyond each edge of the photo; negative if it does not."""
    half = width_mm(size) / 2
    middle = head.center_x * spot.mm_per_px - spot.shift_mm
    leaves: dict[Side, _Grid] = {}
    for side, (across, down, end) in zip(SIDES, edges.tolist(), strict=True):
        x = middle + math.copysign(half, across)
        y = spot.eyes_mm if down > 0 else spot.eyes_mm - size.height_mm
        leaves[side] = np.asarray(across * x + down * y - end * spot.mm_per_px)
    return leaves

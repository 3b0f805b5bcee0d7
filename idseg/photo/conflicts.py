"""Finds the rules that conflict with each other if no placement meets them all.

Every rule, and every edge of a photo that must not be exceeded, is a range of a linear function of two numbers: the
scale and the height of the eyes. A set of them can be met if the half-planes have a common point. From a set that
cannot be met, members are removed one by one as long as the rest still cannot be met (a deletion filter; Chinneck,
"Feasibility and Infeasibility in Optimization", 2008, ch. 2). The remaining members are the conflict.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from idseg.photo.head import Head, Side
from idseg.photo.place import SHIFT, SIDES, Spot, leave_mm, measures, photo_edges, width_mm
from idseg.photo.size import PhotoSize, RuleName
from idseg.types import Size

_Planes = npt.NDArray[np.float64]
"""Half-planes, float64 (N, 3): a * mm_per_px + b * eyes_mm <= c."""
_SHIFTS = 5
_NEARLY_MM = 1e-6


def conflicts(head: Head, size: PhotoSize, photo: Size | None = None) -> tuple[str, ...]:
    """Names of the rules and edges that cannot all be met; empty if they can. An edge is ``edge:left`` and so on.

    Args:
        head: the head in the photo.
        size: the document.
        photo: size of the photo, if its edges must not be exceeded.
    """
    shifts = [float(shift) for shift in np.linspace(-SHIFT, SHIFT, _SHIFTS) * width_mm(size)]
    groups: dict[str, list[_Planes]] = {
        rule: [_rule_planes(head, size, rule)] * _SHIFTS for rule in size.framing.bands()
    }
    if photo is not None:
        groups |= {f"edge:{side}": [_edge_plane(head, size, photo, side, shift) for shift in shifts] for side in SIDES}
    if _met(groups, size):
        return ()
    for name in list(groups):
        rest = {other: planes for other, planes in groups.items() if other != name}
        if rest and not _met(rest, size):
            groups = rest
    return tuple(groups)


def _rule_planes(head: Head, size: PhotoSize, rule: RuleName) -> _Planes:
    """The two half-planes for the range of a rule."""
    at_0, at_scale, at_eyes = (measures(head, size, *spot)[rule] for spot in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)))
    a, b = at_scale - at_0, at_eyes - at_0
    low, high = size.framing.bands()[rule]
    return np.array([[a, b, high - at_0], [-a, -b, at_0 - low]])


def _edge_plane(head: Head, size: PhotoSize, photo: Size, side: Side, shift_mm: float) -> _Planes:
    """The half-plane in which the finished photo does not extend beyond one edge of the photo."""
    edges = photo_edges(photo, head)
    at_0, at_scale, at_eyes = (
        float(leave_mm(head, size, Spot(scale, eyes, shift_mm), edges)[side])
        for scale, eyes in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))
    )
    return np.array([[at_scale - at_0, at_eyes - at_0, -at_0]])


def _met(groups: Mapping[str, list[_Planes]], size: PhotoSize) -> bool:
    """Whether all groups have a common point, for at least one of the shifts."""
    bounds = np.array([[-1.0, 0.0, 0.0], [1.0, 0.0, size.height_mm], [0.0, -1.0, 0.0], [0.0, 1.0, size.height_mm]])
    return any(
        _have_a_point(np.concatenate((bounds, *(planes[shift] for planes in groups.values()))))
        for shift in range(_SHIFTS)
    )


def _have_a_point(planes: _Planes) -> bool:
    """Whether bounded half-planes intersect; then an intersection of two of their lines lies in all of them."""
    first, second = np.triu_indices(len(planes), 1)
    a, b = planes[first], planes[second]
    determinant = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    cross = np.abs(determinant) > _PARALLEL * np.linalg.norm(a[:, :2], axis=1) * np.linalg.norm(b[:, :2], axis=1)
    a, b, determinant = a[cross], b[cross], determinant[cross]
    x = (a[:, 2] * b[:, 1] - a[:, 1] * b[:, 2]) / determinant
    y = (a[:, 0] * b[:, 2] - a[:, 2] * b[:, 0]) / determinant
    over = planes[:, :2] @ np.stack((x, y)) - planes[:, 2:]
    return bool((over.max(axis=0) <= _NEARLY_MM).any())


_PARALLEL = 1e-9
"""Sine of the angle below which two lines count as parallel."""

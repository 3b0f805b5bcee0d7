"""Shows a region of a photo to a model and returns the model's answer in photo pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np

from idseg.imaging import cutting
from idseg.imaging.resize import reduced
from idseg.types import Box, FaceDetection, FaceMesh, Points, PosePoints, Rgb, Size, Window

FaceModel: TypeAlias = Callable[[Rgb], tuple[FaceDetection, ...]]
"""Returns the faces in a picture, in its pixels."""
MeshModel: TypeAlias = Callable[[Rgb], FaceMesh | None]
"""Returns the mesh of the face in a picture; None without a face."""
PoseModel: TypeAlias = Callable[[Rgb], tuple[PosePoints, ...]]
"""Returns the poses of the people in a picture."""

MESH_MARGIN = 0.55
"""Margin around the face box, in box sizes, of the region for the face mesh. The mesh model begins with a short-range
face detector, which needs the whole head."""
_BODY_REACH = (2.6, 1.6, 4.2)
"""Extent of the region for the pose model, from the face box, in box sizes: to each side, above, below."""
_MODEL_SIDE_PX = 512
"""Longest side of the copy for a model, px. The mesh model works at 192 px and the pose model at 256 px."""
_MIRRORED_LANDMARK = np.array([0, 4, 5, 6, 1, 2, 3, *(i + 1 if i % 2 else i - 1 for i in range(7, 33))])
"""For each pose landmark, the index of its counterpart on the other side of the body (BlazePose: the nose, three points
of the left eye, three of the right eye, then pairs)."""


class RegionView(NamedTuple):
    """The copy of a region for a model, with the transformation back to the photo."""

    rgb: Rgb
    window: Window
    """The region in the photo."""
    scale: float
    """Pixels of the copy per pixel of the photo, at most 1."""

    def in_photo(self, points: Points) -> Points:
        """Convert points (N, 3) of the copy to photo pixels."""
        moved: Points = points / self.scale + np.array([self.window.left, self.window.top, 0.0])
        return moved


def view(rgb: Rgb, area: Box) -> RegionView:
    """The part of ``area`` that lies in the photo, shrunk for a model."""
    window = cutting.clamped(area, Size(rgb.shape[1], rgb.shape[0]))
    small, scale = reduced(rgb[window.top : window.bottom, window.left : window.right], _MODEL_SIDE_PX)
    return RegionView(small, window, scale)


def face_area(face: FaceDetection, margin: float = MESH_MARGIN) -> Box:
    """The square around a face, with this margin on each side in box sizes."""
    box = face.box
    side = max(box.width, box.height) * (1 + 2 * margin)
    x, y = box.center
    return Box(x - side / 2, y - side / 2, side, side)


def body_area(face: FaceDetection, closer: float = 1.0) -> Box:
    """The area around a face that contains its body. ``closer`` divides the usual size."""
    box = face.box
    beside, above, below = (reach / closer * max(box.width, box.height) for reach in _BODY_REACH)
    x, _ = box.center
    return Box(x - beside, box.top - above, 2 * beside, above + box.height + below)


def mesh_in(rgb: Rgb, area: Box, model: MeshModel) -> FaceMesh | None:
    """The face mesh in an area, in photo pixels; None if the model finds no face."""
    seen = view(rgb, area)
    mesh = model(seen.rgb)
    return None if mesh is None else FaceMesh(seen.in_photo(mesh.points), mesh.score)


def body_in(rgb: Rgb, area: Box, face: FaceDetection, model: PoseModel) -> PosePoints | None:
    """The pose of the person with this face, in photo pixels; None if the model does not find that person.

    The result is the mean of the model's answers for the area and for its mirror image. The mean halves the noise of a
    single answer (about 0.08 face widths), and a mirrored photo gives the mirrored result.
    """
    seen = view(rgb, area)
    return mean_pose(pose_in(seen, face, model), mirrored_pose_in(seen, face, model))


def pose_in(seen: RegionView, face: FaceDetection, model: PoseModel) -> PosePoints | None:
    """The model's answer for a region; see :func:`body_in`."""
    return _of_face(model(seen.rgb), face, seen)


def mirrored_pose_in(seen: RegionView, face: FaceDetection, model: PoseModel) -> PosePoints | None:
    """The model's answer for the mirror image of a region; see :func:`body_in`."""
    mirror = np.asarray(cv2.flip(seen.rgb, 1), np.uint8)  # .02 ms; a copy of NumPy's view takes .8
    return _of_face(tuple(_mirrored(pose, seen.rgb.shape[1]) for pose in model(mirror)), face, seen)


def mean_pose(direct: PosePoints | None, mirrored: PosePoints | None) -> PosePoints | None:
    """The mean of both answers for a region, or the only one."""
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
    """The pose whose nose is nearest to the face's nose, at most one face width away; in photo pixels."""
    nearest, least = None, face.box.width
    for pose in poses:
        points = seen.in_photo(pose.points)
        distance = float(np.hypot(*(points[PosePoints.NOSE, :2] - np.array(face.nose_tip))))
        if distance <= least:
            nearest, least = PosePoints(points, pose.visibility, pose.presence), distance
    return nearest

"""Makes an upright copy of a face at a fixed size, and measures colours in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from idseg.imaging.resize import scaled
from idseg.types import FaceMesh, Points, Rgb

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]

# Face mesh indices (MediaPipe's canonical face model).
OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152),
    *(148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
_SKIN = (50, 280, 205, 425, 4, 151)  # cheeks, beside the mouth, nose, between the brows
FACE_EYES_PX = 90.0
"""Distance between the eyes in the copy: ICAO's minimum for a portrait (TR Portrait Quality 1.0, 90 px)."""
_FACE_SIDE_PX = 288
"""Side of the copy, which contains the whole face at that distance between the eyes."""


@dataclass(frozen=True, slots=True)
class Face:
    """An upright copy of a face at a fixed size."""

    rgb: Rgb
    points: Points
    """The mesh points (468, 2) in the copy."""
    scale: float
    """Pixels of the copy per pixel of the photo; above 1 if the photo has fewer than ``FACE_EYES_PX`` between the
    eyes."""


def face_copy(rgb: Rgb, mesh: FaceMesh, roll_deg: float) -> Face:
    """Copy the face of a photo, upright, with ``FACE_EYES_PX`` between the eyes."""
    points = mesh.points[:, :2]
    left, right = points[list(FaceMesh.LEFT_EYE)].mean(axis=0), points[list(FaceMesh.RIGHT_EYE)].mean(axis=0)
    scale = FACE_EYES_PX / max(float(np.hypot(*(right - left))), 1.0)
    cos, sin = scale * math.cos(math.radians(roll_deg)), scale * math.sin(math.radians(roll_deg))
    turn = np.array([[cos, sin], [-sin, cos]])
    center = (points[list(OVAL)].min(axis=0) + points[list(OVAL)].max(axis=0)) / 2
    shift = np.array([_FACE_SIDE_PX / 2, _FACE_SIDE_PX / 2]) - turn @ center
    reduced, factor = _reduced(rgb, scale)
    matrix = np.column_stack((turn / factor, shift))
    matrix[:, 2] += matrix[:, :2] @ np.array([0.5, 0.5]) - 0.5  # OpenCV's origin is the centre of the first pixel
    copy = cv2.warpAffine(
        reduced, matrix, (_FACE_SIDE_PX, _FACE_SIDE_PX), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return Face(np.asarray(copy, dtype=np.uint8), points @ turn.T + shift, scale)


def polygon(face: Face, indices: Sequence[int]) -> Mask:
    """Mask (H, W) of a polygon of mesh points in the copy."""
    mask = np.zeros(face.rgb.shape[:2], dtype=np.uint8)
    cv2.fillPoly(mask, [np.rint(face.points[list(indices)]).astype(np.int32)], 1)
    return mask.astype(np.bool_)


def _reduced(rgb: Rgb, scale: float) -> tuple[Rgb, float]:
    """A copy shrunk by area averaging, so that a later step of at most a half skips no pixels; and its factor."""
    if scale > 0.5:
        return rgb, 1.0
    small = np.asarray(scaled(rgb, scale * 1.5), dtype=np.uint8)
    return small, small.shape[1] / rgb.shape[1]


def luma(rgb: Rgb) -> Floats:
    return np.asarray(rgb @ LUMA, dtype=np.float32)


def lab(rgb: Rgb) -> Floats:
    """CIELAB (D65) of sRGB, L 0..100."""
    return np.asarray(cv2.cvtColor(np.asarray(rgb, dtype=np.float32) / 255, cv2.COLOR_RGB2LAB), dtype=np.float32)


def to_lab(colors: npt.NDArray[np.float64]) -> Floats:
    row = np.asarray(colors, dtype=np.float32)[None] / 255
    return np.asarray(cv2.cvtColor(row, cv2.COLOR_RGB2LAB)[0], dtype=np.float32)


def disc(face: Face, index: int, radius: float) -> Mask:
    """Disc around a mesh point; the radius is in units of the eyes' distance."""
    mask = np.zeros(face.rgb.shape[:2], dtype=np.uint8)
    x, y = (round(float(value)) for value in face.points[index])
    cv2.circle(mask, (x, y), max(1, round(radius * FACE_EYES_PX)), 1, -1)
    return mask.astype(np.bool_)


def disc_median(face: Face, index: int, radius: float) -> npt.NDArray[np.float64]:
    pixels = face.rgb[disc(face, index, radius)]
    return np.asarray(np.median(pixels, axis=0) if len(pixels) else np.zeros(3), dtype=np.float64)


def skin_colors(face: Face) -> Floats:
    """CIELAB colours of the skin spots, without covered spots (those far from the median of all)."""
    spots = to_lab(np.array([disc_median(face, index, 0.12) for index in _SKIN]))
    apart = np.linalg.norm(spots - np.median(spots, axis=0), axis=1)
    return np.asarray(spots[apart <= max(_ODD_SPOT, float(np.median(apart)))], dtype=np.float32)


LUMA = np.array([0.299, 0.587, 0.114])
"""Rec. 601 weights of R'G'B'."""
_ODD_SPOT = 25.0
"""CIELAB distance from the spots' median above which a spot counts as covered; a shaded cheek stays below."""

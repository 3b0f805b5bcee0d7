"""A head measured in its own upright frame: chin, eyes and face from the face mesh, top of the hair from the matte.

The frame: photo pixels, turned about the middle of the eyes until the head is upright; that middle is (0, 0), x to
the right, y down. What lies above the eyes has a negative y.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from idseg.types import Alpha, FaceMesh, Person, Points, Size, Window

# Face mesh indices (MediaPipe's canonical face model).
_CHIN = 152

_PERSON = 0.5
"""Alpha from which a pixel is the person."""
_HAIR_BAND = 0.75
"""How far beside the face's middle hair is looked for, in face widths: a raised hand beyond it is no hair."""
_LEAST_HAIR = 0.04
"""A row is hair where it holds this share of the face's width of person: a single strand is none."""
SKULL_OVER_CHIN = 1.0
"""Crown above the eyes over chin below the eyes: the eyes lie half way down a head. Among 185 photos shaven and very
short-haired heads had 0.93 to 1.06."""
_LOOKED_PX = 300
"""A face wider than this is looked at in every second, third … row and column: hair is found to 1/300 of its width."""


@dataclass(frozen=True, slots=True)
class Head:
    """One head in its upright frame, in photo pixels; see the module for the frame."""

    origin: tuple[float, float]
    """Middle of the eyes in the photo, (x, y)."""
    roll_deg: float
    """How far the head is turned clockwise in the photo."""
    chin_y: float
    hair_y: float
    """Highest hair, hat or scarf (< 0)."""
    skull_y: float
    """The crown without the hair (< 0): estimated, never above the hair."""
    center_x: float
    """Middle of the face's outline."""
    face_width: float
    """Of the face's outline, which ends at the roots of the ears."""
    head_width: float
    """Ear to ear."""
    eyes_apart: float
    """Between the eyes' centres."""
    exact: bool
    """True: from the face mesh; False: only from the detector's box and points."""

    @property
    def to_hair(self) -> float:
        """Chin to the highest hair."""
        return self.chin_y - self.hair_y

    @property
    def to_skull(self) -> float:
        """Chin to the crown."""
        return self.chin_y - self.skull_y


@dataclass(frozen=True, slots=True)
class Reach:
    """How far the person's pixels reach in the head's frame before the picture's edge cuts the person off; None: not
    cut there."""

    left: float | None = None
    top: float | None = None
    right: float | None = None
    bottom: float | None = None


def upright(points: Points, origin: tuple[float, float], roll_deg: float) -> Points:
    """Photo points (N, 2) in the upright frame about ``origin``."""
    cos, sin = math.cos(math.radians(roll_deg)), math.sin(math.radians(roll_deg))
    moved = np.asarray(points, dtype=np.float64)[:, :2] - np.array(origin)
    return np.stack((moved[:, 0] * cos + moved[:, 1] * sin, moved[:, 1] * cos - moved[:, 0] * sin), axis=1)


def measure(person: Person, mesh: FaceMesh | None, alpha: Alpha, window: Window) -> Head:
    """The head of a person.

    Args:
        person: eyes, face box and roll, photo pixels.
        mesh: the face mesh, photo pixels; None where there is none: then the box's lower edge is the chin.
        alpha: matte (H, W) of the photo under ``window``.
        window: where the matte lies in the photo.
    """
    roll = person.head.roll_deg
    if mesh is None:
        eyes = np.array([person.parts.left_eye[:2], person.parts.right_eye[:2]], dtype=np.float64)
        box = person.face_box
        chin = np.array([[box.center[0], box.bottom]])
        outline = np.array([[box.left, box.center[1]], [box.right, box.center[1]]])
    else:
        points = mesh.points[:, :2]
        eyes = np.array([points[list(FaceMesh.LEFT_EYE)].mean(axis=0), points[list(FaceMesh.RIGHT_EYE)].mean(axis=0)])
        chin = points[[_CHIN]]
        outline = points
    origin = (float(eyes[:, 0].mean()), float(eyes[:, 1].mean()))
    across = upright(outline, origin, roll)[:, 0]
    center_x, face_width = float(across.min() + across.max()) / 2, float(np.ptp(across))
    chin_y = max(float(upright(chin, origin, roll)[0, 1]), 1.0)
    skull_y = -SKULL_OVER_CHIN * chin_y
    hair_y = _hair_y(alpha, window, origin, roll, center_x, face_width)
    if hair_y is None:
        hair_y = skull_y
    return Head(
        origin=origin,
        roll_deg=roll,
        chin_y=chin_y,
        hair_y=hair_y,
        skull_y=max(skull_y, hair_y),
        center_x=center_x,
        face_width=max(face_width, 1.0),
        head_width=max(_ear_to_ear(person), face_width, 1.0),
        eyes_apart=float(np.hypot(*(eyes[1] - eyes[0]))),
        exact=mesh is not None,
    )


def reach(alpha: Alpha, window: Window, photo: Size, head: Head) -> Reach:
    """Where the edge of the picture (photo and window, whichever comes first) cuts the person off.

    Each side is looked at one pixel inside the edge; where person lies there, the pixel nearest to the head counts.
    """
    left, top = max(window.left, 0), max(window.top, 0)
    right, bottom = min(window.right, photo.width), min(window.bottom, photo.height)
    if right - left < 1 or bottom - top < 1:
        return Reach()
    part = alpha[top - window.top : bottom - window.top, left - window.left : right - window.left] >= _PERSON

    def turned(columns: npt.NDArray[np.intp], rows: npt.NDArray[np.intp]) -> Points:
        points = np.stack((columns + left + 0.5, rows + top + 0.5), axis=1).astype(np.float64)
        return upright(points, head.origin, head.roll_deg)

    def nearest(line: npt.NDArray[np.bool_], column: int | None, row: int | None, axis: int, sign: int) -> float | None:
        along = np.flatnonzero(line)
        if along.size == 0:
            return None
        fixed = np.full_like(along, column if column is not None else row)
        points = turned(fixed, along) if column is not None else turned(along, fixed)
        values = points[:, axis]
        return float(values.min() if sign > 0 else values.max())

    height, width = part.shape
    return Reach(
        left=nearest(part[:, 0], 0, None, 0, -1),
        top=nearest(part[0], None, 0, 1, -1),
        right=nearest(part[:, -1], width - 1, None, 0, 1),
        bottom=nearest(part[-1], None, height - 1, 1, 1),
    )


def _ear_to_ear(person: Person) -> float:
    left, right = person.parts.left_ear, person.parts.right_ear
    return math.hypot(right.x - left.x, right.y - left.y)


def _hair_y(
    alpha: Alpha, window: Window, origin: tuple[float, float], roll_deg: float, center_x: float, face_width: float
) -> float | None:
    """Upper end of the person above the eyes, near the face's middle, in the upright frame; None where no pixel
    is."""
    step = max(1, int(face_width // _LOOKED_PX))
    last = max(0, int(origin[1] + face_width) - window.top)  # no hair's top lies lower, however the head is turned
    rows, columns = np.nonzero(alpha[:last:step, ::step] >= _PERSON)
    points = np.stack((columns, rows), axis=1) * step + np.array([window.left + 0.5, window.top + 0.5])
    found = upright(points, origin, roll_deg)
    above = found[(found[:, 1] < 0) & (np.abs(found[:, 0] - center_x) <= _HAIR_BAND * face_width), 1]
    if above.size == 0:
        return None
    counts = np.bincount(np.floor(-above / step).astype(np.intp))
    full = np.flatnonzero(counts >= max(2.0, _LEAST_HAIR * face_width / step))
    return -float(full[-1] + 1) * step if full.size else None

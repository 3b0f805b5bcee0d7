"""Measures a head in an upright frame: chin, eyes, forehead and face from the face mesh, the top of the hair from the
matte, and the crown of the skull as an estimate from both.

The frame has photo pixels, rotated about the midpoint of the eyes, by default by the head's roll. The origin is that
midpoint, x points right, y down, so points above the eyes have a negative y.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from idseg.photo.size import HeadTop
from idseg.types import Alpha, FaceMesh, Person, Points, Size, Window

Side = Literal["left", "top", "right", "bottom"]

# Face mesh indices (MediaPipe's canonical face model).
_CHIN, _FOREHEAD = 152, 10

_PERSON = 0.5
"""Minimum alpha of a person pixel."""
_HAIR_BAND = 0.75
"""Maximum distance of hair from the face's centre, in face widths; it excludes a raised hand."""
_LEAST_HAIR = 0.04
"""Minimum share of the face's width that person pixels must fill in a row of hair; it excludes single strands."""
_CROWN, _CROWN_BY_FOREHEAD, _CROWN_BY_PITCH = 0.559, 0.812, -0.0049
"""Crown above the eyes, in units of the distance from eyes to chin: a constant, plus a factor for the forehead's height
above the eyes (same unit), plus a value per degree of upward pitch.

By the two-section canon, the eyes are half way down a head; in most adults the crown is further away than the chin
(Farkas et al., "Vertical and horizontal proportions of the face in young adult North American Caucasians: revision of
neoclassical canons", Plast. Reconstr. Surg. 75, 1985, canon 1), so the ratio is 1 or more. A camera one or two metres
away sees less, because the crown lies behind the face. So the three numbers were fitted on photos of 35 people with a
bare or shaven skull (``benchmarks/labels/crown.txt``), where the top of the matte is the crown; mean ratio 0.92."""
CROWN_DOUBT = 0.051
"""Error of the estimate (95 %), as a share of the head's height from chin to crown (median 0.019), from leave-one-out
cross-validation on the 35 people. Nearly all of them are men; children and women were not measured."""
_MOST_PITCH_DEG = 15.0
"""Maximum pitch among the 35 people."""
_LOOKED_PX = 300
"""In a face wider than this, only every second, third … row and column is read: hair is found to 1/300 of its width."""


@dataclass(frozen=True, slots=True)
class Head:
    """A head in its upright frame, in photo pixels; the module docstring defines the frame."""

    origin: tuple[float, float]
    """Midpoint of the eyes in the photo, (x, y)."""
    roll_deg: float
    """Rotation of the frame in the photo, > 0 clockwise."""
    chin_y: float
    hair_y: float
    """Highest point of hair, hat or scarf (< 0)."""
    crown_y: float
    """The crown of the skull without hair (< 0): an estimate, at most as high as the hair."""
    crown_doubt: float
    """Error of ``crown_y`` (95 %)."""
    forehead_y: float
    """Upper end of the forehead, near the hairline (< 0): the mesh's highest point."""
    center_x: float
    """Centre of the face's outline."""
    face_width: float
    """Width of the face's outline, which ends at the roots of the ears."""
    head_width: float
    """Width from ear to ear."""
    eyes_apart: float
    """Distance between the centres of the eyes."""
    exact: bool
    """True: from the face mesh. False: only from the detector's box and points."""

    @property
    def to_hair(self) -> float:
        """Distance from the chin to the highest hair."""
        return self.chin_y - self.hair_y

    @property
    def to_crown(self) -> float:
        """Distance from the chin to the crown."""
        return self.chin_y - self.crown_y

    def top_y(self, top: HeadTop) -> float:
        """The upper end that a rule refers to."""
        return {"hair": self.hair_y, "crown": self.crown_y, "forehead": self.forehead_y}[top]


@dataclass(frozen=True, slots=True)
class Reach:
    """How far the person's pixels extend in the head's frame before an edge of the picture cuts them off; None: not cut
    off."""

    left: float | None = None
    top: float | None = None
    right: float | None = None
    bottom: float | None = None
    head_cut: tuple[Side, ...] = ()
    """Sides of the photo that cut off the head itself (not sides of the window inside the photo)."""


def upright(points: Points, origin: tuple[float, float], roll_deg: float) -> Points:
    """Convert photo points (N, 2) to the upright frame about ``origin``."""
    cos, sin = math.cos(math.radians(roll_deg)), math.sin(math.radians(roll_deg))
    moved = np.asarray(points, dtype=np.float64)[:, :2] - np.array(origin)
    return np.stack((moved[:, 0] * cos + moved[:, 1] * sin, moved[:, 1] * cos - moved[:, 0] * sin), axis=1)


def measure(person: Person, mesh: FaceMesh | None, alpha: Alpha, window: Window, roll_deg: float | None = None) -> Head:
    """Measure the head of a person.

    Args:
        person: eyes, face box and roll, photo pixels.
        mesh: the face mesh, photo pixels; None if there is none, then the box's lower edge is the chin.
        alpha: matte (H, W) of the photo under ``window``.
        window: place of the matte in the photo.
        roll_deg: rotation of the frame, clockwise; None: the head's own roll.
    """
    roll = person.head.roll_deg if roll_deg is None else roll_deg
    if mesh is None:
        eyes = np.array([person.parts.left_eye[:2], person.parts.right_eye[:2]], dtype=np.float64)
        box = person.face_box
        chin = np.array([[box.center[0], box.bottom]])
        forehead = np.array([[box.center[0], box.top]])
        outline = np.array([[box.left, box.center[1]], [box.right, box.center[1]]])
    else:
        points = mesh.points[:, :2]
        eyes = np.array([points[list(FaceMesh.LEFT_EYE)].mean(axis=0), points[list(FaceMesh.RIGHT_EYE)].mean(axis=0)])
        chin, forehead, outline = points[[_CHIN]], points[[_FOREHEAD]], points
    origin = (float(eyes[:, 0].mean()), float(eyes[:, 1].mean()))
    across = upright(outline, origin, roll)[:, 0]
    center_x, face_width = float(across.min() + across.max()) / 2, float(np.ptp(across))
    chin_y = max(float(upright(chin, origin, roll)[0, 1]), 1.0)
    forehead_y = min(float(upright(forehead, origin, roll)[0, 1]), -1.0)
    hair_y = _hair_y(alpha, window, origin, roll, center_x, face_width)
    pitch_deg = person.head.pitch_deg if mesh is not None else None
    crown_y, doubt = _crown(chin_y, forehead_y, pitch_deg, hair_y)
    return Head(
        origin=origin,
        roll_deg=roll,
        chin_y=chin_y,
        hair_y=crown_y if hair_y is None else hair_y,
        crown_y=crown_y,
        crown_doubt=doubt,
        forehead_y=forehead_y,
        center_x=center_x,
        face_width=max(face_width, 1.0),
        head_width=max(_ear_to_ear(person), face_width, 1.0),
        eyes_apart=float(np.hypot(*(eyes[1] - eyes[0]))),
        exact=mesh is not None,
    )


def _crown(chin_y: float, forehead_y: float, pitch_deg: float | None, hair_y: float | None) -> tuple[float, float]:
    """The crown and its error (95 %). If the highest hair is below the estimate, the crown is there.

    Args:
        chin_y, forehead_y, hair_y: in the upright frame; ``hair_y`` None: there is no matte.
        pitch_deg: pitch of the head; None: there is no face mesh, so the chin and the forehead are guesses.
    """
    pitch = min(max(pitch_deg or 0.0, -_MOST_PITCH_DEG), _MOST_PITCH_DEG)
    estimate = -(_CROWN * chin_y - _CROWN_BY_FOREHEAD * forehead_y + _CROWN_BY_PITCH * pitch * chin_y)
    doubt = CROWN_DOUBT * (chin_y - estimate)
    crown_y = estimate if hair_y is None else max(estimate, hair_y)
    return crown_y, doubt if pitch_deg is not None else 2 * doubt


def reach(alpha: Alpha, window: Window, photo: Size, head: Head) -> Reach:
    """Find where an edge of the picture (of photo or window, whichever comes first) cuts the person off.

    Each side is examined in a band of rows or columns inside the edge, because a matte fades over a few pixels there.
    Of the places with person, the one nearest to the head counts.
    """
    left, top = max(window.left, 0), max(window.top, 0)
    right, bottom = min(window.right, photo.width), min(window.bottom, photo.height)
    if right - left < 1 or bottom - top < 1:
        return Reach()
    part = alpha[top - window.top : bottom - window.top, left - window.left : right - window.left]
    depth = max(_LEAST_BAND_PX, round(_BAND * max(window.width, window.height)))
    rows, columns = np.arange(top, bottom) + 0.5, np.arange(left, right) + 0.5
    bands: dict[Side, tuple[Alpha, Points]] = {
        "left": (part[:, :depth].T, np.stack((np.full(len(rows), left + 0.5), rows), axis=1)),
        "top": (part[:depth], np.stack((columns, np.full(len(columns), top + 0.5)), axis=1)),
        "right": (part[:, : -depth - 1 : -1].T, np.stack((np.full(len(rows), right - 0.5), rows), axis=1)),
        "bottom": (part[: -depth - 1 : -1], np.stack((columns, np.full(len(columns), bottom - 0.5)), axis=1)),
    }
    ends: dict[Side, float | None] = {}
    cut: list[Side] = []
    photo_ends = {
        "left": window.left <= 0,
        "top": window.top <= 0,
        "right": window.right >= photo.width,
        "bottom": window.bottom >= photo.height,
    }
    for side, (band, at) in bands.items():
        touching = upright(at[_touches(band)], head.origin, head.roll_deg)
        axis, sign = _AXES[side]
        ends[side] = float(sign * (sign * touching[:, axis]).min()) if len(touching) else None
        if photo_ends[side] and len(touching) and _cuts_head(side, touching, head):
            cut.append(side)
    return Reach(**ends, head_cut=tuple(cut))


_AXES: dict[Side, tuple[int, int]] = {"left": (0, -1), "top": (1, -1), "right": (0, 1), "bottom": (1, 1)}
"""Axis along which a side is measured, and the sign of the outward direction."""
_BAND = 0.012
"""Depth of the band inside the picture's edge, as a share of the window's longer side. A matte that fades at a cut edge
is complete again within this depth."""
_LEAST_BAND_PX = 3
_FADED = 0.35
"""Minimum mean alpha in the first rows of a band where the edge cuts the person off; where the person ends before the
edge, it is lower."""
_EDGE_PX = 3
_HEAD_BELOW = 0.7
"""A left or right edge cuts off the head if it meets the head above this share of the distance from eyes to chin;
shoulders are lower."""
_NECK = 0.03
"""Minimum neck below the chin, as a share of the head's height: the error of the mesh's chin."""


def _touches(band: Alpha) -> npt.NDArray[np.bool_]:
    """In which lines (columns of ``band``, whose first row is the picture's edge) the edge cuts the person off."""
    return np.asarray((band.max(axis=0) >= _PERSON) & (band[:_EDGE_PX].mean(axis=0) >= _FADED), dtype=np.bool_)


def _cuts_head(side: Side, touching: Points, head: Head) -> bool:
    """Whether the places where an edge cuts the person off belong to the head."""
    if side == "bottom":
        below = np.abs(touching[:, 0] - head.center_x) <= head.face_width / 2
        return bool((below & (touching[:, 1] < head.chin_y + _NECK * head.to_crown)).any())
    near = np.abs(touching[:, 0] - head.center_x) <= _HAIR_BAND * head.face_width if side == "top" else True
    return bool((near & (touching[:, 1] < _HEAD_BELOW * head.chin_y)).sum() >= max(2.0, _LEAST_HAIR * head.face_width))


def _ear_to_ear(person: Person) -> float:
    left, right = person.parts.left_ear, person.parts.right_ear
    return math.hypot(right.x - left.x, right.y - left.y)


def _hair_y(
    alpha: Alpha, window: Window, origin: tuple[float, float], roll_deg: float, center_x: float, face_width: float
) -> float | None:
    """Upper end of the person above the eyes, near the face's centre, in the upright frame; None if there is no person
    pixel."""
    step = max(1, int(face_width // _LOOKED_PX))
    last = max(0, int(origin[1] + face_width) - window.top)  # the top of the hair is never lower, at any rotation
    rows, columns = np.nonzero(alpha[:last:step, ::step] >= _PERSON)
    points = np.stack((columns, rows), axis=1) * step + np.array([window.left + 0.5, window.top + 0.5])
    found = upright(points, origin, roll_deg)
    above = found[(found[:, 1] < 0) & (np.abs(found[:, 0] - center_x) <= _HAIR_BAND * face_width), 1]
    if above.size == 0:
        return None
    counts = np.bincount(np.floor(-above / step).astype(np.intp))
    full = np.flatnonzero(counts >= max(2.0, _LEAST_HAIR * face_width / step))
    return -float(full[-1] + 1) * step if full.size else None

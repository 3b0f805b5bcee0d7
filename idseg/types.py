"""The values that pass between stages, and their conventions.

* A picture is ``rgb``: uint8, shape (H, W, 3), sRGB, C-contiguous.
* A matte is ``alpha``: float32, shape (H, W), 0..1, straight (not premultiplied).
* Points are float64 pixels, (x, y). The origin is the top left corner of the picture, and y points down; the centre of
  the first pixel is (0.5, 0.5).
* Sizes are (width, height).
* ``left`` and ``right`` are the PICTURE's, as in the API: ``left_eye`` is the eye nearer to the picture's left edge
  when the person looks into the camera. (MediaPipe's names are the person's; ``models/mediapipe.py`` swaps them.)
* Angles are degrees. ``roll_deg`` > 0: the head is tilted clockwise as seen in the picture. ``yaw_deg`` > 0: the face
  looks to the picture's right. ``pitch_deg`` > 0: the face looks up.

Values are frozen: a stage takes values and returns new ones. Arrays inside are not copied; treat them as read-only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Rgb: TypeAlias = npt.NDArray[np.uint8]
"""Picture, uint8 (H, W, 3)."""
Alpha: TypeAlias = npt.NDArray[np.float32]
"""Matte, float32 (H, W), 0..1."""
Points: TypeAlias = npt.NDArray[np.float64]
"""Points, float64 (N, 2) or (N, 3), pixels."""

Quality: TypeAlias = Literal["best", "fast"]
"""``best``: a net refines hair on cuts from 0.4 MP on. ``fast``: only on cuts above about 2 MP."""

PartName: TypeAlias = Literal[
    "left_ear",
    "right_ear",
    "left_eye",
    "right_eye",
    "nose_tip",
    "left_mouth",
    "right_mouth",
    "right_shoulder",
    "left_shoulder",
    "neck",
]


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int


class Box(NamedTuple):
    """An axis-aligned box in float pixels."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def bottom(self) -> float:
        return self.top + self.height

    @property
    def center(self) -> tuple[float, float]:
        return self.left + self.width / 2, self.top + self.height / 2

    def moved(self, dx: float, dy: float) -> Box:
        """The same box, moved by (dx, dy) pixels."""
        return Box(self.left + dx, self.top + dy, self.width, self.height)

    def scaled(self, factor: float) -> Box:
        """The same box in a picture that is ``factor`` times as large."""
        return Box(self.left * factor, self.top * factor, self.width * factor, self.height * factor)

    def grown(self, factor: float) -> Box:
        """The box with the same centre, ``factor`` times as large."""
        x, y = self.center
        return Box(x - self.width * factor / 2, y - self.height * factor / 2, self.width * factor, self.height * factor)


class Window(NamedTuple):
    """An integer rectangle of pixels in a picture; it may extend beyond the picture on any side."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """One past the last column."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """One past the last row."""
        return self.top + self.height

    @property
    def size(self) -> Size:
        return Size(self.width, self.height)


class Levels(NamedTuple):
    """What bytes stand for: byte ``b`` for the number ``scale * (b - zero)``."""

    scale: float
    zero: int


class Features(NamedTuple):
    """The coarse net's last features, which tell a refiner what is person."""

    values: npt.NDArray[Any]
    """float32 or uint8 (h, w, C), at half the size of the net's input."""
    inner: Window
    """The picture's window in the net's input."""
    levels: Levels | None = None
    """What the values stand for if they are bytes; None: they are floats."""


class Coarse(NamedTuple):
    """What a coarse net found in a picture."""

    alpha: Alpha
    """At the picture's own size (H, W)."""
    features: Features | None
    """None if the net has no such output."""


class Point(NamedTuple):
    """A point in pixels with a score, 0..1: the confidence that the part is visible at this point."""

    x: float
    y: float
    score: float

    def moved(self, dx: float, dy: float) -> Point:
        return Point(self.x + dx, self.y + dy, self.score)


@dataclass(frozen=True, slots=True)
class BodyParts:
    """The ten points of the API, in the API's order; left and right are the picture's."""

    left_ear: Point
    right_ear: Point
    left_eye: Point
    right_eye: Point
    nose_tip: Point
    left_mouth: Point
    right_mouth: Point
    right_shoulder: Point
    left_shoulder: Point
    neck: Point

    def items(self) -> Iterator[tuple[PartName, Point]]:
        """(name, point) in the API's order."""
        for part in fields(self):
            yield part.name, getattr(self, part.name)  # type: ignore[misc]

    def moved(self, dx: float, dy: float) -> BodyParts:
        """All points moved by (dx, dy) pixels."""
        return BodyParts(**{name: point.moved(dx, dy) for name, point in self.items()})


@dataclass(frozen=True, slots=True)
class Photo:
    """A decoded photo: upright by its EXIF orientation, sRGB, without alpha."""

    rgb: Rgb
    format: str
    """``"JPEG"``, ``"PNG"``, ``"HEIC"``, … (:data:`idseg.stages.decode.FORMATS`); ``"array"``: a NumPy array or a PIL
    image."""
    exif_orientation: int = 1
    """EXIF orientation of the file, 1..8 (already applied to ``rgb``)."""
    notes: tuple[str, ...] = ()
    """Sentences about parts of the file that were not used, such as an unsupported colour profile."""

    @property
    def size(self) -> Size:
        return Size(self.rgb.shape[1], self.rgb.shape[0])


@dataclass(frozen=True, slots=True)
class FaceDetection:
    """A detected face: box, score and six points (BlazeFace); left and right are the picture's."""

    box: Box
    score: float
    left_eye: tuple[float, float]
    right_eye: tuple[float, float]
    nose_tip: tuple[float, float]
    mouth: tuple[float, float]
    left_ear: tuple[float, float]
    right_ear: tuple[float, float]

    def placed(self, factor: float, dx: float = 0.0, dy: float = 0.0) -> FaceDetection:
        """The face in coordinates of a picture ``factor`` times as large, with its origin at (-dx, -dy)."""

        def point(xy: tuple[float, float]) -> tuple[float, float]:
            return xy[0] * factor + dx, xy[1] * factor + dy

        return FaceDetection(
            box=self.box.scaled(factor).moved(dx, dy),
            score=self.score,
            left_eye=point(self.left_eye),
            right_eye=point(self.right_eye),
            nose_tip=point(self.nose_tip),
            mouth=point(self.mouth),
            left_ear=point(self.left_ear),
            right_ear=point(self.right_ear),
        )


@dataclass(frozen=True, slots=True)
class FaceMesh:
    """MediaPipe's canonical face mesh.

    The constants are indices of its points (``canonical_face_model_uv_visualization`` in MediaPipe's repository); left
    and right are the picture's.
    """

    LEFT_EYE: ClassVar = (33, 133)
    """The corners of the eye, ordered from the picture's left to its right."""
    RIGHT_EYE: ClassVar = (362, 263)
    NOSE_TIP: ClassVar = 1
    LEFT_MOUTH: ClassVar = 61
    RIGHT_MOUTH: ClassVar = 291
    LEFT_EAR: ClassVar = (127, 234)
    """The two outline points nearest to the ear, because the mesh has no ears."""
    RIGHT_EAR: ClassVar = (356, 454)
    FOREHEAD: ClassVar = 10
    CHIN: ClassVar = 152

    points: Points
    """float64 (468, 3): x, y in pixels of the picture that the model saw, or of the photo after conversion; z in the
    same pixels, < 0 towards the camera."""
    score: float
    """The model's confidence that there is a face, 0..1 (the detector's score if the model gives none)."""


@dataclass(frozen=True, slots=True)
class PosePoints:
    """MediaPipe's 33 pose landmarks.

    The constants are their indices (BlazePose GHUM, Bazarevsky et al. 2020, fig. 1); left and right are the picture's.
    """

    NOSE: ClassVar = 0
    LEFT_EYE: ClassVar = 5
    RIGHT_EYE: ClassVar = 2
    LEFT_EAR: ClassVar = 8
    RIGHT_EAR: ClassVar = 7
    LEFT_MOUTH: ClassVar = 10
    RIGHT_MOUTH: ClassVar = 9
    LEFT_SHOULDER: ClassVar = 12
    RIGHT_SHOULDER: ClassVar = 11

    points: Points
    """float64 (33, 3): x, y in pixels; z in pixels, 0 at the midpoint of the hips, < 0 towards the camera."""
    visibility: npt.NDArray[np.float64]
    """float64 (33,), 0..1: probability that the point is visible (inside the picture and not hidden)."""
    presence: npt.NDArray[np.float64]
    """float64 (33,), 0..1: probability that the point is inside the picture."""


class FacePose(IntEnum):
    """The API's ``facepose``."""

    UNKNOWN = -1
    LEVEL_FRONTAL = 1
    TILTED_FRONTAL = 2
    LEVEL_PROFILE = 3
    TILTED_PROFILE = 4


class BodyPose(IntEnum):
    """The API's ``bodypose``: orientation of the shoulders."""

    UNKNOWN = -1
    LEVEL_FRONTAL = 1
    LEVEL_TURNED = 2
    LEVEL_SIDE = 3
    TILTED_FRONTAL = 4
    TILTED_TURNED = 5
    TILTED_SIDE = 6


@dataclass(frozen=True, slots=True)
class HeadAngles:
    """Orientation of the head in degrees; the module docstring defines the signs."""

    yaw_deg: float
    pitch_deg: float
    roll_deg: float


@dataclass(frozen=True, slots=True)
class ShoulderAngles:
    """Orientation of the shoulders."""

    tilt_deg: float
    """Slope of the line through the shoulders, degrees; > 0 clockwise (the picture's right shoulder is lower)."""
    turn: float
    """Offset of the nose tip from the midpoint of the shoulders, as a share of the shoulder width; > 0 to the right."""
    breadth: float
    """Shoulder width divided by the width of the face box; small for a body turned to the side."""


@dataclass(frozen=True, slots=True)
class Pose:
    """The API's two classes, and the angles that decided them."""

    facepose: FacePose
    bodypose: BodyPose
    head: HeadAngles
    shoulders: ShoulderAngles


@dataclass(frozen=True, slots=True)
class Person:
    """The person in a photo, in photo pixels."""

    face_box: Box
    face_score: float
    parts: BodyParts
    head: HeadAngles
    mesh: FaceMesh | None = field(default=None, repr=False, compare=False)
    """The face mesh from which the parts come; None if they come from another model (profiles, hidden faces)."""
    others: tuple[Box, ...] = ()
    """Boxes of other faces as large as a person's, which were not chosen; comparable with ``face_box``."""

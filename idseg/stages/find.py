"""Is there exactly one upright person? Finds the faces, looks again at turned copies, and says who is too many.

The rules, in this order:

1. Faces are looked for upright with both detectors (short range for selfies, full range for people further away).
2. A face whose own roll is beyond ``sideways_roll_deg``, or that is only found (or found clearly better) after
   turning the
   photo, means that the photo lies on its side (turn 90 or 270) or stands on its head (turn 180).
3. Every face must be seen again in a crop around it (ears, clouds, knees and pendants are not), or at least half so
with
   a body below it (profiles).
4. Faces at least ``second_face_ratio`` times as high as the highest are people of the photo; smaller ones are
   background.
   Exactly one may remain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from idseg.errors import MultiplePersonsError, NoPersonError, OptionError, SidewaysError, UpsideDownError
from idseg.imaging.geometry import iou, midpoint, slope_deg
from idseg.types import FaceDetection, Rgb

_CONFIRM_REACH = 1.25
"""Half the side of the crop around a second face, in box sizes: head and neck, as the short-range detector wants it."""

FaceFinder = Callable[[Rgb], tuple[FaceDetection, ...]]
BodyFinder = Callable[[FaceDetection], bool]


@dataclass(frozen=True, slots=True)
class DetectOptions:
    """What counts as one upright person."""

    second_face_ratio: float = 0.45
    """Height of a face, as a share of the largest face's, from which it is a second person and not background."""
    least_score: float = 0.5
    """Detector score (0..1) below which a find is no face."""
    least_face_px: float = 20.0
    """Height of the largest face, pixels, below which there is nothing to cut: an ID photo needs hundreds."""
    sideways_roll_deg: float = 60.0
    """|roll| of a face from which the photo, not the head, is turned: necks bend about 45 degrees."""
    upside_down_roll_deg: float = 120.0
    """|roll| from which it stands on its head."""
    body_sideways_deg: float = 72.0
    """|angle| between the line from the nose to the shoulders and straight down from which the photo lies on its side.
    Measured: 200 upright portraits within 63 degrees, 95 % within 40."""
    body_upside_down_deg: float = 118.0
    """The same from which a person is upside down (the same portraits turned by 180 degrees: all beyond 120)."""
    turned_margin: float = 0.1
    """How much better (score) a face must be in a turned copy than upright to count as turned."""
    turned_score: float = 0.75
    """Score in a turned copy below which the find proves nothing: skin and wrinkles reach 0.6 at any turn."""
    again_score: float = 0.64
    """Score that some detector must give the face again in a crop around it. Measured on 250 portraits: 1 % lie
    lower; of 15 finds in 150 pictures without people one lies higher."""
    certain_score: float = 0.85
    """Score of a single face that needs no look again (half of all portraits; no picture without people reached it)."""
    second_again_score: float = 0.72
    """The same for a second face: a doubt is the first person's gain."""
    sure_score: float = 0.8
    """Upright score that needs no second look at turned copies."""
    turn: bool = False
    """Turn a photo that lies on its side or stands on its head, instead of refusing it."""
    same_iou: float = 0.3
    """Overlap (IoU) from which two finds are one face."""

    def __post_init__(self) -> None:
        if not 0 < self.second_face_ratio <= 1:
            raise OptionError(
                f"second_face_ratio {self.second_face_ratio:g} is outside 0 .. 1",
                second_face_ratio=self.second_face_ratio,
            )
        if not 0 < self.least_score < 1:
            raise OptionError(f"least_score {self.least_score:g} is outside 0 .. 1", least_score=self.least_score)


def one_face(
    rgb: Rgb,
    finders: tuple[FaceFinder, ...],
    options: DetectOptions | None = None,
    has_body: BodyFinder = lambda face: False,
) -> FaceDetection:
    """The face of the one upright person of a picture.

    Args:
        rgb: (H, W, 3); a reduced copy of a large photo is enough (the detectors look at 192x192).
        finders: the face detectors; their finds are merged.
        options: the thresholds.
        has_body: whether a body belongs to a face of this picture; asked only about the largest face, and only in
        doubt.

    Raises:
        NoPersonError, MultiplePersonsError, UpsideDownError, SidewaysError
    """
    options = DetectOptions() if options is None else options
    faces = find_faces(rgb, finders, options)
    best = max((face.score for face in faces), default=0.0)
    if best < options.sure_score:
        _refuse_turned(rgb, finders, options, best)
    people = _really(persons(faces, options), rgb, finders, options, has_body)
    if not people:
        raise NoPersonError(
            "no face was found; the photo must show one person from the front, face and shoulders free", persons=0
        )
    if len(people) > 1:
        raise MultiplePersonsError(
            f"{len(people)} people are in the photo, exactly one is allowed (faces at least "
            f"{options.second_face_ratio:.0%} as high as the largest count)",
            persons=len(people),
            faces=len(faces),
        )
    face = people[0]
    if face.box.height < options.least_face_px:
        raise NoPersonError(
            f"the largest face is {face.box.height:.0f} px high; at least {options.least_face_px:.0f} px are needed",
            persons=0,
        )
    roll = face_roll_deg(face)
    if abs(roll) >= options.upside_down_roll_deg:
        raise _upside_down()
    if abs(roll) >= options.sideways_roll_deg:
        raise _sideways(-90 if roll > 0 else 90)
    return face


def find_faces(rgb: Rgb, finders: tuple[FaceFinder, ...], options: DetectOptions) -> tuple[FaceDetection, ...]:
    """All faces that any finder saw, the best score first, each once."""
    found = sorted((face for find in finders for face in find(rgb)), key=lambda face: -face.score)
    kept: list[FaceDetection] = []
    for face in found:
        if face.score >= options.least_score and all(not same_face(face, other, options) for other in kept):
            kept.append(face)
    return tuple(kept)


def same_face(a: FaceDetection, b: FaceDetection, options: DetectOptions) -> bool:
    """Whether two finds are one face: boxes that overlap, or the nose of either inside the other and near its nose."""
    if iou(a.box, b.box) >= options.same_iou:
        return True
    near = 0.35 * max(a.box.width, b.box.width)
    eyes_a, eyes_b = midpoint(a.left_eye, a.right_eye), midpoint(b.left_eye, b.right_eye)
    return max(abs(eyes_a[0] - eyes_b[0]), abs(eyes_a[1] - eyes_b[1])) <= near


def persons(faces: tuple[FaceDetection, ...], options: DetectOptions) -> tuple[FaceDetection, ...]:
    """The faces that count as people, the largest first."""
    if not faces:
        return ()
    ordered = sorted(faces, key=lambda face: -face.box.height)
    least = options.second_face_ratio * ordered[0].box.height
    return tuple(face for face in ordered if face.box.height >= least)


def face_roll_deg(face: FaceDetection) -> float:
    """Roll of a detected face, -180..180, > 0 clockwise: the turn that fits the eyes' line and the line from the eyes
    to the mouth best, weighted by their lengths (in profile the eyes' line is short and says nothing)."""
    eyes = midpoint(face.left_eye, face.right_eye)
    across = face.right_eye[0] - face.left_eye[0], face.right_eye[1] - face.left_eye[1]
    down = face.mouth[0] - eyes[0], face.mouth[1] - eyes[1]
    return slope_deg((0.0, 0.0), (across[0] + down[1], across[1] - down[0]))


def _really(
    people: tuple[FaceDetection, ...],
    rgb: Rgb,
    finders: tuple[FaceFinder, ...],
    options: DetectOptions,
    has_body: BodyFinder,
) -> tuple[FaceDetection, ...]:
    """The people whose faces are seen again. A single find that is sure needs no second look."""
    if len(people) == 1 and people[0].score >= options.certain_score:
        return people
    again = [(face, _seen_again(rgb, face, finders, options)) for face in people]
    first = [face for face, score in again if score >= options.again_score][:1]
    if not first:
        first = [face for face, score in again[:1] if score >= options.least_score and has_body(face)]
    return (
        *first,
        *(face for face, score in again if face not in first and score >= options.second_again_score),
    )


def _seen_again(rgb: Rgb, face: FaceDetection, finders: tuple[FaceFinder, ...], options: DetectOptions) -> float:
    """The best score that a detector gives the face in a crop around it; 0 where none sees it."""
    reach = _CONFIRM_REACH * max(face.box.width, face.box.height)
    x, y = face.box.center
    left, top = max(0, int(x - reach)), max(0, int(y - reach))
    crop = np.ascontiguousarray(rgb[top : int(y + reach) + 1, left : int(x + reach) + 1])
    wanted = enlarged(face, 1.0, -left, -top)
    return max((f.score for find in finders for f in find(crop) if same_face(f, wanted, options)), default=0.0)


def _refuse_turned(rgb: Rgb, finders: tuple[FaceFinder, ...], options: DetectOptions, upright: float) -> None:
    """Raise if a turned copy shows a clearly better face whose own roll is small there."""
    scores = {}
    for turns in (2, 1, 3):
        turned = np.ascontiguousarray(np.rot90(rgb, -turns))
        faces = find_faces(turned, finders, options)
        level = [f.score for f in faces if abs(face_roll_deg(f)) < options.sideways_roll_deg]
        scores[turns] = max(level, default=0.0)
    turns = max(scores, key=lambda key: scores[key])
    if scores[turns] < max(upright + options.turned_margin, options.turned_score):
        return
    raise _upside_down() if turns == 2 else _sideways(90 if turns == 1 else -90)


def refuse_turned_body(body_roll_deg: float, options: DetectOptions) -> None:
    """Raise if the body hangs from the head or lies beside it: a face on its head can look upright to the detectors and
    the mesh, a body cannot."""
    if abs(body_roll_deg) >= options.body_upside_down_deg:
        raise _upside_down()
    if abs(body_roll_deg) >= options.body_sideways_deg:
        raise _sideways(-90 if body_roll_deg > 0 else 90)


def _upside_down() -> UpsideDownError:
    return UpsideDownError("the person is upside down; turn the photo by 180 degrees", persons=1, turn_deg=180)


def _sideways(turn_deg: int) -> SidewaysError:
    way = "clockwise" if turn_deg > 0 else "counter-clockwise"
    return SidewaysError(f"the photo lies on its side; turn it by 90 degrees {way}", persons=1, turn_deg=turn_deg)


def enlarged(face: FaceDetection, factor: float, dx: float = 0.0, dy: float = 0.0) -> FaceDetection:
    """The face in a picture ``factor`` times as large whose origin lies at (-dx, -dy)."""

    def point(xy: tuple[float, float]) -> tuple[float, float]:
        return xy[0] * factor + dx, xy[1] * factor + dy

    return replace(
        face,
        box=face.box.scaled(factor).moved(dx, dy),
        left_eye=point(face.left_eye),
        right_eye=point(face.right_eye),
        nose_tip=point(face.nose_tip),
        mouth=point(face.mouth),
        left_ear=point(face.left_ear),
        right_ear=point(face.right_ear),
    )

"""Finds the faces of a photo, confirms them, and refuses a photo without exactly one upright person.

The rules, in this order:

1. Two detectors look for upright faces (short range for selfies, full range for people further away).
2. The photo is turned if the only or best face appears in a rotated copy, or if a face's own roll exceeds
   ``sideways_roll_deg``. It then lies on its side (turn 90 or -90) or is upside down (turn 180).
3. A detector must find every face again in a crop around it, which rules out ears, clouds and knees. The faces are
tried
   by size, largest first, until one is confirmed, so a large false detection does not make a real face count as small.
   The largest face may also be confirmed by a lower score and a body below it (a profile).
4. Faces at least ``second_face_ratio`` times as high as the first confirmed face are people if they are confirmed too;
   smaller faces are background. Exactly one person may remain.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from idseg.errors import MultiplePersonsError, NoPersonError, OptionError, turned_error
from idseg.imaging.geometry import iou, midpoint, slope_deg
from idseg.imaging.resize import reduced
from idseg.models.region import FaceModel, PoseModel, body_area, body_in
from idseg.system import side_by_side
from idseg.types import Box, FaceDetection, Rgb

_SEARCH_SIDE_PX = 1280
"""Longest side of the copy for the search, px. The full-range detector finds faces from about 1/40 of it."""
_CONFIRM_REACH = 1.25
"""Half the side of the crop that confirms a face, in box sizes: head and neck, as the short-range detector needs."""


@dataclass(frozen=True, slots=True)
class DetectOptions:
    """Definition of one upright person."""

    second_face_ratio: float = 0.45
    """Minimum height of a second person's face, relative to the largest face; smaller faces are background."""
    least_score: float = 0.5
    """Minimum detector score (0..1) of a face."""
    least_face_px: float = 20.0
    """Minimum height of the largest face, pixels. A usable ID photo needs hundreds."""
    sideways_roll_deg: float = 60.0
    """|roll| of a face from which the photo, and not only the head, is turned: a neck bends about 45 degrees."""
    upside_down_roll_deg: float = 120.0
    """|roll| of a face from which the photo is upside down."""
    turned_margin: float = 0.1
    """How much a score in a rotated copy must exceed the upright score for the photo to count as turned."""
    turned_score: float = 0.75
    """Minimum score in a rotated copy. Lower ones are ignored: skin and wrinkles reach 0.6 at any rotation."""
    again_score: float = 0.64
    """Minimum score of the face in a crop around it. 1 % of portraits score lower; one of 15 false detections on 150
    pictures without people scores higher."""
    certain_score: float = 0.85
    """Score from which a single face needs no confirmation. Half of the portraits reach it, and no false detection."""
    second_again_score: float = 0.72
    """Like ``again_score``, for every further face. Stricter, so that a doubtful one does not reject the photo."""
    sure_score: float = 0.8
    """Score of an upright face from which rotated copies are not searched."""
    turn: bool = False
    """Rotate a photo that lies on its side or is upside down, instead of refusing it."""
    pick: str = ""
    """Person to choose among several: ``largest``, ``left``, ``right``, or a number from 1, counted from the picture's
    left. Empty: refuse several people."""
    same_iou: float = 0.3
    """Overlap (IoU) from which two detections are the same face."""

    def __post_init__(self) -> None:
        if not 0 < self.second_face_ratio <= 1:
            raise OptionError(
                f"second_face_ratio {self.second_face_ratio:g} is outside 0 .. 1",
                second_face_ratio=self.second_face_ratio,
            )
        if not 0 < self.least_score < 1:
            raise OptionError(f"least_score {self.least_score:g} is outside 0 .. 1", least_score=self.least_score)
        number = self.pick.isascii() and self.pick.isdigit() and int(self.pick) >= 1
        if self.pick not in ("", "largest", "left", "right") and not number:
            raise OptionError(
                f"pick {self.pick!r}: use largest, left, right, or a number from 1, counted from the left",
                pick=self.pick,
            )


@dataclass(frozen=True, slots=True)
class FindModels:
    """The models for finding one person."""

    faces: tuple[FaceModel, ...]
    """The face detectors; their detections are merged."""
    pose: PoseModel
    """Used only if the largest face is uncertain."""


def _shares(box: Box, rgb: Rgb) -> list[float]:
    """left, top, width and height as fractions of the picture's sides, valid at any scale."""
    height, width = rgb.shape[:2]
    return [round(value, 4) for value in (box.left / width, box.top / height, box.width / width, box.height / height)]


def one_face(rgb: Rgb, models: FindModels, options: DetectOptions | None = None) -> FaceDetection:
    """The face of the only upright person in a photo (H, W, 3), in photo pixels.

    Raises:
        NoPersonError, MultiplePersonsError, UpsideDownError, SidewaysError
    """
    return face_and_others(rgb, models, options)[0]


def face_and_others(
    rgb: Rgb, models: FindModels, options: DetectOptions | None = None, pool: Executor | None = None
) -> tuple[FaceDetection, tuple[FaceDetection, ...]]:
    """The face that :func:`one_face` returns, and the other faces that are as large as a person's: the people who were
    not picked, and faces that were not confirmed (such as posters). With a pool, two detectors run at the same time.

    Raises:
        As :func:`one_face`.
    """
    options = DetectOptions() if options is None else options
    small, scale = reduced(rgb, _SEARCH_SIDE_PX)
    faces = find_faces(small, models.faces, options, pool)
    best = max((face.score for face in faces), default=0.0)
    if best < options.sure_score:
        _refuse_turned(small, models.faces, options, best)
    people = _confirmed_people(faces, small, models, options)
    if not people:
        raise NoPersonError(
            "no face was found; the photo must show one person from the front, face and shoulders free", persons=0
        )
    if len(people) > 1 and options.pick:
        people = (_picked(people, options.pick),)
    if len(people) > 1:
        raise MultiplePersonsError(
            f"{len(people)} people are in the photo, exactly one is allowed (faces at least "
            f"{options.second_face_ratio:.0%} as high as the largest count)",
            persons=len(people),
            faces=len(faces),
            boxes=[_shares(face.box, small) for face in people],
        )
    face = people[0]
    if face.box.height < options.least_face_px:
        raise NoPersonError(
            f"the largest face is {face.box.height:.0f} px high; at least {options.least_face_px:.0f} px are needed",
            persons=0,
        )
    roll = face_roll_deg(face)
    if abs(roll) >= options.upside_down_roll_deg:
        raise turned_error(180)
    if abs(roll) >= options.sideways_roll_deg:
        raise turned_error(-90 if roll > 0 else 90)
    least = options.second_face_ratio * face.box.height
    others = (other for other in faces if other.box.height >= least and not same_face(other, face, options))
    return face.placed(1 / scale), tuple(other.placed(1 / scale) for other in others)


def _picked(people: tuple[FaceDetection, ...], pick: str) -> FaceDetection:
    """The chosen person; ``people`` are sorted by size, largest first.

    Raises:
        OptionError: there are fewer people than ``pick``.
    """
    if pick == "largest":
        return people[0]
    from_left = sorted(people, key=lambda face: face.box.center[0])
    number = {"left": 1, "right": len(from_left)}.get(pick) or int(pick)
    if number > len(from_left):
        raise OptionError(f"pick {pick}: there are only {len(from_left)} people in the photo", persons=len(from_left))
    return from_left[number - 1]


def find_faces(
    rgb: Rgb, models: tuple[FaceModel, ...], options: DetectOptions, pool: Executor | None = None
) -> tuple[FaceDetection, ...]:
    """The faces that the models find, without duplicates, best score first."""
    first, *others = models
    by_first, by_others = side_by_side(
        pool, lambda: first(rgb), lambda: [face for model in others for face in model(rgb)]
    )
    found = sorted((*by_first, *by_others), key=lambda face: -face.score)
    kept: list[FaceDetection] = []
    for face in found:
        if face.score >= options.least_score and all(not same_face(face, other, options) for other in kept):
            kept.append(face)
    return tuple(kept)


def same_face(a: FaceDetection, b: FaceDetection, options: DetectOptions) -> bool:
    """Whether two detections are the same face: their boxes overlap, or the midpoints of their eyes are close."""
    if iou(a.box, b.box) >= options.same_iou:
        return True
    near = 0.35 * max(a.box.width, b.box.width)
    eyes_a, eyes_b = midpoint(a.left_eye, a.right_eye), midpoint(b.left_eye, b.right_eye)
    return max(abs(eyes_a[0] - eyes_b[0]), abs(eyes_a[1] - eyes_b[1])) <= near


def persons(faces: tuple[FaceDetection, ...], options: DetectOptions) -> tuple[FaceDetection, ...]:
    """The faces that count as people, largest first."""
    if not faces:
        return ()
    ordered = sorted(faces, key=lambda face: -face.box.height)
    least = options.second_face_ratio * ordered[0].box.height
    return tuple(face for face in ordered if face.box.height >= least)


def face_roll_deg(face: FaceDetection) -> float:
    """Roll of a detected face, -180..180, > 0 clockwise: the rotation that best fits the line of the eyes and the line
    from the eyes to the mouth, weighted by their lengths (in profile the line of the eyes is short and unreliable)."""
    eyes = midpoint(face.left_eye, face.right_eye)
    across = face.right_eye[0] - face.left_eye[0], face.right_eye[1] - face.left_eye[1]
    down = face.mouth[0] - eyes[0], face.mouth[1] - eyes[1]
    return slope_deg((0.0, 0.0), (across[0] + down[1], across[1] - down[0]))


def _confirmed_people(
    faces: tuple[FaceDetection, ...], rgb: Rgb, models: FindModels, options: DetectOptions
) -> tuple[FaceDetection, ...]:
    """The people whose faces a detector finds again in a crop around them, largest first. A single face with a high
    score is accepted without this check."""
    people = persons(faces, options)
    if len(people) == 1 and people[0].score >= options.certain_score:
        return people
    for place, face in enumerate(sorted(faces, key=lambda face: -face.box.height)):
        score = _score_again(rgb, face, models.faces, options)
        weak = place == 0 and score >= options.least_score and _has_body(rgb, face, models)
        if score >= options.again_score or weak:
            smaller = tuple(other for other in faces if other is not face and other.box.height <= face.box.height)
            others = [other for other in persons((face, *smaller), options) if other is not face]
            return (face, *(other for other in others if _is_second(rgb, other, models, options)))
    return ()


def _is_second(rgb: Rgb, face: FaceDetection, models: FindModels, options: DetectOptions) -> bool:
    """Whether a further face is confirmed, by the stricter score."""
    return _score_again(rgb, face, models.faces, options) >= options.second_again_score


def _has_body(rgb: Rgb, face: FaceDetection, models: FindModels) -> bool:
    return body_in(rgb, body_area(face), face, models.pose) is not None


def _score_again(rgb: Rgb, face: FaceDetection, models: tuple[FaceModel, ...], options: DetectOptions) -> float:
    """The best score that a detector gives the face in a crop around it; 0 if none finds it."""
    reach = _CONFIRM_REACH * max(face.box.width, face.box.height)
    x, y = face.box.center
    left, top = max(0, int(x - reach)), max(0, int(y - reach))
    crop = np.ascontiguousarray(rgb[top : int(y + reach) + 1, left : int(x + reach) + 1])
    wanted = face.placed(1.0, -left, -top)
    return max((f.score for model in models for f in model(crop) if same_face(f, wanted, options)), default=0.0)


def _refuse_turned(rgb: Rgb, models: tuple[FaceModel, ...], options: DetectOptions, upright: float) -> None:
    """Raise an error if a face in a rotated copy scores higher than ``upright``, the best score in the photo itself."""
    scores = {}
    for turns in (2, 1, 3):
        turned = np.ascontiguousarray(np.rot90(rgb, -turns))
        faces = find_faces(turned, models, options)
        level = [f.score for f in faces if abs(face_roll_deg(f)) < options.sideways_roll_deg]
        scores[turns] = max(level, default=0.0)
    turns = max(scores, key=lambda key: scores[key])
    if scores[turns] < max(upright + options.turned_margin, options.turned_score):
        return
    raise turned_error({1: 90, 2: 180, 3: -90}[turns])

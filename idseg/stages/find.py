"""Is there exactly one upright person? Finds the faces, confirms them, and refuses photos that are turned.

The rules, in this order:

1. Two detectors look for upright faces (short range for selfies, full range for people further away).
2. The photo is turned if the only or best face appears in a turned copy, or if a face's own roll exceeds
   ``sideways_roll_deg``. It then lies on its side (turn 90 or -90) or is upside down (turn 180).
3. Every face must be found again in a crop around it (an ear, a cloud or a knee is not), the largest first, until one
   is: a false find, however large, makes no real face small. The largest may also be confirmed by a weaker find
   together with a body below it (a profile).
4. Faces at least ``second_face_ratio`` times as high as the first confirmed one are people of the photo, if they are
   confirmed too; smaller ones are background. Exactly one person may remain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from idseg.errors import MultiplePersonsError, NoPersonError, OptionError, turned_error
from idseg.imaging.geometry import iou, midpoint, slope_deg
from idseg.imaging.resize import reduced
from idseg.models.region import FaceModel, PoseModel, body_area, body_in
from idseg.types import Box, FaceDetection, Rgb

_SEARCH_SIDE_PX = 1280
"""Longest side of the copy that is searched: the full-range detector then finds faces from about 1/40 of it."""
_CONFIRM_REACH = 1.25
"""Half the side of the crop around a face that confirms it, in box sizes: head and neck, as the short-range detector
wants it."""


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
    """|roll| of a face from which the photo is upside down."""
    turned_margin: float = 0.1
    """How much higher the score in a turned copy must be than upright for the photo to count as turned."""
    turned_score: float = 0.75
    """Score in a turned copy below which a find proves nothing: skin and wrinkles reach 0.6 at any turn."""
    again_score: float = 0.64
    """Score that a detector must give the face again in a crop around it. Of 250 portraits 1 % lie lower; of 15 finds
    in 150 pictures without people one lies higher."""
    certain_score: float = 0.85
    """Score of a single face that needs no confirmation (half of 250 portraits reach it; nothing else did)."""
    second_again_score: float = 0.72
    """The same for every further face. Stricter, so that a doubtful second face does not reject the photo."""
    sure_score: float = 0.8
    """Score of an upright face from which no turned copies are searched."""
    turn: bool = False
    """Turn a photo that lies on its side or is upside down, instead of refusing it."""
    pick: str = ""
    """Which of several people is meant: ``largest``, ``left``, ``right``, or a number counted from the picture's left,
    from 1; nothing: several people are refused."""
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
        number = self.pick.isascii() and self.pick.isdigit() and int(self.pick) >= 1
        if self.pick not in ("", "largest", "left", "right") and not number:
            raise OptionError(
                f"pick {self.pick!r}: use largest, left, right, or a number from 1, counted from the left",
                pick=self.pick,
            )


@dataclass(frozen=True, slots=True)
class FindModels:
    """The models that find one person."""

    faces: tuple[FaceModel, ...]
    """The face detectors; their finds are merged."""
    pose: PoseModel
    """Asked only where the largest face is in doubt."""


def _shares(box: Box, rgb: Rgb) -> list[float]:
    """left, top, width and height as shares of the picture's sides, so that they hold at any scale."""
    height, width = rgb.shape[:2]
    return [round(value, 4) for value in (box.left / width, box.top / height, box.width / width, box.height / height)]


def one_face(rgb: Rgb, models: FindModels, options: DetectOptions | None = None) -> FaceDetection:
    """The face of the one upright person of a photo (H, W, 3), in the photo's pixels.

    Raises:
        NoPersonError, MultiplePersonsError, UpsideDownError, SidewaysError
    """
    return face_and_others(rgb, models, options)[0]


def face_and_others(
    rgb: Rgb, models: FindModels, options: DetectOptions | None = None
) -> tuple[FaceDetection, tuple[FaceDetection, ...]]:
    """The face as :func:`one_face` finds it, and the other faces that are large enough for a person's but were passed
    over: other people where one was picked, and posters that a closer look did not take for a face.

    Raises:
        As :func:`one_face`.
    """
    options = DetectOptions() if options is None else options
    small, scale = reduced(rgb, _SEARCH_SIDE_PX)
    faces = find_faces(small, models.faces, options)
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
    """The person that is meant; ``people``: the largest first.

    Raises:
        OptionError: there are not that many.
    """
    if pick == "largest":
        return people[0]
    from_left = sorted(people, key=lambda face: face.box.center[0])
    number = {"left": 1, "right": len(from_left)}.get(pick) or int(pick)
    if number > len(from_left):
        raise OptionError(f"pick {pick}: there are only {len(from_left)} people in the photo", persons=len(from_left))
    return from_left[number - 1]


def find_faces(rgb: Rgb, models: tuple[FaceModel, ...], options: DetectOptions) -> tuple[FaceDetection, ...]:
    """All faces that any model finds, the best score first, each once."""
    found = sorted((face for model in models for face in model(rgb)), key=lambda face: -face.score)
    kept: list[FaceDetection] = []
    for face in found:
        if face.score >= options.least_score and all(not same_face(face, other, options) for other in kept):
            kept.append(face)
    return tuple(kept)


def same_face(a: FaceDetection, b: FaceDetection, options: DetectOptions) -> bool:
    """Whether two finds are one face: their boxes overlap, or the midpoints of their eyes lie near each other."""
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


def _confirmed_people(
    faces: tuple[FaceDetection, ...], rgb: Rgb, models: FindModels, options: DetectOptions
) -> tuple[FaceDetection, ...]:
    """The people of the photo, the largest first, whose faces a detector finds again in a crop around them. A single
    find with a high score needs no second look."""
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
    """The best score that a detector gives the face in a crop around it; 0 where none finds it."""
    reach = _CONFIRM_REACH * max(face.box.width, face.box.height)
    x, y = face.box.center
    left, top = max(0, int(x - reach)), max(0, int(y - reach))
    crop = np.ascontiguousarray(rgb[top : int(y + reach) + 1, left : int(x + reach) + 1])
    wanted = face.placed(1.0, -left, -top)
    return max((f.score for model in models for f in model(crop) if same_face(f, wanted, options)), default=0.0)


def _refuse_turned(rgb: Rgb, models: tuple[FaceModel, ...], options: DetectOptions, upright: float) -> None:
    """Raise an error if a face in a turned copy beats ``upright``, the best score of the photo as it is."""
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

"""Who is the one upright person, with made-up detectors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from idseg.errors import MultiplePersonsError, NoPersonError, SidewaysError, UpsideDownError
from idseg.stages.find import DetectOptions, FindModels, face_roll_deg, one_face, persons, same_face
from idseg.types import Box, FaceDetection, PosePoints, Rgb

PHOTO = np.zeros((400, 300, 3), np.uint8)


def face(x: float = 100, y: float = 100, side: float = 100, score: float = 0.9) -> FaceDetection:
    return FaceDetection(
        box=Box(x, y, side, side),
        score=score,
        left_eye=(x + 0.3 * side, y + 0.4 * side),
        right_eye=(x + 0.7 * side, y + 0.4 * side),
        nose_tip=(x + 0.5 * side, y + 0.5 * side),
        mouth=(x + 0.5 * side, y + 0.75 * side),
        left_ear=(x + 0.05 * side, y + 0.45 * side),
        right_ear=(x + 0.95 * side, y + 0.45 * side),
    )


def nobody(rgb: Rgb) -> tuple[PosePoints, ...]:
    return ()


def models(*faces: FaceDetection, pose: Callable[[Rgb], tuple[PosePoints, ...]] = nobody) -> FindModels:
    """A detector that finds these faces in the whole photo and, in a crop, the one that lies in its middle."""

    def detect(rgb: Rgb) -> tuple[FaceDetection, ...]:
        if rgb.shape == PHOTO.shape:
            return faces
        middle = rgb.shape[1] / 2, rgb.shape[0] / 2
        return tuple(
            found.placed(1, middle[0] - found.box.center[0], middle[1] - found.box.center[1]) for found in faces[:1]
        )

    return FindModels((detect,), pose)


def test_a_certain_face_is_taken_as_it_is() -> None:
    assert one_face(PHOTO, models(face())) == face()


def test_the_answer_is_in_the_photos_pixels() -> None:
    """A large photo is searched in a reduced copy."""
    large = np.zeros((4000, 3000, 3), np.uint8)
    found = one_face(large, FindModels((lambda rgb: (face(),),), nobody))
    assert found.box.width == pytest.approx(100 * 4000 / 1280)


@pytest.mark.parametrize("pose_finds_someone", [True, False])
def test_a_doubtful_face_needs_a_body(pose_finds_someone: bool) -> None:
    weak = face(score=0.6)
    body = PosePoints(np.full((33, 3), (150.0, 150.0, 0.0)), np.ones(33), np.ones(33))
    pose = (lambda rgb: (body,)) if pose_finds_someone else nobody
    if pose_finds_someone:
        assert one_face(PHOTO, models(weak, pose=pose)).score == 0.6
    else:
        with pytest.raises(NoPersonError):
            one_face(PHOTO, models(weak, pose=pose))


def test_a_second_face_half_as_high_is_a_second_person() -> None:
    faces = face(10, 10, 100), face(200, 200, 50), face(200, 300, 20)
    assert len(persons(faces, DetectOptions())) == 2
    assert len(persons(faces, DetectOptions(second_face_ratio=0.6))) == 1
    with pytest.raises(MultiplePersonsError) as caught:
        one_face(
            PHOTO, FindModels((lambda rgb: faces[:2] if rgb.shape == PHOTO.shape else _again(rgb, faces),), nobody)
        )
    assert caught.value.facts["persons"] == 2


def _again(rgb: Rgb, faces: tuple[FaceDetection, ...]) -> tuple[FaceDetection, ...]:
    """Each face in the middle of a crop."""
    middle = rgb.shape[1] / 2, rgb.shape[0] / 2
    return tuple(
        found.placed(1, middle[0] - found.box.center[0], middle[1] - found.box.center[1]) for found in faces[:2]
    )


@pytest.mark.parametrize(("turns", "error", "turn_deg"), [(2, UpsideDownError, 180), (1, SidewaysError, 90)])
def test_a_face_that_only_a_turned_copy_shows(turns: int, error: type[Exception], turn_deg: int) -> None:
    marked = PHOTO.copy()
    marked[0, 0] = 255

    def detect(rgb: Rgb) -> tuple[FaceDetection, ...]:
        return (face(),) if np.array_equal(rgb, np.rot90(marked, -turns)) else ()

    with pytest.raises(error) as caught:
        one_face(marked, FindModels((detect,), nobody))
    assert caught.value.facts["turn_deg"] == turn_deg  # type: ignore[attr-defined]


def test_a_face_too_small_to_cut_is_nobody() -> None:
    with pytest.raises(NoPersonError, match="15 px"):
        one_face(PHOTO, models(face(side=15)))


def test_one_face_or_two() -> None:
    options = DetectOptions()
    assert same_face(face(100, 100), face(105, 95), options)
    assert not same_face(face(100, 100), face(100, 230), options)


def test_roll_of_a_profile_comes_from_eyes_and_mouth() -> None:
    """The eyes of a profile coincide: their line says nothing, the line to the mouth does."""
    profile = FaceDetection(Box(0, 0, 9, 9), 0.9, (5, 4), (5, 4), (8, 5), (5, 8), (0, 4), (5, 4))
    assert face_roll_deg(profile) == pytest.approx(0)
    assert face_roll_deg(face()) == pytest.approx(0)

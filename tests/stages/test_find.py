"""Who is in the photo, by made-up finds: every threshold from both sides, and confirming before comparing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from idseg.errors import MultiplePersonsError, NoPersonError, OptionError, SidewaysError, UpsideDownError
from idseg.stages import find
from idseg.stages.find import DetectOptions, FindModels, find_faces, one_face, persons, same_face
from idseg.types import Box, FaceDetection, PosePoints, Rgb

PHOTO = np.zeros((1000, 1200, 3), np.uint8)
OPTIONS = DetectOptions()


def face(x: float, y: float, height: float = 200, score: float = 0.9, roll_deg: float = 0.0) -> FaceDetection:
    """A face whose box begins at (x, y); its points are turned around its middle, clockwise."""
    width = height * 0.8
    middle = np.array([x + width / 2, y + height / 2])
    turn = np.deg2rad(roll_deg)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])

    def point(dx: float, dy: float) -> tuple[float, float]:
        px, py = middle + rotation @ np.array([dx * width, dy * height])
        return float(px), float(py)

    return FaceDetection(
        Box(x, y, width, height), score, left_eye=point(-0.2, -0.15), right_eye=point(0.2, -0.15),
        nose_tip=point(0, 0.05), mouth=point(0, 0.25), left_ear=point(-0.45, -0.1), right_ear=point(0.45, -0.1),
    )  # fmt: skip


@dataclass
class Finder:
    """Finds ``upright`` in the whole photo, ``turned`` (by quarter turns) in its copies, and again in a crop around a
    face what ``again`` says of it."""

    upright: tuple[FaceDetection, ...] = ()
    turned: dict[int, tuple[FaceDetection, ...]] = field(default_factory=dict)
    again: Callable[[FaceDetection], float] = lambda face: face.score
    crops: int = 0

    def __call__(self, rgb: Rgb) -> tuple[FaceDetection, ...]:
        mark = int(rgb[0, 0, 2])
        if rgb.size == PHOTO.size:
            return self.upright if mark == 1 else self.turned.get(mark, ())
        self.crops += 1
        y, x = int(rgb[0, 0, 0]) * 4, int(rgb[0, 0, 1]) * 5
        moved = (each.placed(1.0, -x, -y) for each in self.upright)
        inside = [
            (each, here)
            for each, here in zip(self.upright, moved, strict=True)
            if here.box.left >= -1 and here.box.right <= rgb.shape[1] + 1 and here.box.top >= -1
        ]
        return tuple(
            FaceDetection(here.box, self.again(each), here.left_eye, here.right_eye, here.nose_tip, here.mouth,
                          here.left_ear, here.right_ear)
            for each, here in inside
        )  # fmt: skip


def marked() -> Rgb:
    """A photo that says of every pixel where it is (in steps of 4 and 5) and of its corners which way is up."""
    photo = PHOTO.copy()
    y, x = np.mgrid[:1000, :1200]
    photo[..., 0], photo[..., 1] = y // 4, x // 5
    photo[0, 0, 2], photo[0, -1, 2], photo[-1, -1, 2], photo[-1, 0, 2] = 1, 3, 2, 4
    return photo


def nobody(rgb: Rgb) -> tuple[PosePoints, ...]:
    return ()


def found(finder: Finder, options: DetectOptions = OPTIONS) -> FaceDetection:
    return one_face(marked(), FindModels((finder,), nobody), options)


def test_one_certain_face_needs_no_second_look() -> None:
    finder = Finder((face(400, 300, score=OPTIONS.certain_score),))
    assert found(finder).box == finder.upright[0].box
    assert finder.crops == 0


@pytest.mark.parametrize(("again", "answered"), [(OPTIONS.again_score, True), (OPTIONS.again_score - 0.01, False)])
def test_a_less_certain_face_is_confirmed(again: float, answered: bool) -> None:
    finder = Finder((face(400, 300, score=0.84),), again=lambda face: again)
    if answered:
        assert found(finder).box == finder.upright[0].box
    else:
        with pytest.raises(NoPersonError):
            found(finder)


@pytest.mark.parametrize(("score", "body", "answered"), [(0.5, True, True), (0.49, True, False), (0.5, False, False)])
def test_a_weak_find_of_the_largest_counts_with_a_body(
    monkeypatch: pytest.MonkeyPatch, score: float, body: bool, answered: bool
) -> None:
    monkeypatch.setattr(find, "_has_body", lambda rgb, face, models: body)
    finder = Finder((face(400, 300, score=0.84),), again=lambda face: score)
    if answered:
        assert found(finder).box == finder.upright[0].box
    else:
        with pytest.raises(NoPersonError):
            found(finder)


@pytest.mark.parametrize(("height", "people"), [(90, 2), (89, 1)])  # 0.45 of 200
def test_a_second_face_counts_from_a_share_of_the_first_ones_height(height: float, people: int) -> None:
    finder = Finder((face(300, 300), face(800, 300, height)))
    assert len(persons(finder.upright, OPTIONS)) == people
    if people == 2:
        with pytest.raises(MultiplePersonsError):
            found(finder)
    else:
        assert found(finder).box == finder.upright[0].box


@pytest.mark.parametrize(("again", "people"), [(OPTIONS.second_again_score, 2), (OPTIONS.second_again_score - 0.01, 1)])
def test_a_second_face_is_confirmed_more_strictly(again: float, people: int) -> None:
    finder = Finder((face(300, 300), face(800, 300, 150)), again=lambda face: 0.9 if face.box.height > 160 else again)
    if people == 2:
        with pytest.raises(MultiplePersonsError) as caught:
            found(finder)
        assert caught.value.facts["persons"] == 2
    else:
        assert found(finder).box == finder.upright[0].box


def test_a_real_face_that_a_false_find_outweighs_is_not_lost() -> None:
    """A find of 400 px in a pattern; the face has 150, less than 0.45 of it."""
    real = face(900, 500, 150)
    finder = Finder((face(100, 100, 400, score=0.7), real), again=lambda face: 0.9 if face == real else 0.3)
    assert found(finder).box == real.box


def test_of_two_real_faces_beside_a_false_find_neither_is_background() -> None:
    small = (face(900, 500, 150), face(600, 700, 140))
    finder = Finder((face(100, 100, 400, score=0.7), *small), again=lambda face: 0.9 if face in small else 0.3)
    with pytest.raises(MultiplePersonsError):
        found(finder)


def test_false_finds_alone_are_nobody() -> None:
    finder = Finder((face(100, 100, 400, score=0.7), face(900, 500, 150, score=0.7)), again=lambda face: 0.3)
    with pytest.raises(NoPersonError):
        found(finder)


def test_small_faces_in_the_background_are_not_looked_at_again() -> None:
    crowd = tuple(face(20 + 60 * place, 20, 40) for place in range(15))
    finder = Finder((face(400, 400, 300, score=0.84), *crowd))
    assert found(finder).box.height == 300
    assert finder.crops == 1


@pytest.mark.parametrize(("height", "answered"), [(20, True), (19.9, False)])
def test_a_face_that_is_too_small_is_nobody(height: float, answered: bool) -> None:
    finder = Finder((face(400, 300, height),))
    if answered:
        assert found(finder).box.height == height
    else:
        with pytest.raises(NoPersonError, match="at least 20 px"):
            found(finder)


@pytest.mark.parametrize(
    ("roll", "error"),
    [
        (59, None), (-59, None), (61, SidewaysError), (-61, SidewaysError), (119, SidewaysError),
        (121, UpsideDownError), (180, UpsideDownError), (-121, UpsideDownError),
    ],
)  # fmt: skip
def test_a_faces_own_roll(roll: float, error: type[Exception] | None) -> None:
    finder = Finder((face(400, 300, roll_deg=roll),))
    assert find.face_roll_deg(finder.upright[0]) == pytest.approx(roll, abs=1e-6) or abs(roll) == 180
    if error is None:
        assert found(finder).box == finder.upright[0].box
        return
    with pytest.raises(error) as caught:
        found(finder)
    if error is SidewaysError:
        assert caught.value.facts["turn_deg"] == (-90 if roll > 0 else 90)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("upright", "turned", "refused"),
    [
        (0.0, OPTIONS.turned_score, True),
        (0.0, OPTIONS.turned_score - 0.01, False),
        (0.7, 0.8, True),  # better by turned_margin
        (0.7, 0.79, False),
        (OPTIONS.sure_score, 0.99, False),  # sure enough that no copy is looked at
    ],
)
@pytest.mark.parametrize("way", [2, 3, 4])  # the photo's corner that comes to the upper left
def test_a_better_face_in_a_turned_copy(upright: float, turned: float, refused: bool, way: int) -> None:
    faces: tuple[FaceDetection, ...] = (face(400, 300, score=upright),) if upright else ()
    finder = Finder(faces, turned={way: (face(300, 300, score=turned),)}, again=lambda face: 0.9)
    if refused:
        with pytest.raises(UpsideDownError if way == 2 else SidewaysError):
            found(finder)
    elif upright:
        assert found(finder).box == faces[0].box
    else:
        with pytest.raises(NoPersonError):
            found(finder)


def test_finds_of_two_models_are_one_face_and_weak_ones_none() -> None:
    def model(*faces: FaceDetection) -> Callable[[Rgb], tuple[FaceDetection, ...]]:
        return lambda rgb: faces

    same, moved, other = face(400, 300), face(420, 310, score=0.8), face(800, 300, score=0.5)
    models = (model(same, other), model(moved, face(100, 100, score=0.49)))
    assert find_faces(PHOTO, models, OPTIONS) == (same, other)


@pytest.mark.parametrize(("dx", "same"), [(0, True), (80, True), (170, False)])
def test_same_face_by_overlap(dx: float, same: bool) -> None:
    assert same_face(face(400, 300), face(400 + dx, 300), OPTIONS) is same


def test_a_small_box_with_the_same_eyes_is_the_same_face() -> None:
    large, small = face(400, 300, 400), face(505, 410, 100)
    assert same_face(large, small, OPTIONS)
    assert not same_face(large, face(600, 640, 100), OPTIONS)


@pytest.mark.parametrize("options", [{"second_face_ratio": 0}, {"second_face_ratio": 1.1}, {"least_score": 1}])
def test_wrong_thresholds_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        DetectOptions(**options)  # type: ignore[arg-type]

"""The window: the published example, properties under shifts, scale and mirroring; cutting and pasting are exact."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.pose_labels import EXAMPLE_BOX as FACE_BOX
from benchmarks.pose_labels import EXAMPLE_PARTS as PARTS
from idseg.errors import OptionError
from idseg.imaging.cutting import inside, paste, take
from idseg.stages.crop import CropOptions, HeadExtent, head_and_shoulders, head_extent
from idseg.types import BodyParts, Box, Point, Size, Window

PHOTO = Size(2000, 3000)
WINDOWS = st.builds(Window, st.integers(-40, 40), st.integers(-40, 40), st.integers(1, 50), st.integers(1, 50))


def test_the_published_example() -> None:
    found = head_and_shoulders(FACE_BOX, PARTS, PHOTO)
    assert found.width == pytest.approx(355, rel=0.05)
    assert abs(found.left) <= 0.05 * 355
    assert abs(found.top) <= 0.05 * 355
    assert found.width / found.height == pytest.approx(5 / 7, abs=0.003)


@given(dx=st.integers(-500, 500), dy=st.integers(-500, 500))
def test_a_moved_person_moves_the_window(dx: int, dy: int) -> None:
    free = CropOptions(keep_inside=False)
    at_home, moved = (
        head_and_shoulders(FACE_BOX, PARTS, PHOTO, free),
        head_and_shoulders(FACE_BOX.moved(dx, dy), PARTS.moved(dx, dy), PHOTO, free),
    )
    assert moved.size == at_home.size
    assert abs(moved.left - at_home.left - dx) <= 1  # rounding of a half
    assert abs(moved.top - at_home.top - dy) <= 1


@given(aspect=st.floats(0.3, 2))
def test_the_aspect_is_kept(aspect: float) -> None:
    found = head_and_shoulders(FACE_BOX, PARTS, PHOTO, CropOptions(aspect=aspect))
    assert found.width / found.height == pytest.approx(aspect, rel=0.01)


@given(hair=st.floats(-900, 200), left=st.floats(-60, 80), right=st.floats(253, 450))
def test_hair_and_hats_stay_inside(hair: float, left: float, right: float) -> None:
    options = CropOptions(keep_inside=False, most_faces_wide=9)
    found = head_and_shoulders(FACE_BOX, PARTS, PHOTO, options, HeadExtent(hair, left, right))
    assert hair - found.top >= options.hair_gap * found.height - 1
    assert found.left <= left + 1
    assert found.right >= right - 1
    assert found.width >= head_and_shoulders(FACE_BOX, PARTS, PHOTO, options).width
    assert found.width / found.height == pytest.approx(options.aspect, rel=0.01)


def test_a_photo_without_head_room_gives_no_band_above() -> None:
    """The face box starts 60 px below the photo's top, hair ends 30 px below it: the window starts at the photo's
    edge."""
    found = head_and_shoulders(FACE_BOX.moved(0, -56), PARTS.moved(0, -56), PHOTO, None, HeadExtent(30, 90, 250))
    assert found.top == 0
    assert found.size == head_and_shoulders(FACE_BOX, PARTS, PHOTO).size
    chopped = head_and_shoulders(FACE_BOX.moved(0, -116), PARTS.moved(0, -116), PHOTO, None, HeadExtent(0, 90, 250))
    assert chopped.top == 0
    free = CropOptions(keep_inside=False)
    assert head_and_shoulders(FACE_BOX.moved(0, -116), PARTS.moved(0, -116), PHOTO, free).top == -116


@given(x=st.floats(-400, 400), shoulders=st.floats(0, 2000), face=st.floats(20, 400), height=st.integers(100, 3000))
def test_the_face_is_always_inside(x: float, shoulders: float, face: float, height: int) -> None:
    parts = PARTS.moved(0, 0)
    box = Box(180 - face / 2 + x, 116, face, face * 1.3)
    middle = 177.0
    from dataclasses import replace

    parts = replace(
        parts,
        left_shoulder=parts.left_shoulder._replace(x=middle - shoulders / 2),
        right_shoulder=parts.right_shoulder._replace(x=middle + shoulders / 2),
    )
    found = head_and_shoulders(box, parts, Size(500, height), CropOptions(may_leave=True))
    assert found.left <= box.left + 1
    assert found.right >= box.right - 1
    assert found.top <= box.top + 1
    assert found.bottom >= box.bottom - 1


def near(x: float, y: float, scale: float = 1.0) -> tuple[Box, BodyParts]:
    """The example's person, ``scale`` times as large, moved by (x, y)."""
    parts = BodyParts(
        **{name: Point(point.x * scale + x, point.y * scale + y, point.score) for name, point in PARTS.items()}
    )
    return FACE_BOX.scaled(scale).moved(x, y), parts


@given(
    x=st.floats(-400, 700), y=st.floats(-400, 900), scale=st.floats(0.2, 3), width=st.integers(60, 900),
    height=st.integers(60, 1200), hair=st.one_of(st.none(), st.floats(0, 1)),
)  # fmt: skip
def test_the_window_lies_in_the_photo_wherever_the_person_is(
    x: float, y: float, scale: float, width: int, height: int, hair: float | None
) -> None:
    """The cloud API cuts the original: there is no pixel beside it."""
    box, parts = near(x, y, scale)
    photo = Size(width, height)
    head = None if hair is None else HeadExtent(box.top * hair, box.left - 0.1 * box.width, box.right + 0.1 * box.width)
    found = head_and_shoulders(box, parts, photo, None, head)
    assert found.left >= 0
    assert found.top >= 0
    assert found.width >= 1
    assert found.height >= 1
    assert found.right <= width
    assert found.bottom <= height
    seen = Box(max(0, box.left), max(0, box.top), 0, 0), (min(width, box.right), min(height, box.bottom))
    if seen[0].left < seen[1][0] and seen[0].top < seen[1][1]:  # what the photo has of the face is in the window
        assert found.left <= seen[0].left + 1
        assert found.top <= seen[0].top + 1
        assert found.right >= seen[1][0] - 1
        assert found.bottom >= seen[1][1] - 1


@given(x=st.floats(-80, 900), y=st.floats(-116, 1300))
def test_a_window_that_fits_is_moved_only(x: float, y: float) -> None:
    box, parts = near(x, y)
    free = head_and_shoulders(box, parts, Size(1000, 1500), CropOptions(keep_inside=False))
    found = head_and_shoulders(box, parts, Size(1000, 1500))
    assert found.size == free.size
    assert found.left == min(max(free.left, 0), 1000 - free.width)
    assert found.top == min(max(free.top, 0), 1500 - free.height)


@pytest.mark.parametrize("photo", [Size(300, 2000), Size(2000, 420), Size(300, 420)])
def test_a_window_that_is_too_large_is_made_smaller_and_keeps_its_aspect(photo: Size) -> None:
    found = head_and_shoulders(*near(-25, -20), photo)
    free = head_and_shoulders(*near(-25, -20), photo, CropOptions(keep_inside=False))
    assert found.width < free.width
    assert found.width / found.height == pytest.approx(5 / 7, rel=0.01)
    assert found.width == photo.width or found.height == photo.height


def test_the_aspect_is_given_up_at_last() -> None:
    found = head_and_shoulders(*near(-60, 0), Size(230, 900))  # narrower than both ears with the space beside them
    assert (found.left, found.width) == (0, 230)
    assert found.height == round(230 * 7 / 5)
    low = head_and_shoulders(*near(0, -100), Size(400, 200))
    assert (low.top, low.height) == (0, 200)
    assert low.width > 200 * 5 / 7


def test_an_option_lets_the_window_leave_at_the_sides() -> None:
    beside = near(-120, 0)
    leaving = head_and_shoulders(*beside, PHOTO, CropOptions(may_leave=True))
    assert leaving.left < 0
    assert head_and_shoulders(*beside, PHOTO).left == 0
    assert head_and_shoulders(*beside, PHOTO).size == leaving.size


def test_a_photo_that_ends_at_the_chin_gives_up_the_aspect() -> None:
    close = head_and_shoulders(FACE_BOX.moved(0, -100), PARTS.moved(0, -100), Size(400, 250))
    assert (close.top, close.bottom) == (0, 250)
    assert close.width >= CropOptions().least_faces_wide * FACE_BOX.width - 1


def test_a_photo_that_ends_below_the_chin_narrows_the_window_but_keeps_the_ears() -> None:
    low = head_and_shoulders(FACE_BOX, PARTS, Size(400, 400))
    assert low.bottom == 400
    assert low.width >= CropOptions().least_faces_wide * FACE_BOX.width - 1
    assert low.width < head_and_shoulders(FACE_BOX, PARTS, PHOTO).width


@given(found=WINDOWS, channels=st.sampled_from([(), (3,)]))
def test_paste_back_is_exact(found: Window, channels: tuple[int, ...]) -> None:
    picture = np.arange(30 * 20 * int(np.prod(channels or (1,))), dtype=np.int32).reshape(30, 20, *channels)
    cut = take(picture, found, fill=-1)
    assert cut.shape[:2] == (found.height, found.width)
    assert np.array_equal(paste(cut, found, picture), picture)
    mask = inside(Size(20, 30), found)
    assert np.all(cut[~mask] == -1)
    assert np.all(cut[mask] >= 0)
    for row, column in ((0, 0), (found.height - 1, found.width - 1)):
        y, x = row + found.top, column + found.left
        if 0 <= y < 30 and 0 <= x < 20:
            assert np.array_equal(cut[row, column], picture[y, x])


def test_taking_gives_a_copy() -> None:
    picture = np.zeros((4, 4), dtype=np.uint8)
    take(picture, Window(0, 0, 4, 4))[:] = 1
    assert not picture.any()


def test_head_extent_ignores_stray_pixels_other_pieces_and_the_body() -> None:
    alpha = np.zeros((100, 80), dtype=np.float32)
    assert head_extent(alpha, 70) is None
    alpha[3, 40] = 1
    alpha[10:20, 0:4] = 1
    alpha[20:60, 30:50] = 1
    alpha[60:, 5:75] = 1
    assert head_extent(alpha, 60) == HeadExtent(20, 30, 50)
    assert head_extent(alpha, 100) == HeadExtent(20, 5, 75)


@pytest.mark.parametrize(
    "options", [{"aspect": 0}, {"aspect": 9}, {"head_room": -1}, {"face_share": 0}, {"shoulder_share": 1.5}]
)
def test_wrong_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        CropOptions(**options)  # type: ignore[arg-type]

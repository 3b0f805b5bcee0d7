"""The whole way from a Result to a finished photo, on a drawn person; and what lies behind it."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from idseg.errors import OptionError
from idseg.photo import render
from idseg.photo.background import parse_background
from idseg.photo.finish import finish
from idseg.photo.head import measure, reach
from idseg.photo.place import Placement, place
from idseg.photo.sizes import find_size, load_sizes
from idseg.photo.turn import MOST_LEFT_DEG
from idseg.photo.window import crop_options
from idseg.result import Result
from idseg.stages import crop
from idseg.types import FaceMesh, Person, Size, Window
from tests.photo import person as drawn

IDENTITY = Placement(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)), 1.0, 0.0, {}, (), {})


def scaled(factor: float, dx: float = 0.0, dy: float = 0.0) -> Placement:
    return Placement(((factor, 0.0, dx), (0.0, factor, dy)), factor, 0.0, {}, (), {})


# ---------------------------------------------------------------- backgrounds


@pytest.mark.parametrize("text", ["white", "#438edb", "vertical:#000,#fff", "radial:white,blue", (1, 2, 3)])
def test_a_background_fills_the_size(text: str | tuple[int, int, int]) -> None:
    painted = parse_background(text).paint(Size(31, 47))
    assert painted is not None
    assert painted.shape == (47, 31, 3)
    assert painted.dtype == np.uint8


def test_vertical_gradient_runs_from_the_first_to_the_second() -> None:
    painted = parse_background("vertical:#000000,#ffffff").paint(Size(5, 256))
    assert painted is not None
    column = painted[:, 0, 0].astype(int)
    assert (np.diff(column) >= 0).all()
    assert column[0] <= 1
    assert column[-1] >= 254
    assert (painted == painted[:, :1]).all()


def test_radial_gradient_is_the_same_in_all_four_corners() -> None:
    painted = parse_background("radial:#ffffff,#000000").paint(Size(100, 60))
    assert painted is not None
    assert painted[30, 50].min() >= 245
    assert painted[0, 0].max() <= 10
    np.testing.assert_array_equal(painted, painted[::-1])
    np.testing.assert_array_equal(painted, painted[:, ::-1])


def test_a_picture_covers_without_being_stretched(tmp_path: object) -> None:
    from pathlib import Path

    from idseg.imaging.encode import png

    file = Path(str(tmp_path)) / "wall.png"
    wall = np.zeros((100, 300, 3), np.uint8)
    wall[:, 100:200] = 200  # the middle third, a square
    file.write_bytes(png(wall))
    painted = parse_background(f"@{file}").paint(Size(50, 50))
    assert painted is not None
    assert painted.shape == (50, 50, 3)
    assert painted[25, 2:48].min() == 200


@pytest.mark.parametrize("text", ["", "nocolour", "vertical:red", "diagonal:red,blue", "radial:red,blue,green", "#12"])
def test_no_background(text: str) -> None:
    with pytest.raises(OptionError):
        parse_background(text)


# ---------------------------------------------------------------- one resampling


def test_at_scale_one_pixels_are_kept_exactly() -> None:
    colors, alpha = drawn.draw()
    got, cover = render.draw(colors, np.ones_like(alpha), Window(0, 0, 600, 800), IDENTITY, Size(600, 800))
    np.testing.assert_array_equal(np.rint(got).astype(np.uint8), colors)
    assert (cover == 1).all()


def test_a_shift_moves_pixels_and_leaves_the_rest_transparent() -> None:
    colors, alpha = drawn.draw()
    got, cover = render.draw(colors, np.ones_like(alpha), Window(0, 0, 600, 800), scaled(1, 10, 20), Size(600, 800))
    np.testing.assert_array_equal(np.rint(got[20:, 10:]).astype(np.uint8), colors[:-20, :-10])
    assert cover[:20].max() == 0
    assert cover[:, :10].max() == 0


def test_the_window_is_where_the_cut_lies() -> None:
    colors, alpha = drawn.draw()
    whole, cover = render.draw(colors, alpha, Window(0, 0, 600, 800), scaled(0.5), Size(300, 400))
    part, part_cover = render.draw(
        colors[100:700, 50:550], alpha[100:700, 50:550], Window(50, 100, 500, 600), scaled(0.5), Size(300, 400)
    )
    inner = (slice(52, 348), slice(27, 273))
    np.testing.assert_allclose(whole[inner], part[inner], atol=1e-3)
    np.testing.assert_allclose(cover[inner], part_cover[inner], atol=1e-6)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_a_reduction_is_the_mean_of_the_pixels(factor: int) -> None:
    """Nothing is skipped: a checkerboard becomes grey, not a pattern."""
    board = np.indices((240, 240)).sum(axis=0) % 2 * 255
    colors = np.repeat(board[..., None], 3, axis=2).astype(np.uint8)
    side = 240 // factor
    got, _ = render.draw(
        colors, np.ones((240, 240), np.float32), Window(0, 0, 240, 240), scaled(1 / factor), Size(side, side)
    )
    inner = got[1:-1, 1:-1]
    assert abs(float(inner.mean()) - 127.5) < 1
    assert inner.std() < (1 if factor % 2 == 0 else 20)


def test_strips_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    colors, alpha = drawn.draw()
    whole = render.draw(colors, alpha, Window(0, 0, 600, 800), scaled(0.37, 3, 5), Size(222, 296))
    monkeypatch.setattr(render, "_STRIP_SAMPLES", 20_000)
    strips = render.draw(colors, alpha, Window(0, 0, 600, 800), scaled(0.37, 3, 5), Size(222, 296))
    np.testing.assert_allclose(whole[0], strips[0], atol=0.01)
    np.testing.assert_allclose(whole[1], strips[1], atol=1e-4)


# ---------------------------------------------------------------- finished


@pytest.mark.parametrize(
    ("name", "roll_deg"),
    [
        ("cn-1inch", 0.0),
        ("cn-id-card", 9.0),
        ("us-visa", -14.0),
        ("de-passport", 9.0),
        ("jp-passport", 0.0),
        ("cn-cet", -14.0),
    ],
)
def test_measured_again_on_the_finished_photo(name: str, roll_deg: float) -> None:
    """Hair, eyes and chin are found in the pixels where the placement says: within 1.5 % of the photo's height."""
    size = find_size(name)
    done = finish(drawn.result(roll_deg), size, parse_background("white"))
    assert done.pixels.shape == (size.px.height, size.px.width, 3)
    column = done.pixels[:, size.px.width // 2].astype(int)
    hair_row = int(np.flatnonzero(np.abs(column - 255).sum(axis=1) > 300)[0])
    mm = done.placement.mm
    close = 0.015 * size.height_mm
    assert hair_row / size.px_per_mm == pytest.approx(mm["top"], abs=close)
    skin_rows = np.flatnonzero(np.abs(column - np.array(drawn.SKIN)).sum(axis=1) < 12)
    chin_row = int(skin_rows[-1])
    assert size.height_mm - chin_row / size.px_per_mm == pytest.approx(mm["chin"], abs=close)
    eye_row = round(size.px.height - mm["eyes"] * size.px_per_mm)
    eye_columns = done.pixels[eye_row - 2 : eye_row + 3, : size.px.width // 2].astype(int)
    assert eye_columns.sum(axis=2).min() < 150  # the pupil


@pytest.mark.parametrize("roll_deg", [0.0, 12.0])
def test_no_halo_of_the_old_wall(roll_deg: float) -> None:
    """The green wall is nowhere in the finished photo: green never exceeds what the colours at hand can mix."""
    done = finish(drawn.result(roll_deg), find_size("us-visa"), parse_background("white"))
    green = done.pixels[..., 1].astype(int)
    others = np.maximum(done.pixels[..., 0], done.pixels[..., 2]).astype(int)
    assert (green - others).max() <= 2


def test_transparent_has_the_persons_colours_only() -> None:
    done = finish(drawn.result(), find_size("cn-1inch"), parse_background("transparent"))
    assert done.pixels.shape[2] == 4
    alpha = done.pixels[..., 3]
    assert alpha[0].max() == 0
    assert alpha.max() == 255
    assert done.pixels[alpha == 0].max() == 0
    edge = (alpha > 60) & (alpha < 200)
    assert (done.pixels[edge][:, 1].astype(int) - done.pixels[edge][:, :3].max(axis=1)).max() <= 0
    assert done.encode().format == "PNG"


def test_the_documents_background_is_the_default() -> None:
    done = finish(drawn.result(), find_size("gr-passport"))
    assert tuple(done.pixels[0, 0]) == (190, 190, 190)
    assert done.background.text == "#bebebe"


def test_the_tale_says_what_was_done() -> None:
    done = finish(drawn.result(5.0), find_size("us-visa"), parse_background("#ffffff"))
    tale = done.to_dict()
    assert tale["unretouched"] is True
    assert tale["turned_deg"] == pytest.approx(-5, abs=1)
    assert tale["background"] == {"kind": "replaced", "text": "#ffffff"}
    assert any(words.startswith("turned by") and words.endswith("counter-clockwise") for words in tale["done"])
    assert "cropped" in tale["done"]
    assert tale["resamplings"] == 1
    assert {rule["status"] for rule in tale["rules"]} == {"met"}
    assert tale["warnings"] == list(done.warnings)


def test_a_photo_that_is_too_small_says_so() -> None:
    done = finish(drawn.result(), find_size("35x45mm@1200"))
    assert any("enlarged" in warning for warning in done.warnings)


def test_a_cut_that_ends_at_the_chin_says_so() -> None:
    done = finish(drawn.result(cut=Window(0, 0, 600, 390)), find_size("cn-1inch"))
    assert done.placement.lacks_mm.keys() == {"bottom"}
    assert any("lower edge" in warning for warning in done.warnings)
    assert tuple(done.pixels[-1, 0]) == (255, 255, 255)


def test_the_window_for_a_size_holds_the_finished_photo() -> None:
    """The window asked of the pipeline must hold what the finished photo shows of an ordinary head."""
    subject = drawn.result()
    head = measure(subject.person, subject.person.mesh, subject.alpha, subject.window)
    around = reach(subject.alpha, subject.window, Size(600, 800), head)
    extent = crop.HeadExtent(145, 220, 380)
    faults = []
    for size in {size.framing: size for size in load_sizes()}.values():
        placement = place(head, around, size)
        inverse = np.linalg.inv(np.vstack((np.array(placement.matrix), (0, 0, 1))))
        corners = inverse @ np.array([[0, size.px.width], [0, size.px.height], [1, 1]], dtype=np.float64)
        window = crop.head_and_shoulders(
            subject.person.face_box, subject.person.parts, Size(600, 800), crop_options(size), extent
        )
        # The drawn face's hairline is not where an ordinary one is.
        spare = (0.12 if size.framing.head_top == "forehead" else 0.06) * window.width
        across, down = corners[0], corners[1]
        inside = min(across[0] - window.left, window.right - across[1], down[0] - window.top, window.bottom - down[1])
        if inside < -spare:
            faults.append((size.name, inside))
    assert not faults


# ---------------------------------------------------------------- the wall is kept


@pytest.mark.parametrize(("name", "roll_deg"), [("us-visa", 9.0), ("au-passport", 0.0)])
def test_a_kept_wall_is_the_photos_own(name: str, roll_deg: float) -> None:
    """Every finished pixel is the photo, resampled once: an independent resampling by OpenCV is near everywhere."""
    photo = drawn.result(roll_deg)
    done = finish(photo, find_size(name), parse_background("keep"))
    width, height = done.size.px
    matrix = np.array(done.placement.matrix)
    corners = np.linalg.inv(np.vstack((matrix, (0, 0, 1)))) @ np.array(
        [[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]], dtype=np.float64
    )
    assert corners[0].min() >= 0 and corners[0].max() <= 600  # noqa: PT018
    assert corners[1].min() >= 0 and corners[1].max() <= 800  # noqa: PT018
    centres = matrix.copy()
    centres[:, 2] += matrix[:, :2] @ np.array([0.5, 0.5]) - 0.5
    again = cv2.warpAffine(photo.photo, centres, (width, height), flags=cv2.INTER_CUBIC)
    assert np.abs(again.astype(int) - done.pixels.astype(int)).mean() < 3
    wall = np.abs(done.pixels.astype(int) - np.array(drawn.WALL)).max(axis=2) <= 2
    assert wall[: height // 20].mean() > 0.9
    assert done.to_dict()["background"] == {"kind": "kept", "text": "keep"}
    assert "background kept: the photo's own pixels" in done.done


def test_crop_only_documents_keep_the_wall_by_themselves() -> None:
    size = dataclasses.replace(find_size("us-visa"), edits="crop only")
    assert finish(drawn.result(), size).background.kind == "keep"
    replaced = finish(drawn.result(), size, parse_background("white"))
    assert any("may be refused" in warning for warning in replaced.warnings)
    assert finish(drawn.result(), dataclasses.replace(size, edits="unknown")).background.kind == "plain"


def test_a_photo_too_small_around_the_head_is_said_and_never_extended() -> None:
    """Cut close above the hair: an eye line that low needs wall that the photo does not have."""
    close = _part(drawn.result(), Window(190, 140, 230, 330))
    done = finish(close, find_size("us-visa"), parse_background("keep"))
    assert any(rule.status == "not met" for rule in done.placement.rules)
    assert done.lacks_room_mm
    assert any("too small around the head" in warning for warning in done.warnings)
    assert any("conflict" in warning and "photo's" in warning for warning in done.warnings)
    assert (done.pixels.max(axis=2) > 0).all()  # nothing black was put in


@pytest.mark.parametrize("roll_deg", [9.0, -9.0])
def test_a_photo_is_turned_less_where_its_edge_would_cut_the_hair(roll_deg: float) -> None:
    """A turned frame needs more of the photo above the hair than an upright one."""
    whole = drawn.result(roll_deg)
    hair = int(np.flatnonzero(whole.alpha.max(axis=1) > 0.5)[0])
    size, keep = find_size("us-visa"), parse_background("keep")
    free = finish(whole, size, keep)
    close = finish(_part(whole, Window(0, hair - 25, 600, 825 - hair)), size, keep)
    assert not any("hair" in warning for warning in close.warnings)
    assert {rule.status for rule in close.placement.rules} == {"met"}
    assert abs(roll_deg) - MOST_LEFT_DEG <= abs(close.placement.turned_deg) < abs(free.placement.turned_deg) - 1
    closer = finish(_part(whole, Window(0, hair - 12, 600, 812 - hair)), size, keep)
    assert any("of hair off" in warning for warning in closer.warnings)
    assert closer.lacks_room_mm.keys() == {"top"}


def _part(result: Result, part: Window) -> Result:
    """What the chain would say of a part of the photo."""
    rows, columns = slice(part.top, part.bottom), slice(part.left, part.right)
    pixels = {
        name: np.ascontiguousarray(getattr(result, name)[rows, columns])
        for name in ("photo", "cut", "foreground", "alpha")
    }
    window = Window(0, 0, part.width, part.height)
    return dataclasses.replace(result, **pixels, window=window, person=_moved(result.person, -part.left, -part.top))  # type: ignore[arg-type]


def _moved(person: Person, dx: float, dy: float) -> Person:
    assert person.mesh is not None
    mesh = FaceMesh(person.mesh.points + np.array([dx, dy, 0.0]), 1.0)
    return dataclasses.replace(
        person, face_box=person.face_box.moved(dx, dy), parts=person.parts.moved(dx, dy), mesh=mesh
    )

"""Placement is geometry: no pixels are needed to test where a head goes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idseg.photo.conflicts import conflicts
from idseg.photo.head import Head, Reach, measure, reach, upright
from idseg.photo.place import Placement, as_it_is, place
from idseg.photo.size import Band, PhotoSize
from idseg.photo.sizes import find_size, load_sizes
from idseg.types import BodyParts, Box, FaceMesh, HeadAngles, Person, Point, Size, Window

ANATOMICAL = [size for size in load_sizes() if size.framing_is_rule]


def head(
    scale: float = 1.0, roll_deg: float = 0.0, hair: float = 1.12, origin: tuple[float, float] = (500, 400)
) -> Head:
    """A head of ordinary proportions: eyes to chin 100 px at scale 1."""
    return Head(
        origin=origin,
        roll_deg=roll_deg,
        chin_y=100 * scale,
        hair_y=-100 * hair * scale,
        crown_y=-100 * min(1.0, hair) * scale,
        crown_doubt=10 * scale,
        forehead_y=-75 * scale,
        center_x=2 * scale,
        face_width=125 * scale,
        head_width=134 * scale,
        eyes_apart=56 * scale,
        exact=True,
    )


def matrix_scale(placement: Placement) -> tuple[float, float]:
    """Singular values of the linear part: equal where nothing is stretched."""
    values = np.linalg.svd(np.array(placement.matrix)[:, :2], compute_uv=False)
    return float(values[0]), float(values[1])


def test_every_size_of_the_table_is_possible_for_an_ordinary_head() -> None:
    """With the whole person in the photo all rules are met, nothing is stretched, the head is upright and centred, and
    the millimetres that are told are those of the matrix."""
    different = {(size.framing, size.px.width / size.px.height): size for size in load_sizes()}
    faults = [fault for size in different.values() for fault in placement_faults(size, head(2.0, roll_deg=11))]
    assert not faults


def placement_faults(size: PhotoSize, subject: Head) -> Iterator[str]:
    placement = place(subject, Reach(), size)

    def at(x: float, y: float) -> tuple[float, float]:
        """A point of the upright frame in the finished photo, pixels."""
        cos, sin = (f(math.radians(subject.roll_deg)) for f in (math.cos, math.sin))
        return placement.at(subject.origin[0] + cos * x - sin * y, subject.origin[1] + sin * x + cos * y)

    def row(y: float) -> float:
        return at(0, y)[1] / size.px_per_mm

    mm = placement.mm
    gap_y = subject.crown_y if size.framing.gap_top == "crown" else subject.hair_y
    told = {
        "stretched": (*matrix_scale(placement), placement.scale, placement.scale),
        "turned": (placement.turned_deg, at(0, 100)[0], -subject.roll_deg, at(0, 0)[0]),
        "centred": (at(subject.center_x, 0)[0], size.px.width / 2),
        "eyes": (size.height_mm - row(0), mm["eyes"]),
        "top": (row(gap_y), mm["top"]),
        "chin": (size.height_mm - row(subject.chin_y), mm["chin"]),
        "head": (row(subject.chin_y) - row(subject.top_y(size.framing.head_top)), mm["head"]),
    }
    for what, values in told.items():
        half = len(values) // 2
        if values[:half] != pytest.approx(values[half:], abs=1e-6):
            yield f"{size.name}: {what} {values}"
    for rule in placement.rules:
        if rule.off > 0.015:
            yield f"{size.name}: {rule.rule} {rule.value_mm} is not in {rule.allowed_mm}"


@given(
    scale=st.floats(0.2, 8),
    roll=st.floats(-40, 40),
    hair=st.floats(0.9, 1.8),
    index=st.integers(0, len(ANATOMICAL) - 1),
)
@settings(max_examples=30, deadline=None)
def test_the_result_does_not_depend_on_how_large_or_turned_the_photo_is(
    scale: float, roll: float, hair: float, index: int
) -> None:
    size = ANATOMICAL[index]
    plain = place(head(1.0, 0.0, hair), Reach(), size)
    other = place(head(scale, roll, hair), Reach(), size)
    for rule, value in plain.mm.items():
        assert other.mm[rule] == pytest.approx(value, abs=0.02)
    assert other.scale * scale == pytest.approx(plain.scale, rel=1e-3)


def test_high_hair_does_not_make_the_face_small_where_the_crown_counts() -> None:
    size = find_size("de-passport")
    plain, afro = (place(head(1.0, hair=hair), Reach(), size) for hair in (1.05, 1.7))
    assert afro.mm["head"] == pytest.approx(plain.mm["head"], rel=0.1)
    hair_counts = dataclasses.replace(size, framing=dataclasses.replace(size.framing, head_top="hair"))
    assert place(head(1.0, hair=1.7), Reach(), hair_counts).scale < 0.85 * afro.scale


def test_a_photo_that_ends_below_the_chest_is_said_and_measured() -> None:
    size = find_size("cn-1inch")
    tight = place(head(1.0), Reach(bottom=130.0), size)
    assert tight.lacks_mm.keys() == {"bottom"}
    assert tight.lacks_mm["bottom"] == pytest.approx(tight.mm["eyes"] - 130 * tight.scale / size.px_per_mm)
    assert place(head(1.0), Reach(bottom=400.0), size).lacks_mm == {}


def test_a_torn_body_is_hidden_where_the_rules_leave_room() -> None:
    """With 25.4 .. 35 mm allowed, the head grows until the body reaches the lower edge."""
    size = find_size("us-visa")
    free, short = place(head(1.0), Reach(), size), place(head(1.0), Reach(bottom=185.0), size)
    assert short.scale > free.scale
    assert all(rule.off == 0 for rule in short.rules)
    assert short.lacks_mm.get("bottom", 0.0) < free.mm["eyes"] - 185 * free.scale / size.px_per_mm


def test_sides_and_top_that_lack_are_said() -> None:
    size = find_size("us-visa")
    placement = place(head(1.0), Reach(left=-80.0, top=-90.0, right=300.0), size)
    assert placement.lacks_mm.keys() == {"left", "top"}


def test_as_it_is_only_scales() -> None:
    size = find_size("35x45mm")
    placement = as_it_is(head(1.0, origin=(350, 400)), size, Size(700, 900))
    assert placement.scale == pytest.approx(size.px.height / 900)
    assert placement.mm["eyes"] == pytest.approx(25.0)
    assert placement.mm["top"] == pytest.approx(20 - 112 * 45 / 900)
    assert placement.turned_deg == 0


def test_upright_undoes_a_clockwise_roll() -> None:
    """A head turned clockwise by 90 degrees has its chin to the left of the eyes."""
    chin = upright(np.array([[0.0, 50.0]]), (50.0, 50.0), 90.0)
    assert chin[0] == pytest.approx((0, 50))


def _person(roll_deg: float = 0.0) -> tuple[Person, FaceMesh]:
    """Eyes at (100, 100), chin 60 below, face 80 wide; everything turned about the eyes."""
    points = np.zeros((468, 3))
    points[:, :2] = (100, 110)
    for index, xy in {
        33: (70, 100),
        133: (90, 100),
        362: (110, 100),
        263: (130, 100),
        152: (100, 160),
        10: (100, 72.4),
        234: (60, 120),
        454: (140, 120),
    }.items():
        points[index, :2] = xy
    cos, sin = math.cos(math.radians(roll_deg)), math.sin(math.radians(roll_deg))
    around = points[:, :2] - 100
    points[:, 0], points[:, 1] = (
        100 + cos * around[:, 0] - sin * around[:, 1],
        100 + sin * around[:, 0] + cos * around[:, 1],
    )
    mesh = FaceMesh(points, 1.0)
    at = Point(100, 100, 1.0)
    ears = {"left_ear": Point(58, 120, 1.0), "right_ear": Point(142, 120, 1.0)}
    others = {name: at for name in BodyParts.__dataclass_fields__ if name not in ears}
    person = Person(Box(60, 60, 80, 100), 1.0, BodyParts(**ears, **others), HeadAngles(0, 0, roll_deg), mesh)
    return person, mesh


@pytest.mark.parametrize("roll_deg", [0.0, 20.0, -35.0])
def test_measure_finds_hair_in_the_heads_own_frame(roll_deg: float) -> None:
    person, mesh = _person(roll_deg)
    rows, columns = np.mgrid[0:220, 0:220] + 0.5
    points = np.stack((columns.ravel(), rows.ravel()), axis=1)
    turned = upright(points, (100.0, 100.0), roll_deg)
    body = (np.abs(turned[:, 0]) < 40) & (turned[:, 1] > -55)
    alpha = body.reshape(220, 220).astype(np.float32)
    found = measure(person, mesh, alpha, Window(0, 0, 220, 220))
    assert found.hair_y == pytest.approx(-55, abs=1.5)
    assert found.chin_y == pytest.approx(60)
    assert found.face_width == pytest.approx(80)
    assert found.origin == pytest.approx((100, 100))
    estimate = -(0.559 * 60 + 0.812 * 27.6)
    assert found.crown_y == pytest.approx(max(estimate, found.hair_y), rel=1e-3)
    assert found.forehead_y == pytest.approx(-27.6)
    assert found.crown_doubt == pytest.approx(0.051 * (60 - estimate), rel=1e-3)


def test_measure_ignores_a_hand_beside_and_a_single_strand_above() -> None:
    person, mesh = _person()
    alpha = np.zeros((220, 260), np.float32)
    alpha[50:, 60:141] = 1
    alpha[5:120, 200:240] = 1  # a raised hand
    alpha[10:50, 100] = 1  # a strand
    assert measure(person, mesh, alpha, Window(0, 0, 260, 220)).hair_y == pytest.approx(-50, abs=1)


@pytest.mark.parametrize("roll_deg", [0.0, 25.0])
def test_measure_of_a_large_photo_is_that_of_the_small_one(roll_deg: float) -> None:
    """A face of 1200 px is looked at in every fourth row; its hair is found to a three-hundredth of its width."""
    person, mesh = _person(roll_deg)
    rows, columns = np.mgrid[0:220, 0:220] + 0.5
    turned = upright(np.stack((columns.ravel(), rows.ravel()), axis=1), (100.0, 100.0), roll_deg)
    alpha = ((np.abs(turned[:, 0]) < 40) & (turned[:, 1] > -55)).reshape(220, 220).astype(np.float32)
    small = measure(person, mesh, alpha, Window(0, 0, 220, 220))
    large_mesh = FaceMesh(mesh.points * 15, 1.0)
    large = measure(person, large_mesh, alpha.repeat(15, 0).repeat(15, 1), Window(0, 0, 3300, 3300))
    assert large.hair_y / 15 == pytest.approx(small.hair_y, abs=1.0)
    assert large.face_width == pytest.approx(15 * small.face_width)


def test_measure_moves_with_the_window() -> None:
    person, mesh = _person()
    alpha = np.zeros((220, 220), np.float32)
    alpha[50:, 60:141] = 1
    whole = measure(person, mesh, alpha, Window(0, 0, 220, 220))
    part = measure(person, mesh, alpha[20:, 30:], Window(30, 20, 190, 200))
    assert whole == part


def test_without_a_mesh_the_box_is_used_and_said() -> None:
    person, _ = _person()
    found = measure(person, None, np.ones((220, 220), np.float32), Window(0, 0, 220, 220))
    assert not found.exact
    assert found.chin_y == pytest.approx(60)


def test_reach_finds_the_sides_that_cut_the_person() -> None:
    alpha = np.zeros((200, 220), np.float32)
    alpha[60:, 60:140] = 1
    alpha[150:, 0:140] = 1
    found = reach(alpha, Window(0, 0, 220, 200), Size(220, 200), head(origin=(100, 100)))
    assert found.top is None
    assert found.right is None
    assert found.bottom == pytest.approx(99.5)
    assert found.left == pytest.approx(-99.5)


def test_reach_looks_at_the_photos_edge_inside_a_window_that_leaves_it() -> None:
    alpha = np.zeros((300, 300), np.float32)
    alpha[60:250, 60:140] = 1
    found = reach(alpha, Window(-10, -20, 300, 300), Size(200, 200), head(origin=(100, 100)))
    assert found.bottom == pytest.approx(99.5)


def test_a_window_that_ends_at_the_head_is_no_photo_that_cuts_it() -> None:
    alpha = np.ones((200, 100), np.float32)
    within = reach(alpha, Window(50, 0, 100, 200), Size(220, 200), head(origin=(100, 100)))
    assert within.right == pytest.approx(49.5)
    assert not {"left", "right"} & set(within.head_cut)
    whole = reach(alpha, Window(0, 0, 100, 200), Size(100, 200), head(origin=(50, 100)))
    assert {"left", "right"} <= set(whole.head_cut)


# ---------------------------------------------------------------- inside the photo, and conflicts


@pytest.mark.parametrize(("name", "roll_deg"), [("us-visa", 0.0), ("de-passport", 8.0), ("cn-1inch", 8.0)])
def test_a_kept_placement_never_leaves_the_photo(name: str, roll_deg: float) -> None:
    size, photo = find_size(name), Size(430, 560)
    subject = head(1.0, roll_deg, origin=(215, 200))
    placement = place(subject, Reach(), size, photo, keep=True)
    inverse = np.linalg.inv(np.vstack((np.array(placement.matrix), (0, 0, 1))))
    corners = inverse @ np.array(
        [[0, size.px.width, 0, size.px.width], [0, 0, size.px.height, size.px.height], [1] * 4], dtype=np.float64
    )
    assert corners[0].min() >= 0.9
    assert corners[0].max() <= 429.1
    assert corners[1].min() >= 0.9
    assert corners[1].max() <= 559.1
    assert not placement.leaves_mm


def test_slack_is_used_before_the_photo_is_left() -> None:
    """us-visa lets the head have 25.4 .. 35 mm: a photo with little wall gets the larger head, and meets every rule."""
    size, photo = find_size("us-visa"), Size(330, 420)
    subject = head(1.0, origin=(165, 190))
    free = place(subject, Reach(), size, photo)
    kept = place(subject, Reach(), size, photo, keep=True)
    assert free.leaves_mm
    assert kept.scale > free.scale
    assert all(rule.off == 0 for rule in kept.rules)


def test_conflicts_are_named_and_no_more_than_needed() -> None:
    size = find_size("us-visa")
    subject = head(1.0, origin=(165, 190))
    assert conflicts(subject, size) == ()
    assert conflicts(subject, size, Size(330, 420)) == ()
    found = conflicts(subject, size, Size(330, 260))
    assert any(name.startswith("edge:") for name in found)
    assert set(found) & {"head", "eyes"}
    framing = dataclasses.replace(size.framing, head=Band(20, 21), face=Band(40, 41))
    assert set(conflicts(subject, dataclasses.replace(size, framing=framing))) == {"head", "face"}


def test_an_estimated_crown_near_an_end_is_left_to_the_person() -> None:
    size = find_size("kr-passport")
    assert size.framing.head_top == "crown"
    rule = next(rule for rule in place(head(1.0), Reach(), size).rules if rule.rule == "head")
    assert rule.estimated
    assert dataclasses.replace(rule, value_mm=rule.allowed_mm.middle, doubt_mm=0.5).status == "met"
    assert dataclasses.replace(rule, value_mm=rule.allowed_mm.high - 0.4, doubt_mm=0.5).status == "check yourself"
    assert dataclasses.replace(rule, value_mm=rule.allowed_mm.high + 0.4, doubt_mm=0.5).status == "check yourself"
    assert dataclasses.replace(rule, value_mm=rule.allowed_mm.high + 0.6, doubt_mm=0.5).status == "not met"
    assert dataclasses.replace(rule, value_mm=rule.allowed_mm.high - 0.1, estimated=False).status == "met"


@pytest.mark.parametrize("side", ["left", "top", "right", "bottom"])
@pytest.mark.parametrize("share", [0.02, 0.1])
def test_a_head_cut_at_a_side_is_seen_though_the_matte_fades_at_the_edge(side: str, share: float) -> None:
    """An ellipse of 140 x 215 px on shoulders; the matte is a quarter less in the last two pixels."""
    rows, columns = np.mgrid[0:400, 0:400] + 0.5
    body = ((columns - 200) / 70) ** 2 + ((rows - 193) / 107) ** 2 < 1
    body |= (rows > 320) & (np.abs(columns - 200) < 150)
    alpha = body.astype(np.float32)
    whole = reach(alpha, Window(0, 0, 400, 400), Size(400, 400), head(origin=(200, 200)))
    assert whole.head_cut == ()
    assert whole.bottom is not None
    left, top, right, bottom = 0, 0, 400, 400
    if side == "left":
        left = 130 + round(140 * share)
    elif side == "top":
        top = 86 + round(215 * share)
    elif side == "right":
        right = 270 - round(140 * share)
    else:
        bottom = 300 - round(215 * share)
    part = alpha[top:bottom, left:right].copy()
    for edge in (part[:2], part[-2:], part[:, :2], part[:, -2:]):
        edge *= 0.75
    size = Size(right - left, bottom - top)
    found = reach(part, Window(0, 0, *size), size, head(origin=(200 - left, 200 - top)))
    assert side in found.head_cut

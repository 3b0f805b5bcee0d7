"""Pose rules: the published example, thresholds, and what turning, scaling and mirroring must do."""

import math
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from benchmarks.pose_labels import EXAMPLE_BOX as FACE_BOX
from benchmarks.pose_labels import EXAMPLE_PARTS as PARTS
from idseg.stages.pose import RULES, bodypose, classify, head_from_parts, shoulder_angles
from idseg.types import BodyParts, BodyPose, Box, FacePose, HeadAngles, Point, ShoulderAngles


def turned(parts: BodyParts, deg: float) -> BodyParts:
    cos, sin = math.cos(math.radians(deg)), math.sin(math.radians(deg))
    return BodyParts(**{n: Point(p.x * cos - p.y * sin, p.x * sin + p.y * cos, p.score) for n, p in parts.items()})


def scaled(parts: BodyParts, factor: float) -> BodyParts:
    return BodyParts(**{n: Point(p.x * factor, p.y * factor, p.score) for n, p in parts.items()})


def mirrored(parts: BodyParts, width: float) -> BodyParts:
    def other(name: str) -> str:
        return name.replace("left", "@").replace("right", "left").replace("@", "right")

    return BodyParts(**{other(n): Point(width - p.x, p.y, p.score) for n, p in parts.items()})


def test_the_published_example() -> None:
    pose = classify(PARTS, FACE_BOX)
    assert pose.facepose is FacePose.LEVEL_FRONTAL
    assert pose.bodypose is BodyPose.LEVEL_TURNED
    assert pose.head.roll_deg == pytest.approx(1.5, abs=0.1)
    assert pose.shoulders.tilt_deg == pytest.approx(0.2, abs=0.05)
    assert abs(pose.shoulders.turn) == pytest.approx(0.05, abs=0.005)
    assert pose.shoulders.breadth == pytest.approx(1.93, abs=0.01)


@given(deg=st.floats(-80, 80))
def test_turning_the_photo_turns_roll_and_tilt_and_nothing_else(deg: float) -> None:
    before, after = classify(PARTS, FACE_BOX), classify(turned(PARTS, deg), FACE_BOX)
    assert after.head.roll_deg - before.head.roll_deg == pytest.approx(deg, abs=1e-6)
    assert after.shoulders.tilt_deg - before.shoulders.tilt_deg == pytest.approx(deg, abs=1e-6)
    assert after.head.yaw_deg == pytest.approx(before.head.yaw_deg, abs=1e-6)
    assert after.shoulders.turn == pytest.approx(before.shoulders.turn, abs=1e-9)
    tilted = abs(after.head.roll_deg) >= RULES.tilted_roll_deg
    assert after.facepose is (FacePose.TILTED_FRONTAL if tilted else FacePose.LEVEL_FRONTAL)


@given(factor=st.floats(0.05, 20))
def test_scale_changes_no_class(factor: float) -> None:
    after = classify(scaled(PARTS, factor), FACE_BOX.scaled(factor))
    assert (after.facepose, after.bodypose) == (FacePose.LEVEL_FRONTAL, BodyPose.LEVEL_TURNED)


def test_mirroring_negates_what_has_a_side() -> None:
    before, after = classify(PARTS, FACE_BOX), classify(mirrored(PARTS, 355), FACE_BOX)
    assert after.facepose is before.facepose
    assert after.bodypose is before.bodypose
    assert after.head.yaw_deg == pytest.approx(-before.head.yaw_deg)
    assert after.head.roll_deg == pytest.approx(-before.head.roll_deg)
    assert after.shoulders.tilt_deg == pytest.approx(-before.shoulders.tilt_deg)
    assert after.shoulders.turn == pytest.approx(-before.shoulders.turn)


@pytest.mark.parametrize(
    ("yaw", "roll", "expected"),
    [
        (0, 0, FacePose.LEVEL_FRONTAL),
        (0, RULES.tilted_roll_deg, FacePose.TILTED_FRONTAL),
        (0, -RULES.tilted_roll_deg, FacePose.TILTED_FRONTAL),
        (RULES.profile_yaw_deg, 0, FacePose.LEVEL_PROFILE),
        (RULES.profile_yaw_deg, RULES.tilted_roll_deg, FacePose.LEVEL_PROFILE),
        (RULES.profile_yaw_deg, RULES.tilted_profile_roll_deg, FacePose.TILTED_PROFILE),
        (-RULES.profile_yaw_deg, 0, FacePose.LEVEL_PROFILE),
        (80, -30, FacePose.TILTED_PROFILE),
    ],
)
def test_facepose_thresholds(yaw: float, roll: float, expected: FacePose) -> None:
    assert classify(PARTS, FACE_BOX, HeadAngles(yaw, 0, roll)).facepose is expected


@pytest.mark.parametrize(
    ("tilt", "turn", "breadth", "expected"),
    [
        (0, 0, 2, BodyPose.LEVEL_FRONTAL),
        (0, 0.1, 2, BodyPose.LEVEL_TURNED),
        (0, -0.1, 2, BodyPose.LEVEL_TURNED),
        (0, 0.4, 2, BodyPose.LEVEL_TURNED),
        (0, 0.8, 2, BodyPose.LEVEL_SIDE),
        (0, 0, 0.9, BodyPose.LEVEL_SIDE),
        (9, 0, 2, BodyPose.TILTED_FRONTAL),
        (-9, 0.1, 2, BodyPose.TILTED_TURNED),
        (9, -0.8, 2, BodyPose.TILTED_SIDE),
    ],
)
def test_bodypose_thresholds(tilt: float, turn: float, breadth: float, expected: BodyPose) -> None:
    assert bodypose(PARTS, ShoulderAngles(tilt, turn, breadth)) is expected


def test_unknown_where_a_point_is_a_guess() -> None:
    guess = replace(PARTS, left_shoulder=PARTS.left_shoulder._replace(score=0.01))
    assert classify(guess, FACE_BOX).bodypose is BodyPose.UNKNOWN
    blind = replace(guess, left_eye=PARTS.left_eye._replace(score=0), right_eye=PARTS.right_eye._replace(score=0))
    assert classify(blind, FACE_BOX).facepose is FacePose.UNKNOWN


@given(
    x=st.lists(st.floats(-1e4, 1e4), min_size=10, max_size=10),
    y=st.lists(st.floats(-1e4, 1e4), min_size=10, max_size=10),
    width=st.floats(0, 1e4),
)
def test_any_points_give_a_class(x: list[float], y: list[float], width: float) -> None:
    names = [name for name, _ in PARTS.items()]
    parts = BodyParts(**{n: Point(a, b, 0.9) for n, a, b in zip(names, x, y, strict=True)})
    pose = classify(parts, Box(0, 0, width, width))
    assert pose.facepose in FacePose
    assert pose.bodypose in BodyPose
    assert -90 <= pose.shoulders.tilt_deg <= 90


@given(share=st.floats(-0.9, 0.9))
def test_yaw_follows_the_nose(share: float) -> None:
    assume(abs(share) > 1e-3)
    middle = (PARTS.left_ear.x + PARTS.right_ear.x) / 2
    level = {n: p._replace(y=200.0) for n, p in PARTS.items()}
    level["nose_tip"] = Point(middle + share * 86, 260, 1)
    yaw = head_from_parts(BodyParts(**level)).yaw_deg
    assert math.copysign(1, yaw) == math.copysign(1, share)
    assert yaw == pytest.approx(math.degrees(math.asin(share)), abs=1e-6)


def test_shoulders_the_other_way_round_are_no_steep_tilt() -> None:
    crossed = replace(PARTS, left_shoulder=PARTS.right_shoulder, right_shoulder=PARTS.left_shoulder)
    assert shoulder_angles(crossed, FACE_BOX).tilt_deg == pytest.approx(0.2, abs=0.05)

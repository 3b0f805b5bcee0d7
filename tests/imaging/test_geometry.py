import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idseg.imaging.geometry import head_angles, iou, slope_deg, wrap_deg
from idseg.types import Box, Points

ANGLE = st.floats(-60, 60)


def rotation(yaw: float, pitch: float, roll: float) -> Points:
    """Camera-from-head: roll in the picture last (x right, y down, z away)."""
    y, p, r = (math.radians(v) for v in (yaw, pitch, roll))
    # Looking to the picture's right turns the picture-right side away (z up): x -> (cos, 0, sin).
    about_y = np.array([[math.cos(y), 0, -math.sin(y)], [0, 1, 0], [math.sin(y), 0, math.cos(y)]])
    # Looking up brings the chin forward: y -> (0, cos, -sin).
    about_x = np.array([[1, 0, 0], [0, math.cos(p), math.sin(p)], [0, -math.sin(p), math.cos(p)]])
    about_z = np.array([[math.cos(r), -math.sin(r), 0], [math.sin(r), math.cos(r), 0], [0, 0, 1]])
    turn: Points = about_z @ about_y @ about_x
    return turn


@pytest.mark.parametrize(
    ("yaw", "pitch", "roll"),
    [(0, 0, 0), (30, 0, 0), (-30, 0, 0), (0, 20, 0), (0, -20, 0), (0, 0, 15), (0, 0, 170), (85, 0, -20)],
)
def test_head_angles_of_single_turns(yaw: float, pitch: float, roll: float) -> None:
    turn = rotation(yaw, pitch, roll)
    found = head_angles(turn[:, 0], turn[:, 1])
    assert (found.yaw_deg, found.pitch_deg, found.roll_deg) == pytest.approx((yaw, pitch, roll), abs=1e-9)


@given(yaw=ANGLE, pitch=st.floats(-30, 30), roll=ANGLE, by=st.floats(-90, 90))
def test_turning_the_photo_adds_to_the_roll_only(yaw: float, pitch: float, roll: float, by: float) -> None:
    before = rotation(yaw, pitch, roll)
    after = rotation(0, 0, by) @ before
    a, b = head_angles(before[:, 0], before[:, 1]), head_angles(after[:, 0], after[:, 1])
    assert (b.yaw_deg, b.pitch_deg) == pytest.approx((a.yaw_deg, a.pitch_deg), abs=1e-6)
    assert wrap_deg(b.roll_deg - a.roll_deg - by) == pytest.approx(0, abs=1e-6)


@given(yaw=ANGLE, pitch=st.floats(-30, 30), roll=ANGLE)
def test_mirroring_negates_yaw_and_roll(yaw: float, pitch: float, roll: float) -> None:
    turn = rotation(yaw, pitch, roll)
    flip = np.array([-1.0, 1.0, 1.0])
    a = head_angles(turn[:, 0], turn[:, 1])
    b = head_angles(-turn[:, 0] * flip, turn[:, 1] * flip)
    assert (b.yaw_deg, b.pitch_deg, b.roll_deg) == pytest.approx((-a.yaw_deg, a.pitch_deg, -a.roll_deg), abs=1e-6)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (Box(0, 0, 10, 10), Box(0, 0, 10, 10), 1.0),
        (Box(0, 0, 10, 10), Box(5, 0, 10, 10), 1 / 3),
        (Box(0, 0, 10, 10), Box(10, 0, 10, 10), 0.0),
        (Box(0, 0, 0, 10), Box(0, 0, 10, 10), 0.0),
        (Box(0, 0, 10, 10), Box(2, 2, 2, 2), 0.04),
    ],
)
def test_iou(a: Box, b: Box, expected: float) -> None:
    assert iou(a, b) == pytest.approx(expected)
    assert iou(b, a) == pytest.approx(expected)


@given(angle=st.floats(-1e4, 1e4))
def test_wrap(angle: float) -> None:
    wrapped = wrap_deg(angle)
    assert -180 < wrapped <= 180
    assert math.cos(math.radians(wrapped - angle)) == pytest.approx(1)


def test_slope_is_clockwise() -> None:
    assert slope_deg((0, 0), (1, 0)) == 0
    assert slope_deg((0, 0), (1, 1)) == pytest.approx(45)
    assert slope_deg((0, 0), (-1, 0)) == pytest.approx(180)

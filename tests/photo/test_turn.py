"""How far a photo is turned, and how shoulders slope."""

from __future__ import annotations

import math

import numpy as np
import pytest

from idseg.photo.turn import LEFT_DEG, LEVEL_DEG, shoulder_slope, upright_deg
from idseg.types import Box, Window


@pytest.mark.parametrize("roll_deg", [-12.0, 0.0, 7.0])
def test_the_head_comes_upright_where_that_leaves_the_shoulders_level(roll_deg: float) -> None:
    assert upright_deg(roll_deg, None) == -roll_deg
    assert upright_deg(roll_deg, roll_deg) == -roll_deg
    assert upright_deg(roll_deg, roll_deg + LEVEL_DEG) == -roll_deg


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_little_roll_is_left_where_upright_would_tip_the_shoulders(sign: int) -> None:
    """A head tilted by 6 degrees over level shoulders: 2 stay with the head, 4 go to the shoulders."""
    turn = upright_deg(sign * 6.0, 0.0)
    assert sign * 6.0 + turn == pytest.approx(sign * 2.0)
    assert abs(turn) == pytest.approx(LEVEL_DEG)
    assert upright_deg(sign * 20.0, 0.0) == pytest.approx(sign * (LEFT_DEG - 20.0))


def test_the_documents_limit_holds() -> None:
    assert upright_deg(9.0, None, 5.0) == -5.0
    assert upright_deg(-9.0, None, 5.0) == 5.0


@pytest.mark.parametrize("slope_deg", [-10.0, 0.0, 7.0])
def test_shoulder_slope(slope_deg: float) -> None:
    rows, columns = np.indices((400, 500)) + 0.5
    line = 250 + math.tan(math.radians(slope_deg)) * (columns - 250)
    alpha = (rows > line).astype(np.float32)
    found = shoulder_slope(alpha, Window(0, 0, 500, 400), Box(200, 80, 100, 130))
    assert found is not None
    assert found.deg == pytest.approx(slope_deg, abs=0.7)
    moved = shoulder_slope(alpha[:, 50:], Window(50, 0, 450, 400), Box(200, 80, 100, 130))
    assert moved is not None
    assert moved.deg == pytest.approx(slope_deg, abs=0.7)


def test_shoulders_outside_the_picture_have_no_slope() -> None:
    alpha = np.ones((400, 200), np.float32)
    assert shoulder_slope(alpha, Window(0, 0, 200, 400), Box(50, 80, 100, 130)) is None

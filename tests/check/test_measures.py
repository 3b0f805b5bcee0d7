"""Numbers of a face, on drawn faces whose numbers are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from idseg.check import measures
from idseg.check.face import FACE_EYES_PX, Face, face_copy
from idseg.check.rules import RULES
from idseg.types import FaceMesh, Rgb
from tests.photo import person as drawn


def face(roll_deg: float = 0.0, rgb: Rgb | None = None) -> Face:
    return face_copy(drawn.draw(roll_deg)[0] if rgb is None else rgb, drawn.mesh(roll_deg), roll_deg)


def painted(color: tuple[int, int, int], center: tuple[float, float], axes: tuple[int, int]) -> Rgb:
    """The drawn person with an ellipse at an offset from the eyes' middle."""
    rgb = drawn.draw()[0].copy()
    at = round(drawn.EYES[0] + center[0]), round(drawn.EYES[1] + center[1])
    cv2.ellipse(rgb, at, axes, 0, 0, 360, color, -1)
    return rgb


def test_the_copy_is_upright_and_of_one_size() -> None:
    for roll_deg in (0.0, 25.0, -40.0):
        copy = face(roll_deg)
        left, right = copy.points[[33, 133]].mean(axis=0), copy.points[[362, 263]].mean(axis=0)
        assert right[1] == pytest.approx(left[1], abs=1e-6)
        assert right[0] - left[0] == pytest.approx(FACE_EYES_PX)


def test_the_copy_does_not_depend_on_the_photos_size() -> None:
    plain = face()
    rgb, mesh = drawn.draw()[0], drawn.mesh()
    double = face_copy(np.repeat(np.repeat(rgb, 3, axis=0), 3, axis=1), FaceMesh(mesh.points * 3, 1.0), 0.0)
    np.testing.assert_allclose(double.points, plain.points, atol=1e-6)
    assert np.abs(double.rgb.astype(int) - plain.rgb.astype(int)).mean() < 3


def test_eyes_apart_is_measured_in_the_photo() -> None:
    assert measures.eyes_apart_px(drawn.mesh(33.0)) == pytest.approx(56)


@pytest.mark.parametrize("blur_px", [1.5, 2.0, 3.0])
def test_edge_width_is_the_blurs(blur_px: float) -> None:
    """A step blurred by a Gaussian of s pixels is found to be s pixels wide (plus what resampling adds)."""
    copy = face()
    step = np.full_like(copy.rgb, 200)
    for corners in ((33, 133), (362, 263)):
        step[:, int(copy.points[list(corners), 0].mean()) :] = 60
        step[:, int(copy.points[list(corners), 0].mean()) + 60 :] = 200
    blurred = np.asarray(cv2.GaussianBlur(step, (0, 0), blur_px), dtype=np.uint8)
    assert measures.edge_px(Face(blurred, copy.points, 1.0)) == pytest.approx(blur_px, rel=0.2)


def test_open_eyes_are_dark_above_the_corners_closed_ones_below() -> None:
    assert max(measures.lids_below(face())) < 0.02
    rgb = drawn.draw()[0].copy()
    for side in (-28, 28):
        at = round(drawn.EYES[0] + side), round(drawn.EYES[1])
        cv2.ellipse(rgb, at, (15, 8), 0, 0, 360, drawn.SKIN, -1)
        cv2.ellipse(rgb, at, (13, 5), 0, 20, 160, (40, 25, 20), 1)
    assert min(measures.lids_below(face(rgb=rgb))) > 0.055


def test_eyes_without_white_beside_an_iris_are_shut() -> None:
    """Plain lids, without lashes, have no line that lies low: only the white is missing."""
    plain = drawn.draw()[0].copy()
    for side in (-28, 28):
        at = round(drawn.EYES[0] + side), round(drawn.EYES[1])
        cv2.ellipse(plain, at, (15, 8), 0, 0, 360, drawn.SKIN, -1)
    assert max(measures.lids_below(face(rgb=plain))) < 0.02
    limit, doubt = RULES["eyes_open"].high, RULES["eyes_open"].doubt
    assert measures.eyes_shut(face(rgb=plain)) > limit + doubt
    assert measures.eyes_shut(face()) < limit


def test_a_smile_is_wide_raised_and_bares_teeth() -> None:
    calm = drawn.mesh()
    wide, raised, bared = (calm.points.copy() for _ in range(3))
    wide[[61, 291], 0] += (-6, 6)
    raised[[61, 291], 1] -= 6
    bared[[178, 14, 402], 1] += 8
    for points in (wide, raised, bared):
        assert measures.smile(FaceMesh(points, 1.0), 0.0) > measures.smile(calm, 0.0) + 0.08
    assert measures.smile(drawn.mesh(25.0), 25.0) == pytest.approx(measures.smile(calm, 0.0))


def test_mouth_gap_over_its_width() -> None:
    closed = drawn.mesh()
    points = closed.points.copy()
    points[[178, 14, 402], 1] += 12
    assert measures.mouth_gap(closed) == pytest.approx(2 / 48)
    assert measures.mouth_gap(FaceMesh(points, 1.0)) == pytest.approx(14 / 48)


def test_dark_glasses_cover_both_eyes_and_a_strand_one() -> None:
    assert max(measures.covered_eyes(face())) < 0.3
    both = painted((20, 20, 24), (0, 0), (70, 20))
    assert min(measures.covered_eyes(face(rgb=both))) > 0.9
    left, right = measures.covered_eyes(face(rgb=painted((35, 25, 22), (-28, 0), (26, 20))))
    assert left > 0.9
    assert right < 0.3


def test_a_mirrored_face_swaps_left_and_right() -> None:
    rgb = painted((35, 25, 22), (-28, 0), (26, 20))
    left, right = measures.covered_eyes(face(rgb=rgb))
    mirrored = np.ascontiguousarray(rgb[:, ::-1])
    assert measures.covered_eyes(face(rgb=mirrored)) == pytest.approx((right, left), abs=0.08)


def test_a_lamp_in_the_glasses_is_glare_and_bright_skin_is_not() -> None:
    assert measures.glare(face()) == 0
    assert measures.glare(face(rgb=painted((255, 255, 252), (-20, 6), (5, 4)))) > 0.01
    assert measures.glare(face(rgb=np.full_like(drawn.draw()[0], 240))) == 0


def test_tones() -> None:
    levels, burnt, drowned = measures.tones(face())
    assert levels > 60
    assert (burnt, drowned) == (0, 0)
    assert measures.tones(face(rgb=np.full_like(drawn.draw()[0], 255)))[1] == 1
    assert measures.tones(face(rgb=np.full_like(drawn.draw()[0], 3)))[2] == 1


@pytest.mark.parametrize("dark", [0.3, 0.5, 0.8])
def test_light_ratio_is_that_of_the_shaded_side(dark: float) -> None:
    rgb = np.full_like(drawn.draw()[0], drawn.SKIN)
    rgb[:, round(drawn.EYES[0]) :] = np.rint(np.array(drawn.SKIN) * dark)
    assert measures.light_ratio(face(rgb=rgb)) == pytest.approx(dark, abs=0.02)


def test_even_light_leaves_a_beard_and_a_fringe_out() -> None:
    rgb = np.full_like(drawn.draw()[0], drawn.SKIN)
    assert measures.light_ratio(face(rgb=rgb)) == pytest.approx(1)
    x, y = (round(value) for value in drawn.EYES)
    rgb[y + 75 :, :] = (40, 30, 60)
    rgb[: y - 30, :] = (30, 40, 70)
    assert measures.light_ratio(face(rgb=rgb)) == pytest.approx(1)
    assert x > 0


def test_background_spread() -> None:
    alpha = np.zeros((300, 400), np.float32)
    alpha[100:, 150:250] = 1
    wall = np.full((300, 400, 3), 190, np.uint8)
    assert measures.background_spread(wall, alpha) == pytest.approx(0, abs=1e-4)
    wall[:, :75] = 90
    spread = measures.background_spread(wall, alpha)
    assert spread is not None
    assert spread > 10
    assert measures.background_spread(wall, np.ones_like(alpha)) is None

"""A model shown a region answers in the photo's pixels; made-up models."""

from __future__ import annotations

import numpy as np
import pytest

from idseg.models.region import body_area, body_in, face_area, mesh_in, view
from idseg.types import Box, FaceDetection, FaceMesh, PosePoints, Rgb

FACE = FaceDetection(
    box=Box(100, 100, 100, 100),
    score=0.8,
    left_eye=(130, 140),
    right_eye=(170, 140),
    nose_tip=(150, 150),
    mouth=(150, 175),
    left_ear=(105, 145),
    right_ear=(195, 145),
)
PHOTO = np.zeros((400, 300, 3), np.uint8)


@pytest.mark.parametrize("area", [Box(10, 20, 100, 80), Box(-50, -50, 2000, 2000), Box(1000, 900, 10, 10)])
def test_a_point_comes_back_to_where_it_was(area: Box) -> None:
    photo = np.zeros((1200, 1600, 3), np.uint8)
    seen = view(photo, area)
    assert max(seen.rgb.shape) <= 512
    x, y = (10.0 - seen.window.left) * seen.scale, (20.0 - seen.window.top) * seen.scale
    assert np.allclose(seen.in_photo(np.array([[x, y, 3.0 * seen.scale]])), [[10, 20, 3]])


def test_a_mesh_comes_back_in_the_photos_pixels() -> None:
    def model(rgb: Rgb) -> FaceMesh | None:
        return FaceMesh(np.full((468, 3), (rgb.shape[1] / 2, rgb.shape[0] / 2, 0.0)), 0.7)

    found = mesh_in(PHOTO, face_area(FACE), model)
    assert found is not None
    assert np.abs(found.points[0, :2] - 150).max() <= 1
    assert mesh_in(PHOTO, face_area(FACE), lambda rgb: None) is None


def test_a_closer_look_shows_less() -> None:
    assert face_area(FACE, 0.15).width < face_area(FACE, 0.3).width < face_area(FACE).width
    assert body_area(FACE, 2).width == pytest.approx(body_area(FACE).width / 2)


def _pose(x: float, y: float) -> PosePoints:
    return PosePoints(np.full((33, 3), (x, y, 0.0)), np.ones(33), np.ones(33))


def test_a_body_belongs_to_the_face_whose_nose_it_has() -> None:
    """Of two poses the one near the face's nose is taken; one far from it is nobody's."""
    area = body_area(FACE)
    left, top = max(0, int(area.left)), max(0, int(area.top))

    def model(rgb: Rgb) -> tuple[PosePoints, ...]:
        width = rgb.shape[1]
        near = 150 - left
        return _pose(near, 150 - top), _pose(width - near, 150 - top), _pose(20, 20)

    found = body_in(PHOTO, area, FACE, model)
    assert found is not None
    assert found.points[PosePoints.NOSE, :2] == pytest.approx((150, 150))
    assert body_in(PHOTO, area, FACE, lambda rgb: (_pose(0, 390 - top),)) is None


def test_the_answer_to_a_mirrored_photo_is_the_mirrored_answer() -> None:
    """A pose model that errs to one side: the mean with its mirrored answer does not."""
    area = Box(0, 0, 300, 400)
    found = body_in(PHOTO, area, FACE, lambda rgb: (_pose(150 + 7, 150),))
    assert found is not None
    assert found.points[0, 0] == pytest.approx(150)

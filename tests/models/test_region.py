"""Closer looks at a face, with made-up models."""

from __future__ import annotations

import numpy as np

from idseg.models import region
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


class Shy:
    """A mesh model that finds a face, in the middle of what it is shown, from its ``nth`` look on."""

    def __init__(self, nth: int) -> None:
        self.nth, self.sides = nth, list[int]()

    def __call__(self, rgb: Rgb) -> FaceMesh | None:
        self.sides.append(rgb.shape[1])
        if len(self.sides) < self.nth:
            return None
        return FaceMesh(np.full((468, 3), (rgb.shape[1] / 2, rgb.shape[0] / 2, 0.0)), 0.7)


def test_a_mesh_is_looked_for_closer_and_closer() -> None:
    model = Shy(2)
    found = region.look_closer_mesh(PHOTO, FACE, model, lambda _: True)
    assert found is not None
    assert np.abs(found.points[0, :2] - 150).max() <= 1
    assert model.sides[0] > model.sides[1]


def test_a_mesh_that_does_not_fit_is_not_taken() -> None:
    model = Shy(1)
    assert region.look_closer_mesh(PHOTO, FACE, model, lambda _: False) is None
    assert len(model.sides) == 2


def test_a_body_is_looked_for_closer_and_must_fit() -> None:
    shown: list[int] = []

    def find(rgb: Rgb) -> tuple[PosePoints, ...]:
        shown.append(rgb.shape[1])
        points = np.full((33, 3), (rgb.shape[1] / 2, rgb.shape[1] / 2, 0.0))
        return (PosePoints(points, np.ones(33), np.ones(33)),)

    wide = region.pose_area(FACE).width
    assert region.look_closer_pose(PHOTO, FACE, find, lambda _: False) is None
    assert len(shown) == 4  # twice, each time with the mirror image
    assert shown[0] == shown[1] > shown[2]
    assert max(shown) < wide
    assert region.look_closer_pose(PHOTO, FACE, find, lambda _: True) is not None

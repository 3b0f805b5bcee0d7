"""From made-up meshes and poses to parts, box, angles and scores."""

from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from idseg.errors import SidewaysError, UpsideDownError
from idseg.stages.landmarks import agree, body_roll_deg, hidden_ear_score, look, mesh_angles, person, upright
from idseg.types import Box, FaceDetection, FaceMesh, PosePoints, Rgb, Size

PHOTO = Size(400, 600)
FACE = FaceDetection(
    box=Box(120, 130, 160, 160),
    score=0.9,
    left_eye=(160, 200),
    right_eye=(240, 200),
    nose_tip=(200, 240),
    mouth=(200, 270),
    left_ear=(120, 210),
    right_ear=(280, 210),
)


def mesh(yaw_deg: float = 0.0) -> FaceMesh:
    """A plain head around (200, 220), turned by yaw: the points that idseg reads; all others at its middle."""
    head = np.zeros((468, 3))
    named = {33: (-50, -20, -60), 133: (-30, -20, -70), 362: (30, -20, -70), 263: (50, -20, -60)}
    named |= {1: (0, 20, -95), 61: (-25, 50, -70), 291: (25, 50, -70), 10: (0, -85, -50), 152: (0, 100, -50)}
    named |= {127: (-80, -10, 0), 234: (-80, 0, 0), 356: (80, -10, 0), 454: (80, 0, 0)}
    for index, xyz in named.items():
        head[index] = xyz
    cos, sin = math.cos(math.radians(yaw_deg)), math.sin(math.radians(yaw_deg))
    turned = head @ np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]]).T
    return FaceMesh(turned + np.array([200, 220, 0]), 0.95)


def body(visibility: float = 0.99) -> PosePoints:
    points = np.zeros((33, 3))
    points[:, :2] = (200, 240)
    points[5, :2], points[2, :2] = (160, 200), (240, 200)
    points[8, :2], points[7, :2] = (122, 205), (278, 205)
    points[10, :2], points[9, :2] = (175, 270), (225, 270)
    points[12, :2], points[11, :2] = (60, 430), (340, 430)
    points[[7, 8], 2] = 0.0
    return PosePoints(points, np.full(33, visibility), np.full(33, visibility))


def test_a_frontal_face_takes_its_points_from_the_mesh() -> None:
    found = person(FACE, mesh(), body(), PHOTO)
    parts = found.parts
    assert parts.left_eye[:2] == (160, 200)
    assert parts.right_eye[:2] == (240, 200)
    assert parts.nose_tip[:2] == (200, 240)
    assert parts.left_ear.x < 120 < 280 < parts.right_ear.x
    assert parts.left_shoulder[:2] == (60, 430)
    assert parts.right_shoulder[:2] == (340, 430)
    assert parts.neck[:2] == pytest.approx((200, 270 + 0.52 * 160))
    assert found.head.yaw_deg == pytest.approx(0)
    assert found.head.roll_deg == pytest.approx(0)
    assert found.face_box.left < 120
    assert found.face_box.bottom == pytest.approx(320)
    assert min(point.score for _, point in parts.items()) > 0.85


@pytest.mark.parametrize("yaw", [-50, -20, 20, 50])
def test_a_turned_face_hides_the_far_ear(yaw: float) -> None:
    parts = person(FACE, mesh(yaw), body(), PHOTO).parts
    far, near = (parts.left_ear, parts.right_ear) if yaw < 0 else (parts.right_ear, parts.left_ear)
    assert near.score > far.score
    assert (far.score < 0.5) == (abs(yaw) > 32)
    assert mesh_angles(mesh(yaw)).yaw_deg == pytest.approx(yaw, abs=1e-6)


def test_ears_go_out_of_sight_on_their_own_sides() -> None:
    left, right = hidden_ear_score(-60)
    assert left < 0.05 < 0.95 < right
    assert hidden_ear_score(60) == pytest.approx((right, left))


def test_a_mesh_on_something_else_is_not_believed() -> None:
    astray = FaceMesh(mesh().points + np.array([150, 0, 0]), 0.95)
    found = person(FACE, astray, body(), PHOTO)
    assert found.parts.left_ear[:2] == (122, 205)
    assert found.face_box == FACE.box


def test_without_a_body_the_shoulders_are_a_guess_by_the_example() -> None:
    found = person(FACE, mesh(), None, PHOTO)
    left, right = found.parts.left_shoulder, found.parts.right_shoulder
    assert (right.x - left.x) / found.face_box.width == pytest.approx(334 / 173)
    assert max(left.score, right.score) < 0.02


def test_with_the_detector_alone_everything_still_has_a_place() -> None:
    parts = person(FACE, None, None, PHOTO).parts
    assert parts.left_mouth.x < parts.nose_tip.x < parts.right_mouth.x
    assert all(0 <= point.score < 0.02 for _, point in parts.items())


def test_a_body_from_the_side_hides_its_far_shoulder() -> None:
    points = body().points.copy()
    points[[11, 12], 0] = 210, 190
    points[12, 2] = 50
    parts = person(FACE, None, replace(body(), points=points), PHOTO).parts
    assert parts.left_shoulder.score < 0.4 < 0.9 < parts.right_shoulder.score


def test_a_point_outside_the_photo_scores_low() -> None:
    narrow = person(FACE, mesh(), body(), Size(300, 600)).parts
    assert narrow.right_shoulder[:2] == (340, 430)
    assert narrow.right_shoulder.score < 0.3 < narrow.left_shoulder.score


def test_hidden_parts_score_low() -> None:
    seen, hidden = person(FACE, None, body(0.9), PHOTO).parts, person(FACE, None, body(0.1), PHOTO).parts
    assert hidden.left_shoulder.score < 0.2 < seen.left_shoulder.score


@pytest.mark.parametrize("deg", [0, 30, -60, 170])
def test_body_roll(deg: float) -> None:
    upright = body()
    cos, sin = math.cos(math.radians(deg)), math.sin(math.radians(deg))
    turned = upright.points.copy()
    turned[:, :2] = upright.points[:, :2] @ np.array([[cos, sin], [-sin, cos]])
    assert body_roll_deg(replace(upright, points=turned)) == pytest.approx(deg)


def test_only_a_standing_body_is_upright() -> None:
    standing = body()
    lying = replace(standing, points=standing.points[:, [1, 0, 2]] * np.array((-1.0, 1.0, 1.0)))
    assert upright(standing)
    assert not upright(lying)


@pytest.mark.parametrize(("yaw", "agrees"), [(0.0, True), (45.0, True), (-70.0, False)])
def test_a_mesh_must_look_where_the_body_looks(yaw: float, agrees: bool) -> None:
    assert agree(mesh(yaw), body()) is agrees
    assert agree(mesh(yaw), None)


# --- looking at the models' regions -----------------------------------------------------------------------------------

GREY = np.full((600, 400, 3), 90, np.uint8)


class Shy:
    """Models that find something, where the photo has it, from their ``nth`` look on; they note how wide each look was.

    A look is told from its mirror image by the picture's content: GREY is the same both ways, so a pose model is
    called twice for each look.
    """

    def __init__(self, nth: int, mesh: FaceMesh | None = None, pose: PosePoints | None = None) -> None:
        self.nth, self.widths = nth, list[int]()
        self._mesh, self._pose = mesh, pose

    def mesh(self, rgb: Rgb) -> FaceMesh | None:
        self.widths.append(rgb.shape[1])
        if len(self.widths) < self.nth or self._mesh is None:
            return None
        middle = np.array([rgb.shape[1] / 2, rgb.shape[0] / 2, 0.0])
        return FaceMesh(self._mesh.points - [200, 220, 0] + middle, self._mesh.score)

    def pose(self, rgb: Rgb) -> tuple[PosePoints, ...]:
        self.widths.append(rgb.shape[1])
        if len(self.widths) < self.nth or self._pose is None:
            return ()
        return (self._pose,)


def test_a_face_without_a_mesh_is_looked_at_closer_and_closer() -> None:
    shy, nobody = Shy(3, mesh=mesh()), Shy(1)
    found, pose = look(GREY, FACE, (shy.mesh, nobody.pose))
    assert found is not None
    assert pose is None
    assert shy.widths == sorted(shy.widths, reverse=True)
    assert len(set(shy.widths)) == 3
    assert len(nobody.widths) == 2, "the pose model looks once, and once at the mirror image, where the mesh is missing"


def test_a_mesh_that_contradicts_the_body_is_not_taken() -> None:
    shy = Shy(2, mesh=mesh(-60))
    found, pose = look(GREY, FACE, (shy.mesh, lambda rgb: (body(),)))
    assert pose is not None
    assert found is None
    assert len(shy.widths) == 3


def test_a_missing_body_is_looked_for_closer() -> None:
    nobody = Shy(1)
    found, pose = look(GREY, FACE, (Shy(1, mesh=mesh()).mesh, nobody.pose))
    assert found is not None
    assert pose is None
    assert len(nobody.widths) == 6, "three looks, each with its mirror image"


def test_a_second_thread_looks_at_the_mirror_image_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=60)

    def pose(rgb: Rgb) -> tuple[PosePoints, ...]:
        both.wait()
        return (body(),)

    with ThreadPoolExecutor(1) as pool:
        _, found = look(GREY, FACE, (lambda rgb: mesh(), pose), pool=pool)
    _, alone = look(GREY, FACE, (lambda rgb: mesh(), lambda rgb: (body(),)))
    assert found is not None
    assert alone is not None
    assert np.array_equal(found.points, alone.points)


def test_with_one_pose_model_a_second_thread_finds_the_mesh() -> None:
    threads: dict[str, set[str]] = {"pose": set(), "mesh": set()}
    met = threading.Barrier(2, timeout=60)

    def pose(rgb: Rgb) -> tuple[PosePoints, ...]:
        if not threads["pose"]:
            met.wait()
        threads["pose"].add(threading.current_thread().name)
        return (body(),)

    def find_mesh(rgb: Rgb) -> FaceMesh:
        met.wait()
        threads["mesh"].add(threading.current_thread().name)
        return mesh()

    with ThreadPoolExecutor(1, "helper") as pool:
        found, _ = look(GREY, FACE, (find_mesh, pose), pool=pool, two_poses=False)
    assert found is not None
    assert threads == {"pose": {threading.current_thread().name}, "mesh": {"helper_0"}}


@pytest.mark.parametrize(("turn_deg", "error"), [(180, UpsideDownError), (90, SidewaysError), (-90, SidewaysError)])
def test_a_body_that_hangs_or_lies_is_refused(turn_deg: int, error: type[Exception]) -> None:
    """The face is upright, the body is not: the photo is turned, and the error says how to mend it."""
    down = {180: (0, -190), 90: (190, 0), -90: (-190, 0)}[turn_deg]
    points = np.zeros((33, 3))
    points[:, :2] = (200, 240)
    points[[11, 12], :2] += down
    turned = PosePoints(points, np.ones(33), np.ones(33))

    def pose(rgb: Rgb) -> tuple[PosePoints, ...]:
        return (turned,) if pose.calls.append(1) is None and len(pose.calls) == 1 else ()  # type: ignore[attr-defined]

    pose.calls = []  # type: ignore[attr-defined]
    with pytest.raises(error) as caught:
        look(GREY, FACE, (lambda rgb: mesh(), pose))
    assert caught.value.facts["turn_deg"] == turn_deg  # type: ignore[attr-defined]

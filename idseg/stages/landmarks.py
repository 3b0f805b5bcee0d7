"""Computes the API's ten body parts, the face box and the head's angles from MediaPipe's face mesh and pose.

:func:`look` runs the two models on regions around the face; :func:`person` combines their answers. Left and right are
the picture's, as in the API.
"""

from __future__ import annotations

import math
from concurrent.futures import Executor
from dataclasses import dataclass, replace

import numpy as np

from idseg.errors import turned_error
from idseg.imaging.geometry import head_angles, midpoint, slope_deg
from idseg.models.region import (
    MeshModel,
    PoseModel,
    body_area,
    body_in,
    face_area,
    mean_pose,
    mesh_in,
    mirrored_pose_in,
    pose_in,
    view,
)
from idseg.system import side_by_side
from idseg.types import (
    BodyParts,
    Box,
    FaceDetection,
    FaceMesh,
    HeadAngles,
    Person,
    Point,
    Points,
    PosePoints,
    Rgb,
    Size,
)

_CLOSER_MARGINS = (0.3, 0.15)
"""Margins of the second and third attempt, if the mesh model finds no face (mostly in profiles)."""
_CLOSER_BODIES = (1 / 0.6, 1 / 0.4)
"""Factors by which the region shrinks in the second and third attempt, if the pose model finds nobody."""
_EAR_HIDDEN_YAW_DEG = 32.0
"""Yaw at which the cheek hides the far ear: half of the angle by which an ear lies behind the face's silhouette."""
_EYE_HIDDEN_YAW_DEG = 62.0
"""Yaw at which the bridge of the nose begins to hide the far eye and the far corner of the mouth."""
_HIDING_SPREAD_DEG = 6.0
"""Width of the transition from visible to hidden: degrees of yaw per unit of the logistic function."""
_OUTSIDE = 0.2
"""Factor on the score of a point outside the photo, whose place is estimated and not visible."""
_GUESS = 0.01
"""Score of a point that no landmark model confirms: a shoulder placed by the face's proportions, or a face of which
only the detector's six points are known. The classes ignore such points."""
_UPRIGHT_DEG = 65.0
"""Maximum body roll of upright portraits, degrees; see :func:`body_roll_deg`."""
_YAWS_APART_DEG = 50.0
"""Maximum difference between the yaws of mesh and pose on one head. On turned heads the pose model's is larger by about
33 degrees."""
_SIDE_BREADTH = 0.95
"""Shoulder width / face width below which the body is sideways and hides its far shoulder."""
_BEHIND = 0.3
"""Factor on the score of the hidden shoulder, because MediaPipe scores it 0.94 to 1.0."""

# From the published example: the shoulders are 334 px apart at a face 173 px wide, and 315.5 px below the top of a face
# 226 px high; the neck is at 52 % of the way from the mouth to the midpoint of the shoulders.
_SHOULDER_SPAN = 334 / 173
_SHOULDER_DROP = (431.5 - 116) / 226
_NECK_SHARE = 0.52

# The API's box is wider than the mesh's outline (it includes the ears) and higher (it includes the whole forehead). In
# eye distances, the example's box is 2.34 wide, starts 1.34 above the eyes and ends 1.72 below them; the median mesh of
# 400 frontal portraits is 2.18 wide, starts 0.82 above and ends 1.72 below.
_BOX_SIDE = (2.34 / 2.18 - 1) / 2
"""Margin at each side of the mesh's outline, as a share of its width."""
_BOX_TOP = (1.34 - 0.82) / (0.82 + 1.72)
"""Margin above the mesh's outline, as a share of its height."""
_EAR_OUT = _BOX_SIDE
"""Distance of the ears outside the mesh's ear points, as a share of the points' distance (example: at the box
edges)."""
_NEUTRAL_PITCH_DEG = -8.0
"""Pitch of the mesh's forehead-chin axis for a face that looks into the camera: the median of the same portraits."""


@dataclass(frozen=True, slots=True)
class LandmarkOptions:
    """When to use which model."""

    mesh_yaw_deg: float = 65.0
    """|yaw| beyond which the mesh slips off the face, so that the pose model's points are used for the face."""
    mesh_apart: float = 0.6
    """Distance between the eyes' midpoints of mesh and detector, in face box widths, beyond which the mesh is not on
    this face."""
    body_sideways_deg: float = 72.0
    """|:func:`body_roll_deg`| from which the photo lies on its side. Upright portraits are within 63 degrees."""
    body_upside_down_deg: float = 118.0
    """|:func:`body_roll_deg`| from which the person is upside down. Upside-down portraits exceed 120 degrees."""


def look(
    rgb: Rgb,
    face: FaceDetection,
    models: tuple[MeshModel, PoseModel],
    options: LandmarkOptions | None = None,
    pool: Executor | None = None,
    two_poses: bool = True,
) -> tuple[FaceMesh | None, PosePoints | None]:
    """The mesh and the pose of the person with this face, in photo pixels; None where a model finds none.

    If a model finds none, it gets a smaller region. That answer is less certain and must agree with the other models.
    With a pool, the pose model sees the mirror image of the body in another thread; without ``two_poses``, the mesh
    model runs there instead, because there is no second copy of the pose model, or it would first have to be loaded.

    Raises:
        UpsideDownError, SidewaysError: the body is above or beside the head. To the detectors and the mesh model, an
            upside-down face can look upright; a body cannot.
    """
    options = LandmarkOptions() if options is None else options
    mesh_model, pose_model = models
    body = view(rgb, body_area(face))

    def find_mesh() -> FaceMesh | None:
        return mesh_in(rgb, face_area(face), mesh_model)

    def find_pose() -> PosePoints | None:
        return pose_in(body, face, pose_model)

    def find_mirrored() -> PosePoints | None:
        return mirrored_pose_in(body, face, pose_model)

    if two_poses:
        (direct, mesh), mirrored = side_by_side(pool, lambda: (find_pose(), find_mesh()), find_mirrored)
    else:
        (direct, mirrored), mesh = side_by_side(pool, lambda: (find_pose(), find_mirrored()), find_mesh)
    pose = mean_pose(direct, mirrored)
    if pose is not None:
        _refuse_turned(body_roll_deg(pose), options)
    if mesh is None:
        closer = (mesh_in(rgb, face_area(face, margin), mesh_model) for margin in _CLOSER_MARGINS)
        mesh = next((found for found in closer if found is not None and agree(found, pose)), None)
    elif pose is None:
        bodies = (body_in(rgb, body_area(face, times), face, pose_model) for times in _CLOSER_BODIES)
        pose = next((found for found in bodies if found is not None and upright(found)), None)
    return mesh, pose


def _refuse_turned(roll_deg: float, options: LandmarkOptions) -> None:
    if abs(roll_deg) >= options.body_upside_down_deg:
        raise turned_error(180)
    if abs(roll_deg) >= options.body_sideways_deg:
        raise turned_error(-90 if roll_deg > 0 else 90)


def person(
    face: FaceDetection,
    mesh: FaceMesh | None,
    pose: PosePoints | None,
    photo: Size,
    options: LandmarkOptions | None = None,
) -> Person:
    """Combine the answers of the three models, all in photo pixels, into face box, ten parts and head angles.

    Args:
        face: the detector's face.
        mesh: the face mesh; None if the mesh model found no face.
        pose: the pose landmarks; None if the pose model found nobody.
        photo: size of the photo, for the scores of points outside it.
        options: when to use the mesh.
    """
    options = LandmarkOptions() if options is None else options
    if mesh is not None and _on_face(mesh, face, options):
        head = mesh_angles(mesh)
        if abs(head.yaw_deg) <= options.mesh_yaw_deg:
            face_points, box = _mesh_points(mesh, face, head), mesh_box(mesh)
            return replace(_assemble(box, face.score, face_points, pose, head, photo), mesh=mesh)
    if pose is not None:
        head = pose_angles(pose)
        face_points = _pose_face_points(pose, face)
        return _assemble(face.box, face.score, face_points, pose, head, photo)
    face_points = _detector_points(face)
    head = head_angles(*_detector_axes(face))
    return _assemble(face.box, face.score, face_points, None, head, photo)


def mesh_angles(mesh: FaceMesh) -> HeadAngles:
    """Head angles from the mesh: ear to ear and forehead to chin (z has the scale of x: weak perspective)."""
    points = mesh.points
    right = (
        _mean(points, FaceMesh.RIGHT_EAR)
        - _mean(points, FaceMesh.LEFT_EAR)
        + points[FaceMesh.RIGHT_EYE[1]]
        - points[FaceMesh.LEFT_EYE[0]]
    )
    raw = head_angles(right, points[FaceMesh.CHIN] - points[FaceMesh.FOREHEAD])
    return HeadAngles(raw.yaw_deg, raw.pitch_deg - _NEUTRAL_PITCH_DEG, raw.roll_deg)


def mesh_box(mesh: FaceMesh) -> Box:
    """The face box around the mesh's outline, extended to the ears and over the forehead as in the published
    example."""
    low, high = mesh.points[:, :2].min(axis=0), mesh.points[:, :2].max(axis=0)
    width, height = high - low
    side, above = _BOX_SIDE * width, _BOX_TOP * height
    return Box(float(low[0] - side), float(low[1] - above), float(width + 2 * side), float(height + above))


def pose_angles(pose: PosePoints) -> HeadAngles:
    """Head angles from the pose landmarks of the head, for profiles: ear to ear, and the midpoint of the eyes to that
    of the mouth."""
    points = pose.points
    right = points[PosePoints.RIGHT_EAR] - points[PosePoints.LEFT_EAR]
    down = (points[PosePoints.LEFT_MOUTH] + points[PosePoints.RIGHT_MOUTH]) - (
        points[PosePoints.LEFT_EYE] + points[PosePoints.RIGHT_EYE]
    )
    return head_angles(right, down)


def body_roll_deg(pose: PosePoints) -> float:
    """Rotation of the body in the picture, -180..180, > 0 clockwise: the angle between straight down and the direction
    from the nose to the midpoint of the shoulders. Upright portraits are within 65 degrees; upside-down ones exceed
    120."""
    nose = pose.points[PosePoints.NOSE]
    middle = (pose.points[PosePoints.LEFT_SHOULDER] + pose.points[PosePoints.RIGHT_SHOULDER]) / 2
    return slope_deg((nose[1], -nose[0]), (middle[1], -middle[0]))


def upright(pose: PosePoints) -> bool:
    """Whether the body is upright. In a smaller region, the model is less reliable, so a body on its side is an
    error."""
    return abs(body_roll_deg(pose)) <= _UPRIGHT_DEG


def agree(mesh: FaceMesh, pose: PosePoints | None) -> bool:
    """Whether mesh and pose give the head a similar yaw. A mesh that slipped off a profile has a different yaw."""
    return pose is None or abs(mesh_angles(mesh).yaw_deg - pose_angles(pose).yaw_deg) <= _YAWS_APART_DEG


def hidden_ear_score(yaw_deg: float) -> tuple[float, float]:
    """Visibility of the (left, right) ear at this yaw, 0..1 each."""
    return _visibility(yaw_deg, _EAR_HIDDEN_YAW_DEG), _visibility(-yaw_deg, _EAR_HIDDEN_YAW_DEG)


def _visibility(yaw_deg: float, hidden_at_deg: float) -> float:
    """Visibility, 0..1, of a part on the left, which a face turned to the picture's left (yaw < 0) hides."""
    return 1 / (1 + math.exp(-(yaw_deg + hidden_at_deg) / _HIDING_SPREAD_DEG))


def _on_face(mesh: FaceMesh, face: FaceDetection, options: LandmarkOptions) -> bool:
    eyes = _mean(mesh.points, FaceMesh.LEFT_EYE + FaceMesh.RIGHT_EYE)[:2]
    seen = midpoint(face.left_eye, face.right_eye)
    return math.dist(eyes, seen) <= options.mesh_apart * face.box.width


_FacePoints = dict[str, Point]


def _mesh_points(mesh: FaceMesh, face: FaceDetection, head: HeadAngles) -> _FacePoints:
    points, score = mesh.points, min(max(mesh.score, face.score), 1.0)
    left_ear_at, right_ear_at = _mean(points, FaceMesh.LEFT_EAR), _mean(points, FaceMesh.RIGHT_EAR)
    outward = _EAR_OUT * (right_ear_at - left_ear_at)
    left_ear, right_ear = hidden_ear_score(head.yaw_deg)
    left, right = _visibility(head.yaw_deg, _EYE_HIDDEN_YAW_DEG), _visibility(-head.yaw_deg, _EYE_HIDDEN_YAW_DEG)
    return {
        "left_ear": _point(left_ear_at - outward, score * left_ear),
        "right_ear": _point(right_ear_at + outward, score * right_ear),
        "left_eye": _point(_mean(points, FaceMesh.LEFT_EYE), score * left),
        "right_eye": _point(_mean(points, FaceMesh.RIGHT_EYE), score * right),
        "nose_tip": _point(points[FaceMesh.NOSE_TIP], score),
        "left_mouth": _point(points[FaceMesh.LEFT_MOUTH], score * left),
        "right_mouth": _point(points[FaceMesh.RIGHT_MOUTH], score * right),
    }


def _pose_face_points(pose: PosePoints, face: FaceDetection) -> _FacePoints:
    head = pose_angles(pose)
    left_ear, right_ear = hidden_ear_score(head.yaw_deg)
    left, right = _visibility(head.yaw_deg, _EYE_HIDDEN_YAW_DEG), _visibility(-head.yaw_deg, _EYE_HIDDEN_YAW_DEG)
    rows = {
        "left_ear": (PosePoints.LEFT_EAR, left_ear),
        "right_ear": (PosePoints.RIGHT_EAR, right_ear),
        "left_eye": (PosePoints.LEFT_EYE, left),
        "right_eye": (PosePoints.RIGHT_EYE, right),
        "nose_tip": (PosePoints.NOSE, 1.0),
        "left_mouth": (PosePoints.LEFT_MOUTH, left),
        "right_mouth": (PosePoints.RIGHT_MOUTH, right),
    }
    return {
        name: _point(pose.points[row], float(pose.visibility[row]) * face.score * share)
        for name, (row, share) in rows.items()
    }


def _detector_points(face: FaceDetection) -> _FacePoints:
    """The detector's six points. The corners of the mouth are 0.37 of the eyes' distance beside the mouth's centre."""
    eyes = face.right_eye[0] - face.left_eye[0], face.right_eye[1] - face.left_eye[1]
    share = 0.37
    score = _GUESS
    mouth = face.mouth
    return {
        "left_ear": Point(*face.left_ear, score),
        "right_ear": Point(*face.right_ear, score),
        "left_eye": Point(*face.left_eye, score),
        "right_eye": Point(*face.right_eye, score),
        "nose_tip": Point(*face.nose_tip, score),
        "left_mouth": Point(mouth[0] - share * eyes[0], mouth[1] - share * eyes[1], score),
        "right_mouth": Point(mouth[0] + share * eyes[0], mouth[1] + share * eyes[1], score),
    }


def _detector_axes(face: FaceDetection) -> tuple[Points, Points]:
    """The head's axes from the detector's points. The nose's offset from the midpoint of the ears gives the depth."""
    left, right = np.array(face.left_ear), np.array(face.right_ear)
    axis = right - left
    width = float(np.linalg.norm(axis)) or 1.0
    off = float(np.dot(np.array(face.nose_tip) - (left + right) / 2, axis)) / width / (width / 2)
    down = np.array(face.mouth) - np.array(midpoint(face.left_eye, face.right_eye))
    # Model: the head is a sphere. A nose offset of sin(yaw) radii means that the axis of the ears is turned by yaw.
    depth = math.tan(math.asin(max(-0.95, min(0.95, off)))) * width
    return np.array([*axis, depth]), np.array([*down, 0.0])


def _assemble(
    box: Box, score: float, face_points: _FacePoints, pose: PosePoints | None, head: HeadAngles, photo: Size
) -> Person:
    shoulders = _guessed_shoulders(box) if pose is None else _pose_shoulders(pose, box)
    left, right = shoulders
    mouth = midpoint(face_points["left_mouth"][:2], face_points["right_mouth"][:2])
    middle = midpoint(left[:2], right[:2])
    neck = Point(
        mouth[0] + _NECK_SHARE * (middle[0] - mouth[0]),
        mouth[1] + _NECK_SHARE * (middle[1] - mouth[1]),
        math.sqrt(max(left.score, right.score) * min(1.0, face_points["nose_tip"].score)),
    )
    parts = BodyParts(**face_points, left_shoulder=left, right_shoulder=right, neck=neck)
    scored = BodyParts(**{name: _lower_outside(point, photo) for name, point in parts.items()})
    return Person(face_box=box, face_score=score, parts=scored, head=head)


def _pose_shoulders(pose: PosePoints, box: Box) -> tuple[Point, Point]:
    rows = (PosePoints.LEFT_SHOULDER, PosePoints.RIGHT_SHOULDER)
    left, right = (_point(pose.points[row], float(pose.visibility[row])) for row in rows)
    if math.dist(left[:2], right[:2]) < _SIDE_BREADTH * box.width:
        left_is_behind = pose.points[rows[0], 2] > pose.points[rows[1], 2]
        if left_is_behind:
            left = left._replace(score=_BEHIND * left.score)
        else:
            right = right._replace(score=_BEHIND * right.score)
    return left, right


def _guessed_shoulders(box: Box) -> tuple[Point, Point]:
    """Shoulders placed by the example's proportions below a face without a pose."""
    x, y = box.center[0], box.top + _SHOULDER_DROP * box.height
    half = _SHOULDER_SPAN * box.width / 2
    return Point(x - half, y, _GUESS), Point(x + half, y, _GUESS)


def _lower_outside(point: Point, photo: Size) -> Point:
    inside = 0 <= point.x < photo.width and 0 <= point.y < photo.height
    return Point(point.x, point.y, min(1.0, max(0.0, point.score * (1.0 if inside else _OUTSIDE))))


def _mean(points: Points, rows: tuple[int, ...]) -> Points:
    mean: Points = points[list(rows)].mean(axis=0)
    return mean


def _point(xyz: Points, score: float) -> Point:
    return Point(float(xyz[0]), float(xyz[1]), score)

"""Classifies ``facepose`` and ``bodypose`` as the API does, with rules on named points and angles.

The rules do not look at pixels. They work with the ten points alone (for example of a saved API reply), and are more
accurate if the head's angles were measured on the face mesh.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from idseg.imaging.geometry import midpoint, slope_deg, wrap_deg
from idseg.types import BodyParts, BodyPose, Box, FacePose, HeadAngles, Point, Pose, ShoulderAngles


@dataclass(frozen=True, slots=True)
class PoseRules:
    """The thresholds with their reasons. They are idseg's; the API publishes none."""

    profile_yaw_deg: float = 30.0
    """|yaw| from which a face is a profile. On 211 hand-labelled photos (benchmarks/pose.py), every value from 25 to 40
    separates the sure frontal faces from the sure profiles. Three-quarter faces get either class."""
    tilted_roll_deg: float = 8.0
    """|roll| from which a frontal face is tilted: ISO/IEC 19794-5:2011, 7.2.2 allows at most 8 degrees."""
    tilted_profile_roll_deg: float = 10.0
    """The same for a profile, whose roll is measured less accurately."""
    tilted_shoulders_deg: float = 8.0
    """|slope| from which shoulders are tilted. Shoulders labelled as level have at most 7.6 degrees."""
    frontal_turn: float = 0.05
    """Offset of the nose from the midpoint of the shoulders, as a share of their width, up to which a body is frontal.
    The published example, which the API calls slightly turned, has 0.051, so it decides, although bodies that look
    square reach 0.09."""
    side_turn: float = 0.75
    """The same share from which a body is sideways. Bodies labelled so have at least 0.77, slightly turned ones (the
    head turned too) at most 0.7."""
    side_breadth: float = 0.95
    """Shoulder width / face width below which a body is sideways. Bodies labelled so have at most 0.89, slightly turned
    ones at least 1.0; the example has 1.93."""
    known_score: float = 0.02
    """Minimum score of a shoulder or an eye that may decide a class; a lower score marks a guess."""


RULES = PoseRules()


def classify(parts: BodyParts, face_box: Box, head: HeadAngles | None = None, rules: PoseRules = RULES) -> Pose:
    """Both classes, and the angles that decide them.

    Args:
        parts: the ten points, in pixels of the photo or of the cut.
        face_box: the face box in the same pixels. Its width is the unit of the shoulders' breadth.
        head: angles measured on the mesh; None: estimated from the points by :func:`head_from_parts`.
        rules: the thresholds.
    """
    angles = head_from_parts(parts) if head is None else head
    shoulders = shoulder_angles(parts, face_box)
    return Pose(
        facepose=facepose(parts, angles, rules),
        bodypose=bodypose(parts, shoulders, rules),
        head=angles,
        shoulders=shoulders,
    )


def facepose(parts: BodyParts, head: HeadAngles, rules: PoseRules = RULES) -> FacePose:
    """1 level frontal, 2 tilted frontal, 3 level profile, 4 tilted profile; -1 if neither eye is known."""
    if max(parts.left_eye.score, parts.right_eye.score) < rules.known_score:
        return FacePose.UNKNOWN
    profile = abs(head.yaw_deg) >= rules.profile_yaw_deg
    tilted = abs(head.roll_deg) >= (rules.tilted_profile_roll_deg if profile else rules.tilted_roll_deg)
    if profile:
        return FacePose.TILTED_PROFILE if tilted else FacePose.LEVEL_PROFILE
    return FacePose.TILTED_FRONTAL if tilted else FacePose.LEVEL_FRONTAL


def bodypose(parts: BodyParts, shoulders: ShoulderAngles, rules: PoseRules = RULES) -> BodyPose:
    """1-3 level, 4-6 tilted: frontal, slightly turned, sideways; -1 if a shoulder is only a guess."""
    if min(parts.left_shoulder.score, parts.right_shoulder.score) < rules.known_score:
        return BodyPose.UNKNOWN
    if abs(shoulders.turn) >= rules.side_turn or shoulders.breadth < rules.side_breadth:
        level = BodyPose.LEVEL_SIDE
    elif abs(shoulders.turn) > rules.frontal_turn:
        level = BodyPose.LEVEL_TURNED
    else:
        level = BodyPose.LEVEL_FRONTAL
    tilted = abs(shoulders.tilt_deg) >= rules.tilted_shoulders_deg
    return BodyPose(level + 3) if tilted else level


def shoulder_angles(parts: BodyParts, face_box: Box) -> ShoulderAngles:
    """Tilt, turn and breadth of the shoulders.

    The turn is measured along the line through the shoulders, so rotating the photo does not change it. For a body seen
    from the side, the "left" shoulder may be on the right; so the slope is that of the line, without direction.
    """
    left, right, nose = parts.left_shoulder, parts.right_shoulder, parts.nose_tip
    width = math.hypot(right.x - left.x, right.y - left.y)
    breadth = width / face_box.width if face_box.width > 0 else 0.0
    if width == 0:
        return ShoulderAngles(0.0, 0.0, breadth)
    tilt = slope_deg((left.x, left.y), (right.x, right.y))
    if abs(tilt) > 90:
        tilt = wrap_deg(tilt + 180)
    middle = midpoint((left.x, left.y), (right.x, right.y))
    along = math.cos(math.radians(tilt)), math.sin(math.radians(tilt))
    off = (nose.x - middle[0]) * along[0] + (nose.y - middle[1]) * along[1]
    return ShoulderAngles(tilt, off / width, breadth)


def head_from_parts(parts: BodyParts) -> HeadAngles:
    """The head's angles from the named points alone, without a mesh: accurate to about ten degrees; pitch unknown (0).

    Roll is the slope of the line through the eyes. Yaw: the head is modelled as a cylinder; the tip of the nose is
    about one radius in front of its axis, so its offset from the midpoint of the ears is radius * sin(yaw).
    """
    eyes = (parts.left_eye.x, parts.left_eye.y), (parts.right_eye.x, parts.right_eye.y)
    roll = slope_deg(*eyes)
    cos, sin = math.cos(math.radians(roll)), math.sin(math.radians(roll))

    def along(point: Point) -> float:
        return point.x * cos + point.y * sin

    left, right = along(parts.left_ear), along(parts.right_ear)
    radius = abs(right - left) / 2
    if radius == 0:
        return HeadAngles(90.0, 0.0, roll)
    off = (along(parts.nose_tip) - (left + right) / 2) / radius
    return HeadAngles(math.degrees(math.asin(max(-1.0, min(1.0, off)))), 0.0, roll)

"""The rules for framing: pose and place of the head, and what the photo's edge cuts off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from idseg.check.report import RuleReport, judged, unseen
from idseg.check.rules import RULES
from idseg.photo.finish import term_of
from idseg.photo.head import Head, Reach, Side
from idseg.photo.place import Measured, Placement
from idseg.photo.size import PhotoSize, RuleName
from idseg.photo.turn import SURE_SPREAD_DEG, shoulder_slope
from idseg.photo.verdict import CHECK_YOURSELF, MET, NOT_MET, Status
from idseg.result import Result

_NAMES: Mapping[RuleName, str] = {
    "head": "head_height",
    "eyes": "eye_line",
    "top": "gap_above",
    "chin": "gap_below",
    "face": "face_width",
    "width": "head_width",
}
_SHOULDER_SEEN = 0.5
"""Minimum visibility of a shoulder for using its height."""


def pose(result: Result, turned_deg: float) -> Iterator[RuleReport]:
    """Roll, yaw and pitch of the head in the finished photo, which is rotated by ``turned_deg``."""
    angles = result.person.head
    for name, value in (("roll", angles.roll_deg + turned_deg), ("yaw", angles.yaw_deg), ("pitch", angles.pitch_deg)):
        yield judged(name, value)


def placement_rules(placement: Placement, head: Head, size: PhotoSize) -> Iterator[RuleReport]:
    """The document's own rules for the place of the head."""
    for measured in placement.rules:
        report = _placement_rule(measured, size)
        if head.exact:
            yield report
        else:
            why = "No face mesh: the value is only an estimate."
            yield RuleReport(
                report.rule, report.term, CHECK_YOURSELF, report.value, "mm", report.allowed, report.doubt, why
            )


def _placement_rule(measured: Measured, size: PhotoSize) -> RuleReport:
    low, high = measured.allowed_mm
    term = term_of(measured.rule, size)
    advice = ""
    if measured.value_mm < low:
        advice = f"The {term} is too small: use a photo with more room around the head, or another crop."
    elif measured.value_mm > high:
        advice = f"The {term} is too large: use a photo with more room around the head, or another crop."
    elif measured.status == CHECK_YOURSELF:
        advice = "The crown under the hair is an estimate: measure it yourself."
    if measured.status == CHECK_YOURSELF and measured.off > 0:
        advice = f"Too close to say. {advice}"
    return RuleReport(
        _NAMES[measured.rule],
        term,
        measured.status,
        measured.value_mm,
        "mm",
        (low, high),
        measured.doubt_mm,
        advice,
    )


def inside(placement: Placement, reach: Reach, *, finished: bool) -> Iterator[RuleReport]:
    """Judge what the photo's edge cuts off: the head on any side, then the shoulders.

    Args:
        placement: place of the head.
        reach: what the edges cut off.
        finished: whether the edges are those of a finished photo. Then a rule may require a large head, so that wide
            hair may be cut off.
    """
    yield head_inside(reach.head_cut, finished=finished)
    yield shoulders_inside(placement)


def head_inside(cut: Sequence[Side], *, finished: bool) -> RuleReport:
    """Judge the sides on which the photo's edge cuts the head off; ``finished`` as in :func:`inside`."""
    if not cut:
        return judged("head_inside", 0.0)
    rule = RULES["head_inside"]
    only_hair = finished and not {"top", "bottom"} & set(cut)
    told = " and the ".join(_EDGES[side] for side in cut)
    advice = f"The photo's {told} edge cuts the head: step back, or move the camera."
    if only_hair:
        advice = f"The {told} edge cuts hair or ears: see whether the face and both ears are whole."
    status: Status = CHECK_YOURSELF if only_hair else NOT_MET
    return RuleReport("head_inside", rule.term, status, float(len(cut)), rule.unit, (None, 0.0), 0.0, advice)


def shoulders_inside(placement: Placement) -> RuleReport:
    """Judge what the photo's edge cuts off left, right and below, inside the finished photo."""
    lacks = placement.lacks_mm
    return judged("shoulders_inside", max((lacks.get(side, 0.0) for side in ("left", "right", "bottom")), default=0.0))


_EDGES: Mapping[Side, str] = {"left": "left", "top": "upper", "right": "right", "bottom": "lower"}


def shoulders(result: Result, turned_deg: float) -> RuleReport:
    """Slope of the shoulders in the finished photo, from the matte's outline. For an uneven outline (hair, the back of
    a chair), the slope counts only if it exceeds the unevenness. If hair hides a shoulder or one is not visible, the
    pose model's points may only report a violation, because they are often level when the shoulders are not."""
    slope = shoulder_slope(result.alpha, result.window, result.person.face_box)
    if slope is not None:
        report = judged("shoulders_level", slope.deg + turned_deg)
        at_least = max(abs(slope.deg + turned_deg) - slope.spread_deg, 0.0)
        uneven = slope.spread_deg > SURE_SPREAD_DEG
        if not uneven or report.status == MET or judged("shoulders_level", at_least).status == NOT_MET:
            return report
    parts = result.person.parts
    if min(parts.left_shoulder.score, parts.right_shoulder.score) >= _SHOULDER_SEEN:
        report = judged("shoulders_level", result.pose.shoulders.tilt_deg + turned_deg)
        if report.status != MET:
            return report
    return unseen("shoulders_level", "Both shoulders are not seen well enough.")

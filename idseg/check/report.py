"""The rules of a document applied to one photo."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from idseg.check import measures
from idseg.check.face import face_copy
from idseg.check.rules import RULES, Rule, Status
from idseg.errors import PersonError
from idseg.photo import head as heads
from idseg.photo.place import Measured, Placement, as_it_is, place
from idseg.photo.size import PhotoSize, RuleName
from idseg.result import Result

_FRAMING_TERMS: Mapping[RuleName, str] = {
    "head": "head height (crown to chin)",
    "eyes": "eye line above the lower edge",
    "top": "gap above the hair",
    "chin": "gap below the chin",
    "face": "face width",
    "width": "head width",
}
_FRAMING_NAMES: Mapping[RuleName, str] = {
    "head": "head_height",
    "eyes": "eye_line",
    "top": "gap_above",
    "chin": "gap_below",
    "face": "face_width",
    "width": "head_width",
}
_FRAMING_DOUBT = 0.015
"""How far off a placement is when it is measured again on the finished photo, as a share: 1.5 %."""
_SHOULDER_SEEN = 0.5
"""Visibility of a shoulder from which its height is believed."""


@dataclass(frozen=True, slots=True)
class RuleReport:
    """One rule, applied."""

    rule: str
    term: str
    status: Status
    value: float | None = None
    unit: str = ""
    allowed: tuple[float | None, float | None] = (None, None)
    """Least and most; None: open."""
    advice: str = ""
    """What to do; for ``unknown`` also why it is unknown."""

    def to_dict(self) -> dict[str, Any]:
        return {
            "rule": self.rule,
            "term": self.term,
            "status": self.status,
            "value": None if self.value is None else round(self.value, 4),
            "unit": self.unit,
            "allowed": [None if end is None else round(end, 4) for end in self.allowed],
            "advice": self.advice,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """All rules of a document, applied to one photo."""

    size: PhotoSize
    finished: bool
    """The photo was taken as it is; else as it will be after placing."""
    rules: tuple[RuleReport, ...]

    @property
    def verdict(self) -> Status:
        """``fail`` if any rule fails, else ``unknown`` if any is unknown, else ``pass``."""
        found = {rule.status for rule in self.rules}
        return "fail" if "fail" in found else "unknown" if "unknown" in found else "pass"

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON. A check changes no pixel: ``unretouched`` is always true."""
        return {
            "size": self.size.name,
            "source": self.size.source,
            "basis": self.size.basis,
            "finished": self.finished,
            "verdict": self.verdict,
            "unretouched": True,
            "counts": {
                status: sum(rule.status == status for rule in self.rules) for status in ("pass", "fail", "unknown")
            },
            "rules": [rule.to_dict() for rule in self.rules],
        }


def check(result: Result, size: PhotoSize, *, finished: bool = False) -> Report:
    """The report of a photo of one person.

    Args:
        result: of the photo.
        size: the document.
        finished: False: how the photo will be after it has been turned, scaled and cut for the size; True: as it is.
    """
    person = result.person
    head = heads.measure(person, person.mesh, result.alpha, result.window)
    reach = heads.reach(result.alpha, result.window, result.photo_size, head)
    placement = as_it_is(head, size, result.photo_size) if finished else place(head, reach, size)
    rules = (
        RuleReport("one_person", "exactly one person", "pass", 1.0, "persons", (1, 1)),
        *_pose(result),
        *(_framing(measured, head.exact) for measured in placement.rules),
        *_inside(placement),
        _shoulders(result),
        *_face(result),
        *_pixels(result, placement, finished),
        _background(result, finished),
        _cover(),
    )
    return Report(size, finished, rules)


def refused(error: PersonError, size: PhotoSize) -> Report:
    """The report of a photo that does not show exactly one upright person: one rule fails, the rest cannot be
    known."""
    persons = error.facts.get("persons")
    first = RuleReport(
        "one_person",
        "exactly one person",
        "fail",
        float(persons) if isinstance(persons, int) else None,
        "persons",
        (1, 1),
        error.message,
    )
    rest = tuple(
        RuleReport(name, rule.term, "unknown", None, rule.unit, _ends(rule), "no one person to look at")
        for name, rule in RULES.items()
    )
    return Report(size, False, (first, *rest))


def check_file(content: bytes, size: PhotoSize) -> tuple[RuleReport, ...]:
    """What a finished photo's file says of itself: pixels, resolution, kilobytes, format.

    Raises:
        OSError: Pillow cannot read it.
    """
    with Image.open(io.BytesIO(content)) as image:
        px, dpi, found = image.size, image.info.get("dpi"), image.format or ""
    rules = [_file_pixels(px, size)]
    if dpi is None:
        rules.append(
            RuleReport(
                "dpi", "resolution of the print", "unknown", None, "dpi", (size.dpi, size.dpi), "none in the file"
            )
        )
    else:
        good = abs(float(dpi[1]) - size.dpi) <= 0.5
        advice = "" if good else f"Set {size.dpi:g} dpi."
        status: Status = "pass" if good else "fail"
        rules.append(
            RuleReport("dpi", "resolution of the print", status, float(dpi[1]), "dpi", (size.dpi, size.dpi), advice)
        )
    if size.kb is not None:
        rule = Rule("size of the file", "KB", size.kb.low, size.kb.high, 0.0, "Save it larger.", "Save it smaller.")
        rules.append(_judged("file_size", rule, len(content) / 1000))
    if size.formats:
        good = found in size.formats
        advice = "" if good else f"It is a {found}; save it as {' or '.join(size.formats)}."
        rules.append(RuleReport("format", "format of the file", "pass" if good else "fail", advice=advice))
    return tuple(rules)


def _file_pixels(px: tuple[int, int], size: PhotoSize) -> RuleReport:
    """The finished photo's shape, and at least its pixels."""
    shape = px[0] / px[1] / (size.px.width / size.px.height)
    enough = px[0] >= size.px.width and px[1] >= size.px.height
    good = abs(shape - 1) <= 0.01 and enough
    advice = "" if good else f"It is {px[0]} x {px[1]} px; {size.px.width} x {size.px.height} px are wanted."
    wanted = float(size.px.height)
    return RuleReport(
        "pixels", "pixels of the file", "pass" if good else "fail", float(px[1]), "px high", (wanted, None), advice
    )


def _ends(rule: Rule) -> tuple[float | None, float | None]:
    return (None if math.isinf(rule.low) else rule.low, None if math.isinf(rule.high) else rule.high)


def _judged(name: str, rule: Rule, value: float) -> RuleReport:
    status = rule.judge(value)
    advice = rule.advice(value)
    if status == "unknown":
        advice = f"Too close to say. {advice}".strip()
    return RuleReport(name, rule.term, status, value, rule.unit, _ends(rule), advice)


def _unknown(name: str, why: str) -> RuleReport:
    rule = RULES[name]
    return RuleReport(name, rule.term, "unknown", None, rule.unit, _ends(rule), why)


def _pose(result: Result) -> Iterator[RuleReport]:
    angles = result.person.head
    for name, value in (("roll", angles.roll_deg), ("yaw", angles.yaw_deg), ("pitch", angles.pitch_deg)):
        yield _judged(name, RULES[name], value)


def _framing(measured: Measured, exact: bool) -> RuleReport:
    low, high = measured.allowed_mm
    term = _FRAMING_TERMS[measured.rule]
    rule = Rule(
        term,
        "mm",
        low,
        high,
        _FRAMING_DOUBT * (low or high),
        f"The {term} is too small: use another photo with more room, or another crop.",
        f"The {term} is too large: use another photo with more room, or another crop.",
    )
    report = _judged(_FRAMING_NAMES[measured.rule], rule, measured.value_mm)
    if exact:
        return report
    return RuleReport(
        report.rule, term, "unknown", report.value, "mm", report.allowed, "no face mesh: only an estimate"
    )


def _inside(placement: Placement) -> Iterator[RuleReport]:
    lacks = placement.lacks_mm
    yield _judged("head_inside", RULES["head_inside"], lacks.get("top", 0.0))
    sides = max(lacks.get("left", 0.0), lacks.get("right", 0.0), lacks.get("bottom", 0.0))
    yield _judged("shoulders_inside", RULES["shoulders_inside"], sides)


def _shoulders(result: Result) -> RuleReport:
    """By the matte's outline. Where it does not show both shoulders the pose model's points can only find fault: they
    lie level too often to be believed when they do."""
    slope = measures.shoulder_slope_deg(result.alpha, result.window, result.person.face_box)
    if slope is not None:
        return _judged("shoulders_level", RULES["shoulders_level"], slope)
    parts = result.person.parts
    if min(parts.left_shoulder.score, parts.right_shoulder.score) >= _SHOULDER_SEEN:
        report = _judged("shoulders_level", RULES["shoulders_level"], result.pose.shoulders.tilt_deg)
        if report.status != "pass":
            return report
    return _unknown("shoulders_level", "both shoulders are not seen well enough")


_FACE_RULES = (
    "eyes_open",
    "mouth_closed",
    "eyes_clear",
    "no_glare",
    "sharp",
    "contrast",
    "not_burnt",
    "not_dark",
    "even_light",
)


def _face(result: Result) -> Iterator[RuleReport]:
    mesh = result.person.mesh
    if mesh is None:
        yield from (
            _unknown(name, "no face mesh: the face is turned away or hidden") for name in (*_FACE_RULES, "resolution")
        )
        return
    face = face_copy(result.photo, mesh, result.person.head.roll_deg)
    covered = max(measures.covered_eyes(face))
    clear = _judged("eyes_clear", RULES["eyes_clear"], covered)
    if clear.status == "fail":
        yield _unknown("eyes_open", "the eyes are covered")
    else:
        yield _judged("eyes_open", RULES["eyes_open"], float(np.mean(measures.lids_below(face))))
    yield _judged("mouth_closed", RULES["mouth_closed"], measures.mouth_gap(mesh))
    yield clear
    yield _judged("no_glare", RULES["no_glare"], measures.glare(face))
    levels, burnt, drowned = measures.tones(face)
    yield _judged("sharp", RULES["sharp"], measures.edge_px(face))
    yield _judged("contrast", RULES["contrast"], levels)
    yield _judged("not_burnt", RULES["not_burnt"], burnt)
    yield _judged("not_dark", RULES["not_dark"], drowned)
    yield _judged("even_light", RULES["even_light"], measures.light_ratio(face))
    yield _judged("resolution", RULES["resolution"], measures.eyes_apart_px(mesh))


def _pixels(result: Result, placement: Placement, finished: bool) -> Iterator[RuleReport]:
    if not finished:
        yield _judged("enough_pixels", RULES["enough_pixels"], placement.scale)


def _background(result: Result, finished: bool) -> RuleReport:
    spread = measures.background_spread(result.cut, _outside_as_person(result))
    if spread is None:
        return _unknown("background_even", "too little of the background is seen")
    report = _judged("background_even", RULES["background_even"], spread)
    if report.status == "pass" or finished:
        return report
    advice = f"{report.advice} `idseg photo` replaces it."
    return RuleReport(report.rule, report.term, report.status, report.value, report.unit, report.allowed, advice)


def _outside_as_person(result: Result) -> Any:
    """The matte with 1 where the cut leaves the photo: what is not there is no background."""
    from idseg.imaging.cutting import inside

    return np.where(inside(result.photo_size, result.window), result.alpha, np.float32(1))


def _cover() -> RuleReport:
    return RuleReport(
        "head_uncovered",
        "ISO/IEC 19794-5: head coverings",
        "unknown",
        advice="We cannot tell hair from a hat or a scarf. Nothing but a religious or medical cover is allowed.",
    )


def summary(report: Report) -> str:
    """The report as a table for people."""
    marks = {"pass": "ok  ", "fail": "FAIL", "unknown": "?   "}
    lines = [f"{report.size.name} ({report.size.en}): {report.verdict}; unretouched"]
    for rule in report.rules:
        value = "" if rule.value is None else f"{rule.value:.4g} {rule.unit}"
        low, high = rule.allowed
        allowed = (
            ""
            if low is None and high is None
            else f"{'' if low is None else f'{low:.4g}'} .. {'' if high is None else f'{high:.4g}'}"
        )
        lines.append(f"{marks[rule.status]} {rule.rule:<17} {value:<34} {allowed:<16} {rule.advice}".rstrip())
    return "\n".join(lines)

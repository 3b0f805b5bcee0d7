"""The rules for the face and the wall behind it: eyelids, lips, light, blur, cover, colour."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from idseg.check import measures
from idseg.check.face import Face, face_copy
from idseg.check.report import RuleReport, judged, left_out, unseen
from idseg.imaging.colours import parse_color
from idseg.imaging.cutting import inside
from idseg.photo.size import PhotoSize
from idseg.photo.verdict import MET, NOT_MET
from idseg.result import Result
from idseg.types import Alpha, HeadAngles

FACE_RULES: Final = (
    "eyes_open",
    "mouth_closed",
    "no_smile",
    "eyes_clear",
    "no_glare",
    "sharp",
    "contrast",
    "not_burnt",
    "not_dark",
    "even_light",
    "resolution",
)


def face(result: Result) -> Iterator[RuleReport]:
    """Judge every rule that is measured on the face."""
    mesh = result.person.mesh
    if mesh is None:
        for name in FACE_RULES:
            yield unseen(name, "No face mesh: the face is turned away or hidden.")
        return
    copy = face_copy(result.photo, mesh, result.person.head.roll_deg)
    clear = judged("eyes_clear", max(measures.covered_eyes(copy)))
    if clear.status == NOT_MET:
        yield unseen("eyes_open", "The eyes are covered.")
    else:
        yield _eyes_open(copy, result.person.head)
    yield judged("mouth_closed", measures.mouth_gap(mesh))
    yield judged("no_smile", measures.smile(mesh, result.person.head.roll_deg))
    yield clear
    yield judged("no_glare", measures.glare(copy))
    levels, burnt, drowned = measures.tones(copy)
    yield judged("sharp", measures.edge_px(copy))
    yield judged("contrast", levels)
    yield judged("not_burnt", burnt)
    yield judged("not_dark", drowned)
    yield judged("even_light", measures.light_ratio(copy))
    yield judged("resolution", measures.eyes_apart_px(mesh))


def _eyes_open(copy: Face, head: HeadAngles) -> RuleReport:
    """Whether the eyes are open. In a strongly turned head, the iris is in the corner of the eye and the eyelid looks
    low, so that the measure can confirm open eyes but not closed ones."""
    report = judged("eyes_open", measures.eyes_shut(copy))
    if report.status != MET and max(abs(head.yaw_deg), abs(head.pitch_deg)) > _EYES_SEEN_DEG:
        return unseen("eyes_open", "The head is turned too far to tell.")
    return report


_EYES_SEEN_DEG = 15.0
"""Maximum yaw and pitch for telling closed eyes from open ones: the range of the closed eyes that the measure was
tested on."""


def background(result: Result, size: PhotoSize, *, replaceable: bool) -> Iterator[RuleReport]:
    """Judge evenness and colour of the wall.

    Args:
        result: result for the photo.
        size: the document.
        replaceable: whether the finished photo can have another wall; the advice then says so.
    """
    outside = _outside_as_person(result)
    spread, color = measures.background_spread(result.cut, outside), measures.background_lab(result.cut, outside)
    if spread is None or color is None:
        yield unseen("background_even", "Too little of the background is seen.")
        yield unseen("background_color", "Too little of the background is seen.")
        return
    reports = [judged("background_even", spread)]
    if size.backgrounds:
        allowed = [parse_color(name) for name in size.backgrounds]
        reports.append(judged("background_color", measures.apart(color, allowed, any_light=size.any_light)))
    else:
        reports.append(left_out("background_color", "The document names no colour."))
    for report in reports:
        mend = replaceable and report.advice and report.status != MET and report.value is not None
        yield replace(report, advice=f"{report.advice} Or have the background replaced.") if mend else report


def _outside_as_person(result: Result) -> Alpha:
    """The matte with 1 outside the photo, because the part outside is not background."""
    return np.where(inside(result.photo_size, result.window), result.alpha, np.float32(1))

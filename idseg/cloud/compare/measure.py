"""Measures the differences between two answers to one photo, in photo pixels. "Ours" is the reference.

A shift is theirs minus ours: dx > 0 means that theirs is further to the right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from idseg.cloud.compare import align
from idseg.cloud.compare.mattes import mask_iou, matte_blur, matte_shift, moved
from idseg.cloud.compare.read import Refusal, SavedReply, SavedResult
from idseg.imaging.geometry import iou, midpoint
from idseg.imaging.metrics import MatteErrors, matte_errors
from idseg.types import Alpha, Box, PartName, Point, Rgb, Size, Window

Frame: TypeAlias = Literal["cut", "photo"]
"""The picture to which a reply's face box and points refer. Undocumented; the documented example fits the cut."""

_UNSURE = (0.02, 0.98)
LEAST_SCORE = 0.85
"""Correlation below which a cut counts as not found (another photo, or a mirrored or rotated one)."""


@dataclass(frozen=True, slots=True)
class PartShift:
    """Distance between the two answers for one body part."""

    dx: float
    dy: float
    share: float
    """Distance divided by the distance between our eyes."""


@dataclass(frozen=True, slots=True)
class MatteDifference:
    """The two mattes, compared in the part of the photo that both windows cover."""

    errors: MatteErrors
    """Errors of their matte with ours as the truth, over the whole overlap."""
    errors_band: MatteErrors | None
    """The same where our alpha is neither 0 nor 1; None if there is no such pixel."""
    iou: float
    """Intersection over union of the pixels above 0.5."""
    shift: tuple[float, float]
    """(dx, dy) of the best fit of theirs onto ours, px."""
    blur_px: float
    """Sigma of the Gaussian that makes the sharper matte like the other, px; > 0 if theirs is softer."""
    pixels: int


@dataclass(frozen=True, slots=True)
class Difference:
    """All measurements of a photo that both sides answered. A value is None if either side lacks it."""

    placement: align.Alignment | None
    """Place of their cut. With a score below ``LEAST_SCORE`` the cut was not found, and its place is not used."""
    window_ours: Box | None
    window_theirs: Box | None
    window_iou: float | None
    window_shift: tuple[float, float, float, float] | None
    """(left, top, right, bottom) of their window minus ours, photo px."""
    frame: Frame
    face_iou: float | None
    face_shift: tuple[float, float, float, float] | None
    """(left, top, right, bottom) of their face box minus ours, photo px."""
    eyes_px: float | None
    """Distance between our eyes, photo px."""
    parts: Mapping[PartName, PartShift] = field(default_factory=dict)
    mirrored: bool | None = None
    """Whether their points fit ours better with left and right swapped."""
    facepose: tuple[int, int] | None = None
    """(ours, theirs)"""
    bodypose: tuple[int, int] | None = None
    matte: MatteDifference | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """The outcomes of one photo on both sides."""

    name: str
    ours: str
    """``"answer"`` or the API's error code."""
    theirs: str
    difference: Difference | None
    """None if a side refused the photo."""
    notes: tuple[str, ...] = ()


def outcome_name(outcome: SavedReply) -> str:
    """``"answer"`` or the error code."""
    return str(outcome.code) if isinstance(outcome, Refusal) else "answer"


def difference(photo: Rgb, ours: SavedResult, theirs: SavedResult, frame: Frame = "cut") -> Difference:
    """Compare two answers to one upright photo (H, W, 3); ``frame`` applies to their box and points."""
    place_ours, found = place(photo, ours), place(photo, theirs)
    place_theirs = found if found is not None and found.score >= LEAST_SCORE else None
    window_ours, window_theirs = _window(ours, place_ours), _window(theirs, place_theirs)
    face_ours = _face(ours, place_ours, "cut")
    face_theirs = _face(theirs, place_theirs, frame)
    points_ours, points_theirs = _points(ours, place_ours, "cut"), _points(theirs, place_theirs, frame)
    eyes = _eyes_px(points_ours)
    return Difference(
        placement=found,
        window_ours=window_ours,
        window_theirs=window_theirs,
        window_iou=_iou(window_ours, window_theirs),
        window_shift=_edges(window_ours, window_theirs),
        frame=frame,
        face_iou=_iou(face_ours, face_theirs),
        face_shift=_edges(face_ours, face_theirs),
        eyes_px=eyes,
        parts=_part_shifts(points_ours, points_theirs, eyes),
        mirrored=_mirrored(points_ours, points_theirs),
        facepose=_both(ours.facepose, theirs.facepose),
        bodypose=_both(ours.bodypose, theirs.bodypose),
        matte=_matte(photo, ours, place_ours, theirs, place_theirs),
    )


def place(photo: Rgb, answer: SavedResult) -> align.Alignment | None:
    """The place of an answer's cut: from ``cut_location``, or else by registration; None without a cut."""
    if answer.cut is None:
        return None
    if answer.window is not None:
        return align.told(answer.window, _size(answer.cut))
    return align.register(photo, answer.cut)


def face_in(answer: SavedResult, placement: align.Alignment | None, frame: Frame) -> Box | None:
    """The face box in photo pixels, assuming that the reply uses the frame ``frame``."""
    return _face(answer, placement, frame)


def aligned_mattes(
    photo: Rgb, ours: SavedResult, place_ours: align.Alignment, theirs: SavedResult, place_theirs: align.Alignment
) -> tuple[Window, Alpha, Alpha] | None:
    """The common window and both mattes in it, in photo pixels; None if the windows do not overlap."""
    if ours.cut is None or theirs.cut is None or ours.scoremap is None or theirs.scoremap is None:
        return None
    common = _common(
        place_ours.window(_size(ours.cut)), place_theirs.window(_size(theirs.cut)), Size(photo.shape[1], photo.shape[0])
    )
    if common is None:
        return None
    return (
        common,
        align.bring(_alpha(ours.scoremap), place_ours, _size(ours.cut), common),
        align.bring(_alpha(theirs.scoremap), place_theirs, _size(theirs.cut), common),
    )


def _matte(
    photo: Rgb,
    ours: SavedResult,
    place_ours: align.Alignment | None,
    theirs: SavedResult,
    place_theirs: align.Alignment | None,
) -> MatteDifference | None:
    if place_ours is None or place_theirs is None:
        return None
    both = aligned_mattes(photo, ours, place_ours, theirs, place_theirs)
    if both is None:
        return None
    _, a, b = both
    band = (a > _UNSURE[0]) & (a < _UNSURE[1])
    shift = matte_shift(a, b)
    return MatteDifference(
        errors=matte_errors(b, a),
        errors_band=matte_errors(b, a, band) if band.any() else None,
        iou=mask_iou(a, b),
        shift=shift,
        blur_px=matte_blur(a, moved(b, -shift[0], -shift[1])),
        pixels=a.size,
    )


def _alpha(scoremap: npt.NDArray[np.uint8]) -> Alpha:
    return scoremap.astype(np.float32) / np.float32(255)


def _size(picture: npt.NDArray[np.uint8]) -> Size:
    return Size(picture.shape[1], picture.shape[0])


def _window(answer: SavedResult, placement: align.Alignment | None) -> Box | None:
    return None if placement is None or answer.cut is None else placement.window(_size(answer.cut))


def _common(a: Box, b: Box, photo: Size) -> Window | None:
    """The photo pixels that lie in both windows."""
    left, top = math.ceil(max(a.left, b.left, 0) - 1e-6), math.ceil(max(a.top, b.top, 0) - 1e-6)
    right = math.floor(min(a.right, b.right, photo.width) + 1e-6)
    bottom = math.floor(min(a.bottom, b.bottom, photo.height) + 1e-6)
    return Window(left, top, right - left, bottom - top) if right - left >= 16 and bottom - top >= 16 else None


def _face(answer: SavedResult, placement: align.Alignment | None, frame: Frame) -> Box | None:
    box = answer.face_box
    if box is None or frame == "photo":
        return box
    return None if placement is None else box.scaled(placement.scale).moved(placement.left, placement.top)


def _points(answer: SavedResult, placement: align.Alignment | None, frame: Frame) -> dict[PartName, Point]:
    """The parts in photo pixels. Whole numbers name pixels, so half a pixel is added to get the pixel's centre."""
    if frame == "photo":
        return {name: point.moved(0.5, 0.5) for name, point in answer.parts.items()}
    if placement is None:
        return {}
    return {
        name: Point(
            placement.left + (point.x + 0.5) * placement.scale,
            placement.top + (point.y + 0.5) * placement.scale,
            point.score,
        )
        for name, point in answer.parts.items()
    }


def _eyes_px(points: Mapping[PartName, Point]) -> float | None:
    """Distance between the eyes; at least that between the midpoints of eyes and mouth (for profiles)."""
    if not {"left_eye", "right_eye", "left_mouth", "right_mouth"} <= points.keys():
        return None
    left, right = points["left_eye"], points["right_eye"]
    eyes, mouth = midpoint(left[:2], right[:2]), midpoint(points["left_mouth"][:2], points["right_mouth"][:2])
    return max(math.dist(left[:2], right[:2]), math.dist(eyes, mouth), 1.0)


def _part_shifts(
    ours: Mapping[PartName, Point], theirs: Mapping[PartName, Point], eyes_px: float | None
) -> dict[PartName, PartShift]:
    if eyes_px is None:
        return {}
    shifts = {}
    for name in ours.keys() & theirs.keys():
        dx, dy = theirs[name].x - ours[name].x, theirs[name].y - ours[name].y
        shifts[name] = PartShift(dx, dy, math.hypot(dx, dy) / eyes_px)
    return {name: shifts[name] for name in ours if name in shifts}


def _mirrored(ours: Mapping[PartName, Point], theirs: Mapping[PartName, Point]) -> bool | None:
    """Whether swapping left and right in the names brings their points nearer to ours."""
    sided = [name for name in ours.keys() & theirs.keys() if name.startswith(("left_", "right_"))]
    pairs = [(name, other) for name in sided if (other := _other_side(name)) in theirs]
    if not pairs:
        return None
    straight = sum(math.dist(ours[name][:2], theirs[name][:2]) for name, _ in pairs)
    crossed = sum(math.dist(ours[name][:2], theirs[other][:2]) for name, other in pairs)
    return crossed < straight


def _other_side(name: PartName) -> PartName:
    other = name.replace("left_", "right_") if name.startswith("left_") else name.replace("right_", "left_")
    return cast("PartName", other)


def _both(ours: int | None, theirs: int | None) -> tuple[int, int] | None:
    return None if ours is None or theirs is None else (ours, theirs)


def _iou(a: Box | None, b: Box | None) -> float | None:
    return None if a is None or b is None else iou(a, b)


def _edges(ours: Box | None, theirs: Box | None) -> tuple[float, float, float, float] | None:
    if ours is None or theirs is None:
        return None
    return theirs.left - ours.left, theirs.top - ours.top, theirs.right - ours.right, theirs.bottom - ours.bottom

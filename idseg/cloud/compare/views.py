"""Small pictures of the two answers to one photo, for the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from idseg.cloud.compare import align
from idseg.cloud.compare.measure import Difference, aligned_mattes, place
from idseg.cloud.compare.read import SavedResult
from idseg.imaging import encode
from idseg.imaging.resize import resize
from idseg.types import Alpha, Box, PartName, Point, Rgb, Size

OURS = (27, 158, 119)
THEIRS = (217, 95, 2)
"""Colours of the two sides, sRGB. They differ under every common kind of colour blindness (ColorBrewer Dark2)."""

_HEIGHT_PX = 300
_QUALITY = 80
_MIN_NAMED_SHARE = 0.02
"""Minimum distance (as a share of the eyes' distance) for a caption to name the part that differs most."""


@dataclass(frozen=True, slots=True)
class View:
    """JPEG bytes: the photo with both windows, boxes and points; their matte; our matte; their difference."""

    name: str
    caption: str
    photo: bytes
    theirs: bytes | None
    ours: bytes | None
    difference: bytes | None
    """Orange: theirs has more person. Green: ours has more person."""


def view(name: str, photo: Rgb, ours: SavedResult, theirs: SavedResult, measured: Difference) -> View:
    """Draw the pictures of one photo (H, W, 3)."""
    drawn = _drawn(photo, ours, theirs, measured)
    both = _mattes(photo, ours, theirs, measured)
    if both is None:
        return View(name, _caption(measured), encode.jpeg(drawn, quality=_QUALITY), None, None, None)
    mine, other = both
    return View(
        name,
        _caption(measured),
        encode.jpeg(drawn, quality=_QUALITY),
        encode.jpeg(_grey(other), quality=_QUALITY),
        encode.jpeg(_grey(mine), quality=_QUALITY),
        encode.jpeg(_sized(_signed(mine, other)), quality=_QUALITY),
    )


def _mattes(photo: Rgb, ours: SavedResult, theirs: SavedResult, measured: Difference) -> tuple[Alpha, Alpha] | None:
    place_ours, place_theirs = place(photo, ours), measured.placement
    if place_ours is None or place_theirs is None or measured.matte is None:
        return None
    found = aligned_mattes(photo, ours, place_ours, theirs, place_theirs)
    return None if found is None else found[1:]


def _caption(measured: Difference) -> str:
    """The text under the pictures."""
    words = []
    if measured.matte is not None:
        words.append(f"MAD {measured.matte.errors.mad:.4f}")
    if measured.window_iou is not None:
        words.append(f"window IoU {measured.window_iou:.3f}")
    if measured.parts:
        name, shift = max(measured.parts.items(), key=lambda item: item[1].share)
        if shift.share >= _MIN_NAMED_SHARE:
            words.append(f"{name} {shift.share:.0%} of the eyes' distance apart")
    for title, pose in (("facepose", measured.facepose), ("bodypose", measured.bodypose)):
        if pose is not None and pose[0] != pose[1]:
            words.append(f"{title} ours {pose[0]}, theirs {pose[1]}")
    return " · ".join(words)


def _drawn(photo: Rgb, ours: SavedResult, theirs: SavedResult, measured: Difference) -> Rgb:
    """The photo at report size with both windows, boxes and points."""
    small = _sized(photo)
    factor = small.shape[0] / photo.shape[0]
    place_ours, place_theirs = place(photo, ours), measured.placement
    for answer, placement, window, color in (
        (theirs, place_theirs, measured.window_theirs, THEIRS),
        (ours, place_ours, measured.window_ours, OURS),
    ):
        frame = measured.frame if answer is theirs else "cut"
        if window is not None:
            _rectangle(small, window.scaled(factor), color)
        if placement is None and frame == "cut":
            continue
        origin = align.Alignment(0, 0, 1, 1, "registered") if frame == "photo" or placement is None else placement
        if answer.face_box is not None:
            box = answer.face_box.scaled(origin.scale).moved(origin.left, origin.top)
            _rectangle(small, box.scaled(factor), color)
        _dots(small, answer.parts, origin, factor, color)
    return small


def _dots(
    picture: Rgb,
    parts: Mapping[PartName, Point],
    origin: align.Alignment,
    factor: float,
    color: tuple[int, int, int],
) -> None:
    for point in parts.values():
        x, y = origin.left + (point.x + 0.5) * origin.scale, origin.top + (point.y + 0.5) * origin.scale
        cv2.circle(picture, (round(x * factor), round(y * factor)), 3, color, -1, cv2.LINE_AA)


def _rectangle(picture: Rgb, box: Box, color: tuple[int, int, int]) -> None:
    corners = (round(box.left), round(box.top)), (round(box.right) - 1, round(box.bottom) - 1)
    cv2.rectangle(picture, *corners, color, 2)


def _sized(rgb: Rgb) -> Rgb:
    """A copy with the report's height."""
    factor = _HEIGHT_PX / rgb.shape[0]
    size = Size(max(1, round(rgb.shape[1] * factor)), _HEIGHT_PX)
    return np.ascontiguousarray(resize(rgb, size))


def _grey(alpha: Alpha) -> Rgb:
    return _sized(np.repeat(encode.scoremap(alpha)[:, :, None], 3, axis=2))


def _signed(ours: Alpha, theirs: Alpha) -> Rgb:
    """White where the mattes are equal; their colour where theirs has more person, ours where ours has more."""
    off = (theirs - ours)[:, :, None].astype(np.float64)
    strength = np.sqrt(np.abs(off))  # makes a difference of 0.1 visible
    color: npt.NDArray[np.float64] = np.where(off > 0, np.array(THEIRS, float), np.array(OURS, float))
    return np.rint(255 + (color - 255) * strength).astype(np.uint8)

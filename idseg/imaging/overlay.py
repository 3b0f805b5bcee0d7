"""Draws the result over the photo: window, face box, points, classes and angles."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from idseg.imaging.compose import over
from idseg.imaging.resize import scaled
from idseg.types import Box, Person, Pose, Rgb, Window

_CYAN = (0, 229, 255)
_YELLOW = (255, 214, 0)
_WHITE = (255, 255, 255)
_DARK = (24, 24, 28)
_LONGEST_PX = (1000, 1600)
"""Minimum and maximum of the drawing's longest side, px. Small photos are enlarged, so that the labels fit."""


def draw(photo: Rgb, person: Person, pose: Pose, window: Window) -> Rgb:
    """Draw the whole photo and the window, which may extend beyond it; returns (H', W', 3).

    The photo is darker outside the window. Points with a higher score are brighter.
    """
    height, width = photo.shape[:2]
    left, top = min(0, window.left), min(0, window.top)
    right, bottom = max(width, window.right), max(height, window.bottom)
    longest = max(right - left, bottom - top)
    scale = min(max(longest, _LONGEST_PX[0]), _LONGEST_PX[1]) / longest
    size = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    canvas = np.full((size[1], size[0], 3), _DARK, dtype=np.uint8)
    small = scaled(photo, scale)
    x0, y0 = round(-left * scale), round(-top * scale)
    target = canvas[y0 : y0 + small.shape[0], x0 : x0 + small.shape[1]]
    target[:] = small[: target.shape[0], : target.shape[1]]

    def at(x: float, y: float) -> tuple[int, int]:
        return round((x - left) * scale), round((y - top) * scale)

    dimmed = np.asarray(cv2.addWeighted(canvas, 0.45, np.full_like(canvas, _DARK), 0.55, 0), np.uint8)
    (wx0, wy0), (wx1, wy1) = at(window.left, window.top), at(window.right, window.bottom)
    dimmed[wy0:wy1, wx0:wx1] = canvas[wy0:wy1, wx0:wx1]
    unit = max(size) / 800
    _box(dimmed, at, Box(*map(float, window)), _WHITE, unit)
    _box(dimmed, at, person.face_box, _CYAN, unit)
    for name, point in person.parts.items():
        x, y = at(point.x, point.y)
        strength = 0.35 + 0.65 * point.score
        color = tuple(int(strength * value) for value in _YELLOW)
        cv2.circle(dimmed, (x, y), round(5 * unit) + 1, _DARK, -1, cv2.LINE_AA)
        cv2.circle(dimmed, (x, y), max(2, round(4 * unit)), color, -1, cv2.LINE_AA)
        _text(dimmed, f"{name} {point.score:.2f}", (x + round(8 * unit), y + round(4 * unit)), 0.38 * unit)
    lines = (
        f"facepose {int(pose.facepose)} {pose.facepose.name.lower().replace('_', ' ')}   "
        f"yaw {pose.head.yaw_deg:+.0f} pitch {pose.head.pitch_deg:+.0f} roll {pose.head.roll_deg:+.0f}",
        f"bodypose {int(pose.bodypose)} {pose.bodypose.name.lower().replace('_', ' ')}   "
        f"tilt {pose.shoulders.tilt_deg:+.0f} turn {pose.shoulders.turn:+.2f} breadth {pose.shoulders.breadth:.2f}",
    )
    for row, line in enumerate(lines):
        _text(dimmed, line, (round(10 * unit), round((22 + 22 * row) * unit)), 0.55 * unit)
    return np.asarray(dimmed, np.uint8)


def _box(
    canvas: Rgb, at: Callable[[float, float], tuple[int, int]], box: Box, color: tuple[int, int, int], unit: float
) -> None:
    first, second = at(box.left, box.top), at(box.right, box.bottom)
    second = second[0] - 1, second[1] - 1
    cv2.rectangle(canvas, first, second, _DARK, max(2, round(3 * unit)), cv2.LINE_AA)
    cv2.rectangle(canvas, first, second, color, max(1, round(1.5 * unit)), cv2.LINE_AA)


def _text(canvas: Rgb, text: str, at: tuple[int, int], scale: float) -> None:
    """White letters with a dark rim, in place. The rim is the widened letters: thicker text would be wider."""
    letters = np.zeros(canvas.shape[:2], np.uint8)
    cv2.putText(letters, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, max(1, round(scale * 2)), cv2.LINE_AA)
    rim = cv2.dilate(letters, np.ones((3, 3), np.uint8))
    left, top, width, height = cv2.boundingRect(rim)
    here = np.s_[top : top + height, left : left + width]
    for mask, color in ((rim, _DARK), (letters, _WHITE)):
        alpha = np.asarray(mask[here] / np.float32(255), np.float32)
        canvas[here] = over(np.broadcast_to(np.array(color, np.uint8), (height, width, 3)), alpha, canvas[here])

"""Resizes pictures and mattes."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from idseg.types import Alpha, Rgb, Size


def resize(values: npt.NDArray[Any], size: Size) -> npt.NDArray[Any]:
    """Resample (H, W) or (H, W, C): area averaging to shrink, bicubic to enlarge."""
    if values.shape[1] == size.width and values.shape[0] == size.height:
        return values
    shrinks = size.width * size.height < values.shape[0] * values.shape[1]
    return cv2.resize(values, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def of_area(size: Size, area: int) -> Size:
    """The size with the same aspect and at most ``area`` px; the size itself if it has no more."""
    factor = min((area / (size.width * size.height)) ** 0.5, 1.0)
    return Size(max(round(size.width * factor), 1), max(round(size.height * factor), 1))


def scaled(values: npt.NDArray[Any], factor: float) -> npt.NDArray[Any]:
    """Resample like :func:`resize`, to ``factor`` times the size (rounded, at least 1 px)."""
    height, width = values.shape[:2]
    return resize(values, Size(max(1, round(width * factor)), max(1, round(height * factor))))


def unit(values: npt.NDArray[Any]) -> Alpha:
    """The values clipped to 0..1, as float32 (bicubic resampling overshoots at edges)."""
    return np.asarray(np.clip(values, 0.0, 1.0), np.float32)


def halved(values: npt.NDArray[Any], size: Size) -> npt.NDArray[Any]:
    """Shrink (H, W) or (H, W, C) by halves while it has at least twice the given size.

    Area averaging by exactly two is ten times faster per pixel than by other factors. Each step drops the last row or
    column of an odd size, so a place may be wrong by one halved pixel, and rounds once more, which moves a level of
    uint8 by a quarter on average.
    """
    while values.shape[1] >= 2 * size.width and values.shape[0] >= 2 * size.height:
        rows, columns = values.shape[0] // 2, values.shape[1] // 2
        values = cv2.resize(values[: 2 * rows, : 2 * columns], (columns, rows), interpolation=cv2.INTER_AREA)
    return values


def shrunk(values: npt.NDArray[Any], size: Size) -> npt.NDArray[Any]:
    """Shrink (H, W) or (H, W, C) several times faster than :func:`resize`: by halves, then bilinear, which skips no
    pixel below twice the size. Values with fewer pixels than ``size`` are returned as they are."""
    if values.shape[0] * values.shape[1] <= size.width * size.height:
        return values
    return cv2.resize(halved(values, size), size)


def reduced(rgb: Rgb, longest: int) -> tuple[Rgb, float]:
    """A copy (area-averaged) whose longest side is at most ``longest`` px, and its scale (<= 1).

    Not :func:`halved` first: on a photo of 12 megapixels that saves 90 ms, but it moves the pose model's points by 1 %
    of the face's width.
    """
    height, width = rgb.shape[:2]
    scale = min(1.0, longest / max(height, width))
    if scale == 1.0:
        return rgb, 1.0
    size = Size(max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(resize(rgb, size), np.uint8), scale

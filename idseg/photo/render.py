"""Draws the person on the finished photo. Every finished pixel is computed once from the photo's own pixels."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from idseg.imaging.resize import resize
from idseg.photo.place import Placement
from idseg.types import Alpha, Rgb, Size, Window

_MOST_SAMPLES = 8
"""Maximum samples per finished pixel in each direction."""
_STRIP_SAMPLES = 1 << 22
"""Maximum samples, and photo pixels, processed at once: 64 MiB of four float channels."""


def draw(
    foreground: Rgb, alpha: Alpha | None, window: Window, placement: Placement, size: Size
) -> tuple[npt.NDArray[np.float32], Alpha]:
    """Draw the person: premultiplied colours (H, W, 3) float32 0..255 and alpha (H, W), both with ``size``.

    Scale and rotation are one step: each finished pixel is the mean of n x n samples of the photo (n is the reduction,
    so that no pixel is skipped), or one bicubic sample if the photo is enlarged. Colours are weighted by alpha before
    averaging, so that the old background has no influence. Outside the photo, alpha is 0.

    Args:
        foreground: the person's colours under ``window``.
        alpha: the matte under ``window``; None: show everything.
        window: place of both in the photo.
        placement: transformation from photo to finished pixels.
        size: size of the finished photo.
    """
    matrix = np.array(placement.matrix, dtype=np.float64)
    samples = min(_MOST_SAMPLES, max(1, math.ceil(1 / placement.scale - 1e-6)))
    method = cv2.INTER_CUBIC if placement.scale > 1 else cv2.INTER_LINEAR
    result = np.empty((size.height, size.width, 4), dtype=np.float32)
    source_rows = _STRIP_SAMPLES / max(window.width, 1) * placement.scale
    rows = max(1, min(_STRIP_SAMPLES // (samples * samples * size.width), int(source_rows)))
    for top in range(0, size.height, rows):
        count = min(rows, size.height - top)
        part = _needed(matrix, window, Window(0, top, size.width, count))
        premultiplied = _premultiplied(foreground, alpha, window, part)
        # warpAffine's origin is the centre of the first pixel; ours is its corner.
        offset = matrix[:, :2] @ np.array([part.left + 0.5, part.top + 0.5]) + matrix[:, 2] - 0.5
        to_size = np.column_stack((matrix[:, :2], offset))
        result[top : top + count] = _strip(premultiplied, to_size, Window(0, top, size.width, count), samples, method)
    cover = np.clip(result[..., 3] / 255, 0.0, 1.0)
    colors = np.clip(result[..., :3], 0.0, 255.0 * cover[..., None])
    return np.ascontiguousarray(colors), np.ascontiguousarray(cover)


def over(colors: npt.NDArray[np.float32], alpha: Alpha, background: Rgb) -> Rgb:
    """Premultiplied ``colors`` over a background; the values are rounded only here."""
    mixed = colors + background.astype(np.float32) * (1.0 - alpha[..., None])
    return np.asarray(np.rint(np.clip(mixed, 0, 255)), dtype=np.uint8)


def rgba(colors: npt.NDArray[np.float32], alpha: Alpha) -> npt.NDArray[np.uint8]:
    """Convert premultiplied colours to straight RGBA (H, W, 4); black where alpha rounds to 0."""
    levels = np.rint(alpha * 255)
    straight = np.where(levels[..., None] > 0, colors / np.maximum(alpha[..., None], 1 / 510), 0.0)
    stacked = np.concatenate((np.clip(straight, 0, 255), levels[..., None]), axis=2)
    return np.asarray(np.rint(stacked), dtype=np.uint8)


def _needed(matrix: npt.NDArray[np.float64], window: Window, shown: Window) -> Window:
    """The part of the window that a part of the finished photo shows, plus two pixels; at least one pixel."""
    inverse = np.linalg.inv(matrix[:, :2])
    corners = np.array([[x, y] for x in (0, shown.right) for y in (shown.top, shown.bottom)], dtype=np.float64)
    seen = (corners - matrix[:, 2]) @ inverse.T
    left, top = (int(value) - 2 for value in np.floor(seen.min(axis=0)))
    right, bottom = (int(value) + 2 for value in np.ceil(seen.max(axis=0)))
    left, top = min(max(left, window.left), window.right - 1), min(max(top, window.top), window.bottom - 1)
    right, bottom = max(min(right, window.right), left + 1), max(min(bottom, window.bottom), top + 1)
    return Window(left, top, right - left, bottom - top)


def _premultiplied(foreground: Rgb, alpha: Alpha | None, window: Window, part: Window) -> npt.NDArray[np.float32]:
    rows = slice(part.top - window.top, part.bottom - window.top)
    columns = slice(part.left - window.left, part.right - window.left)
    cover = np.ones((part.height, part.width), np.float32) if alpha is None else alpha[rows, columns]
    result = np.empty((*cover.shape, 4), dtype=np.float32)
    result[..., :3] = foreground[rows, columns] * cover[..., None]
    result[..., 3] = cover * np.float32(255)
    return result


def _strip(
    pixels: npt.NDArray[np.float32],
    matrix: npt.NDArray[np.float64],
    shown: Window,
    samples: int,
    method: int,
) -> npt.NDArray[np.float32]:
    """The part ``shown`` of the finished photo: the mean of ``samples`` x ``samples`` samples per pixel."""
    fine = matrix * samples
    fine[:, 2] = samples * (matrix[:, 2] + 0.5) - 0.5
    fine[1, 2] -= samples * shown.top
    looked = cv2.warpAffine(
        pixels,
        fine,
        (shown.width * samples, shown.height * samples),
        flags=method,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(0, 0, 0, 0),
    )
    if samples == 1:
        return np.asarray(looked, dtype=np.float32)
    return np.asarray(resize(looked, Size(shown.width, shown.height)), dtype=np.float32)

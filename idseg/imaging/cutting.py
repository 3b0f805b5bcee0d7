"""Windows of a picture: cut a window out, paste it back, and fill the part outside the picture.

Cutting is indexing: no pixel is resampled, so pasting a cut back at its window is exact.
"""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from idseg.types import Box, Rgb, Size, Window

_Pixel = TypeVar("_Pixel", bound=np.generic)


def take(picture: npt.NDArray[_Pixel], window: Window, fill: int = 0) -> npt.NDArray[_Pixel]:
    """A copy of the pixels of ``picture`` (H, W) or (H, W, C) under ``window``; ``fill`` outside the picture."""
    shape = (window.height, window.width, *picture.shape[2:])
    cut = np.full(shape, fill, dtype=picture.dtype)
    source, target = _overlap(picture.shape, window)
    cut[target] = picture[source]
    return cut


def paste(cut: npt.NDArray[_Pixel], window: Window, picture: npt.NDArray[_Pixel]) -> npt.NDArray[_Pixel]:
    """A copy of ``picture`` with ``cut`` pasted at ``window``; pixels outside the picture are dropped."""
    result = picture.copy()
    target, source = _overlap(picture.shape, window)
    result[target] = cut[source]
    return result


def lies_inside(photo: Size, window: Window) -> bool:
    """Whether the whole window lies inside the photo."""
    return window.left >= 0 and window.top >= 0 and window.right <= photo.width and window.bottom <= photo.height


def inside(photo: Size, window: Window) -> npt.NDArray[np.bool_]:
    """Mask (H, W), the size of the window: True for the pixels inside the photo."""
    mask = np.zeros((window.height, window.width), dtype=np.bool_)
    mask[_overlap((photo.height, photo.width), window)[1]] = True
    return mask


def clamped(area: Box, photo: Size) -> Window:
    """The photo pixels that an area touches; at least one pixel."""
    left, top = max(0, int(area.left)), max(0, int(area.top))
    right, bottom = min(photo.width, int(area.right) + 1), min(photo.height, int(area.bottom) + 1)
    return Window(left, top, max(1, right - left), max(1, bottom - top))


def filled(rgb: Rgb, window: Window) -> Rgb:
    """The pixels under the window: a view if it lies inside the photo, else a copy that repeats the photo's edge
    pixels, which a net takes for background."""
    if lies_inside(Size(rgb.shape[1], rgb.shape[0]), window):
        return rgb[window.top : window.bottom, window.left : window.right]
    photo = Window(0, 0, rgb.shape[1], rgb.shape[0])
    part = clamped(Box(*map(float, window)), photo.size)
    bordered = cv2.copyMakeBorder(
        rgb[part.top : part.bottom, part.left : part.right],
        max(0, part.top - window.top),
        max(0, window.bottom - part.bottom),
        max(0, part.left - window.left),
        max(0, window.right - part.right),
        cv2.BORDER_REPLICATE,
    )
    return np.asarray(bordered[: window.height, : window.width], np.uint8)


def _overlap(shape: tuple[int, ...], window: Window) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The slices of the picture and of the cut that cover the same pixels."""
    top, bottom = max(window.top, 0), min(window.bottom, shape[0])
    left, right = max(window.left, 0), min(window.right, shape[1])
    bottom, right = max(bottom, top), max(right, left)
    if bottom == top or right == left:
        return (slice(0, 0), slice(0, 0)), (slice(0, 0), slice(0, 0))
    return (
        (slice(top, bottom), slice(left, right)),
        (slice(top - window.top, bottom - window.top), slice(left - window.left, right - window.left)),
    )

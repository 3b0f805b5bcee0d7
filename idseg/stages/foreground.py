"""Estimates foreground colours: the person's own colours, without the old background in half-transparent pixels.

Blur-fusion (Forte & Pitié, "Approximate Fast Foreground Colour Estimation", ICIP 2021, equations 3 to 6). The
neighbours' colours, averaged with alpha as weight, are a pixel's foreground prior. One step along the gradient of the
compositing equation I = a F + (1 - a) B makes the prior agree with the picture. This repeats with smaller
neighbourhoods, which are smaller than the paper's because that is more accurate on portraits. Only blocks with a
half-transparent pixel are computed, because opaque pixels keep the picture's colours.
"""

from __future__ import annotations

from concurrent.futures import Executor

import cv2
import numpy as np
import numpy.typing as npt

from idseg.imaging.resize import resize
from idseg.system import side_by_side
from idseg.types import Alpha, Rgb, Size

_WIDEST = 0.03
"""Half-width of the first neighbourhood, as a share of the picture's longer side (25 px at 840 px). Hair further away
from the head gets only the colour of its own strands."""
_NARROWER = (0.006, 0.0012)
"""Half-widths of the second and third neighbourhood, as the same share (5 and 1 px at 840 px)."""
_FIRST_SCALE = 4
"""The widest neighbourhood is averaged on a picture shrunk by this factor."""
_BLOCK = 96
"""Side of a block, px. Its floats fit into the processor's cache, and its margins cost less than the block."""
_HALF_LEVEL = 0.5 / 255
"""Alpha closer to 0 or 1 than half a level of the scoremap counts as 0 or 1."""
_TINY = 1e-5
"""Avoids 0 / 0 where a neighbourhood has no foreground."""

_Float = npt.NDArray[np.float32]


def estimate_foreground(rgb: Rgb, alpha: Alpha, pool: Executor | None = None) -> Rgb:
    """Estimate the person's colours, uint8 (H, W, 3). A pixel with alpha 1 keeps its colour exactly.

    Where alpha is 0, the colour is that of the person near the edge, and black further away. Alpha within half a level
    of 0 or 1 counts as 0 or 1. With a pool, half of the blocks are computed in one of its threads.
    """
    height, width = alpha.shape
    radii = [max(round(share * max(height, width)), 1) for share in _NARROWER]
    margin = sum(radii)
    covered = alpha > _HALF_LEVEL
    result = np.asarray(cv2.copyTo(rgb, covered.astype(np.uint8)), np.uint8)
    between = covered & (alpha < 1.0 - _HALF_LEVEL)
    wide = _wide_means(rgb, alpha)
    corners = [
        (top, left)
        for top in range(0, height, _BLOCK)
        for left in range(0, width, _BLOCK)
        if between[top : top + _BLOCK, left : left + _BLOCK].any()
    ]

    def compute(corners: list[tuple[int, int]]) -> None:
        for top, left in corners:
            core = result[top : top + _BLOCK, left : left + _BLOCK]
            above, before = min(top, margin), min(left, margin)
            window = np.s_[top - above : top + _BLOCK + margin, left - before : left + _BLOCK + margin]
            colours = _block(rgb[window], alpha[window], wide[0][window], wide[1][window], radii)
            core[:] = colours[above : above + core.shape[0], before : before + core.shape[1]]

    side_by_side(pool, lambda: compute(corners[::2]), lambda: compute(corners[1::2]))
    return result


def _block(rgb: Rgb, alpha: Alpha, foreground: _Float, background: _Float, radii: list[int]) -> Rgb:
    """Blur-fusion of one block, starting from the wide means."""
    image = rgb.astype(np.float32)
    weight = _repeat_channels(alpha)
    rest = 1.0 - weight
    foreground = _gradient_step(image, weight, rest, foreground, background)
    for radius in radii:
        foreground, background = _mean(foreground, weight, radius), _mean(background, rest, radius)
        foreground = _gradient_step(image, weight, rest, foreground, background)
    return np.asarray(foreground + 0.5, np.uint8)


def _wide_means(rgb: Rgb, alpha: Alpha) -> tuple[_Float, _Float]:
    """Mean colours of both layers in the widest neighbourhood; pure pixels have more weight (equations 4 and 5).

    The weight is alpha to the power of 4. With a power of 1, as in the paper, half-transparent pixels bring the colour
    of the old backdrop into the prior, which causes halos.
    """
    height, width = alpha.shape
    size = Size(max(width // _FIRST_SCALE, 1), max(height // _FIRST_SCALE, 1))
    small = resize(rgb, size).astype(np.float32)
    cover = np.asarray(resize(alpha, size), np.float32)
    radius = max(round(_WIDEST * max(height, width)) // _FIRST_SCALE, 1)
    foreground = _mean(small, _repeat_channels(np.square(np.square(cover))), radius)
    background = _mean(small, _repeat_channels(np.square(np.square(1.0 - cover))), radius)
    return (
        np.asarray(cv2.resize(foreground, (width, height)), np.float32),
        np.asarray(cv2.resize(background, (width, height)), np.float32),
    )


def _repeat_channels(weight: _Float) -> _Float:
    """(H, W) repeated to (H, W, 3). NumPy multiplies arrays of equal shape several times faster than it broadcasts."""
    return np.asarray(cv2.merge((weight, weight, weight)), np.float32)


def _mean(colours: _Float, weight: _Float, radius: int) -> _Float:
    return np.asarray(_box(colours * weight, radius) / (_box(weight, radius) + _TINY), np.float32)


def _gradient_step(image: _Float, weight: _Float, rest: _Float, foreground: _Float, background: _Float) -> _Float:
    """The foreground after one step after which both layers compose to the picture (equation 6)."""
    error = image - weight * foreground - rest * background
    return np.asarray(np.clip(foreground + weight * error, 0.0, 255.0), np.float32)


def _box(values: _Float, radius: int) -> _Float:
    side = 2 * radius + 1
    return np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_REPLICATE), np.float32)

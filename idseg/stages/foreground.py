"""Estimates foreground colours: the person's own colours, without the old background in half-transparent pixels.

Blur-fusion (Forte & Pitié, "Approximate Fast Foreground Colour Estimation", ICIP 2021, equations 3 to 6). The
neighbours' colours, averaged with alpha as weight, are a pixel's foreground prior. One step along the gradient of the
compositing equation I = a F + (1 - a) B makes the prior agree with the picture. This repeats with smaller
neighbourhoods, which are smaller than the paper's because that is more accurate on portraits. Only the surroundings of
half-transparent pixels are computed, block by block, because opaque pixels keep the picture's colours.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor

import cv2
import numpy as np
import numpy.typing as npt

from idseg.imaging.planes import half_side
from idseg.imaging.resize import halved, resize
from idseg.system import share_out
from idseg.types import Alpha, Rgb, Size, Window

_WIDEST = 0.03
"""Half-width of the first neighbourhood, as a share of the picture's longer side (25 px at 840 px). Hair further away
from the head gets only the colour of its own strands."""
_NARROWER = (0.006, 0.0012)
"""Half-widths of the second and third neighbourhood, as the same share (5 and 1 px at 840 px)."""
_FIRST_SCALE = 4
"""The widest neighbourhood is averaged on a picture shrunk by this factor, a power of two."""
_BLOCK = 128
"""Side of a block, px. Its floats fit into the processor's cache, and its margins cost less than the block."""
_SHARED = 1_000_000
"""Area of a picture, px, from which a second thread helps. In smaller ones, the threads mostly wait for each
other, since each operation takes microseconds: at 0.2 MP, two take 7 ms of CPU time and one takes 3."""
_HALF_LEVEL = 0.5 / 255
"""Alpha closer to 0 or 1 than half a level of the scoremap counts as 0 or 1."""
_TINY = 1e-5
"""Avoids 0 / 0 where a neighbourhood has no foreground."""

_Float = npt.NDArray[np.float32]


def estimate_foreground(rgb: Rgb, alpha: Alpha, pool: Executor | None = None) -> Rgb:
    """Estimate the person's colours, uint8 (H, W, 3). A pixel with alpha 1 keeps its colour exactly.

    Where alpha is 0, the colour is that of the person near the edge, and black further away than 0.6 % of the longer
    side. Alpha within half a level of 0 or 1 counts as 0 or 1. With a pool, one of its threads computes a part of the
    blocks of a large picture.
    """
    height, width = alpha.shape
    radii = [half_side(share, (height, width)) for share in _NARROWER]
    covered = alpha > _HALF_LEVEL
    result = np.asarray(cv2.copyTo(rgb, covered.astype(np.uint8)), np.uint8)
    parts = list(_parts(covered & (alpha < 1.0 - _HALF_LEVEL), radii[0]))
    wide = _wide_means(rgb, alpha)

    def compute(part: Window) -> None:
        around = _grown(part, sum(radii), Size(width, height))
        at = np.s_[around.top : around.bottom, around.left : around.right]
        first = [_enlarged(layer, around) for layer in wide]
        colours = _block(rgb[at], alpha[at], first[0], first[1], radii)
        inner = np.s_[part.top - around.top :, part.left - around.left :]
        result[part.top : part.bottom, part.left : part.right] = colours[inner][: part.height, : part.width]

    share_out(pool if height * width >= _SHARED else None, parts, compute)
    return result


def _parts(between: npt.NDArray[np.bool_], reach: int) -> Iterator[Window]:
    """For each block of (H, W) with a half-transparent pixel, the smallest part with all of them and ``reach`` around
    it."""
    height, width = between.shape
    for top in range(0, height, _BLOCK):
        for left in range(0, width, _BLOCK):
            block = between[top : top + _BLOCK, left : left + _BLOCK]
            rows, columns = np.flatnonzero(block.any(axis=1)), np.flatnonzero(block.any(axis=0))
            if rows.size:
                inner = Window(int(columns[0]), int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1)
                part = _grown(inner, reach, Size(block.shape[1], block.shape[0]))
                yield part._replace(left=left + part.left, top=top + part.top)


def _grown(part: Window, margin: int, size: Size) -> Window:
    """The part with a margin on each side, clipped to a picture of this size."""
    left, top = max(part.left - margin, 0), max(part.top - margin, 0)
    right, bottom = min(part.right + margin, size.width), min(part.bottom + margin, size.height)
    return Window(left, top, right - left, bottom - top)


def _block(rgb: Rgb, alpha: Alpha, foreground: _Float, background: _Float, radii: list[int]) -> Rgb:
    """Blur-fusion of one block, starting from the wide means."""
    image = rgb.astype(np.float32)
    rest = 1.0 - alpha
    weights = _repeat_channels(alpha), _repeat_channels(rest)
    foreground = _gradient_step(image, weights, foreground, background)
    for radius in radii:
        foreground = _mean(foreground * weights[0], alpha, radius)
        background = _mean(background * weights[1], rest, radius)
        foreground = _gradient_step(image, weights, foreground, background)
    return np.asarray(foreground + 0.5, np.uint8)


def _wide_means(rgb: Rgb, alpha: Alpha) -> tuple[_Float, _Float]:
    """Mean colours of both layers in the widest neighbourhood, at a quarter of the size; pure pixels have more weight
    (equations 4 and 5).

    The weight is alpha to the power of 4. With a power of 1, as in the paper, half-transparent pixels bring the colour
    of the old backdrop into the prior, which causes halos.
    """
    height, width = alpha.shape
    size = Size(max(width // _FIRST_SCALE, 1), max(height // _FIRST_SCALE, 1))
    small = resize(halved(rgb, size), size).astype(np.float32)
    cover = np.asarray(resize(halved(alpha, size), size), np.float32)
    radius = max(round(_WIDEST * max(height, width)) // _FIRST_SCALE, 1)
    weights = np.square(np.square(cover)), np.square(np.square(1.0 - cover))
    foreground, background = (_mean(small * _repeat_channels(weight), weight, radius) for weight in weights)
    return foreground, background


def _enlarged(small: _Float, part: Window) -> _Float:
    """A part of the picture that was shrunk by :data:`_FIRST_SCALE`, enlarged again, bilinear."""
    step = 1 / _FIRST_SCALE
    from_part = np.array([[step, 0, (part.left + 0.5) * step - 0.5], [0, step, (part.top + 0.5) * step - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    enlarged = cv2.warpAffine(small, from_part, part.size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(enlarged, np.float32)


def _repeat_channels(weight: _Float) -> _Float:
    """(H, W) repeated to (H, W, 3). NumPy multiplies arrays of equal shape several times faster than it broadcasts."""
    return np.asarray(cv2.merge((weight, weight, weight)), np.float32)


def _mean(weighted: _Float, weight: _Float, radius: int) -> _Float:
    """Mean of colours that were multiplied by ``weight`` (H, W)."""
    mean = _box(weighted, radius)
    mean /= _repeat_channels(_box(weight, radius) + _TINY)
    return mean


def _gradient_step(image: _Float, weights: tuple[_Float, _Float], foreground: _Float, background: _Float) -> _Float:
    """The foreground after one step after which both layers compose to the picture (equation 6)."""
    step = image - weights[0] * foreground
    step -= weights[1] * background
    step *= weights[0]
    step += foreground
    return np.clip(step, 0.0, 255.0, out=step)


def _box(values: _Float, radius: int) -> _Float:
    side = 2 * radius + 1
    return np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_REPLICATE), np.float32)

"""Draws strands as pixels: ribbons with exact coverage, from back to front.

A picture is painted at ``samples`` times its size. In each sample, a strand covers as much as a ribbon of its width
would (a box filter across the strand), so strands thinner than a sample keep their weight. Samples are composited
(Porter & Duff, 1984), then averaged to pixels.
"""

# numba's decorators have no types.
# mypy: disable-error-code="import-untyped,import-not-found,untyped-decorator,misc,unused-ignore"

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]


@dataclass(frozen=True)
class Ribbons:
    """Strands with the same number of points, in samples of the canvas.

    ``points`` float32 (n, k, 3): x, y (down) and depth (larger is farther; any unit). ``colours`` float32 (n, m, 3),
    0..255, at m even places along each strand. ``widths`` float32 (n, k), samples.
    """

    points: F32
    colours: F32
    widths: F32


@numba.njit(cache=True, fastmath=True, nogil=True)
def _put(  # noqa: PLR0913 - numba takes plain numbers
    canvas: F32, row: int, column: int, cover: float, r: float, g: float, b: float
) -> None:
    pixel = canvas[row, column]
    rest = 1.0 - cover
    pixel[0] = pixel[0] * rest + r * cover
    pixel[1] = pixel[1] * rest + g * cover
    pixel[2] = pixel[2] * rest + b * cover
    pixel[3] = pixel[3] * rest + cover


@numba.njit(cache=True, fastmath=True, nogil=True)
def _segment(  # noqa: PLR0913 - numba takes plain numbers
    front: F32, back: F32, split: F32, step: int, p: F32, q: F32, width: float, r: float, g: float, b: float
) -> None:
    """Paint from p to q (x, y, depth), sample by sample along the longer axis, excluding the end."""
    height, across = front.shape[0], front.shape[1]
    dx, dy = q[0] - p[0], q[1] - p[1]
    steep = abs(dy) > abs(dx)
    a0, a1, m0, slope = (p[1], q[1], p[0], dx / dy) if steep else (p[0], q[0], p[1], dy / dx if dx != 0 else 0.0)
    if a0 == a1:
        return
    cosine = 1.0 / np.sqrt(1.0 + slope * slope)
    half = 0.5 * width
    reach = (half + 0.5) / cosine
    low, high = min(a0, a1), max(a0, a1)
    limit, other = (height, across) if steep else (across, height)
    start = max(int(np.ceil(low - 0.5)), 0)
    end = min(int(np.ceil(high - 0.5)), limit)
    for along in range(start, end):
        middle = m0 + (along + 0.5 - a0) * slope
        depth = p[2] + (along + 0.5 - a0) / (a1 - a0) * (q[2] - p[2])
        first = max(int(np.floor(middle - reach)), 0)
        last = min(int(np.ceil(middle + reach)), other)
        for side in range(first, last):
            d = abs(side + 0.5 - middle) * cosine
            cover = min(d + half, 0.5) - max(d - half, -0.5)
            if cover <= 0.0:
                continue
            cover = min(cover, 1.0)
            row, column = (along, side) if steep else (side, along)
            if depth < split[row // step, column // step]:
                _put(front, row, column, cover, r, g, b)
            else:
                _put(back, row, column, cover, r, g, b)


@numba.njit(cache=True, fastmath=True, nogil=True)
def _paint(  # noqa: PLR0913 - numba takes plain arrays
    front: F32, back: F32, split: F32, step: int, points: F32, colours: F32, widths: F32, pieces: NDArray[np.int32]
) -> None:
    """Paint pieces in the given order; a piece (first point, last point, first colour) ends at the next colour."""
    for index in range(pieces.shape[0]):
        begin, end, first = pieces[index]
        c0, c1 = colours[first], colours[first + 1]
        for s in range(begin, end):
            t = (s + 0.5 - begin) / (end - begin)
            r, g, b = c0[0] + (c1[0] - c0[0]) * t, c0[1] + (c1[1] - c0[1]) * t, c0[2] + (c1[2] - c0[2]) * t
            width = 0.5 * (widths[s] + widths[s + 1])
            _segment(front, back, split, step, points[s], points[s + 1], width, r, g, b)


def paint(ribbons: list[Ribbons], split: F32, samples: int) -> tuple[F32, F32]:
    """Two RGBA pictures, float32 (H, W, 4), premultiplied colours 0..255, alpha 0..1: in front of and behind ``split``.

    ``split`` (H, W): the depth that separates the two pictures, per pixel.
    """
    height, width = split.shape
    front = np.zeros((height * samples, width * samples, 4), np.float32)
    back = np.zeros_like(front)
    points, colours, widths = (
        np.concatenate([np.ascontiguousarray(getattr(r, name), np.float32).reshape(-1, size) for r in ribbons])
        for name, size in (("points", 3), ("colours", 3), ("widths", 1))
    )
    pieces = [_pieces(r) for r in ribbons]
    at_point = np.cumsum([0] + [r.points.shape[0] * r.points.shape[1] for r in ribbons])
    at_colour = np.cumsum([0] + [r.colours.shape[0] * r.colours.shape[1] for r in ribbons])
    for p, a, c in zip(pieces, at_point, at_colour, strict=False):
        p += np.array((a, a, c), np.int32)
    table = np.concatenate(pieces)
    depth = points[table[:, 0], 2] + points[table[:, 1], 2]
    _paint(front, back, split, samples, points, colours, widths[:, 0], table[np.argsort(-depth, kind="stable")])
    return shrink(front, samples), shrink(back, samples)


def _pieces(ribbons: Ribbons) -> NDArray[np.int32]:
    """(pieces, 3): first point, last point and first colour of each piece of each strand."""
    n, k, _ = ribbons.points.shape
    m = ribbons.colours.shape[1]
    ends = np.arange(m) * (k - 1) // (m - 1)
    strand = np.arange(n)[:, None]
    columns = (strand * k + ends[:-1], strand * k + ends[1:], strand * m + np.arange(m - 1))
    return np.stack([column.ravel() for column in columns], axis=1).astype(np.int32)


def shrink(canvas: F32, samples: int) -> F32:
    """Average over squares of ``samples`` x ``samples``."""
    total = np.zeros((canvas.shape[0] // samples, canvas.shape[1] // samples, canvas.shape[2]), np.float32)
    for row in range(samples):
        for column in range(samples):
            total += canvas[row::samples, column::samples]
    return total * np.float32(1.0 / samples**2)

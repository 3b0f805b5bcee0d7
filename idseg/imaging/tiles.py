"""Tiles that hold marked places of a picture: rows of a fixed height, and in each row one tile for each stretch."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

from idseg.types import Window


def tiles(
    marked: npt.NDArray[np.uint8], rows: int, grain: int, *, reach: int = 0, joined: int = 0, fewest: int = 1
) -> Iterator[Window]:
    """The tiles, clipped to the picture, which do not overlap.

    Args:
        marked: (H, W), 1 at the places, else 0.
        rows: height of a tile, px.
        grain: left and right sides are multiples of it, px.
        reach: columns of ``grain`` px that are added on both sides.
        joined: two tiles of a row with at most this many columns of ``grain`` px between them become one; even.
        fewest: number of marked pixels of a column (``rows`` by ``grain`` px) from which it belongs to a tile. At the
            picture's lower and right edge, where a column is cut off, fewer are enough, in proportion.
    """
    height, width = marked.shape
    starts = np.arange(0, width, grain)
    widths = np.diff(starts, append=width)
    beside, between = np.ones((1, 2 * reach + 1), np.uint8), np.ones((1, joined + 1), np.uint8)
    outside = ((0, 0), (joined + 1, joined + 1))
    for top in range(0, height, rows):
        here = marked[top : top + rows]
        sums = np.add.reduceat(here.sum(axis=0, dtype=np.int64), starts)
        columns = (sums * (rows * grain) >= fewest * (here.shape[0] * widths)).astype(np.uint8)
        near = np.pad(cv2.dilate(columns[None], beside), outside)
        stretches = cv2.morphologyEx(near, cv2.MORPH_CLOSE, between)[0]
        changes = np.flatnonzero(stretches[1:] != stretches[:-1]) - joined
        for first, last in changes.reshape(-1, 2).tolist():
            left, right = first * grain, min(last * grain, width)
            yield Window(left, top, right - left, min(rows, height - top))

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
    tops, lefts = np.arange(0, height, rows), np.arange(0, width, grain)
    heights, widths = np.diff(tops, append=height), np.diff(lefts, append=width)
    # The integral image gives all columns' sums at once.
    upto = cv2.integral(marked)[np.append(tops, height)][:, np.append(lefts, width)]
    sums = np.diff(np.diff(upto, axis=0), axis=1).astype(np.int64)
    columns = np.asarray(sums * (rows * grain) >= fewest * (heights[:, None] * widths), np.uint8)
    outside = joined + 1
    near = np.zeros((tops.size, lefts.size + 2 * outside), np.uint8)
    near[:, outside:-outside] = cv2.dilate(columns, np.ones((1, 2 * reach + 1), np.uint8))
    stretches = cv2.morphologyEx(near, cv2.MORPH_CLOSE, np.ones((1, joined + 1), np.uint8))
    row, place = np.nonzero(stretches[:, 1:] != stretches[:, :-1])
    changes = (place - joined).reshape(-1, 2)
    for top, (first, last) in zip(tops[row[::2]].tolist(), changes.tolist(), strict=True):
        left, right = first * grain, min(last * grain, width)
        yield Window(left, top, right - left, min(rows, height - top))

"""The held-out photos, and the rows of a person's head and shoulders. Uses only NumPy."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


def held_out(name: str) -> bool:
    """Whether a labelled photo is held out of training: one in eight, by the MD5 of its name."""
    return hashlib.md5(name.encode(), usedforsecurity=False).digest()[0] % 8 == 0


def body_rows(alpha: NDArray[np.uint8]) -> tuple[float, float]:
    """Top of the person and the row where the shoulders begin, both 0..1 of the height."""
    height = alpha.shape[0]
    widths = (alpha > 127).sum(axis=1)
    rows = np.flatnonzero(widths > 2)
    if rows.size == 0:
        return 0.0, 1.0
    top = int(rows[0])
    below = widths[top:]
    head = np.maximum.accumulate(below[: max(len(below) // 3, 1)]).max()
    wide = np.flatnonzero(below > 1.25 * head)
    wide = wide[wide > 0.3 * len(below)]
    shoulders = top + int(wide[0]) if wide.size else height
    return top / height, shoulders / height

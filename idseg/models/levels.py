"""Features as bytes: what the bytes stand for, and the conversion from and to floats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from idseg.types import Features, Levels


def levels_of(table: Mapping[str, Any]) -> Levels | None:
    """The entry ``levels = [scale, zero]`` of a table of the manifest.

    Raises:
        TypeError, ValueError: the entry is something else.
    """
    if "levels" not in table:
        return None
    scale, zero = table["levels"]
    levels = Levels(float(scale), int(zero))
    if not (0 < levels.scale < np.inf and 0 <= levels.zero <= 255):
        raise ValueError(f"levels {table['levels']} are not a positive scale and a byte")
    return levels


def stored_as(features: Features, levels: Levels | None) -> Features:
    """The same features as bytes with these levels, or with None as floats. Numbers outside the levels are clipped."""
    if levels == features.levels:
        return features
    values = np.asarray(features.values, np.float32)
    if features.levels is not None:
        values = np.float32(features.levels.scale) * (values - np.float32(features.levels.zero))
    if levels is None:
        return Features(values, features.inner)
    rounded = np.rint(values / np.float32(levels.scale)) + np.float32(levels.zero)
    return Features(np.clip(rounded, 0, 255).astype(np.uint8), features.inner, levels)

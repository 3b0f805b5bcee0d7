"""Brighter or darker by hand: one tone curve for all pixels of a photo, and nothing else.

The curve works on linear light, as an exposure does, but bends so that black stays black and white stays white:
y = g x / (1 + (g - 1) x), g = 2 ** stops. Nothing clips, no part of the picture is treated unlike another, and a page
can draw the same with a table of 256 values. How bright a skin should be is nobody's business but the person's: there
is no automatic value.
"""

from __future__ import annotations

import cv2
import numpy as np

from idseg.errors import OptionError
from idseg.types import Rgb

MOST_STOPS = 1.0
"""More is no correction of the light."""


def check_stops(stops: float) -> float:
    """``stops``; raises OptionError beyond ± :data:`MOST_STOPS`."""
    if not abs(stops) <= MOST_STOPS:
        raise OptionError(f"light {stops:g} is outside ±{MOST_STOPS:g} stops", light=stops)
    return stops


def lit(rgb: Rgb, stops: float) -> Rgb:
    """The picture brighter by ``stops`` (below 0: darker); the same array where they are 0."""
    return rgb if stops == 0 else np.asarray(cv2.LUT(rgb, _curve(stops)), dtype=np.uint8)


def _curve(stops: float) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """sRGB level → sRGB level (256,); the transfer function is IEC 61966-2-1's."""
    level = np.arange(256) / 255
    linear = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    gain = 2.0**stops
    bright = gain * linear / (1 + (gain - 1) * linear)
    back = np.where(bright <= 0.0031308, bright * 12.92, 1.055 * bright ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(np.clip(back, 0, 1) * 255), dtype=np.uint8)

"""Manual change of brightness: one tone curve for all pixels of a photo.

The curve acts on linear light, as an exposure does, but keeps black and white: y = g x / (1 + (g - 1) x), g = 2 **
stops. No value is clipped, all parts of the picture are treated alike, and a page can apply the same curve with a table
of 256 values. There is no automatic value, because the person decides how bright the skin should be.
"""

from __future__ import annotations

import cv2
import numpy as np

from idseg.errors import OptionError
from idseg.types import Rgb

MOST_STOPS = 1.0
"""Maximum change in stops; a larger one would not be a correction of the light."""


def check_stops(stops: float) -> float:
    """Return ``stops``; raises OptionError beyond ± :data:`MOST_STOPS`."""
    if not abs(stops) <= MOST_STOPS:
        raise OptionError(f"light {stops:g} is outside ±{MOST_STOPS:g} stops", light=stops)
    return stops


def lit(rgb: Rgb, stops: float) -> Rgb:
    """The picture (H, W, 3), brighter by ``stops`` (negative: darker); the same array if they are 0."""
    return rgb if stops == 0 else np.asarray(cv2.LUT(rgb, _curve(stops)), dtype=np.uint8)


def _curve(stops: float) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """Table (256,) from sRGB level to sRGB level, with the transfer function of IEC 61966-2-1."""
    level = np.arange(256) / 255
    linear = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    gain = 2.0**stops
    bright = gain * linear / (1 + (gain - 1) * linear)
    back = np.where(bright <= 0.0031308, bright * 12.92, 1.055 * bright ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(np.clip(back, 0, 1) * 255), dtype=np.uint8)

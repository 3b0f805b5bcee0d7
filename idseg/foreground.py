"""Foreground colours under a matte: what the hair would look like before a black wall.

Blur-fusion (Forte & Pitié, "Approximate Fast Foreground Colour Estimation", ICIP 2021): the colours
near a pixel, averaged with alpha as weight, are its foreground prior; one step down the gradient of
the compositing equation I = a F + (1 - a) B makes the prior agree with the picture.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

# Half-widths of the two passes, px at a 1-megapixel picture: the paper's 90 then 6.
RADII = (90, 6)


def _box(values: NDArray[np.float32], radius: int) -> NDArray[np.float32]:
    side = 2 * radius + 1
    return np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_REPLICATE), np.float32)


def estimate_foreground(rgb: NDArray[np.uint8], alpha: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Foreground colours (H, W, 3) uint8 for every pixel, also where alpha is 0.

    Where alpha is 1 the picture's own colour is kept exactly.
    """
    image = rgb.astype(np.float32)
    weight = alpha[..., None]
    foreground, background = image, image
    for radius in RADII:
        near = _box(alpha, radius)[..., None]
        prior = _box(foreground * weight, radius) / (near + 1e-5)
        behind = _box(background * (1.0 - weight), radius) / (1.0 - near + 1e-5)
        error = image - weight * prior - (1.0 - weight) * behind
        foreground = np.clip(prior + weight * error, 0.0, 255.0)
        background = behind
    return np.asarray(foreground + 0.5, np.uint8)

"""The person of a finished photo as two small pictures with their place, so that a page can composite the person over
any background, and move and rotate the person, without another request."""

from __future__ import annotations

import base64
from typing import Any, Final

import numpy as np

from idseg.imaging import encode
from idseg.imaging.resize import scaled
from idseg.photo.finish import Finished
from idseg.result import Result

_FINER: Final = 1.5
"""Layer pixels per finished pixel, because a screen has more pixels than the print and the user may zoom in."""
_QUALITY: Final = 90


def layers(result: Result, finished: Finished) -> dict[str, Any]:
    """The person under the window, ready for JSON.

    Args:
        result: result for the photo.
        finished: the photo as placed by the rules.

    Returns:
        ``colours`` (JPEG) and ``alpha`` (grey PNG) as base64, of the same size; ``to_finished`` and ``from_photo``, 2 x
        3 matrices [a, b, c, d, e, f] (x' = a x + b y + c, y' = d x + e y + f) from the layer's or the photo's pixels to
        those of the finished photo, with pixel corners at whole numbers; ``eyes``, the midpoint of the eyes in the
        finished photo, (x, y); ``photo_px``, the size of the photo.
    """
    placement = finished.placement
    scale = min(1.0, placement.scale * _FINER)
    height, width = result.alpha.shape
    colours, alpha = (
        np.asarray(scaled(layer, scale), dtype=np.uint8) for layer in (result.foreground, encode.scoremap(result.alpha))
    )
    to = alpha.shape[1], alpha.shape[0]
    (a, b, c), (d, e, f) = placement.matrix
    across, down = width / to[0], height / to[1]
    left, top = result.window.left, result.window.top
    matrix = [a * across, b * down, a * left + b * top + c, d * across, e * down, d * left + e * top + f]
    return {
        "colours": _base64(encode.jpeg(colours, quality=_QUALITY)),
        "alpha": _base64(encode.png(alpha)),
        "to_finished": [round(value, 6) for value in matrix],
        "from_photo": [round(value, 6) for value in (a, b, c, d, e, f)],
        "eyes": [round(value, 3) for value in placement.at(*finished.head.origin)],
        "photo_px": list(result.photo_size),
    }


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")

"""Follows the picture's colours where a matte is in doubt.

A net knows what is person, and draws hair too softly. The picture's colours say how much of a pixel is hair: in a small
window, alpha is nearly an affine function of the colour (:mod:`idseg.imaging.laplacian`). A few steps towards that open
gaps between strands, draw strands that the net lost, and take away the background's haze: first on a low resolution,
which decides how much of a place is person, then finer.

The change only counts where a wide band is uncertain (nets draw ordinary edges well), where person and background
differ in colour, and where a window's colours vary. Elsewhere the noise would decide, and JPEG's blocks would show.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from idseg.imaging.cells import Cells
from idseg.imaging.laplacian import HALO, Floats, Guide, Steps, moved
from idseg.imaging.planes import half_side, ramp, uncertain
from idseg.imaging.resize import of_area, shrunk
from idseg.types import Alpha, Rgb, Size

COLOURS_FROM = 100_000
"""Pixels of a picture from which its colours are followed. On labelled photos shrunk to 60,000 px, alpha in keyed hair
has 4 to 10 % less error, but 2 to 10 % more gradient error."""
_AREA, _PART, _LOW_AREA = 160_000, 0.6, 20_000
"""Pixels at which the last steps are computed, as a share of the picture's too, and the first ones. Their change is
enlarged to the picture."""
_NOISE, _LOW_NOISE = 4e-5, 1.2e-5
"""Variances of the noise of a colour, 0 to 1: 1.6 and .9 levels of 255."""
_STEPS, _LOW_STEPS = Steps(5, slowest=0.04, weight=1e-3), Steps(8, slowest=0.02, weight=1e-3)

_AROUND = 0.03
"""Side of the neighbourhood in which uncertain pixels are counted, as a share of the longer side."""
_SHARE = (0.2, 0.5)
"""Share of uncertain pixels around a pixel from which it may change, and from which it changes fully. An ordinary edge,
which nets draw well, has less."""
_LEAST = 0.1
"""Share of the change from which a pixel's cell is computed."""
_CONTRAST = (0.1, 0.3)
"""Distance in colour of person and background around a pixel, the same. 1: from black to red."""
_VARIANCE = 0.04
"""Standard deviation of the colours of a window at which half of the change is made."""
_PERSON, _BACKGROUND = (0.9, 1.0), (0.1, 0.0)
"""Pixels count as person or background from the first alpha on, fully at the second."""
_CONTRAST_AREA = 5_000
"""Pixels at which the colours of person and background are compared."""
_NEAR, _FAR = 0.02, 0.06
"""Half sides of the neighbourhoods of the colours, as shares of the longer side. The far one only counts where the near
one has no pixel of the kind, and all colours of the kind where neither has."""
_FAR_COUNTS, _ALL_COUNT = 0.02, 1e-4
_TEXTURE = 3.0
"""How much the variance of the background's colours counts against the contrast: many colours lie near no line."""
_ALMOST_NOTHING = 1e-6
_FAINT = 0.02
"""Alpha below it, after the steps, is background."""


def along_colours(rgb: Rgb, alpha: Alpha) -> Alpha:
    """The matte (H, W), closer to an affine function of the picture's (H, W, 3) colours where it is in doubt.

    Of a picture with fewer pixels than :data:`COLOURS_FROM`, the matte itself.
    """
    height, width = alpha.shape
    if height * width < COLOURS_FROM:
        return alpha
    fine = _Scaled.of(rgb, alpha, min(_AREA, round(_PART * width * height)))
    unsure = uncertain(fine.alpha)
    if not unsure.any():
        return alpha
    low = _Scaled.of(fine.rgb, fine.alpha, _LOW_AREA)
    contrast = _contrast(low)
    counts, free = _counts(unsure, contrast), _free(unsure)
    cells = Cells.of(free * (counts > _LEAST), HALO)
    if cells is None:
        return alpha
    start = fine.alpha + free * cv2.resize(_low_change(low, contrast), fine.size)
    guide = Guide.of(fine.rgb, cells, _NOISE)
    change = moved(guide, cells, fine.alpha, np.clip(start, 0.0, 1.0), free, _STEPS)
    varied = cv2.blur(guide.variance, (5, 5))
    change *= cells.read_own(counts) * cells.inner(varied / (varied + np.float32(_VARIANCE**2)))
    found = cv2.resize(cells.picture(change), (width, height))
    cv2.add(found, alpha, found)
    cv2.threshold(found, _FAINT, 1.0, cv2.THRESH_TOZERO, found)
    cv2.threshold(found, 1.0, 1.0, cv2.THRESH_TRUNC, found)
    return np.asarray(found, np.float32)


class _Scaled(NamedTuple):
    """A picture and its matte at the size of a computation."""

    rgb: Rgb
    alpha: Floats

    @classmethod
    def of(cls, rgb: Rgb, alpha: Floats, area: int) -> _Scaled:
        """At this many pixels, or at the picture's own size if it has fewer."""
        height, width = alpha.shape
        size = of_area(Size(width, height), area)
        return cls(np.asarray(shrunk(rgb, size), np.uint8), np.asarray(shrunk(alpha, size), np.float32))

    @property
    def size(self) -> Size:
        return Size(self.alpha.shape[1], self.alpha.shape[0])


def _low_change(low: _Scaled, contrast: Floats) -> Floats:
    """The change (h, w) of the low resolution; ``contrast`` 0 to 1, any size."""
    free, counts = _free(uncertain(low.alpha)), np.asarray(cv2.resize(contrast, low.size), np.float32)
    cells = Cells.of(free * (counts > _LEAST), HALO)
    if cells is None:
        return np.zeros_like(low.alpha)
    guide = Guide.of(low.rgb, cells, _LOW_NOISE)
    change = moved(guide, cells, low.alpha, low.alpha, free, _LOW_STEPS)
    return cells.picture(change * cells.read_own(counts))


def _free(unsure: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """1 at the pixels that may change, else 0: the uncertain ones and those beside them."""
    return np.asarray(cv2.dilate(unsure.astype(np.uint8), np.ones((3, 3), np.uint8)), np.uint8)


def _counts(unsure: npt.NDArray[np.bool_], contrast: Floats) -> Floats:
    """How much of the change is made at each pixel, 0 to 1; ``contrast`` 0 to 1, any size."""
    side = max(round(_AROUND * max(unsure.shape)), 3) | 1
    share = ramp(cv2.blur(unsure.astype(np.float32), (side, side)), *_SHARE)
    return np.asarray(cv2.blur(share * cv2.resize(contrast, unsure.shape[::-1]), (5, 5)), np.float32)


def _contrast(low: _Scaled) -> Floats:
    """How clearly the colours of person and background differ around each place, 0 to 1 (h, w)."""
    tiny = _Scaled.of(*low, _CONTRAST_AREA)
    colours = tiny.rgb.astype(np.float32) * np.float32(1 / 255)
    kinds = (ramp(tiny.alpha, *_PERSON), ramp(tiny.alpha, *_BACKGROUND))
    if not all(kind.any() for kind in kinds):
        return np.zeros_like(tiny.alpha)
    (person, _), (background, variance) = (_around(colours, kind) for kind in kinds)
    squared = _summed(np.square(person - background))
    plain = squared / (squared + np.float32(_TEXTURE) * variance + np.float32(_ALMOST_NOTHING))
    return np.asarray(ramp(np.sqrt(squared), *_CONTRAST) * plain, np.float32)


def _around(colours: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """The weighted means (h, w, 3) and variances (h, w), summed over the channels, of the colours (h, w, 3) near each
    pixel; of all colours where near ones have no weight."""
    weighted = colours * weight[..., None]
    products = np.dstack((weighted, _summed(weighted * colours), weight))
    total = np.full_like(products, products.mean(axis=(0, 1)) * np.float32(_ALL_COUNT))
    for reach, share in ((_NEAR, 1.0), (_FAR, _FAR_COUNTS)):
        side = 2 * half_side(reach, weight.shape) + 1
        total += np.float32(share) * cv2.blur(products, (side, side))
    total[..., :4] /= total[..., 4:]
    means = total[..., :3]
    return means, np.maximum(total[..., 3] - _summed(np.square(means)), 0.0)


def _summed(channels: Floats) -> Floats:
    """The sums (h, w) of the channels of (h, w, 3)."""
    return np.asarray(cv2.transform(channels, np.ones((1, 3), np.float32)), np.float32)

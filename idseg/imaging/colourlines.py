"""What a picture's colours say about a matte where it is in doubt.

A net knows what is person, and draws hair too softly. The colours say how much of a pixel is hair, in three ways:

* In a small window, alpha is nearly an affine function of the colour (:mod:`idseg.imaging.laplacian`). Some steps
  towards that open gaps between strands and draw strands that the net lost.
* Between the colours of the person and of the background near a pixel, its own colour lies at a place that is its alpha
  (Smith & Blinn, "Blue Screen Matting", SIGGRAPH 1996), if both are plain.
* Both can be wrong: where noise decides, where person and background have the same colours, or many. So there are also
  measures of that.

:class:`idseg.stages.follow.ColourNet` decides from all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from idseg.imaging.cells import Cells
from idseg.imaging.laplacian import HALO, Floats, Guide, Steps, moved
from idseg.imaging.planes import half_side, ramp, uncertain
from idseg.imaging.resize import of_area, shrunk
from idseg.types import Rgb, Size

LOW_AREA = 20_000
"""Pixels of the lower resolution, which decides how much of a place is person."""
_AREA, _PART, _LEAST_AREA = 160_000, 0.5, 100_000
"""Pixels of the higher resolution: at most this number and this share of the picture's, but not fewer than the last
number. With 120,000 instead of 160,000, the errors of composites and of keyed hair are 1 to 2 % higher."""
_FIRST_AREA, _AREA_AROUND = 2_500, 5_000
"""Pixels of the very first steps, and those at which the colours of person and background around a pixel are found."""
_NOISE, _FIRST_NOISE = 4e-5, 1.2e-5
"""Variances of the noise of a colour, 0 to 1: 1.6 and .9 levels of 255."""
_STEPS, _FIRST_STEPS = Steps(4, slowest=0.03, weight=6e-4), Steps(12, slowest=0.004, weight=3e-4)

_AROUND = (0.03, 0.1)
"""Sides of the neighbourhoods in which uncertain pixels are counted, as shares of the longer side."""
_PERSON, _BACKGROUND = (0.9, 1.0), (0.1, 0.0)
"""Pixels count as person or background from the first alpha on, fully at the second."""
_NEAR, _FAR = 0.02, 0.06
"""Half sides of the neighbourhoods of the colours, as shares of the longer side. The far one only counts where the near
one has no pixel of the kind, and all colours of the kind where neither has."""
_FAR_COUNTS, _ALL_COUNT = 0.02, 1e-4
_ALIKE = 2e-3
"""Squared distance of two colours (0 to 1), added to that of person and background: where they are alike, the place
between them says nothing."""
_BEYOND = 0.5
"""How far the place between the two may lie beyond them."""

NO_CHANGE = np.zeros((1, 1), np.float32)
"""A change of 0 everywhere."""
PLANES = 12
"""Number of the planes of :class:`Evidence`."""


class Scaled(NamedTuple):
    """A picture (H, W, 3) and its matte (H, W) at the size of a computation."""

    rgb: Rgb
    alpha: Floats

    @classmethod
    def high(cls, rgb: Rgb, alpha: Floats) -> Scaled:
        """At the higher resolution."""
        return cls.of(rgb, alpha, min(_AREA, max(round(_PART * alpha.size), _LEAST_AREA)))

    @classmethod
    def of(cls, rgb: Rgb, alpha: Floats, area: int) -> Scaled:
        """At this many pixels, or at the picture's own size if it has fewer."""
        height, width = alpha.shape
        size = of_area(Size(width, height), area)
        return cls(np.asarray(shrunk(rgb, size), np.uint8), np.asarray(shrunk(alpha, size), np.float32))

    @property
    def size(self) -> Size:
        return Size(self.alpha.shape[1], self.alpha.shape[0])


class Evidence(NamedTuple):
    """What the colours say about a matte, in cells around its uncertain pixels."""

    cells: Cells
    planes: Floats
    """(12, R, L), the strip of the cells with halos. Colours are 0 to 1, and distances Euclidean.

    0: the matte. 1, 2: its change at the lower resolution, and by the steps after it. 3: the place of the colour
    between those of the background (0) and the person (1) near by. 4: its distance from the line between the two. 5:
    the distance between the two. 6: the deviation of the background's colours. 7, 8: the colour's distances from
    background and person. 9: the deviation of a window's colours. 10, 11: the shares of uncertain pixels near by and
    farther around."""
    free: Floats
    """(R, L), 1 at the pixels that may change, else 0."""

    @classmethod
    def of(cls, scaled: Scaled, change: Floats) -> Evidence | None:
        """Of a picture and its matte, of which a lower resolution knows a change (any size); None: the matte is certain
        everywhere."""
        unsure = uncertain(scaled.alpha)
        free = _free(unsure)
        cells = Cells.of(free, HALO)
        if cells is None:
            return None
        lower = np.clip(scaled.alpha + free * cv2.resize(change, scaled.size), 0.0, 1.0)
        guide = Guide.of(scaled.rgb, cells, _NOISE)
        along = cells.picture(moved(guide, cells, scaled.alpha, lower, free, _STEPS))
        variance = cells.picture(cells.inner(guide.variance))
        planes = np.empty((PLANES, *cells.pixels.shape), np.float32)
        for plane, values in zip(planes, (scaled.alpha, lower - scaled.alpha, along), strict=False):
            cells.read(values, plane)
        around = _surroundings(Scaled.of(scaled.rgb, lower, _AREA_AROUND))
        planes[3:9] = _compare(guide.colours, [cells.read(cv2.resize(plane, scaled.size)) for plane in around])
        np.sqrt(np.maximum(cells.read(variance, planes[9]), 0.0), planes[9])
        longest = max(unsure.shape)
        for plane, share in zip(planes[10:], _AROUND, strict=True):
            side = max(round(share * longest), 3) | 1
            cells.read(np.asarray(cv2.blur(unsure.astype(np.float32), (side, side))), plane)
        return cls(cells, planes, cells.read(free).astype(np.float32))


def first_change(scaled: Scaled) -> Floats:
    """The change of a matte by steps at a very low resolution, any size."""
    low = Scaled.of(*scaled, _FIRST_AREA)
    free = _free(uncertain(low.alpha))
    cells = Cells.of(free, HALO)
    if cells is None:
        return NO_CHANGE
    guide = Guide.of(low.rgb, cells, _FIRST_NOISE)
    return cells.picture(moved(guide, cells, low.alpha, low.alpha, free, _FIRST_STEPS))


def _free(unsure: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """1 at the pixels that may change, else 0: the uncertain ones and those beside them."""
    return np.asarray(cv2.dilate(unsure.astype(np.uint8), np.ones((3, 3), np.uint8)), np.uint8)


def _surroundings(tiny: Scaled) -> Floats:
    """The colours of person and background near each pixel, and the variance of the background's, (7, h, w)."""
    colours = tiny.rgb.astype(np.float32) * np.float32(1 / 255)
    (person, _), (background, variance) = (_around(colours, ramp(tiny.alpha, *kind)) for kind in (_PERSON, _BACKGROUND))
    return np.ascontiguousarray(np.dstack((person, background, variance)).transpose(2, 0, 1))


def _around(colours: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """The weighted means (h, w, 3) and variances (h, w), summed over the channels, of the colours (h, w, 3) near each
    pixel; of all colours where near ones have no weight. Without any weight, black, and 1."""
    if not weight.any():
        return np.zeros_like(colours), np.ones_like(weight)
    weighted = colours * weight[..., None]
    products = np.dstack((weighted, _summed(weighted * colours), weight))
    total = np.full_like(products, products.mean(axis=(0, 1)) * np.float32(_ALL_COUNT))
    for reach, share in ((_NEAR, 1.0), (_FAR, _FAR_COUNTS)):
        side = 2 * half_side(reach, weight.shape) + 1
        total += np.float32(share) * cv2.blur(products, (side, side))
    total[..., :4] /= total[..., 4:]
    means = total[..., :3]
    return means, np.maximum(total[..., 3] - _summed(np.square(means)), 0.0)


def _compare(colours: Floats, around: Sequence[npt.NDArray[Any]]) -> Floats:
    """The planes 3 to 8 of :class:`Evidence`, (6, R, L).

    Args:
        colours: the picture's (3, R, L), 0 to 1.
        around: of :func:`_surroundings`, 7 times (R, L).
    """
    found = np.zeros((6, *colours.shape[1:]), np.float32)
    place, beside, squared, variance, length, other = found
    variance[:] = around[6]
    steps = [person - background for person, background in zip(around[:3], around[3:6], strict=True)]
    offs = [own - background for own, background in zip(colours, around[3:6], strict=True)]
    for step, off in zip(steps, offs, strict=True):
        squared += step * step
        length += off * off
        place += off * step
        other += np.square(off - step)
    place /= squared + np.float32(_ALIKE)
    np.clip(place, -_BEYOND, 1.0 + _BEYOND, out=place)
    for step, off in zip(steps, offs, strict=True):
        beside += np.square(off - place * step)
    np.sqrt(found[1:], found[1:])
    return found


def _summed(channels: Floats) -> Floats:
    """The sums (h, w) of the channels of (h, w, 3)."""
    return np.asarray(cv2.transform(channels, np.ones((1, 3), np.float32)), np.float32)

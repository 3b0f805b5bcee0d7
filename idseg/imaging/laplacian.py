"""The matting Laplacian, and steps that make a matte obey it.

In a small window, the colours of a thing and of what is behind it lie near a line, so alpha is there an affine function
of the colour (Levin, Lischinski & Weiss, "A Closed-Form Solution to Natural Image Matting", IEEE PAMI 30(2), 2008).
Their matting Laplacian L measures how far a matte a is from that. It is never stored: L a, divided by the number of
windows with a pixel, is the difference between a and its guided filter (He, Sun & Tang, "Guided Image Filtering", IEEE
PAMI 35(6), 2013), which takes two box filters.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from idseg.imaging.cells import Cells
from idseg.types import Rgb

Floats: TypeAlias = npt.NDArray[np.float32]

_RADIUS = 2
"""Half side of a window, px."""
HALO = 2 * _RADIUS
"""Border of the cells, px: two box filters."""


class Steps(NamedTuple):
    """How a matte is moved."""

    number: int
    slowest: float
    """The steps are the best ones for eigenvalues of L from it to 1."""
    weight: float
    """Of the distance from the first matte, against L, per window."""


class Guide(NamedTuple):
    """The colours of a strip's windows."""

    colours: Floats
    """(3, R, L), 0 to 1."""
    means: Floats
    """(3, R, L)."""
    inverse: Floats
    """(3, 3, R, L): of the covariance with noise."""
    variance: Floats
    """(R, L): of a window's colours without noise, summed over the channels."""

    @classmethod
    def of(cls, rgb: Rgb, cells: Cells, noise: float) -> Guide:
        """Of the cells (halo :data:`HALO`) of a picture (H, W, 3).

        ``noise``: variance of the noise of a colour, 0 to 1. A window whose colours vary less says nothing.
        """
        colours = np.ascontiguousarray(cells.read(rgb).transpose(2, 0, 1), np.float32)
        colours *= np.float32(1 / 255)
        means = boxed(colours)
        pairs = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
        products = np.empty((6, *colours.shape[1:]), np.float32)
        for product, (one, other) in zip(products, pairs, strict=True):
            np.multiply(colours[one], colours[other], out=product)
        covariance = boxed(products)
        for each, (one, other) in zip(covariance, pairs, strict=True):
            each -= means[one] * means[other]
        a, b, c, d, e, f = covariance
        variance = a + d + f
        # By Cholesky's decomposition, whose pivots are never below the noise: in 32 bits, the differences of products
        # of cofactors are wrong where a window has two colours.
        least = np.float32(noise)
        first = 1 / (np.maximum(a, 0) + least)
        below, lowest = b * first, c * first
        second = 1 / (np.maximum(d - b * below, 0) + least)
        between = e - b * lowest
        beside = between * second
        third = 1 / (np.maximum(f - c * lowest - between * beside, 0) + least)
        across = below * beside - lowest
        inverse = np.empty((3, 3, *a.shape), np.float32)
        inverse[2, 2] = third
        inverse[0, 2] = inverse[2, 0] = across * third
        inverse[1, 2] = inverse[2, 1] = -beside * third
        inverse[1, 1] = second - beside * inverse[1, 2]
        inverse[0, 1] = inverse[1, 0] = across * inverse[1, 2] - below * second
        inverse[0, 0] = first + below * below * second + across * inverse[0, 2]
        return cls(colours, means, inverse, variance)

    def filtered(self, alpha: Floats, scratch: tuple[Floats, Floats]) -> Floats:
        """The guided filter of a strip (R, L): right within the cells, wrong in their halos.

        Args:
            alpha: the strip.
            scratch: (4, R, L) and (3, R, L), whose values do not matter.
        """
        planes, products = scratch
        slopes, offset = planes[:3], planes[3]
        np.multiply(self.colours, alpha, out=slopes)
        offset[:] = alpha
        sums = boxed(planes)
        sums[:3] -= np.multiply(self.means, sums[3], out=products)
        np.multiply(self.inverse[:, 0], sums[0], out=slopes)
        slopes += np.multiply(self.inverse[:, 1], sums[1], out=products)
        slopes += np.multiply(self.inverse[:, 2], sums[2], out=products)
        np.multiply(slopes, self.means, out=products)
        np.subtract(sums[3], products[0], out=offset)
        offset -= products[1]
        offset -= products[2]
        found = boxed(planes)
        np.multiply(found[:3], self.colours, out=products)
        for product in products:
            found[3] += product
        return np.asarray(found[3], np.float32)


def boxed(planes: Floats) -> Floats:
    """The means of the windows of each of (C, R, L)."""
    side = 2 * _RADIUS + 1
    means = np.empty_like(planes)
    for plane, mean in zip(planes, means, strict=True):
        cv2.blur(plane, (side, side), mean)
    return means


def moved(
    guide: Guide, cells: Cells, alpha: Floats, start: Floats, free: npt.NDArray[np.uint8], steps: Steps
) -> Floats:
    """The change (r, l) of a matte a (H, W) in the cells that lowers a^T L a + weight (a - alpha)^2.

    Chebyshev's semi-iteration (Saad, "Iterative Methods for Sparse Linear Systems", 2003, algorithm 12.1), which needs
    no sums over the picture, so that no cell depends on a distant one.

    Args:
        guide: of the picture's cells.
        cells: the only places that are computed.
        alpha: the matte (H, W) from which a should not go far.
        start: the matte (H, W) of the first step; outside the cells it stays.
        free: (H, W), 1 at the pixels that may change, else 0.
        steps: how many, and how large.
    """
    may = cells.read_own(free).astype(np.float32)
    first = cells.read_own(alpha)
    now = np.append(start.ravel(), np.float32(0))
    change = cells.read_own(start) - first
    along = np.zeros_like(first)
    shape = cells.pixels.shape
    scratch = np.empty((4, *shape), np.float32), np.empty((3, *shape), np.float32)
    middle, half = (1.0 + steps.slowest) / 2 + steps.weight, (1.0 - steps.slowest) / 2
    step, speed = 1.0 / middle, 0.0
    for _ in range(steps.number):
        strip = now.take(cells.pixels)
        wrong = cells.inner(guide.filtered(strip, scratch) - strip)
        wrong -= np.float32(steps.weight) * change
        wrong *= may
        along *= np.float32(speed)
        along += wrong
        change += np.float32(step) * along
        now[cells.written] = first + change
        speed = (0.5 if speed == 0.0 else 0.25) * (half * step) ** 2
        step = 1.0 / (middle - speed / step)
    return np.asarray(np.clip(first + change, 0.0, 1.0) - first, np.float32)

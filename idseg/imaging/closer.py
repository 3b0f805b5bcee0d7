"""The mean of two mattes of one picture, which a net saw at two sizes.

The errors of the two at the edge differ, so their mean has smaller ones. Seen closer, a net draws strands more finely,
but loses sight of what they belong to: now and then a sleeve, or all of dark hair, is background. So the mean is only
used where the closer matte has about as much person as the other one, or as the low-resolution matte, or an amount
between the two.
"""

from __future__ import annotations

import cv2
import numpy as np

from idseg.imaging.bounds import LowResolution
from idseg.imaging.planes import half_side, local_means, ramp
from idseg.types import Alpha

_SHARE = 0.5
"""Share of the closer matte. With more, the errors of the sets fall a little further, those of photos less."""
_AROUND = 0.007
"""Half side of the neighbourhood in which amounts of person are compared, as a share of the longer side."""
_BEYOND = (0.15, 0.05)
"""Difference of the amounts, 0 to 1, from which the closer matte does not count, and up to which it counts fully."""


def averaged(alpha: Alpha, closer: Alpha, seen: LowResolution) -> Alpha:
    """The mean of two mattes (H, W) where they, or the second and the low-resolution mattes, agree; else the first."""
    small = seen.most.shape
    reach = half_side(_AROUND, small)
    both = (cv2.resize(each, small[::-1], interpolation=cv2.INTER_AREA) for each in (alpha, closer))
    first, second, least, most = local_means((*both, seen.least, seen.most), reach)
    beyond = np.maximum(np.minimum(first, least) - second, second - np.maximum(first, most))
    counts = np.asarray(
        cv2.erode(ramp(beyond, *_BEYOND), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)), np.float32
    )
    share = cv2.resize(local_means((counts,), reach)[0] * np.float32(_SHARE), alpha.shape[::-1])
    return np.asarray(alpha + share * (closer - alpha), np.float32)

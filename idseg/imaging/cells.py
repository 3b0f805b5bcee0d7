"""Parts of a picture, with borders, side by side in one strip, so that only they are computed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from idseg.imaging.tiles import tiles
from idseg.types import Size

_ROWS, _GRAIN = 24, 8
"""Height of a cell, px, and what its width is a multiple of."""


class Cells(NamedTuple):
    """Cells of a picture with halos, side by side in one low strip (R, L)."""

    size: Size
    """Of the picture."""
    halo: int
    """Border of a cell, px."""
    pixels: npt.NDArray[np.intp]
    """(R, L): each pixel's index in the picture; beyond the picture, the mirrored one."""
    columns: npt.NDArray[np.intp]
    """(l,): the strip's columns that are in no halo. Its rows in no halo are r = R - 2 halo."""
    own: npt.NDArray[np.intp]
    """(r, l): the pixels in no halo."""
    written: npt.NDArray[np.intp]
    """(r, l): the same; beyond the picture, an index after the last one."""

    @classmethod
    def of(cls, marked: npt.NDArray[np.uint8], halo: int) -> Cells | None:
        """The cells around the marked pixels (1, else 0) of (H, W); None: no pixel is marked."""
        height, width = marked.shape
        found = list(tiles(marked, _ROWS, _GRAIN))
        if not found:
            return None
        down = _mirrored(np.arange(-halo, height + _ROWS + halo), height) * width
        across = _mirrored(np.arange(-halo, width + halo), width)
        high = _ROWS + 2 * halo
        pixels = [down[at.top : at.top + high, None] + across[at.left : at.right + 2 * halo] for at in found]
        ends = np.cumsum([at.width + 2 * halo for at in found])
        columns = [np.arange(end - at.width - halo, end - halo) for end, at in zip(ends.tolist(), found, strict=True)]
        strip, inner = np.concatenate(pixels, axis=1), np.concatenate(columns)
        own = strip[halo:-halo].take(inner, axis=1)
        starts = np.repeat([at.top for at in found], [at.width for at in found])
        beyond = starts + np.arange(_ROWS)[:, None] >= height
        return cls(Size(width, height), halo, strip, inner, own, np.where(beyond, height * width, own))

    def read(self, values: npt.NDArray[Any], target: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
        """The strip (R, L) or (R, L, C) of (H, W) or (H, W, C); written to ``target`` if that is given."""
        # With the mode "raise", NumPy would write to a copy of the target first. No index is too large.
        return values.reshape(-1, *values.shape[2:]).take(self.pixels, axis=0, out=target, mode="clip")

    def read_own(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The strip (r, l) of (H, W) without halos."""
        return values.reshape(-1).take(self.own)

    def inner(self, strip: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The strip (R, L) without halos, (r, l)."""
        return strip[self.halo : -self.halo].take(self.columns, axis=1)

    def picture(self, inner: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(H, W), 0 outside the cells."""
        values = np.zeros(self.size.width * self.size.height + 1, np.float32)
        values[self.written] = inner
        return values[:-1].reshape(self.size.height, self.size.width)


def _mirrored(places: npt.NDArray[np.intp], length: int) -> npt.NDArray[np.intp]:
    """Places along a side, those beyond its ends mirrored at the outermost pixel."""
    places = np.abs(places)
    return np.clip(np.where(places >= length, 2 * (length - 1) - places, places), 0, length - 1)

"""Photos of more pixels than the cloud API takes: reduced before the models see them, so that what a request costs has
a bound. No finished photo has more than 4 million pixels."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Final, Protocol

import numpy as np

from idseg.imaging.resize import resize
from idseg.result import Result
from idseg.stages.crop import CropOptions
from idseg.stages.decode import DecodeLimits, decode
from idseg.types import Rgb, Size

MOST_PX: Final = 4096 * 4096
"""Pixels of a photo that the models see: the cloud API's most."""
REDUCED: Final = "reduced before everything else"
"""Begins the note of a result whose photo was."""


class _Models(Protocol):
    """A Segmenter."""

    def __call__(
        self, photo: bytes | Rgb, /, *, crop: CropOptions | None = None, limits: DecodeLimits | None = None
    ) -> Result: ...

    def whole(self, photo: bytes | Rgb, /) -> Result: ...


class Reducing:
    """Called as the Segmenter is. A photo with limits of its own (the cloud API's) is never reduced."""

    def __init__(self, segment: _Models, most_px: int = MOST_PX) -> None:
        """
        Args:
            segment: a Segmenter.
            most_px: pixels of a photo that it is given.
        """
        self._segment = segment
        self._most_px = most_px

    def __call__(
        self, photo: bytes, /, *, crop: CropOptions | None = None, limits: DecodeLimits | None = None
    ) -> Result:
        """The result; of a reduced photo its coordinates are in the reduced photo's pixels, and a note says so."""
        if limits is not None:
            return self._segment(photo, crop=crop, limits=limits)
        started = time.perf_counter()
        rgb, notes = self._decoded(photo)
        took_ms = (time.perf_counter() - started) * 1000
        result = self._segment(rgb, crop=crop)
        timings = {**result.timings_ms, "decode": took_ms + result.timings_ms.get("decode", 0.0)}
        return replace(result, notes=notes, timings_ms=timings)

    def whole(self, photo: bytes | Rgb, /) -> Result:
        """As the Segmenter's: a finished photo, looked at as it is."""
        rgb, notes = self._decoded(photo)
        return replace(self._segment.whole(rgb), notes=notes)

    def _decoded(self, photo: bytes | Rgb) -> tuple[Rgb, tuple[str, ...]]:
        """The photo's pixels, no more than the most, and what is to be told."""
        decoded = decode(photo)
        height, width = decoded.rgb.shape[:2]
        scale = math.sqrt(self._most_px / (width * height))
        if scale >= 1:
            return decoded.rgb, decoded.notes
        to = Size(max(1, int(width * scale)), max(1, int(height * scale)))
        note = f"{REDUCED}: {width} x {height} px to {to.width} x {to.height} px"
        return np.asarray(resize(decoded.rgb, to), dtype=np.uint8), (*decoded.notes, note)

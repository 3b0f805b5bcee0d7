"""Shrinks photos that exceed the cloud API's pixels before the models see them, to limit the cost of a request. No
finished photo has more than 4 million pixels."""

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
"""Maximum pixels of a photo for the models: the cloud API's maximum."""
REDUCED: Final = "reduced before everything else"
"""Start of the note in the result of a shrunk photo."""


class _Models(Protocol):
    """The interface of a Segmenter."""

    def __call__(
        self, photo: bytes | Rgb, /, *, crop: CropOptions | None = None, limits: DecodeLimits | None = None
    ) -> Result: ...

    def whole(self, photo: bytes | Rgb, /) -> Result: ...


class Reducing:
    """Has the interface of a Segmenter. A photo with explicit limits (the cloud API's) is never shrunk."""

    def __init__(self, segment: _Models, most_px: int = MOST_PX) -> None:
        """
        Args:
            segment: a Segmenter.
            most_px: maximum pixels of a photo for the Segmenter.
        """
        self._segment = segment
        self._most_px = most_px

    def __call__(
        self, photo: bytes, /, *, crop: CropOptions | None = None, limits: DecodeLimits | None = None
    ) -> Result:
        """The result. For a shrunk photo, its coordinates are pixels of the shrunk photo, and a note says so."""
        if limits is not None:
            return self._segment(photo, crop=crop, limits=limits)
        started = time.perf_counter()
        rgb, notes = self._decoded(photo)
        took_ms = (time.perf_counter() - started) * 1000
        result = self._segment(rgb, crop=crop)
        timings = {**result.timings_ms, "decode": took_ms + result.timings_ms.get("decode", 0.0)}
        return replace(result, notes=notes, timings_ms=timings)

    def whole(self, photo: bytes | Rgb, /) -> Result:
        """Analyse a finished photo as it is, like :meth:`idseg.segmenter.Segmenter.whole`."""
        rgb, notes = self._decoded(photo)
        return replace(self._segment.whole(rgb), notes=notes)

    def _decoded(self, photo: bytes | Rgb) -> tuple[Rgb, tuple[str, ...]]:
        """The photo's pixels, shrunk if necessary, and notes."""
        decoded = decode(photo)
        height, width = decoded.rgb.shape[:2]
        scale = math.sqrt(self._most_px / (width * height))
        if scale >= 1:
            return decoded.rgb, decoded.notes
        to = Size(max(1, int(width * scale)), max(1, int(height * scale)))
        note = f"{REDUCED}: {width} x {height} px to {to.width} x {to.height} px"
        return np.asarray(resize(decoded.rgb, to), dtype=np.uint8), (*decoded.notes, note)

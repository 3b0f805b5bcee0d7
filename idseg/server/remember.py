"""The models of a worker, with a cache of their results for kept photos, for further requests about the same photo
(another background, another crop).

Results are found by the photo's content, so one caller's photo never answers another caller's request. They are dropped
after a short time; if they take too much memory, the least recently used ones are dropped first.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from idseg.check.apply import SeesWhole
from idseg.result import Result, SegmentPhoto
from idseg.server.reduce import Reducing
from idseg.stages.crop import CropOptions
from idseg.stages.decode import DecodeLimits
from idseg.types import Quality, Rgb

LIFE_S: Final = 300.0
"""Seconds after its last use until a result is dropped."""
MOST_BYTES: Final = 96 * 1024 * 1024
"""Maximum bytes of the arrays in all cached results of one worker."""

_Key = tuple[bytes, CropOptions | None, DecodeLimits | None]


class Looks(SegmentPhoto, SeesWhole, Protocol):
    """The interface of :class:`idseg.segmenter.Segmenter` for photos and for finished photos."""


@dataclass(slots=True)
class _Known:
    result: Result
    size: int
    used: float


class Remembering:
    """Has the interface of a Segmenter; :meth:`kept` uses the cache. Thread-safe."""

    def __init__(
        self, segment: Looks, clock: Callable[[], float] = time.monotonic, *, most_bytes: int = MOST_BYTES
    ) -> None:
        self._segment = segment
        self._clock = clock
        self._most_bytes = most_bytes
        self._known: OrderedDict[_Key, _Known] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(
        self, photo: bytes, /, *, crop: CropOptions | None = None, limits: DecodeLimits | None = None
    ) -> Result:
        """The result, without caching."""
        return self._segment(photo, crop=crop, limits=limits)

    def whole(self, photo: bytes | Rgb, /) -> Result:
        """Analyse a finished photo as it is, like the Segmenter, without caching."""
        return self._segment.whole(photo)

    @property
    def kept(self) -> Looks:
        """The same interface with the cache, for photos whose senders asked to keep them."""
        return _Kept(self)

    def remembered(
        self, photo: bytes, /, *, crop: CropOptions | None = None, limits: DecodeLimits | None = None
    ) -> Result:
        """The result of a kept photo, from the cache if possible."""
        key = (hashlib.sha256(photo).digest(), crop, limits)
        with self._lock:
            self._sweep()
            known = self._known.pop(key, None)
            if known is not None:
                known.used = self._clock()
                self._known[key] = known
                return known.result
        result = self._segment(photo, crop=crop, limits=limits)
        size = sum(part.nbytes for part in (result.photo, result.cut, result.alpha, result.foreground))
        with self._lock:
            if size <= self._most_bytes:
                self._known[key] = _Known(result, size, self._clock())
                while sum(one.size for one in self._known.values()) > self._most_bytes:
                    self._known.popitem(last=False)
        return result

    def forget_old(self) -> None:
        """Drop expired results. Call this from time to time while no request arrives."""
        with self._lock:
            self._sweep()

    def forget(self) -> None:
        with self._lock:
            self._known.clear()

    def _sweep(self) -> None:
        oldest = self._clock() - LIFE_S
        for key in [key for key, known in self._known.items() if known.used < oldest]:
            del self._known[key]


@dataclass(frozen=True, slots=True)
class _Kept:
    """The interface of :class:`Remembering` for kept photos."""

    owner: Remembering

    def __call__(
        self, photo: bytes, /, *, crop: CropOptions | None = None, limits: DecodeLimits | None = None
    ) -> Result:
        return self.owner.remembered(photo, crop=crop, limits=limits)

    def whole(self, photo: bytes | Rgb, /) -> Result:
        return self.owner.whole(photo)


def load_segmenter(quality: Quality) -> Looks:
    """Load and warm the models in a worker.

    Each worker has two threads, also if there are as many workers as cores: a photo that is alone is then answered in
    four fifths of the time, and full load takes no more CPU time.
    """
    from idseg.segmenter import Options, Segmenter
    from idseg.system import usable_cores

    segmenter = Segmenter(Options(threads=min(2, usable_cores()), second_pose=False, quality=quality))
    segmenter.warm()
    return Remembering(Reducing(segmenter))

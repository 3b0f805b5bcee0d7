"""Keeps photos in memory for later calls, for a short time and under a secret handle, never on disk.

So a page that changes the document, the background or the crop sends only a short request. A photo is available only to
the caller who sent it; for others its handle is unknown.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from idseg.errors import InputError

LIFE_S: Final = 900.0
"""Seconds after its last use until a photo is dropped."""
MOST_BYTES: Final = 64 * 1024 * 1024
"""Maximum bytes of all kept photos. The caller with the most bytes loses the least recently used photos first."""
MOST_OF_CALLER: Final = 40
"""Maximum photos per caller, enough for an office's batch; the least recently used ones are dropped first."""
_HANDLE_BYTES: Final = 24
"""Random bytes of a handle (192 bits), so that it cannot be guessed."""
MOST_HANDLE: Final = 64
"""Maximum characters of a handle in a request; real ones have 32."""


class UnknownHandleError(InputError):
    """There is no photo with this handle: it was dropped, or never existed."""

    reason = "unknown_handle"


@dataclass(slots=True)
class _Kept:
    caller: str
    content: bytes
    used: float


class Handles:
    """The kept photos of one process. Use it from one event loop."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        life_s: float = LIFE_S,
        most_bytes: int = MOST_BYTES,
        most_of_caller: int = MOST_OF_CALLER,
    ) -> None:
        self._clock = clock
        self.life_s: Final = life_s
        self._most_bytes = most_bytes
        self._most_of_caller = most_of_caller
        self._kept: dict[str, _Kept] = {}  # in the order of last use

    @property
    def count(self) -> int:
        return len(self._kept)

    @property
    def held_bytes(self) -> int:
        """Bytes of all kept photos."""
        return sum(len(kept.content) for kept in self._kept.values())

    def keep(self, caller: str, content: bytes) -> str:
        """Keep a photo and return its handle."""
        self.sweep()
        handle = secrets.token_urlsafe(_HANDLE_BYTES)
        self._kept[handle] = _Kept(caller, content, self._clock())
        mine = [name for name, kept in self._kept.items() if kept.caller == caller]
        for name in mine[: max(0, len(mine) - self._most_of_caller)]:
            del self._kept[name]
        while self.held_bytes > self._most_bytes and len(self._kept) > 1:
            del self._kept[self._to_go(handle)]
        return handle

    def _to_go(self, new: str) -> str:
        """The least recently used photo of the caller with the most bytes, except the new one."""
        held: Counter[str] = Counter()
        for kept in self._kept.values():
            held[kept.caller] += len(kept.content)
        others = [name for name in self._kept if name != new]
        return max(
            others, key=lambda name: held[self._kept[name].caller]
        )  # max() returns the first of equals, the least recently used

    def find(self, caller: str, handle: str) -> bytes:
        """The photo; this call extends its life.

        Raises:
            UnknownHandleError: this caller has no photo with this handle.
        """
        self.sweep()
        kept = self._kept.get(handle[:MOST_HANDLE])
        if kept is None or kept.caller != caller:
            raise UnknownHandleError("no photo is kept under this handle; send it again", life_s=self.life_s)
        kept.used = self._clock()
        self._kept[handle] = self._kept.pop(handle)
        return kept.content

    def forget(self, caller: str, handle: str) -> bool:
        """Drop a photo; returns whether it existed."""
        kept = self._kept.get(handle[:MOST_HANDLE])
        if kept is None or kept.caller != caller:
            return False
        del self._kept[handle]
        return True

    def sweep(self) -> None:
        """Drop all expired photos."""
        oldest = self._clock() - self.life_s
        for name in [name for name, kept in self._kept.items() if kept.used < oldest]:
            del self._kept[name]

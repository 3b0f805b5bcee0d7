"""Giving memory back. glibc keeps what was freed for the next time: after one photo of 16 million pixels a process
would look hundreds of megabytes large for the rest of its life."""

from __future__ import annotations

import asyncio
import ctypes
import sys
from collections.abc import Callable
from typing import Final

PAUSE_S: Final = 1.0
"""How often to look whether there is something to give back."""


def trim() -> None:
    """Hand freed pages back to the system; a few milliseconds. Does nothing where there is no glibc."""
    if sys.platform != "linux":
        return
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(ctypes.c_size_t(0))


async def trim_when_idle(done: Callable[[], int], busy: Callable[[], bool]) -> None:
    """For ever: whenever photos were finished (``done`` counts them) and none is being worked on, trim once."""
    trimmed = done()
    while True:
        await asyncio.sleep(PAUSE_S)
        if done() != trimmed and not busy():
            trimmed = done()
            await asyncio.to_thread(trim)

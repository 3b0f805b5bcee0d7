"""Measures memory of processes and returns freed memory to the system.

glibc keeps freed memory: after one photo of 16 million pixels, a worker would keep hundreds of megabytes. It also gives
each thread a heap (arena) of its own, up to eight per core, and each keeps its own freed memory.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Final

from idseg.system import of_libc, trim

_M_ARENA_MAX: Final = -8  # malloc.h
_M_MMAP_THRESHOLD: Final = -3
_M_TRIM_THRESHOLD: Final = -1
_MOST_ARENAS: Final = 2
"""One for the main thread and one for all others, which rarely allocate at the same time."""
_OWN_PAGES_BYTES: Final = 8 * 2**20
"""An allocation of this size gets pages of its own, which are returned as soon as it is freed. By default the threshold
rises up to 32 MiB, and large pictures end up between small objects, where they leave holes. With 1 MiB, every photo of
1 MP needs 8,000 new pages, which take the kernel an eighth of the photo's time."""
_KEPT_BYTES: Final = 32 * 2**20
"""Freed memory that a heap keeps for the next photo, until :func:`trim`."""
TRIM_EVERY_S: Final = 2.0
"""Interval at which :func:`keep_trimmed` looks."""
_TRIM_AFTER_CPU_S: Final = 0.05
"""CPU time after which a process may have freed memory worth returning; an idle server uses less between two looks."""


def set_up_malloc() -> None:
    """Let all threads of this process share two heaps without large pictures in them, so that freed memory can be
    returned. Call this before threads start. Does nothing without glibc."""
    mallopt = of_libc("mallopt")
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _MOST_ARENAS)
        mallopt(_M_MMAP_THRESHOLD, _OWN_PAGES_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


async def keep_trimmed() -> None:
    """Return freed memory every two seconds if this process has worked; runs until it is cancelled."""
    worked_s = time.process_time()
    while True:
        await asyncio.sleep(TRIM_EVERY_S)
        if time.process_time() - worked_s > _TRIM_AFTER_CPU_S:
            await asyncio.to_thread(trim)
            worked_s = time.process_time()


def resident_bytes(pid: int | None = None) -> int:
    """Resident memory of a process (default: this one), bytes; 0 if there is no /proc or no such process."""
    try:
        statm = Path(f"/proc/{'self' if pid is None else pid}/statm").read_text(encoding="ascii")
        return int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0

"""Memory of processes: how much they hold, and giving it back. glibc keeps what was freed for the next time: after one
photo of 16 million pixels a worker would look hundreds of megabytes large for the rest of its life."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path


def trim() -> None:
    """Hand freed pages back to the system; a few milliseconds. Does nothing where there is no glibc."""
    if sys.platform != "linux":
        return
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(ctypes.c_size_t(0))


def resident_bytes(pid: int | None = None) -> int:
    """Resident memory of a process, by default of this one; 0 where there is no /proc or no such process."""
    try:
        statm = Path(f"/proc/{'self' if pid is None else pid}/statm").read_text(encoding="ascii")
        return int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0

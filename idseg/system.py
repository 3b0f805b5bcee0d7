"""The machine and its files: usable cores, freed memory, two functions at the same time, and atomic writes."""

from __future__ import annotations

import ctypes
import os
import re
import secrets
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Executor

First = TypeVar("First")
Second = TypeVar("Second")
Item = TypeVar("Item")

UNFINISHED: Final = re.compile(r"\..{1,100}\.[0-9a-f]{16}\.part", re.DOTALL)
"""Names of temporary files of :func:`replacing`, which a killed process leaves behind."""
CORES: Final = Path("/sys/devices/system/cpu/possible")
"""On Linux MediaPipe's memory allocator reads this file as it loads, and without it ends the process."""
_CGROUP: Final = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """Number of cores that this process may use, at least 1: its affinity and, in a container, its CPU quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cgroup_quota(_CGROUP)
    return cores if quota is None else max(1, min(cores, int(quota)))


def _cgroup_quota(root: Path) -> float | None:
    """CPU quota of the control group, in cores; None if there is no limit.

    Version 2 has ``cpu.max`` ("QUOTA PERIOD" or "max PERIOD", microseconds), version 1 ``cpu.cfs_quota_us`` (-1: no
    limit) and ``cpu.cfs_period_us`` (Linux kernel, admin-guide/cgroup-v2.rst and scheduler/sched-bwc.rst).
    """
    try:
        quota, period = (root / "cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        try:
            quota, period = (
                (root / "cpu" / name).read_text(encoding="ascii") for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            )
        except OSError:
            return None
    try:
        return int(quota) / int(period) if int(quota) > 0 and int(period) > 0 else None
    except ValueError:  # "max"
        return None


def side_by_side(
    pool: Executor | None, first: Callable[[], First], second: Callable[[], Second]
) -> tuple[First, Second]:
    """The results of two functions. ``second`` runs in a thread of ``pool`` if one is free in time; else, or without a
    pool, it runs here after ``first``.

    ``second`` must not use the pool, so that no thread of the pool waits for another. When an error of either is
    raised, both have ended.
    """
    try:
        future = pool.submit(second) if pool is not None else None
    except RuntimeError:  # the pool was closed, or the interpreter ends
        future = None
    if future is None:
        return first(), second()
    try:
        found = first()
    except BaseException:
        if not future.cancel():
            future.exception()  # waits
        raise
    return found, second() if future.cancel() else future.result()


def share_out(pool: Executor | None, items: Iterable[Item], work: Callable[[Item], None]) -> None:
    """Call ``work`` for each item: here, and beside it in a thread of ``pool``. Each takes the next item when it is
    ready; put the long ones first. Errors and threads are those of :func:`side_by_side`."""
    left = deque(items)

    def take() -> None:
        while True:
            try:
                item = left.popleft()
            except IndexError:  # the other thread took the last one
                return
            work(item)

    side_by_side(pool, take, take)


def threads_of_half(threads: int | None) -> int:
    """Threads for each of two functions that run side by side, given those for both; None or 0: one for each core. (Two
    threads in one small task mostly wait for each other.)"""
    return max((threads or usable_cores()) // 2, 1)


def trim() -> None:
    """Return freed pages to the system; takes a few milliseconds. Does nothing without glibc."""
    malloc_trim = of_libc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(ctypes.c_size_t(0))


def of_libc(name: str) -> Any:
    """A function of glibc; None elsewhere."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


def write(path: str | os.PathLike[str], content: bytes, *, sync: bool = False, private: bool = False) -> None:
    """Write a file atomically; see :func:`replacing`."""
    with replacing(path, sync=sync, private=private) as file:
        file.write(content)


@contextmanager
def replacing(path: str | os.PathLike[str], *, sync: bool = False, private: bool = False) -> Iterator[BinaryIO]:
    """A temporary file for writing, which replaces ``path`` at the end of the block.

    Args:
        path: the file; its folder must exist.
        sync: wait until the content is on the disk, so that it survives a power failure.
        private: only the owner may read and write the file (mode 0600).

    Raises:
        OSError: the file cannot be written. After any error in the block, the old file is unchanged and the temporary
            file is removed.
    """
    target = Path(path)
    unfinished = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}.part")
    try:
        handle = os.open(unfinished, _NEW_FILE, 0o600 if private else 0o666)
        with open(handle, "wb") as file:
            yield file
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(unfinished, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(unfinished)
        raise


_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)

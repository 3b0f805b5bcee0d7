"""Small private files: written atomically, locked while they change, and read again after a change."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from idseg import system
from idseg.errors import OptionError


def write_private(path: Path, content: bytes) -> None:
    """Write a file with mode 0600 atomically.

    Raises:
        OptionError: the disk is full or the folder is not writable. No partial file remains.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        system.write(path, content, sync=True, private=True)
    except OSError as error:
        raise OptionError(f"{path} cannot be written: {error.strerror}", path=str(path)) from None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock: an empty file ``.NAME.lock`` beside the file, which is not deleted.

    Raises:
        OptionError: the folder is not writable.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise OptionError(f"{path.parent} cannot be written: {error.strerror}", path=str(path)) from None
    try:
        _lock(handle)  # released when the handle is closed
        yield
    finally:
        os.close(handle)


def _lock(handle: int) -> None:
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined, unused-ignore]
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX)


def stamp_of(path: Path) -> tuple[int, ...]:
    """A value that changes when the file is changed, replaced or removed."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_mtime_ns, status.st_size, status.st_mode

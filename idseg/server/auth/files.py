"""Small private files: written whole, locked while they are changed, read again when they were."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from idseg import system
from idseg.errors import OptionError


def write_private(path: Path, content: bytes) -> None:
    """Write a file with mode 0600 and move it to its place, so that no reader ever sees half of it.

    Raises:
        OptionError: the disk is full, or the folder cannot be written; nothing is left behind.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        system.write(path, content, sync=True, private=True)
    except OSError as error:
        raise OptionError(f"{path} cannot be written: {error.strerror}", path=str(path)) from None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Nobody else who asks for this lock has it meanwhile: an empty file ``.NAME.lock`` beside it, which stays.

    Raises:
        OptionError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise OptionError(f"{path.parent} cannot be written: {error.strerror}", path=str(path)) from None
    try:
        _lock(handle)  # ends with the handle
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
    """Differs when the file was changed, replaced or removed."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_mtime_ns, status.st_size, status.st_mode

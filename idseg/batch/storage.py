"""Reads and writes local files and everything that fsspec supports (s3://, gs://, abfs://, memory://, …).

Only this file imports fsspec, and only for URLs.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, TextIO, TypeVar

from idseg import system
from idseg.errors import DependencyError, PhotoReadError

T = TypeVar("T")

_PAUSES_S = (0.5, 2.0, 8.0)
"""Waits before a remote access is retried; a bucket's throttling ends within seconds."""

_CHANGES = ("ETag", "etag", "md5Hash", "LastModified", "Last-Modified", "last_modified", "mtime", "updated", "created")
"""Names that fsspec's filesystems use for the tag or the date of a file."""


def is_url(place: str) -> bool:
    return "://" in place


def read(source: str, most_bytes: int) -> bytes:
    """Read a photo's bytes, at most ``most_bytes`` + 1, so that decoding can refuse a longer one.

    Raises:
        PhotoReadError: it does not exist or cannot be read (a remote one: after four attempts).
    """
    try:
        if not is_url(source):
            with open(source, "rb") as file:
                return file.read(most_bytes + 1)
        return _with_retries(lambda: _read_url(source, most_bytes))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        text = getattr(error, "strerror", None) or str(error)
        raise PhotoReadError(f"Cannot read {source[-120:]!r}: {text}.", path=source[-120:]) from error


def write(target: str, content: bytes) -> None:
    """Write a file completely or not at all; its folder is created if missing.

    Raises:
        OSError: it cannot be written (a remote one: after four attempts).
    """
    if is_url(target):
        _with_retries(lambda: _write_url(target, content))
        return
    try:
        system.write(target, content)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        system.write(target, content)


def length(target: str) -> int | None:
    """Length of a file in bytes; None if it does not exist."""
    try:
        if not is_url(target):
            return os.stat(target).st_size
        system, path = filesystem(target)
        return int(system.info(path)["size"])
    except (OSError, ValueError):
        return None


def version(url: str) -> str:
    """Changes when the content of the URL changes: its length with its tag or date; empty if unknown."""
    try:
        system, path = filesystem(url)
        return _version(system.info(path))
    except (OSError, ValueError):
        return ""


def _version(info: Mapping[str, Any]) -> str:
    changed = next((info[name] for name in _CHANGES if info.get(name)), "")
    size = info.get("size")
    return f"{size}-{changed}" if changed or size is not None else ""


def remove(target: str) -> None:
    """Delete a file if it exists."""
    with suppress(FileNotFoundError):
        if is_url(target):
            system, path = filesystem(target)
            system.rm_file(path)
        else:
            os.unlink(target)


def join(folder: str, name: str) -> str:
    return f"{folder.rstrip('/')}/{name}" if is_url(folder) else os.path.join(folder, *name.split("/"))


@lru_cache(maxsize=16)
def _filesystem(scheme_and_host: str) -> Any:
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise DependencyError(f"{scheme_and_host} needs fsspec; install it with: pip install 'idseg[ray]'") from error
    try:
        return url_to_fs(scheme_and_host)[0]
    except ImportError as error:  # fsspec's message names the package
        raise DependencyError(f"{scheme_and_host} needs a package: {error}") from error


def filesystem(url: str) -> tuple[Any, str]:
    """The fsspec filesystem of a URL (one per bucket and process), and the path in it."""
    scheme, _, rest = url.partition("://")
    system = _filesystem(f"{scheme}://{rest.partition('/')[0]}")
    return system, str(system._strip_protocol(url))


def walk_url(url: str) -> Iterator[tuple[str, str, str]]:
    """Yield (key, URL, version) of every file under ``url``, folder by folder, sorted within a folder."""
    system, top = filesystem(url)
    scheme = url.partition("://")[0]
    for folder, _, files in system.walk(top, detail=True):
        for name in sorted(files):
            path = f"{folder.rstrip('/')}/{name}"
            yield path[len(top) :].strip("/"), f"{scheme}://{path.lstrip('/')}", _version(files[name])


def _read_url(source: str, most_bytes: int) -> bytes:
    system, path = filesystem(source)
    with system.open(path, "rb") as file:
        content: bytes = file.read(most_bytes + 1)
    return content


def _write_url(target: str, content: bytes) -> None:
    system, path = filesystem(target)
    with suppress(OSError):  # object stores have no folders
        system.makedirs(system._parent(path), exist_ok=True)
    system.pipe_file(path, content)


def _with_retries(action: Callable[[], T]) -> T:
    """Call ``action``; retry it after a pause if the network may be the cause of an error."""
    for pause_s in _PAUSES_S:
        try:
            return action()
        except (FileNotFoundError, PermissionError, IsADirectoryError):
            raise
        except OSError:
            time.sleep(pause_s)
    return action()


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """A text file for writing piece by piece, which replaces ``path`` at the end of the block."""
    with system.replacing(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
        yield text
        text.detach()

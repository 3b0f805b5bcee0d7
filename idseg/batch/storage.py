"""Bytes in and out: local files, and everything that fsspec reaches (s3://, gs://, abfs://, memory://, …).

The only file that imports fsspec, and only for URLs.
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
"""Waits before a remote read or write is tried again: a bucket's throttling is over in seconds."""

_CHANGES = ("ETag", "etag", "md5Hash", "LastModified", "Last-Modified", "last_modified", "mtime", "updated", "created")
"""What fsspec's filesystems call the tag or the date of a file."""


def is_url(place: str) -> bool:
    return "://" in place


def read(source: str, most_bytes: int) -> bytes:
    """A photo's bytes; at most one more than ``most_bytes``, so that decoding can refuse it.

    Raises:
        PhotoReadError: it is not there, or cannot be read (a remote one: four times).
    """
    try:
        if not is_url(source):
            with open(source, "rb") as file:
                return file.read(most_bytes + 1)
        return _again(lambda: _read_url(source, most_bytes))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        text = getattr(error, "strerror", None) or str(error)
        raise PhotoReadError(f"Cannot read {source[-120:]!r}: {text}.", path=source[-120:]) from error


def write(target: str, content: bytes) -> None:
    """Writes all of a file or nothing; its folder is made.

    Raises:
        OSError: it cannot be written (a remote one: four times).
    """
    if is_url(target):
        _again(lambda: _write_url(target, content))
        return
    try:
        system.write(target, content)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        system.write(target, content)


def length(target: str) -> int | None:
    """Bytes of a file, None where there is none."""
    try:
        if not is_url(target):
            return os.stat(target).st_size
        system, path = filesystem(target)
        return int(system.info(path)["size"])
    except (OSError, ValueError):
        return None


def version(url: str) -> str:
    """Changes when what is behind the URL changes: its length and its tag or date; empty where nobody says."""
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
    """Deletes a file that may be gone already."""
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
    except ImportError as error:  # fsspec says which package reads that scheme
        raise DependencyError(f"{scheme_and_host} needs a package: {error}") from error


def filesystem(url: str) -> tuple[Any, str]:
    """The fsspec filesystem of a URL (one per bucket and process) and the path in it."""
    scheme, _, rest = url.partition("://")
    system = _filesystem(f"{scheme}://{rest.partition('/')[0]}")
    return system, str(system._strip_protocol(url))


def walk_url(url: str) -> Iterator[tuple[str, str, str]]:
    """(key, URL, version) of every file under ``url``, folder by folder, sorted within a folder."""
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


def _again(action: Callable[[], T]) -> T:
    """``action()``, tried again after a pause where the network may have failed it."""
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
    """A text file written piece by piece that takes its place only when all of it is there."""
    with system.replacing(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
        yield text
        text.detach()

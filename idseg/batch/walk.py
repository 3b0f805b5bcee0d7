"""The photos of a local folder, in a fixed order, whatever lies in it."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import partial

from idseg.batch.items import Item, Trouble
from idseg.imaging.formats.sniff import sniff
from idseg.stages.decode import FORMATS

STATE_FOLDER = ".idseg-batch"
"""In an output folder; a folder that has it holds answers, not photos."""

_OLD = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".bmp", ".dib"})
PHOTO_SUFFIXES = _OLD | {".heic", ".heif", ".hif", ".avif", ".webp", ".gif", ".tif", ".tiff"}
SYSTEM_FOLDERS = frozenset(
    {
        *("@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@tmp"),  # Synology, QNAP
        *("__macosx", "$recycle.bin", "system volume information", "lost+found"),
    }
)
"""Folders of thumbnails and deleted files that NAS, macOS' archives, Windows and Linux make, in lower case. (Names that
begin with a dot, as ``.thumbnails`` and ``._a.jpg``, are hidden anyway.)"""
_UNREAD = frozenset({".jxl", ".jp2", ".psd"})
_RAW = frozenset({".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"})
OTHER_PICTURES = _UNREAD | _RAW
"""Taken too, so that the report says that they are not readable, instead of passing over someone's photo."""


class Skip(Enum):
    """What was passed over, and counted."""

    OTHER = "not a photo"
    HIDDEN = "hidden"
    SYSTEM = "thumbnails or deleted files of the system"
    EXCLUDED = "excluded"
    ANSWERS = "output folder"
    LINK_LOOP = "folder linked twice"
    TWICE = "named twice"


Found = Item | Trouble | Skip


@dataclass(frozen=True, slots=True)
class _Folder:
    path: str
    key: str
    """Its path in the tree; empty for the top, else with a ``/`` at its end."""


def never(key: str) -> bool:
    """Nothing is excluded."""
    return False


def walk(top: str, out: str | None, excluded: Callable[[str], bool] = never) -> Iterator[Found]:
    """Everything under the folder ``top``, sorted by name within each folder; ``out`` is left alone.

    ``excluded`` is asked about the path in the tree of each file and folder; a folder that is excluded is not read.

    Links to files are followed. Links to folders are followed after all real folders: a folder that was read already
    is not read again, so that no loop of links is endless and every photo has one place.
    """
    seen: set[tuple[int, int]] = set()
    links: deque[_Folder] = deque()
    look = partial(_look, excluded=excluded)
    links.append(_Folder(top, ""))
    while links:
        yield from _walk_real(links.popleft(), seen, links, out, look)


def _walk_real(
    top: _Folder,
    seen: set[tuple[int, int]],
    links: deque[_Folder],
    out: str | None,
    look: Callable[[os.DirEntry[str], str], Found | _Folder],
) -> Iterator[Found]:
    """One folder and the real folders under it; what is linked is put on ``links``."""
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        try:
            status = os.stat(folder.path)
            with os.scandir(folder.path) as entries:
                names = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield Trouble(folder.key or "./", "folder_unreadable", f"Cannot read the folder: {error.strerror}.")
            continue
        identity = (status.st_dev, status.st_ino)
        if identity in seen:
            yield Skip.LINK_LOOP
            continue
        seen.add(identity)
        if _is_out(folder.path, out) or any(entry.name == STATE_FOLDER for entry in names):
            yield Skip.ANSWERS
            continue
        inner: list[_Folder] = []
        for entry in names:
            found = look(entry, folder.key)
            if isinstance(found, _Folder):
                (links if entry.is_symlink() else inner).append(found)
            else:
                yield found
        waiting.extend(reversed(inner))


def _is_out(path: str, out: str | None) -> bool:
    return out is not None and os.path.exists(out) and os.path.samefile(path, out)


def _look(entry: os.DirEntry[str], folder_key: str, excluded: Callable[[str], bool]) -> Found | _Folder:
    key = folder_key + entry.name
    if entry.name.startswith("."):
        return Skip.HIDDEN
    if excluded(key):
        return Skip.EXCLUDED
    try:
        if entry.is_dir():
            if entry.name.lower() in SYSTEM_FOLDERS:
                return Skip.SYSTEM
            return _Folder(entry.path, key + "/")
        if not entry.is_file():
            if entry.is_symlink() and is_photo_name(entry.name):
                return Trouble(key, "photo_read", "A link to nothing.")
            return Skip.OTHER  # a socket, a pipe, a device
        return item(entry.path, key) if is_photo(entry.path) else Skip.OTHER
    except OSError as error:  # a link to itself
        told = Trouble(key, "photo_read", f"Cannot look at it: {error.strerror}.")
        return told if is_photo_name(entry.name) else Skip.OTHER


def is_photo_name(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in PHOTO_SUFFIXES | OTHER_PICTURES


def is_photo(path: str) -> bool:
    """By the suffix; a file without one by its first bytes."""
    suffix = os.path.splitext(path)[1]
    if suffix:
        return is_photo_name(path)
    try:
        with open(path, "rb") as file:
            return sniff(file.read(512)) in FORMATS
    except OSError:
        return False


def item(path: str, key: str) -> Item:
    """The photo at ``path``.

    Raises:
        OSError: it is not there.
    """
    status = os.stat(path)
    return Item(key, path, f"{status.st_size}-{status.st_mtime_ns}")

"""Yields the photos of a local folder in a fixed order."""

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
"""State folder inside an output folder. A folder that contains it holds answers, not photos."""

_OLD = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".bmp", ".dib"})
PHOTO_SUFFIXES = _OLD | {".heic", ".heif", ".hif", ".avif", ".webp", ".gif", ".tif", ".tiff"}
SYSTEM_FOLDERS = frozenset(
    {
        *("@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@tmp"),  # Synology, QNAP
        *("__macosx", "$recycle.bin", "system volume information", "lost+found"),
    }
)
"""Folders for thumbnails and deleted files made by NAS systems, macOS archives, Windows and Linux, in lower case.
(Names that start with a dot, such as ``.thumbnails`` and ``._a.jpg``, are hidden anyway.)"""
_UNREAD = frozenset({".jxl", ".jp2", ".psd"})
_RAW = frozenset({".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"})
OTHER_PICTURES = _UNREAD | _RAW
"""Suffixes of pictures that idseg cannot read. They are taken, so that the report names them."""


class Skip(Enum):
    """Reasons for skipping a file; skipped files are counted."""

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
    """Path in the tree; empty for the top, otherwise ends with ``/``."""


def never(key: str) -> bool:
    """Exclude nothing."""
    return False


def walk(top: str, out: str | None, excluded: Callable[[str], bool] = never) -> Iterator[Found]:
    """Yield everything under the folder ``top``, sorted by name within each folder, except ``out``.

    ``excluded`` is called with the path in the tree of each file and folder. An excluded folder is not read.

    Links to files are followed. Links to folders are followed after all real folders, and a folder is read only once,
    so that loops of links end and every photo has one place.
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
    """Yield the content of one folder and of the real folders in it; linked folders are appended to ``links``."""
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
    except OSError as error:  # for example, a link to itself
        trouble = Trouble(key, "photo_read", f"Cannot look at it: {error.strerror}.")
        return trouble if is_photo_name(entry.name) else Skip.OTHER


def is_photo_name(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in PHOTO_SUFFIXES | OTHER_PICTURES


def is_photo(path: str) -> bool:
    """Whether a file is a photo: by its suffix, or without one by its first bytes."""
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
        OSError: the file does not exist.
    """
    status = os.stat(path)
    return Item(key, path, f"{status.st_size}-{status.st_mtime_ns}")

"""CSV and JSONL files that list photos, one per line, with an optional name for the output files.

CSV (``.csv``, ``.tsv``, see :mod:`idseg.batch.excel`): the first line has a column ``photo`` (or ``path``, ``file``,
``image``, 照片, …) and optionally ``name``. JSONL (``.jsonl``, ``.ndjson``): objects with the same fields, or plain
strings. Relative paths start at the manifest's folder and may use ``/`` or ``\\``; URLs are used as they are. All
listed files are taken, whatever their suffix.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from idseg.batch import excel
from idseg.batch.items import LISTED, Item, Trouble, clean_key
from idseg.batch.storage import is_url
from idseg.batch.walk import Found, item
from idseg.errors import OptionError

SUFFIXES = frozenset({".csv", ".tsv", ".jsonl", ".ndjson"})
_PHOTO_FIELDS = ("photo", "path", "file", "image", "filename", "file_name", "照片", "图片", "文件", "文件名", "路径")
_NAME_FIELDS = ("name", "名称", "姓名")


def is_manifest(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in SUFFIXES and os.path.isfile(path)


def read_manifest(path: str) -> Iterator[Found]:
    """Yield the listed photos in order; a line that cannot be used gives a Trouble.

    Raises:
        OptionError: the manifest cannot be read, is not CSV, or has no column of photos.
    """
    folder = os.path.dirname(os.path.abspath(path))
    try:
        encoding = excel.encoding_of(path, lambda text: excel.exists(folder, text))
        errors = "surrogateescape" if encoding.startswith("utf-8") else "strict"
        with open(path, encoding=encoding, errors=errors, newline="") as file:
            jsonl = path.lower().endswith(("jsonl", "ndjson"))
            for line, row in _jsonl(file) if jsonl else excel.rows(file, path, _PHOTO_FIELDS):
                yield _found(path, line, row)
    except OSError as error:
        raise OptionError(f"cannot read the manifest {path}: {error.strerror}", path=path) from error
    except UnicodeError as error:
        raise OptionError(f"cannot read the manifest {path} as {encoding}: save it as UTF-8", path=path) from error


def _jsonl(file: Any) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(file, 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError):
                yield number, None


def _found(manifest: str, line: int, row: Any) -> Found:
    fields: Mapping[str, Any] = {"photo": row} if isinstance(row, str) else row if isinstance(row, Mapping) else {}
    photo = next((fields[name] for name in _PHOTO_FIELDS if fields.get(name)), None)
    name = next((fields[name] for name in _NAME_FIELDS if fields.get(name)), None)
    where = f"{os.path.basename(manifest)}:{line}"
    if not isinstance(photo, str) or not (name is None or isinstance(name, str)):
        return Trouble(where, "manifest_line", "No photo in this line.")
    folder = os.path.dirname(os.path.abspath(manifest))
    source = photo if is_url(photo) else _path(folder, photo)
    key = clean_key(name.replace("\\", "/")) if name else _key(source, folder)
    if key is None:
        return Trouble(where, "manifest_line", f"The name {name or photo!r} does not stay in the output folder.")
    if is_url(source):
        return Item(key, source, LISTED)
    try:
        return item(source, key)
    except (OSError, ValueError) as error:
        text = getattr(error, "strerror", None) or str(error)
        return Trouble(key, "photo_read", f"Cannot read {photo!r}: {text}.")


def _path(folder: str, photo: str) -> str:
    """The photo's path. A name with ``\\`` that does not exist is read as a Windows path."""
    path = os.path.join(folder, photo)
    if "\\" in photo and not os.path.lexists(path):
        return os.path.join(folder, photo.replace("\\", "/"))
    return path


def _key(source: str, folder: str) -> str | None:
    """Relative path from the manifest's folder, if the photo is below it; otherwise the absolute path without root."""
    if is_url(source):
        return clean_key(source.partition("://")[2])
    path = os.path.abspath(source)
    try:
        inside = os.path.relpath(path, folder)
    except ValueError:  # on another Windows drive
        inside = os.pardir
    if inside.split(os.sep)[0] != os.pardir:
        return clean_key(inside.replace(os.sep, "/"))
    return clean_key(os.path.splitdrive(path)[1].replace(os.sep, "/").lstrip("/"))

"""CSV and JSONL files that list photos: one photo a line, with an optional name for its files.

CSV (``.csv``, ``.tsv``): a header with a column ``photo`` (or ``path``, ``file``, ``image``) and maybe ``name``.
JSONL (``.jsonl``, ``.ndjson``): objects with the same fields, or plain strings. Relative paths start at the manifest's
own folder; URLs stay what they are. All that is listed is taken, whatever its suffix.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from idseg.batch.items import Item, Trouble, clean_key
from idseg.batch.storage import is_url
from idseg.batch.walk import Found, item
from idseg.errors import OptionError

SUFFIXES = frozenset({".csv", ".tsv", ".jsonl", ".ndjson"})
_PHOTO_FIELDS = ("photo", "path", "file", "image")


def is_manifest(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in SUFFIXES and os.path.isfile(path)


def read_manifest(path: str) -> Iterator[Found]:
    """The photos that it lists, in its order; a line that cannot be used is a Trouble.

    Raises:
        OptionError: it cannot be read, or a CSV has no column of photos.
    """
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            rows = _jsonl(file) if path.lower().endswith(("jsonl", "ndjson")) else _csv(file, path)
            for line, row in rows:
                yield _found(path, line, row)
    except OSError as error:
        raise OptionError(f"cannot read the manifest {path}: {error.strerror}", path=path) from error


def _csv(file: Any, path: str) -> Iterator[tuple[int, Any]]:
    reader = csv.DictReader(file, dialect="excel-tab" if path.lower().endswith(".tsv") else "excel")
    if not set(_PHOTO_FIELDS) & set(reader.fieldnames or ()):
        raise OptionError(
            f"{path} has no column {', '.join(_PHOTO_FIELDS)}; its first line is {list(reader.fieldnames or ())}",
            path=path,
        )
    for row in reader:
        yield reader.line_num, row


def _jsonl(file: Any) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(file, 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except ValueError:
                yield number, None


def _found(manifest: str, line: int, row: Any) -> Found:
    fields: Mapping[str, Any] = {"photo": row} if isinstance(row, str) else row if isinstance(row, Mapping) else {}
    photo = next((fields[name] for name in _PHOTO_FIELDS if fields.get(name)), None)
    name = fields.get("name") or None
    where = f"{os.path.basename(manifest)}:{line}"
    if not isinstance(photo, str) or not (name is None or isinstance(name, str)):
        return Trouble(where, "manifest_line", "No photo in this line.")
    folder = os.path.dirname(os.path.abspath(manifest))
    source = photo if is_url(photo) else os.path.join(folder, photo)
    key = clean_key(name) if name else _key(source, folder)
    if key is None:
        return Trouble(where, "manifest_line", f"The name {name!r} does not stay in the output folder.")
    if is_url(source):
        return Item(key, source, "listed")
    try:
        return item(source, key)
    except (OSError, ValueError) as error:
        text = getattr(error, "strerror", None) or str(error)
        return Trouble(key, "photo_read", f"Cannot read {photo!r}: {text}.")


def _key(source: str, folder: str) -> str | None:
    """Below the manifest's folder: the path from there; else the whole path without its root."""
    if is_url(source):
        return clean_key(source.partition("://")[2])
    path = os.path.abspath(source)
    inside = os.path.relpath(path, folder)
    if inside.split(os.sep)[0] != os.pardir:
        return clean_key(inside.replace(os.sep, "/"))
    return clean_key(os.path.splitdrive(path)[1].replace(os.sep, "/").lstrip("/"))

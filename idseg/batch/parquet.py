"""Reads and writes Parquet files, for photos in data sets. Only this file imports pyarrow.

Input: a column of file bytes (``image``, ``photo``, ``bytes`` or ``content``; or Hugging Face's struct of ``bytes`` and
``path``), and optionally a column of names (``name``, ``key``, ``file_name``, ``path``). A photo's source is
``FILE#ROW``.

Output (Ray only): one shard per block of photos, ``answers/HASH.parquet``, one row per photo: ``photo``, ``status``,
``reason``, ``message``, ``facts`` (JSON) and the bytes of each product. All shards have the same schema
(:func:`schema`): a product that was not requested, or that no photo of the block has, is a column of nulls. If a photo
was processed again, the row in the shard named in ``report.csv`` is the valid one.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from idseg.batch import storage
from idseg.batch.items import Item, Outcome, Trouble, clean_key, number64
from idseg.batch.products import ENDINGS
from idseg.errors import DependencyError, OptionError, PhotoReadError

SHARDS = "answers"
_IMAGES = ("image", "photo", "bytes", "content")
_NAMES = ("name", "key", "file_name", "path")
_ROW = re.compile(r"(.+\.parquet)#(\d+)", re.IGNORECASE | re.DOTALL)


def is_parquet(source: str) -> bool:
    return source.lower().rstrip("/").endswith(".parquet")


def row_of(source: str) -> tuple[str, int] | None:
    """(file, row) of a source ``FILE.parquet#ROW``; None for other sources."""
    match = _ROW.fullmatch(source)
    return (match[1], int(match[2])) if match else None


def find_rows(source: str) -> Iterator[Item | Trouble]:
    """Yield the photos of a Parquet file, or of a folder of Parquet files whose name ends in ``.parquet``.

    Raises:
        OptionError: it has no column of photos, or is not a Parquet file.
    """
    if storage.is_url(source):
        files = sorted(url for key, url, _ in storage.walk_url(source) if is_parquet(url))
    elif os.path.isdir(source):
        files = sorted(os.path.join(source, name) for name in os.listdir(source) if is_parquet(name))
    else:
        files = [source]
    for file in files or [source]:
        yield from _rows(file, os.path.splitext(os.path.basename(file))[0])


def read_row(file: str, row: int) -> bytes:
    """Read the bytes of one photo; its row group stays in memory for the next photo.

    Raises:
        PhotoReadError: the row does not exist or cannot be read.
    """
    try:
        return _read_row(file, row)
    except (OSError, ValueError) as error:  # pyarrow raises ValueError for a damaged file
        raise PhotoReadError(f"Cannot read row {row} of {file[-120:]!r}: {error}.", path=file[-120:]) from error


def _read_row(file: str, row: int) -> bytes:
    opened = _opened(file)
    first = 0
    for group in range(opened.num_row_groups):
        count = opened.metadata.row_group(group).num_rows
        if row < first + count:
            value = _images(file, group)[row - first].as_py()
            return (value["bytes"] if isinstance(value, dict) else value) or b""
        first += count
    raise OSError("no such row")


def write_shard(outcomes: Sequence[Outcome], here: str, out: str) -> list[Outcome]:
    """Write one Parquet file with the answers whose files are in the folder ``here``, and delete those files.

    The name depends only on the photos, so processing the same block again replaces the shard.

    Returns:
        the outcomes, with the shard as their only file.
    """
    pyarrow = _pyarrow()
    columns: dict[str, Sequence[Any]] = {
        "photo": [outcome.key.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for outcome in outcomes],
        "status": [outcome.status for outcome in outcomes],
        "reason": [outcome.reason for outcome in outcomes],
        "message": [outcome.message.encode("utf-8", "backslashreplace").decode() for outcome in outcomes],
        "facts": [json.dumps(dict(outcome.facts)) for outcome in outcomes],
    }
    for product, ending in ENDINGS.items():
        columns[product] = [_taken(here, outcome.key + ending, outcome.files) for outcome in outcomes]
    table = pyarrow.table(columns, schema=schema())
    stream = io.BytesIO()
    pyarrow.parquet.write_table(table, stream, compression="none")  # PNG and JPEG are already compressed
    name = f"{SHARDS}/{number64(chr(10).join(outcome.key for outcome in outcomes)):016x}.parquet"
    storage.write(storage.join(out, name), stream.getvalue())
    return [replace(outcome, files={name: stream.getbuffer().nbytes}) for outcome in outcomes]


def schema() -> Any:
    """The columns of every shard, a pyarrow.Schema."""
    pyarrow = _pyarrow()
    texts = [(name, pyarrow.string()) for name in ("photo", "status", "reason", "message", "facts")]
    return pyarrow.schema([*texts, *((product, pyarrow.binary()) for product in ENDINGS)])


def _taken(folder: str, name: str, files: Mapping[str, int]) -> bytes | None:
    if name not in files:
        return None
    path = storage.join(folder, name)
    with open(path, "rb") as file:
        content = file.read()
    os.unlink(path)
    return content


def _rows(file: str, stem: str) -> Iterator[Item | Trouble]:
    try:
        opened = _opened(file)
        version = str(storage.length(file)) if storage.is_url(file) else str(os.stat(file).st_mtime_ns)
    except (OSError, ValueError) as error:
        raise OptionError(f"cannot read {file} as Parquet: {error}", path=file) from error
    names = next((name for name in _NAMES if name in opened.schema_arrow.names), None)
    image = _image_column(opened, file)
    row = 0
    for batch in opened.iter_batches(columns=[names] if names else [], batch_size=4096):
        keys = batch.column(0).to_pylist() if names else [None] * batch.num_rows
        for key in keys:
            name = clean_key(str(key).strip("/")) if key is not None else f"{stem}/{row:08}"
            source = f"{file}#{row}"
            if name is None:
                yield Trouble(f"{stem}#{row}", "manifest_line", f"The name {key!r} does not stay in the output folder.")
            else:
                yield Item(name, source, f"{version}-{image}-{row}")
            row += 1


def _image_column(opened: Any, file: str) -> str:
    found = next((name for name in _IMAGES if name in opened.schema_arrow.names), None)
    if found is None:
        raise OptionError(f"{file} has no column {', '.join(_IMAGES)}; it has {opened.schema_arrow.names}", path=file)
    return found


@lru_cache(maxsize=8)
def _opened(file: str) -> Any:
    pyarrow = _pyarrow()
    if not storage.is_url(file):
        return pyarrow.parquet.ParquetFile(file, memory_map=True)
    system, path = storage.filesystem(file)
    return pyarrow.parquet.ParquetFile(system.open(path, "rb"))


@lru_cache(maxsize=2)
def _images(file: str, group: int) -> Any:
    opened = _opened(file)
    return opened.read_row_group(group, columns=[_image_column(opened, file)]).column(0)


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise DependencyError("Parquet needs pyarrow; install it with: pip install 'idseg[ray]'") from error
    return pyarrow

"""The values of a batch: a photo to process, its outcome, and the error that stops a batch."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from hashlib import blake2b
from typing import Any, Literal

from idseg.errors import IdsegError

LISTED = "listed"
"""Version of a URL that a manifest names. Its real version is requested when the photo is read."""

Status = Literal["ok", "refused", "failed"]
"""``ok``: answered. ``refused``: the photo is unsuitable (damaged, nobody, two people, …), which another try would not
change. ``failed``: another cause (unreadable file, a dead worker, an error in idseg)."""


class BatchError(IdsegError, RuntimeError):
    """A batch cannot continue (disk full, workers that die while loading). Finished work is kept."""

    reason = "batch"


@dataclass(frozen=True, slots=True)
class Item:
    """A photo to process."""

    key: str
    """Path in the tree, with ``/``. It is unique in a batch, and the names of the output files start with it."""
    source: str
    """Location of the bytes: a local path, an fsspec URL, or ``FILE.parquet#ROW``."""
    version: str
    """Changes when the photo changes: ``SIZE-MTIME_NS``, a bucket's ``SIZE-ETAG``, or :data:`LISTED`."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """An input that cannot be examined. The report lists it, and every run tries it again."""

    key: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one photo; the journal stores it."""

    key: str
    version: str
    status: Status
    reason: str = ""
    """Empty if ok; otherwise an ``IdsegError.reason``, or ``worker_died``, ``timeout``, ``write``, ``fault``, …"""
    message: str = ""
    files: Mapping[str, int] = field(default_factory=dict)
    """File name in the output folder → length in bytes."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Sizes, classes and angles for the report."""
    seconds: float = 0.0
    tries: int = 1

    def to_json(self) -> str:
        """One line of ASCII JSON. Lone surrogates of names that are not UTF-8 are written as escapes."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Outcome:
        """Restore an outcome from the journal, ignoring keys that a later idseg added."""
        return cls(**{known.name: record[known.name] for known in fields(cls) if known.name in record})


def number64(text: str) -> int:
    """A 64-bit hash of a name. Among a million names, two are equal with a probability of 1 in 40 million."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest(), "little")


def clean_key(name: str) -> str | None:
    """The name if it is a plain relative path that stays in its folder, else None."""
    parts = name.split("/")
    bad = any(part in ("", ".", "..") or "\0" in part for part in parts) or parts[0].startswith(".idseg-batch")
    return None if bad or (os.name == "nt" and re.search(r'[\\:*?"<>|]', name)) else name

"""The values that a batch passes on: a photo to do, what became of it, and what stops a batch."""

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
"""The version of a URL that a manifest names: it is asked for when the photo is read, not when it is found."""

Status = Literal["ok", "refused", "failed"]
"""``ok``: answered. ``refused``: the photo's own fault (damaged, nobody, two people, …), the same next time.
``failed``: not the photo's word for it (unreadable file, a worker that died, a fault of ours)."""


class BatchError(IdsegError, RuntimeError):
    """A batch cannot go on (disk full, workers that die while loading); what is done is kept."""

    reason = "batch"


@dataclass(frozen=True, slots=True)
class Item:
    """A photo to be done."""

    key: str
    """Its path in the tree, with ``/``: unique in a batch, and what the names of its files begin with."""
    source: str
    """Where its bytes are: a local path, an fsspec URL, or ``FILE.parquet#ROW``."""
    version: str
    """Changes when the photo changes: ``SIZE-MTIME_NS``, ``SIZE-ETAG`` of a bucket, or :data:`LISTED`."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that should have been a photo but cannot even be looked at; told in the report, tried each time."""

    key: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one photo; also a record of the journal."""

    key: str
    version: str
    status: Status
    reason: str = ""
    """Empty if ok; else an ``IdsegError.reason``, or ``worker_died``, ``timeout``, ``write``, ``fault``, …"""
    message: str = ""
    files: Mapping[str, int] = field(default_factory=dict)
    """Name in the output folder → bytes."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Sizes, classes and angles for the report."""
    seconds: float = 0.0
    tries: int = 1

    def to_json(self) -> str:
        """One line, ASCII; names that are not UTF-8 keep their lone surrogates as escapes."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Outcome:
        """Back from the journal; keys that a later idseg added are left out."""
        return cls(**{known.name: record[known.name] for known in fields(cls) if known.name in record})


def number64(text: str) -> int:
    """64 bits that stand for a name: two of a million names are the same once in 40 million batches."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest(), "little")


def clean_key(name: str) -> str | None:
    """The name if it is a plain relative path that stays where it is put, else None."""
    parts = name.split("/")
    bad = any(part in ("", ".", "..") or "\0" in part for part in parts) or parts[0].startswith(".idseg-batch")
    return None if bad or (os.name == "nt" and re.search(r'[\\:*?"<>|]', name)) else name

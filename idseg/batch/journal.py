"""What is done: one line a photo, appended when its answer is in place; the state that a batch goes on from.

``OUT/.idseg-batch/journal.jsonl`` holds a line for each start (``{"run": SIGNATURE}``), one for each outcome, and one
for each end. The last line of a photo counts. A line that was cut off is passed over.

Power and kill -9. A line is one ``write()`` after the photo's files are in their places: from then on it is the
kernel's, and no death of this process, however sudden, loses it. Nothing is synced to the disk (a sync costs 0.75 ms,
up to 4 ms, on the machine this was measured on, and a photo has four files): after a power cut, lines that are lost are
done again, and lines whose files never reached the disk are found by the files' lengths, and done again too.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from idseg.batch import storage
from idseg.batch.items import BatchError, Item, Outcome, number64

_PART = re.compile(r"\..{1,100}\.[0-9a-f]{16}\.part", re.DOTALL)
"""Names of files that :func:`idseg.encode.write` has begun."""


class Journal:
    """The journal of one output folder; one process at a time has it.

    Args:
        folder: the state folder; made if it is not there.
        out: where the answers are: an answer whose files are gone is none.
        signature: of the work (:meth:`idseg.batch.work.Work.signature`).
        retry_failed: count failed photos as not done.

    Raises:
        BatchError: another batch is at work there, or it cannot be written.
    """

    def __init__(self, folder: Path, out: str, signature: str, *, retry_failed: bool = False) -> None:
        self._out = out
        self._signature = signature
        self._retry_failed = retry_failed
        self._places: dict[int, int] = {}
        """number64 of a key → where in the file its last line begins, with the start's number in the low 20 bits."""
        self.clean = True
        """The last run came to its end; else files that it had begun may lie around."""
        self.earlier_signature = ""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(folder / "lock")
            self._file = open(folder / "journal.jsonl", "ab+", buffering=0)  # noqa: SIM115 - closed by close()
        except OSError as error:
            raise BatchError(f"cannot keep the state in {folder}: {error.strerror}", path=str(folder)) from error
        self._length = 0
        self._runs: list[str] = []
        self._load()
        self._append({"run": signature})
        self._runs.append(signature)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        """Photos with an outcome."""
        return len(self._places)

    def close(self) -> None:
        self._file.close()
        self._lock.close()

    def done(self, item: Item) -> Outcome | None:
        """The outcome of an earlier run that still holds, else None."""
        place = self._places.get(number64(item.key))
        if place is None or self._runs[place & _RUN_MASK] != self._signature:
            return None
        outcome = self._read(place >> _RUN_BITS)
        holds = outcome.key == item.key and outcome.version == item.version
        if not holds or (self._retry_failed and outcome.status == "failed"):
            return None
        return outcome if self._has(outcome) else None

    def _has(self, outcome: Outcome) -> bool:
        """Its files are there. A bucket is believed: what it took it has, and asking costs a request a file."""
        if storage.is_url(self._out):
            return True
        return all(storage.length(storage.join(self._out, name)) == size for name, size in outcome.files.items())

    def add(self, outcome: Outcome) -> Outcome | None:
        """Append an outcome.

        Returns:
            the photo's earlier one, which it takes the place of; what is left of that is the caller's to delete.

        Raises:
            BatchError: it cannot be written.
        """
        number = number64(outcome.key)
        place = self._places.get(number)
        begin = self._length
        self._append_line(outcome.to_json())
        self._places[number] = begin << _RUN_BITS | len(self._runs) - 1
        earlier = None if place is None else self._read(place >> _RUN_BITS)
        return earlier if earlier is not None and earlier.key == outcome.key else None

    def end(self) -> None:
        """All was done, or the batch was stopped in good order: nothing half-written lies around."""
        self._append({"end": self._signature})

    def outcomes(self) -> Iterator[Outcome]:
        """The last outcome of each photo, in the order in which they were first done."""
        for place in list(self._places.values()):
            yield self._read(place >> _RUN_BITS)

    def _load(self) -> None:
        with open(self._file.name, "rb") as file:
            for line in file:
                begin, self._length = self._length, self._length + len(line)
                record = _record(line)
                if record is None:
                    continue
                if "run" in record:
                    self._runs.append(record["run"])
                    self.earlier_signature, self.clean = record["run"], False
                elif "end" in record:
                    self.clean = True
                elif self._runs and "key" in record:
                    self._places[number64(record["key"])] = begin << _RUN_BITS | len(self._runs) - 1
                if not line.endswith(b"\n"):
                    break
        if self._length and not line.endswith(b"\n"):
            self._append_line("")  # ends the line that was cut off

    def _read(self, begin: int) -> Outcome:
        self._file.seek(begin)
        parts: list[bytes] = []
        while not parts or (b"\n" not in parts[-1] and parts[-1]):
            parts.append(self._file.read(4096))
        record = _record(b"".join(parts).partition(b"\n")[0])
        if record is None:
            raise BatchError(f"{self._file.name} was changed while it was in use")
        return Outcome.from_dict(record)

    def _append(self, record: dict[str, Any]) -> None:
        self._append_line(json.dumps(record, separators=(",", ":")))

    def _append_line(self, text: str) -> None:
        line = text.encode("ascii") + b"\n"
        try:
            written = self._file.write(line)
        except OSError as error:
            raise BatchError(f"cannot write {self._file.name}: {error.strerror}") from error
        if written != len(line):
            raise BatchError(f"cannot write {self._file.name}: no space left")
        self._length += len(line)


_RUN_BITS = 20
_RUN_MASK = (1 << _RUN_BITS) - 1


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _locked(path: Path) -> Any:
    """The open lock file; the kernel lets it go when the process ends, however that ends.

    Raises:
        BatchError: another process has it.
    """
    file = open(path, "ab")  # noqa: SIM115 - open for as long as the journal
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise BatchError(f"another batch is writing to {path.parent.parent}") from None
    return file


def sweep_shards(out: str, journal: Journal) -> int:
    """Delete shards that a killed run wrote and did not come to note; how many files that were."""
    noted = {name for outcome in journal.outcomes() for name in outcome.files}
    folder = storage.join(out, "answers")
    if storage.is_url(out):
        there = [key for key, _, _ in storage.walk_url(folder)]
    else:
        there = os.listdir(folder) if os.path.isdir(folder) else []
    orphans = [name for name in there if name.endswith(".parquet") and f"answers/{name}" not in noted]
    for name in orphans:
        storage.remove(storage.join(folder, name))
    return len(orphans)


def sweep(out: str) -> int:
    """Delete what a killed process had begun to write under the local folder ``out``; how many files that were.

    Only while the journal is locked: a file that is being written looks the same.
    """
    swept = 0
    for folder, _, names in os.walk(out):
        for name in names:
            if _PART.fullmatch(name):
                storage.remove(os.path.join(folder, name))
                swept += 1
    return swept

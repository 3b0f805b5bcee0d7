"""What is done: one row a photo, written when its answer is in place; the state that a batch goes on from.

``OUT/.idseg-batch/journal.sqlite3`` is an SQLite database with a row for each run and one for each photo (its last
outcome). SQLite's own lock keeps a second batch out, on Windows too, and is gone when the process is, however it ends.

Power and kill -9. An outcome is committed after the photo's files are in their places: from then on no death of this
process, however sudden, loses it (write-ahead log). Commits are not synced to the disk: after a power cut the database
is whole, the last outcomes may be missing from it, and their photos are done again; files that never reached the disk
are found by their lengths, and done again too.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from idseg.batch import storage
from idseg.batch.items import BatchError, Item, Outcome
from idseg.system import UNFINISHED

NAME = "journal.sqlite3"
_ROWS_AT_A_TIME = 500
_TABLES = """
CREATE TABLE IF NOT EXISTS runs (number INTEGER PRIMARY KEY, signature TEXT NOT NULL, ended INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS outcomes (
    number INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    signature TEXT NOT NULL,
    record TEXT NOT NULL,
    times INTEGER NOT NULL DEFAULT 1
);
"""


class Journal:
    """The journal of one output folder; one process at a time has it. Use it from one thread.

    Args:
        folder: the state folder; made if it is not there.
        out: where the answers are: an answer whose files are gone is none.
        signature: of the work (:meth:`idseg.batch.work.Work.signature`).
        retry_failed: count failed photos as not done.

    Raises:
        BatchError: another batch is at work there, or it cannot be read or written.
    """

    def __init__(self, folder: Path, out: str, signature: str, *, retry_failed: bool = False) -> None:
        self._out = out
        self._signature = signature
        self._retry_failed = retry_failed
        self._path = folder / NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BatchError(f"cannot keep the state in {folder}: {error.strerror}", path=str(folder)) from error
        with self._clear_errors():
            self._database = sqlite3.connect(self._path, timeout=0.0, isolation_level=None)
        try:
            with self._clear_errors():
                self._open()
        except BaseException:
            self._database.close()
            raise

    def _open(self) -> None:
        for setting in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = NORMAL"):
            self._database.execute(f"PRAGMA {setting}").fetchall()
        self._database.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")
        last = self._database.execute("SELECT signature, ended FROM runs ORDER BY number DESC LIMIT 1").fetchone()
        self.earlier_signature: str = last[0] if last else ""
        """Of the run before; empty where there was none."""
        self.clean: bool = last is None or bool(last[1])
        """The run before came to its end; else files that it had begun may lie around."""
        self._run = self._database.execute("INSERT INTO runs (signature) VALUES (?)", (self._signature,)).lastrowid

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        """Photos with an outcome."""
        count: int = self._database.execute("SELECT count(*) FROM outcomes").fetchone()[0]
        return count

    def close(self) -> None:
        self._database.close()

    def earlier(self, key: str) -> Outcome | None:
        """The outcome that an earlier run with the same signature noted for a photo, whatever became of it since."""
        with self._clear_errors():
            found = self._database.execute(
                "SELECT record FROM outcomes WHERE key = ? AND signature = ?", (_blob(key), self._signature)
            ).fetchone()
        return None if found is None else Outcome.from_dict(json.loads(found[0]))

    def done(self, item: Item) -> Outcome | None:
        """The outcome of an earlier run that still holds, else None."""
        outcome = self.earlier(item.key)
        if outcome is None or outcome.version != item.version:
            return None
        if self._retry_failed and outcome.status == "failed":
            return None
        return outcome if self._has(outcome) else None

    def _has(self, outcome: Outcome) -> bool:
        """Its files are there. A bucket is believed: what it took it has, and asking costs a request a file."""
        if storage.is_url(self._out):
            return True
        return all(storage.length(storage.join(self._out, name)) == size for name, size in outcome.files.items())

    def add(self, outcome: Outcome) -> Outcome | None:
        """Note an outcome.

        Returns:
            the photo's earlier one, which it takes the place of; what is left of that is the caller's to delete.

        Raises:
            BatchError: it cannot be written.
        """
        key = _blob(outcome.key)
        with self._clear_errors():
            found = self._database.execute("SELECT record FROM outcomes WHERE key = ?", (key,)).fetchone()
            self._database.execute(
                "INSERT INTO outcomes (key, signature, record) VALUES (?, ?, ?)"
                " ON CONFLICT (key) DO UPDATE SET"
                " signature = excluded.signature, record = excluded.record, times = times + 1",
                (key, self._signature, outcome.to_json()),
            )
        return None if found is None else Outcome.from_dict(json.loads(found[0]))

    def end(self) -> None:
        """All was done, or the batch was stopped in good order: nothing half-written lies around."""
        with self._clear_errors():
            self._database.execute("UPDATE runs SET ended = 1 WHERE number = ?", (self._run,))

    def outcomes(self) -> Iterator[Outcome]:
        """The last outcome of each photo, in the order in which they were first done."""
        yield from _outcomes(self._database)

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise BatchError(f"another batch is writing to {self._out}", path=self._out) from None
            raise BatchError(f"cannot write {self._path}: {error}", path=str(self._path)) from error
        except sqlite3.DatabaseError as error:
            raise BatchError(
                f"{self._path} is damaged ({error}). Delete it: the photos are then done again.", path=str(self._path)
            ) from error


def noted(folder: Path) -> Iterator[tuple[Outcome, int]]:
    """(last outcome, how often it was done) of each photo in a state folder whose batch has ended or was killed; for
    looking, without a run of one's own."""
    path = folder / NAME
    if not path.is_file():
        return
    database = sqlite3.connect(path, timeout=0.0)
    try:
        for record, times in database.execute("SELECT record, times FROM outcomes ORDER BY number"):
            yield Outcome.from_dict(json.loads(record)), times
    finally:
        database.close()


def _outcomes(database: sqlite3.Connection) -> Iterator[Outcome]:
    cursor = database.execute("SELECT record FROM outcomes ORDER BY number")
    while some := cursor.fetchmany(_ROWS_AT_A_TIME):
        for (record,) in some:
            yield Outcome.from_dict(json.loads(record))


def _blob(key: str) -> bytes:
    """A name's bytes; one that is not UTF-8 has lone surrogates, which SQLite's own texts cannot hold."""
    return key.encode("utf-8", "surrogatepass")


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
            if UNFINISHED.fullmatch(name):
                storage.remove(os.path.join(folder, name))
                swept += 1
    return swept

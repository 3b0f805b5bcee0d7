"""The journal of a batch: one row per photo, written after the photo's files, so that a batch can continue.

``OUT/.idseg-batch/journal.sqlite3`` is an SQLite database with a row for each run and a row for each photo (its last
outcome). SQLite's lock keeps a second batch out, on Windows too, and ends with the process.

Crashes. An outcome is committed after the photo's files were written; from then on, no kill of this process loses it
(write-ahead log). Commits are not synced to the disk: after a power failure the database is intact, but its last
outcomes may be missing, and their photos are processed again. So are photos whose files have the wrong length because
they did not reach the disk.
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
    """The journal of one output folder. One process at a time can open it. Use it from one thread.

    Args:
        folder: the state folder; created if missing.
        out: output folder; an outcome whose files are missing there does not count.
        signature: identifies the work (:meth:`idseg.batch.work.Work.signature`).
        retry_failed: process failed photos again.

    Raises:
        BatchError: another batch uses the folder, or the journal cannot be read or written.
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
        """Signature of the previous run; empty if there was none."""
        self.clean: bool = last is None or bool(last[1])
        """Whether the previous run ended properly; otherwise unfinished files may remain."""
        self._run = self._database.execute("INSERT INTO runs (signature) VALUES (?)", (self._signature,)).lastrowid

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        """Number of photos with an outcome."""
        count: int = self._database.execute("SELECT count(*) FROM outcomes").fetchone()[0]
        return count

    def close(self) -> None:
        self._database.close()

    def earlier(self, key: str) -> Outcome | None:
        """The outcome of an earlier run with the same signature, whether or not it is still valid."""
        with self._clear_errors():
            found = self._database.execute(
                "SELECT record FROM outcomes WHERE key = ? AND signature = ?", (_blob(key), self._signature)
            ).fetchone()
        return None if found is None else Outcome.from_dict(json.loads(found[0]))

    def done(self, item: Item) -> Outcome | None:
        """The outcome of an earlier run if it is still valid, else None."""
        outcome = self.earlier(item.key)
        if outcome is None or outcome.version != item.version:
            return None
        if self._retry_failed and outcome.status == "failed":
            return None
        return outcome if self._has(outcome) else None

    def _has(self, outcome: Outcome) -> bool:
        """Whether the outcome's files exist. For a bucket this is assumed, because checking costs a request per
        file."""
        if storage.is_url(self._out):
            return True
        return all(storage.length(storage.join(self._out, name)) == size for name, size in outcome.files.items())

    def add(self, outcome: Outcome) -> Outcome | None:
        """Record an outcome.

        Returns:
            the replaced earlier outcome, whose remaining files the caller must delete; None if there was none.

        Raises:
            BatchError: the journal cannot be written.
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
        """Record that the run ended properly and left no unfinished files."""
        with self._clear_errors():
            self._database.execute("UPDATE runs SET ended = 1 WHERE number = ?", (self._run,))

    def outcomes(self) -> Iterator[Outcome]:
        """The last outcome of each photo, in the order in which the photos were first processed."""
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
                f"{self._path} is damaged ({error}). Delete it to process the photos again.", path=str(self._path)
            ) from error


def noted(folder: Path) -> Iterator[tuple[Outcome, int]]:
    """Read the journal of a batch that has ended or was killed: (last outcome, number of times processed) of each
    photo."""
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
    """The bytes of a name. SQLite's text type cannot store the lone surrogates of names that are not UTF-8."""
    return key.encode("utf-8", "surrogatepass")


def sweep_shards(out: str, journal: Journal) -> int:
    """Delete shards that a killed run wrote without recording them; returns their number."""
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
    """Delete unfinished files of killed processes under the local folder ``out``; returns their number.

    Call this only while the journal is locked, because files that are being written look the same.
    """
    swept = 0
    for folder, _, names in os.walk(out):
        for name in names:
            if UNFINISHED.fullmatch(name):
                storage.remove(os.path.join(folder, name))
                swept += 1
    return swept

"""What counts as done, whatever happened to the process before."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from idseg.batch.items import BatchError, Item, Outcome
from idseg.batch.journal import NAME, Journal, sweep

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
ITEM = Item("school/a.jpg", "/in/school/a.jpg", "100-5")


def answered(out: Path, key: str = ITEM.key, version: str = ITEM.version) -> Outcome:
    """An outcome whose one file is in place."""
    (out / key).parent.mkdir(parents=True, exist_ok=True)
    (out / f"{key}.json").write_bytes(b"{}\n")
    return Outcome(key, version, "ok", files={f"{key}.json": 3}, facts={"width": 10}, seconds=0.5)


def journal(out: Path, signature: str = "s1", *, retry_failed: bool = False) -> Journal:
    return Journal(out / ".idseg-batch", str(out), signature, retry_failed=retry_failed)


def keep(out: Path, *outcomes: Outcome, signature: str = "s1") -> None:
    with journal(out, signature) as kept:
        for outcome in outcomes:
            kept.add(outcome)
        kept.end()


def test_an_answered_photo_is_done(tmp_path: Path) -> None:
    outcome = answered(tmp_path)
    keep(tmp_path, outcome)
    with journal(tmp_path) as kept:
        assert kept.done(ITEM) == outcome
        assert kept.done(replace(ITEM, key="school/b.jpg")) is None
        assert kept.clean


@pytest.mark.parametrize("version", ["101-5", "100-6"])
def test_a_changed_photo_is_not_done(tmp_path: Path, version: str) -> None:
    keep(tmp_path, answered(tmp_path))
    with journal(tmp_path) as kept:
        assert kept.done(replace(ITEM, version=version)) is None


def test_other_options_make_all_undone_until_they_come_back(tmp_path: Path) -> None:
    keep(tmp_path, answered(tmp_path))
    with journal(tmp_path, "s2") as kept:
        assert kept.done(ITEM) is None
        assert kept.earlier_signature == "s1"
    with journal(tmp_path, "s1") as kept:
        assert kept.done(ITEM) is not None  # s2 did not touch it
    keep(tmp_path, answered(tmp_path), signature="s2")
    with journal(tmp_path, "s1") as kept:
        assert kept.done(ITEM) is None  # its files are s2's


@pytest.mark.parametrize("harm", ["gone", "short"])
def test_an_answer_whose_files_are_gone_or_short_is_not_done(tmp_path: Path, harm: str) -> None:
    keep(tmp_path, answered(tmp_path))
    path = tmp_path / f"{ITEM.key}.json"
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(b"{")
    with journal(tmp_path) as kept:
        assert kept.done(ITEM) is None


def test_refused_is_done_and_failed_too_unless_asked_for(tmp_path: Path) -> None:
    refused = Outcome("r.jpg", "1", "refused", "no_person", "nobody")
    failed = Outcome("f.jpg", "1", "failed", "worker_died", "died")
    keep(tmp_path, refused, failed)
    with journal(tmp_path) as kept:
        assert kept.done(Item("r.jpg", "", "1")) == refused
        assert kept.done(Item("f.jpg", "", "1")) == failed
    with journal(tmp_path, retry_failed=True) as kept:
        assert kept.done(Item("r.jpg", "", "1")) == refused
        assert kept.done(Item("f.jpg", "", "1")) is None


def test_a_new_outcome_hands_back_the_one_it_replaces(tmp_path: Path) -> None:
    first, second = answered(tmp_path), Outcome(ITEM.key, "7", "refused", "no_person", "nobody")
    with journal(tmp_path) as kept:
        assert kept.add(first) is None
        assert kept.add(second) == first
        assert list(kept.outcomes()) == [second]


def test_names_that_are_not_utf8_survive(tmp_path: Path) -> None:
    key = os.fsdecode(b"caf\xe9 \xf0\x9f\x98\x80 \n.jpg")
    outcome = Outcome(key, "1", "refused", "no_person", "nobody")
    keep(tmp_path, outcome)
    with journal(tmp_path) as kept:
        assert kept.done(Item(key, "", "1")) == outcome


def test_only_one_batch_at_a_time(tmp_path: Path) -> None:
    with journal(tmp_path), pytest.raises(BatchError, match="another batch"):
        journal(tmp_path)
    journal(tmp_path).close()


def test_killed_at_any_moment_what_was_noted_is_there_and_the_journal_goes_on(tmp_path: Path) -> None:
    """A process that dies leaves the database and its write-ahead log as they are: copies of both stand for it."""
    outcomes = [Outcome(f"{number}.jpg", "1", "refused", "no_person", "nobody") for number in range(4)]
    with journal(tmp_path / "live") as kept:
        for count, outcome in enumerate(outcomes, 1):
            kept.add(outcome)
            dead = tmp_path / f"dead{count}"
            shutil.copytree(tmp_path / "live/.idseg-batch", dead / ".idseg-batch")
            with journal(dead) as found:
                assert list(found.outcomes()) == outcomes[:count]
                assert not found.clean
                found.add(outcomes[3])
                found.end()
            with journal(dead) as found:
                assert found.clean
                assert {outcome.key for outcome in found.outcomes()} == {
                    o.key for o in [*outcomes[:count], outcomes[3]]
                }


@pytest.mark.parametrize(
    "content", [b"not a database, but quite long enough to be one" * 50, b"SQLite format 3\0" * 90]
)
def test_a_damaged_journal_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".idseg-batch").mkdir()
    (tmp_path / ".idseg-batch" / NAME).write_bytes(content)
    with pytest.raises(BatchError, match="Delete it"):
        journal(tmp_path)


def test_a_second_process_is_kept_out_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    """Also where ``fcntl`` is missing, as on Windows: the lock is SQLite's."""
    code = (
        "import sys; sys.modules['fcntl'] = None; from pathlib import Path; from idseg.batch.journal import Journal;"
        f"kept = Journal(Path({str(tmp_path / '.idseg-batch')!r}), {str(tmp_path)!r}, 's1');"
        "print('open', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"open"
        with pytest.raises(BatchError, match="another batch"):
            journal(tmp_path)
        process.kill()
    journal(tmp_path).close()


def test_half_written_files_are_swept_and_nothing_else(tmp_path: Path) -> None:
    from idseg import system

    system.write(tmp_path / "whole.json", b"{}")
    (tmp_path / "sub").mkdir()
    for name in (".a.jpg.json.0123456789abcdef.part", "sub/.b.png.fedcba9876543210.part"):
        (tmp_path / name).write_bytes(b"ha")
    for name in ("x.part", ".notes.part", ".a.0123.part"):
        (tmp_path / name).write_bytes(b"not ours")
    assert sweep(str(tmp_path)) == 2
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        ".a.0123.part",
        ".notes.part",
        "sub",
        "whole.json",
        "x.part",
    ]

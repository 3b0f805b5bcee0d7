"""What counts as done, whatever happened to the process before."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from idseg.batch.items import BatchError, Item, Outcome
from idseg.batch.journal import Journal, sweep

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


def test_cut_off_anywhere_only_the_last_line_is_lost_and_the_journal_goes_on(tmp_path: Path) -> None:
    outcomes = [Outcome(f"{number}.jpg", "1", "refused", "no_person", "nobody") for number in range(4)]
    whole = tmp_path / "whole"
    with journal(whole) as kept:
        for outcome in outcomes:
            kept.add(outcome)
    content = (whole / ".idseg-batch/journal.jsonl").read_bytes()
    ends = [place + 1 for place, byte in enumerate(content) if byte == 10]
    near_an_end = {end + step for end in ends for step in (-2, -1, 0, 1)}
    for length in sorted(near_an_end | set(range(0, len(content), 9))):
        out = tmp_path / "cut"
        (out / ".idseg-batch").mkdir(parents=True)
        (out / ".idseg-batch/journal.jsonl").write_bytes(content[:length])
        lines = sum(length >= end - 1 for end in ends[1:])  # a line that lacks only its newline is whole
        with journal(out) as kept:
            assert list(kept.outcomes()) == outcomes[:lines]
            assert kept.clean == (length < ends[0] - 1)
            kept.add(outcomes[3])
        with journal(out) as kept:
            assert {outcome.key for outcome in kept.outcomes()} == {o.key for o in [*outcomes[:lines], outcomes[3]]}
        shutil.rmtree(out)


def test_half_written_files_are_swept_and_nothing_else(tmp_path: Path) -> None:
    from idseg import encode

    encode.write(tmp_path / "whole.json", b"{}")
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

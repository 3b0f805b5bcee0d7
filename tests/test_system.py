"""Files whole or not at all; cores by affinity and quota."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from idseg import system


def test_write_replaces_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    system.write(path, b"first")
    system.write(str(path), b"second", sync=True)
    assert path.read_bytes() == b"second"
    assert os.listdir(tmp_path) == ["cut.png"]
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


def test_write_that_fails_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cut.png"
    system.write(path, b"first")

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(OSError, match="No space"):
        system.write(path, b"second")
    assert path.read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["cut.png"]


def test_write_needs_its_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        system.write(tmp_path / "none" / "cut.png", b"")
    with pytest.raises(OSError, match=r"directory|denied"):
        system.write(tmp_path, b"")
    assert os.listdir(tmp_path) == []


def test_a_block_that_fails_leaves_nothing(tmp_path: Path) -> None:
    seen: list[str] = []

    def half() -> None:
        with system.replacing(tmp_path / "report.csv") as file:
            file.write(b"half")
            seen.extend(os.listdir(tmp_path))
            raise KeyError

    with pytest.raises(KeyError):
        half()
    assert len(seen) == 1
    assert system.UNFINISHED.fullmatch(seen[0]), "a batch's sweep would not find it after a kill"
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_private_file_is_its_owners(tmp_path: Path) -> None:
    system.write(tmp_path / "keys.json", b"{}", private=True)
    assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "150000 100000"}, 1.5),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "400000", "cpu/cpu.cfs_period_us": "100000"}, 4.0),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({}, None),
        ({"cpu.max": "nonsense"}, None),
    ],
)
def test_the_quota_of_a_container(tmp_path: Path, files: dict[str, str], cores: float | None) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n")
    assert system._cgroup_quota(tmp_path) == cores


def test_usable_cores_obeys_affinity_and_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(system, "_CGROUP", tmp_path)
    assert system.usable_cores() == 8
    (tmp_path / "cpu.max").write_text("250000 100000")
    assert system.usable_cores() == 2
    (tmp_path / "cpu.max").write_text("50000 100000")
    assert system.usable_cores() == 1


def test_side_by_side_runs_in_two_threads_if_one_is_free() -> None:
    met = threading.Barrier(2, timeout=60)
    with ThreadPoolExecutor(1) as pool:
        assert sorted(system.side_by_side(pool, met.wait, met.wait)) == [0, 1]  # each waits for the other


def test_side_by_side_waits_for_no_busy_thread() -> None:
    done = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(done.wait, 60)
        here = threading.get_ident()
        assert system.side_by_side(pool, threading.get_ident, threading.get_ident) == (here, here)
        done.set()
        assert busy.result()
    assert system.side_by_side(pool, lambda: 1, lambda: "two") == (1, "two")  # a closed pool
    assert system.side_by_side(None, lambda: 1, lambda: "two") == (1, "two")


def test_items_are_shared_out_once_each() -> None:
    threads: dict[int, int] = {}
    met = threading.Barrier(2, timeout=60)

    def work(item: int) -> None:
        if item < 2:
            met.wait()  # the first two items are with two threads
        assert item not in threads
        threads[item] = threading.get_ident()

    with ThreadPoolExecutor(1) as pool:
        system.share_out(pool, range(50), work)
    assert sorted(threads) == list(range(50))
    assert threads[0] != threads[1]
    alone: list[int] = []
    system.share_out(None, range(5), alone.append)
    assert alone == list(range(5))
    with pytest.raises(ZeroDivisionError):
        system.share_out(None, [1, 0], lambda item: alone.append(1 // item))


def test_side_by_side_ends_both_before_it_raises() -> None:
    ended = threading.Event()
    both = threading.Barrier(2, timeout=60)

    def fails() -> None:
        both.wait()
        raise ValueError("first")

    def takes_long() -> None:
        both.wait()
        time.sleep(0.05)
        ended.set()

    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(ValueError, match="first"):
            system.side_by_side(pool, fails, takes_long)
        assert ended.is_set()
        with pytest.raises(ZeroDivisionError):
            system.side_by_side(pool, lambda: 1, lambda: 1 // 0)

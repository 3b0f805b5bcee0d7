"""The Ray engine on a cluster of this machine, started once; skips where ray is not installed (``pip install
'idseg[ray]'``)."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from idseg.batch import Work, run
from idseg.batch.local import LocalOptions
from idseg.batch.run import local_engine
from idseg.imaging import encode
from tests.batch import fakes as fakes

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")

ROOT = Path(__file__).resolve().parents[2]
ANSWER = "ANSWER "
ANSWERED_WITHIN_S = 300

DRIVER = """
import json
import sys
from idseg.batch import Work, run
from idseg.batch.cluster import ray_engine
from idseg.batch.local import LocalOptions
from tests.batch import fakes as batch_fakes

if __name__ == "__main__":
    for line in sys.stdin:
        source, out, shards = json.loads(line)
        work = Work(out, loader=batch_fakes.load, shards=shards)
        summary = run([source], work, ray_engine(LocalOptions(workers=1, tries=2)))
        print("ANSWER " + json.dumps({**summary.counts, "before": summary.before}), flush=True)
"""
"""In a process of its own: Ray leaves files open, warns of what it will change, and prints lines of its own."""


@dataclass
class Cluster:
    """A driver that joins Ray at its first batch and keeps it for the others."""

    process: subprocess.Popen[str]
    parents: Path
    """A file for each process that started a worker of ours, called as its process id."""
    log: Path

    def begin(self, source: Path, out: Path, *, shards: bool = False) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([str(source), str(out), shards]) + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, int]:
        """Counts of the batch that was begun, once it is done."""
        assert self.process.stdout is not None
        timer = threading.Timer(ANSWERED_WITHIN_S, self.process.kill)
        timer.start()
        try:
            for line in self.process.stdout:
                if line.startswith(ANSWER):
                    found: dict[str, int] = json.loads(line.removeprefix(ANSWER))
                    return found
        finally:
            timer.cancel()
        raise AssertionError(f"the driver ended:\n{self.log.read_text()[-3000:]}")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    parents = tmp_path_factory.mktemp("parents")
    log = tmp_path_factory.mktemp("log") / "stderr"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", DRIVER],
            env={**os.environ, "PYTHONPATH": str(ROOT), "IDSEG_TEST_PARENTS": str(parents)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    yield Cluster(process, parents, log)
    process.communicate(timeout=120)
    assert process.returncode == 0, log.read_text()
    assert "Traceback" not in log.read_text()


def put(folder: Path, count: int, **bad: tuple[int, int, int]) -> None:
    """Photos whose mattes differ, and bad ones."""
    folder.mkdir()
    noise = np.random.default_rng(0)
    for number in range(count):
        rgb = noise.integers(0, 255, (60, 80, 3), np.uint8)
        rgb[0, 0] = fakes.SLOW
        Image.fromarray(rgb).save(folder / f"{number:03}.png")
    for name, color in bad.items():
        (folder / f"{name}.png").write_bytes(fakes.picture(color))


def locally(folder: Path, out: Path) -> dict[str, int]:
    """Counts of the same batch by this machine's own engine."""
    work = Work(str(out), loader=fakes.load)
    summary = run([str(folder)], work, local_engine(LocalOptions(workers=1, tries=2)))
    counts: dict[str, int] = dict(summary.counts.items())
    return counts | {"before": summary.before}


def report(out: Path) -> dict[str, dict[str, Any]]:
    with open(out / "report.csv", encoding="utf-8-sig", newline="") as file:
        return {row["photo"]: row for row in csv.DictReader(file)}


def statuses(out: Path) -> dict[str, tuple[str, str]]:
    return {name: (row["status"], row["reason"]) for name, row in report(out).items()}


def test_a_killed_worker_changes_neither_counts_nor_mattes(cluster: Cluster, tmp_path: Path) -> None:
    put(tmp_path / "in", 30, nobody=fakes.NOBODY, kills=fakes.KILLS)
    cluster.begin(tmp_path / "in", tmp_path / "ray")
    deadline = time.monotonic() + ANSWERED_WITHIN_S
    while len(list((tmp_path / "ray").glob("*.scoremap.png"))) < 3:
        assert cluster.process.poll() is None, cluster.log.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    before = {int(path.name) for path in cluster.parents.iterdir()}
    os.kill(min(before), signal.SIGKILL)
    counts = cluster.answer()
    after = {int(path.name) for path in cluster.parents.iterdir()}
    assert len(after) > len(before), "no other worker took the place of the killed one"

    assert counts == locally(tmp_path / "in", tmp_path / "local")
    assert statuses(tmp_path / "ray") == statuses(tmp_path / "local")
    assert statuses(tmp_path / "ray")["kills.png"] == ("failed", "worker_died")
    pictures = sorted(path.name for path in (tmp_path / "local").glob("*.png"))
    assert len(pictures) == 2 * 30
    for name in pictures:
        assert (tmp_path / "ray" / name).read_bytes() == (tmp_path / "local" / name).read_bytes()
    assert not list((tmp_path / "ray").rglob("*.part"))


def test_parquet_in_and_out(cluster: Cluster, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    put(tmp_path / "in", 20, nobody=fakes.NOBODY)
    photos = sorted((tmp_path / "in").glob("*.png"))
    images = [{"bytes": path.read_bytes(), "path": path.name} for path in photos]
    table = pyarrow.table({"image": images, "name": [f"faces/{path.name}" for path in photos]})
    parquet.write_table(table, tmp_path / "photos.parquet", row_group_size=7)
    for again in (0, 21):
        cluster.begin(tmp_path / "photos.parquet", tmp_path / "out", shards=True)
        assert cluster.answer() == {"ok": 20, "refused": 1, "before": again}
    rows = parquet.read_table(tmp_path / "out/answers").to_pylist()
    assert sorted(row["photo"] for row in rows) == [f"faces/{path.name}" for path in photos]
    for row in rows:
        content = (tmp_path / "in" / row["photo"].removeprefix("faces/")).read_bytes()
        if row["photo"] == "faces/nobody.png":
            assert (row["status"], row["reason"], row["scoremap"]) == ("refused", "no_person", None)
        else:
            assert (row["status"], row["scoremap"]) == ("ok", encode.png(fakes.answer(content).scoremap))
    shards = {path.name for path in (tmp_path / "out/answers").iterdir()}
    assert {row["files"].removeprefix("answers/") for row in report(tmp_path / "out").values()} == shards

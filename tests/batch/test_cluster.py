"""The Ray engine on a cluster of this machine; skips where ray is not installed (``pip install 'idseg[ray]'``)."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from idseg.batch import Work, run
from idseg.batch.local import LocalOptions
from idseg.batch.run import local_engine
from tests.batch import fakes as fakes

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import json
import sys
from idseg.batch import Work, run
from idseg.batch.cluster import ray_engine
from idseg.batch.local import LocalOptions
from tests.batch import fakes as batch_fakes

if __name__ == "__main__":
    work = Work(sys.argv[2], loader=batch_fakes.load, shards="shards" in sys.argv)
    summary = run([sys.argv[1]], work, ray_engine(LocalOptions(workers=2, tries=2)))
    print(json.dumps({**summary.counts, "before": summary.before}))
"""
"""In a process of its own: Ray leaves files open, and warns of what it will change."""


def start(folder: Path, out: Path, *words: str, parents: Path) -> subprocess.Popen[str]:
    parents.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder), str(out), *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), "IDSEG_TEST_PARENTS": str(parents)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def put(folder: Path, count: int) -> None:
    """Photos whose mattes differ; three of them bad in three ways."""
    folder.mkdir()
    noise = np.random.default_rng(0)
    for number in range(count):
        rgb = noise.integers(0, 255, (60, 80, 3), np.uint8)
        rgb[0, 0] = fakes.SLOW
        Image.fromarray(rgb).save(folder / f"{number:03}.png")
    for name, color in {"nobody": fakes.NOBODY, "kills": fakes.KILLS, "two": fakes.TWO_PEOPLE}.items():
        (folder / f"{name}.png").write_bytes(fakes.picture(color))


def statuses(out: Path) -> dict[str, tuple[str, str]]:
    with open(out / "report.csv", encoding="utf-8-sig", newline="") as file:
        return {row["photo"]: (row["status"], row["reason"]) for row in csv.DictReader(file)}


def test_a_killed_worker_changes_neither_counts_nor_mattes(tmp_path: Path) -> None:
    put(tmp_path / "in", 120)
    process = start(tmp_path / "in", tmp_path / "ray", parents=tmp_path / "parents")
    deadline = time.monotonic() + 120
    while len(list((tmp_path / "ray").glob("*.scoremap.png"))) < 20:
        assert process.poll() is None, process.stderr
        assert time.monotonic() < deadline
        time.sleep(0.02)
    before = {int(path.name) for path in (tmp_path / "parents").iterdir()}
    os.kill(min(before), signal.SIGKILL)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    after = {int(path.name) for path in (tmp_path / "parents").iterdir()}
    assert len(after) > len(before), "no other worker took the place of the killed one"

    work = Work(str(tmp_path / "local"), loader=fakes.load)
    summary = run([str(tmp_path / "in")], work, local_engine(LocalOptions(workers=1, tries=2)))
    assert json.loads(out.splitlines()[-1]) == {"before": 0} | dict(summary.counts), out
    assert statuses(tmp_path / "ray") == statuses(tmp_path / "local")
    assert statuses(tmp_path / "ray")["kills.png"] == ("failed", "worker_died")
    pictures = sorted(path.name for path in (tmp_path / "local").glob("*.png"))
    assert len(pictures) == 240
    for name in pictures:
        assert (tmp_path / "ray" / name).read_bytes() == (tmp_path / "local" / name).read_bytes()
    assert not list((tmp_path / "ray").rglob("*.part"))


def test_parquet_in_and_out(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    put(tmp_path / "in", 40)
    photos = sorted((tmp_path / "in").glob("*.png"))
    images = [{"bytes": path.read_bytes(), "path": path.name} for path in photos]
    table = pyarrow.table({"image": images, "name": [f"faces/{path.name}" for path in photos]})
    parquet.write_table(table, tmp_path / "photos.parquet", row_group_size=7)
    for again in (0, 43):
        process = start(tmp_path / "photos.parquet", tmp_path / "out", "shards", parents=tmp_path / "parents")
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert json.loads(out.splitlines()[-1]) == {"ok": 40, "refused": 2, "failed": 1, "before": again}
    run([str(tmp_path / "in")], Work(str(tmp_path / "local"), loader=fakes.load), local_engine(LocalOptions(workers=1)))
    rows = parquet.read_table(tmp_path / "out/answers").to_pylist()
    assert len(rows) == 43
    assert {row["photo"]: row["status"] for row in rows} == {
        f"faces/{name}": status for name, (status, _) in statuses(tmp_path / "local").items()
    }
    for row in rows:
        name = row["photo"].removeprefix("faces/")
        if row["status"] == "ok":
            assert row["scoremap"] == (tmp_path / "local" / f"{name}.scoremap.png").read_bytes()
        else:
            assert row["scoremap"] is None
    shards = {path.name for path in (tmp_path / "out/answers").iterdir()}
    with open(tmp_path / "out/report.csv", encoding="utf-8-sig", newline="") as file:
        assert {row["files"].removeprefix("answers/") for row in csv.DictReader(file)} == shards

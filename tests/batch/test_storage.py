"""Photos and answers behind URLs; skips where fsspec, s3fs or moto are not installed (``pip install 'idseg[ray]'``)."""

from __future__ import annotations

import csv
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from idseg.batch import Item, Outcome, Trouble, cluster, inputs, storage
from idseg.batch import parquet as shards
from idseg.errors import DependencyError, OptionError, PhotoReadError, ProviderError
from tests.batch import fakes as fakes

ROOT = Path(__file__).resolve().parents[2]

FAKED = """
import sys
from dataclasses import replace
from idseg.cli import batch, main
from tests.batch import fakes as batch_fakes
real = batch._work
batch._work = lambda out, chosen: replace(real(out, chosen), loader=batch_fakes.load)
main.main(prog_name="idseg")
"""


def test_a_url_without_fsspec_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("fsspec", "fsspec.core"):
        monkeypatch.setitem(sys.modules, name, None)
    storage._filesystem.cache_clear()
    with pytest.raises(DependencyError, match=r"pip install 'idseg\[ray\]'"):
        storage.read("s3://bucket/a.jpg", 10)


def test_a_cluster_that_is_not_there_is_told_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"  # bound, but nobody listens
        with pytest.raises(ProviderError, match=f"no Ray cluster answers at {address}"):
            cluster._check_address(address)
    for other in ("", "auto", "local", "ray://head:10001"):
        cluster._check_address(other)


def test_what_the_network_fails_is_tried_again_and_what_is_not_there_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "_PAUSES_S", (0.0, 0.0, 0.0))
    calls: list[int] = []

    def flaky(source: str, most_bytes: int) -> bytes:
        calls.append(most_bytes)
        if len(calls) < 3:
            raise OSError("slow down")
        return b"photo"

    monkeypatch.setattr(storage, "_read_url", flaky)
    assert storage.read("s3://bucket/a.jpg", 10) == b"photo"
    assert len(calls) == 3

    def gone(source: str, most_bytes: int) -> bytes:
        calls.append(most_bytes)
        raise FileNotFoundError(2, "No such file")

    calls.clear()
    monkeypatch.setattr(storage, "_read_url", gone)
    with pytest.raises(PhotoReadError, match="No such file"):
        storage.read("s3://bucket/a.jpg", 10)
    assert len(calls) == 1


def test_files_behind_a_url_are_listed_read_and_written() -> None:
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
    system = fsspec.filesystem("memory")
    for name in ("in/b.jpg", "in/sub/a.jpg", "in/sub/notes.txt"):
        storage.write(f"memory://top/{name}", name.encode())
    listed = list(storage.walk_url("memory://top/in"))
    assert [(key, source) for key, source, _ in listed] == [
        ("b.jpg", "memory://top/in/b.jpg"),
        ("sub/a.jpg", "memory://top/in/sub/a.jpg"),
        ("sub/notes.txt", "memory://top/in/sub/notes.txt"),
    ]
    assert storage.read("memory://top/in/sub/a.jpg", 100) == b"in/sub/a.jpg"
    assert storage.read("memory://top/in/sub/a.jpg", 3) == b"in/s"  # one more than allowed: decoding refuses it
    assert storage.length("memory://top/in/b.jpg") == 8
    storage.remove("memory://top/in/b.jpg")
    storage.remove("memory://top/in/b.jpg")
    assert storage.length("memory://top/in/b.jpg") is None
    version = {key: version for key, _, version in listed}["sub/a.jpg"]
    storage.write("memory://top/in/sub/a.jpg", b"other")
    assert {key: version for key, _, version in storage.walk_url("memory://top/in")}["sub/a.jpg"] != version
    system.rm("/top", recursive=True)


@pytest.fixture
def bucket() -> Iterator[dict[str, str]]:
    """Environment of an S3 server of this machine (moto)."""
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    pytest.importorskip("moto", reason="moto is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            assert time.monotonic() < deadline, "moto does not start"
            time.sleep(0.1)
    yield {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    server.terminate()
    server.wait()


def test_from_bucket_to_bucket(tmp_path: Path, bucket: dict[str, str]) -> None:
    for name, color in {"a": (9, 8, 7), "b": (1, 2, 3), "nobody": fakes.NOBODY}.items():
        (tmp_path / f"{name}.png").write_bytes(fakes.picture(color))
    (tmp_path / "state").mkdir()

    def python(*words: str | Path, expected: int = 0) -> str:
        ended = subprocess.run([sys.executable, *map(str, words)], env=bucket, capture_output=True, text=True)
        assert ended.returncode == expected, ended.stderr
        return ended.stdout

    copy = (
        "import s3fs, sys; fs = s3fs.S3FileSystem(); fs.mkdir('faces'); fs.put(sys.argv[1] + '/*.png', 'faces/in/x/')"
    )
    python("-c", copy, tmp_path)
    words: list[str | Path] = [
        "-c",
        FAKED,
        "batch",
        "s3://faces/in",
        "s3://faces/out",
        "--state",
        tmp_path / "state",
        "--workers",
        "1",
    ]
    assert "3 of 3 photos: 2 ok, 1 refused, 0 failed; 3 now, 0 before" in python(*words, expected=1)
    assert "3 now" not in (again := python(*words, expected=1))
    assert "0 now, 3 before" in again
    fetch = "import s3fs, sys; s3fs.S3FileSystem().get('faces/out', sys.argv[1], recursive=True)"
    python("-c", fetch, tmp_path / "got")
    files = [path.relative_to(tmp_path / "got") for path in (tmp_path / "got").rglob("*") if path.is_file()]
    got = {path.as_posix() for path in files if path.parts[0] != ".idseg-batch"}
    answers = {f"x/{name}.png.{what}" for name in "ab" for what in ("scoremap.png", "cutout.png", "result.json")}
    assert got == {*answers, "report.csv", "refusals.html"}
    with open(tmp_path / "got/report.csv", encoding="utf-8-sig", newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)].count("ok") == 2
    assert 'src="data:image/jpeg;base64,' in (tmp_path / "got/refusals.html").read_text(encoding="utf-8")


def test_photos_from_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    photos = [fakes.picture((number, 5, 5)) for number in range(9)]
    named = pyarrow.table({"photo": photos, "file_name": [f"x/{n}.png" for n in range(8)] + ["../up.png"]})
    nameless = pyarrow.table({"image": [{"bytes": photo, "path": None} for photo in photos[:2]]})
    parquet.write_table(named, tmp_path / "named.parquet", row_group_size=4)
    (tmp_path / "set.parquet").mkdir()
    parquet.write_table(nameless, tmp_path / "set.parquet/part-0.parquet")
    found = list(inputs.find([str(tmp_path / "named.parquet"), str(tmp_path / "set.parquet")], "/nowhere"))
    items = [one for one in found if isinstance(one, Item)]
    assert [item.key for item in items] == [*(f"x/{n}.png" for n in range(8)), "part-0/00000000", "part-0/00000001"]
    assert [inputs.read(item.source, 10**6) for item in items] == [*photos[:8], *photos[:2]]
    assert [trouble.reason for trouble in found if isinstance(trouble, Trouble)] == ["manifest_line"]
    with pytest.raises(PhotoReadError, match="no such row"):
        inputs.read(f"{tmp_path}/named.parquet#99", 10)
    parquet.write_table(pyarrow.table({"who": ["x"]}), tmp_path / "other.parquet")
    with pytest.raises(OptionError, match="no column image"):
        list(inputs.find([str(tmp_path / "other.parquet")], "/nowhere"))
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(OptionError, match="as Parquet"):
        list(inputs.find([str(tmp_path / "broken.parquet")], "/nowhere"))


def test_all_shards_have_one_schema_whatever_their_first_rows_are(tmp_path: Path) -> None:
    """Also one of refused photos alone, whose products are all null; so that they can be read as one data set."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    refused = Outcome("a.png", "1", "refused", "no_person", "nobody")
    answered = Outcome("b.png", "1", "ok", files={"b.png.scoremap.png": 3}, facts={"width": 10, "yaw_deg": 1.5})
    bytes_in_its_name = Outcome(os.fsdecode(b"caf\xe9.png"), "1", "failed", "photo_read", "Cannot read it.")
    (tmp_path / "b.png.scoremap.png").write_bytes(b"png")
    for outcomes in ([refused], [answered, refused], [bytes_in_its_name]):
        shards.write_shard(outcomes, str(tmp_path), str(tmp_path / "out"))
    assert not (tmp_path / "b.png.scoremap.png").exists()
    files = sorted((tmp_path / "out" / "answers").iterdir())
    assert len(files) == 3
    assert all(parquet.read_schema(file) == shards.schema() for file in files)
    rows = {(row["photo"], row["status"]): row["scoremap"] for row in parquet.read_table(files[0].parent).to_pylist()}
    assert rows == {
        ("a.png", "refused"): None,
        ("b.png", "ok"): b"png",
        ("caf\ufffd.png", "failed"): None,
    }

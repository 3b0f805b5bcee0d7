"""Situations from public reports of people who do this work, run as they run them; each failed once.

====================================  ================================================================================
situation                             test
====================================  ================================================================================
head cut at the frame, four sides     test_check_of_a_head_cut_at_the_frame, test_photo_warns_of_a_head_cut_at_the_frame
24 and 48 MP of a phone               test_a_photo_larger_than_the_api_s, tests/stages/test_decode.py (48 MP)
WebP, HEIC, AVIF called .jpg          test_other_formats_whatever_they_are_called
JPEG without its end marker           test_a_jpeg_without_its_end_marker
a/1.jpg b/1.jpg; x.jpg x.png x-2.jpg  test_no_answer_overwrites_another (segment and photo)
two sizes of one name                 test_no_answer_overwrites_another
check stops at a bad file             test_check_tells_and_goes_on
the least KB of a document            test_the_least_kilobytes_are_reached
cut lines under the photos            test_cut_lines_lie_over_the_photos
crop-only documents, --background     test_the_wall_is_kept
names and sizes in code pages         test_code_pages, tests/cli/test_many.py::test_every_echo_survives_every_terminal
manifests of Excel                    test_manifests_of_excel, tests/batch/test_excel.py
thumbnails of a NAS                   test_thumbnails_of_a_nas, tests/batch/test_inputs.py
a face that a false find outweighs    tests/stages/test_find.py
a window that leaves the photo        test_the_cut_lies_in_the_photo, tests/stages/test_crop.py
Segmenter: pickle, fork, close        tests/test_library.py
====================================  ================================================================================
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from idseg.cli.main import main
from idseg.types import Rgb
from tests.batch import fakes as fakes

pytestmark = pytest.mark.weights

ROOT = Path(__file__).parent.parent.parent
DATA = ROOT / "tests" / "data"


def saved(picture: Rgb | Image.Image, form: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(stream, form, **options)
    return stream.getvalue()


@pytest.fixture(scope="module")
def photos(astronaut: Rgb, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of photos, each in a situation of its own."""
    folder = tmp_path_factory.mktemp("situations")
    portrait = astronaut[:400, 60:400]
    jpeg = saved(portrait, "JPEG", quality=92)
    files = {
        "portrait.jpg": jpeg,
        "no_eoi.jpg": jpeg[:-2],
        "webp_named.jpg": saved(portrait, "WEBP"),
        "avif_named.jpg": saved(portrait, "AVIF"),
        "tiff_named.jpg": saved(portrait, "TIFF"),
        "cut_above.jpg": saved(astronaut[75:, 60:400], "JPEG", quality=92),
        "a/1.jpg": jpeg,
        "b/1.jpg": jpeg,
        "x.jpg": jpeg,
        "x.png": saved(portrait, "PNG"),
        "x-2.jpg": jpeg,
        "张三.jpg": jpeg,
        "text.jpg": b"no photo",
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(autouse=True)
def models_are_kept(segmenter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands get the tests' own Segmenter: what it takes to load one is not the point."""
    monkeypatch.setattr("idseg.cli.photo.segmenter_of", lambda chosen: segmenter)
    monkeypatch.setattr("idseg.cli.check.segmenter_of", lambda chosen: segmenter)
    monkeypatch.setattr("idseg.segmenter.Segmenter", lambda options: segmenter)
    monkeypatch.setattr(segmenter, "close", lambda: None)


def idseg(*words: str | Path) -> Result:
    done = CliRunner().invoke(main, [*map(str, words)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    return done


def made(*words: str | Path) -> list[dict[str, Any]]:
    """What ``idseg photo --json`` says of each photo."""
    done = idseg("photo", *words, "--json")
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_check_of_a_head_cut_at_the_frame(photos: Path) -> None:
    done = idseg("check", photos / "cut_above.jpg", "-s", "us-passport", "--json")
    rules = {rule["rule"]: rule["status"] for rule in json.loads(done.stdout)["rules"]}
    assert rules["head_inside"] == "not met"


def test_photo_warns_of_a_head_cut_at_the_frame(photos: Path, tmp_path: Path) -> None:
    (told,) = made(photos / "cut_above.jpg", "-s", "us-passport", "-o", tmp_path)
    assert any("cut" in warning for warning in told["files"][0]["warnings"])


def test_a_photo_larger_than_the_api_s(astronaut: Rgb, tmp_path: Path) -> None:
    large = Image.fromarray(astronaut[:400, 120:380]).resize((2704, 4160))  # one side over the API's limit is enough
    (tmp_path / "phone.jpg").write_bytes(saved(large, "JPEG", quality=60))
    made(tmp_path / "phone.jpg", "-s", "us-visa", "-o", tmp_path / "visa.jpg", "--no-check")
    with Image.open(tmp_path / "visa.jpg") as visa:
        assert visa.size == (600, 600)


@pytest.mark.parametrize("name", ["webp_named.jpg", "avif_named.jpg", "tiff_named.jpg"])
def test_other_formats_whatever_they_are_called(photos: Path, tmp_path: Path, name: str) -> None:
    made(photos / name, "-s", "35x45mm", "-o", tmp_path, "--no-check")


def test_a_jpeg_without_its_end_marker(photos: Path, tmp_path: Path) -> None:
    done = idseg("segment", photos / "no_eoi.jpg", "-o", tmp_path)
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("photo_names", [("a/1.jpg", "b/1.jpg"), ("x.jpg", "x.png", "x-2.jpg")])
def test_no_answer_overwrites_another(photos: Path, tmp_path: Path, photo_names: tuple[str, ...]) -> None:
    paths = [photos / name for name in photo_names]
    assert idseg("segment", *paths, "-o", tmp_path / "cuts").exit_code == 0
    assert len(list((tmp_path / "cuts").iterdir())) == len(paths)
    told = made(*paths, "-s", "35x45mm", "-s", "35x45mm", "-o", tmp_path / "made", "--no-check")
    files = [file["file"] for photo in told for file in photo["files"]]
    assert len(set(files)) == len(list((tmp_path / "made").iterdir())) == 2 * len(paths)


def test_a_finished_photo_does_not_replace_the_photo_itself(photos: Path, tmp_path: Path) -> None:
    photo = Path(shutil.copy(photos / "portrait.jpg", tmp_path / "me.jpg"))
    done = idseg("photo", photo, "-s", "us-visa", "-o", tmp_path / "me.jpg")
    assert done.exit_code == 2
    assert "is the photo itself" in done.stderr
    assert photo.read_bytes() == (photos / "portrait.jpg").read_bytes()


def test_check_tells_and_goes_on(photos: Path) -> None:
    done = idseg("check", photos / "text.jpg", photos / "portrait.jpg", photos / "nowhere.jpg", "-s", "35x45mm")
    assert "text.jpg: " in done.stderr
    assert "nowhere.jpg: " in done.stderr
    assert "portrait.jpg: " in done.stdout
    assert done.exit_code in (1, 3)


@pytest.mark.parametrize(
    ("words", "least"), [(["-s", "ee-passport"], 1000), (["-s", "295x413px", "--kb", "100-200"], 100)]
)
def test_the_least_kilobytes_are_reached(photos: Path, tmp_path: Path, words: list[str], least: int) -> None:
    (told,) = made(photos / "portrait.jpg", *words, "-o", tmp_path, "--no-check")
    (file,) = told["files"]
    assert Path(file["file"]).stat().st_size >= least * 1000
    assert file["padding"] > 0


def test_cut_lines_lie_over_the_photos(photos: Path, tmp_path: Path) -> None:
    (told,) = made(
        photos / "portrait.jpg", "-s", "一寸", "--background", "white", "-o", tmp_path, "--no-check",
        *("--sheet", "6inch", "--sheet-format", "png", "--gap", "0", "--marks", "lines"),
    )  # fmt: skip
    with Image.open(told["sheets"][0]["file"]) as sheet:
        grey = np.asarray(sheet.convert("L"))
    lines = [(grey < 200).mean(axis=axis) > 0.6 for axis in (0, 1)]  # columns and rows that are dark from end to end
    assert all(line.sum() >= 2 for line in lines)


def test_the_wall_is_kept(photos: Path, tmp_path: Path) -> None:
    (told,) = made(
        photos / "portrait.jpg", "-s", "au-passport", "--background", "keep", "-o", tmp_path / "o.jpg", "--no-check"
    )
    with Image.open(told["files"][0]["file"]) as picture:
        corner = np.asarray(picture.convert("RGB"))[5:25, 5:25].astype(int)
    assert corner.std() > 2, "a photo's wall is not one colour"


def test_code_pages(photos: Path) -> None:
    """In a process of its own; of a photo that is none, since only the name is the point."""
    (photos / "李四.jpg").write_bytes(b"no photo")
    command = [sys.executable, "-m", "idseg", "check", photos / "李四.jpg", photos / "text.jpg", "-s", "一寸"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run([*map(str, command)], capture_output=True, env=environment)
    assert b"Traceback" not in done.stderr
    assert b"\\u674e\\u56db.jpg" in done.stderr
    assert b"0 of 2 photos checked" in done.stderr


@pytest.fixture
def batch_without_models(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from idseg.cli import batch

    real = batch._work
    monkeypatch.setattr(batch, "_work", lambda out, chosen: replace(real(out, chosen), loader=fakes.load))


def batched(source: Path, out: Path) -> dict[str, str]:
    """Status of each photo."""
    idseg("batch", source, out, "--workers", "1")
    with open(out / "report.csv", encoding="utf-8-sig", newline="") as file:
        return {row["photo"]: row["status"] for row in csv.DictReader(file)}


@pytest.mark.usefixtures("batch_without_models")
def test_manifests_of_excel(tmp_path: Path) -> None:
    """GBK, semicolons, another case of the columns' names, and blanks, all in one."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "张三.jpg").write_bytes(fakes.picture(kind="JPEG"))
    (tmp_path / "list.csv").write_bytes("Photo; Name\r\n photos/张三.jpg ;A\r\n".encode("gbk"))
    assert batched(tmp_path / "list.csv", tmp_path / "out") == {"A": "ok"}


@pytest.mark.usefixtures("batch_without_models")
def test_thumbnails_of_a_nas(tmp_path: Path) -> None:
    for name in ("p.jpg", "@eaDir/p.jpg/SYNOPHOTO_THUMB_XL.jpg"):
        (tmp_path / "nas" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "nas" / name).write_bytes(fakes.picture(kind="JPEG"))
    assert batched(tmp_path / "nas", tmp_path / "out") == {"p.jpg": "ok"}


def test_the_cut_lies_in_the_photo(segmenter: Any, astronaut: Rgb) -> None:
    narrow = np.ascontiguousarray(astronaut[:300, 150:300])
    result = segmenter(narrow)
    window = result.window
    assert window.left >= 0
    assert window.top >= 0
    assert window.right <= 150
    assert window.bottom <= 300

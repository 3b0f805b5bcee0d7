"""``idseg photo``, ``sizes`` and ``check`` as a user runs them."""

from __future__ import annotations

import json
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

ROOT = Path(__file__).parent.parent.parent
SECRET = "kept by nobody"


def run(*arguments: str | Path) -> Result:
    """A command in this process: no interpreter starts, and with ``one_set_of_models`` no model loads."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def idseg(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "idseg", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=240)


@pytest.fixture(scope="module")
def selfie(astronaut: Rgb, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The astronaut as a JPEG with a name, a place and a camera in its Exif."""
    path = tmp_path_factory.mktemp("photos") / "selfie.jpg"
    exif = Image.Exif()
    exif[0x010E] = exif[0x013B] = SECRET
    exif.get_ifd(0x8825)[1] = "N"
    Image.fromarray(astronaut).save(path, quality=95, exif=exif.tobytes(), comment=SECRET)
    return path


@pytest.fixture(scope="module")
def made(selfie: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Three sizes and two sheets of one run."""
    folder = tmp_path_factory.mktemp("made")
    done = idseg(
        *("photo", selfie, "-o", folder, "-s", "us-visa", "-s", "一寸", "-s", "30x40mm@400", "--background", "#438edb"),
        *("--sheet", "6inch", "--sheet", "A4", "--marks", "lines", "--json"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_photos_have_their_pixels_dpi_kilobytes_and_colour(made: dict[str, Any]) -> None:
    wanted = {"us-visa": (600, 600, 300), "cn-1inch": (295, 413, 300), "30x40mm": (472, 630, 400)}
    assert {file["size"] for file in made["files"]} == set(wanted)
    for file in made["files"]:
        width, height, dpi = wanted[file["size"]]
        content = Path(file["file"]).read_bytes()
        with Image.open(file["file"]) as image:
            assert image.size == (width, height)
            assert image.info["dpi"] == (dpi, dpi)
            assert image.info["icc_profile"]
            corner = np.asarray(image)[2:8, 2:8].reshape(-1, 3).mean(axis=0)
        assert np.abs(corner - (0x43, 0x8E, 0xDB)).max() < 4
        assert len(content) / 1000 == pytest.approx(file["kb"], abs=0.06)
        if file["size"] == "us-visa":
            assert len(content) <= 240_000


def test_nothing_of_the_inputs_metadata_is_carried_over(made: dict[str, Any], selfie: Path) -> None:
    assert SECRET.encode() in selfie.read_bytes()
    for file in (*made["files"], *made["sheets"]):
        content = Path(file["file"]).read_bytes()
        assert SECRET.encode() not in content
        assert b"Exif" not in content


def test_the_documents_rules_are_obeyed_and_told(made: dict[str, Any]) -> None:
    visa = next(file for file in made["files"] if file["size"] == "us-visa")
    assert {rule["rule"] for rule in visa["rules"]} == {"head", "eyes"}
    assert {rule["status"] for rule in visa["rules"]} <= {"met", "check yourself"}
    assert visa["unretouched"] is True
    assert visa["rules_from"] == "document"


def test_sheets_have_the_papers_size(made: dict[str, Any]) -> None:
    for sheet, paper in zip(made["sheets"], ({432.0, 288.0}, {595.276, 841.89}), strict=True):
        content = Path(sheet["file"]).read_bytes()
        box = content.split(b"/MediaBox [0 0 ")[1].split(b"]")[0].split()
        assert {float(side) for side in box} == paper
        assert sheet["photos"] >= 3


@pytest.mark.usefixtures("one_set_of_models")
def test_one_photo_of_one_size_goes_to_the_file_named(selfie: Path, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "id.png"
    done = run("photo", selfie, "-s", "cn-small-1inch", "-o", target, "--background", "transparent")
    assert done.exit_code == 0, done.stderr
    with Image.open(target) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGBA", (260, 378))
    assert "22" not in done.stderr


@pytest.mark.usefixtures("one_set_of_models")
def test_check_tells_every_rule_as_json(selfie: Path) -> None:
    done = run("check", selfie, "-s", "us-visa", "--json")
    assert done.exit_code in (0, 8)
    assert done.stderr == ""
    report = json.loads(done.stdout)
    assert report["unretouched"] is True
    found = {rule["rule"]: rule["status"] for rule in report["rules"]}
    assert found["one_person"] == "met"
    assert found["head_uncovered"] == "check yourself"
    assert found["mouth_closed"] != "met"  # she smiles
    assert found["background_even"] == "not met"  # a flag and a shuttle
    assert (done.exit_code == 8) == ("not met" in found.values())


@pytest.mark.usefixtures("one_set_of_models")
def test_check_of_nobody_fails_one_person(tmp_path: Path) -> None:
    grey = tmp_path / "grey.png"
    Image.fromarray(np.full((200, 200, 3), 128, np.uint8)).save(grey)
    done = run("check", grey, "-s", "icao")
    assert done.exit_code == 8
    assert "not met        one_person" in done.stdout


def test_sizes_lists_searches_and_gives_json() -> None:
    done = run("sizes", "护照")
    assert done.exit_code == 0
    assert "de-passport" in done.stdout
    rows = json.loads(run("sizes", "cn-id-card", "--json").stdout)
    assert rows[0]["px"] == [358, 441]
    assert rows[0]["source"].startswith("GA 461")
    card = run("sizes", "us", "visa").stdout
    for told in ("head 25.4..35 mm from chin to the top of the hair", "crop only", "white", "https://"):
        assert told in card
    assert run("sizes", "atlantis").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-s", "nowhere"), "no size"),
        (("-s", "us-visa", "--background", "nocolour"), "not a colour"),
        (("-s", "us-visa", "--kb", "9-3"), "least"),
        (("-s", "us-visa", "--sheet", "a9"), "no paper"),
        (("-s", "us-visa", "--format", "gif"), "not a supported output format"),
        (("-s", "us-visa", "--copies", "0"), "less than 1"),
    ],
)
def test_a_wrong_option_is_told_before_any_model_loads(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    done = run("photo", tmp_path / "nowhere.jpg", "-o", tmp_path / "out", *arguments)
    assert done.exit_code == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1

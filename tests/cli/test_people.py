"""``idseg photo`` and ``idseg check`` on photos that show more than one upright person: ``--pick``, ``--second-face``,
``--turn``; and on a phone's largest photos. One set of models for all."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from idseg.cli.main import main
from idseg.types import Rgb

pytestmark = pytest.mark.usefixtures("one_set_of_models")


@pytest.fixture(scope="module")
def couple(astronaut: Rgb) -> Rgb:
    """The astronaut at the left, and at the right her mirror image, 0.6 times as large, on the same ground."""
    small = cv2.resize(astronaut[:, ::-1], (307, 307), interpolation=cv2.INTER_AREA)
    beside = np.full((512, 307, 3), 128, np.uint8)
    beside[205:] = small
    return np.hstack((astronaut, beside))


@pytest.fixture(scope="module")
def couple_file(couple: Rgb, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("couple") / "couple.png"
    Image.fromarray(couple).save(path)
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def report(path: Path, *options: str) -> dict[str, Any]:
    done = run("check", path, "-s", "icao", "--json", *options)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_check_refuses_two_people_unless_one_is_picked(couple_file: Path) -> None:
    refused = report(couple_file)
    assert (refused["rules"][0]["rule"], refused["rules"][0]["status"]) == ("one_person", "not met")
    assert refused["rules"][0]["value"] == 2
    left, right = report(couple_file, "--pick", "left"), report(couple_file, "--pick", "2")
    assert left["rules"][0]["status"] == right["rules"][0]["status"] == "met"
    assert re.search(r"another, larger face \((1\.[5-9]|2\.0) times as high\) to the left", right["warnings"][0])
    assert re.search(r"another, smaller face \(0\.[567] times as high\) to the right", left["warnings"][0])


def test_check_takes_a_smaller_face_for_background_where_that_is_asked_for(couple_file: Path) -> None:
    lenient = report(couple_file, "--second-face", "0.8")
    assert lenient["rules"][0]["status"] == "met"
    assert lenient["warnings"] == []  # background is not told
    assert report(couple_file, "--pick", "largest")["warnings"]


def test_photo_turns_and_picks(couple: Rgb, tmp_path: Path) -> None:
    """The right one of two in a photo that lies on its side; the finished photo is checked as any other."""
    path = tmp_path / "lying.png"
    Image.fromarray(np.ascontiguousarray(np.rot90(couple))).save(path)
    refused = run("photo", path, "-s", "cn-1inch", "-o", tmp_path / "no.jpg", "--pick", "right")
    assert refused.exit_code != 0
    assert "turn" in refused.stderr
    assert not (tmp_path / "no.jpg").exists()
    done = run(
        *("photo", path, "-s", "cn-1inch", "-o", tmp_path / "id.jpg", "--turn", "--pick", "right", "--json"),
        *("--background", "white"),
    )
    assert done.exit_code == 0, done.stderr
    (file,) = json.loads(done.stdout)["files"]
    assert any("larger face" in warning for warning in file["warnings"])
    assert file["check"]["rules"][0]["status"] == "met"
    upright = tmp_path / "upright.png"
    Image.fromarray(couple).save(upright)
    plain = ("--background", "white", "--no-check")
    assert run("photo", upright, "-s", "cn-1inch", "-o", tmp_path / "b.jpg", "--pick", "2", *plain).exit_code == 0
    found, wanted = (np.asarray(Image.open(tmp_path / name), dtype=int) for name in ("id.jpg", "b.jpg"))
    assert np.abs(found - wanted).mean() < 1


def test_a_wrong_pick_is_told(couple_file: Path) -> None:
    done = run("check", couple_file, "-s", "icao", "--pick", "middle")
    assert done.exit_code == 2
    assert "use largest, left, right, or a number" in done.stderr
    few = run("check", couple_file, "-s", "icao", "--pick", "5")
    assert (few.exit_code, few.stderr.count("\n")) == (2, 1)
    assert "there are only 2 people in the photo" in few.stderr


def phone_photo(astronaut: Rgb, width: int, height: int, path: Path) -> Path:
    """A photo of a phone's size, the person two fifths of the height."""
    side = round(0.42 * height)
    left = (width - side) // 2
    photo = np.full((height, width, 3), 128, np.uint8)
    photo[height - side :, left : left + side] = cv2.resize(astronaut, (side, side), interpolation=cv2.INTER_CUBIC)
    Image.fromarray(photo).save(path, quality=90)
    return path


def test_a_photo_is_made_of_48_megapixels(astronaut: Rgb, tmp_path: Path) -> None:
    path = phone_photo(astronaut, 8064, 6048, tmp_path / "phone.jpg")
    plain = ("--background", "white", "--no-check", "--json")
    done = run("photo", path, "-s", "us-passport", "-o", tmp_path / "id.jpg", *plain)
    assert done.exit_code == 0, done.stderr
    (file,) = json.loads(done.stdout)["files"]
    assert file["px"] == [600, 600]
    assert {rule["status"] for rule in file["rules"]} == {"met"}


def test_a_photo_of_24_megapixels_is_checked(astronaut: Rgb, tmp_path: Path) -> None:
    told = report(phone_photo(astronaut, 4284, 5712, tmp_path / "phone.jpg"))
    statuses = {rule["rule"]: rule["status"] for rule in told["rules"]}
    assert {statuses[rule] for rule in ("one_person", "resolution", "enough_pixels", "head_inside")} == {"met"}

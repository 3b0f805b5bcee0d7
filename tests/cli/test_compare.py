"""``idseg compare`` and ``idseg record`` as commands; the service is a real server with fake models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from benchmarks import known
from benchmarks.known import Change
from idseg.cli.main import main
from idseg.cloud import wire
from idseg.imaging import encode
from idseg.types import Rgb
from tests.cloud.compare.scene import photos
from tests.server.fakes import NOBODY, picture
from tests.server.live import API_KEY, SECRET_KEY, Live


def call(*words: object, environment: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], env=environment)


@pytest.fixture
def folders(astronaut: Rgb, tmp_path: Path) -> tuple[Path, Path]:
    """(their replies with photos, ours)"""
    made = photos(astronaut, tmp_path / "photos", 3)
    known.save_replies(tmp_path / "theirs", made, lambda index: Change(window=(3, 0)), None)
    ours = tmp_path / "ours"
    ours.mkdir()
    for path, answer in made:
        (ours / f"{path.stem}.json").write_bytes(wire.dumps(wire.render(answer, 1)))
    return tmp_path / "theirs", ours


def test_compare_writes_a_report_and_figures(folders: tuple[Path, Path], tmp_path: Path) -> None:
    theirs, ours = folders
    report = tmp_path / "out" / "report.html"
    done = call("compare", theirs, "--ours", ours, "--report", report)
    assert done.exit_code == 0, done.output
    assert "3 photos, 3 answered by both" in done.output
    assert "* their window lies 3 px further right (3 of 3 photos)" in done.output
    assert report.read_text().startswith("<!doctype html>")
    figures = json.loads((tmp_path / "out" / "report-figures.json").read_text())
    assert figures["measures"]["window left edge"]["median"] == 3.0


def test_compare_leaves_the_replies_alone(folders: tuple[Path, Path]) -> None:
    theirs, ours = folders
    before = {path.name: path.read_bytes() for path in theirs.iterdir()}
    assert call("compare", theirs, "--ours", ours).exit_code == 0
    after = {path.name: path.read_bytes() for path in theirs.iterdir()}
    assert after.keys() - before.keys() == {"compare.html", "compare-figures.json"}
    assert all(after[name] == content for name, content in before.items())


def test_an_empty_folder_is_a_wrong_option(tmp_path: Path) -> None:
    done = call("compare", tmp_path)
    assert done.exit_code == 2
    assert "none with a saved reply" in done.output


@pytest.fixture
def service(live: Live) -> Live:
    return live


@pytest.fixture
def people(tmp_path: Path) -> Path:
    folder = tmp_path / "people"
    folder.mkdir()
    for index in range(3):
        (folder / f"p{index}.png").write_bytes(picture((90, 100 + index, 150)))
    (folder / "nobody.png").write_bytes(picture(NOBODY))
    return folder


def test_record_then_compare_with_the_record_itself(service: Live, people: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys.txt"
    keys.write_text(f"{API_KEY}\n{SECRET_KEY}\n")
    out = tmp_path / "replies"
    words = ("record", people, "--host", service.url, "--keys", keys, "-o", out, "--rate", 100)
    done = call(*words)
    assert done.exit_code == 0, done.output
    assert "3 answer" in done.output
    assert "1 refused" in done.output
    assert "nobody.png: 216634 detect error" in done.output
    again = call(*words)
    assert "4 kept" in again.output
    compared = call("compare", out, "--ours", out)
    assert compared.exit_code == 0, compared.output
    assert "4 photos, 3 answered by both" in compared.output
    assert "100.0% of 4 agree" in compared.output


def test_keys_from_json_and_from_the_environment(service: Live, people: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"api_key": API_KEY, "secret_key": SECRET_KEY, "app_id": 1}))
    photo = people / "p0.png"
    assert call("record", photo, "--host", service.url, "--keys", keys, "-o", tmp_path / "a").exit_code == 0
    environment = {"IDSEG_API_KEY": API_KEY, "IDSEG_SECRET_KEY": SECRET_KEY}
    done = call("record", photo, "--host", service.url, "-o", tmp_path / "b", environment=environment)
    assert done.exit_code == 0, done.output


def test_wrong_keys_are_told_in_one_line(service: Live, people: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys.txt"
    keys.write_text("WrongKeyWrongKeyWrong wrong-secret-key")
    done = call("record", people, "--host", service.url, "--keys", keys)
    assert done.exit_code == 1
    assert "refuses the login" in done.output
    assert "Traceback" not in done.output
    assert SECRET_KEY not in done.output
    keys.write_text("one two three")
    done = call("record", people, "--host", service.url, "--keys", keys)
    assert done.exit_code == 2
    assert "3 words" in done.output


def test_a_service_that_is_away_fails_with_a_code(people: Path) -> None:
    done = call("record", people / "p0.png", "--host", "http://127.0.0.1:9", "--tries", 1)
    assert done.exit_code == 1
    assert "no answer from http://127.0.0.1:9" in done.output


def test_help_of_both_commands_has_examples() -> None:
    for name in ("compare", "record"):
        done = call(name, "--help")
        assert done.exit_code == 0
        assert f"idseg {name} " in done.output


@pytest.mark.weights
def test_compare_runs_idseg_itself(astronaut: Rgb, tmp_path: Path) -> None:
    (tmp_path / "astronaut.png").write_bytes(encode.png(np.ascontiguousarray(astronaut)))
    reply = wire.body_seg_photo(_base64(tmp_path / "astronaut.png"))
    del reply["cut_location"]
    (tmp_path / "astronaut.json").write_text(json.dumps(reply))
    done = call("compare", tmp_path)
    assert done.exit_code == 0, done.output
    assert "1 photos, 1 answered by both" in done.output
    figures = json.loads((tmp_path / "compare-figures.json").read_text())
    difference = figures["rows"][0]["difference"]
    assert difference["placement"]["source"] == "registered"
    assert difference["window_shift"] == [0, 0, 0, 0]
    assert difference["matte"]["errors"]["mad"] == 0


def _base64(path: Path) -> bytes:
    import base64

    return base64.b64encode(path.read_bytes())

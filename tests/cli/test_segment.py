"""The command line as a user runs it: in a process of its own, with what it prints and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from idseg import __version__
from idseg.cli.main import main
from idseg.types import Rgb

ROOT = Path(__file__).parent.parent.parent
FILES = {"cut.png", "scoremap.png", "demo.png", "cutout.png", "result.json"}


def idseg(*arguments: str | Path, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [*prefix, sys.executable, "-m", "idseg", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=240)


def here(*arguments: str | Path) -> Result:
    """The same in this process: for whatever needs no process of its own."""
    done = CliRunner().invoke(main, [*map(str, arguments)])
    assert isinstance(done.exception, SystemExit | None), done.exc_info
    return done


@pytest.fixture(scope="module")
def selfie(astronaut: Rgb, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "selfie.png"
    Image.fromarray(astronaut).save(path)
    return path


@pytest.fixture(scope="module")
def bad_photos(astronaut: Rgb, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bad")
    two = np.hstack([astronaut[:, 60:400], astronaut[:, 60:400]])
    pictures = {"grey": np.full((200, 200, 3), 128, np.uint8), "two": two, "tiny": astronaut[:40, :40]}
    paths = {name: folder / f"{name}.png" for name in pictures}
    for name, picture in pictures.items():
        Image.fromarray(picture).save(paths[name])
    paths["text"] = folder / "text.jpg"
    paths["text"].write_text("no photo at all")
    paths["nowhere"] = folder / "nowhere.jpg"
    return paths


def test_segment_writes_everything_and_nothing_to_stderr(selfie: Path, tmp_path: Path) -> None:
    done = idseg("segment", selfie, "-o", tmp_path, "--overlay", "--background", "#438edb")
    assert (done.returncode, done.stderr) == (0, "")
    folder = tmp_path / "selfie"
    assert {path.name for path in folder.iterdir()} == FILES | {"overlay.jpg", "on_background.png"}
    result = json.loads((folder / "result.json").read_text())
    size = result["window"]["width"], result["window"]["height"]
    for name, mode in (
        ("cut", "RGB"),
        ("scoremap", "L"),
        ("demo", "RGB"),
        ("cutout", "RGBA"),
        ("on_background", "RGB"),
    ):
        with Image.open(folder / f"{name}.png") as picture:
            assert (picture.size, picture.mode) == (size, mode)
    assert "facepose 1 (level frontal)" in done.stdout
    with Image.open(folder / "on_background.png") as picture:
        corner = np.asarray(picture)[0, 0].astype(int)
    assert np.abs(corner - (67, 142, 219)).max() <= 8  # alpha there is below 0.05


def test_without_a_network(selfie: Path, tmp_path: Path) -> None:
    probe = subprocess.run(["unshare", "-n", "true"], capture_output=True)
    if probe.returncode != 0:
        pytest.skip("unshare -n is not allowed here")
    done = idseg("segment", selfie, "-o", tmp_path, prefix=("unshare", "-n"))
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in (tmp_path / "selfie").iterdir()} == FILES


def test_json_is_the_api_s_reply(selfie: Path) -> None:
    done = idseg("segment", selfie, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    reply = json.loads(done.stdout)
    assert list(reply["pose_info"]["body_parts"][0]) == ["left_ear"]
    assert reply["pose_info"]["facepose"] == 1


def test_many_photos_with_bad_ones_among_them(selfie: Path, bad_photos: dict[str, Path], tmp_path: Path) -> None:
    done = idseg("segment", selfie, bad_photos["text"], bad_photos["two"], selfie, "-o", tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "text.jpg: " in done.stderr
    assert "two.png: 2 people" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"selfie", "selfie-2"}


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        ("nowhere", 3, "nowhere.jpg"),
        ("text", 3, "JPEG"),
        ("tiny", 3, "50"),
        ("grey", 4, "no face"),
        ("two", 4, "2 people"),
    ],
)
def test_exit_codes(bad_photos: dict[str, Path], tmp_path: Path, name: str, code: int, says: str) -> None:
    done = here("segment", bad_photos[name], "-o", tmp_path / "out")
    assert done.exit_code == code
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_forced_provider_that_is_not_there(selfie: Path, tmp_path: Path) -> None:
    done = here("segment", selfie, "-o", tmp_path, "--provider", "nonsense")
    assert done.exit_code == 6
    assert "nonsense" in done.stderr
    assert "cpu" in done.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        ["--background", "whiteish"],
        ["--aspect", "5"],
        ["--aspect", "0:1"],
        ["--refine", "magic"],
        ["--quality", "superb"],
        ["--second-face", "7"],
    ],
)
def test_wrong_options_are_told_before_any_work(selfie: Path, tmp_path: Path, wrong: list[str]) -> None:
    done = here("segment", selfie, "-o", tmp_path / "out", *wrong)
    assert done.exit_code == 2
    assert not (tmp_path / "out").exists()


def test_nowhere_to_write_is_a_usage_error(selfie: Path) -> None:
    done = here("segment", selfie)
    assert done.exit_code == 2
    assert "-o" in done.stderr


def test_help_names_every_command_and_the_exit_codes() -> None:
    done = here("--help")
    assert done.exit_code == 0
    for word in ("segment", "models", "doctor", "serve", "Exit codes"):
        assert word in done.stdout
    assert here("--version").stdout.strip().endswith(__version__)


def test_models_lists_and_checks_what_ships() -> None:
    done = here("models", "--json")
    assert done.exit_code == 0
    rows = json.loads(done.stdout)
    assert {row["state"] for row in rows} == {"ok"}
    assert {row["task"] for row in rows} >= {"face-detection", "face-landmarks", "pose-landmarks", "matting", "refine"}
    assert all(row["licence"] == "Apache-2.0" for row in rows)
    text = here("models").stdout
    assert all(row["name"] in text for row in rows)

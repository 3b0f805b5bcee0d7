"""``idseg batch`` as a user meets it: what it prints, how it ends, what it refuses."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from idseg.cli.main import main
from idseg.types import Rgb
from tests.batch import fakes as fakes

ROOT = Path(__file__).resolve().parents[2]

FAKED = """
from dataclasses import replace
from idseg.cli import batch, main
from tests.batch import fakes as batch_fakes
real = batch._work
batch._work = lambda out, chosen: replace(real(out, chosen), loader=batch_fakes.load)
main.main(prog_name="idseg")
"""
"""The command with invented models: the real ones are not what these tests are about."""


def start(*arguments: str | Path, faked: bool = True, stderr: int = subprocess.PIPE) -> subprocess.Popen[str]:
    program = ["-c", FAKED] if faked else ["-m", "idseg"]
    return subprocess.Popen(
        [sys.executable, *program, "batch", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        start_new_session=True,
    )


def idseg_batch(*arguments: str | Path, faked: bool = True) -> tuple[int, str, str]:
    process = start(*arguments, faked=faked)
    out, err = process.communicate(timeout=200)
    return process.returncode, out, err


def put(folder: Path, count: int, color: tuple[int, int, int] = fakes.SLOW) -> None:
    folder.mkdir(exist_ok=True)
    for number in range(count):
        (folder / f"{number:03}.png").write_bytes(fakes.picture(color))


def test_counts_reports_and_exit_codes(tmp_path: Path) -> None:
    put(tmp_path / "in", 5, (7, 7, 7))
    (tmp_path / "in/notes.txt").touch()
    code, out, err = idseg_batch(tmp_path / "in", tmp_path / "out", "--workers", "1", "--write", "cut, scoremap")
    assert (code, "5 of 5 photos: 5 ok, 0 refused, 0 failed; 5 now, 0 before" in out) == (0, True), err
    assert "skipped: 1 not a photo" in out
    assert "0/5 (0 ok, 0 refused, 0 failed)" in err
    assert len(list((tmp_path / "out").glob("*.cut.png"))) == 5
    assert not list((tmp_path / "out").glob("*.cutout.png"))

    (tmp_path / "in/nobody.png").write_bytes(fakes.picture(fakes.NOBODY))
    code, out, err = idseg_batch(tmp_path / "in", tmp_path / "out", "--workers", "1", "--write", "cut,scoremap")
    assert (code, "5 ok, 1 refused, 0 failed; 1 now, 5 before" in out) == (1, True), err
    assert "without an answer: 1 no_person" in out
    assert (tmp_path / "out/report.csv").is_file()
    assert "nobody is in the photo" in (tmp_path / "out/refusals.html").read_text(encoding="utf-8")


def test_a_terminal_shows_a_bar_with_counts_and_rate(tmp_path: Path) -> None:
    put(tmp_path / "in", 9)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
    process = start(tmp_path / "in", tmp_path / "out", "--workers", "1", stderr=theirs)
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # Linux says so when the other end is closed
        while part := os.read(ours, 4096):
            shown += part
    os.close(ours)
    process.communicate(timeout=60)
    assert process.returncode == 0
    last = shown.decode().strip().split("\r")[-1]
    assert "100%" in last
    assert "9/9" in last
    assert "photo/s" in last
    assert "9 ok, 0 refused, 0 failed" in last


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_in_good_order_and_the_same_command_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    put(tmp_path / "in", 120)
    process = start(tmp_path / "in", tmp_path / "out", "--workers", "2")
    deadline = time.monotonic() + 60
    # An outcome is noted after its files are written: with three photos' files there, one is noted.
    while len(list((tmp_path / "out").glob("*.result.json"))) < 3:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, number)  # as a terminal does: to the workers too
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, err
    assert "run the same command again to continue" in err
    assert "Traceback" not in err
    first = int(re.findall(r"(\d+) of 120 photos", out)[0])
    assert 1 <= first < 120
    assert len((tmp_path / "out/report.csv").read_text(encoding="utf-8").splitlines()) == first + 1
    code, out, err = idseg_batch(tmp_path / "in", tmp_path / "out", "--workers", "2")
    assert (code, f"{120 - first} now, {first} before" in out) == (0, True), err
    assert "unfinished" not in out  # it had ended in good order


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ctrl_c_never_reaches_a_process_that_is_starting() -> None:
    """Not even the first one, at whose start multiprocessing starts its tracker, which unblocks signals."""
    code = """
import time
from multiprocessing import get_context
from pathlib import Path
from idseg.models.process import _signals_held_back
for _ in range(2):
    process = get_context("spawn").Process(target=time.sleep, args=(60,))
    with _signals_held_back():
        process.start()
    status = Path(f"/proc/{process.pid}/status").read_text()
    process.kill()
    print(int(dict(line.split(":", 1) for line in status.splitlines())["SigBlk"], 16) >> 1 & 1)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout.split()) == (0, ["1", "1"]), ended.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["gone", "out"], 2, "gone does not exist"),
        (["in", "in"], 2, "is or contains the input"),
        (["empty", "out"], 2, "no photos in"),
        (["in", "out", "--write", "matte"], 2, "no product is called matte"),
        (["in", "out", "--background", "mauve?"], 2, "is not a colour"),
        (["in", "out", "--workers", "0"], 2, "--workers"),
        (["in", "out", "--address", "auto"], 2, "--engine ray"),
        (["in"], 2, "Missing argument"),
        (["in", "s3://bucket/out"], 2, "--state"),
    ],
)
def test_what_cannot_go_is_told_at_once(tmp_path: Path, arguments: list[str], code: int, told: str) -> None:
    put(tmp_path / "in", 1)
    (tmp_path / "empty").mkdir()
    places = [str(tmp_path / word) if word in ("gone", "in", "out", "empty") else word for word in arguments]
    ended = CliRunner().invoke(main, ["batch", *places])
    assert (ended.exit_code, told in ended.stderr) == (code, True), ended.output
    assert isinstance(ended.exception, SystemExit)


def test_a_second_batch_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "in", 700)  # 20 s, of which the second batch needs some for its imports
    first = start(tmp_path / "in", tmp_path / "out", "--workers", "1")
    while not list((tmp_path / "out").glob("*.scoremap.png")):
        assert first.poll() is None
        time.sleep(0.01)
    code, _, err = idseg_batch(tmp_path / "in", tmp_path / "out")
    first.terminate()
    first.communicate(timeout=60)
    assert (code, "another batch is writing" in err) == (8, True), err
    assert first.returncode == 143


@pytest.mark.weights
def test_the_real_models_give_in_a_batch_what_they_give_alone(tmp_path: Path, astronaut: Rgb) -> None:
    from idseg import Options, Segmenter

    (tmp_path / "in").mkdir()
    path = tmp_path / "in/astronaut.png"
    Image.fromarray(astronaut).save(path)
    code, out, err = idseg_batch(tmp_path / "in", tmp_path / "out", "--refine", "none", "--workers", "1", faked=False)
    assert (code, "1 of 1 photos: 1 ok" in out) == (0, True), err
    with Segmenter(Options(refine="none", threads=1)) as segmenter:
        alone = segmenter(path)
    matte = np.asarray(Image.open(tmp_path / "out/astronaut.png.scoremap.png"))
    np.testing.assert_array_equal(matte, alone.scoremap)

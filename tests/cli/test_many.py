"""What every command that takes many photos promises: unique names, one bad photo told, one exit code, any terminal."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from idseg.cli.many import OutputError, each_photo, finish, json_line, unique
from idseg.cli.runner import clear_errors
from idseg.errors import IdsegError, ModelMissingError, NoPersonError, OptionError, PhotoFormatError

ROOT = Path(__file__).parent.parent.parent
PHOTOS = [Path("a.jpg"), Path("张三.jpg"), Path("c.jpg")]


@pytest.mark.parametrize(
    ("names", "settled"),
    [
        (["1", "1"], ["1", "1-2"]),  # a/1.jpg b/1.jpg
        (["x", "x", "x-2"], ["x", "x-3", "x-2"]),  # x.jpg x.png x-2.jpg
        (["x-2", "x", "x"], ["x-2", "x", "x-3"]),
        (["A", "a"], ["A", "a-2"]),  # one file on Windows and macOS
        (["x", "x", "x-2", "x-2"], ["x", "x-3", "x-2", "x-2-2"]),
        ([], []),
    ],
)
def test_unique_names(names: list[str], settled: list[str]) -> None:
    assert unique(names) == settled


@given(st.lists(st.sampled_from(["x", "X", "x-2", "x-3", "x-2-2", "y", ""]), max_size=12))
def test_unique_names_are_unique_and_names_without_a_double_are_kept(names: list[str]) -> None:
    settled = unique(names)
    folded = [name.casefold() for name in names]
    assert len({name.casefold() for name in settled}) == len(names)
    assert all(new == old for new, old in zip(settled, names, strict=True) if folded.count(old.casefold()) == 1)


def run(outcomes: Sequence[str | Exception | None], *codes: int) -> Result:
    """A command whose photos end so."""

    @click.command()
    def command() -> None:
        def make(number: int, photo: Path) -> str | None:
            outcome = outcomes[number]
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        with clear_errors():
            failures = each_photo(PHOTOS[: len(outcomes)], make)
        finish(failures, *codes)

    return CliRunner().invoke(command)


def test_all_well() -> None:
    done = run(["one", None, "three"])
    assert (done.exit_code, done.stdout) == (0, "one\nthree\n")
    assert "3 of 3 photos done" in done.stderr


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (PhotoFormatError("looks like text", found="text"), 3, "张三.jpg: looks like text"),
        (NoPersonError("nobody"), 4, "张三.jpg: nobody"),
        (OptionError("no JPEG of 10 KB holds it"), 2, "张三.jpg: no JPEG of 10 KB"),
        (PermissionError(errno.EACCES, "Permission denied", "/out/b"), 1, "cannot write /out/b: Permission denied"),
        (FileExistsError(errno.EEXIST, "File exists", "out"), 1, "cannot write out: File exists"),
        (MemoryError(), 1, "not enough memory"),
        (ZeroDivisionError("x"), 1, "an error in idseg, please report it: ZeroDivisionError: x"),
    ],
)
def test_one_bad_photo_is_told_and_the_rest_goes_on(error: Exception, code: int, says: str) -> None:
    done = run(["one", error, "three"])
    assert (done.exit_code, done.stdout) == (code, "one\nthree\n")
    assert says in done.stderr
    assert "2 of 3 photos done; 1 failed" in done.stderr
    assert "Traceback" not in done.stderr


def test_several_kinds_of_failures_are_exit_code_1() -> None:
    assert run([NoPersonError("x"), PhotoFormatError("y"), None]).exit_code == 1
    assert run([NoPersonError("x"), NoPersonError("y"), None]).exit_code == 4
    assert run([NoPersonError("x"), None], 8).exit_code == 1
    assert run([None, None], 8).exit_code == 8


@pytest.mark.parametrize(
    ("error", "code"), [(ModelMissingError("no weights"), 5), (OSError(errno.ENOSPC, "No space left on device"), 1)]
)
def test_what_every_photo_would_fail_by_ends_the_command(error: Exception, code: int) -> None:
    done = run([error, "two", "three"])
    assert (done.exit_code, done.stdout) == (code, "")
    assert "Traceback" not in done.stderr


def test_a_single_photo_has_one_line() -> None:
    done = run([PhotoFormatError("looks like text")])
    assert done.stderr == "a.jpg: looks like text\n"


def test_the_error_of_a_folder_that_cannot_be_made_is_ours() -> None:
    failures: list[IdsegError] = each_photo([Path("a")], lambda number, photo: Path("/proc/nowhere/x").mkdir())
    assert isinstance(failures[0], OutputError)
    assert isinstance(failures[0], OSError)


TOLD = r"""
from idseg.cli.many import survive_any_terminal, json_line
import click
survive_any_terminal()
click.echo("\u5f20\u4e09 \xe9 \u2192 \udcff")
click.echo("\u5f20\u4e09", err=True)
print(json_line({"photo": "\u5f20\u4e09\U0001f600"}))
"""


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "cp1252"},
        {"PYTHONIOENCODING": "cp437"},
        {"PYTHONIOENCODING": "gbk"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "utf-8"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_every_echo_survives_every_terminal(environment: dict[str, str]) -> None:
    base = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONIOENCODING"},
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run([sys.executable, "-c", TOLD], capture_output=True, env={**base, **environment})
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    last = done.stdout.splitlines()[-1]
    assert json.loads(last.decode(environment.get("PYTHONIOENCODING", "utf-8"))) == {"photo": "张三😀"}


@pytest.mark.parametrize(("encoding", "words"), [("cp1252", ["sizes", "visa"]), ("cp437", ["photo", "--help"])])
def test_commands_survive_code_pages(encoding: str, words: list[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-m", "idseg", *words], capture_output=True, env=environment)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr


def test_json_is_readable_where_the_terminal_can_show_it() -> None:
    assert json.loads(json_line({"a": "张三"})) == {"a": "张三"}

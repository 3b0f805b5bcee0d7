"""``idseg doctor``: what it says of a whole machine, and of machines that lack something."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner

from idseg import system
from idseg.cli import doctor
from idseg.cli.runner import EXIT_CODES
from idseg.errors import DependencyError
from idseg.models import mediapipe_library, sandbox


def found(check: str) -> doctor.Check:
    return next(line for line in doctor.run() if line.name == check)


def installed(monkeypatch: pytest.MonkeyPatch, **versions: str | None) -> None:
    """Pretend that distributions have these versions, or are not there."""
    real = metadata.version

    def version(name: str) -> str:
        key = name.replace("-", "_")
        if key not in versions:
            return real(name)
        if (pretended := versions[key]) is None:
            raise metadata.PackageNotFoundError(name)
        return pretended

    monkeypatch.setattr(metadata, "version", version)


@pytest.mark.weights
def test_a_whole_machine() -> None:
    done = CliRunner().invoke(doctor.doctor)
    assert done.exit_code == 0, done.output
    assert "FAIL" not in done.output
    assert "ran portrait-coarse" in done.output
    assert "--provider auto uses it" in done.output


def test_a_missing_package_fails_with_the_command_that_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, mediapipe=None)
    done = CliRunner().invoke(doctor.doctor)
    assert done.exit_code == EXIT_CODES[DependencyError]
    assert "FAIL mediapipe" in done.output
    assert "pip install mediapipe" in done.output


def test_an_optional_package_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, pymatting=None)
    line = found("pymatting")
    assert line.state == "note"
    assert "closed-form" in line.found


@pytest.mark.parametrize(
    ("versions", "state"),
    [
        ({"opencv_contrib_python": "5.1"}, "ok"),
        ({"opencv_contrib_python": None, "opencv_python_headless": "5.1"}, "ok"),
        ({"opencv_contrib_python": "5.1", "opencv_python_headless": "5.1"}, "FAIL"),
        ({"opencv_contrib_python": None}, "ok"),  # cv2 can be imported: a package of the system
    ],
)
def test_exactly_one_opencv(monkeypatch: pytest.MonkeyPatch, versions: dict[str, str | None], state: str) -> None:
    others = {"opencv_python": None, "opencv_contrib_python_headless": None, "opencv_python_headless": None}
    installed(monkeypatch, **{**others, **versions})
    assert found("opencv").state == state


@pytest.mark.parametrize(("version", "state"), [((3, 9), "FAIL"), ((3, 10), "ok"), ((3, 14), "ok"), ((3, 15), "FAIL")])
def test_pythons(monkeypatch: pytest.MonkeyPatch, version: tuple[int, int], state: str) -> None:
    monkeypatch.setattr(sys, "version_info", (*version, 0))
    assert found("python").state == state


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_other_systems_need_no_shared_libraries_and_say_what_keeps_reports_back(
    monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    lines = {line.name: line for line in doctor.run()}
    assert not any(name.startswith("lib") for name in lines)
    assert lines["mediapipe's reports"].state == "note"
    assert "sends no report" in lines["mediapipe's reports"].found
    assert not sandbox.can_confine()


@pytest.mark.skipif(sys.platform != "linux", reason="/sys is Linux's")
def test_a_chroot_without_sys_is_told_before_mediapipe_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "CORES", Path("/nowhere/possible"))
    monkeypatch.setattr(mediapipe_library, "_loaded", [])
    assert found("/sys").state == "FAIL"
    with pytest.raises(DependencyError, match="mount /sys"):
        mediapipe_library.mediapipe_tasks()

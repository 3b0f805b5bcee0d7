"""Every script explains itself, and does nothing else then."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(
    path.stem for path in (ROOT / "scripts").glob("*.py") if "__main__" in path.read_text(encoding="utf-8")
)


def test_there_are_scripts() -> None:
    assert {"demo", "docs", "strip", "test"} <= set(SCRIPTS)


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_tells_what_the_script_does(name: str) -> None:
    command = [sys.executable, "-m", f"scripts.{name}", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: ")
    text = (ROOT / "scripts" / f"{name}.py").read_text(encoding="utf-8")
    words = text.split('"""')[1].split()[:4]
    assert " ".join(words) in " ".join(done.stdout.split())
    assert not (ROOT / "--help").exists()

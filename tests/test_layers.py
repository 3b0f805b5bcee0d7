"""Imports go down the layers that pyproject.toml names, and nowhere in a circle.

import-linter reads every module of the package, also imports inside functions. The same contracts, applied to a small
made-up package that breaks them, must fail: a checker that cannot fail checks nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

import idseg

PACKAGE = Path(idseg.__file__).parent
ROOT = PACKAGE.parent
Lint = Callable[..., tuple[int, str]]

MADE_UP = """
[tool.importlinter]
root_package = "made_up"

[[tool.importlinter.contracts]]
id = "layers"
name = "Imports go down"
type = "layers"
containers = ["made_up"]
exhaustive = true
layers = ["top", "middle", "bottom"]

[[tool.importlinter.contracts]]
id = "circles"
name = "No files import in a circle"
type = "acyclic_siblings"
ancestors = ["made_up"]
"""


@pytest.fixture
def lint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Lint:
    """import-linter's exit status and what it said about the package in a folder."""

    def run(folder: Path, *contracts: str) -> tuple[int, str]:
        # It would switch off the loggers of everything that was imported before (logging's dictConfig).
        monkeypatch.setattr("importlinter.cli._configure_logging", lambda verbose: None)
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
        status = lint_imports(no_cache=True, no_logo=True, limit_to_contracts=contracts)
        return status, capsys.readouterr().out

    return run


def made_up(folder: Path, files: dict[str, str]) -> Path:
    """A project with a package of these files; the layers are top, middle, bottom."""
    (folder / "pyproject.toml").write_text(MADE_UP)
    for name, text in {"__init__.py": "", "top.py": "", "middle.py": "", "bottom.py": "", **files}.items():
        path = folder / "made_up" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_imports_go_down_and_never_in_a_circle(lint: Lint) -> None:
    status, said = lint(ROOT)
    assert status == 0, said
    files = len(list(PACKAGE.rglob("*.py")))
    assert f"Analyzed {files} files" in said, "import-linter did not read every module"
    assert "0 broken" in said


def test_a_clean_package_passes(lint: Lint, tmp_path: Path) -> None:
    status, said = lint(
        made_up(tmp_path, {"top.py": "import made_up.middle\n", "middle.py": "import made_up.bottom\n"})
    )
    assert status == 0, said


@pytest.mark.parametrize(
    ("contract", "files"),
    [
        pytest.param("layers", {"bottom.py": "import made_up.top\n"}, id="an arrow up"),
        pytest.param(
            "layers", {"bottom.py": "def f():\n    from made_up import top\n"}, id="an arrow up in a function"
        ),
        pytest.param("layers", {"another.py": ""}, id="a module of no layer"),
        pytest.param("circles", {"top.py": "import made_up.middle\n", "middle.py": "import made_up.top\n"}, id="two"),
        pytest.param(
            "circles",
            {
                "top/__init__.py": "",
                "top.py": "",
                "top/a.py": "import made_up.top.b\n",
                "top/b.py": "import made_up.top.c\n",
                "top/c.py": "from made_up.top import a\n",
            },
            id="three in a folder",
        ),
    ],
)
def test_the_checker_fails_where_it_must(lint: Lint, tmp_path: Path, contract: str, files: dict[str, str]) -> None:
    folder = made_up(tmp_path, files)
    if (folder / "made_up" / "top").is_dir():
        (folder / "made_up" / "top.py").unlink()
    status, said = lint(folder, contract)
    assert status != 0, said
    assert "BROKEN" in said, said

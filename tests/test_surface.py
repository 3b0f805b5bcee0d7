"""What the package promises: its public names, who may import whom, and that importing it is cheap."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import idseg

PACKAGE = Path(idseg.__file__).parent
ROOT = PACKAGE.parent
ONLY_IN = {
    "mediapipe": ["models/mediapipe_library.py"],
    "onnxruntime": ["models/onnx.py"],
    "pymatting": ["stages/refine.py"],
    "fastapi": ["server/"],
    "starlette": ["server/"],
    "uvicorn": ["server/"],
    "prometheus_client": ["server/"],
    "fsspec": ["batch/storage.py"],
    "pyarrow": ["batch/parquet.py"],
    "ray": ["batch/cluster.py"],
}


def imports(path: Path) -> set[str]:
    """Dotted names of the modules that a file imports anywhere in it, by statement or by name."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("mediapipe.tasks.")
        ):
            names.add(node.value)
    return names


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_has_one_home(library: str) -> None:
    homes = {
        path.relative_to(PACKAGE).as_posix()
        for path in sources()
        if any(name.split(".")[0] == library for name in imports(path))
    }
    assert homes, f"nothing imports {library}: is this test looking in the right place?"
    assert not [home for home in homes if not any(home.startswith(allowed) for allowed in ONLY_IN[library])]


def test_public_names() -> None:
    assert sorted(idseg.__all__) == [
        "IdsegError",
        "Options",
        "Result",
        "Segmenter",
        "__version__",
        "body_seg_photo",
        "segment",
        "to_api",
    ]
    for name in idseg.__all__:
        assert getattr(idseg, name) is not None
    assert dir(idseg) == sorted(idseg.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = idseg.nonsense


def test_importing_is_cheap() -> None:
    heavy = {"numpy", "cv2", "mediapipe", "onnxruntime", "pymatting", "numba", "PIL"}
    code = f"import sys, idseg, idseg.cli.main; print(sorted({heavy} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert out.stdout.strip() == "[]"


def test_a_missing_opencv_is_a_clear_error() -> None:
    code = "import sys; sys.modules['cv2'] = None; import idseg; idseg.segment(b'')"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert "DependencyError: OpenCV (cv2) does not load" in out.stderr
    assert "pip install" in out.stderr


def prints(source: str) -> list[int]:
    """Lines on which a source writes to the terminal by itself: ``print``, ``sys.stdout.write`` and the like."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in ("print", "builtins.print", "pprint", "pprint.pprint") or called.startswith(
                ("sys.stdout.", "sys.stderr.", "sys.__stdout__.", "sys.__stderr__.")
            ):
                found.append(node.lineno)
    return found


def test_the_library_never_prints() -> None:
    """Only the command line talks to the terminal; ``isatty`` asks, it does not write."""
    for path in sources():
        relative = path.relative_to(PACKAGE).as_posix()
        if not relative.startswith("cli/"):
            assert not prints(path.read_text(encoding="utf-8")), f"{relative} prints"


@pytest.mark.parametrize("line", ["print(1)", "def f():\n    print('x', file=y)", "import sys\nsys.stderr.write('x')"])
def test_a_print_is_found(line: str) -> None:
    assert prints(line)


def test_a_word_print_in_a_text_is_none() -> None:
    assert prints("message = 'print(1)'\nprint_sheet(2)\nblueprint.print_all()") == []


def test_no_address_of_a_registry() -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, cwd=ROOT)
    if tracked.returncode != 0:
        pytest.skip("not a git checkout: the list of files comes from git")
    words = ("pypi" + ".org", "pythonhosted" + ".org", "npmjs" + ".org", "npmjs" + ".com", "deb.debian" + ".org")
    for name in filter(None, tracked.stdout.split("\0")):
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".sh", ".js", ".html", ".json", ""} and path.is_file():
            text = path.read_text(encoding="utf-8", errors="ignore")
            assert not [word for word in words if word in text], f"{name} names a registry"

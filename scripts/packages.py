"""Build the wheel and the sdist, and install each into empty environments, with every extra alone.

    python -m scripts.packages [--extra NAME ...] [--folder FOLDER]

Needs uv and build (``pip install uv build``). In each environment ``idseg --version`` must answer and what the extra is
for must import; in those without an extra ``idseg segment`` must also end. Nothing of this checkout is on their path.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from scripts._setup import ROOT

USES = {
    "": "import idseg",
    "server": "import idseg.server.app",
    "https": "import cryptography",
    "openvino": "from idseg.models.openvino import _core; _core()",
    "ray": "import ray.data, fsspec, pyarrow.parquet; import idseg.batch.cluster",
    "docs": "import pdoc",
    "demo": "import skimage.data",
    "train": "import torch, onnx",
    "test": "import hypothesis, pytest, jsonschema",
}
"""Extra → what must work once it is installed."""


def build(folder: Path) -> dict[str, Path]:
    """The wheel and the sdist, by their kinds."""
    _run([sys.executable, "-m", "build", "--installer", "uv", "--outdir", str(folder), str(ROOT)], cwd=folder)
    return {"wheel": next(folder.glob("*.whl")), "sdist": next(folder.glob("*.tar.gz"))}


def try_out(package: Path, extra: str, folder: Path, photo: Path | None) -> str:
    """Install a package into an empty environment and use it; what was seen, in one line."""
    started = time.monotonic()
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    _run([sys.executable, "-m", "uv", "venv", "--quiet", "--python", sys.executable, str(folder)], cwd=folder.parent)
    wanted = f"idseg[{extra}] @ {package.as_uri()}" if extra else f"idseg @ {package.as_uri()}"
    _run([sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", str(python), wanted], cwd=folder)
    version = _run([str(python), "-m", "idseg", "--version"], cwd=folder).strip()
    _run([str(python), "-c", USES[extra]], cwd=folder)
    if not extra and photo is not None:
        _run([str(python), "-m", "idseg", "segment", str(photo), "-o", str(folder / "out")], cwd=folder)
        version += ", idseg segment ended"
    return f"{version}, {time.monotonic() - started:.0f} s"


def _run(command: list[str], cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)
    if done.returncode != 0:
        raise SystemExit(f"packages: {' '.join(command)} failed:\n{done.stdout}{done.stderr}"[-3000:])
    return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--extra", action="append", choices=list(USES), help="only this one; '' is none (repeatable)")
    parser.add_argument("--folder", type=Path, help="where the packages stay (default: a temporary one)")
    parser.add_argument("--photo", type=Path, help="a photo of one person, for idseg segment")
    arguments = parser.parse_args()
    photo = arguments.photo.resolve() if arguments.photo else None
    with tempfile.TemporaryDirectory(prefix="idseg-packages-") as scratch:
        folder = arguments.folder.resolve() if arguments.folder else Path(scratch) / "dist"
        folder.mkdir(parents=True, exist_ok=True)
        for kind, package in build(folder).items():
            print(f"{kind}: {package.name}, {package.stat().st_size / 1e6:.1f} MB", flush=True)
            for number, extra in enumerate(arguments.extra or USES):
                seen = try_out(package, extra, Path(scratch) / f"{kind}{number}", photo)
                print(f"  idseg[{extra}]: {seen}" if extra else f"  idseg: {seen}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

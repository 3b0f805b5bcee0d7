"""A real browser for tests: Playwright drives the headless Chromium of this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Playwright in it; skips the test where there is no browser. ``IDSEG_PAGE_FOLDER`` keeps it, with
    the downloads and the screenshots."""
    if chromium() is None or shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("chromium, node and npm are needed for the browser test")
    folder = Path(os.environ.get("IDSEG_PAGE_FOLDER") or tmp_path_factory.mktemp("page"))
    folder.mkdir(parents=True, exist_ok=True)
    packages = ("playwright-core@1", "axe-core@4")
    if all((folder / "node_modules" / name.partition("@")[0]).is_dir() for name in packages):
        return folder
    command = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--ignore-scripts", *packages]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=180, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("npm took longer than 180 s")
    if done.returncode:
        pytest.skip(f"npm could not install playwright-core and axe-core: {done.stderr.decode()[-200:]}")
    return folder


def chromium() -> str | None:
    """The path of the browser."""
    return next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )


def walk(script: str, folder: Path, *arguments: str) -> dict[str, Any]:
    """Run a script of this folder as ``node SCRIPT CHROMIUM ARGUMENTS… FOLDER``; the last line it prints, as JSON."""
    shutil.copy(HERE / script, folder)
    command = ["node", script, str(chromium()), *arguments, str(folder)]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=420, check=False)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result

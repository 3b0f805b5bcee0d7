"""A real browser for tests: Playwright drives the headless Chromium of this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
_MOST_S = 420.0
"""Seconds of one walk, on a busy machine; then the browser is ended and the walk fails."""


@dataclass(frozen=True)
class Browser:
    """A browser that walks through the page."""

    folder: Path
    """What it downloads, and the photos it sends."""
    process: subprocess.Popen[str]

    def walk(self, script: str, walk: str, **settings: str) -> dict[str, Any]:
        """What a walk saw: the function ``walk`` of a script of this folder."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"script": script, "walk": walk, **settings}) + "\n")
        self.process.stdin.flush()
        late = threading.Timer(_MOST_S, self.process.kill)
        late.start()
        try:
            line = self.process.stdout.readline()
        finally:
            late.cancel()
        assert line, f"the browser ended in the walk {walk}"
        told: dict[str, Any] = json.loads(line)
        assert "error" not in told, "\n".join([told["error"], *told["page"], *told["seen"]["complaints"]])
        seen: dict[str, Any] = told["seen"]
        assert seen["foreign"] == [], "nothing comes from elsewhere"
        assert {name: found for name, found in seen["axe"].items() if found} == {}, "axe-core finds no violation"
        assert {name: found for name, found in seen["faint"].items() if found} == {}, "borders stand out by 3 to 1"
        assert {name: px for name, px in seen["wide"].items() if px} == {}, "no sideways scroll"
        return seen


@contextmanager
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser; skips the test where there is none.

    ``IDSEG_PAGE_FOLDER`` keeps downloads and screenshots there; ``IDSEG_PAGE_SLOWER`` slows its pages' CPU by a factor.
    """
    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if executable is None or shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("chromium, node and npm are needed for the browser test")
    kept = os.environ.get("IDSEG_PAGE_FOLDER")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("page")
    folder.mkdir(parents=True, exist_ok=True)
    _install(folder)
    for script in HERE.glob("*.mjs"):
        shutil.copy(script, folder)
    process = subprocess.Popen(
        ["node", "driver.mjs", executable, str(folder)],
        cwd=folder,
        env={**os.environ, **({"SHOTS": "1"} if kept else {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Browser(folder, process)
    finally:
        assert process.stdin is not None
        process.stdin.close()  # the end of the driver's work
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _install(folder: Path) -> None:
    packages = ("playwright-core@1", "axe-core@4")
    if all((folder / "node_modules" / name.partition("@")[0]).is_dir() for name in packages):
        return
    command = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--ignore-scripts", *packages]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=180, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("npm took longer than 180 s")
    if done.returncode:
        pytest.skip(f"npm could not install playwright-core and axe-core: {done.stderr.decode()[-200:]}")

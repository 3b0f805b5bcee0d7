"""The page with the real models: a clerk's portraits, and the time of a 12 MP photo beside the library's own.

``IDSEG_PORTRAITS=10 pytest -s -n 0 tests/server/page/test_real.py`` makes ten photos and prints the times. No test
asserts a time.
"""

from __future__ import annotations

import io
import json
import os
import time
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from idseg.check import delivered
from idseg.photo.finish import finish
from idseg.photo.sizes import find_size
from idseg.photo.window import crop_options
from idseg.segmenter import Segmenter
from idseg.server.settings import Settings
from tests.server.live import running
from tests.server.page.browser import Browser

PORTRAITS = int(os.environ.get("IDSEG_PORTRAITS", "3"))
SIDE_12_MP = 3464


def test_portraits_of_one_inch_blue_and_20_to_50_kb(shared_data: Path, browser: Browser) -> None:
    folder = browser.folder
    portraits = sorted((shared_data / "photos" / "faker").glob("*.jpg"))[:PORTRAITS]
    with Image.open(portraits[0]) as photo:
        photo.resize((SIDE_12_MP, SIDE_12_MP)).save(folder / "12mp.jpg", quality=92)
    (folder / "portraits.json").write_text(json.dumps([str(path) for path in portraits]))
    with running(Settings(auth=False)) as live:
        large, photos = str(folder / "12mp.jpg"), str(folder / "portraits.json")
        seen = browser.walk("real.mjs", "real", open=live.url, large=large, photos=photos)
    if "IDSEG_PORTRAITS" in os.environ:
        print({**seen, "library_ms": library_ms((folder / "12mp.jpg").read_bytes())})
    with zipfile.ZipFile(folder / "real.zip") as archive:
        assert len(archive.namelist()) == PORTRAITS
        for name in archive.namelist():
            content = archive.read(name)
            assert 20 * 1024 <= len(content) <= 50 * 1000, name
            with Image.open(io.BytesIO(content)) as photo:
                assert (photo.size, photo.info["dpi"]) == ((295, 413), (300, 300))
                corner = np.asarray(photo.convert("RGB"))[2, 2].astype(int)
                assert np.abs(corner - (67, 142, 219)).max() <= 4, name


def library_ms(content: bytes) -> list[int]:
    """Three times from bytes to the finished file and its report, without a server."""
    size, times = find_size("cn-1inch"), []
    with Segmenter() as segmenter:
        segmenter.warm()
        for _ in range(3):
            begun = time.perf_counter()
            result = segmenter(content, crop=crop_options(size))
            made = finish(result, size)
            delivered(segmenter, made.encode().content, size, made)
            times.append(round((time.perf_counter() - begun) * 1000))
    return times

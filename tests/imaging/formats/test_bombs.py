"""Small files that ask for much memory or time, and the switches of the process that decodes."""

from __future__ import annotations

import logging
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from idseg.errors import InputError
from idseg.stages.decode import decode
from tests.imaging.formats.files import HEIGHT, SAMPLES, WIDTH, bmp, chunk, saved, scene


def bombs() -> Iterator[tuple[str, bytes]]:
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    signature = b"\x89PNG\r\n\x1a\n"
    end = chunk(b"IDAT", zlib.compress(bytes(10**7))) + chunk(b"IEND", b"")
    yield "png of 60000 x 60000", signature + chunk(b"IHDR", header) + end
    small = signature + chunk(b"IHDR", struct.pack(">IIBBBBB", 60, 60, 8, 0, 0, 0, 0))
    good = chunk(b"IDAT", zlib.compress(bytes(3660))) + chunk(b"IEND", b"")
    zeros = zlib.compress(bytes(2 * 10**8), 9)
    yield "png with a profile of 200 MB", small + chunk(b"iCCP", b"x\0\0" + zeros) + good
    yield "png with 200 MB of text", small + chunk(b"zTXt", b"x\0\0" + zeros) + good
    yield "png with 200 MB for 60 rows", small + chunk(b"IDAT", zeros) + chunk(b"IEND", b"")
    yield "bmp of 2^31", bmp(2**31 - 1, -(2**31) + 1, 32, bytes(100))
    yield "bmp with a palette of 2^32", bmp(60, 60, 8, bytes(3600), colors=2**32 - 1)
    yield "rle of 60000 x 60000", bmp(60000, 60000, 8, b"\0\1", compression=1, palette=bytes(1024))
    jpeg = saved(scene(), "JPEG")
    yield "jpeg of 65535", jpeg.replace(struct.pack(">HH", HEIGHT, WIDTH), b"\xff\xff\xff\xff")
    segment = b"\xff\xe1\xff\xffExif\0\0II*\0\x08\0\0\0\xff\xff"
    yield "jpeg with 300 EXIF blocks", jpeg[:2] + segment.ljust(65537, b"\x12") * 300 + jpeg[2:]


MEASURE = """
import resource, sys, time
from idseg.stages.decode import decode
from idseg.errors import InputError
decode(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[2:]:
    start = time.process_time()
    try:
        decode(path)
    except InputError:
        pass
    assert time.process_time() - start < 6, path
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_bombs_cost_neither_memory_nor_time(tmp_path: Path) -> None:
    paths = [tmp_path / "warm.jpg"]
    paths[0].write_bytes(saved(scene(), "JPEG"))
    for name, content in bombs():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", MEASURE, *map(str, paths)],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.stderr == ""
    assert int(done.stdout) < 80, "MiB more at the peak"


def test_a_large_flat_picture_is_no_bomb() -> None:
    flat = saved(Image.new("RGB", (4096, 4096)), "PNG")
    assert len(flat) < 100_000
    assert decode(flat).size == (4096, 4096)


def test_the_hosts_switches_change_nothing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    expected = {name: decode(content).rgb for name, content in SAMPLES.items()}
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    monkeypatch.setattr(Image, "OPEN", {})
    for name, content in SAMPLES.items():
        assert np.array_equal(decode(content).rgb, expected[name])
        with pytest.raises(InputError):
            decode(content[: len(content) * 2 // 3])
    # Pillow tells a debugger the names and places of a PNG's chunks, of the copy without metadata: nothing of a photo.
    assert {record.levelno for record in caplog.records if record.name.startswith("PIL")} <= {logging.DEBUG}

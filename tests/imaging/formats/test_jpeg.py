"""JPEG: every kind that phones and programs write, MPO, scans, headers that lie."""

from __future__ import annotations

import io
import struct
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from idseg.errors import InputError, PhotoDamagedError, PhotoFormatError, PhotoSizeError
from idseg.stages.decode import decode
from tests.imaging.formats.files import HEIGHT, WIDTH, assert_sound, difference, saved, scene


@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"subsampling": 2}, {"restart_marker_blocks": 2}, {"optimize": True}, {"quality": 5}],
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_jpeg_is_libjpegs_picture(mode: str, options: dict[str, Any]) -> None:
    file_bytes = saved(Image.fromarray(scene()).convert(mode), "JPEG", **options)
    photo = decode(file_bytes)
    assert difference(photo, np.asarray(Image.open(io.BytesIO(file_bytes)).convert("RGB"))) == 0
    assert photo.format == "JPEG"


@pytest.mark.parametrize("inks", [(0, 0, 0, 0), (255, 0, 0, 0), (0, 255, 0, 0), (0, 0, 255, 0), (0, 0, 0, 255)])
def test_cmyk_jpeg_is_inverted_as_adobe_does(inks: tuple[int, int, int, int]) -> None:
    photo = decode(saved(Image.new("CMYK", (60, 60), inks), "JPEG", quality=95))
    expected = [max(0, 255 - ink - inks[3]) for ink in inks[:3]]
    assert np.abs(photo.rgb[30, 30].astype(int) - expected).max() <= 3


def test_ycck_jpeg() -> None:
    file_bytes = bytearray(saved(Image.new("CMYK", (64, 64), (0, 0, 0, 0)), "JPEG", quality=100))
    adobe = file_bytes.index(b"Adobe")
    file_bytes[adobe + 11] = 2  # the same samples, now said to be YCCK: white ink samples 255 are Y, Cb, Cr = 255
    photo = decode(bytes(file_bytes))
    assert photo.rgb[30, 30].tolist() == np.asarray(Image.open(io.BytesIO(file_bytes)).convert("RGB"))[30, 30].tolist()


def test_mpo_and_motion_photo_give_the_first_picture() -> None:
    first, second = Image.fromarray(scene()), Image.new("RGB", (80, 90))
    mpo = saved(first, "MPO", save_all=True, append_images=[second], quality=95)
    plain = saved(first, "JPEG", quality=95)
    assert decode(mpo).format == "JPEG"
    assert difference(decode(mpo), decode(plain).rgb) == 0
    noise = np.random.default_rng(0).integers(0, 256, 10**7, dtype=np.uint8).tobytes()  # has some 150 false SOS marks
    assert difference(decode(plain + noise), decode(plain).rgb) == 0


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("RGB", {}),
        ("L", {}),
        ("CMYK", {}),
        ("RGB", {"progressive": True}),
        ("L", {"progressive": True}),
        ("RGB", {"restart_marker_blocks": 2}),
        ("RGB", {"restart_marker_rows": 1, "progressive": True}),
        ("RGB", {"subsampling": 2}),
    ],
)
def test_jpeg_without_its_end_marker_is_a_photo_and_one_that_lacks_more_is_damaged(
    mode: str, options: dict[str, Any]
) -> None:
    whole = saved(Image.fromarray(scene(150, 90)).convert(mode), "JPEG", **options)
    expected = decode(whole).rgb
    for missing in (1, 2):  # half the marker, and all of it
        assert np.array_equal(decode(whole[:-missing]).rgb, expected)
    for missing in (*range(4, 60), *range(60, len(whole) - 3, 97)):
        with pytest.raises(PhotoDamagedError):
            decode(whole[:-missing])


def test_progressive_jpeg_that_lacks_whole_scans_is_damaged() -> None:
    whole = saved(scene(), "JPEG", progressive=True)
    places = [at for at in range(len(whole) - 1) if whole[at : at + 2] == b"\xff\xda"]
    tables = [whole.rfind(b"\xff\xc4", 0, at) for at in places]
    assert len(places) > 5
    for at in (*places[1:], *tables[1:]):
        with pytest.raises(PhotoDamagedError):
            decode(whole[:at])


def test_metadata_of_any_length_costs_nothing() -> None:
    """Pillow joins EXIF blocks in time that grows with the square of their number."""
    plain = saved(scene(), "JPEG")
    block = b"\xff\xe1\xff\xff" + b"Exif\0\0".ljust(65533, b"x")
    start = time.process_time()
    photo = decode(plain[:2] + block * 1500 + plain[2:])
    assert time.process_time() - start < 9
    assert difference(photo, decode(plain).rgb) == 0


def test_jpeg_of_thousands_of_scans_is_refused_at_once() -> None:
    progressive = saved(scene(), "JPEG", progressive=True)
    last = progressive.rindex(b"\xff\xda")
    scan = progressive[last:-2]
    with pytest.raises(PhotoFormatError, match="scans"):
        decode(progressive[:-2] + scan * 5000 + b"\xff\xd9")
    assert_sound(decode(progressive[:-2] + scan * 3 + b"\xff\xd9"))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda j: j.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"), PhotoFormatError),  # 12 bits
        (lambda j: j.replace(b"\xff\xc0", b"\xff\xc3"), PhotoFormatError),  # lossless
        (lambda j: j.replace(struct.pack(">HH", HEIGHT, WIDTH), struct.pack(">HH", 0, WIDTH)), PhotoDamagedError),
        (lambda j: j.replace(struct.pack(">HH", HEIGHT, WIDTH), b"\xff\xff\xff\xff"), PhotoSizeError),
        (lambda j: j[:2] + j[j.index(b"\xff\xc0") : j.index(b"\xff\xc0") + 19] + j[2:], PhotoDamagedError),
        (lambda j: j[:2] + j, PhotoDamagedError),
        (lambda j: j[:3], PhotoDamagedError),
        (lambda j: j[: j.index(b"\xff\xda")] + b"\xff\xd9", PhotoDamagedError),
    ],
)
def test_jpeg_headers_that_lie(change: Callable[[bytes], bytes], error: type[InputError]) -> None:
    with pytest.raises(error):
        decode(change(saved(scene(), "JPEG")))

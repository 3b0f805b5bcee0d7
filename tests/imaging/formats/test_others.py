"""HEIC, WebP, AVIF, TIFF, GIF: the same picture through every entrance, and what hostile files of them cost."""

from __future__ import annotations

import io
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from idseg.errors import InputError, PhotoDamagedError, PhotoFormatError, PhotoSizeError
from idseg.stages.decode import decode
from tests.imaging.formats.files import ADOBE_RGB, HEIGHT, WIDTH, difference, exif, photo_or_error, saved, scene, turned

DATA = Path(__file__).resolve().parents[2] / "data"
FILES: dict[str, tuple[bytes, str, int]] = {
    "heic": ((DATA / "scene.heic").read_bytes(), "HEIC", 8),
    "heic of 10 bits": ((DATA / "ten_bits.heic").read_bytes(), "HEIC", 8),
    "webp": (saved(scene(), "WEBP", quality=90), "WebP", 12),
    "lossless webp": (saved(scene(), "WEBP", lossless=True), "WebP", 0),
    "animated webp": (
        saved(scene(), "WEBP", lossless=True, save_all=True, append_images=[Image.new("RGB", (WIDTH, HEIGHT))]),
        "WebP",
        0,
    ),
    "avif": (saved(scene(), "AVIF", quality=95), "AVIF", 8),
    "tiff": (saved(scene(), "TIFF"), "TIFF", 0),
    "lzw tiff": (saved(scene(), "TIFF", compression="tiff_lzw"), "TIFF", 0),
    "deflate tiff": (saved(scene(), "TIFF", compression="tiff_adobe_deflate"), "TIFF", 0),
    "jpeg tiff": (saved(scene(), "TIFF", compression="jpeg", quality=98), "TIFF", 8),
    "tiff of two pages": (saved(scene(), "TIFF", save_all=True, append_images=[Image.new("L", (9, 9))]), "TIFF", 0),
    "gif": (saved(Image.fromarray(scene()).quantize(255), "GIF"), "GIF", 20),
    "animated gif": (
        saved(
            Image.fromarray(scene()).quantize(255),
            "GIF",
            save_all=True,
            append_images=[Image.new("RGB", (WIDTH, HEIGHT))],
            comment=b"x" * 999,
        ),
        "GIF",
        20,
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_every_format_through_every_entrance(name: str, tmp_path: Path) -> None:
    file_bytes, form, tolerance = FILES[name]
    path = tmp_path / "照片.jpg"  # a wrong suffix does not matter
    path.write_bytes(file_bytes)
    with open(path, "rb") as file:
        entrances: list[Any] = [path, str(path), file, file_bytes, bytearray(file_bytes), io.BytesIO(file_bytes)]
        for entrance in entrances:
            photo = decode(entrance)
            assert difference(photo, scene()) <= tolerance
            assert photo.format == form


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["WEBP", "AVIF", "TIFF"])
def test_every_orientation(orientation: int, form: str) -> None:
    stored = Image.fromarray(np.ascontiguousarray(turned(scene(), orientation)))
    options: dict[str, dict[str, Any]] = {
        "WEBP": {"lossless": True, "exif": exif(orientation)},
        "AVIF": {"quality": 95, "exif": exif(orientation)[6:]},
        "TIFF": {"tiffinfo": {0x0112: orientation}},
    }
    photo = decode(saved(stored, form, **options[form]))
    assert photo.size == (WIDTH, HEIGHT)
    assert difference(photo, scene()) <= (10 if form == "AVIF" else 0)


def test_heics_own_rotation_counts_once() -> None:
    """A phone writes it twice, as ``irot`` and in the EXIF block."""
    assert difference(decode(DATA / "turned.heic"), scene()) <= 8


@pytest.mark.parametrize("form", ["heic", "WEBP", "AVIF", "TIFF", "GIF"])
def test_alpha_is_composited_on_white(form: str) -> None:
    expected = scene()
    expected[:, :20] = 255
    rgba = np.dstack([scene(), np.full((HEIGHT, WIDTH), 255, np.uint8)])
    rgba[:, :20, 3] = 0
    choices: dict[str, dict[str, Any]] = {"WEBP": {"lossless": True, "exact": True}, "AVIF": {"quality": 95}}
    options = choices.get(form, {})
    file_bytes = (DATA / "alpha.heic").read_bytes() if form == "heic" else saved(rgba, form, **options)
    found = np.abs(decode(file_bytes).rgb.astype(int) - expected)
    assert found[:, 22:].max() <= 45 if form == "GIF" else found[:, 22:].max() <= 10
    assert found[:, :18].max() <= 2


@pytest.mark.parametrize("form", ["WEBP", "AVIF", "TIFF"])
def test_colour_profiles_are_applied(form: str) -> None:
    image = Image.new("RGB", (60, 60), (64, 128, 64))
    choices: dict[str, dict[str, Any]] = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100}, "TIFF": {}}
    options = choices[form]
    expected = decode(saved(image, "PNG", icc_profile=ADOBE_RGB)).rgb
    assert difference(decode(saved(image, form, icc_profile=ADOBE_RGB, **options)), expected) <= 3


def test_tiff_of_16_bits_and_of_inks() -> None:
    grey = (scene()[:, :, 0].astype(np.uint16) << 8) + 77
    assert difference(decode(saved(grey, "TIFF")), np.repeat(scene()[:, :, :1], 3, axis=2)) == 0
    inks = Image.fromarray(scene()).convert("CMYK")
    assert difference(decode(saved(inks, "TIFF")), np.asarray(inks.convert("RGB"))) <= 1


def tiff(entries: list[tuple[int, int, int, int]], body: bytes = b"", order: str = "<") -> bytes:
    """A TIFF by hand: (tag, type, count, value); the body begins at byte 8, the directory behind it."""
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8 + len(body))
    table = b"".join(
        struct.pack(order + "HHI", tag, kind, count)
        + (struct.pack(order + "HH", value, 0) if kind == 3 and count == 1 else struct.pack(order + "I", value))
        for tag, kind, count, value in entries
    )
    return head + body + struct.pack(order + "H", len(entries)) + table + bytes(4)


def plain_tiff(order: str = "<", **changed: tuple[int, int, int, int]) -> bytes:
    entries = {
        "width": (256, 3, 1, WIDTH), "height": (257, 3, 1, HEIGHT), "bits": (258, 3, 1, 8), "kind": (259, 3, 1, 1),
        "photometric": (262, 3, 1, 1), "strips": (273, 4, 1, 8), "samples": (277, 3, 1, 1),
        "rows": (278, 3, 1, HEIGHT), "counts": (279, 4, 1, WIDTH * HEIGHT), **changed,
    }  # fmt: skip
    return tiff(sorted(entries.values()), scene()[:, :, 0].tobytes(), order)


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_by_hand(order: str) -> None:
    assert difference(decode(plain_tiff(order)), np.repeat(scene()[:, :, :1], 3, axis=2)) == 0


@pytest.mark.parametrize(
    ("file_bytes", "error"),
    [
        (plain_tiff(strips=(273, 4, 400, 8)), PhotoDamagedError),  # each would be decoded over the others
        (plain_tiff(rows=(278, 3, 1, 1)), PhotoDamagedError),
        (plain_tiff(width=(256, 4, 1, 2**31)), InputError),
        (plain_tiff(width=(256, 4, 1, 60000), height=(257, 4, 1, 60000), rows=(278, 4, 1, 60000)), PhotoSizeError),
        (plain_tiff(tile=(322, 4, 1, 60000), tall=(323, 4, 1, 60000), tiles=(324, 4, 1, 8)), PhotoDamagedError),
        (plain_tiff(bits=(258, 3, 1, 32), format=(339, 3, 1, 3)), PhotoFormatError),  # floats of an unknown range
        (plain_tiff(kind=(259, 3, 1, 34661)), PhotoFormatError),
        (plain_tiff(samples=(277, 3, 1, 60000)), PhotoDamagedError),
        (plain_tiff()[:-60], PhotoDamagedError),
        (b"II*\0", PhotoDamagedError),
        (b"II*\0\xff\xff\xff\xff", PhotoDamagedError),
        (b"II+\0\x08\0\0\0" + bytes(100), PhotoFormatError),
    ],
)
def test_tiff_headers_that_lie(file_bytes: bytes, error: type[InputError]) -> None:
    with pytest.raises(error):
        decode(file_bytes)


def test_a_tiff_whose_tags_all_point_at_the_same_megabytes_costs_nothing() -> None:
    """Pillow alone reads 3000 tags of 1 MB each: 3 GB."""
    body = scene()[:, :, 0].tobytes() + bytes(2**20)
    own = [(256, 3, 1, WIDTH), (257, 3, 1, HEIGHT), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8)]
    own += [(277, 3, 1, 1), (278, 3, 1, HEIGHT), (279, 4, 1, WIDTH * HEIGHT)]
    start = time.process_time()
    photo = decode(tiff([*own, *((40000 + tag, 1, 2**20, 8) for tag in range(3000))], body))
    assert time.process_time() - start < 6
    assert difference(photo, np.repeat(scene()[:, :, :1], 3, axis=2)) == 0


def test_a_gif_of_nothing_but_comments_costs_nothing() -> None:
    """Pillow alone takes time that grows with the square of their length."""
    plain = FILES["gif"][0]
    picture = plain.index(b"\x2c", 13 + 768)
    comment = b"\x21\xfe" + (b"\xff" + b"x" * 255) * 16_000 + b"\0"
    start = time.process_time()
    photo = decode(plain[:picture] + comment + plain[picture:])
    assert time.process_time() - start < 6
    assert difference(photo, decode(plain).rgb) == 0


def test_a_gif_whose_frame_leaves_its_screen_is_damaged() -> None:
    plain = bytearray(FILES["gif"][0])
    struct.pack_into("<HH", plain, 6, 60, 60)
    with pytest.raises(PhotoDamagedError, match="extends beyond its screen"):
        decode(bytes(plain))


def test_heic_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(PhotoFormatError, match="pip install pi-heif"):
        decode(FILES["heic"][0])


@pytest.mark.parametrize("name", FILES)
def test_cut_anywhere_is_an_error_or_the_picture_so_far(name: str) -> None:
    whole = FILES[name][0]
    for end in range(0, len(whole), max(1, len(whole) // 60)):
        photo_or_error(whole[:end])


@pytest.mark.parametrize("name", ["heic", "webp", "avif", "lzw tiff", "gif"])
def test_every_header_byte_may_be_anything(name: str) -> None:
    whole = FILES[name][0]
    for at in range(min(len(whole), 400)):
        photo_or_error(whole[:at] + bytes([whole[at] ^ 0x81]) + whole[at + 1 :])

"""Every way in, every format and depth, every orientation; any bytes give a Photo or an InputError."""

from __future__ import annotations

import io
import itertools
import logging
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageFile

from idseg.errors import (
    EmptyPhotoError,
    InputError,
    OptionError,
    PhotoDamagedError,
    PhotoFormatError,
    PhotoReadError,
    PhotoSizeError,
    PhotoTypeError,
)
from idseg.stages.decode import DecodeLimits, decode
from idseg.types import Photo

Array = npt.NDArray[Any]
ANY_SIZE = DecodeLimits(min_side=1)
WIDTH, HEIGHT = 70, 56


def scene(width: int = WIDTH, height: int = HEIGHT) -> npt.NDArray[np.uint8]:
    """A smooth picture without any symmetry."""
    y, x = np.mgrid[:height, :width]
    return np.dstack([x * 255 // width, y * 255 // height, (x + 2 * y) % 256 // 2]).astype(np.uint8)


def saved(image: Image.Image | Array, form: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(stream, form, **options)
    return stream.getvalue()


def chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def png(
    width: int, height: int, depth: int, color: int, rows: bytes, *extra: tuple[bytes, bytes], interlace: int = 0
) -> bytes:
    """A PNG by hand; ``rows`` are packed samples without filter bytes."""
    stride = len(rows) // height
    filtered = b"".join(b"\0" + rows[y * stride : (y + 1) * stride] for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlace)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(filtered)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def bmp(
    width: int,
    height: int,
    bits: int,
    pixels: bytes,
    *,
    compression: int = 0,
    palette: bytes = b"",
    colors: int = 0,
    masks: bytes = b"",
    header_bytes: int = 40,
) -> bytes:
    """A BMP by hand; ``pixels`` are the stored rows."""
    if header_bytes == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", header_bytes, width, height, 1, bits, compression, 0, 0, 0, colors, 0)
    body = (info + masks).ljust(header_bytes, b"\0") + palette
    return b"BM" + struct.pack("<IHHI", 14 + len(body) + len(pixels), 0, 0, 14 + len(body)) + body + pixels


def exif(orientation: int, order: str = "<", kind: int = 3) -> bytes:
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    value = struct.pack(order + {3: "HH", 4: "I"}[kind], *((orientation, 0) if kind == 3 else (orientation,)))
    other = struct.pack(order + "HHII", 0x0100, 4, 1, 77)
    entry = struct.pack(order + "HHI", 0x0112, kind, 1) + value
    return b"Exif\0\0" + head + struct.pack(order + "H", 2) + other + entry + b"\0\0\0\0"


def rows_padded(rows: Array) -> bytes:
    """Rows as BMP stores them: bottom up, each to 4 bytes."""
    width = rows.shape[1]
    return np.pad(rows[::-1], ((0, 0), (0, -width % 4))).tobytes()


def turned(upright: Array, orientation: int) -> Array:
    """What a camera stores, EXIF 2.32 4.6.4: where row 0 and column 0 of the stored picture lie in the upright one."""
    turn: Callable[[Array], Array] = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: a.transpose(1, 0, 2)[::-1],
        7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
        8: lambda a: a.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    return turn(upright)


def assert_sound(photo: Photo) -> None:
    assert photo.rgb.dtype == np.uint8
    assert photo.rgb.ndim == 3
    assert photo.rgb.shape[2] == 3
    assert photo.rgb.flags.c_contiguous
    assert photo.rgb.flags.writeable


def difference(photo: Photo, expected: Array) -> int:
    assert_sound(photo)
    assert photo.rgb.shape == expected.shape
    return int(np.abs(photo.rgb.astype(int) - expected).max())


# --- entrances ------------------------------------------------------------------------------------------------------


def test_every_entrance_gives_the_same_picture(tmp_path: Path) -> None:
    file_bytes = saved(scene(), "PNG")
    path = tmp_path / "照片 ü.png"
    path.write_bytes(file_bytes)
    with open(path, "rb") as file, open(path, "rb", buffering=0) as raw:
        entrances: list[Any] = [
            path, str(path), file, raw, file_bytes, bytearray(file_bytes), memoryview(file_bytes),
            memoryview(file_bytes + b"x" * len(file_bytes))[: len(file_bytes)], io.BytesIO(file_bytes),
            scene(), Image.fromarray(scene()), Image.open(io.BytesIO(file_bytes)),
        ]  # fmt: skip
        for entrance in entrances:
            assert difference(decode(entrance), scene()) == 0
        assert not file.closed
    assert decode(file_bytes).format == "PNG"
    assert decode(scene()).format == "array"


def test_stream_is_read_from_where_it_stands_in_any_pieces() -> None:
    class Trickle:
        def __init__(self, content: bytes) -> None:
            self.stream = io.BytesIO(content)

        def read(self, size: int) -> bytes:
            return self.stream.read(min(size, 7))

    file_bytes = saved(scene(), "PNG")
    stream = io.BytesIO(b"header" + file_bytes)
    stream.seek(6)
    assert difference(decode(stream), scene()) == 0
    trickle: Any = Trickle(file_bytes)
    assert difference(decode(trickle), scene()) == 0


def test_endless_stream_is_refused_without_reading_on() -> None:
    class Endless:
        given = 0

        def read(self, size: int) -> bytes:
            part = b"\xff\xd8\xff" * min(size, 1000)
            self.given += len(part)
            return part

    endless: Any = Endless()
    with pytest.raises(PhotoSizeError, match="more than 10000 bytes") as caught:
        decode(endless, DecodeLimits(max_bytes=10_000))
    assert endless.given < 20_000
    assert caught.value.facts["maximum_bytes"] == 10_000
    with pytest.raises(PhotoSizeError):
        decode(bytes(10_001), DecodeLimits(max_bytes=10_000))


class _Broken:
    def __init__(self, answer: object) -> None:
        self.answer = answer

    def read(self, size: int) -> object:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def _released() -> memoryview:
    view = memoryview(b"abc")
    view.release()
    return view


@pytest.mark.parametrize(
    ("photo", "error", "says"),
    [
        (None, PhotoTypeError, "NoneType"),
        (7, PhotoTypeError, "int"),
        ([1, 2], PhotoTypeError, "list"),
        (_released(), PhotoTypeError, "released"),
        (io.StringIO("text"), PhotoTypeError, "binary"),
        (_Broken(None), PhotoReadError, "non-blocking"),
        (_Broken(OSError("gone")), PhotoReadError, "gone"),
        (b"", EmptyPhotoError, "0 bytes"),
        (io.BytesIO(), EmptyPhotoError, "0 bytes"),
        ("", PhotoReadError, "No such file"),
        ("/nowhere/a.jpg", PhotoReadError, "No such file"),
        ("/", PhotoReadError, "directory"),
        ("a\0b", PhotoReadError, "null"),
        ("https://example.com/me.jpg", PhotoReadError, "URL"),
        ("data:image/png;base64,iVBORw0KGgo", PhotoReadError, "URL"),
        ("/9j/" * 2000, PhotoReadError, "8000 characters"),
    ],
)
def test_what_is_no_photo(photo: Any, error: type[InputError], says: str) -> None:
    with pytest.raises(error, match=says) as caught:
        decode(photo)
    assert len(str(caught.value)) < 400


def test_closed_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x")
    with open(path, "rb") as file:
        pass
    with pytest.raises(PhotoReadError, match="closed"):
        decode(file)


@pytest.mark.parametrize(
    ("file_bytes", "found"),
    [
        (saved(scene(), "WEBP"), "WebP"),
        (saved(scene(), "GIF"), "GIF"),
        (saved(scene(), "TIFF"), "TIFF"),
        (b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miaf", "AVIF"),
        (saved(scene(), "ICO"), "icon"),
        (saved(scene(), "PDF"), "PDF"),
        (saved(scene(), "PPM"), "nothing known"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41", "video"),
        (b"PK\3\4\x14\0\0\0\x08\0", "ZIP"),
        (b'<?xml version="1.0"?>\n<!-- x -->\n<svg width="9">', "SVG"),
        (b"<!DOCTYPE html><html></html>", "HTML"),
        (b'{"error": 1}', "JSON"),
        (b"hello, this is not a photo", "text"),
        ("早上好".encode(), "text"),
        (b"\0" * 100, "nothing known"),
        (b"data:image/jpeg;base64,/9j/4AAQ", "data: URL"),
        (b"/9j/4AAQSkZJRgABAQ", "base64"),
    ],
)
def test_other_formats_are_named(file_bytes: bytes, found: str) -> None:
    with pytest.raises(PhotoFormatError, match=r"JPEG, PNG or BMP") as caught:
        decode(file_bytes)
    assert found in str(caught.value.facts["found"])


# --- sizes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), [(50, 50), (50, 4096), (4096, 50), (51, 4096)])
def test_sizes_that_pass(width: int, height: int) -> None:
    assert decode(saved(Image.new("RGB", (width, height)), "PNG")).size == (width, height)
    assert decode(np.zeros((height, width, 3), np.uint8)).size == (width, height)


@pytest.mark.parametrize(("width", "height"), [(49, 50), (50, 49), (1, 1), (4097, 60), (60, 4097), (49, 4097)])
@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "array", "pil"])
def test_sizes_that_do_not(width: int, height: int, form: str) -> None:
    image = Image.new("RGB", (width, height))
    photo: Any = {"array": np.asarray(image), "pil": image}.get(form)
    with pytest.raises(PhotoSizeError, match=rf"{width} x {height} px") as caught:
        decode(saved(image, form) if photo is None else photo)
    assert caught.value.facts == {"width": width, "height": height, "minimum": 50, "maximum": 4096}


def test_a_caller_may_move_the_limits() -> None:
    large = saved(Image.new("L", (5000, 40)), "PNG")
    assert decode(large, DecodeLimits(min_side=40, max_side=5000)).size == (5000, 40)
    with pytest.raises(PhotoSizeError, match="200000 pixels") as caught:
        decode(large, DecodeLimits(min_side=40, max_side=5000, max_pixels=199_999))
    assert caught.value.facts["maximum_pixels"] == 199_999


@pytest.mark.parametrize(
    "options", [{"min_side": 0}, {"min_side": 60, "max_side": 59}, {"max_pixels": 10}, {"max_bytes": 0}]
)
def test_limits_that_make_no_sense(options: dict[str, int]) -> None:
    with pytest.raises(OptionError):
        DecodeLimits(**options)


# --- orientation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("order", "kind"), [("<", 3), (">", 3), ("<", 4), (">", 4)])
def test_every_orientation_gives_one_array(orientation: int, order: str, kind: int) -> None:
    stored = Image.fromarray(np.ascontiguousarray(turned(scene(), orientation)))
    block = exif(orientation, order, kind)
    as_png = saved(stored, "PNG", exif=block)
    photo = decode(as_png)
    assert difference(photo, scene()) == 0
    assert photo.exif_orientation == orientation
    assert difference(decode(Image.open(io.BytesIO(as_png))), scene()) == 0

    as_jpeg = saved(stored, "JPEG", exif=block, quality=95, subsampling=0)
    plain = np.asarray(Image.open(io.BytesIO(as_jpeg)))
    photo = decode(as_jpeg)
    assert np.array_equal(turned(photo.rgb, orientation), plain)  # a permutation of the decoded pixels, exactly
    assert photo.exif_orientation == orientation
    assert difference(photo, scene()) < 12


def test_orientation_of_pil_images() -> None:
    stored = Image.fromarray(np.ascontiguousarray(turned(scene(), 6)))
    tiff = io.BytesIO()
    stored.save(tiff, "TIFF", tiffinfo={0x0112: 6})
    assert difference(decode(Image.open(tiff)), scene()) == 0


@pytest.mark.parametrize(
    "block", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0XX*\0", exif(0), exif(9), exif(6)[:30], b"junk"]
)
def test_broken_exif_is_upright(block: bytes) -> None:
    for form in ("PNG", "JPEG"):
        photo = decode(saved(scene(), form, exif=block))
        assert photo.exif_orientation == 1
        assert photo.size == (WIDTH, HEIGHT)


# --- JPEG -----------------------------------------------------------------------------------------------------------


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


# --- PNG ------------------------------------------------------------------------------------------------------------


def pack(samples: Array, depth: int) -> bytes:
    """Rows of samples (H, N) to PNG's packed rows."""
    if depth == 16:
        return samples.astype(">u2").tobytes()
    bits = np.unpackbits(samples.astype(np.uint8)[..., None], axis=2)[:, :, 8 - depth :]
    return np.packbits(bits.reshape(len(samples), -1), axis=1).tobytes()


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_png_grey_of_every_depth_is_scaled_to_the_full_range(depth: int) -> None:
    levels = np.random.default_rng(depth).integers(0, 2**depth, (53, 61))
    levels[0, 0], levels[0, 1] = 0, 2**depth - 1
    photo = decode(png(61, 53, depth, 0, pack(levels, depth)))
    expected = levels >> 8 if depth == 16 else levels * 255 // (2**depth - 1)
    assert difference(photo, np.repeat(expected[..., None], 3, axis=2)) == 0
    # one level is transparent: white
    photo = decode(png(61, 53, depth, 0, pack(levels, depth), (b"tRNS", struct.pack(">H", 0))))
    expected = np.where(expected == 0, 255, expected)
    assert difference(photo, np.repeat(expected[..., None], 3, axis=2)) == 0


@pytest.mark.parametrize(("color", "channels"), [(0, 1), (4, 2), (2, 3), (6, 4)])
def test_png_of_16_bits_keeps_the_high_byte(color: int, channels: int) -> None:
    words = np.random.default_rng(color).integers(0, 65536, (52, 54, channels))
    if channels in (2, 4):
        words[..., -1] = 65535
    photo = decode(png(54, 52, 16, color, pack(words.reshape(52, -1), 16)))
    high = (words if channels % 2 else words[..., :-1]) >> 8
    assert difference(photo, np.broadcast_to(high, (52, 54, 3))) == 0
    array = decode(words.astype(np.uint16) if channels != 2 else words[..., 0].astype(np.uint16))
    assert difference(array, photo.rgb) == 0


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_png_palette_with_transparency(depth: int) -> None:
    rng = np.random.default_rng(depth)
    indices = rng.integers(0, 2**depth, (51, 57))
    palette = rng.integers(0, 256, (2**depth, 3), dtype=np.uint8)
    rows = pack(indices, depth)
    assert difference(decode(png(57, 51, depth, 3, rows, (b"PLTE", palette.tobytes()))), palette[indices]) == 0
    # transparency for the first colour only; the others are opaque
    on_white = palette.copy()
    on_white[0] = 255
    photo = decode(png(57, 51, depth, 3, rows, (b"PLTE", palette.tobytes()), (b"tRNS", b"\0")))
    assert difference(photo, on_white[indices]) == 0


def test_png_index_outside_its_palette_is_black() -> None:
    photo = decode(png(50, 50, 8, 3, b"\x07" * 2500, (b"PLTE", b"\xff\xff\xff")))
    assert not photo.rgb.any()


def test_png_transparent_colour_of_rgb() -> None:
    rgb = scene()
    rgb[10:20, 10:30] = (1, 2, 3)
    expected = rgb.copy()
    expected[10:20, 10:30] = 255
    file_bytes = png(WIDTH, HEIGHT, 8, 2, rgb.tobytes(), (b"tRNS", struct.pack(">HHH", 1, 2, 3)))
    assert difference(decode(file_bytes), expected) == 0


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_composited_on_white(mode: str) -> None:
    x = np.mgrid[:HEIGHT, :WIDTH][1]
    alpha = (x * 255 // (WIDTH - 1)).astype(np.uint8)
    base = Image.fromarray(scene()).convert("RGB" if mode == "RGBA" else "L")
    opaque = np.asarray(base.convert("RGB")).astype(float)
    image = base.copy()
    image.putalpha(Image.fromarray(alpha))
    assert image.mode == mode
    share = alpha[..., None] / 255
    expected = opaque * share + 255 * (1 - share)
    for photo in (saved(image, "PNG"), image, np.asarray(image.convert("RGBA"))):
        assert difference(decode(photo), expected) <= 1


def test_interlaced_png() -> None:
    """Adam7 of a flat grey: each pass is a small picture of its own."""
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rgb = scene()
    stored = b"".join(b"".join(b"\0" + row.tobytes() for row in rgb[y0::dy, x0::dx]) for x0, y0, dx, dy in passes)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 1)
    file_bytes = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(stored)) + chunk(b"IEND", b"")
    )
    assert difference(decode(file_bytes), rgb) == 0


def test_apng_gives_its_default_picture() -> None:
    frames = [Image.fromarray(scene()), Image.new("RGB", (WIDTH, HEIGHT)), Image.new("RGB", (WIDTH, HEIGHT), (9, 9, 9))]
    for default in (False, True):
        apng = saved(frames[0], "PNG", save_all=True, append_images=frames[1:], default_image=default)
        assert difference(decode(apng), scene()) == 0


def test_png_in_many_small_chunks_and_with_strange_ones() -> None:
    whole = saved(scene(), "PNG")
    start = whole.index(b"IDAT") - 4
    (length,) = struct.unpack_from(">I", whole, start)
    idat = whole[start + 8 : start + 8 + length]
    pieces = b"".join(chunk(b"IDAT", idat[at : at + 3]) + chunk(b"IDAT", b"") for at in range(0, length, 3))
    text = (
        chunk(b"tEXt", b"Comment\0hello")
        + chunk(b"prVt", b"?")
        + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**7)))
    )
    wrong = bytearray(chunk(b"tEXt", b"abc"))
    wrong[-1] ^= 1  # a wrong checksum in a chunk that nobody needs
    assert difference(decode(whole[:start] + text + bytes(wrong) + pieces + whole[start + 12 + length :]), scene()) == 0


@pytest.mark.parametrize("name", [b"IHDR", b"IDAT", b"PLTE"])
def test_png_with_a_wrong_checksum(name: bytes) -> None:
    whole = bytearray(saved(Image.fromarray(scene()).quantize(16), "PNG"))
    at = whole.index(name)
    (length,) = struct.unpack_from(">I", whole, at - 4)
    whole[at + 4 + length] ^= 1
    with pytest.raises(PhotoDamagedError, match="checksum"):
        decode(bytes(whole))


@pytest.mark.parametrize(
    "file_bytes",
    [
        b"\x89PNG\r\n\x1a\n",
        png(60, 60, 3, 0, bytes(60 * 60)),
        png(60, 60, 8, 5, bytes(60 * 60)),
        png(60, 60, 8, 0, bytes(60 * 59)),  # a filter byte 0 stands in for samples: rows run out
        png(60, 60, 8, 3, bytes(60 * 60)),  # no palette
        png(60, 60, 8, 0, bytes(60 * 60), interlace=2),
        b"\x89PNG\r\n\x1a\n" + chunk(b"IDAT", b"") + chunk(b"IEND", b""),
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", b"") + chunk(b"IEND", b""),
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 60, 60, 8, 0, 0, 0, 0)) + chunk(b"IEND", b""),
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 60, 8, 0, 0, 0, 0)) + chunk(b"IEND", b""),
    ],
)
def test_broken_pngs(file_bytes: bytes) -> None:
    with pytest.raises(PhotoDamagedError):
        decode(file_bytes)


# --- BMP ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_bmp_of_pillow(mode: str) -> None:
    image = Image.fromarray(scene()).convert(mode)
    assert difference(decode(saved(image, "BMP")), np.asarray(image.convert("RGB"))) == 0


@pytest.mark.parametrize("bits", [1, 4, 8])
@pytest.mark.parametrize("header_bytes", [12, 40, 108, 124])
def test_bmp_palette(bits: int, header_bytes: int) -> None:
    rng = np.random.default_rng(bits)
    indices = rng.integers(0, 2**bits, (53, 61), dtype=np.uint8)
    colors = rng.integers(0, 256, (2**bits, 3), dtype=np.uint8)
    entry = 3 if header_bytes == 12 else 4
    palette = np.pad(colors[:, ::-1], ((0, 0), (0, entry - 3))).tobytes()
    packed = np.frombuffer(pack(indices, bits), np.uint8).reshape(53, -1)
    file_bytes = bmp(61, 53, bits, rows_padded(packed), palette=palette, header_bytes=header_bytes)
    assert difference(decode(file_bytes), colors[indices]) == 0


def test_bmp_of_8_bits_with_two_colours() -> None:
    """Pillow's own plugin takes this black and white palette for 1 bit per pixel."""
    indices = np.random.default_rng(0).integers(0, 2, (52, 60), dtype=np.uint8)
    file_bytes = bmp(60, 52, 8, rows_padded(indices), palette=b"\0\0\0\0\xff\xff\xff\0", colors=2)
    assert difference(decode(file_bytes), np.repeat(indices[..., None] * 255, 3, axis=2)) == 0


def test_bmp_top_down_and_24_bits() -> None:
    rows = scene()[:, :, ::-1].reshape(HEIGHT, -1)
    assert difference(decode(bmp(WIDTH, HEIGHT, 24, rows_padded(rows))), scene()) == 0
    assert difference(decode(bmp(WIDTH, -HEIGHT, 24, rows_padded(rows[::-1]))), scene()) == 0


@pytest.mark.parametrize(
    ("bits", "masks"),
    [
        (16, None),
        (16, (0xF800, 0x07E0, 0x001F)),
        (16, (0x7C00, 0x03E0, 0x001F)),
        (16, (0x0F00, 0x00F0, 0x000F)),
        (32, (0xFF, 0xFF00, 0xFF0000)),
        (32, (0xFF000000, 0xFF0000, 0xFF00)),
        (32, (0x3FF00000, 0x000FFC00, 0x000003FF)),
    ],
)
@pytest.mark.parametrize("header_bytes", [40, 108])
def test_bmp_bit_fields(bits: int, masks: tuple[int, int, int] | None, header_bytes: int) -> None:
    rgb = scene().astype(np.uint64)
    words = np.zeros((HEIGHT, WIDTH), np.uint64)
    expected = np.zeros((HEIGHT, WIDTH, 3))
    for channel, mask in enumerate(masks or (0x7C00, 0x03E0, 0x001F)):
        shift = (mask & -mask).bit_length() - 1
        top = mask >> shift
        level = rgb[:, :, channel] * np.uint64(top) // np.uint64(255)
        words |= level << np.uint64(shift)
        expected[:, :, channel] = np.rint(level * (255 / top))
    rows = words.astype(f"<u{bits // 8}").view(np.uint8).reshape(HEIGHT, -1)
    packed = struct.pack("<III", *masks) if masks else b""
    file_bytes = bmp(
        WIDTH, HEIGHT, bits, rows_padded(rows), compression=3 if masks else 0, masks=packed, header_bytes=header_bytes
    )
    assert difference(decode(file_bytes), expected) <= 1


def test_bmp_alpha_is_used_unless_all_of_it_is_zero() -> None:
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    bgra = np.dstack([scene()[:, :, ::-1], np.zeros((HEIGHT, WIDTH), np.uint8)])
    options: dict[str, Any] = {"compression": 3, "masks": masks, "header_bytes": 108}
    assert difference(decode(bmp(WIDTH, HEIGHT, 32, rows_padded(bgra.reshape(HEIGHT, -1)), **options)), scene()) == 0
    bgra[:, 20:, 3] = 255
    expected = scene()
    expected[:, :20] = 255
    assert difference(decode(bmp(WIDTH, HEIGHT, 32, rows_padded(bgra.reshape(HEIGHT, -1)), **options)), expected) == 0
    assert difference(decode(bmp(WIDTH, HEIGHT, 32, rows_padded(bgra.reshape(HEIGHT, -1)))), scene()) == 0


def test_bmp_rle() -> None:
    palette = np.random.default_rng(3).integers(0, 256, (256, 4), dtype=np.uint8)
    colors = palette[:, 2::-1]
    indices = np.array([5] * 30 + [7, 8, 9] + [2] * 17, np.uint8)
    photo = decode(bmp(50, 50, 8, RLE_ROW * 50 + b"\0\1", compression=1, palette=palette.tobytes()))
    assert difference(photo, np.broadcast_to(colors[indices], (50, 50, 3))) == 0
    row4 = b"\x1e\x56" + b"\x00\x05\x12\x34\x50\x00" + b"\x0f\x22" + b"\x00\x00"
    indices = np.array([5, 6] * 15 + [1, 2, 3, 4, 5] + [2] * 15, np.uint8)
    photo = decode(bmp(50, 50, 4, row4 * 50 + b"\0\1", compression=2, palette=palette[:16].tobytes()))
    assert difference(photo, np.broadcast_to(colors[indices], (50, 50, 3))) == 0
    # a jump of 10 columns and 3 rows, then the end: what is jumped over has colour 0
    photo = decode(bmp(50, 50, 8, b"\x00\x02\x0a\x03\x05\x07\x00\x01", compression=1, palette=palette.tobytes()))
    expected = np.broadcast_to(colors[0], (50, 50, 3)).copy()
    expected[46, 10:15] = colors[7]
    assert difference(photo, expected) == 0


@pytest.mark.parametrize(
    "stream", [b"", b"\x1e", b"\x1e\x05" * 3, b"\x00\x09\x01", b"\x00\x02\x01", b"\x32\x05\x00\x00"]
)
def test_bmp_rle_that_ends_early_or_runs_over(stream: bytes) -> None:
    with pytest.raises(PhotoDamagedError):
        decode(bmp(50, 50, 8, stream, compression=1, palette=bytes(1024)))


@pytest.mark.parametrize(
    ("file_bytes", "error"),
    [
        (bmp(2**31 - 1, 2**31 - 1, 24, b""), PhotoSizeError),
        (bmp(60, -(2**31), 24, b""), PhotoSizeError),
        (bmp(-60, 60, 24, b""), PhotoDamagedError),
        (bmp(60, 0, 24, b""), PhotoDamagedError),
        (bmp(60, 60, 24, b""), PhotoDamagedError),
        (bmp(60, 60, 2, bytes(9999)), PhotoFormatError),
        (bmp(60, 60, 24, bytes(9999), compression=4), PhotoFormatError),
        (bmp(60, 60, 8, bytes(9999), colors=2**32 - 1), None),
        (b"BM", PhotoDamagedError),
        (b"BMW is a car maker, not a photo, and this text is long enough", PhotoDamagedError),
    ],
)
def test_bmp_headers_that_lie(file_bytes: bytes, error: type[InputError] | None) -> None:
    if error is None:
        assert_sound(decode(file_bytes))
        return
    with pytest.raises(error):
        decode(file_bytes)


# --- colour ---------------------------------------------------------------------------------------------------------


def matrix_profile(primaries: Array, gamma: float) -> bytes:
    """A small ICC v2 RGB profile: D50 XYZ columns and one gamma."""

    def xyz(values: Any) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(float(value) * 65536)) for value in values)

    curve = b"curv\0\0\0\0" + struct.pack(">IHxx", 1, round(gamma * 256))
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(79)
    copyright_text = b"text\0\0\0\0none\0\0\0\0"
    tags = [
        (b"desc", text), (b"cprt", copyright_text), (b"wtpt", xyz([0.9642, 1, 0.8249])),
        (b"rXYZ", xyz(primaries[0])), (b"gXYZ", xyz(primaries[1])), (b"bXYZ", xyz(primaries[2])),
        (b"rTRC", curve), (b"gTRC", curve), (b"bTRC", curve),
    ]  # fmt: skip
    offset = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, content in tags:
        table += name + struct.pack(">II", offset + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(">I4sI4s4s4s", offset + len(body), b"lcms", 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + struct.pack(">iii", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + table + body


ADOBE_RGB = matrix_profile(
    np.array([[0.60974, 0.31111, 0.01947], [0.20528, 0.62567, 0.06087], [0.14919, 0.06322, 0.74457]]), 2.19921875
)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "pil"])
def test_adobe_rgb_becomes_srgb(form: str) -> None:
    """Mid green (64, 128, 64) of Adobe RGB (1998) is (0.., 129, 61) in sRGB, by the two standards' formulas."""
    image = Image.new("RGB", (60, 60), (64, 128, 64))
    photo: Any = image
    if form == "pil":
        image.info["icc_profile"] = ADOBE_RGB
    else:
        options = {"quality": 100, "subsampling": 0} if form == "JPEG" else {}
        photo = saved(image, form, icc_profile=ADOBE_RGB, **options)
    linear = (np.array([64, 128, 64]) / 255) ** 2.19921875
    adobe = np.array([[0.57667, 0.18556, 0.18823], [0.29734, 0.62736, 0.07529], [0.02703, 0.07069, 0.99134]])
    srgb = np.array(
        [[3.2404542, -1.5371385, -0.4985314], [-0.969266, 1.8760108, 0.041556], [0.0556434, -0.2040259, 1.0572252]]
    )
    light = srgb @ adobe @ linear
    expected = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.clip(light, 0, 1) ** (1 / 2.4) - 0.055)
    assert np.abs(decode(photo).rgb[30, 30] - expected.clip(0, 255)).max() <= 2.5
    assert np.abs(decode(photo).rgb[30, 30].astype(int) - (64, 128, 64)).max() > 10


def test_srgb_profile_changes_nothing() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert difference(decode(saved(scene(), "PNG", icc_profile=profile)), scene()) == 0


@pytest.mark.parametrize("profile", [b"junk", ADOBE_RGB[:200], ADOBE_RGB[:300], bytes(5000)])
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_broken_profile_is_ignored(profile: bytes, form: str) -> None:
    plain = decode(saved(scene(), form))
    assert difference(decode(saved(scene(), form, icc_profile=profile)), plain.rgb) == 0


def test_profile_of_another_colour_space_is_ignored() -> None:
    grey = Image.fromarray(scene()).convert("L")
    assert difference(decode(saved(grey, "PNG", icc_profile=ADOBE_RGB)), np.asarray(grey.convert("RGB"))) == 0
    cmyk = saved(grey.convert("CMYK"), "JPEG")
    assert difference(decode(saved(grey.convert("CMYK"), "JPEG", icc_profile=ADOBE_RGB)), decode(cmyk).rgb) == 0


def test_profile_of_a_jpeg_in_several_parts() -> None:
    image = Image.new("RGB", (60, 60), (64, 128, 64))
    plain = saved(image, "JPEG", quality=100, subsampling=0)
    half = len(ADOBE_RGB) // 2
    parts = [b"ICC_PROFILE\0\x01\x02" + ADOBE_RGB[:half], b"ICC_PROFILE\0\x02\x02" + ADOBE_RGB[half:]]
    segments = b"".join(b"\xff\xe2" + struct.pack(">H", len(part) + 2) + part for part in parts)
    in_one = saved(image, "JPEG", quality=100, subsampling=0, icc_profile=ADOBE_RGB)
    assert difference(decode(plain[:2] + segments + plain[2:]), decode(in_one).rgb) == 0


@pytest.mark.parametrize("form", ["PNG", "JPEG", "pil"])
def test_a_profile_that_is_ignored_is_noted(form: str) -> None:
    image = Image.fromarray(scene())
    with_tables = ADOBE_RGB.replace(b"cprt", b"A2B0", 1)
    photo: Any = image
    if form == "pil":
        image.info["icc_profile"] = with_tables
    else:
        photo = saved(image, form, icc_profile=with_tables)
    (note,) = decode(photo).notes
    assert "look-up tables" in note
    assert decode(saved(scene(), "PNG", icc_profile=ADOBE_RGB)).notes == ()
    assert decode(saved(scene(), "PNG")).notes == ()


# --- arrays and PIL images ------------------------------------------------------------------------------------------


def test_array_shapes_and_types() -> None:
    grey = scene()[:, :, 0]
    tripled = np.repeat(grey[..., None], 3, axis=2)
    assert difference(decode(grey), tripled) == 0
    assert difference(decode(grey[..., None]), tripled) == 0
    assert difference(decode(scene().astype(np.uint16) * 257), scene()) == 0
    assert difference(decode((scene().astype(np.uint16) << 8).astype(">u2")), scene()) == 0
    for kind in (np.float16, np.float32, np.float64):
        assert difference(decode((scene() / 255).astype(kind)), scene()) == 0
    assert difference(decode(scene()[::-1, ::-1]), scene()[::-1, ::-1]) == 0
    assert difference(decode(np.asfortranarray(scene())), scene()) == 0


def test_array_is_never_shared_nor_changed() -> None:
    for array in (scene(), scene()[:, :, :1], np.dstack([scene(), scene()[:, :, 0]]), scene()[:, :, 1]):
        before = array.copy()
        rgb = decode(array).rgb
        assert not np.shares_memory(rgb, array)
        rgb[:] = 7
        assert np.array_equal(array, before)


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((60, 60, 2), np.uint8), r"\(60, 60, 2\)"),
        (np.zeros((60, 60, 5), np.uint8), r"\(60, 60, 5\)"),
        (np.zeros((3, 60, 60), np.uint8), r"\(3, 60, 60\)"),
        (np.zeros(60, np.uint8), r"\(60,\)"),
        (np.zeros((1, 60, 60, 3), np.uint8), "wanted"),
        (np.zeros((60, 60, 3), np.int64), "int64"),
        (np.zeros((60, 60, 3), bool), "bool"),
        (np.zeros((60, 60, 3), object), "object"),
        (np.zeros((60, 60, 3), "U3"), "<U3"),
        (np.full((60, 60, 3), 128.0), "0..1"),
        (np.full((60, 60, 3), -0.01), "0..1"),
        (np.full((60, 60, 3), np.nan), "nan"),
        (np.full((60, 60, 3), np.inf), "inf"),
        (np.zeros((), np.uint8), "wanted"),
    ],
)
def test_arrays_that_are_no_picture(array: Array, says: str) -> None:
    with pytest.raises(PhotoTypeError, match=says) as caught:
        decode(array)
    assert isinstance(caught.value, TypeError)


def test_empty_array() -> None:
    with pytest.raises(EmptyPhotoError):
        decode(np.zeros((0, 60, 3), np.uint8))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"])
def test_pil_modes(mode: str) -> None:
    rgb = Image.fromarray(scene())
    image = ImageCms.profileToProfile(
        rgb, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    ) if mode == "LAB" else (rgb.convert("P").convert("PA") if mode == "PA" else rgb.convert(mode))  # fmt: skip
    assert image is not None
    before = image.tobytes()
    photo = decode(image)
    if mode == "LAB":
        assert np.abs(photo.rgb.astype(int) - scene()).mean() < 3  # 8-bit Lab is coarse
    else:
        assert difference(photo, np.asarray(image.convert("RGB"))) == 0
    assert image.tobytes() == before


@pytest.mark.parametrize("mode", ["I", "F", "I;16"])
def test_pil_modes_without_a_known_range(mode: str) -> None:
    with pytest.raises(PhotoTypeError, match="mode"):
        decode(Image.new(mode, (60, 60)))


def test_pil_image_that_does_not_load() -> None:
    with pytest.raises(PhotoDamagedError):
        decode(Image.open(io.BytesIO(saved(scene(300, 300), "JPEG")[:3000])))
    closed = Image.new("RGB", (60, 60))
    closed.close()
    with pytest.raises(InputError):
        decode(closed)


# --- damage ---------------------------------------------------------------------------------------------------------

RLE_ROW = (
    b"\x1e\x05" + b"\x00\x03\x07\x08\x09\x00" + b"\x11\x02" + b"\x00\x00"
)  # 30 x 5, literal 7 8 9, 17 x 2, end of row
SAMPLES = {
    "jpeg": saved(scene(), "JPEG", exif=exif(6), icc_profile=ADOBE_RGB),
    "progressive": saved(scene(), "JPEG", progressive=True),
    "cmyk": saved(Image.fromarray(scene()).convert("CMYK"), "JPEG"),
    "png": saved(scene(), "PNG", exif=exif(8), icc_profile=ADOBE_RGB),
    "palette": saved(Image.fromarray(scene()).quantize(9), "PNG", transparency=2),
    "rgba": saved(Image.fromarray(scene()).convert("RGBA"), "PNG"),
    "bmp24": saved(scene(), "BMP"),
    "bmp8": saved(Image.fromarray(scene()).quantize(9), "BMP"),
    "rle": bmp(50, 50, 8, RLE_ROW * 50 + b"\0\1", compression=1, palette=bytes(range(256)) * 4),
    "fields": bmp(50, 50, 16, bytes(range(200)) * 25, compression=3, masks=struct.pack("<III", 0xF800, 0x7E0, 0x1F)),
}  # fmt: skip


def photo_or_error(file_bytes: bytes) -> Photo | None:
    try:
        photo = decode(file_bytes, ANY_SIZE)
    except InputError as caught:
        error = caught
    else:
        assert_sound(photo)
        return photo
    assert error.to_dict()["reason"]
    assert len(str(error)) < 400
    return None


@pytest.mark.parametrize("name", SAMPLES)
def test_cut_anywhere_is_an_error_or_the_same_picture(name: str) -> None:
    whole = SAMPLES[name]
    expected = decode(whole).rgb
    step = max(1, len(whole) // 400)
    whole_again = 0
    for end in itertools.chain(range(0, len(whole), step), range(len(whole) - 40, len(whole))):
        photo = photo_or_error(whole[:end])
        if photo is not None:
            whole_again += 1
            assert np.array_equal(photo.rgb, expected)
    assert whole_again < 40  # only a cut at the very end can be harmless


@pytest.mark.parametrize("name", SAMPLES)
def test_every_header_byte_may_be_anything(name: str) -> None:
    whole = SAMPLES[name]
    for at in range(min(len(whole), 700)):
        for value in (0x00 if at % 2 else 0xFF, whole[at] ^ 0x81):
            photo_or_error(whole[:at] + bytes([value]) + whole[at + 1 :])


def fix_checksums(file_bytes: bytes) -> bytes:
    """A PNG with every chunk's checksum made right, so that damage gets past it."""
    out, at = file_bytes[:8], 8
    while at + 12 <= len(file_bytes):
        (length,) = struct.unpack_from(">I", file_bytes, at)
        if at + 12 + length > len(file_bytes):
            break
        out += chunk(file_bytes[at + 4 : at + 8], file_bytes[at + 8 : at + 8 + length])
        at += 12 + length
    return out + file_bytes[at:]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    name = draw(st.sampled_from(sorted(SAMPLES)))
    content = bytearray(SAMPLES[name])
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(content) - 1))
        piece = draw(st.binary(max_size=6))
        content[at : at + draw(st.integers(0, 6))] = piece
    return fix_checksums(bytes(content)) if draw(st.booleans()) and content[:4] == b"\x89PNG" else bytes(content)


@settings(max_examples=400, deadline=None)
@given(damaged())
def test_damage_anywhere_is_an_error_or_a_picture(file_bytes: bytes) -> None:
    photo_or_error(file_bytes)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"BM" + bytes(8) + b"\x36\0\0\0\x28\0\0\0"]),
    st.binary(max_size=400),
)
def test_any_bytes_are_an_error_or_a_picture(magic: bytes, rest: bytes) -> None:
    photo_or_error(magic + rest)


# --- bombs and the host's switches ----------------------------------------------------------------------------------


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
    start = time.perf_counter()
    try:
        decode(path)
    except InputError:
        pass
    assert time.perf_counter() - start < 2, path
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
    assert not [record for record in caplog.records if record.name.startswith("PIL")]

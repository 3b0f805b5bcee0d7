"""PNG: every depth and colour type, transparency, interlacing, chunks that are strange or broken."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from idseg.errors import PhotoDamagedError
from idseg.stages.decode import decode
from tests.imaging.formats.files import HEIGHT, WIDTH, chunk, difference, pack, png, saved, scene


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

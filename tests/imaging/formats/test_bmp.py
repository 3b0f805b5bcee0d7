"""BMP: what Pillow reads of it, and what it would get wrong."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image

from idseg.errors import InputError, PhotoDamagedError, PhotoFormatError, PhotoSizeError
from idseg.stages.decode import decode
from tests.imaging.formats.files import (
    HEIGHT,
    RLE_ROW,
    WIDTH,
    bmp,
    difference,
    pack,
    rows_padded,
    saved,
    scene,
)


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


def test_bmp_of_8_bits_with_two_colours_is_refused() -> None:
    """Pillow takes this black and white palette for 1 bit per pixel, and gives another picture."""
    indices = np.random.default_rng(0).integers(0, 2, (52, 60), dtype=np.uint8)
    with pytest.raises(PhotoFormatError, match="bit-field BMPs are read"):
        decode(bmp(60, 52, 8, rows_padded(indices), palette=b"\0\0\0\0\xff\xff\xff\0", colors=2))


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
        (32, (0xFF0000, 0xFF00, 0xFF)),
        (32, (0xFF000000, 0xFF0000, 0xFF00)),
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


@pytest.mark.parametrize(
    ("bits", "masks"), [(16, (0x0F00, 0x00F0, 0x000F)), (32, (0x3FF00000, 0x000FFC00, 0x000003FF))]
)
def test_bmp_bit_fields_of_a_rare_kind_are_named(bits: int, masks: tuple[int, int, int]) -> None:
    with pytest.raises(PhotoFormatError, match="rare kind"):
        decode(bmp(WIDTH, HEIGHT, bits, bytes(99999), compression=3, masks=struct.pack("<III", *masks)))


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


@pytest.mark.parametrize(
    ("side", "stream"), [(4096, (b"\1\5\0\0") * 4096), (900, b"\0\0" * 600_000), (900, b"\0\2\1\0" * 300_000)]
)
def test_bmp_rle_that_would_cost_too_much_is_refused(side: int, stream: bytes) -> None:
    """Pillow decodes it in Python: 20 KB of line ends cost 12 CPU seconds at 4096 x 4096 px."""
    with pytest.raises(PhotoFormatError, match=r"with runs \(RLE\)"):
        decode(bmp(side, side, 8, stream, compression=1, palette=bytes(1024)))


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
        (bmp(-60, 60, 24, b""), PhotoSizeError),
        (bmp(60, 0, 24, b""), PhotoDamagedError),
        (bmp(60, 60, 24, b""), PhotoDamagedError),
        (bmp(60, 60, 2, bytes(9999)), PhotoFormatError),
        (bmp(60, 60, 24, bytes(9999), compression=4), PhotoFormatError),
        (bmp(60, 60, 8, bytes(9999), colors=2**32 - 1), PhotoFormatError),
        (b"BM", PhotoDamagedError),
        (b"BMW is a car maker, not a photo, and this text is long enough", PhotoDamagedError),
    ],
)
def test_bmp_headers_that_lie(file_bytes: bytes, error: type[InputError]) -> None:
    with pytest.raises(error):
        decode(file_bytes)

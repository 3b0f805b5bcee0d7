"""Files built to be costly to decode, one function per format: many pixels, passes, segments or tables in few bytes."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final

import numpy as np
from PIL import Image

from benchmarks.heic_of_items import Item, built, grid, ispe

MOST_BYTES: Final = 4_000_000
SIDE: Final = 4096
"""The longest side that the cloud API accepts, px."""
LARGE_SIDE: Final = 8000
"""64 million pixels, the most that idseg decodes."""


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@lru_cache(maxsize=3)
def flat(side: int = SIDE) -> Image.Image:
    return Image.new("RGB", (side, side), (120, 90, 60))


@lru_cache(maxsize=3)
def waves(side: int = SIDE, grain: int = 8) -> Image.Image:
    """Enlarged noise; ``grain`` is the enlargement. Every part has something to decode."""
    small = np.random.default_rng(1).integers(0, 256, (side // grain, side // grain, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((side, side))


@lru_cache(maxsize=3)
def bits(side: int = SIDE) -> Image.Image:
    """Noise of black and white pixels, repeated four times across: few bytes for a lossless format."""
    small = np.random.default_rng(1).integers(0, 2, (side, side // 4), dtype=np.uint8)
    return Image.fromarray(np.tile(small * np.uint8(255), (1, 4))).convert("RGB")


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_of(rows: bytes, depth: int, color: int, interlaced: int = 0, *extra: bytes, side: int = SIDE) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, depth, color, 0, 0, interlaced))
    body = header + b"".join(extra) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def profile_of_elements(count: int) -> bytes:
    """An ICC profile whose two ``mpet`` tags refer to one processing element ``count`` times each."""
    matrix = b"matf\0\0\0\0" + struct.pack(">HH12f", 3, 3, *([1, 0, 0, 0, 1, 0, 0, 0, 1] + [0] * 3))
    mpet = b"mpet\0\0\0\0" + struct.pack(">HHI", 3, 3, count)
    mpet += struct.pack(">II", 16 + 8 * count, len(matrix)) * count + matrix
    xyz = b"XYZ \0\0\0\0" + struct.pack(">3i", 28672, 20480, 4096)
    gamma = b"curv\0\0\0\0" + struct.pack(">IHxx", 1, 563)
    elements = {b"XYZ": xyz, b"TRC": gamma, b"D2B0": mpet, b"D2B1": mpet}
    names = [color + kind for kind in (b"XYZ", b"TRC") for color in (b"r", b"g", b"b")] + [b"D2B0", b"D2B1"]
    start = 128 + 4 + 12 * len(names)
    table, body, places = struct.pack(">I", len(names)), b"", dict[bytes, int]()
    for name in names:
        element = elements.get(name, elements.get(name[1:], b""))
        if element not in places:
            places[element] = start + len(body)
            body += element
        table += name + struct.pack(">II", places[element], len(element))
    header = struct.pack(">I4sI4s4s4s", start + len(body), b"none", 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    return (header + bytes(12) + b"acsp").ljust(128, b"\0") + table + body


def jpegs() -> Iterator[bytes]:
    for picture in (flat(), waves(), flat(LARGE_SIDE)):
        plain = saved(picture, "JPEG", quality=20, progressive=True, subsampling=0)
        last = plain[plain.rindex(b"\xff\xda") : -2]
        for scans in (0, 19, 90):
            room = max(0, min(scans, (MOST_BYTES - len(plain)) // max(1, len(last))))
            yield plain[:-2] + last * room + b"\xff\xd9"
        yield plain[:-2]  # a JPEG without its end marker is decoded twice
        yield plain[:-2] + last * 5
        yield saved(picture, "JPEG", quality=20, subsampling=0)
    plain = saved(flat(), "JPEG")
    yield plain.replace(b"\xff\xc0", b"\xff\xc9", 1)
    yield plain[:2] + b"\xff\xfe\x00\x02" * 700_000 + plain[2:]
    yield plain[:2] + b"\xff\xd0" * 1_400_000 + plain[2:]
    yield plain[:2] + (b"\xff\xe2\xff\xffICC_PROFILE\0\x01\x2f" + bytes(65519)) * 40 + plain[2:]
    yield saved(flat(), "JPEG", icc_profile=profile_of_elements(8000))


def pngs() -> Iterator[bytes]:
    for side in (SIDE, LARGE_SIDE):
        for depth, color, samples in ((8, 2, 3), (16, 6, 8), (16, 4, 4), (1, 0, 1 / 8), (8, 3, 1)):
            row = round(side * samples)
            palette = (chunk(b"PLTE", bytes(768)), chunk(b"tRNS", bytes(range(256))))
            for kind in (0, 4):  # filter types: none, Paeth
                rows = (bytes((kind,)) + bytes(row)) * side
                yield png_of(rows, depth, color, 0, *(palette if color == 3 else ()), side=side)
        yield png_of((b"\0" + bytes(side * 3)) * side * 2, 8, 2, 1, side=side)
        yield png_of((b"\0" + bytes(side * 3)) * side, 8, 2, 0, chunk(b"tRNS", bytes(6)), side=side)
    icc = b"x\0\0" + zlib.compress(profile_of_elements(10_000), 9)
    yield png_of((b"\0" + bytes(SIDE * 3)) * SIDE, 8, 2, 0, chunk(b"iCCP", icc))
    yield png_of(b"", 8, 2, 0, *[chunk(b"tEXt", b"")] * 200_000)
    yield png_of(b"", 8, 2, 0, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(60_000_000), 9)))


def bmps() -> Iterator[bytes]:
    def header(bits: int, compression: int, colors: int, side: int = SIDE) -> bytes:
        start = 54 + 4 * colors
        return struct.pack("<2sIHHI", b"BM", 0, 0, 0, start) + struct.pack(
            "<IiiHHIIiiII", 40, side, side, 1, bits, compression, 0, 0, 0, colors, 0
        )

    palette = bytes(range(256)) * 4
    yield header(1, 0, 2) + bytes(8) + bytes(SIDE * SIDE // 8)
    for run in (b"\x01\x05", b"\xff\x05", b"\x00\x03abc\0", b"\x00\x02\x00\x00", b"\x00\x02\x01\x00"):
        yield header(8, 1, 256) + palette + run * ((MOST_BYTES - 2000) // len(run))
    yield header(4, 2, 16) + palette[:64] + (b"\x00\xfe" + bytes(128)) * ((MOST_BYTES - 2000) // 130)


def others(kind: str, *options: dict[str, Any]) -> Callable[[], Iterator[bytes]]:
    """Files of a format that Pillow writes; for each choice of options the finest grain that fits the size limit."""

    def files() -> Iterator[bytes]:
        for side in (SIDE, LARGE_SIDE):
            for chosen in options:
                for picture in (waves(side, 8), waves(side, 32), bits(side), flat(side)):
                    try:
                        content = saved(picture, kind, **chosen)
                    except (OSError, ValueError, KeyError):  # this Pillow cannot write the format
                        break
                    if len(content) <= MOST_BYTES:
                        yield content
                        break

    return files


def gifs() -> Iterator[bytes]:
    noise = np.random.default_rng(1).integers(0, 2, (SIDE, SIDE), dtype=np.uint8)
    yield saved(Image.fromarray(noise), "GIF")
    yield saved(Image.new("L", (LARGE_SIDE, LARGE_SIDE)), "GIF")
    head = b"GIF89a" + struct.pack("<HHBBB", SIDE, SIDE, 0x80, 0, 0) + bytes(6)
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, SIDE, SIDE, 0) + b"\x08"
    yield head + b"\x21\xfe\x01a\x00" * 700_000 + frame + b"\x02\x00\x01\x00\x3b"
    yield head + b"\x21\xf9\x01a\x00" * 700_000 + frame + b"\x02\x00\x01\x00\x3b"
    yield head + frame + b"\x01\x00" * 1_900_000 + b"\x00\x3b"
    yield head + frame + (b"\xff" + bytes(255)) * 15_000 + b"\x00\x3b"


def tiffs() -> Iterator[bytes]:
    yield from others("TIFF", *({"compression": name} for name in ("tiff_lzw", "tiff_adobe_deflate", "jpeg")))()
    for side in (SIDE, LARGE_SIDE):
        fax = bits(side).convert("1")
        for name in ("group3", "group4"):
            yield saved(fax, "TIFF", compression=name)
    yield saved(Image.new("L", (SIDE, SIDE)), "TIFF", compression="tiff_lzw", tiffinfo={278: 1})  # one strip per row


def heics() -> Iterator[bytes]:
    """Nothing where pillow-heif, which writes HEIC, is not installed."""
    try:
        import pillow_heif
    except ImportError:
        return
    pillow_heif.register_heif_opener()
    for picture, count in ((flat(512), 15), (waves(512, 2), 9), (waves(512, 1), 6), (waves(512, 8), 12)):
        coded = saved(picture, "HEIF", quality=50)
        start = coded.index(b"hvcC") - 4
        settings = coded[start : start + int.from_bytes(coded[start : start + 4], "big")]
        item = Item(b"hvc1", coded[coded.index(b"mdat") + 4 :], (ispe(512, 512), settings))
        for side in (64, 512 * count):  # tiles that nobody sees, or all of them
            yield built(grid(count, count, side, side), *[item] * count**2)
    fast = {"preset": "ultrafast"}  # x265 needs minutes for 64 million pixels with its usual preset
    yield from others("HEIF", {"quality": 30, "enc_params": fast}, {"quality": 70, "enc_params": fast})()


FORMATS: Final[dict[str, Callable[[], Iterator[bytes]]]] = {
    "JPEG": jpegs,
    "PNG": pngs,
    "BMP": bmps,
    "GIF": gifs,
    "TIFF": tiffs,
    "WebP": others("WEBP", {"quality": 20, "method": 0}),
    "WebP, lossless": others("WEBP", {"lossless": True, "method": 0, "quality": 0}),
    "AVIF": others("AVIF", {"quality": 20, "speed": 10}),
    "HEIC": heics,
}


def changed(rng: random.Random, content: bytes) -> bytes:
    """Flip, repeat or remove a few bytes; the length stays within the limit."""
    broken = bytearray(content)
    for _ in range(rng.choice((1, 2, 8))):
        place = rng.randrange(len(broken))
        match rng.randrange(4):
            case 0:
                broken[place] = rng.randrange(256)
            case 1:
                broken[place : place + 2] = rng.choice((b"\xff\xff", b"\0\0", b"\xff\xda", b"\xff\xc2"))
            case 2:
                length = rng.choice((8, 100, 5000))
                broken[place:place] = broken[place : place + length] * rng.choice((1, 4))
            case _:
                del broken[place : place + rng.randrange(1, 100)]
    return bytes(broken[:MOST_BYTES])

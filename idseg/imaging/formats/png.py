"""PNG (W3C, third edition): its chunks with their checksums, then zlib and the row filters through Pillow.

Read: IHDR, PLTE, tRNS, IDAT, iCCP, eXIf; every other chunk is skipped unseen. Of an animated PNG that is the default
picture. 16-bit samples keep their high byte (as libpng's png_set_strip_16; a sample that was widened from 8 bits by
either common rule comes back exactly). gAMA, cHRM and cICP are not applied.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

from idseg.errors import PhotoDamagedError
from idseg.imaging.formats import Raster, budget, exif
from idseg.types import Size

_SIGNATURE_BYTES = 8
_MODES = {  # (bit depth, colour type) → Pillow mode, raw mode
    (1, 0): ("1", "1"),
    (2, 0): ("L", "L;2"),
    (4, 0): ("L", "L;4"),
    (8, 0): ("L", "L"),
    (16, 0): ("L", "L;16B"),
    (8, 2): ("RGB", "RGB"),
    (16, 2): ("RGB", "RGB;16B"),
    (1, 3): ("P", "P;1"),
    (2, 3): ("P", "P;2"),
    (4, 3): ("P", "P;4"),
    (8, 3): ("P", "P"),
    (8, 4): ("LA", "LA"),
    (16, 4): ("RGBA", "LA;16B"),
    (8, 6): ("RGBA", "RGBA"),
    (16, 6): ("RGBA", "RGBA;16B"),
}


class _Header(NamedTuple):
    size: Size
    depth: int
    mode: str
    raw_mode: str
    interlaced: int


def read(png: bytes) -> Raster:
    """Header and pixel data of a PNG; raises PhotoDamagedError."""
    header: _Header | None = None
    once: dict[bytes, bytes] = {}
    idat: list[memoryview] = []
    for kind, payload in _chunks(png):
        if header is None:
            header = _read_header(kind, payload)
        elif kind == b"IDAT":
            idat.append(payload)
        elif kind in (b"PLTE", b"tRNS", b"iCCP", b"eXIf"):
            once.setdefault(kind, bytes(payload))
    if header is None or not idat or (header.mode == "P" and not once.get(b"PLTE")):
        raise PhotoDamagedError("The PNG has no header, palette or pixel data.", format="PNG", bytes=len(png))
    found = header

    def load() -> Image.Image:
        return _load(found, idat, once.get(b"PLTE", b""), once.get(b"tRNS", b""))

    icc = _inflated_icc(once.get(b"iCCP", b""))
    return Raster("PNG", found.size, load, icc, exif.orientation(once.get(b"eXIf", b"")))


def _chunks(png: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """(type, payload) up to IEND. A bad checksum or length is an error, but only skipped in an optional chunk."""
    view, position = memoryview(png), _SIGNATURE_BYTES
    while True:
        if position + 12 > len(png):
            raise PhotoDamagedError(f"The PNG is cut off at byte {len(png)}.", format="PNG", bytes=len(png))
        length, kind = struct.unpack_from(">I4s", png, position)
        end = position + 8 + length
        if not kind.isalpha() or end + 4 > len(png):
            raise PhotoDamagedError(f"The PNG is cut off or broken at byte {position}.", format="PNG", bytes=len(png))
        if zlib.crc32(view[position + 4 : end]) == int.from_bytes(view[end : end + 4], "big"):
            if kind == b"IEND":
                return
            yield kind, view[position + 8 : end]
        elif kind[0:1].isupper():  # critical chunk
            name = kind.decode("ascii")
            raise PhotoDamagedError(f"The PNG has a wrong checksum in {name} at byte {position}.", format="PNG")
        position = end + 4


def _read_header(kind: bytes, payload: memoryview) -> _Header:
    if kind != b"IHDR" or len(payload) != 13:
        raise PhotoDamagedError("The PNG does not begin with its header.", format="PNG")
    width, height, depth, color, compression, filters, interlaced = struct.unpack(">IIBBBBB", payload)
    if (depth, color) not in _MODES or compression or filters or interlaced > 1 or width * height == 0:
        raise PhotoDamagedError(
            f"The PNG's header is broken ({width} x {height} px, {depth} bits, colour type {color}).",
            format="PNG",
            width=width,
            height=height,
        )
    return _Header(Size(width, height), depth, *_MODES[depth, color], interlaced)


def _load(header: _Header, idat: list[memoryview], plte: bytes, trns: bytes) -> Image.Image:
    try:
        image = Image.frombytes(header.mode, header.size, b"".join(idat), "zip", header.raw_mode, header.interlaced)
    except (ValueError, OSError) as error:
        raise PhotoDamagedError(
            f"The PNG's pixel data does not decode to {header.size.width} x {header.size.height} px.",
            format="PNG",
            width=header.size.width,
            height=header.size.height,
        ) from error
    if header.raw_mode == "LA;16B":  # Pillow unpacks it to RGBA only
        return image.convert("LA")
    if header.mode == "1":
        image = image.convert("L")
    if header.mode == "P":
        image.putpalette(plte[: len(plte) // 3 * 3][:768].ljust(768, b"\0"))
        if trns:
            image.info["transparency"] = trns[:256].ljust(256, b"\xff")
        return image
    if image.mode in ("L", "RGB") and len(trns) >= 2 * len(image.mode):
        key = [_to_8_bit(value, header.depth) for value in struct.unpack_from(f">{len(image.mode)}H", trns)]
        opaque = (np.asarray(image).reshape(*image.size[::-1], -1) != np.asarray(key)).any(axis=2)
        image.putalpha(Image.fromarray(np.where(opaque, np.uint8(255), np.uint8(0))))
    return image


def _to_8_bit(value: int, depth: int) -> int:
    """A tRNS colour on the scale of the decoded samples."""
    return value >> 8 if depth == 16 else (value & (2**depth - 1)) * 255 // (2**depth - 1)


def _inflated_icc(iccp: bytes) -> bytes | None:
    """The profile of an iCCP chunk (name, NUL, method 0, zlib), of a large one the beginning; None if it is broken."""
    _, _, method_and_profile = iccp.partition(b"\0")
    if not method_and_profile.startswith(b"\0"):
        return None
    inflater = zlib.decompressobj()
    try:
        profile = inflater.decompress(method_and_profile[1:], budget.MAX_PROFILE_BYTES + 1)
    except zlib.error:
        return None
    return profile if inflater.eof or len(profile) > budget.MAX_PROFILE_BYTES else None

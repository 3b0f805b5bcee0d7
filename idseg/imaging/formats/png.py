"""Reads PNG (W3C, third edition): idseg checks the chunks and their checksums, then Pillow decodes.

Pillow gets only IHDR, PLTE and IDAT. This module reads tRNS, iCCP and eXIf itself and skips all other chunks. (Pillow
refuses pictures with a text chunk that inflates to more than 1 MB, and applies tRNS wrongly for 2, 4 and 16 bits.) An
animated PNG gives its default picture. gAMA, cHRM and cICP are not applied.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import cv2
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from idseg.errors import PhotoDamagedError, PhotoFormatError
from idseg.imaging.formats import Raster, budget, exif, pillow
from idseg.types import Size

_CHANNELS = {2: 3, 4: 4, 6: 4}
"""Colour type → samples per pixel, where not 1; Pillow decodes grey with alpha as RGBA."""
_MOST_RAW_BYTES = 400_000_000
"""48 megapixels of 16-bit RGBA have 384 million."""
_MOST_INFLATED = 20
"""Times the file's bytes: pixels of a real photo take a third to all of their raw bytes."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class _Png(PngImageFile):
    """Raises EOFError for missing pixel data, whatever ``LOAD_TRUNCATED_IMAGES`` says, instead of filling with
    black."""

    def load_read(self, read_bytes: int) -> bytes:
        content: bytes = super().load_read(read_bytes)
        if not content:
            raise EOFError("too little pixel data")
        return content


def read(png: bytes) -> Raster:
    """Read the header and pixel data of a PNG; raises PhotoDamagedError."""
    once: dict[bytes, bytes] = {}
    idat: list[memoryview] = []
    for number, (kind, payload) in enumerate(_chunks(png)):
        if number == 0 and (kind != b"IHDR" or len(payload) != 13):
            raise PhotoDamagedError("The PNG does not begin with its header.", format="PNG")
        if kind == b"IDAT":
            idat.append(payload)
        elif kind in (b"IHDR", b"PLTE", b"tRNS", b"iCCP", b"eXIf"):
            once.setdefault(kind, bytes(payload))
    header, palette = once.get(b"IHDR", b""), once.get(b"PLTE", b"")
    if not header or not idat or (header[9] == 3 and not palette):
        raise PhotoDamagedError("The PNG has no header, palette or pixel data.", format="PNG", bytes=len(png))
    if header[10:12] != b"\0\0" or header[12] > 1:
        raise PhotoDamagedError("The PNG's header is broken (compression, filter or interlace).", format="PNG")
    whole = palette[: len(palette) // 3 * 3][:768].ljust(768, b"\0")  # missing entries are black
    chunks = [(b"IHDR", header), *([(b"PLTE", whole)] if palette else []), (b"IDAT", b"".join(idat)), (b"IEND", b"")]
    lean = _SIGNATURE + b"".join(_chunk(*each) for each in chunks)
    image = pillow.open_image(_Png, lean, "PNG")
    raw = image.width * image.height * _CHANNELS.get(header[9], 1) * header[8] // 8
    if raw > max(_MOST_RAW_BYTES, _MOST_INFLATED * len(png)):
        raise PhotoFormatError(
            f"A PNG of {len(png)} bytes with {raw} bytes of pixels; at most {_MOST_RAW_BYTES} are read of so small a"
            " file.",
            found="PNG with too many bytes of pixels",
            maximum=_MOST_RAW_BYTES,
        )

    def load() -> Image.Image:
        loaded = pillow.load(image, "PNG", len(png))
        return _with_transparency(loaded, header, once.get(b"tRNS", b""))

    icc = _inflated_icc(once.get(b"iCCP", b""))
    return Raster("PNG", Size(*image.size), load, icc, exif.orientation(once.get(b"eXIf", b"")))


def _chunk(kind: bytes, payload: bytes) -> bytes:
    checksum = zlib.crc32(payload, zlib.crc32(kind))
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", checksum)


def _chunks(png: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """(type, payload) up to IEND. A wrong checksum or length is an error; an optional chunk with one is skipped."""
    view, position = memoryview(png), len(_SIGNATURE)
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


def _with_transparency(image: Image.Image, header: bytes, trns: bytes) -> Image.Image:
    """The decoded picture with the transparency of its tRNS chunk."""
    depth, color = header[8], header[9]
    if color == 4 and depth == 16:  # Pillow can only unpack it to RGBA
        return image.convert("LA")
    if image.mode == "1":
        image = image.convert("L")
    if image.mode == "P":
        if trns:
            image.info["transparency"] = trns[:256].ljust(256, b"\xff")
        return image
    if image.mode in ("L", "RGB") and len(trns) >= 2 * len(image.mode):
        key = [_to_8_bit(value, depth) for value in struct.unpack_from(f">{len(image.mode)}H", trns)]
        through = cv2.inRange(np.asarray(image), np.asarray(key), np.asarray(key))
        image.putalpha(Image.fromarray(~np.asarray(through, np.uint8)))
    return image


def _to_8_bit(value: int, depth: int) -> int:
    """Scale a tRNS colour to 8 bits, like the decoded samples."""
    return value >> 8 if depth == 16 else (value & (2**depth - 1)) * 255 // (2**depth - 1)


def _inflated_icc(iccp: bytes) -> bytes | None:
    """Inflate the profile of an iCCP chunk (name, NUL, method 0, zlib); None if broken. A large one is cut off."""
    _, _, method_and_profile = iccp.partition(b"\0")
    if not method_and_profile.startswith(b"\0"):
        return None
    inflater = zlib.decompressobj()
    try:
        profile = inflater.decompress(method_and_profile[1:], budget.MAX_PROFILE_BYTES + 1)
    except zlib.error:
        return None
    return profile if inflater.eof or len(profile) > budget.MAX_PROFILE_BYTES else None

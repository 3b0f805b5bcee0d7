"""Reads BMP (Windows 3 to 5 and OS/2 1) with Pillow. The colour profile of a version 5 header is ignored."""

from __future__ import annotations

import struct

from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile

from idseg.errors import PhotoDamagedError, PhotoFormatError
from idseg.imaging.formats import Raster, pillow
from idseg.types import Size

_COMPRESSIONS = (0, 1, 2, 3)  # plain, RLE8, RLE4, bit fields
_MAX_RLE_BYTES = 1_000_000
"""Maximum size of a file with RLE: Pillow decodes each run of two bytes in a Python loop, 0.3 million runs a second."""
_MAX_RLE_PIXELS = 1_500_000
"""Maximum pixels of a file with RLE: Pillow also loops over each pixel that an end-of-line skips, so that 20 KB could
cost many CPU seconds."""


def read(bmp: bytes) -> Raster:
    """Header of a BMP; raises PhotoDamagedError, PhotoFormatError."""
    _check_kind(bmp)
    image = pillow.open_image(BmpImageFile, bmp, "BMP")

    def load() -> Image.Image:
        loaded = pillow.load(image, "BMP", len(bmp))
        if loaded.mode == "RGBA" and loaded.getchannel("A").getextrema() == (0, 0):
            return loaded.convert("RGB")  # many writers set an alpha mask without writing alpha
        return loaded

    return Raster("BMP", Size(*image.size), load)


def _check_kind(bmp: bytes) -> None:
    """Raises PhotoFormatError for files that Pillow refuses or decodes wrongly."""
    try:
        (header_bytes,) = struct.unpack_from("<I", bmp, 14)
        if header_bytes == 12:
            bits, compression, colors = struct.unpack_from("<H", bmp, 24)[0], 0, 0
        else:
            bits, compression, colors = (*struct.unpack_from("<HI", bmp, 28), struct.unpack_from("<I", bmp, 46)[0])
    except struct.error:
        raise PhotoDamagedError("The BMP ends in its header.", format="BMP", bytes=len(bmp)) from None
    if compression in (1, 2) and len(bmp) > _MAX_RLE_BYTES:
        raise PhotoFormatError(
            f"A BMP with runs (RLE) of {len(bmp)} bytes; at most {_MAX_RLE_BYTES} are read. Save it as a PNG.",
            found="BMP with too many runs",
            maximum=_MAX_RLE_BYTES,
        )
    if compression in (1, 2) and _pixels(bmp) > _MAX_RLE_PIXELS:
        raise PhotoFormatError(
            f"A BMP with runs (RLE) of {_pixels(bmp)} pixels; at most {_MAX_RLE_PIXELS} are read. Save it as a PNG.",
            found="BMP with too many pixels for runs",
            maximum=_MAX_RLE_PIXELS,
        )
    # Pillow reads 8 bits with a black and white palette as 1 bit.
    if header_bytes <= 124 and (compression not in _COMPRESSIONS or (bits > 1 and bits <= 8 and colors in (1, 2))):
        raise PhotoFormatError(
            f"A BMP of {bits} bits with compression {compression}; plain, RLE and bit-field BMPs are read.",
            found=f"BMP of a rare kind ({bits} bits, compression {compression})",
        )


def _pixels(bmp: bytes) -> int:
    width, height = struct.unpack_from("<ii", bmp, 18)
    return abs(int(width) * int(height))

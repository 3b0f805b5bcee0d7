"""BMP (Windows 3 to 5 and OS/2 1), through Pillow. A colour profile inside a version 5 header is not applied."""

from __future__ import annotations

import struct

from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile

from idseg.errors import PhotoDamagedError, PhotoFormatError
from idseg.imaging.formats import Raster, pillow
from idseg.types import Size

_COMPRESSIONS = (0, 1, 2, 3)  # plain, RLE8, RLE4, bit fields
_MAX_RLE_BYTES = 1_000_000
"""Of a file with runs: each run of two bytes is a step of a loop in Python, half a million of them 1.6 CPU seconds."""
_MAX_RLE_PIXELS = 1_500_000
"""And each pixel that a line's end jumps over is one too: 20 KB of line ends at 4096 x 4096 px cost 12 CPU seconds."""


def read(bmp: bytes) -> Raster:
    """Header of a BMP; raises PhotoDamagedError, PhotoFormatError."""
    _check_kind(bmp)
    image = pillow.open_image(BmpImageFile, bmp, "BMP")

    def load() -> Image.Image:
        loaded = pillow.load(image, "BMP", len(bmp))
        if loaded.mode == "RGBA" and loaded.getchannel("A").getextrema() == (0, 0):
            return loaded.convert("RGB")  # many writers leave the alpha mask behind and no alpha
        return loaded

    return Raster("BMP", Size(*image.size), load)


def _check_kind(bmp: bytes) -> None:
    """Raises PhotoFormatError for what Pillow refuses or, worse, gets wrong."""
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
    # Pillow takes 8 bits with a palette of black and white for 1 bit.
    if header_bytes <= 124 and (compression not in _COMPRESSIONS or (bits > 1 and bits <= 8 and colors in (1, 2))):
        raise PhotoFormatError(
            f"A BMP of {bits} bits with compression {compression}; plain, RLE and bit-field BMPs are read.",
            found=f"BMP of a rare kind ({bits} bits, compression {compression})",
        )


def _pixels(bmp: bytes) -> int:
    width, height = struct.unpack_from("<ii", bmp, 18)
    return abs(int(width) * int(height))

"""Encodes pictures as PNG and JPEG bytes, and alpha as the grey scoremap.

A file contains only pixels: no EXIF, comments or dates. Equal pixels give equal bytes with the same versions of isal
(PNG) and Pillow (JPEG) on the same kind of processor. PNGs are written here, because compressing takes nearly all of
the time: Intel's ISA-L (package isal) does it four to six times as fast as OpenCV's zlib, and ten times as fast as
Pillow.
"""

from __future__ import annotations

import io
import struct
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from isal import isal_zlib
from PIL import Image, ImageCms

from idseg.errors import OptionError
from idseg.types import Alpha, Rgb

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}
"""Number of channels → PNG's number for grey, RGB and RGBA (PNG 3rd edition, 11.2.1)."""
_UP = 2
"""PNG's number of the filter that subtracts the pixel above (9.2), which serves all rows. Trying all five filters on
each row would take several times the time and save 6 % of the bytes."""
_LEVEL = 2
"""ISA-L's level, 0..3. A file has the size of one by zlib's level 1 with runs only, in a quarter of the time."""
_AT_ONCE = 1 << 20
"""Filtered bytes that are compressed at once."""
_444 = 0  # Pillow's full chroma resolution, so that hair keeps its colour at the edge
_CHANNEL_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def png(pixels: npt.NDArray[np.uint8], *, dpi: float | None = None) -> bytes:
    """PNG of uint8 (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA with straight alpha; lossless.

    ``dpi`` is written as pHYs in whole pixels per metre, so 300 reads back as 299.9994.
    """
    picture = _checked(pixels, (1, 3, 4))
    height, width = picture.shape[:2]
    colour_type = _PNG_COLOUR_TYPES[1 if picture.ndim == 2 else picture.shape[2]]
    parts = [_PNG_SIGNATURE, *_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0))]
    if dpi is not None:
        per_metre = round(_checked_dpi(dpi) / 0.0254)
        parts += _chunk(b"pHYs", struct.pack(">IIB", per_metre, per_metre, 1))
    return b"".join((*parts, *_chunk(b"IDAT", _deflated(picture.reshape(height, -1))), *_chunk(b"IEND", b"")))


def _chunk(name: bytes, content: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """A chunk of a PNG: length, name, content, checksum."""
    checksum = isal_zlib.crc32(content, isal_zlib.crc32(name))
    return struct.pack(">I", len(content)), name, content, struct.pack(">I", checksum)


def _deflated(rows: npt.NDArray[np.uint8]) -> bytes:
    """The compressed image data of a PNG, from its rows (H, W * channels). Few rows at a time, to save memory."""
    height, length = rows.shape
    step = max(_AT_ONCE // (length + 1), 1)
    filtered = np.empty((step, length + 1), np.uint8)
    filtered[:, 0] = _UP
    compressor, compressed = isal_zlib.compressobj(_LEVEL), []
    for top in range(0, height, step):
        part = rows[top : top + step]
        into = filtered[: len(part)]
        into[0, 1:] = part[0] - rows[top - 1] if top else part[0]
        np.subtract(part[1:], part[:-1], out=into[1:, 1:])
        compressed.append(compressor.compress(into.data))
    return b"".join((*compressed, compressor.flush()))


def jpeg(pixels: Rgb, *, quality: int = 95, dpi: float | None = None, srgb_tag: bool = False) -> bytes:
    """Baseline JPEG of uint8 (H, W, 3) RGB or (H, W) grey, chroma 4:4:4.

    Args:
        pixels: the picture; RGB is sRGB.
        quality: 1..100, libjpeg's scale.
        dpi: dots per inch in the JFIF header, rounded to a whole number.
        srgb_tag: embed an sRGB profile (about 0.6 KB). Programs read an untagged JPEG as sRGB.
    """
    if not 1 <= quality <= 100:
        raise OptionError(f"JPEG quality {quality}; it goes from 1 to 100.", quality=quality)
    stream = io.BytesIO()
    image = Image.fromarray(_checked(pixels, (1, 3)))
    options: dict[str, Any] = {}
    if dpi is not None:
        options["dpi"] = (round(_checked_dpi(dpi)),) * 2
    if srgb_tag and image.mode == "RGB":
        options["icc_profile"] = srgb_profile()
    image.save(stream, "JPEG", quality=quality, subsampling=_444, **options)
    return stream.getvalue()


def scoremap(alpha: Alpha) -> npt.NDArray[np.uint8]:
    """The API's scoremap, uint8 (H, W): 255 * alpha, rounded to nearest (ties to even) and clipped to 0..255.

    Raises ValueError for NaN, which means a bug in the matting.
    """
    if np.isnan(alpha.min(initial=0)):
        raise ValueError("the matte contains NaN")
    return np.asarray(cv2.multiply(alpha, 255.0, dtype=cv2.CV_8U), np.uint8)


def _checked(pixels: npt.NDArray[np.uint8], channels: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """The picture as a contiguous array, (H, W) if it has one channel."""
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    count = 1 if pixels.ndim == 2 else pixels.shape[-1]
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or count not in channels or pixels.size == 0:
        wanted = ", ".join(_CHANNEL_MODES[channel] for channel in channels)
        raise OptionError(f"An array of {pixels.dtype} with shape {pixels.shape} is not a picture ({wanted}; uint8).")
    return np.ascontiguousarray(pixels)


def srgb_profile() -> bytes:
    """LittleCMS's sRGB profile with a fixed date (ICC.1:2022, 7.2.10), so that equal pixels give equal bytes."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile[:24] + struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + profile[36:]


def _checked_dpi(dpi: float) -> float:
    if not 1 <= dpi <= 65535:
        raise OptionError(f"{dpi} dots per inch; 1 to 65535 can be written.", dpi=dpi)
    return dpi

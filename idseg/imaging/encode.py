"""Encodes pictures as PNG and JPEG bytes, and alpha as the grey scoremap.

A file contains only pixels: no EXIF, comments or dates. Equal pixels give equal bytes with the same versions of OpenCV
(PNG) and Pillow (JPEG).
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from idseg.errors import OptionError
from idseg.types import Alpha, Rgb

_PNG_OPTIONS = (
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    # zlib's Z_RLE looks only for runs, which is nearly all that a filtered photograph has: it is several times faster
    # than the default strategy at level 6, and its files are at most 3 % larger.
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
    # One filter for all rows. Trying all five on each row takes twice the time and saves 6 % of the bytes. OpenCV below
    # 4.12 lacks the option and uses the filter Sub.
    *((cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP) if hasattr(cv2, "IMWRITE_PNG_FILTER") else ()),
)
_TO_BGR = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
"""Number of channels → OpenCV's order of channels."""
_PNG_HEADER = 33
"""Bytes of a PNG's signature and first chunk, IHDR."""
_444 = 0  # Pillow's full chroma resolution, so that hair keeps its colour at the edge
_CHANNEL_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def png(pixels: npt.NDArray[np.uint8], *, dpi: float | None = None) -> bytes:
    """PNG of uint8 (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA with straight alpha; lossless.

    ``dpi`` is written as pHYs in whole pixels per metre, so 300 reads back as 299.9994.
    """
    rgb = _checked(pixels, (1, 3, 4))
    bgr = cv2.cvtColor(rgb, _TO_BGR[rgb.shape[2]]) if rgb.ndim == 3 else rgb
    encoded = cv2.imencode(".png", bgr, _PNG_OPTIONS)[1].tobytes()
    if dpi is None:
        return encoded
    per_metre = round(_checked_dpi(dpi) / 0.0254)
    density = b"pHYs" + struct.pack(">IIB", per_metre, per_metre, 1)
    chunk = struct.pack(">I", len(density) - 4) + density + struct.pack(">I", zlib.crc32(density))
    return encoded[:_PNG_HEADER] + chunk + encoded[_PNG_HEADER:]


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

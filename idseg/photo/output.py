"""Encodes a finished photo: with DPI and an sRGB profile, in a range of kilobytes, without the input's metadata."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from idseg.errors import OptionError
from idseg.imaging.encode import srgb_profile
from idseg.photo.padding import pad
from idseg.photo.pdf import PdfImage, PdfPage, write_pdf
from idseg.photo.size import MM_PER_INCH, Band

Format: TypeAlias = Literal["JPEG", "PNG", "WEBP", "TIFF", "PDF"]
SUFFIXES: dict[str, Format] = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".pdf": "PDF",
}
_BEST_QUALITY = 97
"""libjpeg's quality above which files grow without a visible gain."""
_TOP_QUALITY = 100
_LEAST_QUALITY = 30
"""Quality below which blocks are visible in the face."""
_SMALL_PX = 1_000_000
"""Maximum pixels for the smallest possible file. Above, slow methods that save about 5 % are not used."""
_FAST_LEVEL = 4
"""zlib's level for large files; level 6 takes twice as long and saves 3 %."""
_SQUEEZED = 1.15
"""Maximum factor by which zlib's best level shrinks a PNG; that level is tried if this could meet a limit."""
_FULL_CHROMA, _HALF_CHROMA = 0, 2  # Pillow's names for 4:4:4 and 4:2:0
_XRESOLUTION, _YRESOLUTION, _RESOLUTION_UNIT, _INCH = 0x011A, 0x011B, 0x0128, 2  # Exif 2.3, 4.6.4 A

Pixels: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Encoded:
    """The bytes of a file, and how they were made."""

    content: bytes
    format: Format
    quality: int | None = None
    """Quality of libjpeg or WebP; None for lossless formats."""
    padding: int = 0
    """Number of padding bytes, added to reach the minimum kilobytes."""

    @property
    def kb(self) -> float:
        """Kilobytes of 1000 bytes."""
        return len(self.content) / 1000


def format_of(name: str | Path) -> Format:
    """The format of a file name, or of ``jpeg``, ``png``, ``webp``, ``tiff``, ``pdf``.

    Raises:
        OptionError: the format is not supported.
    """
    text = str(name)
    upper = {"JPG": "JPEG", "TIF": "TIFF"}.get(text.upper(), text.upper())
    if upper in get_args(Format):
        return cast(Format, upper)
    found = SUFFIXES.get(Path(text).suffix.lower())
    if found is None:
        raise OptionError(f"{text!r} is not a supported output format; use {', '.join(SUFFIXES)}", format=text)
    return found


def parse_kb(text: str) -> Band:
    """Parse a range of kilobytes, ``MOST`` or ``LEAST-MOST``: ``240``, ``20-80``.

    Raises:
        OptionError: the text is neither, or the range is empty.
    """
    least, dash, most = text.partition("-")
    try:
        band = Band(float(least), float(most)) if dash else Band(0.0, float(least))
    except ValueError:
        raise OptionError(f"kb {text!r} is not MOST or LEAST-MOST, e.g. 240 or 20-80", kb=text) from None
    if not 0 <= band.low < band.high < math.inf:
        raise OptionError(f"kb {text!r}: the least must be below the most", kb=text)
    return band


def encode(
    pixels: Pixels, format: Format, dpi: float, kb: Band | None = None, size_mm: tuple[float, float] | None = None
) -> Encoded:
    """Encode a picture.

    Args:
        pixels: (H, W, 3) RGB or (H, W, 4) RGBA with straight alpha, sRGB.
        format: format of the file.
        dpi: resolution stored in the file; a whole number in JPEG and WebP.
        kb: minimum and maximum kilobytes; the best quality that fits is used. For the maximum a kilobyte has 1000
            bytes, for the minimum 1024, so that the file fits either definition. A file that is too small at the best
            quality is padded (:mod:`idseg.photo.padding`).
        size_mm: page size of a PDF; None: from the dpi.

    Raises:
        OptionError: the format has no transparency, or no quality gives a file that is small enough.
    """
    if pixels.shape[2] == 4 and format in ("JPEG", "PDF"):
        raise OptionError(
            f"{format} has no transparency; choose a background colour, or PNG, WebP or TIFF", format=format
        )
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if format == "JPEG" or format == "WEBP":
        return _lossy(image, format, dpi, kb)
    if format == "PDF":
        inner = _lossy(image, "JPEG", dpi, None)
        size_mm = size_mm or (image.width / dpi * MM_PER_INCH, image.height / dpi * MM_PER_INCH)
        page = PdfPage(size_mm, (PdfImage(inner.content, (image.width, image.height), (0.0, 0.0, *size_mm)),))
        return _checked(Encoded(write_pdf([page], srgb_profile()), "PDF", inner.quality), kb)
    content = _lossless(image, format, dpi)
    if format == "PNG" and kb is not None and kb.high * 1000 < len(content) < kb.high * 1000 * _SQUEEZED:
        content = _lossless(image, format, dpi, squeezed=True)
    return _checked(Encoded(content, format), kb)


def jpeg(pixels: Pixels, quality: int, dpi: float, chroma: int = _FULL_CHROMA) -> bytes:
    """A baseline JPEG of RGB pixels with an sRGB profile."""
    return _save(Image.fromarray(np.ascontiguousarray(pixels)), "JPEG", _jpeg_options(quality, dpi, chroma))


def _lossy(image: Image.Image, format: Literal["JPEG", "WEBP"], dpi: float, kb: Band | None) -> Encoded:
    @cache
    def saved(quality: int, chroma: int) -> bytes:
        slow = image.width * image.height <= _SMALL_PX
        options = _jpeg_options(quality, dpi, chroma) if format == "JPEG" else _webp_options(quality, dpi, slow=slow)
        return _save(image, format, options)

    if kb is None:
        return Encoded(saved(_BEST_QUALITY, _FULL_CHROMA), format, _BEST_QUALITY)
    for chroma in (_FULL_CHROMA, _HALF_CHROMA) if format == "JPEG" else (_FULL_CHROMA,):
        # Full chroma down to quality 60; below, the bits are better used for brightness.
        least = 60 if format == "JPEG" and chroma == _FULL_CHROMA else _LEAST_QUALITY
        quality = best_quality(lambda value, chroma=chroma: len(saved(value, chroma)), kb.high * 1000, least)  # type: ignore[misc]
        if quality is not None:
            encoded = Encoded(saved(quality, chroma), format, quality)
            return _checked(encoded, kb)
    smallest = len(saved(_LEAST_QUALITY, _HALF_CHROMA)) / 1000
    raise OptionError(
        f"{image.width} x {image.height} px cannot be a {format} of at most {kb.high:g} KB: quality {_LEAST_QUALITY} "
        f"still takes {smallest:.1f} KB; ask for fewer pixels",
        most_kb=kb.high,
        smallest_kb=round(smallest, 1),
    )


def best_quality(bytes_at: Callable[[int], int], most_bytes: float, least: int = _LEAST_QUALITY) -> int | None:
    """The highest quality from ``least`` to 100 whose file has at most ``most_bytes``, by bisection; None if the file
    is too large even at ``least``. If sizes do not grow steadily with quality, the result may be lower than possible,
    but its file always fits."""
    if bytes_at(least) > most_bytes:
        return None
    if bytes_at(_TOP_QUALITY) <= most_bytes:
        return _TOP_QUALITY
    fits, too_large = least, _TOP_QUALITY
    while too_large - fits > 1:
        middle = (fits + too_large) // 2
        if bytes_at(middle) <= most_bytes:
            fits = middle
        else:
            too_large = middle
    return fits


def _checked(encoded: Encoded, kb: Band | None) -> Encoded:
    if kb is None:
        return encoded
    if len(encoded.content) > kb.high * 1000:
        raise OptionError(
            f"the {encoded.format} takes {encoded.kb:.1f} KB and cannot be made smaller than {kb.high:g} KB; use JPEG",
            most_kb=kb.high,
            smallest_kb=round(encoded.kb, 1),
        )
    least = math.ceil(kb.low * 1024)
    if len(encoded.content) >= least:
        return encoded
    if encoded.format == "PDF":
        raise OptionError(f"a PDF is not padded to {kb.low:g} KB; use JPEG or PNG", least_kb=kb.low)
    padded = pad(encoded.content, encoded.format, least)
    if len(padded) > kb.high * 1000:
        raise OptionError(
            f"{kb.low:g} to {kb.high:g} KB leave no room: a KB has 1000 bytes to some and 1024 to others",
            least_kb=kb.low,
            most_kb=kb.high,
        )
    return replace(encoded, content=padded, padding=len(padded) - len(encoded.content))


def _lossless(image: Image.Image, format: Literal["PNG", "TIFF"], dpi: float, *, squeezed: bool = False) -> bytes:
    options: dict[str, Any] = {"dpi": (dpi, dpi), "icc_profile": srgb_profile()}
    if format == "TIFF":
        options["compression"] = "tiff_adobe_deflate"
    elif image.width * image.height > _SMALL_PX:
        options["compress_level"] = _FAST_LEVEL
    else:
        options["optimize"] = squeezed
    return _save(image, format, options)


def _jpeg_options(quality: int, dpi: float, chroma: int) -> dict[str, Any]:
    return {
        "quality": quality,
        "subsampling": chroma,
        "optimize": True,
        "dpi": (round(dpi), round(dpi)),
        "icc_profile": srgb_profile(),
    }


def _webp_options(quality: int, dpi: float, *, slow: bool) -> dict[str, Any]:
    """WebP has no resolution field of its own; Exif has one."""
    exif = Image.Exif()
    exif[_XRESOLUTION], exif[_YRESOLUTION], exif[_RESOLUTION_UNIT] = float(round(dpi)), float(round(dpi)), _INCH
    return {"quality": quality, "method": 4 if slow else 0, "exif": exif.tobytes(), "icc_profile": srgb_profile()}


def _save(image: Image.Image, format: str, options: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()

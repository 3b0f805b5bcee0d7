"""Readers of the supported photo formats. They read the header first, and decode the pixels only on request.

::

    bytes ─sniff→ name ─read→ Raster(size, orientation, profile) ─ size checked ─ load() → Image ─color→ sRGB

Pillow's plugins (and pi-heif for HEIC) parse and decode. Their classes are called by name instead of ``Image.open``, so
that no other format is tried, and process-wide settings (``MAX_IMAGE_PIXELS``, the registry) have no effect.

The module of each format adds what Pillow lacks, and protects against hostile files. Pillow reads all metadata, some in
quadratic time, so for JPEG, PNG, GIF and TIFF it gets a copy without unneeded metadata. Every ``read`` knows the size
before any pixel is decoded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from PIL import Image

from idseg.types import Size

FormatName = Literal["JPEG", "PNG", "BMP", "WebP", "TIFF", "GIF", "AVIF", "HEIC"]


@dataclass(frozen=True, slots=True)
class Raster:
    """A file whose header was read, and whose pixels were not."""

    format: FormatName
    size: Size
    """Size as stored, before the EXIF orientation is applied."""
    load: Callable[[], Image.Image]
    """Decodes the pixels, 8 bits per channel; raises PhotoDamagedError."""
    icc: bytes | None = None
    """Embedded colour profile, not checked."""
    exif_orientation: int = 1
    """EXIF orientation, 1..8."""

"""The file formats that a photo may have, each read from bytes: header first, pixels only when asked for.

::

    bytes ─sniff→ name ─read→ Raster(size, orientation, profile) ─ size checked ─ load() → Image ─color→ sRGB

Pillow's plugins parse and decode (pi-heif for HEIC); their classes are called by name, not through ``Image.open``, so
that no other format is tried and the switches of the process (``MAX_IMAGE_PIXELS``, the registry) change nothing.
Around them, for each format, stands what Pillow cannot do or what a hostile file would make it do: of JPEG, PNG, GIF
and TIFF it gets a copy without the metadata that a photo does not need, because Pillow reads all of it, some of it in
time that grows with its square; every ``read`` knows the size before a pixel is touched.
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
    """A file whose header has been read and whose pixels have not."""

    format: FormatName
    size: Size
    """As stored, before the EXIF orientation."""
    load: Callable[[], Image.Image]
    """Decodes the pixels, 8 bits per channel; raises PhotoDamagedError."""
    icc: bytes | None = None
    """Embedded colour profile, unverified."""
    exif_orientation: int = 1
    """1..8."""

"""The three file formats of the API, each read from bytes: header first, pixels only when asked for.

Every ``read(file_bytes)`` here walks the file's own structure in Python (sizes, EXIF, ICC, checksums) and returns a
:class:`Raster`, whose ``load`` runs Pillow's C decoder on the pixel data through ``Image.frombytes``. Pillow's file
plugins are not used: they obey process-wide switches (``LOAD_TRUNCATED_IMAGES``, ``MAX_IMAGE_PIXELS``, warning
filters, the plugin registry) that a host may change, and read more of a hostile file than a photo needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from PIL import Image

from idseg.types import Size

FormatName = Literal["JPEG", "PNG", "BMP"]


@dataclass(frozen=True, slots=True)
class Raster:
    """A file whose header has been read and whose pixels have not."""

    format: FormatName
    size: Size
    """As stored, before the EXIF orientation."""
    load: Callable[[], Image.Image]
    """Decodes the pixels; raises PhotoDamagedError."""
    icc: bytes | None = None
    """Embedded colour profile, unverified."""
    exif_orientation: int = 1
    """1..8."""

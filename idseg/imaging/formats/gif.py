"""Reads the first frame of a GIF (89a), placed on its logical screen.

Pillow gets only the header, the palettes and the first frame, because it reads comments in quadratic time.
"""

from __future__ import annotations

import struct

from PIL import Image
from PIL.GifImagePlugin import GifImageFile

from idseg.errors import PhotoDamagedError
from idseg.imaging.formats import Raster, pillow
from idseg.types import Size

_EXTENSION, _IMAGE, _TRAILER, _GRAPHIC_CONTROL = 0x21, 0x2C, 0x3B, 0xF9


def read(gif: bytes) -> Raster:
    """Read the header of a GIF and find its first frame; raises PhotoDamagedError."""
    try:
        lean, size = _first_frame(gif)
    except (struct.error, IndexError):
        raise PhotoDamagedError("The GIF ends inside its first picture.", format="GIF", bytes=len(gif)) from None

    def load() -> Image.Image:
        return pillow.load(pillow.open_image(GifImageFile, lean, "GIF"), "GIF", len(gif))

    return Raster("GIF", size, load)


def _first_frame(gif: bytes) -> tuple[bytes, Size]:
    """A GIF with only the first frame, and the size of its screen."""
    width, height, flags = struct.unpack_from("<HHB", gif, 6)
    position = 13 + _palette_bytes(flags)
    parts = [gif[:position]]
    while gif[position] != _IMAGE:
        if gif[position] != _EXTENSION:
            raise PhotoDamagedError("The GIF has no picture.", format="GIF", bytes=len(gif))
        end = _after_blocks(gif, position + 2)
        if gif[position + 1] == _GRAPHIC_CONTROL:
            parts[1:] = [gif[position:end]]  # the last control block before the frame applies
        position = end
    left, top, frame_width, frame_height, flags = struct.unpack_from("<HHHHB", gif, position + 1)
    if left + frame_width > width or top + frame_height > height or 0 in (frame_width, frame_height):
        raise PhotoDamagedError(
            "The GIF's first picture extends beyond its screen.", format="GIF", width=width, height=height
        )
    end = _after_blocks(gif, position + 10 + _palette_bytes(flags) + 1)
    return b"".join([*parts, gif[position:end], bytes((_TRAILER,))]), Size(width, height)


def _palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_blocks(gif: bytes, position: int) -> int:
    """Position after a chain of sub-blocks."""
    while gif[position]:
        position += gif[position] + 1
    return position + 1

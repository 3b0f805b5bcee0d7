"""Calls Pillow's plugins so that every fault of a file becomes a PhotoDamagedError or PhotoFormatError."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from PIL import Image, ImageFile

from idseg.errors import IdsegError, PhotoDamagedError, PhotoFormatError
from idseg.imaging.formats import FormatName
from idseg.types import Size

_RARE = re.compile(r"unsupported|not supported|unknown|cannot handle|unavailable|no codec", re.IGNORECASE)
"""Texts of Pillow and pi-heif for an intact file that they do not support."""


class _Strict(io.BytesIO):
    """A file that raises EOFError when read beyond its end. Otherwise Pillow fills missing data with black if the
    process has set ``ImageFile.LOAD_TRUNCATED_IMAGES``."""

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        if not content and size:
            raise EOFError("the file ends too early")
        return content


def open_image(plugin: Callable[[io.BytesIO], ImageFile.ImageFile], content: bytes, name: FormatName) -> Any:
    """Read the header of a file with one plugin.

    Raises:
        PhotoDamagedError: the header cannot be read.
    """
    with damage_of(name, len(content)):
        image = plugin(_Strict(content))
        if min(image.size) < 1:
            raise ValueError(f"it declares a size of {image.size[0]} x {image.size[1]} px")
        return image


def load(image: ImageFile.ImageFile, name: FormatName, file_bytes: int) -> Image.Image:
    """Decode the pixels, 8 bits per channel.

    Raises:
        PhotoDamagedError: the pixels cannot be decoded.
    """
    size = Size(*image.size)
    with damage_of(name, file_bytes, size):
        image.load()
        if Size(*image.size) != size:
            raise ValueError(f"the pixels are of {image.size[0]} x {image.size[1]}")
        return eight_bits(image)


def eight_bits(image: Image.Image) -> Image.Image:
    """The image with 8 bits per sample. Of 16 bits, the high byte is kept, as by libpng's png_set_strip_16: a sample
    that was widened from 8 bits by either common rule gets its old value."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    return image


@contextmanager
def damage_of(name: FormatName, file_bytes: int, size: Size | None = None) -> Iterator[None]:
    """Blame the file for any error that a parser raises on it, except for running out of memory."""
    try:
        yield
    except (IdsegError, MemoryError):
        raise
    except Exception as error:
        shown = "its header" if size is None else f"{size.width} x {size.height} px"
        detail = " ".join(str(error).split())[:120] or type(error).__name__
        if _RARE.search(detail):
            raise PhotoFormatError(
                f"A {name} of a rare kind, which is not read: {detail}. Save it again.", found=f"{name} of a rare kind"
            ) from error
        facts = {} if size is None else {"width": size.width, "height": size.height}
        raise PhotoDamagedError(
            f"The {name} is damaged or cut off: {file_bytes} bytes do not decode to {shown} ({detail}).",
            format=name,
            bytes=file_bytes,
            **facts,
        ) from error

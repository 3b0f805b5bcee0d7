"""Pillow's plugins, called so that whatever is wrong with a file is a PhotoDamagedError."""

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
"""What Pillow and pi-heif say of a file that is whole but not for them."""


class _Strict(io.BytesIO):
    """A file that cannot be read beyond its end: Pillow would take what is missing for black where the process has
    set ``ImageFile.LOAD_TRUNCATED_IMAGES``."""

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        if not content and size:
            raise EOFError("the file ends too early")
        return content


def open_image(plugin: Callable[[io.BytesIO], ImageFile.ImageFile], content: bytes, name: FormatName) -> Any:
    """The file's header, read by one plugin.

    Raises:
        PhotoDamagedError: it cannot be read.
    """
    with damage_of(name, len(content)):
        image = plugin(_Strict(content))
        if min(image.size) < 1:
            raise ValueError(f"it says that it is {image.size[0]} x {image.size[1]} px")
        return image


def load(image: ImageFile.ImageFile, name: FormatName, file_bytes: int) -> Image.Image:
    """The pixels, 8 bits per channel.

    Raises:
        PhotoDamagedError: they do not decode.
    """
    size = Size(*image.size)
    with damage_of(name, file_bytes, size):
        image.load()
        if Size(*image.size) != size:
            raise ValueError(f"the pixels are of {image.size[0]} x {image.size[1]}")
        return eight_bits(image)


def eight_bits(image: Image.Image) -> Image.Image:
    """The image; one of 16 bits with the high byte of its samples (as libpng's png_set_strip_16: a sample that was
    widened from 8 bits by either common rule comes back exactly)."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    return image


@contextmanager
def damage_of(name: FormatName, file_bytes: int, size: Size | None = None) -> Iterator[None]:
    """Whatever a parser of hostile bytes raises is the file's fault, but for running out of memory."""
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

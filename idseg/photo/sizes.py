"""Sizes of ID photos: what a document asks for, from the table ``documents/*.toml`` or by number."""

from __future__ import annotations

import re
from functools import cache
from typing import Literal, cast

from idseg.errors import OptionError
from idseg.photo.size import DEFAULT_DPI, MM_PER_INCH, PhotoSize
from idseg.photo.table import check_pixels, composition, pixels, read_table
from idseg.types import Size


@cache
def load_sizes() -> tuple[PhotoSize, ...]:
    """All sizes of the table, in its order."""
    return tuple(read_table())


def find_sizes(word: str = "") -> tuple[PhotoSize, ...]:
    """Sizes whose name, title, other names or document hold ``word``, or whose country is ``word``; all for no
    word."""
    wanted = _plain(word)
    return tuple(
        size
        for size in load_sizes()
        if wanted == _plain(size.country) or any(wanted in _plain(text) for text in _texts(size))
    )


def find_size(text: str) -> PhotoSize:
    """The size of this name, or by number: ``35x45mm``, ``413x531px``, ``2x2in``, ``35x45`` (mm), each with ``@600``
    for the dpi.

    Raises:
        OptionError: no such size; the message names the nearest.
    """
    wanted = _plain(text)
    for size in load_sizes():
        if wanted in {_plain(size.name), _plain(size.zh), _plain(size.en), *map(_plain, size.aka)}:
            return size
    by_number = _by_number(text)
    if by_number is not None:
        return by_number
    near = [size.name for size in find_sizes(text)]
    raise OptionError(
        f"there is no size {text!r}{_hint(text, near)}; `idseg sizes` lists them, or write 35x45mm or 413x531px",
        size=text,
    )


def size_by_number(
    width: float, height: float, unit: Literal["mm", "px", "in"] = "mm", dpi: float = DEFAULT_DPI
) -> PhotoSize:
    """A size without a document; its head is placed by the default composition.

    Raises:
        OptionError: it cannot be made.
    """
    mm_per_unit = {"mm": 1.0, "in": MM_PER_INCH, "px": MM_PER_INCH / dpi}[unit]
    width_mm, height_mm = width * mm_per_unit, height * mm_per_unit
    px = Size(round(width), round(height)) if unit == "px" else pixels(width_mm, height_mm, dpi)
    name = f"{width:g}x{height:g}{unit}"
    check_pixels(name, px)
    return PhotoSize(
        name=name,
        width_mm=width_mm,
        height_mm=height_mm,
        px=px,
        framing=composition("head", width_mm, height_mm, px),
        framing_is_rule=False,
        dpi=dpi,
        en=name,
        source="given by number",
    )


_NUMBER = re.compile(r"([\d.]+)\s*[x×*]\s*([\d.]+)\s*(mm|px|in)?(?:\s*@\s*([\d.]+)(?:dpi)?)?", re.IGNORECASE)


def _by_number(text: str) -> PhotoSize | None:
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        return None
    try:
        width, height = float(match[1]), float(match[2])
        dpi = DEFAULT_DPI if match[4] is None else float(match[4])
    except ValueError:
        return None
    if not 30 <= dpi <= 2400:
        raise OptionError(f"{dpi:g} dpi in {text!r}; 30 to 2400 can be made", dpi=dpi)
    unit = cast(Literal["mm", "px", "in"], (match[3] or "mm").lower())
    return size_by_number(width, height, unit, dpi)


def _hint(text: str, near: list[str]) -> str:
    if near:
        return f" (do you mean {', '.join(near[:8])}{' …' if len(near) > 8 else ''}?)"
    import difflib

    close = difflib.get_close_matches(text.lower(), [size.name for size in load_sizes()], n=3)
    return f" (do you mean {', '.join(close)}?)" if close else ""


def _texts(size: PhotoSize) -> tuple[str, ...]:
    return (size.name, size.en, size.zh, *size.aka)


def _plain(text: str) -> str:
    """Lower case without blanks, dashes and commas, so that ``US passport`` finds ``us-passport``."""
    return re.sub(r"[\s\-_,、，]+", "", text).lower()

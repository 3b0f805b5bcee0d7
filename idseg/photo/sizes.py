"""Sizes of ID photos, from the table ``documents/*.toml`` or from numbers."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from functools import cache

from idseg.errors import OptionError
from idseg.photo.numbers import find_number, size_by_number
from idseg.photo.search import search_sizes
from idseg.photo.size import PhotoSize
from idseg.photo.table import load_size, load_sizes

__all__ = ["find_size", "load_sizes"]


def find_size(text: str) -> PhotoSize:
    """The size with this name, or from numbers: ``35x45mm``, ``3.5x4.5cm``, ``413x531px``, ``2x2in``, optionally with
    ``@600`` for the dpi. :func:`find_number` describes how numbers without a unit are read.

    Raises:
        OptionError: there is no such size; the message names similar ones.
    """
    if (named := load_size(text)) is not None:
        return named
    if (called := _by_plain_name().get(_plain(text))) is not None:
        return called
    number, rest = find_number(text)
    if number is not None and not rest:
        return size_by_number(number.width, number.height, number.unit, number.dpi)
    raise OptionError(
        f"there is no size {text!r}{_hint(text)}; `idseg sizes` lists them, or write 35x45mm or 413x531px", size=text
    )


@cache
def _by_plain_name() -> Mapping[str, PhotoSize]:
    """The table by all names without blanks; if two rows share a name, the first row has it."""
    names = ((name, size) for size in load_sizes() for name in (size.name, size.zh, size.en, *size.aka))
    found: dict[str, PhotoSize] = {}
    for name, size in names:
        found.setdefault(_plain(name), size)
    return found


def _hint(text: str) -> str:
    near = [size.name for size in search_sizes(text).rows]
    if near and len(near) < len(load_sizes()):
        return f" (do you mean {', '.join(near[:8])}{' …' if len(near) > 8 else ''}?)"
    close = difflib.get_close_matches(text.lower(), [size.name for size in load_sizes()], n=3)
    return f" (do you mean {', '.join(close)}?)" if close else ""


def _plain(text: str) -> str:
    """Lower case without blanks, dashes and commas, so that ``US passport`` finds ``us-passport``."""
    return re.sub(r"[\s\-_,、，]+", "", text).lower()

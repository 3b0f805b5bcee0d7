"""Parses sizes given as numbers: ``35x45mm``, ``3.5x4.5 cm``, ``2x2``, ``413x531px@300``."""

from __future__ import annotations

import math
import re
from typing import Literal, NamedTuple

from idseg.errors import OptionError
from idseg.photo.size import DEFAULT_DPI, MM_PER_INCH, PhotoSize
from idseg.photo.table import check_pixels, composition, pixels
from idseg.types import Size

Unit = Literal["mm", "px", "in"]

_BARE_INCHES = 2.5
"""A number without a unit up to this is inches: 2x2, 1x1, 1.5x2."""
_BARE_CM = 12.0
"""A number without a unit up to this is centimetres: 3.5x4.5, 4x6."""
_BARE_MM = 150.0
"""A number without a unit up to this is millimetres: 35x45; a larger one is pixels: 295x413."""


class Number(NamedTuple):
    """A size given as numbers."""

    width: float
    height: float
    unit: Unit
    dpi: float
    told: str
    """How the text was interpreted, for people."""
    written: tuple[float, float]
    """The numbers in the text."""
    written_unit: str
    """Unit of ``written``: mm, cm, px or in."""
    guessed: bool
    """Whether the text had no unit."""


def size_by_number(width: float, height: float, unit: Unit = "mm", dpi: float = DEFAULT_DPI) -> PhotoSize:
    """A size without a document. The default composition places its head.

    Raises:
        OptionError: the size is not supported.
    """
    if not 30 <= dpi <= 2400:
        raise OptionError(f"{dpi:g} dpi; 30 to 2400 can be made", dpi=dpi)
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


_NUMBER = re.compile(
    r"(?<![\w.])(\d{1,5}(?:\.\d{1,4})?)\s*(mm|cm|px|in|毫米|厘米|公分)?\s*[x×*]\s*(\d{1,5}(?:\.\d{1,4})?)\s*"
    r"(mm|millimeters?|millimetres?|cm|px|pixels?|inches|inch|in|毫米|厘米|公分|像素|英寸|\")?"
    r"(?:\s*@\s*(\d{1,5}(?:\.\d{1,2})?)\s*(?:dpi)?)?(?![\w.])",
    re.IGNORECASE,
)
_UNITS: dict[str, tuple[Unit, float]] = {
    "mm": ("mm", 1.0), "毫米": ("mm", 1.0), "millimeter": ("mm", 1.0), "millimetre": ("mm", 1.0),
    "cm": ("mm", 10.0), "厘米": ("mm", 10.0), "公分": ("mm", 10.0),
    "px": ("px", 1.0), "pixel": ("px", 1.0), "像素": ("px", 1.0),
    "in": ("in", 1.0), "inch": ("in", 1.0), "inche": ("in", 1.0), "英寸": ("in", 1.0), '"': ("in", 1.0),
}  # fmt: skip


def find_number(text: str) -> tuple[Number | None, str]:
    """Find a size given as numbers in a text; also returns the text without it.

    Without a unit, the longer side decides: up to 2.5 inches (2x2), up to 12 centimetres (3.5x4.5), up to 150
    millimetres (35x45), otherwise pixels (295x413).
    """
    match = _NUMBER.search(text)
    if match is None:
        return None, text.strip()
    width, height = float(match[1]), float(match[3])
    if min(width, height) <= 0:
        return None, text.strip()
    written = (match[4] or match[2] or "").lower()
    unit, factor = _UNITS[written.rstrip("s")] if written else _bare(max(width, height))
    as_written = width, height
    width, height = round(width * factor, 4), round(height * factor, 4)
    dpi = DEFAULT_DPI if match[5] is None else float(match[5])
    words = {"mm": "millimetres", "px": "pixels", "in": "inches"}[unit]
    told = f"{width:g} x {height:g} read as {words}" if not written else f"{width:g} x {height:g} {words}"
    if math.isclose(factor, 10.0) and not written:
        told = f"{match[1]} x {match[3]} read as centimetres"
    rest = f"{text[: match.start()]} {text[match.end() :]}"
    written_unit = "cm" if math.isclose(factor, 10.0) else unit
    number = Number(width, height, unit, dpi, told, as_written, written_unit, not written)
    return number, re.sub(r"\s+", " ", rest).strip()


def _bare(side: float) -> tuple[Unit, float]:
    if side <= _BARE_INCHES:
        return "in", 1.0
    if side <= _BARE_CM:
        return "mm", 10.0
    return ("mm", 1.0) if side <= _BARE_MM else ("px", 1.0)

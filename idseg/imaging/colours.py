"""Colours as text or numbers: names, ``#rrggbb``, or three numbers."""

from __future__ import annotations

import re
from typing import TypeAlias

from idseg.errors import OptionError

Color: TypeAlias = "str | tuple[int, int, int]"
"""``(r, g, b)`` 0..255, ``"#rrggbb"``, ``"#rgb"`` or one of :data:`NAMED_COLORS`."""

NAMED_COLORS: dict[str, tuple[int, int, int]] = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "red": (217, 0, 27),
    "blue": (67, 142, 219),
    "grey": (192, 192, 192),
    "green": (0, 177, 64),
    "light-blue": (207, 226, 243),
    "light-grey": (230, 230, 230),
    "cream": (255, 253, 208),
}
"""Chinese photo studios use white, blue (#438EDB) and red (#D9001B). Countries that refuse white (France, Germany,
United Kingdom) require light blue, light grey or cream. Green helps to judge edges."""

_HEX = re.compile(r"#?([0-9a-fA-F]{6}|[0-9a-fA-F]{3})")


def parse_color(color: Color) -> tuple[int, int, int]:
    """Convert a colour to ``(r, g, b)``, each 0..255.

    Raises:
        OptionError: not a colour.
    """
    if isinstance(color, str):
        named = NAMED_COLORS.get(color.strip().lower())
        if named is not None:
            return named
        match = _HEX.fullmatch(color.strip())
        if match is None:
            raise OptionError(
                f"{color!r} is not a colour; write #rrggbb or one of {', '.join(NAMED_COLORS)}", color=color
            )
        digits = match[1] if len(match[1]) == 6 else "".join(2 * digit for digit in match[1])
        return int(digits[0:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)
    try:
        red, green, blue = (int(value) for value in color)
    except (TypeError, ValueError):
        raise OptionError(f"{color!r} is not a colour: give (r, g, b) or #rrggbb", color=str(color)) from None
    if not all(0 <= value <= 255 for value in (red, green, blue)):
        raise OptionError(f"{color!r} is not a colour: r, g and b must be 0..255", color=str(color))
    return red, green, blue

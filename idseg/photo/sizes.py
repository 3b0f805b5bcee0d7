"""Sizes of ID photos: what a document asks for, from ``sizes.toml`` or by number."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal, cast, get_args

from idseg.errors import OptionError
from idseg.photo.size import DEFAULT_DPI, MM_PER_INCH, Band, Basis, Framing, PhotoSize
from idseg.types import Size

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_LEAST_PX, _MOST_PX = 16, 6000
"""Width and height that can be made."""


@cache
def load_sizes() -> tuple[PhotoSize, ...]:
    """All sizes of ``sizes.toml``, in its order."""
    table = _table()
    return tuple(_size(row, table["default"]) for row in table["size"])


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
    px = Size(round(width), round(height)) if unit == "px" else _pixels(width_mm, height_mm, dpi)
    name = f"{width:g}x{height:g}{unit}"
    _check_pixels(name, px)
    default = _table()["default"]
    return PhotoSize(
        name=name,
        width_mm=width_mm,
        height_mm=height_mm,
        px=px,
        framing=_framing(default, width_mm, height_mm, px),
        framing_is_rule=False,
        dpi=dpi,
        en=name,
        source="given by number",
    )


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(files("idseg.photo").joinpath("sizes.toml").read_text(encoding="utf-8"))


_RULES = ("head", "eyes", "eyes_from_top", "top", "chin", "face", "width")


def _size(row: Mapping[str, Any], default: Mapping[str, Any]) -> PhotoSize:
    """A row of the file as a value; a row that breaks the file's own rules is a fault of ours and raises KeyError or
    ValueError."""
    width_mm, height_mm = (float(value) for value in row["mm"])
    dpi = float(row.get("dpi", DEFAULT_DPI))
    px = Size(*row["px"]) if "px" in row else _pixels(width_mm, height_mm, dpi)
    _check_pixels(row["name"], px)
    if row["basis"] not in get_args(Basis):
        raise ValueError(f"{row['name']}: unknown basis {row['basis']!r}")
    has_rule = any(name in row for name in _RULES)
    kb = row.get("kb")
    return PhotoSize(
        name=row["name"],
        width_mm=width_mm,
        height_mm=height_mm,
        px=px,
        framing=_framing(row if has_rule else default, width_mm, height_mm, px),
        framing_is_rule=has_rule,
        dpi=dpi,
        en=row["en"],
        zh=row["zh"],
        country=row["country"],
        document=row["document"],
        kb=None if kb is None else Band(*map(float, kb)),
        format=row.get("format"),
        backgrounds=tuple(row.get("background", ())),
        basis=row["basis"],
        source=row["source"],
        url=row.get("url", ""),
        note=row.get("note", ""),
        aka=tuple(row.get("aka", ())),
    )


def _framing(row: Mapping[str, Any], width_mm: float, height_mm: float, px: Size) -> Framing:
    """The rules of a row in millimetres, whatever unit they are given in."""
    unit = row["unit"]
    down = {"mm": 1.0, "px": height_mm / px.height, "share": height_mm}[unit]
    across = {"mm": 1.0, "px": width_mm / px.width, "share": width_mm}[unit]
    eyes = _band(row, "eyes", down)
    if "eyes_from_top" in row:
        below = _band(row, "eyes_from_top", down)
        assert below is not None  # noqa: S101 - the key is there
        eyes = Band(height_mm - below.high, height_mm - below.low)
    return Framing(
        head=_band(row, "head", down),
        head_top=row.get("head_top", "hair"),
        eyes=eyes,
        top=_band(row, "top", down),
        chin=_band(row, "chin", down),
        face=_band(row, "face", across),
        width=_band(row, "width", across),
    )


def _band(row: Mapping[str, Any], name: str, mm_per_unit: float) -> Band | None:
    if name not in row:
        return None
    low, high = (float(value) * mm_per_unit for value in row[name])
    if not 0 <= low < high:
        raise ValueError(f"{name} = {row[name]} is no range")
    return Band(low, high)


def _pixels(width_mm: float, height_mm: float, dpi: float) -> Size:
    return Size(round(width_mm / MM_PER_INCH * dpi), round(height_mm / MM_PER_INCH * dpi))


def _check_pixels(name: str, px: Size) -> None:
    if not all(_LEAST_PX <= side <= _MOST_PX for side in px):
        raise OptionError(
            f"size {name}: {px.width} x {px.height} px; each side can be {_LEAST_PX} to {_MOST_PX} px", size=name
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

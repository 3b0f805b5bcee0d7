"""Parses a query into the requested output, with limits on the cost of a request. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import parse_qsl

from idseg.errors import OptionError
from idseg.photo.adjust import Adjustment
from idseg.photo.background import Background, parse_background
from idseg.photo.finish import Finished, finish
from idseg.photo.light import check_stops
from idseg.photo.output import Format, format_of, parse_kb
from idseg.photo.sheet import SheetOptions, paper
from idseg.photo.size import Band, PhotoSize
from idseg.photo.sizes import find_size
from idseg.result import Result
from idseg.types import Size

MOVE_FIELDS: Final = ("right", "down", "zoom", "turn", "flip", "light")
"""Parameters for manual changes."""
PHOTO_FIELDS: Final = ("size", "background", "format", "kb", "px", "dpi", *MOVE_FIELDS)
SHEET_FIELDS: Final = ("paper", "copies", "sheet_format", "margin", "gap", "marks")
CHECK_FIELDS: Final = ("size", "finished")
_ELSEWHERE: Final = frozenset({"access_token", "aipSdk", "handle"})
"""Parameters for :mod:`idseg.server.auth.access` and :mod:`idseg.server.routes.v1`, which are ignored here."""

_LONGEST_VALUE: Final = 100
"""Maximum characters of a value in the query."""
_MOST_FINISHED_PX: Final = 4_000_000
"""Maximum pixels of a finished photo: twice those of the largest document (1300 x 1600)."""
_SHAPES: Final = Band(0.4, 2.5)
"""Width / height of a finished photo; the widest document has 1. Wider ones would cut huge windows out of the photo."""
_SAME_SHAPE: Final = 0.02
"""Maximum difference between the shapes of ``px`` and the document, as a share, because pixels are whole numbers."""
_LONGEST_PAPER_MM: Final = 420.0
"""Long side of A3."""
_MOST_SHEET_PX: Final = 36_000_000
"""Maximum pixels of a sheet as a picture: A4 at 600 dpi has 34.8 million. A PDF stores each photo once, in its own
pixels."""
_MOST_ON_PAPER: Final = 200
"""Maximum photos on one sheet; an A4 has room for 63 of the smallest document's."""


@dataclass(frozen=True, slots=True)
class WantedSheet:
    """A requested print sheet."""

    name: str
    paper_mm: tuple[float, float]
    copies: int | None
    format: Format
    options: SheetOptions


@dataclass(frozen=True, slots=True)
class Wanted:
    """A requested finished photo, with or without a sheet."""

    size: PhotoSize
    background: Background | None
    """None: the document's default."""
    format: Format | None
    kb: Band | None
    sheet: WantedSheet | None
    by_hand: Adjustment
    light_stops: float

    def finish(self, result: Result) -> Finished:
        """Make the finished photo from a result cut with the size's :func:`idseg.photo.window.crop_options`."""
        return finish(result, self.size, self.background, self.by_hand, self.light_stops)


def read_query(query: str, allowed: Collection[str]) -> Mapping[str, str]:
    """The values of the query by name.

    Raises:
        OptionError: a name is unknown or occurs twice, or a value is too long.
    """
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=30, errors="replace")
    except ValueError:
        raise OptionError("the query has more than 30 parameters") from None
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in _ELSEWHERE:
            continue
        if name not in allowed:
            known = ", ".join(allowed)
            raise OptionError(f"there is no parameter {name[:40]!r}; there are {known}", parameter=name[:40])
        if name in values:
            raise OptionError(f"the parameter {name} came twice", parameter=name)
        if len(value) > _LONGEST_VALUE:
            raise OptionError(f"{name} is longer than {_LONGEST_VALUE} characters", parameter=name)
        values[name] = value
    return values


def read_wanted(values: Mapping[str, str], *, default_paper: str = "") -> Wanted:
    """Parse the requested output from the values of a query.

    Args:
        values: result of :func:`read_query`.
        default_paper: paper of the sheet if the query names none; empty: then no sheet.

    Raises:
        OptionError: a value is not supported; the message names it.
    """
    size = read_size(values)
    background = None
    if (text := values.get("background", "")).strip():
        if text.strip().startswith("@"):  # would read a file of the server
            raise OptionError("a background is a colour or a gradient here, no file", background=text)
        background = parse_background(text)
    named_paper = values.get("paper", "") or default_paper
    if not named_paper and (lost := sorted(set(values).intersection(SHEET_FIELDS) - {"paper"})):
        raise OptionError(f"{', '.join(lost)} without a paper; add paper=6inch", parameter=lost[0])
    return Wanted(
        size=size,
        background=background,
        format=format_of(values["format"]) if values.get("format") else None,
        kb=parse_kb(values["kb"]) if values.get("kb") else None,
        sheet=_read_sheet(named_paper, values, size) if named_paper else None,
        by_hand=_read_adjustment(values),
        light_stops=check_stops(_number("light", values.get("light", ""), 0.0)),
    )


def read_size(values: Mapping[str, str]) -> PhotoSize:
    """The size in a query, limited by the cost of a request."""
    if not values.get("size", "").strip():
        raise OptionError("the query needs a size: size=cn-1inch, size=us-visa, size=35x45mm", parameter="size")
    size = _printed(find_size(values["size"]), values)
    pixels = size.px.width * size.px.height
    if pixels > _MOST_FINISHED_PX:
        raise OptionError(
            f"{size.name} has {pixels} pixels; at most {_MOST_FINISHED_PX} are made here", size=size.name, pixels=pixels
        )
    if not _SHAPES.holds(size.px.width / size.px.height):
        raise OptionError(
            f"{size.name} is {size.px.width / size.px.height:.2f} times as wide as high; {_SHAPES.low} to "
            f"{_SHAPES.high} is made here",
            size=size.name,
        )
    return size


def _printed(size: PhotoSize, values: Mapping[str, str]) -> PhotoSize:
    """The size with other pixels and another resolution, if the query has them; millimetres and rules do not change.

    Raises:
        OptionError: the pixels have another shape than the document.
    """
    if values.get("px"):
        width, _, height = values["px"].lower().replace("×", "x").partition("x")
        px = Size(_whole("px", width.strip()), _whole("px", height.strip()))
        if abs(px.width / px.height / (size.px.width / size.px.height) - 1) > _SAME_SHAPE:
            raise OptionError(
                f"px {px.width}x{px.height} has another shape than {size.name} ({size.px.width}x{size.px.height})",
                parameter="px",
            )
        size = replace(size, px=px)
    if values.get("dpi"):
        dpi = _number("dpi", values["dpi"], size.dpi)
        if not 30 <= dpi <= 2400:
            raise OptionError(f"dpi {dpi:g}; 30 to 2400 can be made", parameter="dpi")
        size = replace(size, dpi=dpi)
    return size


def _read_adjustment(values: Mapping[str, str]) -> Adjustment:
    return Adjustment(
        right_mm=_number("right", values.get("right", ""), 0.0),
        down_mm=_number("down", values.get("down", ""), 0.0),
        zoom=_number("zoom", values.get("zoom", ""), 1.0),
        turn_deg=_number("turn", values.get("turn", ""), 0.0),
        flip=read_flag("flip", values.get("flip", "")),
    )


def _read_sheet(name: str, values: Mapping[str, str], size: PhotoSize) -> WantedSheet:
    sides = paper(name)
    if max(sides) > _LONGEST_PAPER_MM:
        raise OptionError(f"paper {name!r}: at most {_LONGEST_PAPER_MM:g} mm long here", paper=name)
    copies = _whole("copies", values["copies"]) if values.get("copies") else None
    most = sides[0] * sides[1] / (size.width_mm * size.height_mm)
    if (most if copies is None else copies) > _MOST_ON_PAPER:
        raise OptionError(f"more than {_MOST_ON_PAPER} photos on a sheet; name fewer copies", most=_MOST_ON_PAPER)
    plain = SheetOptions()
    marks = values.get("marks") or plain.marks
    if marks not in ("corners", "lines", "none"):
        raise OptionError(f"marks {marks!r}: use corners, lines or none", marks=marks)
    options = SheetOptions(
        margin_mm=_number("margin", values.get("margin", ""), plain.margin_mm),
        gap_mm=_number("gap", values.get("gap", ""), plain.gap_mm),
        marks=marks,  # type: ignore[arg-type]  # one of the three
    )
    format = format_of(values.get("sheet_format") or "pdf")
    if format != "PDF" and (pixels := round(sides[0] * sides[1] * size.px_per_mm**2)) > _MOST_SHEET_PX:
        raise OptionError(
            f"a sheet of {pixels / 1e6:.0f} million pixels; at most {_MOST_SHEET_PX / 1e6:.0f} million are made here: "
            "ask for a PDF",
            pixels=pixels,
        )
    return WantedSheet(name, sides, copies, format, options)


def _whole(name: str, text: str) -> int:
    """Parse a whole number of at least 1."""
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and int(text) >= 1):
        raise OptionError(f"{name} {text!r} is not a whole number from 1", parameter=name)
    return int(text)


def _number(name: str, text: str, default: float) -> float:
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise OptionError(f"{name} {text!r} is not a number", parameter=name)
    return value


def read_flag(name: str, text: str) -> bool:
    if text not in ("", "0", "1"):
        raise OptionError(f"{name} {text!r}: write 1 or 0", parameter=name)
    return text == "1"

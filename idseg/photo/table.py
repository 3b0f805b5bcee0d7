"""Reads the files ``documents/*.toml``. A row that breaks the table's own rules raises ValueError: an error in idseg.

``documents/README.md`` describes the keys.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import cache, partial
from importlib.resources import files
from typing import Any, get_args

from idseg.errors import OptionError
from idseg.photo.size import (
    COLOR_NAMES,
    DEFAULT_DPI,
    MM_PER_INCH,
    Band,
    Basis,
    Channel,
    Edits,
    Expression,
    Framing,
    Glasses,
    HeadCovering,
    HeadTop,
    PhotoSize,
)
from idseg.types import Size

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_REGIONS = ("china", "world", "americas", "europe", "asia", "middle_east", "africa")
"""Files of the table, in order."""
_LEAST_PX, _MOST_PX = 16, 6000
"""Minimum and maximum of width and height, px."""
_ANY_LIGHT = "any light"
_RULES = ("head", "eyes", "eyes_from_top", "gap", "chin", "face", "width")
_TEXTS = ("en", "zh", "country", "document", "unit", "edits_source", "source", "guide", "unsure", "note")
_LISTS = ("aka", "formats", "channels", "background")
_PAIRS = ("mm", "px", "kb", "px_min", "px_max", *_RULES)
_NUMBERS = ("dpi", "compression", "turn_deg")
_COUNTS = ("prints", "age_months")
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "top": get_args(HeadTop),
    "gap_top": get_args(HeadTop),
    "edits": get_args(Edits),
    "glasses": get_args(Glasses),
    "head_covering": get_args(HeadCovering),
    "expression": get_args(Expression),
    "basis": get_args(Basis),
    "channels": get_args(Channel),
}
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys((*_TEXTS, *_CHOICES), str),
    **dict.fromkeys((*_LISTS, *_PAIRS), list),
    **dict.fromkeys(_NUMBERS, (int, float)),
    **dict.fromkeys(_COUNTS, int),
    "site_crops": bool,
    "checked": date,
}

_REQUIRED = ("mm", "en", "zh", "document", "basis", "source", "checked")
_SHOWN_AS: Mapping[object, str] = {str: "a text in single quotes", list: "a list in brackets", int: "a whole number"}

_Row = Mapping[str, Any]


@cache
def load_sizes() -> tuple[PhotoSize, ...]:
    """All sizes of the table, in order."""
    return tuple(_read_table())


def load_size(name: str) -> PhotoSize | None:
    """The size with exactly this name; None if there is none. Reads only its row and the row that it is ``like``, which
    is a hundred times faster than reading the whole table."""
    for region in _REGIONS:
        text = _text(region)
        if (row := _row(text, name)) is not None:
            return _size(name, _whole(name, row, partial(_row, text)))
    return None


def _read_table() -> Iterator[PhotoSize]:
    """All rows, in the table's order."""
    return (_size(name, row) for name, row in _whole_rows())


def check_table() -> None:
    """Raises ValueError for a row with a missing or unknown key, a value of the wrong type or an invalid value. The
    tests call it; reading skips these checks to start faster."""
    for name, row in _whole_rows():
        _check_keys(name, row)


def _whole_rows() -> Iterator[tuple[str, _Row]]:
    for region in _REGIONS:
        rows = _toml(region)
        for name, row in rows.items():
            yield name, _whole(name, row, rows.get)


def composition(kind: str, width_mm: float, height_mm: float, px: Size) -> Framing:
    """The framing of a photo without a rule for the head; ``kind`` is a table in ``default.toml``."""
    return _framing(_toml("default")[kind], width_mm, height_mm, px)


def pixels(width_mm: float, height_mm: float, dpi: float) -> Size:
    """Pixels of a print."""
    return Size(round(width_mm / MM_PER_INCH * dpi), round(height_mm / MM_PER_INCH * dpi))


def check_pixels(name: str, px: Size) -> None:
    """Raises OptionError for an unsupported number of pixels."""
    if not all(_LEAST_PX <= side <= _MOST_PX for side in px):
        raise OptionError(
            f"size {name}: {px.width} x {px.height} px; each side can be {_LEAST_PX} to {_MOST_PX} px", size=name
        )


@cache
def _toml(name: str) -> Mapping[str, _Row]:
    try:
        return tomllib.loads(_text(name))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"idseg/photo/documents/{name}.toml is not TOML: {error}") from None


@cache
def _text(name: str) -> str:
    return files("idseg.photo").joinpath("documents", f"{name}.toml").read_text(encoding="utf-8")


def _row(text: str, name: str) -> _Row | None:
    """One table of a file's text, from its heading to the next one; None if there is none."""
    _, heading, rest = f"\n{text}".partition(f"\n[{name}]\n")
    if not heading:
        return None
    try:
        return tomllib.loads(rest.partition("\n[")[0])
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"the table [{name}] is not TOML: {error}, counted from its heading") from None


def _whole(name: str, row: _Row, row_of: Callable[[str], _Row | None]) -> _Row:
    """The row, plus the keys of the row that it is ``like``, except those in ``without``. ``row_of`` returns another
    row of the same file."""
    if "like" not in row:
        return row
    liked = row_of(row["like"])
    if liked is None:
        raise ValueError(f"{name}: like {row['like']}, but there is no such row")
    other = _whole(row["like"], liked, row_of)
    without = {"aka", *row.get("without", ())}
    if lost := without - other.keys() - {"aka"}:
        raise ValueError(f"{name}: without {sorted(lost)}, but {row['like']} has none")
    taken = {key: value for key, value in other.items() if key not in without}
    return {**taken, **{key: value for key, value in row.items() if key not in ("like", "without")}}


def _size(name: str, row: _Row) -> PhotoSize:
    """Convert a row to a size. An invalid row raises ValueError with its name and the problem."""
    try:
        return _made(name, row)
    except OptionError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        _check_keys(name, row)
        raise ValueError(f"{name}: {error}") from error


def _made(name: str, row: _Row) -> PhotoSize:
    width_mm, height_mm = (float(value) for value in row["mm"])
    dpi = float(row.get("dpi", DEFAULT_DPI))
    px = Size(*row["px"]) if "px" in row else pixels(width_mm, height_mm, dpi)
    check_pixels(name, px)
    has_rule = any(rule in row for rule in _RULES)
    kind = "upper-body" if row.get("site_crops") else "head"
    colors = row.get("background", ())
    return PhotoSize(
        name=name,
        width_mm=width_mm,
        height_mm=height_mm,
        px=px,
        framing=_framing(row, width_mm, height_mm, px) if has_rule else composition(kind, width_mm, height_mm, px),
        framing_is_rule=has_rule,
        dpi=dpi,
        en=row["en"],
        zh=row["zh"],
        country=row.get("country", name[:2].upper()),
        document=row["document"],
        kb=Band(*map(float, row["kb"])) if "kb" in row else None,
        px_min=Size(*row["px_min"]) if "px_min" in row else None,
        px_max=Size(*row["px_max"]) if "px_max" in row else None,
        compression=row.get("compression"),
        formats=tuple(row.get("formats", ())),
        site_crops=row.get("site_crops", False),
        channels=tuple(row.get("channels", ())),
        prints=row.get("prints"),
        backgrounds=tuple(COLOR_NAMES.get(color, color) for color in colors if color != _ANY_LIGHT),
        any_light=_ANY_LIGHT in colors,
        edits=row.get("edits", "unknown"),
        edits_source=row.get("edits_source", ""),
        turn_deg=row.get("turn_deg"),
        glasses=row.get("glasses", "unknown"),
        head_covering=row.get("head_covering", "unknown"),
        expression=row.get("expression", "unknown"),
        age_months=row.get("age_months"),
        basis=row["basis"],
        source=row["source"],
        guide=row.get("guide", ""),
        checked=row["checked"],
        unsure=row.get("unsure", ""),
        note=row.get("note", ""),
        aka=tuple(row.get("aka", ())),
    )


def _check_keys(name: str, row: _Row) -> None:
    if unknown := row.keys() - _TYPES.keys():
        near = {key: difflib.get_close_matches(key, _TYPES, 1) for key in sorted(unknown)}
        suggestions = ", ".join(f"{key!r}{f' (meant: {match[0]}?)' if match else ''}" for key, match in near.items())
        raise ValueError(f"{name}: unknown keys {suggestions}; idseg/photo/documents/README.md lists all")
    needed = (*_REQUIRED, "unit") if any(rule in row for rule in _RULES) else _REQUIRED
    if missing := [key for key in needed if key not in row]:
        raise ValueError(f"{name}: missing keys {missing}; idseg/photo/documents/README.md says what each means")
    for key, value in row.items():
        if not isinstance(value, _TYPES[key]):
            raise ValueError(f"{name}: {key} = {value!r} is not {_SHOWN_AS.get(_TYPES[key], 'of the right type')}")
        chosen = value if isinstance(value, list) else [value]
        if key in _CHOICES and not set(chosen) <= set(_CHOICES[key]):
            raise ValueError(f"{name}: {key} = {value!r}; it is one of {_CHOICES[key]}")
    if "head" in row and "top" not in row:
        raise ValueError(f"{name}: head without top; add its upper end: top = {' or '.join(get_args(HeadTop))}")


def _framing(row: _Row, width_mm: float, height_mm: float, px: Size) -> Framing:
    """The rules of a row, converted to millimetres."""
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
        head_top=row.get("top", "hair"),
        eyes=eyes,
        top=_band(row, "gap", down),
        gap_top=row.get("gap_top", "hair"),
        chin=_band(row, "chin", down),
        face=_band(row, "face", across),
        width=_band(row, "width", across),
    )


def _band(row: _Row, name: str, mm_per_unit: float) -> Band | None:
    if name not in row:
        return None
    low, high = (float(value) * mm_per_unit for value in row[name])
    if not 0 <= low < high:
        raise ValueError(f"{name} = {row[name]} is not a range")
    return Band(low, high)

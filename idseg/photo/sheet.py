"""Lays out several photos on a sheet of paper in millimetres, and draws the sheet as pixels or a PDF.

Photos are placed in rows (shelf packing, tallest first). The sheet and single photos are rotated if more photos fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from idseg.errors import OptionError
from idseg.imaging.encode import srgb_profile
from idseg.imaging.resize import resize
from idseg.photo.output import Encoded, Format, encode, jpeg
from idseg.photo.pdf import Line, PdfImage, PdfPage, write_pdf
from idseg.photo.size import MM_PER_INCH, Band
from idseg.types import Rgb, Size

_IN = MM_PER_INCH
PAPERS: dict[str, tuple[float, float]] = {
    "5inch": (3.5 * _IN, 5 * _IN),
    "6inch": (4 * _IN, 6 * _IN),
    "7inch": (5 * _IN, 7 * _IN),
    "4x6": (4 * _IN, 6 * _IN),
    "a4": (210.0, 297.0),
    "a5": (148.0, 210.0),
    "letter": (8.5 * _IN, 11 * _IN),
}
"""Width and height of upright paper in millimetres. China's 5, 6 and 7 inch are 3R, 4R and 5R; A4 and A5 by ISO 216;
ANSI Letter."""
_SAMPLE_QUALITY = 97
_DPI = Band(72, 1200)
"""Supported resolutions of a sheet."""
_MOST_PX = 150_000_000
"""Maximum pixels of a sheet: A4 at 1200 dpi."""
_MARK_MM = 0.1
_MARK_GREY = 140
_SAME_PX = 1
"""A photo whose sides differ from its place by at most this many pixels (rounding) is not resampled."""

Marks = Literal["corners", "lines", "none"]


@dataclass(frozen=True, slots=True)
class SheetOptions:
    """Options of the layout."""

    margin_mm: float = 4.0
    """Free margin at every edge of the paper; most printers cannot print closer to the edge."""
    gap_mm: float = 2.0
    """Distance between photos."""
    marks: Marks = "corners"
    """Cut marks: short ticks at the corners, hairlines around each photo, or none."""
    dpi: float | None = None
    """Resolution of the sheet as a picture; None: that of its finest photo, so that no photo is shrunk. Not for PDF."""
    turn: bool = True
    """Allow rotating the paper and photos by a quarter if more photos fit."""

    def __post_init__(self) -> None:
        for name, most in (("margin_mm", 50), ("gap_mm", 50)):
            if not 0 <= getattr(self, name) <= most:
                raise OptionError(
                    f"{name} {getattr(self, name):g} is outside 0 .. {most}", **{name: getattr(self, name)}
                )
        if self.dpi is not None and not _DPI.holds(self.dpi):
            raise OptionError(f"{self.dpi:g} dpi for a sheet; 72 to 1200 can be made", dpi=self.dpi)


@dataclass(frozen=True, slots=True)
class SheetPhoto:
    """A photo for a sheet."""

    width_mm: float
    height_mm: float
    copies: int | None = None
    """Number of copies; None: as many as fit."""


@dataclass(frozen=True, slots=True)
class SheetSpot:
    """Place of one photo on the paper, in millimetres from the upper left corner."""

    item: int
    left: float
    top: float
    width: float
    height: float
    turned: bool = False
    """Rotated a quarter clockwise; width and height are those of the rotated photo."""


@dataclass(frozen=True, slots=True)
class Layout:
    paper_mm: tuple[float, float]
    spots: tuple[SheetSpot, ...]


def paper(name: str) -> tuple[float, float]:
    """Width and height of a paper, by name (``6inch``, ``6寸``, ``A4``) or as numbers (``100x148mm``).

    Raises:
        OptionError: the paper is unknown.
    """
    plain = name.strip().lower().replace(" ", "").replace("寸", "inch").replace("-", "").replace("4x6in", "4x6")
    if plain in PAPERS:
        return PAPERS[plain]
    width, _, height = plain.removesuffix("mm").partition("x")
    try:
        sides = float(width), float(height)
    except ValueError:
        raise OptionError(f"there is no paper {name!r}; use {', '.join(PAPERS)} or 100x148mm", paper=name) from None
    if not all(20 <= side <= 1200 for side in sides):
        raise OptionError(f"paper {name!r}: each side can be 20 to 1200 mm", paper=name)
    return sides


def lay_out(items: Sequence[SheetPhoto], paper_mm: tuple[float, float], options: SheetOptions | None = None) -> Layout:
    """A layout with the copies of every item, and as many as fit of items without a number.

    Several items without a number alternate. The block is centred on the paper.

    Raises:
        OptionError: an item, or the requested copies, do not fit.
    """
    options = SheetOptions() if options is None else options
    if not items:
        raise OptionError("a sheet needs at least one photo", items=0)
    best: Layout | None = None
    for candidate in _candidates(items, paper_mm, options):
        if candidate is not None and (best is None or len(candidate.spots) > len(best.spots)):
            best = candidate
    if best is None:
        sizes = ", ".join(f"{item.copies or 1} of {item.width_mm:g} x {item.height_mm:g}" for item in items)
        raise OptionError(
            f"{sizes} mm do not fit on {paper_mm[0]:.4g} x {paper_mm[1]:.4g} mm with {options.margin_mm:g} mm of "
            f"margin and {options.gap_mm:g} mm between",
            paper=[round(side) for side in paper_mm],
        )
    return best


def marks(layout: Layout, options: SheetOptions | None = None) -> tuple[Line, ...]:
    """The cut marks of a layout, in millimetres."""
    options = SheetOptions() if options is None else options
    if options.marks == "none":
        return ()
    if options.marks == "lines":
        return tuple(line for spot in layout.spots for line in _frame(spot))
    return tuple(line for spot in layout.spots for line in _corners(spot, layout))


def sheet_dpi(layout: Layout, photos: Sequence[Rgb], options: SheetOptions | None = None) -> float:
    """Dots per inch of a sheet as a picture: the requested value, or else that of its finest photo.

    Raises:
        OptionError: the sheet would have too many pixels.
    """
    options = SheetOptions() if options is None else options
    own = [
        photos[spot.item].shape[0] / (spot.width if spot.turned else spot.height) * MM_PER_INCH for spot in layout.spots
    ]
    dpi = options.dpi if options.dpi is not None else float(min(max(round(max(own)), _DPI.low), _DPI.high))
    width, height = (side / MM_PER_INCH * dpi for side in layout.paper_mm)
    if width * height > _MOST_PX:
        raise OptionError(f"a sheet of {width:.0f} x {height:.0f} px is too large; ask for a PDF", dpi=dpi)
    return dpi


def render(layout: Layout, photos: Sequence[Rgb], options: SheetOptions | None = None) -> Rgb:
    """Draw the sheet as a picture on white. A photo is resampled only if its resolution differs from the sheet's. Cut
    marks are drawn over the photos, as in a PDF.

    Args:
        layout: places of the photos.
        photos: the finished photos, one per item.
        options: dpi and marks.
    """
    options = SheetOptions() if options is None else options
    per_mm = sheet_dpi(layout, photos, options) / MM_PER_INCH
    width, height = (round(side * per_mm) for side in layout.paper_mm)
    sheet = np.full((height, width, 3), 255, dtype=np.uint8)
    for spot in layout.spots:
        photo = np.rot90(photos[spot.item], -1) if spot.turned else photos[spot.item]
        left, top = round(spot.left * per_mm), round(spot.top * per_mm)
        wide, high = round(spot.width * per_mm), round(spot.height * per_mm)
        if max(abs(photo.shape[0] - high), abs(photo.shape[1] - wide)) > _SAME_PX:
            photo = np.asarray(resize(photo, Size(wide, high)), dtype=np.uint8)
        part = sheet[top : top + photo.shape[0], left : left + photo.shape[1]]
        part[...] = photo[: part.shape[0], : part.shape[1]]
    thick = max(1, round(_MARK_MM * per_mm))
    for line in marks(layout, options):
        x1, y1, x2, y2 = (round(value * per_mm) - thick // 2 for value in line)
        rows, columns = (min(y1, y2), max(y1, y2) + thick), (min(x1, x2), max(x1, x2) + thick)
        sheet[max(0, rows[0]) : rows[1], max(0, columns[0]) : columns[1]] = _MARK_GREY
    return sheet


def encode_sheet(layout: Layout, photos: Sequence[Rgb], format: Format, options: SheetOptions | None = None) -> Encoded:
    """Encode the sheet. In a PDF, every photo keeps its own pixels and has its true size in millimetres."""
    options = SheetOptions() if options is None else options
    if format != "PDF":
        return encode(render(layout, photos, options), format, sheet_dpi(layout, photos, options))
    files = [jpeg(photo, _SAMPLE_QUALITY, _PDF_DPI) for photo in photos]
    images = tuple(
        PdfImage(
            files[spot.item],
            (photos[spot.item].shape[1], photos[spot.item].shape[0]),
            (spot.left, spot.top, spot.width, spot.height),
            spot.turned,
        )
        for spot in layout.spots
    )
    page = PdfPage(layout.paper_mm, images, marks(layout, options))
    return Encoded(write_pdf([page], srgb_profile()), "PDF", _SAMPLE_QUALITY)


_PDF_DPI = 300
"""Resolution stored in the photos inside a PDF. Readers ignore it, because the places are in millimetres."""


def _candidates(
    items: Sequence[SheetPhoto], paper_mm: tuple[float, float], options: SheetOptions
) -> Iterator[Layout | None]:
    """Layouts on upright and rotated paper with upright and rotated photos; the simplest comes first and wins a tie."""
    papers = [paper_mm, (paper_mm[1], paper_mm[0])] if options.turn else [paper_mm]
    for sides in papers:
        for turned in (False, True) if options.turn else (False,):
            yield _pack(items, sides, options, turned)


def _pack(
    items: Sequence[SheetPhoto], paper_mm: tuple[float, float], options: SheetOptions, turned: bool
) -> Layout | None:
    """Pack the photos in rows; None if the requested copies do not fit."""
    room = _Room(paper_mm[0] - 2 * options.margin_mm, paper_mm[1] - 2 * options.margin_mm, options.gap_mm)
    boxes = [(item.height_mm, item.width_mm) if turned else (item.width_mm, item.height_mm) for item in items]
    spots: list[SheetSpot] = []
    order = sorted(range(len(items)), key=lambda index: -boxes[index][1])
    for index in order:
        for _ in range(items[index].copies or 1):
            spot = room.put(index, *boxes[index], turned)
            if spot is None:
                return None
            spots.append(spot)
    free = [index for index in order if items[index].copies is None]
    while free:
        for index in list(free):
            spot = room.put(index, *boxes[index], turned)
            if spot is None:
                free.remove(index)
            else:
                spots.append(spot)
    right, bottom = max(s.left + s.width for s in spots), max(s.top + s.height for s in spots)
    dx, dy = (paper_mm[0] - right) / 2, (paper_mm[1] - bottom) / 2
    return Layout(paper_mm, tuple(replace(spot, left=spot.left + dx, top=spot.top + dy) for spot in spots))


class _Room:
    """The printable area during packing: rows from the top, each as tall as its first photo."""

    def __init__(self, width: float, height: float, gap: float) -> None:
        self._width, self._height, self._gap = width, height, gap
        self._rows: list[list[float]] = []  # top, height, next free x

    def put(self, item: int, width: float, height: float, turned: bool) -> SheetSpot | None:
        """Reserve the next free place; None if there is none."""
        slack = 1e-6  # so that 6 x 25.4 mm fit into 152.4 mm despite rounding
        for row in self._rows:
            if height <= row[1] + slack and row[2] + width <= self._width + slack:
                spot = SheetSpot(item, row[2], row[0], width, height, turned)
                row[2] += width + self._gap
                return spot
        top = self._rows[-1][0] + self._rows[-1][1] + self._gap if self._rows else 0.0
        if top + height > self._height + slack or width > self._width + slack:
            return None
        self._rows.append([top, height, width + self._gap])
        return SheetSpot(item, 0.0, top, width, height, turned)


def _frame(spot: SheetSpot) -> Iterator[Line]:
    right, bottom = spot.left + spot.width, spot.top + spot.height
    yield spot.left, spot.top, right, spot.top
    yield spot.left, bottom, right, bottom
    yield spot.left, spot.top, spot.left, bottom
    yield right, spot.top, right, bottom


def _corners(spot: SheetSpot, layout: Layout) -> Iterator[Line]:
    """Ticks that extend the photo's edges outwards."""
    right, bottom = spot.left + spot.width, spot.top + spot.height
    for y in (spot.top, bottom):
        yield from _tick(layout, (spot.left, y), (-1, 0))
        yield from _tick(layout, (right, y), (1, 0))
    for x in (spot.left, right):
        yield from _tick(layout, (x, spot.top), (0, -1))
        yield from _tick(layout, (x, bottom), (0, 1))


_LONGEST_MARK_MM = 3.0
_TOUCHING_MM = 1e-6


def _tick(layout: Layout, start: tuple[float, float], way: tuple[int, int]) -> Iterator[Line]:
    """A tick from ``start``, half way to the next photo or to the paper's edge, at most 3 mm long."""
    x, y = start
    width, height = layout.paper_mm
    nearest = {(-1, 0): x, (1, 0): width - x, (0, -1): y, (0, 1): height - y}[way]
    for other in layout.spots:
        right, bottom = other.left + other.width, other.top + other.height
        if way[0]:
            beside = other.top - _TOUCHING_MM <= y <= bottom + _TOUCHING_MM
            apart = other.left - x if way[0] > 0 else x - right
        else:
            beside = other.left - _TOUCHING_MM <= x <= right + _TOUCHING_MM
            apart = other.top - y if way[1] > 0 else y - bottom
        if beside and apart >= -_TOUCHING_MM:
            nearest = min(nearest, max(apart, 0.0) / 2)
    length = min(nearest, _LONGEST_MARK_MM)
    if length > _TOUCHING_MM:
        yield x, y, x + way[0] * length, y + way[1] * length

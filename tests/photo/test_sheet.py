"""Print sheets: nothing overlaps, nothing leaves the paper, every photo has its millimetres."""

from __future__ import annotations

import io
import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from idseg.errors import OptionError
from idseg.photo.sheet import (
    PAPERS,
    Layout,
    SheetOptions,
    SheetPhoto,
    SheetSpot,
    encode_sheet,
    lay_out,
    marks,
    paper,
    render,
    sheet_dpi,
)

PLAIN = SheetOptions()


def assert_sound(layout: Layout, items: list[SheetPhoto], options: SheetOptions) -> None:
    width, height = layout.paper_mm
    for spot in layout.spots:
        item = items[spot.item]
        sides = (spot.height, spot.width) if spot.turned else (spot.width, spot.height)
        assert sides == (item.width_mm, item.height_mm)
        assert spot.left >= options.margin_mm - 1e-5
        assert spot.top >= options.margin_mm - 1e-5
        assert spot.left + spot.width <= width - options.margin_mm + 1e-5
        assert spot.top + spot.height <= height - options.margin_mm + 1e-5
    for a, b in itertools.combinations(layout.spots, 2):
        apart_x = max(b.left - a.left - a.width, a.left - b.left - b.width)
        apart_y = max(b.top - a.top - a.height, a.top - b.top - b.height)
        assert max(apart_x, apart_y) >= options.gap_mm - 1e-5


@pytest.mark.parametrize("name", PAPERS)
@pytest.mark.parametrize("size", [(25, 35), (35, 49), (50.8, 50.8)])
def test_every_paper_is_filled_soundly(name: str, size: tuple[float, float]) -> None:
    items = [SheetPhoto(*size)]
    layout = lay_out(items, PAPERS[name], PLAIN)
    assert_sound(layout, items, PLAIN)
    assert len(layout.spots) >= 1


@given(
    sizes=st.lists(
        st.tuples(st.floats(15, 60), st.floats(15, 80), st.one_of(st.none(), st.integers(1, 4))), min_size=1, max_size=4
    ),
    name=st.sampled_from(sorted(PAPERS)),
    gap=st.floats(0, 5),
    margin=st.floats(0, 8),
)
@settings(max_examples=60, deadline=None)
def test_any_mixture_is_sound_or_refused(
    sizes: list[tuple[float, float, int | None]], name: str, gap: float, margin: float
) -> None:
    items = [SheetPhoto(*size) for size in sizes]
    options = SheetOptions(margin_mm=margin, gap_mm=gap)
    try:
        layout = lay_out(items, PAPERS[name], options)
    except OptionError:
        return
    assert_sound(layout, items, options)
    for index, item in enumerate(items):
        count = sum(spot.item == index for spot in layout.spots)
        assert count >= 1
        if item.copies is not None:
            assert count == item.copies


@pytest.mark.parametrize(
    ("name", "size", "least"),
    [
        ("5inch", (25, 35), 8),
        ("5inch", (35, 49), 4),
        ("6inch", (35, 49), 4),
        ("6inch", (25, 35), 10),
        ("a4", (25, 35), 49),
    ],
)
def test_as_many_as_a_photo_shop_gets(name: str, size: tuple[float, float], least: int) -> None:
    assert len(lay_out([SheetPhoto(*size)], PAPERS[name], SheetOptions(margin_mm=3, gap_mm=1)).spots) >= least


def test_the_block_lies_in_the_middle() -> None:
    layout = lay_out([SheetPhoto(25, 35, 3)], (152.4, 101.6), PLAIN)
    left, right = min(s.left for s in layout.spots), max(s.left + s.width for s in layout.spots)
    top, bottom = min(s.top for s in layout.spots), max(s.top + s.height for s in layout.spots)
    assert left == pytest.approx(layout.paper_mm[0] - right)
    assert top == pytest.approx(layout.paper_mm[1] - bottom)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(OptionError, match="do not fit"):
        lay_out([SheetPhoto(200, 200)], PAPERS["5inch"], PLAIN)
    with pytest.raises(OptionError, match="do not fit"):
        lay_out([SheetPhoto(35, 45, 50)], PAPERS["5inch"], PLAIN)
    with pytest.raises(OptionError):
        lay_out([], PAPERS["5inch"], PLAIN)


@pytest.mark.parametrize("kind", ["corners", "lines"])
@pytest.mark.parametrize("gap", [0.0, 1.0, 3.0])
def test_marks_stay_on_the_paper_and_off_the_photos(kind: str, gap: float) -> None:
    options = SheetOptions(gap_mm=gap, marks=kind)  # type: ignore[arg-type]
    items = [SheetPhoto(25, 35), SheetPhoto(35, 49)]
    layout = lay_out(items, PAPERS["a4"], options)
    lines = marks(layout, options)
    assert lines
    for x1, y1, x2, y2 in lines:
        assert x1 == pytest.approx(x2) or y1 == pytest.approx(y2)
        assert min(x1, x2) >= 0
        assert max(x1, x2) <= layout.paper_mm[0]
        middle = (x1 + x2) / 2, (y1 + y2) / 2
        for spot in layout.spots:
            inside_x = spot.left + 1e-5 < middle[0] < spot.left + spot.width - 1e-5
            inside_y = spot.top + 1e-5 < middle[1] < spot.top + spot.height - 1e-5
            assert not (inside_x and inside_y)


def test_no_marks() -> None:
    options = SheetOptions(marks="none")
    assert marks(lay_out([SheetPhoto(25, 35)], PAPERS["a4"], options), options) == ()


def test_a_photo_of_the_sheets_resolution_is_pasted_untouched() -> None:
    photo = np.random.default_rng(3).integers(0, 256, (413, 295, 3)).astype(np.uint8)
    layout = Layout((50.0, 60.0), (SheetSpot(0, 10.0, 12.0, 25.0, 35.0),))
    sheet = render(layout, [photo], SheetOptions(marks="none"))
    assert sheet.shape == (709, 591, 3)
    np.testing.assert_array_equal(sheet[142 : 142 + 413, 118 : 118 + 295], photo)
    sheet[142 : 142 + 413, 118 : 118 + 295] = 255
    assert (sheet == 255).all()


def test_a_turned_photo_is_turned_clockwise() -> None:
    photo = np.zeros((413, 295, 3), np.uint8)
    photo[:100] = 200  # the upper edge goes to the right
    layout = Layout((60.0, 50.0), (SheetSpot(0, 5.0, 5.0, 35.0, 25.0, turned=True),))
    sheet = render(layout, [photo], SheetOptions(marks="none"))
    assert sheet[200, 59 + 413 - 20, 0] == 200
    assert sheet[200, 59 + 20, 0] == 0


def test_sheet_pdf_has_the_papers_size_and_vector_marks() -> None:
    photo = np.full((413, 295, 3), 128, np.uint8)
    layout = lay_out([SheetPhoto(25, 35)], PAPERS["6inch"], PLAIN)
    content = encode_sheet(layout, [photo], "PDF", PLAIN).content
    box = re.search(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", content)
    assert box is not None
    assert sorted(float(side) for side in box.groups()) == [288, 432]
    assert content.count(b"/Subtype /Image") == 1


@pytest.mark.parametrize(
    ("name", "mm"),
    [
        ("6inch", (101.6, 152.4)),
        ("6寸", (101.6, 152.4)),
        ("A4", (210, 297)),
        ("letter", (215.9, 279.4)),
        ("100x148mm", (100, 148)),
    ],
)
def test_paper_by_name_and_number(name: str, mm: tuple[float, float]) -> None:
    assert paper(name) == pytest.approx(mm)


@pytest.mark.parametrize("name", ["", "a9", "5", "1x1", "100x", "x", "nanxnan"])
def test_no_such_paper(name: str) -> None:
    with pytest.raises(OptionError):
        paper(name)


@pytest.mark.parametrize("options", [{"margin_mm": -1.0}, {"gap_mm": 60.0}, {"dpi": 10.0}])
def test_options_have_ranges(options: dict[str, float]) -> None:
    with pytest.raises(OptionError):
        SheetOptions(**options)  # type: ignore[arg-type]


def test_cut_lines_lie_over_the_photos_where_nothing_is_between() -> None:
    """At gap 0 two photos share an edge: the line is seen in the picture, as in a PDF."""
    options = SheetOptions(gap_mm=0, marks="lines", dpi=300)
    photo = np.zeros((413, 295, 3), np.uint8)
    layout = lay_out([SheetPhoto(25, 35)], PAPERS["6inch"], options)
    sheet = render(layout, [photo], options)
    per_mm = 300 / 25.4
    for spot in layout.spots:
        row = round((spot.top + spot.height / 2) * per_mm)
        assert sheet[row, round(spot.left * per_mm), 0] == 140
        assert sheet[row, round((spot.left + spot.width) * per_mm), 0] == 140


@pytest.mark.parametrize("dpi", [300, 600])
def test_a_sheet_has_its_photos_own_dpi(dpi: int) -> None:
    photo = (
        np.random.default_rng(3).integers(0, 256, (round(45 / 25.4 * dpi), round(35 / 25.4 * dpi), 3)).astype(np.uint8)
    )
    options = SheetOptions(marks="none")
    layout = lay_out([SheetPhoto(35, 45, 1)], (60.0, 60.0), options)
    assert sheet_dpi(layout, [photo], options) == pytest.approx(dpi, abs=1)
    made = encode_sheet(layout, [photo], "JPEG", options)
    with Image.open(io.BytesIO(made.content)) as image:
        assert image.format == "JPEG"
        assert image.info["dpi"][0] == pytest.approx(dpi, abs=1)
    sheet = render(layout, [photo], options)
    dark = np.argwhere((sheet != 255).any(axis=2))
    (top, left) = dark.min(axis=0)
    np.testing.assert_array_equal(
        sheet[top : top + photo.shape[0], left : left + photo.shape[1]][5:-5, 5:-5], photo[5:-5, 5:-5]
    )


def test_a_sheet_that_is_too_large_is_refused() -> None:
    layout = Layout((1200.0, 1200.0), (SheetSpot(0, 10.0, 12.0, 25.0, 35.0),))
    with pytest.raises(OptionError, match="PDF"):
        sheet_dpi(layout, [np.zeros((413, 295, 3), np.uint8)], SheetOptions(dpi=1200))

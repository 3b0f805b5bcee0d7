"""The table of sizes: every row can be used, and says where it comes from."""

from __future__ import annotations

import pytest

from idseg.errors import OptionError
from idseg.photo.background import parse_background
from idseg.photo.output import format_of
from idseg.photo.size import Band, PhotoSize
from idseg.photo.sizes import find_size, find_sizes, load_sizes, size_by_number

SIZES = load_sizes()


@pytest.mark.parametrize("size", SIZES, ids=lambda size: size.name)
def test_row_can_be_used_and_has_a_source(size: PhotoSize) -> None:
    assert all((size.en, size.zh, size.country, size.document))
    assert len(size.source) > 20
    assert size.basis != "number"
    for color in size.backgrounds:
        assert parse_background(color).kind == "plain"
    for name in size.formats:
        assert format_of(name) == name
    if size.kb is not None:
        assert 0 <= size.kb.low < size.kb.high


@pytest.mark.parametrize("size", SIZES, ids=lambda size: size.name)
def test_rows_bands_lie_inside_the_photo(size: PhotoSize) -> None:
    for rule, band in size.framing.bands().items():
        across = rule in ("face", "width")
        assert 0 <= band.low < band.high <= (size.width_mm if across else size.height_mm) + 1e-9


@pytest.mark.parametrize("size", SIZES, ids=lambda size: size.name)
def test_pixels_have_the_prints_shape(size: PhotoSize) -> None:
    """Nothing is ever stretched, so pixels and millimetres must have one shape: within 2 %."""
    assert size.px.width / size.px.height == pytest.approx(size.width_mm / size.height_mm, rel=0.02)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: size.name)
def test_dpi_is_what_pixels_and_millimetres_say(size: PhotoSize) -> None:
    assert size.px.height / size.height_mm * 25.4 == pytest.approx(size.dpi, rel=0.02)


def test_names_are_unique_and_each_finds_its_row() -> None:
    assert len({size.name for size in SIZES}) == len(SIZES)
    for size in SIZES:
        assert find_size(size.name) is size
        for other_name in (size.zh, *size.aka):
            assert find_size(other_name).country == size.country


def test_sixty_countries_and_the_common_chinese_sizes_are_there() -> None:
    assert len({size.country for size in SIZES} - {"EU", "ICAO"}) >= 60
    for name in (
        "一寸",
        "小一寸",
        "大一寸",
        "二寸",
        "小二寸",
        "身份证",
        "护照",
        "驾驶证",
        "社保卡",
        "教师资格证",
        "国考",
    ):
        assert find_size(name).country == "CN"


def test_rows_that_follow_icao_have_icaos_head() -> None:
    for size in SIZES:
        if size.basis == "icao":
            assert size.framing.head == Band(32, 36)
            assert size.framing.head_top == "crown"


@pytest.mark.parametrize(
    ("text", "mm", "px"),
    [
        ("35x45mm", (35, 45), (413, 531)),
        ("35x45", (35, 45), (413, 531)),
        ("35 × 45 mm", (35, 45), (413, 531)),
        ("35x45mm@600", (35, 45), (827, 1063)),
        ("2x2in", (50.8, 50.8), (600, 600)),
        ("413x531px", (34.967, 44.958), (413, 531)),
        ("300x300px@600dpi", (12.7, 12.7), (300, 300)),
    ],
)
def test_size_by_number(text: str, mm: tuple[float, float], px: tuple[int, int]) -> None:
    size = find_size(text)
    assert (size.width_mm, size.height_mm) == pytest.approx(mm, abs=1e-3)
    assert size.px == px
    assert not size.framing_is_rule


@pytest.mark.parametrize(
    "text", ["", "nowhere-passport", "35x", "x45", "35x45cm", "1.2.3x4", "0x0mm", "9999x9999px", "35x45@1"]
)
def test_no_such_size(text: str) -> None:
    with pytest.raises(OptionError):
        find_size(text)


def test_a_misspelt_size_names_the_nearest() -> None:
    with pytest.raises(OptionError, match="us-visa"):
        find_size("us-vsia")


def test_search_by_country_word_and_chinese() -> None:
    assert {size.name for size in find_sizes("DE")} >= {"de-passport"}
    assert {size.name for size in find_sizes("德国")} == {"de-passport"}
    assert all("visa" in (size.name + size.en).lower() or size.aka for size in find_sizes("visa"))
    assert find_sizes("") == SIZES
    assert find_sizes("no such thing") == ()


def test_pixel_rules_become_millimetres() -> None:
    """GA 461: hair 7..21 px below the edge of 441 px on 32 mm; eyes at least 207 px above the lower edge."""
    size = find_size("cn-id-card")
    assert size.framing.top == pytest.approx((7 / 441 * 32, 21 / 441 * 32))
    assert size.framing.eyes is not None
    assert size.framing.eyes.low == pytest.approx(207 / 441 * 32)


def test_eyes_from_top_are_turned_round() -> None:
    size = find_size("cn-passport")
    assert size.framing.eyes == pytest.approx((40 - 251 / 472 * 40, 40 - 176 / 472 * 40))


def test_default_composition_scales_with_the_photo() -> None:
    small, large = size_by_number(25, 35), size_by_number(50, 70)
    assert small.framing.head is not None
    assert large.framing.head == pytest.approx((2 * small.framing.head.low, 2 * small.framing.head.high))

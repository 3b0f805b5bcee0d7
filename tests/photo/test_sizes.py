"""The table of sizes: every row can be used, and says where it comes from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from idseg.errors import OptionError
from idseg.imaging.colours import parse_color
from idseg.photo import table
from idseg.photo.numbers import size_by_number
from idseg.photo.output import format_of
from idseg.photo.size import Band, PhotoSize
from idseg.photo.sizes import find_size, load_sizes
from idseg.photo.table import check_table, load_size
from idseg.types import Size

SIZES = load_sizes()
_NO_WRITER = {"HEIC"}
"""Formats that authorities take and we do not write."""


def test_every_row_has_known_keys_of_the_right_type() -> None:
    check_table()


def test_every_row_can_be_used_and_says_where_it_comes_from() -> None:
    faults = [f"{size.name}: {fault}" for size in SIZES for fault in row_faults(size)]
    assert not faults, "\n".join(faults)


def row_faults(size: PhotoSize) -> Iterator[str]:
    """What is wrong with a row, in a few words."""
    if not all((size.en, size.zh, size.country, size.document)) or size.basis == "number":
        yield "a title, the country or the document is missing"
    if len(size.source) <= 20:
        yield "the source is missing, or too short to name a page and what it says"
    # A day of grace, because the row's author may live east of this clock.
    if size.checked is None or not date(2026, 7, 1) <= size.checked <= date.today() + timedelta(days=1):
        yield f"checked is {size.checked}: it is missing, before the first row, or in the future"
    if size.guide and not size.guide.startswith(("https://", "http://")):
        yield f"guide {size.guide}"
    if size.basis in ("reported", "icao") and size.country not in ("ICAO", "EU") and not size.unsure:
        yield "no page of the authority, but not unsure"
    if size.edits != "unknown" and len(size.edits_source) <= 20:
        yield "who says what may be edited?"
    yield from file_faults(size)
    for rule, band in size.framing.bands().items():
        side = size.width_mm if rule in ("face", "width") else size.height_mm
        if not 0 <= band.low < band.high <= side + 1e-9:
            yield f"{rule} {band} does not lie in the photo"


def file_faults(size: PhotoSize) -> Iterator[str]:
    """What is wrong with colours, formats, kilobytes and pixels; nothing is ever stretched, so pixels and millimetres
    must have one shape within 2 %."""
    if not all(color.startswith("#") and parse_color(color) for color in size.backgrounds):
        yield f"backgrounds {size.backgrounds}"
    if not all(name in _NO_WRITER or format_of(name) == name for name in size.formats):
        yield f"formats {size.formats}"
    if size.formats[:1] and size.formats[0] in _NO_WRITER:
        yield f"{size.formats[0]} first"
    if size.kb is not None and not 0 <= size.kb.low < size.kb.high:
        yield f"kb {size.kb}"
    if size.px.width / size.px.height != pytest.approx(size.width_mm / size.height_mm, rel=0.02):
        yield f"{size.px} is not the shape of {size.width_mm} x {size.height_mm} mm"
    if size.px.height / size.height_mm * 25.4 != pytest.approx(size.dpi, rel=0.02):
        yield f"{size.dpi} dpi is not what pixels and millimetres say"
    least, most = size.px_min or size.px, size.px_max or size.px
    if not (least.width <= size.px.width <= most.width and least.height <= size.px.height <= most.height):
        yield f"{size.px} is not in the upload's range"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("zh = 'x'", "missing keys ['document']"),
        ("heads = [30, 36]", "'heads' (meant: head?)"),
        ("document = 'id'\nhead = 33\nunit = 'mm'\ntop = 'hair'", "head = 33 is not a list"),
        ("document = 'id'\nhead = [36, 30]\nunit = 'mm'\ntop = 'hair'", "head = [36, 30] is not a range"),
        ("document = 'id'\nhead = [30, 36]\ntop = 'hair'", "missing keys ['unit']"),
        ("document = 'id'\nkb = [0, 100", "is not TOML: "),
    ],
)
def test_a_faulty_row_is_named_with_what_is_wrong(monkeypatch: pytest.MonkeyPatch, line: str, told: str) -> None:
    common = "mm = [40, 50]\nen = 'x'\nbasis = 'trade'\nsource = 'x'\nchecked = 2026-11-26\n"
    zh = "" if line.startswith("zh") else "zh = 'x'\n"
    monkeypatch.setattr(table, "_text", lambda region: f"[zz-x]\n{common}{zh}{line}\n")
    with pytest.raises(ValueError, match=f"zz-x.*{re.escape(told)}"):
        load_size("zz-x")


def test_names_are_unique_and_each_finds_its_row() -> None:
    assert len({size.name for size in SIZES}) == len(SIZES)
    pairs = [(size, name) for size in SIZES for name in (size.zh, *size.aka)]
    assert [name for size, name in pairs if find_size(name) != size] == []


def test_a_row_read_alone_is_that_of_the_whole_table() -> None:
    assert tuple(load_size(size.name) for size in SIZES) == SIZES
    assert load_size("de-visa]") is None


def test_two_hundred_documents_of_115_countries() -> None:
    assert len(SIZES) >= 200
    assert len({size.country for size in SIZES} - {"EU", "ICAO"}) >= 115


def test_countries_that_were_missing_are_there() -> None:
    missing = {"AL", "AR", "AZ", "BA", "BY", "CL", "CM", "IR", "KW", "ME", "MK", "PE", "SD", "SN", "YE"}
    assert missing <= {size.country for size in SIZES}


def test_rows_that_follow_icao_have_icaos_head_to_the_crown() -> None:
    for size in SIZES:
        if size.basis == "icao":
            assert size.framing.head == Band(32, 36)
            assert size.framing.head_top == "crown"


def test_only_rules_that_name_the_hair_measure_to_it() -> None:
    """ICAO-style rules mean the crown; these say hair, or top of the head in China and the United States."""
    to_hair = {
        size.country for size in SIZES if size.framing_is_rule and size.framing.head and size.framing.head_top == "hair"
    }
    expected = {"CN", "US", "BY", "ES", "ID", "IN", "JP", "LB", "NZ", "UG"}
    assert to_hair == expected, (
        f"{sorted(to_hair ^ expected)}: if the authority's text names the hair, write the country into this test; "
        "else the row needs top = 'crown'"
    )
    assert {size.name for size in SIZES if size.framing.head_top == "forehead"} == {"gr-passport"}
    japan = {
        size.name for size in SIZES if size.country == "JP" and size.framing_is_rule and size.framing.head_top == "hair"
    }
    assert japan == {"jp-residence-card"}


def px(name: str) -> tuple[Size | None, Size, Size | None]:
    size = find_size(name)
    return size.px_min, size.px, size.px_max


def test_china_visa_has_a_print_and_a_digital_photo() -> None:
    printed, digital = find_size("cn-visa"), find_size("cn-visa-digital")
    assert (printed.width_mm, printed.height_mm) == (33, 48)
    assert px("cn-visa-digital") == ((354, 472), (420, 560), (420, 560))
    assert digital.kb == Band(40, 120)
    on_354 = digital.framing.bands()
    assert on_354["face"] == pytest.approx((191 / 354 * 30, 219 / 354 * 30), abs=1e-2)
    assert on_354["top"] == pytest.approx((10 / 472 * 40, 70 / 472 * 40), abs=1e-2)
    assert on_354["eyes"].low == pytest.approx(256 / 472 * 40, abs=1e-2)


def test_us_visa_files_are_compressed_at_most_20_to_1() -> None:
    size = find_size("us-visa")
    assert px("us-visa") == ((600, 600), (600, 600), (1200, 1200))
    assert size.compression == 20
    assert size.file_kb == Band(54, 240)
    assert px("us-dv") == ((600, 600), (600, 600), (600, 600))


def test_sites_that_crop_get_head_to_mid_torso() -> None:
    for name in ("gb-passport-digital", "ie-passport", "ca-passport-online"):
        size = find_size(name)
        assert size.site_crops
        assert not size.framing_is_rule
        assert size.framing.head is not None
        assert size.framing.head.high < 0.5 * size.height_mm
        assert size.edits == "crop only"


@pytest.mark.parametrize(
    ("name", "head_mm", "top"),
    [
        ("kr-passport", (32, 36), "crown"),
        ("au-passport", (32, 36), "crown"),
        ("jp-passport", (32, 36), "crown"),
        ("it-passport", (31.5, 36), "crown"),
        ("de-passport", (32, 36), "crown"),
        ("de-passport-child", (22, 36), "crown"),
        ("nl-passport", (26, 30), "crown"),
        ("nl-passport-child", (19, 30), "crown"),
        ("hk-passport", (32, 36), "crown"),
        ("ca-pr-card", (31, 36), "crown"),
        ("jp-residence-card", (22, 28), "hair"),
        ("us-passport", (25, 35), "hair"),
        ("gr-passport", (30, 36), "forehead"),
    ],
)
def test_corrected_heads(name: str, head_mm: tuple[float, float], top: str) -> None:
    size = find_size(name)
    assert size.framing.head == pytest.approx(head_mm)
    assert size.framing.head_top == top


@pytest.mark.parametrize(
    ("name", "colors", "any_light"),
    [
        ("au-passport", {"#ffffff", "#e6e6e6"}, False),
        ("jp-passport", {"#ffffff"}, True),
        ("za-passport", {"#e6e6e6", "#fffdd0"}, False),
        ("be-passport", {"#ffffff", "#e6e6e6"}, False),
        ("cn-graduate", {"#64c5ff"}, False),
        ("id-id-card", {"#db1514"}, False),
        ("id-id-card-even", {"#0090ff"}, False),
        ("gr-passport", {"#bebebe"}, False),
    ],
)
def test_corrected_backgrounds(name: str, colors: set[str], any_light: bool) -> None:
    size = find_size(name)
    assert colors <= set(size.backgrounds)
    assert size.any_light == any_light


def test_white_is_forbidden_where_the_authority_forbids_it() -> None:
    assert "#ffffff" not in find_size("fr-passport").backgrounds
    assert "#ffffff" not in find_size("za-passport").backgrounds
    assert find_size("cn-graduate").backgrounds[0] == "#64c5ff"


def test_corrected_files_and_prints() -> None:
    assert (find_size("ae-id-card").width_mm, find_size("ae-id-card").height_mm) == (35, 40)
    assert (find_size("ae-visa").width_mm, find_size("ae-visa").height_mm) == (43, 55)
    assert find_size("de-passport").dpi == 600
    assert (find_size("br-visa").px, find_size("br-visa").kb, find_size("br-visa").formats) == (
        (413, 531),
        (0, 2000),
        ("JPEG",),
    )
    assert find_size("in-visa").kb == (10, 1000)
    assert find_size("in-visa").width_mm == find_size("in-visa").height_mm
    assert (px("in-visa-regular")[0], px("in-visa-regular")[2], find_size("in-visa-regular").kb) == (
        (350, 350),
        (1000, 1000),
        (10, 300),
    )
    assert px("hk-passport")[0] == (1200, 1600)
    assert find_size("ca-pr-card").height_mm == find_size("ca-citizenship").height_mm == 70


def test_doubtful_rows_say_so() -> None:
    for name in ("mm-passport", "ng-passport", "nz-passport", "et-passport", "ae-visa", "qa-visa", "om-visa"):
        assert find_size(name).unsure, name


def test_authorities_that_refuse_edits() -> None:
    refuse = (
        "us-passport us-visa au-passport sg-passport nz-visa kr-passport in-passport ae-id-card de-visa ca-passport"
    )
    refuse += " gb-passport pk-passport mx-passport us-green-card us-dv"
    assert {name: find_size(name).edits for name in refuse.split() if find_size(name).edits != "crop only"} == {}


def test_diploma_photos_must_not_be_turned() -> None:
    assert find_size("cn-graduate").turn_deg == 0
    assert find_size("us-passport").turn_deg is None


def test_common_chinese_documents_are_found_by_name() -> None:
    asked = (
        "一寸 小一寸 大一寸 二寸 小二寸 身份证 护照 驾驶证 社保卡 教师资格证 国考 普通话 事业单位 护士 建造师 执业药师"
    )
    asked += (
        " 法考 初级会计 注册会计师 软考 医师 高考 自考 四六级 考研 学信网 省考 消防工程师 社工 经济师 回乡证 居住证"
    )
    assert {find_size(name).country for name in asked.split()} == {"CN"}


@pytest.mark.parametrize(
    ("text", "mm", "px"),
    [
        ("35x45mm", (35, 45), (413, 531)),
        ("35x45", (35, 45), (413, 531)),
        ("35 × 45 mm", (35, 45), (413, 531)),
        ("3.5x4.5 cm", (35, 45), (413, 531)),
        ("3.5x4.5", (35, 45), (413, 531)),
        ("35乘45毫米".replace("乘", "x"), (35, 45), (413, 531)),
        ("35x45mm@600", (35, 45), (827, 1063)),
        ("2x2in", (50.8, 50.8), (600, 600)),
        ("2x2", (50.8, 50.8), (600, 600)),
        ("2 x 2 inches", (50.8, 50.8), (600, 600)),
        ("413x531px", (34.967, 44.958), (413, 531)),
        ("413x531", (34.967, 44.958), (413, 531)),
        ("300x300px@600dpi", (12.7, 12.7), (300, 300)),
    ],
)
def test_size_by_number(text: str, mm: tuple[float, float], px: tuple[int, int]) -> None:
    size = find_size(text)
    assert (size.width_mm, size.height_mm) == pytest.approx(mm, abs=1e-3)
    assert size.px == px
    assert not size.framing_is_rule


@pytest.mark.parametrize(
    "text", ["", "nowhere-passport", "35x", "x45", "35x45km", "1.2.3x4", "0x0mm", "9999x9999px", "35x45@1"]
)
def test_no_such_size(text: str) -> None:
    with pytest.raises(OptionError):
        find_size(text)


@pytest.mark.parametrize(("text", "near"), [("us-vsia", "us-visa"), ("british passport photo", "gb-passport")])
def test_a_misspelt_or_loose_name_is_answered_with_the_nearest(text: str, near: str) -> None:
    with pytest.raises(OptionError, match=near):
        find_size(text)


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


def test_json_has_every_field() -> None:
    row = find_size("us-visa").to_dict()
    assert row["edits"] == "crop only"
    assert row["checked"] == "2026-11-26"
    assert row["px_max"] == [1200, 1200]
    assert row["compression"] == 20

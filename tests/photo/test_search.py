"""Searching documents: what people type finds what they mean, first."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from idseg.photo.search import search_sizes
from idseg.photo.sizes import load_sizes

SIZES = load_sizes()

FIRST = {
    # named in the issue
    "UK": "gb-passport",
    "UAE": "ae-visa",
    "USA": "us-passport",
    "Britain": "gb-passport",
    "美签": "us-visa",
    "護照": "cn-passport",
    "2x2": "us-passport",
    "35x45": "icao",
    "3.5x4.5 cm": "icao",
    "green card": "us-green-card",
    "us": "us-passport",
    "OCI": "in-oci",
    "295x413": "cn-1inch",
    "passport size": "icao",
    # English
    "uk passport": "gb-passport",
    "passport UK": "gb-passport",
    "uk passport online": "gb-passport-digital",
    "digital passport photo for the UK": "gb-passport-digital",
    "u.k. visa": "gb-visa",
    "British passport photo": "gb-passport",
    "US visa": "us-visa",
    "visa usa": "us-visa",
    "American visa photo size": "us-visa",
    "u.s. passport": "us-passport",
    "United States passport renewal online": "us-passport-online",
    "DV lottery": "us-dv",
    "green card lottery": "us-dv",
    "USCIS": "us-green-card",
    "I-485": "us-green-card",
    "DS-160": "us-visa",
    "schengen": "schengen-visa",
    "Schengen visa photo": "schengen-visa",
    "japan visa": "jp-visa",
    "visa for Japan": "jp-visa",
    "Japanese passport": "jp-passport",
    "my number card": "jp-my-number",
    "Korea passport": "kr-passport",
    "korean visa": "kr-visa",
    "India OCI card": "in-oci",
    "PAN card": "in-pan",
    "voter id": "in-voter",
    "india e-visa": "in-visa",
    "IN passport": "in-passport",
    "passport in india": "in-passport",
    "Canada PR": "ca-pr-card",
    "canadian citizenship photo": "ca-citizenship",
    "canada passport": "ca-passport",
    "Emirates ID": "ae-id-card",
    "emirates id photo size": "ae-id-card",
    "dubai visa": "ae-visa",
    "QID": "qa-id-card",
    "iqama": "sa-iqama",
    "KTP": "id-id-card",
    "HKID": "hk-id-card",
    "CCCD": "vn-id-card",
    "Reisepass": "de-passport",
    "german passport child": "de-passport-child",
    "baby passport germany": "de-passport-child",
    "DE": "de-passport",
    "de visa": "de-visa",
    "Dutch passport": "nl-passport",
    "Holland passport": "nl-passport",
    "irish passport": "ie-passport",
    "driver's license uk": "gb-driving-licence",
    "driving licence Japan": "jp-driving-licence",
    "1 inch": "cn-1inch",
    "2 inch": "cn-2inch",
    "it": "it-passport",
    "NZ": "nz-passport",
    "new zealand visa": "nz-visa",
    "china visa": "cn-visa",
    "china visa online": "cn-visa-digital",
    "iran e-visa": "ir-visa",
    "Kuwait civil id": "kw-civil-id",
    # sizes
    "2 x 2 in": "us-passport",
    "2x2 inches photo": "us-passport",
    "35 × 45 mm": "icao",
    "35*45": "icao",
    "33x48": "cn-large-1inch",
    "50x70mm": "ca-passport",
    "413x626": "cn-large-2inch",
    "413x531": "icao",
    "600x600": "us-passport",
    "US visa 2x2": "us-visa",
    "35x45 germany": "de-passport",
    "358x441": "cn-id-card",
    "35x45mm 英国": "gb-passport",
    # Chinese
    "美国签证": "us-visa",
    "签证 美国": "us-visa",
    "美国签证照片尺寸": "us-visa",
    "日签": "jp-visa",
    "法签": "fr-visa",
    "英签": "gb-visa",
    "申根签": "schengen-visa",
    "英国护照": "gb-passport",
    "德国 护照": "de-passport",
    "韓國簽證照片": "kr-visa",
    "臺灣護照": "tw-passport",
    "香港身份證": "hk-id-card",
    "澳洲签证": "au-visa",
    "加拿大枫叶卡": "ca-pr-card",
    "枫叶卡照片": "ca-pr-card",
    "绿卡": "us-green-card",
    "绿卡抽签": "us-dv",
    "一寸": "cn-1inch",
    "1寸": "cn-1inch",
    "一吋": "cn-1inch",
    "蓝底一寸照片": "cn-1inch",
    "一寸 蓝底": "cn-1inch",
    "二寸白底证件照": "cn-2inch",
    "小二寸": "cn-small-2inch",
    "身份证": "cn-id-card",
    "驾照": "cn-driving-licence",
    "驾驶证照片要求": "cn-driving-licence",
    "社保卡照片": "cn-social-security",
    "医保卡": "cn-social-security",
    "教师资格证报名照片": "cn-teacher-exam",
    "普通话报名照片": "cn-putonghua",
    "事业单位考试照片": "cn-institution",
    "护士资格证": "cn-nurse",
    "一级建造师报名照片": "cn-constructor",
    "法考照片": "cn-law",
    "国考": "cn-civil-service",
    "学信网照片": "cn-graduate",
    "四六级报名": "cn-cet",
    "港澳通行证": "cn-hk-macau-permit",
    "往來港澳通行證": "cn-hk-macau-permit",
    "泰国落地签": "th-visa-on-arrival",
    "护照 婴儿 英国": "gb-passport-child",
    "英国 驾照": "gb-driving-licence",
    "印尼身份证": "id-id-card",
    "迪拜签证": "ae-visa",
    "413*626像素": "cn-large-2inch",
}


def test_the_right_document_stands_first() -> None:
    found = {query: [size.name for size in search_sizes(query).rows][:1] for query in FIRST}
    assert {query: names for query, names in found.items() if names != [FIRST[query]]} == {}


def test_enough_is_searched() -> None:
    assert len(FIRST) >= 14 + 60
    assert sum(any(letter > "\u2e80" for letter in query) for query in FIRST) >= 30


def names(query: str) -> set[str]:
    return {size.name for size in search_sizes(query).rows}


def test_whole_words_go_before_parts_of_words() -> None:
    assert all(name.startswith("us-") for name in names("us"))
    assert names("OCI") == {"in-oci"}
    assert names("cypr") == {"cy-id-card"}  # no row has the word: then a part of one counts


def test_bare_large_numbers_are_pixels_and_it_is_said() -> None:
    found = search_sizes("295x413")
    assert found.read == "295 x 413 read as pixels"
    assert all((295, 413) in (size.px, size.px_min, size.px_max) for size in found.rows)
    assert search_sizes("2x2").read == "2 x 2 read as inches"
    assert search_sizes("3.5x4.5").read == "3.5 x 4.5 read as centimetres"
    assert search_sizes("35x45").read == "35 x 45 read as millimetres"
    assert search_sizes("35x45mm").read == "35 x 45 millimetres"


def test_a_size_of_no_document_is_offered_by_number() -> None:
    (size,) = search_sizes("37x52").rows
    assert (size.name, size.basis) == ("37x52mm", "number")


def test_words_that_every_search_has_are_left_out_and_it_is_said() -> None:
    assert names("UK passport photo requirements") == names("passport UK")
    assert search_sizes("passport photo UK").read == "left out: photo"
    assert names("蓝底 一寸 照片") == {"cn-1inch"}


def test_nothing_but_such_words_or_nothing_at_all_gives_all() -> None:
    assert search_sizes("").rows == SIZES
    assert set(search_sizes("照片").rows) == set(SIZES)
    assert search_sizes("no such thing").rows == ()


def test_order_and_case_and_script_do_not_matter() -> None:
    assert names("VISA Japan") == names("japan visa") == names("日本 签证") == names("日本簽證")


def test_each_document_is_found_by_its_name_and_titles() -> None:
    texts = [(size.name, text) for size in SIZES for text in (size.name, size.en, size.zh)]
    assert [(name, text) for name, text in texts if name not in names(text)] == []


@given(st.text(max_size=60))
@settings(max_examples=60, deadline=None)
def test_any_text_is_answered(text: str) -> None:
    found = search_sizes(text)
    assert len(found.rows) <= len(SIZES) + 1

"""The wire adapter: any bytes in, the published JSON out."""

from __future__ import annotations

import base64
import io
import json
import string
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import idseg
import idseg.errors
from idseg.cloud import wire
from idseg.cloud.errors import (
    ERROR_CODES,
    ERROR_TEXTS,
    DataHeaderError,
    MissingImageError,
    RateError,
    Reply,
    error_code,
    render_error,
)
from idseg.errors import (
    Base64Error,
    EmptyPhotoError,
    IdsegError,
    ModelMissingError,
    MultiplePersonsError,
    NoPersonError,
    PhotoSizeError,
)
from tests.server.fakes import NOBODY, FakeSegmenter, fake_result, picture

SCHEMA = json.loads(Path(idseg.__file__).with_name("server").joinpath("schema/body_seg_photo.json").read_text())
LOG_ID = 1234567890123456789


def check(reply: Any) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(reply)


def form(image: str) -> bytes:
    return urllib.parse.urlencode({"image": image}).encode()


# --- requests ---------------------------------------------------------------------------------------------------------


@given(st.binary(min_size=1, max_size=300))
def test_base64_in_a_form_comes_back(content: bytes) -> None:
    assert wire.parse(form(base64.b64encode(content).decode())).image == content


@given(st.binary(min_size=1, max_size=300))
def test_curl_without_urlencode_and_without_padding_comes_back(content: bytes) -> None:
    raw = b"image=" + base64.b64encode(content).rstrip(b"=")
    assert wire.parse(raw).image == content


@given(st.binary(min_size=1, max_size=300))
def test_wrapped_base64_comes_back(content: bytes) -> None:
    assert wire.parse(form(base64.encodebytes(content).decode().replace("\n", "\r\n"))).image == content


@given(st.binary(max_size=200))
def test_percent_decoding_is_urllibs(text: bytes) -> None:
    raw = b"image=" + text.replace(b"&", b"")
    assert wire.parse_form(raw).image == urllib.parse.unquote_to_bytes(raw[6:].replace(b"+", b" "))


@given(st.text(alphabet="%41aAfF+ =", max_size=60))
def test_percent_decoding_of_broken_escapes_is_urllibs(text: str) -> None:
    raw = text.encode()
    assert wire.parse_form(b"image=" + raw).image == urllib.parse.unquote_to_bytes(raw.replace(b"+", b" "))


@given(st.binary(max_size=400))
def test_any_body_is_a_request_or_an_error_of_ours(body: bytes) -> None:
    try:
        wire.parse(body)
    except IdsegError as error:
        check(render_error(error, LOG_ID))


def test_the_first_image_wins_and_the_token_is_found_on_either_side() -> None:
    for body in (b"image=QUJD&access_token=a.b-c&image=REVG", b"access_token=a.b-c&image=QUJD&x=1"):
        request = wire.parse(body)
        assert (request.image, request.access_token) == (b"ABC", "a.b-c")


def test_an_encoded_field_name_counts() -> None:
    assert wire.parse(b"im%61ge=QUJD").image == b"ABC"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", MissingImageError),
        (b"picture=QUJD", MissingImageError),
        (b"image", MissingImageError),
        (b"image=", EmptyPhotoError),
        (b"image=data%3Aimage%2Fjpeg%3Bbase64%2CQUJD", DataHeaderError),
        (b"image=DATA:image/jpeg;base64,QUJD", DataHeaderError),
        (b"image=QUJDR", Base64Error),
        (b"image=QU-_", Base64Error),
        (b"image=QU=JDQ", Base64Error),
        (b"image=%00%00%00%00", Base64Error),
        (b"image=====", EmptyPhotoError),
    ],
)
def test_what_is_wrong_with_a_form_has_its_own_error(body: bytes, error: type[IdsegError]) -> None:
    with pytest.raises(error):
        wire.parse(body)


def test_the_limit_counts_characters_after_form_decoding() -> None:
    at_limit = b"%41" * wire.MAX_BASE64
    assert len(wire.parse(b"image=" + at_limit).image) == wire.MAX_BASE64 * 3 // 4
    with pytest.raises(PhotoSizeError) as caught:
        wire.parse(b"image=" + b"A" * (wire.MAX_BASE64 + 4))
    assert caught.value.facts["max_base64_chars"] == wire.MAX_BASE64
    assert len(at_limit) + len("image=") < wire.MAX_BODY


# --- replies ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reply() -> Reply:
    rgb = np.random.default_rng(5).integers(0, 256, (200, 150, 3), np.uint8)
    return wire.render(fake_result(rgb), LOG_ID)


def test_a_reply_keeps_schema_and_key_order(reply: Reply) -> None:
    again = json.loads(wire.dumps(reply))
    check(again)
    assert list(again) == ["log_id", "seg_info", "face_location", "pose_info", "cut_location"]
    assert list(again["seg_info"]) == ["cut", "scoremap", "demo"]
    assert list(again["face_location"]) == ["score", "top", "left", "width", "height"]
    assert list(again["pose_info"]) == ["body_parts", "facepose", "bodypose"]
    assert [list(part) for part in again["pose_info"]["body_parts"]] == [
        ["left_ear"],
        ["right_ear"],
        ["left_eye"],
        ["right_eye"],
        ["nose_tip"],
        ["left_mouth"],
        ["right_mouth"],
        ["right_shoulder"],
        ["left_shoulder"],
        ["neck"],
    ]
    assert all(
        list(point) == ["score", "x", "y"] for part in again["pose_info"]["body_parts"] for point in part.values()
    )


def test_numbers_are_of_the_pages_types(reply: Reply) -> None:
    face, pose = reply["face_location"], reply["pose_info"]
    assert all(type(face[key]) is int for key in ("left", "top", "width", "height"))
    assert type(face["score"]) is float
    assert type(pose["facepose"]) is type(pose["bodypose"]) is int
    for part in pose["body_parts"]:
        for point in part.values():
            assert (type(point["x"]), type(point["y"]), type(point["score"])) == (int, int, float)


def test_the_pictures_are_the_results(reply: Reply) -> None:
    rgb = np.random.default_rng(5).integers(0, 256, (200, 150, 3), np.uint8)
    result = fake_result(rgb)
    images = {name: Image.open(io.BytesIO(base64.b64decode(text))) for name, text in reply["seg_info"].items()}
    assert (images["cut"].format, images["scoremap"].format, images["demo"].format) == ("JPEG", "PNG", "PNG")
    assert (images["cut"].mode, images["scoremap"].mode, images["demo"].mode) == ("RGB", "L", "RGB")
    assert {image.size for image in images.values()} == {(result.window.width, result.window.height)}
    assert np.array_equal(np.asarray(images["scoremap"]), result.scoremap)
    assert np.array_equal(np.asarray(images["demo"]), result.on((0, 0, 0)))
    assert np.abs(np.asarray(images["cut"], np.int16) - result.cut).mean() < 12  # noise, JPEG 95
    for image in images.values():
        image.close()


def test_any_background_follows_from_demo_and_scoremap(reply: Reply) -> None:
    """What the documentation promises to users of the API."""
    rgb = np.random.default_rng(5).integers(0, 256, (200, 150, 3), np.uint8)
    demo, scoremap = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(reply["seg_info"][name]))), np.float32)
        for name in ("demo", "scoremap")
    )
    on_blue = demo + (1 - scoremap[..., None] / 255) * np.array([67, 142, 219], np.float32)
    assert np.abs(on_blue - fake_result(rgb).on((67, 142, 219))).max() <= 2


def test_coordinates_are_the_cuts_and_clamped_to_it(reply: Reply) -> None:
    location = reply["cut_location"]
    assert location == {"left": 18, "top": 20, "width": 112, "height": 200}
    points = {name: point for part in reply["pose_info"]["body_parts"] for name, point in part.items()}
    assert (points["nose_tip"]["x"], points["nose_tip"]["y"]) == (75 - 18, 96 - 20)
    assert points["left_shoulder"]["x"] == 0  # 7.5 in the photo, the cut begins at 18
    assert points["right_shoulder"]["x"] == location["width"] - 1
    face = reply["face_location"]
    assert (face["left"], face["top"], face["width"], face["height"]) == (35, 40, 45, 60)  # 52.5 - 18 = 34.5


def test_log_ids_are_new_and_fit_javas_long() -> None:
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda _: wire.new_log_id(), range(50_000)))
    assert len(set(ids)) == 50_000
    assert all(10**17 < log_id < 2**63 for log_id in ids)


# --- errors -----------------------------------------------------------------------------------------------------------


def subclasses(kind: type[IdsegError]) -> Iterator[type[IdsegError]]:
    for sub in kind.__subclasses__():
        yield sub
        yield from subclasses(sub)


def test_every_error_has_a_code_and_every_code_a_text() -> None:
    ours = {
        IdsegError,
        *(kind for kind in subclasses(IdsegError) if kind.__module__ in ("idseg.errors", "idseg.cloud.errors")),
    }
    assert ours == set(ERROR_CODES), "an error without a row, or a row without an error"
    assert set(ERROR_CODES.values()) <= set(ERROR_TEXTS)
    assert not any(222000 <= code < 223000 for code in ERROR_TEXTS)


def test_the_texts_are_the_contracts() -> None:
    contract = Path(__file__).parents[3] / "shared" / "api" / "CONTRACT.md"
    if not contract.is_file():
        pytest.skip("shared/api is not here")
    rows = [line.split("|") for line in contract.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    published = {int(row[1]): row[2].strip() for row in rows if row[1].strip().isdigit()}
    assert len(published) == 26
    assert dict(ERROR_TEXTS) == published


def test_a_refused_photo_says_why() -> None:
    error = MultiplePersonsError("3 people are in the photo", persons=3)
    assert wire.dumps(render_error(error, LOG_ID)) == (
        b'{"log_id":1234567890123456789,"error_code":216634,"error_msg":"detect error",'
        b'"error_detail":{"reason":"multiple_persons","persons":3,"message":"3 people are in the photo"}}'
    )


def test_codes_up_to_111_are_bare() -> None:
    assert wire.dumps(render_error(RateError("slow down"), LOG_ID)) == (
        b'{"error_code":18,"error_msg":"Open api qps request limit reached"}'
    )


@pytest.mark.parametrize("error", [RuntimeError("/home/me/x"), IdsegError("/home/me/x"), KeyError("x")])
def test_a_fault_of_ours_tells_nothing(error: Exception) -> None:
    assert wire.dumps(render_error(error, LOG_ID)) == (
        b'{"log_id":1234567890123456789,"error_code":282000,"error_msg":"internal error",'
        b'"error_detail":{"reason":"internal"}}'
    )


def test_missing_weights_are_an_unavailable_service() -> None:
    error = ModelMissingError("no /secret/path", path="/secret/path")
    assert wire.dumps(render_error(error, LOG_ID)) == b'{"error_code":2,"error_msg":"Service temporarily unavailable"}'


def test_an_error_of_somebody_elses_subclass_has_its_parents_code() -> None:
    class OddPoseError(NoPersonError):
        """A subclass that the table does not know."""

    assert error_code(OddPoseError("x")) == 216634


# --- the library call -------------------------------------------------------------------------------------------------


def test_the_function_takes_and_gives_what_the_api_does() -> None:
    photo = base64.b64encode(picture()).decode()
    for text in (photo, photo.encode(), photo.rstrip("="), photo.replace("+", " ")):
        reply = wire.body_seg_photo(text, FakeSegmenter())
        check(reply)
        assert "seg_info" in reply


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", 216200),
        ("data:image/png;base64,QUJD", 216201),
        (base64.b64encode(b"GIF89a" + bytes(40)).decode(), 216201),
        (base64.b64encode(picture(size=(49, 100))).decode(), 216202),
        ("A" * (wire.MAX_BASE64 + 1), 216202),
        ("*" * 8, 216203),
        ("像素" * 4, 216203),
        (base64.b64encode(picture(NOBODY)).decode(), 216634),
    ],
)
def test_the_function_gives_the_apis_errors(text: str, code: int) -> None:
    reply = wire.body_seg_photo(text, FakeSegmenter())
    check(reply)
    assert reply["error_code"] == code


def test_the_base64_alphabet_is_the_standard_one() -> None:
    """Every character that is not of the alphabet is refused, in any place."""
    good = "QUJDREVG"
    for character in sorted(set(string.printable) - set(string.ascii_letters + string.digits + "+/= \r\n")):
        with pytest.raises(Base64Error):
            wire.decode_base64((good[:3] + character + good[4:]).encode())


def test_ids_grow_with_time() -> None:
    """Their upper bits are milliseconds, so a log sorts by them."""
    first = wire.new_log_id() >> 22
    assert all(before <= after for before, after in pairwise([first, wire.new_log_id() >> 22]))

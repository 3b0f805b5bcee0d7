"""The API over HTTP, against a real server: every row of the error table, both ways to authorize, every shape of a
login."""

from __future__ import annotations

import base64
import io
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import httpx
import numpy as np
import pytest
from PIL import Image

from idseg.cloud import wire
from idseg.cloud.errors import ERROR_CODES
from idseg.server.auth import tokens
from idseg.server.auth.keys import Key, read_keys, write_keys
from idseg.server.settings import Settings
from tests.cloud.test_wire import check
from tests.server.fakes import (
    A_BUG,
    NO_PROVIDER,
    NO_WEIGHTS,
    NOBODY,
    ON_THE_HEAD,
    ON_THE_SIDE,
    TWO_PEOPLE,
    WAITS,
    FakeSegmenter,
    picture,
)
from tests.server.live import API_KEY, Live, hosted, until_accepted
from tests.server.routes.asking import (
    FORM,
    LOGIN,
    assert_bare,
    client_of,
    encoded,
    login,
    post,
)

LOG_ID = rb'\{"log_id":(\d{1,19}),'


# --- the good answer --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP"])
def test_a_photo_is_answered_with_its_own_pixels(http: httpx.Client, token: str, kind: str) -> None:
    answer = post(http, token, picture((200, 100, 50), kind=kind))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    reply = answer.json()
    check(reply)
    assert str(reply["log_id"]) == answer.headers["x-log-id"]
    with Image.open(io.BytesIO(base64.b64decode(reply["seg_info"]["cut"]))) as cut:
        assert np.abs(np.asarray(cut)[10, 10].astype(int) - (200, 100, 50)).max() <= 3


def test_the_largest_photo_is_answered(http: httpx.Client, token: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (1000, 1000, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "BMP")
    photo = stream.getvalue()
    assert 0.9 * wire.MAX_BASE64 < len(photo) * 4 / 3 < wire.MAX_BASE64
    check(post(http, token, photo).json())
    text = base64.b64encode(photo).decode()
    thrice = "".join(f"%{ord(character):02X}" for character in text)
    reply = http.post(f"{wire.PATH}?access_token={token}", content=b"image=" + thrice.encode(), headers=FORM).json()
    assert "seg_info" in reply


def test_the_token_may_be_in_the_form(http: httpx.Client, token: str) -> None:
    assert "seg_info" in http.post(wire.PATH, data={**encoded(picture()), "access_token": token}).json()
    wrong = http.post(wire.PATH, data={**encoded(picture()), "access_token": "24.x"})
    assert wrong.json()["error_code"] == 110


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded; charset=GBK", "nonsense"]
)
def test_a_form_is_read_whatever_it_calls_itself(http: httpx.Client, token: str, content_type: str | None) -> None:
    body = urlencode(encoded(picture())).encode()
    headers = {} if content_type is None else {"content-type": content_type}
    assert "seg_info" in http.post(f"{wire.PATH}?access_token={token}", content=body, headers=headers).json()


# --- the error table --------------------------------------------------------------------------------------------------


def assert_refused(answer: httpx.Response, rest: bytes) -> None:
    """The whole answer, byte for byte, but for the digits of log_id."""
    assert answer.status_code == 200
    assert re.fullmatch(LOG_ID + re.escape(rest), answer.content), answer.content
    check(answer.json())
    assert str(answer.json()["log_id"]) == answer.headers["x-log-id"]


def test_code_3_is_any_other_path_or_method(http: httpx.Client, token: str) -> None:
    for path in ("/rest/2.0/image-classify/v1/body_seg", "/rest/2.0/", f"{wire.PATH}/"):
        assert_bare(http.post(path, params={"access_token": token}, data=encoded(picture())), 3)
    for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"):
        assert_bare(http.request(method, wire.PATH, params={"access_token": token}), 3)


def test_code_100_is_no_authorization(http: httpx.Client) -> None:
    assert_bare(http.post(wire.PATH, data=encoded(picture())), 100)
    assert_bare(http.post(f"{wire.PATH}?access_token=", data=encoded(picture())), 100)
    assert_bare(http.post(wire.PATH, data=encoded(picture()), headers={"authorization": "Bearer x"}), 100)


def test_code_110_is_an_unknown_token(http: httpx.Client, live: Live, token: str) -> None:
    unkeyed = tokens.issue((live.settings.state_path / "token.key").read_bytes(), 12345678, int(time.time()), 1000)
    stranger = tokens.issue(b"x" * 32, 12345678, int(time.time()), 2592000)["access_token"]
    for wrong in (
        "nonsense",
        token[:-1],
        token.replace("24.", "25."),
        stranger,
        unkeyed["access_token"],
        "24." + "0" * 32 + ".1.1.1-1",
        "令牌",
    ):
        assert_bare(http.post(wire.PATH, params={"access_token": wrong}, data=encoded(picture())), 110)


def test_code_110_is_a_token_of_a_removed_key(http: httpx.Client, live: Live) -> None:
    orphan = tokens.issue(live.token_secret(), 99999999, int(time.time()), 1000)["access_token"]
    assert_bare(http.post(wire.PATH, params={"access_token": orphan}, data=encoded(picture())), 110)


def test_code_110_is_a_token_of_a_changed_secret(http: httpx.Client, live: Live) -> None:
    path, name = live.settings.keys_path, "key-of-this-test"
    (key,) = read_keys(path)
    write_keys(path, [key, Key.of(name, "secret-of-this-test")])
    fields = {**LOGIN, "client_id": name, "client_secret": "secret-of-this-test"}
    token = login(http, "POST form", fields).json()["access_token"]
    assert "seg_info" in post(http, token, picture()).json()
    write_keys(path, [key, Key.of(name, "another-secret-of-this-key")])
    assert_bare(post(http, token, picture()), 110)
    write_keys(path, [key])


def test_code_111_is_an_expired_token(http: httpx.Client, live: Live) -> None:
    old = tokens.issue(live.token_secret(), 12345678, int(time.time()) - 2592001, 2592000)["access_token"]
    assert_bare(http.post(wire.PATH, params={"access_token": old}, data=encoded(picture())), 111)


def test_code_14_is_a_bad_signature(http: httpx.Client) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    for key in (API_KEY, "unknown-key"):
        header = f"bce-auth-v1/{key}/{stamp}/1800/host;x-bce-date/{'0' * 64}"
        headers = {"authorization": header, "x-bce-date": stamp}
        assert_bare(http.post(wire.PATH, data=encoded(picture()), headers=headers), 14)
    assert_bare(http.post(wire.PATH, data=encoded(picture()), headers={"authorization": "bce-auth-v1"}), 14)


def test_code_2_is_weights_that_do_not_load(http: httpx.Client, token: str, live: Live) -> None:
    assert_bare(post(http, token, picture(NO_WEIGHTS)), 2)
    assert "/secret/path" in live.log_text(), "the operator must find out"


def test_code_4_is_a_full_queue_and_code_17_a_quota_used_up(tmp_path: Path) -> None:
    """What the full queue refuses does not count for the quota."""
    gate = tmp_path / "gate"
    settings = Settings(workers=1, queue=1, daily_quota=3)
    with hosted(settings, partial(FakeSegmenter, gate=str(gate))) as live, client_of(live) as http:
        token = live.token()
        with ThreadPoolExecutor(2) as calling:
            waiting = [calling.submit(live.call, token, picture(WAITS)) for _ in range(2)]
            until_accepted(live, 2)
            for _ in range(4):
                assert_bare(post(http, token, picture()), 4)
            gate.touch()
            assert all("seg_info" in one.result() for one in waiting)
        assert "seg_info" in post(http, token, picture()).json()
        assert_bare(post(http, token, picture()), 17)


def test_code_18_is_too_fast() -> None:
    with hosted(Settings(rate_per_s=0.001)) as live, client_of(live) as http:
        token = live.token()
        assert "seg_info" in post(http, token, picture()).json()
        assert_bare(post(http, token, picture()), 18)


def test_216101_is_no_image(http: httpx.Client, token: str) -> None:
    answer = http.post(
        f"{wire.PATH}?access_token={token}", content=b'{"image":"QUJD"}', headers={"content-type": "application/json"}
    )
    assert_refused(
        answer,
        b'"error_code":216101,"error_msg":"not enough param","error_detail":{"reason":"missing_image",'
        b'"content_type":"application/json","message":"param image not exist: send a form field '
        b"image=<base64, urlencoded> "
        b'as application/x-www-form-urlencoded"}}',
    )
    for body in (b"", b"url=http://example.com/a.jpg", b"Image=QUJD"):
        reply = http.post(f"{wire.PATH}?access_token={token}", content=body, headers=FORM).json()
        assert (reply["error_code"], reply["error_msg"]) == (216101, "not enough param")
    multipart = http.post(f"{wire.PATH}?access_token={token}", files={"image": picture()})
    assert multipart.json()["error_code"] == 216101
    assert multipart.json()["error_detail"]["content_type"].startswith("multipart/form-data")


def test_216200_is_an_empty_image(http: httpx.Client, token: str) -> None:
    answer = http.post(f"{wire.PATH}?access_token={token}", content=b"image=", headers=FORM)
    assert_refused(
        answer,
        b'"error_code":216200,"error_msg":"empty image",'
        b'"error_detail":{"reason":"empty_photo","message":"the field image is empty"}}',
    )


def test_216201_is_another_format(http: httpx.Client, token: str) -> None:
    for kind in ("GIF", "WEBP", "TIFF"):
        reply = post(http, token, picture(kind=kind)).json()
        check(reply)
        assert (reply["error_code"], reply["error_msg"]) == (216201, "image format error")
        assert reply["error_detail"]["reason"] == "photo_format"
    assert post(http, token, picture(kind="JPEG")[:-200]).json()["error_detail"]["reason"] == "photo_damaged"
    assert post(http, token, b"no picture at all").json()["error_code"] == 216201


def test_216201_is_a_data_header(http: httpx.Client, token: str) -> None:
    answer = http.post(wire.PATH, params={"access_token": token}, data={"image": "data:image/png;base64,QUJD"})
    assert_refused(
        answer,
        b'"error_code":216201,"error_msg":"image format error","error_detail":{"reason":"data_header",'
        b'"found":"data:image/png;base64,QUJD","message":"send the base64 without its data: header"}}',
    )


def test_216202_is_a_wrong_size(http: httpx.Client, token: str) -> None:
    for size in ((49, 100), (100, 49), (4097, 60)):
        reply = post(http, token, picture(size=size)).json()
        check(reply)
        assert (reply["error_code"], reply["error_msg"]) == (216202, "image size error")
        assert (reply["error_detail"]["width"], reply["error_detail"]["height"]) == size
    for size in ((50, 50), (4096, 50)):
        assert "seg_info" in post(http, token, picture(size=size)).json()
    chars = wire.MAX_BASE64 + 4
    answer = http.post(f"{wire.PATH}?access_token={token}", content=b"image=" + b"A" * chars, headers=FORM)
    assert_refused(
        answer,
        b'"error_code":216202,"error_msg":"image size error","error_detail":{"reason":"photo_size",'
        b'"base64_chars":4194308,"max_base64_chars":4194304,'
        b'"message":"4194308 characters of base64; at most 4194304 are allowed"}}',
    )


@pytest.mark.parametrize("chunked", [False, True])
def test_216202_is_a_body_over_any_limit(http: httpx.Client, token: str, chunked: bool) -> None:
    """The client gets the reason, not a reset, although it is still sending."""
    pieces = [b"image="] + [b"A" * 2**20] * 20
    content = iter(pieces) if chunked else b"".join(pieces)
    answer = http.post(f"{wire.PATH}?access_token={token}", content=content, headers=FORM)
    assert_refused(
        answer,
        b'"error_code":216202,"error_msg":"image size error","error_detail":{"reason":"photo_size",'
        b'"max_body_bytes":12648448,"message":"the body is larger than 12648448 bytes"}}',
    )


def test_216203_is_broken_base64(http: httpx.Client, token: str) -> None:
    answer = http.post(wire.PATH, params={"access_token": token}, data={"image": "@@@@"})
    assert_refused(
        answer,
        b'"error_code":216203,"error_msg":"image size error","error_detail":{"reason":"base64",'
        b'"message":"image has characters that are not of the base64 alphabet"}}',
    )


@pytest.mark.parametrize(
    ("color", "detail"),
    [
        (NOBODY, b'{"reason":"no_person","persons":0,"message":"nobody is in the photo"}'),
        (
            TWO_PEOPLE,
            b'{"reason":"multiple_persons","persons":2,"boxes":[[0.1,0.2,0.2,0.3],[0.6,0.2,0.2,0.3]],'
            b'"message":"2 people are in the photo; one is wanted"}',
        ),
        (
            ON_THE_HEAD,
            b'{"reason":"upside_down","persons":1,"message":"the person stands on the head; turn the photo"}',
        ),
        (ON_THE_SIDE, b'{"reason":"sideways","persons":1,"turn_deg":90,"message":"the photo lies on its side"}'),
    ],
)
def test_216634_is_not_one_upright_person(
    http: httpx.Client, token: str, color: tuple[int, int, int], detail: bytes
) -> None:
    answer = post(http, token, picture(color))
    assert_refused(answer, b'"error_code":216634,"error_msg":"detect error","error_detail":' + detail + b"}")


@pytest.mark.parametrize("color", [A_BUG, NO_PROVIDER])
def test_282000_is_a_fault_of_ours(http: httpx.Client, token: str, live: Live, color: tuple[int, int, int]) -> None:
    answer = post(http, token, picture(color))
    assert_refused(answer, b'"error_code":282000,"error_msg":"internal error","error_detail":{"reason":"internal"}}')
    line = next(line for line in live.log_text().splitlines() if f'"log_id": {answer.json()["log_id"]}' in line)
    entry = json.loads(line)
    assert entry["level"] == "error"
    assert any("fakes.py" in frame for frame in entry["error"]["frames"])


def test_every_row_that_is_ours_was_asked_for() -> None:
    """The rows of ERROR_CODES, against the tests of this file by the code in their names."""
    text = Path(__file__).read_text(encoding="utf-8")
    missing = {code for code in ERROR_CODES.values() if str(code) not in text} - {
        216100
    }  # OptionError: no option in the API
    assert not missing

"""The API over HTTP, against a real server: every row of the error table, both ways to authorize, every shape of a
login."""

from __future__ import annotations

import base64
import io
import json
import re
import socket
import subprocess
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
from tests.server.live import API_KEY, SECRET_KEY, Live, hosted, until, until_accepted

FORM = {"content-type": "application/x-www-form-urlencoded"}
LOG_ID = rb'\{"log_id":(\d{1,19}),'


def encoded(photo: bytes) -> dict[str, str]:
    return {"image": base64.b64encode(photo).decode()}


def post(http: httpx.Client, token: str, photo: bytes) -> httpx.Response:
    return http.post(wire.PATH, params={"access_token": token}, data=encoded(photo))


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

BARE = {
    3: b'{"error_code":3,"error_msg":"Unsupported openapi method"}',
    100: b'{"error_code":100,"error_msg":"Invalid parameter"}',
    110: b'{"error_code":110,"error_msg":"Access token invalid or no longer valid"}',
    111: b'{"error_code":111,"error_msg":"Access token expired"}',
    14: b'{"error_code":14,"error_msg":"IAM Certification failed"}',
    2: b'{"error_code":2,"error_msg":"Service temporarily unavailable"}',
    4: b'{"error_code":4,"error_msg":"Open api request limit reached"}',
    17: b'{"error_code":17,"error_msg":"Open api daily request limit reached"}',
    18: b'{"error_code":18,"error_msg":"Open api qps request limit reached"}',
}


def assert_bare(answer: httpx.Response, code: int) -> None:
    assert answer.status_code == 200
    assert answer.content == BARE[code]
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    check(answer.json())


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


def client_of(live: Live) -> httpx.Client:
    return httpx.Client(base_url=live.url, timeout=120, trust_env=False)


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
        (TWO_PEOPLE, b'{"reason":"multiple_persons","persons":2,"message":"2 people are in the photo; one is wanted"}'),
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


# --- the token endpoint -----------------------------------------------------------------------------------------------

LOGIN = {"grant_type": "client_credentials", "client_id": API_KEY, "client_secret": SECRET_KEY}


def login(http: httpx.Client, shape: str, fields: dict[str, str]) -> httpx.Response:
    if shape == "GET query":
        return http.get(wire.TOKEN_PATH, params=fields)
    if shape == "POST query":
        return http.post(wire.TOKEN_PATH, params=fields)
    return http.post(wire.TOKEN_PATH, data=fields)


SHAPES = ["GET query", "POST query", "POST form"]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_login_in_every_shape_gives_a_token_that_works(http: httpx.Client, shape: str) -> None:
    answer = login(http, shape, LOGIN)
    assert answer.status_code == 200
    reply = answer.json()
    assert list(reply) == ["refresh_token", "expires_in", "scope", "session_key", "access_token", "session_secret"]
    assert reply["expires_in"] == 2592000
    assert "brain_all_scope" in reply["scope"].split(" ")
    assert re.fullmatch(r"24\.[0-9a-f]{32}\.2592000\.\d{10}\.\d+-12345678", reply["access_token"])
    assert re.fullmatch(r"25\.[0-9a-f]{32}\.315360000\.\d{10}\.\d+-12345678", reply["refresh_token"])
    assert answer.headers["cache-control"] == "no-store"
    assert "seg_info" in post(http, reply["access_token"], picture()).json()


@pytest.mark.parametrize(
    ("changed", "status", "content"),
    [
        ({"client_id": "nobody"}, 401, b'{"error_description":"unknown client id","error":"invalid_client"}'),
        (
            {"client_secret": "wrong"},
            401,
            b'{"error":"invalid_client","error_description":"Client authentication failed"}',
        ),
        (
            {"grant_type": "password"},
            400,
            b'{"error":"unsupported_grant_type","error_description":"The authorization grant type is not supported"}',
        ),
    ],
)
def test_a_wrong_login_is_refused(http: httpx.Client, changed: dict[str, str], status: int, content: bytes) -> None:
    for shape in SHAPES:
        answer = login(http, shape, {**LOGIN, **changed})
        assert (answer.status_code, answer.content) == (status, content)


def test_odd_logins_are_refused(http: httpx.Client) -> None:
    assert http.get(wire.TOKEN_PATH).status_code == 400
    assert http.put(wire.TOKEN_PATH).status_code == 400
    assert http.post(wire.TOKEN_PATH, content=b"x" * 70_000).status_code == 400
    assert http.post(wire.TOKEN_PATH, content="&".join(f"a{n}=1" for n in range(500)).encode()).status_code == 400
    assert http.post(wire.TOKEN_PATH, content=b"\xff\xfe=\x00&%%%").status_code == 400


# --- around it --------------------------------------------------------------------------------------------------------


def test_health_readiness_and_numbers(http: httpx.Client, token: str) -> None:
    assert http.get("/healthz").json()["status"] == "ok"
    assert http.get("/readyz").json()["ready"] is True
    before = counted(http, 'idseg_requests_total{code="0",endpoint="body_seg_photo"}')
    post(http, token, picture())
    assert counted(http, 'idseg_requests_total{code="0",endpoint="body_seg_photo"}') == before + 1
    assert counted(http, 'idseg_stage_seconds_count{stage="matte"}') >= 1
    assert counted(http, "idseg_photos_accepted") == 0
    resident = [line for line in http.get("/metrics").text.splitlines() if line.startswith("idseg_resident_bytes{")]
    assert len(resident) >= 2, "the server's own process and each worker"
    assert all(float(line.split()[-1]) > 10e6 for line in resident)


def counted(http: httpx.Client, name: str) -> float:
    lines = [line for line in http.get("/metrics").text.splitlines() if line.startswith(name + " ")]
    return float(lines[0].split()[-1]) if lines else 0.0


def test_openapi_describes_the_call(http: httpx.Client) -> None:
    paths = http.get("/openapi.json").json()["paths"]
    own = {"/v1/photo", "/v1/photo/file", "/v1/photo/sheet", "/v1/check", "/v1/sizes", "/v1/photos"}
    own |= {"/v1/photos/{handle}"}
    assert set(paths) == {wire.PATH, wire.TOKEN_PATH, "/healthz", "/readyz", "/metrics", *own}
    assert paths[wire.PATH]["post"]["responses"]["200"]["content"]["application/json"]["schema"]["title"]


def test_logs_hold_ids_and_no_secret(live: Live, http: httpx.Client, token: str) -> None:
    photo = picture((77, 88, 99))
    answer = http.post(wire.PATH, params={"access_token": token}, data=encoded(photo))
    login(http, "GET query", LOGIN)
    text = live.log_text()
    entries = [json.loads(line) for line in text.splitlines()]
    mine = [entry for entry in entries if entry.get("log_id") == answer.json()["log_id"]]
    assert mine[0]["code"] == 0
    assert set(mine[0]["stages_ms"]) == {"parse", "decode", "matte", "render"}
    for secret in (token, token.split(".")[1], SECRET_KEY, base64.b64encode(photo).decode()[:40], "client_secret="):
        assert secret not in text


def test_keys_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("IDSEG_API_KEY", "key-of-the-environment")
    monkeypatch.setenv("IDSEG_SECRET_KEY", "secret-of-the-environment")
    with hosted() as live, client_of(live) as http:
        fields = {**LOGIN, "client_id": "key-of-the-environment", "client_secret": "secret-of-the-environment"}
        token = login(http, "POST form", fields).json()["access_token"]
        assert "seg_info" in post(http, token, picture()).json()
    assert "secret-of-the-environment" not in caplog.text


def test_no_cors_unless_asked(http: httpx.Client, token: str) -> None:
    headers = {"origin": "https://elsewhere.example"}
    answer = http.post(wire.PATH, params={"access_token": token}, data=encoded(picture()), headers=headers)
    assert "access-control-allow-origin" not in answer.headers
    with hosted(Settings(auth=False, cors_origins=("https://elsewhere.example",))) as live:
        for origin, allowed in (("https://elsewhere.example", True), ("https://other.example", False)):
            answer = httpx.post(live.url + wire.PATH, data=encoded(picture()), headers={"origin": origin}, timeout=60)
            assert (answer.headers.get("access-control-allow-origin") == origin) is allowed


def test_no_auth_answers_sdks_too(open_live: Live) -> None:
    with httpx.Client(base_url=open_live.url, trust_env=False) as http:
        assert "seg_info" in http.post(wire.PATH, data=encoded(picture())).json()
        anybody = login(http, "GET query", {**LOGIN, "client_id": "whoever"}).json()
        assert "seg_info" in post(http, anybody["access_token"], picture()).json()


def test_bytes_that_are_no_http_are_answered_in_json(live: Live) -> None:
    for request in (
        b"hello\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"a" * 1_000_000,
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: a\r\n" % n for n in range(100_000)),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100) + b"\r\n\r\n",
    ):
        answer = raw(live, request)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert json.loads(body)["error_detail"]["reason"] == "http"
    assert live.get("/healthz")["status"] == "ok"


def raw(live: Live, request: bytes, timeout_s: float = 60.0) -> bytes:
    """Bytes over a socket, and all that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", live.settings.port), timeout=timeout_s) as connection:
        received = b""
        try:
            connection.sendall(request)
            while piece := connection.recv(65536):
                received += piece
        except (ConnectionResetError, BrokenPipeError):
            pass
        return received


def test_slow_clients_are_let_go() -> None:
    with hosted(Settings(header_timeout_s=0.4, body_timeout_s=0.4)) as live:
        slow_headers = raw(live, b"POST / HTTP/1.1\r\nHost: a\r\n")
        assert b'"reason":"http"' in slow_headers
        assert raw(live, b"").startswith(b"HTTP/1.1 400 ")
        path = f"{wire.PATH}?access_token={live.token()}".encode()
        slow_body = raw(live, b"POST " + path + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nimage=AAAA")
        assert b'"error_code":216100' in slow_body
        assert b'"reason":"body_timeout"' in slow_body
        assert live.get("/healthz")["status"] == "ok"


def test_expect_100_continue_is_refused_before_the_body(live: Live, token: str) -> None:
    path = f"{wire.PATH}?access_token={token}".encode()
    answer = raw(
        live,
        b"POST "
        + path
        + b" HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 99999999\r\n\r\n",
        60,
    )
    assert b'"error_code":216202' in answer


def test_a_client_that_leaves_does_not_keep_its_place(tmp_path: Path) -> None:
    """One whose photo is worked on, and two that wait."""
    gate = tmp_path / "gate"
    settings = Settings(workers=1, queue=2)
    with hosted(settings, partial(FakeSegmenter, gate=str(gate))) as live, client_of(live) as http:
        token = live.token()
        body = urlencode(encoded(picture(WAITS))).encode()
        head = (
            f"POST {wire.PATH}?access_token={token} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
        )
        leavers = []
        for _ in range(3):
            connection = socket.create_connection(("127.0.0.1", live.settings.port))
            connection.sendall(head.encode() + body)
            leavers.append(connection)
        until_accepted(live, 3)
        for connection in leavers:
            connection.close()
        until(lambda: counted(http, "idseg_clients_gone_total") == 3, "three clients gone")
        until_accepted(live, 1)
        gate.touch()
        until_accepted(live, 0)
        assert "seg_info" in post(http, token, picture()).json()


def test_bodies_that_would_fill_the_memory_are_refused() -> None:
    with hosted(Settings(body_memory_mb=1)) as live, client_of(live) as http:
        token = live.token()
        url = f"{wire.PATH}?access_token={token}"
        assert_bare(http.post(url, content=b"image=" + b"A" * 2**21, headers=FORM), 4)
        assert_bare(http.post(wire.PATH, content=b"image=" + b"A" * 2**19, headers=FORM), 100)
        assert "seg_info" in post(http, token, picture()).json()


def test_tls(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    make_certificate(certificate, key)
    with hosted(Settings(tls_cert=str(certificate), tls_key=str(key))) as live:
        assert live.url.startswith("https://")
        assert live.get("/healthz")["status"] == "ok"


def make_certificate(certificate: Path, key: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    try:
        subprocess.run([*command, *names], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl to make a certificate with")

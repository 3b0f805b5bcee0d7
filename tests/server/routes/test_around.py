"""Around the API's call, over HTTP: logins, operations, keys, slow clients, memory, TLS."""

from __future__ import annotations

import base64
import json
import re
import socket
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest

from idseg.cloud import wire
from idseg.server.settings import Settings
from tests.server.fakes import (
    WAITS,
    FakeSegmenter,
    picture,
)
from tests.server.live import SECRET_KEY, Live, hosted, until, until_accepted
from tests.server.routes.asking import (
    FORM,
    LOGIN,
    SHAPES,
    assert_bare,
    client_of,
    counted,
    encoded,
    login,
    make_certificate,
    post,
)

# --- the token endpoint -----------------------------------------------------------------------------------------------


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

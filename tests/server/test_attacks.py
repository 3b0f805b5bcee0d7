"""Small requests that once stopped a server: each costs it little now, in CPU seconds, and keeps nobody out.

Nothing here asserts a wall time: the machine may be busy. Sockets have timeouts so that a test ends.
"""

from __future__ import annotations

import base64
import io
import json
import resource
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import httpx
import numpy as np
import pytest
from PIL import Image

from idseg.cloud import wire
from idseg.server.auth.keys import Key, write_keys
from idseg.server.http import connection as http_connection
from idseg.server.http.connection import PROBE_S
from idseg.server.settings import Settings
from tests.imaging.formats.test_budget import elements_that_share_bytes, jpeg, png_with, with_scans
from tests.server.fakes import WAITS, FakeSegmenter, picture
from tests.server.live import (
    API_KEY,
    FAKE_APP,
    SECRET_KEY,
    Live,
    cpu_seconds,
    hosted,
    numbers,
    running,
    until,
    until_accepted,
)
from tests.server.routes.asking import make_certificate

PHOTO = wire.PATH
WAIT_S = 60
MiB = 2**20


TOKEN_ONLY = "KeyOfTheTestsWithoutSignatures"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A process that no other test keeps busy, so that its CPU time is these tests' doing."""
    state = tmp_path_factory.mktemp("state")
    may, may_not = Key.of(API_KEY, SECRET_KEY), Key.of(TOKEN_ONLY, SECRET_KEY, may_sign=False)
    write_keys(state / "keys.json", [may, may_not])
    with running(Settings(app=FAKE_APP, workers=1), state=state) as live:
        yield live


def connect(live: Live) -> socket.socket:
    return socket.create_connection(("127.0.0.1", live.settings.port), timeout=WAIT_S)


def send(live: Live, request: bytes) -> bytes:
    """Everything that comes back; a server may stop reading before all was sent."""
    with connect(live) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(request)
        return read(connection)


def read(connection: socket.socket) -> bytes:
    answer = b""
    try:
        while piece := connection.recv(65536):
            answer += piece
    except ConnectionResetError:
        pass
    return answer


def chunked(path: str, size: int, chunk: bytes = b"1\r\na\r\n") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head.encode() + chunk * (size // len(chunk)) + b"0\r\n\r\n"


def posted(path: str, body: bytes, headers: str = "") -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    )
    return head.encode() + body


def code_of(answer: bytes) -> int:
    reply = json.loads(answer.rpartition(b"\r\n\r\n")[2])
    return int(reply.get("error_code", 0))


# --- one-byte chunks --------------------------------------------------------------------------------------------------


def test_one_byte_chunks_of_nobody_cost_nothing(own: Live) -> None:
    before = cpu_seconds(own.pid)
    for path in (PHOTO, "/v1/photo?size=us-visa", "/page/photo", wire.TOKEN_PATH, "/nowhere"):
        for _ in range(2):
            assert send(own, chunked(path, 3 * MiB)).startswith(b"HTTP/1.1 ")
    assert cpu_seconds(own.pid) - before < 10 * 0.2


def test_one_byte_chunks_of_a_caller_are_refused(own: Live) -> None:
    path = f"{PHOTO}?access_token={own.token()}"
    before = cpu_seconds(own.pid)
    answer = send(own, chunked(path, 12 * MiB))
    assert b'"reason":"body_chunks"' in answer
    assert cpu_seconds(own.pid) - before < 2.5


def test_chunks_of_a_real_client_pass(own: Live) -> None:
    body = urlencode({"image": base64.b64encode(picture(size=(900, 900), kind="BMP")).decode()}).encode()
    url = f"{own.url}{PHOTO}?access_token={own.token()}"
    for size in (512, 65536):
        pieces = (body[start : start + size] for start in range(0, len(body), size))
        assert "seg_info" in httpx.post(url, content=pieces, timeout=WAIT_S, trust_env=False).json()


def test_a_body_without_a_credential_is_not_waited_for(own: Live) -> None:
    """No credential can follow: the answer comes before the body."""
    for path in ("/v1/check?size=us-visa", "/page/photo"):
        with connect(own) as connection:
            connection.sendall(posted(path, b"x" * MiB)[:500])
            assert b"no_credential" in (answer := read_some(connection)) or b"foreign_site" in answer
    for start in (b"image=", b"image=" + b"A" * 80_000 + b"&access_token=24.x"):
        with connect(own) as connection:
            connection.sendall(posted(PHOTO, start.ljust(4 * MiB, b"A"))[: 70_000 + len(start)])
            assert b'"error_code":100' in read_some(connection)


def read_some(connection: socket.socket) -> bytes:
    answer = b""
    while b"\r\n\r\n" not in answer or not answer.endswith(b"}"):
        piece = connection.recv(65536)
        if not piece:
            break
        answer += piece
    return answer


# --- forms ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", [b"%=&", b"&", b"%41%41=&", b"%69mage", b"a=&"])
def test_a_million_fields_cost_nothing(own: Live, field: bytes) -> None:
    pids = [own.pid, *own.workers]
    before = sum(map(cpu_seconds, pids))
    for path, codes in ((PHOTO, (100,)), (f"{PHOTO}?access_token={own.token()}", (216101, 216200))):
        assert code_of(send(own, posted(path, field * (4 * MiB // len(field))))) in codes
    assert sum(map(cpu_seconds, pids)) - before < 2.0


# --- files ------------------------------------------------------------------------------------------------------------


def arithmetic() -> bytes:
    return jpeg(4096, 4096).replace(b"\xff\xc0", b"\xff\xc9")


def test_hostile_files_cost_little_everywhere(own: Live) -> None:
    token = own.token()
    progressive = jpeg(4096, 4096, progressive=True, subsampling=0)
    files = [png_with(elements_that_share_bytes(10_000)), arithmetic(), with_scans(progressive, 100)]
    pids = [own.pid, *own.workers]
    for file in files:
        before = sum(map(cpu_seconds, pids))
        own.call(token, file, timeout_s=WAIT_S)
        for path in ("/v1/check?size=us-visa&", "/v1/photo?size=us-visa&"):
            answer = httpx.post(f"{own.url}{path}access_token={token}", content=file, timeout=WAIT_S, trust_env=False)
            assert answer.status_code in (200, 415, 422)
        assert sum(map(cpu_seconds, pids)) - before < 3 * 3.0


# --- connections ------------------------------------------------------------------------------------------------------


def test_idle_connections_keep_nobody_out() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    try:
        with running(Settings(app=FAKE_APP, workers=1), most_files=1024) as live, ExitStack() as idle:
            token = live.token()
            before = cpu_seconds(live.pid)
            for number in range(1200):
                connection = idle.enter_context(connect(live))
                if number % 2:
                    connection.sendall(b"POST / HTTP/1.1\r\n")
            assert "seg_info" in live.call(token, picture())
            assert live.get("/readyz")["ready"]
            assert cpu_seconds(live.pid) - before < 5.0
            assert "Traceback" not in live.log_text()
            assert len(live.log_text()) < 20_000
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_silent_sockets_at_a_tls_port_give_way(tmp_path: Path) -> None:
    """Before the handshake too: the first of sixty is closed, where twenty are all there may be."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    make_certificate(certificate, key)
    settings = Settings(connections=20, header_timeout_s=100.0, tls_cert=str(certificate), tls_key=str(key))
    with hosted(settings) as live, ExitStack() as silent:
        ones = [silent.enter_context(connect(live)) for _ in range(60)]
        assert live.get("/healthz")["status"] == "ok"
        assert read(ones[0]) == b""


def test_answers_that_nobody_reads_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "MOST_UNREAD_BYTES", 2 * MiB)
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (700, 700, 3), np.uint8))
    stream = io.BytesIO()
    noise.save(stream, "PNG")
    form = urlencode({"image": base64.b64encode(stream.getvalue()).decode()}).encode()
    answered = 'idseg_requests_total{code="0",endpoint="body_seg_photo"}'
    with hosted() as live, ExitStack() as unread:
        path = f"{PHOTO}?access_token={live.token()}"
        for number in range(6):
            one = unread.enter_context(socket.socket())
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.connect(("127.0.0.1", live.settings.port))
            one.sendall(posted(path, form))
            until(lambda n=number: numbers(live).get(answered, 0) == n + 1, "an answer")  # type: ignore[misc]
        until(lambda: numbers(live)["idseg_connections"] < 6, "unread ones closed")
        assert "seg_info" in live.call(live.token(), picture())


def test_slow_bodies_of_nobody_give_way() -> None:
    with hosted(Settings(connections=20)) as live, ExitStack() as slow:
        token = live.token()
        for _ in range(60):
            slow.enter_context(connect(live)).sendall(posted(PHOTO, b"image=" + b"A" * MiB)[:2000])
        assert "seg_info" in live.call(token, picture())


def test_slow_bodies_of_a_caller_give_way() -> None:
    """Sixty connections with a token, and twenty are all there may be."""
    with hosted(Settings(connections=20)) as live, ExitStack() as slow:
        token = live.token()
        for _ in range(60):
            request = posted(f"{PHOTO}?access_token={token}", b"image=" + b"A" * MiB)[:2000]
            slow.enter_context(connect(live)).sendall(request)
        assert "seg_info" in live.call(token, picture())


def test_a_caller_who_fills_the_queue_keeps_no_other_out(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    settings = Settings(workers=1, queue=3)
    good, greedy = Key.of(API_KEY, SECRET_KEY, app_id=1), Key.of(TOKEN_ONLY, SECRET_KEY, app_id=2)
    write_keys(tmp_path / "keys.json", [good, greedy])
    with hosted(settings, partial(FakeSegmenter, gate=str(gate)), tmp_path) as live, ExitStack() as greedy_ones:
        fields = {"grant_type": "client_credentials", "client_id": TOKEN_ONLY, "client_secret": SECRET_KEY}
        path = f"{PHOTO}?access_token={live.get(f'{wire.TOKEN_PATH}?{urlencode(fields)}')['access_token']}"
        form = urlencode({"image": base64.b64encode(picture(WAITS)).decode()}).encode()
        for _ in range(4):
            greedy_ones.enter_context(connect(live)).sendall(posted(path, form))
        until_accepted(live, 4)
        with ThreadPoolExecutor(1) as calling:
            answer = calling.submit(live.call, live.token(), picture())
            refused = 'idseg_requests_total{code="4",endpoint="body_seg_photo"}'
            until(lambda: numbers(live).get(refused) == 1, "a photo of the greedy one gives its place")
            gate.touch()
            assert "seg_info" in answer.result()


def test_a_flood_of_pipelined_requests_is_answered_in_turn(own: Live) -> None:
    with connect(own) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 199)
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert read(connection).count(b"HTTP/1.1 200 OK") == 200


# --- passwords --------------------------------------------------------------------------------------------------------


def test_forty_who_guess_do_not_keep_the_owner_out(own: Live) -> None:
    """Twenty for each kind of key: of one the server holds the secret, of the other a hash."""
    before = cpu_seconds(own.pid)

    def login(api_key: str, secret: str) -> int:
        fields = {"grant_type": "client_credentials", "client_id": api_key, "client_secret": secret}
        return httpx.get(f"{own.url}{wire.TOKEN_PATH}?{urlencode(fields)}", timeout=WAIT_S, trust_env=False).status_code

    with ThreadPoolExecutor(40) as guessing:
        guesses = [guessing.submit(login, (API_KEY, TOKEN_ONLY)[n % 2], f"wrong-{n}") for n in range(40)]
        assert [login((API_KEY, TOKEN_ONLY)[n % 2], SECRET_KEY) for n in range(10)] == [200] * 10
        assert {guess.result() for guess in guesses} == {401}
    assert cpu_seconds(own.pid) - before < 3.0


# --- other sites ------------------------------------------------------------------------------------------------------


def test_without_keys_other_sites_are_refused_everywhere(open_live: Live) -> None:
    form = urlencode({"image": base64.b64encode(picture()).decode()}).encode()
    plain = {"content-type": "application/x-www-form-urlencoded"}
    with httpx.Client(base_url=open_live.url, trust_env=False, timeout=WAIT_S) as http:
        for foreign in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            assert http.post(PHOTO, content=form, headers={**plain, **foreign}).json()["error_code"] == 6
            query = urlencode({"grant_type": "client_credentials"})
            assert http.get(f"{wire.TOKEN_PATH}?{query}", headers=foreign).status_code == 403
            assert http.post("/v1/check?size=us-visa", content=picture(), headers=foreign).status_code == 403
        assert "seg_info" in http.post(PHOTO, content=form, headers=plain).json()


# --- odd requests -----------------------------------------------------------------------------------------------------


def test_a_client_that_closed_its_half_is_answered() -> None:
    """Also where its photo takes longer than the look whether it is still there."""
    with hosted(load=partial(FakeSegmenter, 2 * PROBE_S)) as live, connect(live) as connection:
        body = urlencode({"image": base64.b64encode(picture()).decode()}).encode()
        connection.sendall(posted(f"{PHOTO}?access_token={live.token()}", body))
        connection.shutdown(socket.SHUT_WR)
        assert b'"seg_info"' in read(connection)


def test_connect_is_refused(own: Live) -> None:
    for target in ("example.com:443", PHOTO, "/"):
        answer = send(own, f"CONNECT {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 405")
    assert "Traceback" not in own.log_text()
    assert "Exception in" not in own.log_text()


def test_an_absolute_target_is_its_path(own: Live) -> None:
    answer = send(own, b"GET http://localhost/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/"])
def test_head_is_get_without_a_body(own: Live, path: str) -> None:
    answer = httpx.head(own.url + path, timeout=WAIT_S, trust_env=False)
    assert (answer.status_code, answer.content) == (200, b"")


def test_a_long_name_is_not_found(own: Live) -> None:
    for length in (255, 300, 4000):
        assert httpx.get(f"{own.url}/static/{'a' * length}.js", timeout=WAIT_S, trust_env=False).status_code == 404
    assert "a" * 255 not in own.log_text()


@pytest.mark.parametrize("length", ["9" * 20, "1" + "0" * 30, "0" * 20 + "99999999", "99999999999"])
def test_a_length_of_twenty_digits_is_not_waited_for(own: Live, length: str) -> None:
    """The answer comes at once; the body's time is longer than the socket's here."""
    path = f"{PHOTO}?access_token={own.token()}"
    with connect(own) as connection:
        connection.settimeout(own.settings.body_timeout_s - 5)
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n".encode())
        answer = read(connection)
    assert b'"error_code":216202' in answer or answer.startswith(b"HTTP/1.1 400")


def test_an_upgrade_is_a_request(own: Live) -> None:
    for value in ("websocket", "h2c"):
        headers = {"connection": "upgrade", "upgrade": value}
        assert httpx.get(f"{own.url}/healthz", headers=headers, timeout=WAIT_S, trust_env=False).status_code == 200


def test_plain_http_to_a_tls_port(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    make_certificate(certificate, key)
    with hosted(Settings(tls_cert=str(certificate), tls_key=str(key))) as live:
        send(live, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        context = ssl.create_default_context(cafile=str(certificate))
        with connect(live) as plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
            secure.sendall(posted("/v1/check?size=us-visa", b"x" * 5 * MiB)[: 2 * MiB])
            assert secure.recv(65536).startswith(b"HTTP/1.1 401")
        assert live.get("/healthz")["status"] == "ok"
    assert "Traceback" not in caplog.text


def test_the_fake_photo_is_small() -> None:
    """The files above are made here, and stay below the API's limit."""
    assert len(base64.b64encode(arithmetic())) < wire.MAX_BASE64
    assert Image.open(io.BytesIO(picture())).size == (120, 160)

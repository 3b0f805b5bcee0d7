"""``idseg.cloud.client`` against our server, and against one that misbehaves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from idseg.cloud.client import (
    ApiError,
    AuthorizationError,
    Client,
    ClientError,
    LimitError,
    LoginError,
    PhotoError,
    ServiceError,
    TransportError,
)
from idseg.errors import EmptyPhotoError, IdsegError, OptionError, PhotoReadError
from idseg.server.auth import tokens
from idseg.server.settings import Settings
from tests.cloud.test_wire import check
from tests.server.fakes import A_BUG, NO_WEIGHTS, TWO_PEOPLE, picture
from tests.server.live import API_KEY, SECRET_KEY, Live, free_port, hosted


@pytest.fixture
def client(live: Live) -> Client:
    return Client(live.url, API_KEY, SECRET_KEY, timeout_s=10)


def test_a_path_and_bytes_are_answered(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "selfie.png"
    file.write_bytes(picture())
    for photo in (file, str(file), picture()):
        check(client.body_seg_photo(photo))


def test_the_host_may_come_without_a_scheme(live: Live) -> None:
    assert "seg_info" in Client(f"127.0.0.1:{live.settings.port}", API_KEY, SECRET_KEY).body_seg_photo(picture())
    assert Client("aip.baidubce.com", "a", "b")._host == "https://aip.baidubce.com"
    with pytest.raises(OptionError):
        Client("file:///etc/passwd", "a", "b")


def test_a_token_is_kept_and_shared_by_threads(client: Client, live: Live) -> None:
    logins = live.log_text().count('"message": "token"')
    threads = [threading.Thread(target=lambda: client.body_seg_photo(picture())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert live.log_text().count('"message": "token"') == logins + 1


@pytest.mark.parametrize("seconds_ago", [0, 100])
def test_a_lost_or_expired_token_means_a_new_login(client: Client, live: Live, seconds_ago: int) -> None:
    secret = live.token_secret() if seconds_ago else b"another server's secret "
    client._token = tokens.issue(secret, 12345678, int(time.time()) - seconds_ago, 50)["access_token"]
    client._token_ends = time.time() + 1e6
    assert "seg_info" in client.body_seg_photo(picture())


def test_refused_photos_say_why(client: Client) -> None:
    with pytest.raises(PhotoError) as caught:
        client.body_seg_photo(picture(TWO_PEOPLE))
    error = caught.value
    assert (error.code, error.text, error.detail["persons"]) == (216634, "detect error", 2)
    assert error.log_id is not None
    assert "2 people are in the photo" in str(error)
    with pytest.raises(PhotoError, match="216201 image format error"):
        client.body_seg_photo(picture(kind="GIF"))


@pytest.mark.parametrize(("color", "code"), [(A_BUG, 282000), (NO_WEIGHTS, 2)])
def test_faults_of_the_service(client: Client, color: tuple[int, int, int], code: int) -> None:
    with pytest.raises(ServiceError) as caught:
        client.body_seg_photo(picture(color))
    assert caught.value.code == code


def test_wrong_keys(live: Live) -> None:
    for api_key, secret_key in (("unknown", SECRET_KEY), (API_KEY, "wrong")):
        with pytest.raises(LoginError) as caught:
            Client(live.url, api_key, secret_key).body_seg_photo(picture())
        assert (caught.value.status, caught.value.error) == (401, "invalid_client")


def test_limits() -> None:
    with hosted(Settings(daily_quota=1)) as live:
        client = Client(live.url, API_KEY, SECRET_KEY)
        client.body_seg_photo(picture())
        with pytest.raises(LimitError) as caught:
            client.body_seg_photo(picture())
        assert caught.value.code == 17


def test_a_server_without_keys(open_live: Live) -> None:
    assert "seg_info" in Client(open_live.url, "", "").body_seg_photo(picture())


def test_bad_photos_are_told_before_anything_is_sent(tmp_path: Path) -> None:
    nowhere = Client(f"http://127.0.0.1:{free_port()}", "a", "b")
    with pytest.raises(PhotoReadError):
        nowhere.body_seg_photo(tmp_path / "absent.jpg")
    with pytest.raises(EmptyPhotoError):
        nowhere.body_seg_photo(b"")
    with pytest.raises(TransportError, match="no answer"):
        nowhere.body_seg_photo(picture())


@contextmanager
def answering(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A server that answers every POST in the given way."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            answer(self)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(status: int, body: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, b"<html>", TransportError),
        (200, b"[]", TransportError),
        (200, b"{}", TransportError),
        (502, b"<html>bad gateway", TransportError),
        (500, b"{}", TransportError),
        (400, b'{"error":"unsupported_grant_type"}', LoginError),
        (400, b'{"error_code":100,"error_msg":"Invalid parameter"}', AuthorizationError),
    ],
)
def test_strange_answers_are_typed(status: int, body: bytes, error: type[ClientError]) -> None:
    with answering(_answer(status, body)) as url, pytest.raises(error):
        Client(url, "a", "b").body_seg_photo(picture())


def test_a_silent_server_times_out() -> None:
    with answering(lambda _: time.sleep(1.0)) as url:
        started = time.monotonic()
        with pytest.raises(TransportError):
            Client(url, "a", "b", timeout_s=0.2).body_seg_photo(picture())
        assert time.monotonic() - started < 0.9


def test_the_tree_of_errors() -> None:
    assert issubclass(ApiError, ClientError)
    assert issubclass(ClientError, IdsegError)
    assert issubclass(TransportError, OSError)

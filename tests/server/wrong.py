"""Wrong requests of every kind, from one seed, and sending them.

``IDSEG_FUZZ_REAL=1``: some hold a person, for the models that ship.
"""

from __future__ import annotations

import base64
import io
import json
import os
import random
import socket
import struct
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, quote_plus, urlencode

import numpy as np
from PIL import Image

from idseg import __version__
from idseg.cloud import wire
from idseg.cloud.errors import INTERNAL
from idseg.imaging.encode import jpeg
from tests.cloud.test_wire import check
from tests.imaging.formats.test_budget import elements_that_share_bytes, png_with, with_scans
from tests.imaging.formats.test_budget import jpeg as jpeg_of
from tests.server.fakes import TWO_PEOPLE, picture
from tests.server.live import API_KEY, SECRET_KEY, Live

REAL = bool(os.environ.get("IDSEG_FUZZ_REAL"))


# --- sending ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What came back: nothing where the client left on purpose."""

    status: int
    body: bytes


def send(live: Live, request: bytes, *, pieces: int = 1, pause_s: float = 0.0, leave: bool = False) -> Answer | None:
    """Raw bytes over a fresh connection; the whole answer."""
    with socket.create_connection(("127.0.0.1", live.settings.port), timeout=120) as connection:
        step = max(1, -(-len(request) // pieces))
        try:
            for start in range(0, len(request), step):
                connection.sendall(request[start : start + step])
                if pause_s:
                    time.sleep(pause_s)
            if leave:
                return None
        except (BrokenPipeError, ConnectionResetError):
            pass
        received = b""
        try:
            while piece := connection.recv(1 << 18):
                received = (received + piece).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
                if _whole(received):
                    break
        except ConnectionResetError:
            pass
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 "), f"no HTTP came back: {received[:100]!r} to {request[:300]!r}"
    return Answer(int(head.split()[1]), body)


def _whole(received: bytes) -> bool:
    head, found, body = received.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if found and line.startswith(b"content-length:"):
            return len(body) >= int(line.split(b":")[1])
    return False


def http_request(
    path: str, body: bytes = b"", method: str = "POST", headers: dict[str, str] | None = None, length: str | None = None
) -> bytes:
    lines = {"Host": "127.0.0.1", "Connection": "close", "Content-Type": "application/x-www-form-urlencoded"}
    lines["Content-Length"] = str(len(body)) if length is None else length
    lines.update(headers or {})
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
    return head.encode("utf-8", "surrogateescape") + body


def assert_an_answer(answer: Answer, request: bytes) -> int:
    """JSON by the schema under /rest/, JSON of some kind anywhere else; the code, 0 for a result."""
    shown = f"{answer.status} {answer.body[:300]!r} to {request[:300]!r}"
    assert b"Traceback" not in answer.body, shown
    assert answer.status in (200, 400, 401, 403, 404, 405, 413, 415, 422, 503), shown
    if answer.status == 200 and answer.body.startswith((b"<!doctype html>", b"# HELP")):
        return 0  # GET of the page
    reply = json.loads(answer.body)
    code = reply.get("error_code", 0)
    assert code != INTERNAL, shown
    target = request.split(b" ", 2)[1] if request.count(b" ") > 1 else b""
    if answer.status == 200 and target.startswith(b"/rest/"):
        check(reply)
    return int(code)


# --- pictures to break ------------------------------------------------------------------------------------------------


def _saved(kind: str, size: tuple[int, int], **options: object) -> bytes:
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    pixels = np.dstack([x % 256, y % 256, (x + y) % 256]).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _png(width: int, height: int, *chunks: bytes) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + _chunk(b"IEND", b"")


def largest() -> bytes:
    """A small file of the most pixels."""
    return _png(4096, 4096, _chunk(b"IDAT", zlib.compress(bytes((1 + 3 * 4096) * 4096), 9)))


def bombs() -> list[bytes]:
    """Small files that want to be large."""
    zeros = zlib.compress(bytes(60_000_000), 9)
    one_pixel = _chunk(b"IDAT", zlib.compress(b"\x00" * 4))
    flat = zlib.compress(bytes((1 + 3 * 4096) * 4096), 9)
    bmp = bytearray(picture(kind="BMP"))
    bmp[18:26] = struct.pack("<ii", 60_000, 60_000)
    negative = bytearray(picture(kind="BMP"))
    negative[18:26] = struct.pack("<ii", -(2**31), 2**31 - 1)
    return [
        _png(30_000, 30_000, one_pixel),
        _png(2**31 - 1, 2**31 - 1, one_pixel),
        _png(4096, 4096, one_pixel),
        largest(),
        _png(4097, 4096, _chunk(b"IDAT", flat)),
        _png(100, 100, _chunk(b"IDAT", zeros)),
        _png(100, 100, _chunk(b"zTXt", b"a\x00\x00" + zeros), one_pixel),
        _png(100, 100, _chunk(b"iCCP", b"a\x00\x00" + zeros), one_pixel),
        _png(1, 1, _chunk(b"tEXt", b"a\x00" + bytes(3_000_000)), one_pixel),
        picture(size=(1, 1), kind="BMP") + bytes(3_000_000),
        picture(size=(1, 1), kind="JPEG") + bytes(3_000_000),
        b"\x1f\x8b" + zeros[:50_000],
        b"PK\x03\x04" + zeros[:50_000],
        bytes(bmp),
        bytes(negative),
        b"\xff\xd8" + (b"\xff\xe1\xff\xff" + bytes(65533)) * 40,
        b"BM" + bytes(3_000_000),
    ]


def hostile() -> list[bytes]:
    """Small files that want much time."""
    progressive = jpeg_of(4096, 4096, progressive=True)
    return [
        png_with(elements_that_share_bytes(10_000)),
        with_scans(progressive, 29),
        with_scans(progressive, 100),
        progressive.replace(b"\xff\xc2", b"\xff\xca"),
    ]


SEEDS = [
    _saved("JPEG", (120, 160)),
    _saved("JPEG", (300, 200), progressive=True, quality=60),
    _saved("PNG", (120, 160)),
    _saved("BMP", (60, 80)),
    picture(TWO_PEOPLE),
    picture(size=(4096, 50), kind="JPEG"),
]
if REAL:  # a person, so that every stage sees broken photos
    from skimage import data

    SEEDS += [jpeg(np.asarray(data.astronaut()), quality=quality) for quality in (95, 70, 30)]  # type: ignore[no-untyped-call]
OTHERS = [picture(kind=kind) for kind in ("GIF", "WEBP", "TIFF", "ICO")] + [
    b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    b"<!doctype html><title>x</title>",
    b"%PDF-1.7\n",
    b"",
    b"\x00" * 1000,
]


def mutated(rng: random.Random, content: bytes) -> bytes:
    """A few bits turned, bytes lost, doubled or put in, or the end missing."""
    broken = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        if not broken:
            break
        place = rng.randrange(len(broken))
        match rng.randrange(6):
            case 0:
                broken[place] ^= 1 << rng.randrange(8)
            case 1:
                del broken[place : place + rng.randrange(1, 50)]
            case 2:
                broken[place:place] = rng.randbytes(rng.randrange(1, 50))
            case 3:
                del broken[place:]
            case 4:
                broken[place : place + 4] = rng.choice((b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x7f\xff\xff\xff"))
            case _:
                broken[place:place] = broken[place : place + rng.randrange(1, 200)]
    return bytes(broken)


# --- requests to break ------------------------------------------------------------------------------------------------


class Requests:
    """All kinds of wrong requests, from one seed."""

    def __init__(self, token: str, seed: int) -> None:
        self._rng = random.Random(seed)  # noqa: S311
        self._url = f"{wire.PATH}?access_token={token}"
        self._token = token
        self._bombs = bombs()
        self._hostile = hostile()
        kinds: list[tuple[int, Callable[[], bytes]]] = [
            (24, self._broken_photo),
            (6, self._other_file),
            (1, self._bomb),
            (12, self._broken_base64),
            (12, self._odd_form),
            (10, self._odd_headers),
            (12, self._odd_target),
            (6, self._odd_token),
            (6, self._odd_login),
            (9, self._broken_http),
            (7, self._odd_length),
            (4, self._page),
            (2, self._large_body),
            (2, self._small_chunks),
            (2, self._many_fields),
            (1, self._hostile_file),
        ]
        self._weights = [weight for weight, _ in kinds]
        self._kinds = [kind for _, kind in kinds]

    def next(self) -> bytes:
        (kind,) = self._rng.choices(self._kinds, self._weights)
        return kind()

    def _form(self, photo: bytes) -> bytes:
        return urlencode({"image": base64.b64encode(photo).decode()}).encode()

    def _broken_photo(self) -> bytes:
        return http_request(self._url, self._form(mutated(self._rng, self._rng.choice(SEEDS))))

    def _other_file(self) -> bytes:
        return http_request(self._url, self._form(self._rng.choice(OTHERS)))

    def _bomb(self) -> bytes:
        return http_request(self._url, self._form(self._rng.choice(self._bombs)))

    def _broken_base64(self) -> bytes:
        text = base64.b64encode(self._rng.choice(SEEDS))
        text = self._rng.choice((text[: self._rng.randrange(len(text))], mutated(self._rng, text)))
        return http_request(self._url, b"image=" + self._rng.choice((text, quote_plus(text).encode())))

    def _odd_form(self) -> bytes:
        rng, good = self._rng, self._form(SEEDS[2])
        body = rng.choice(
            (
                b"",
                b"&" * rng.randrange(1, 5000),
                b"=" * rng.randrange(1, 5000),
                b"image",
                b"image=%",
                b"image=%zz%4",
                b"image=%00" * 9,
                b"image=" + "照片".encode(),
                good + b"&" + good,
                b"image=data:image/png;base64," + good[6:],
                b"url=http://127.0.0.1:1/x.jpg",
                b"access_token=%FF&" + good,
                json.dumps({"image": good.decode()}).encode(),
                b"--x\r\nContent-Disposition: form-data; name=image\r\n\r\n" + SEEDS[2] + b"\r\n--x--",
                rng.randbytes(rng.randrange(3000)),
                mutated(rng, good),
                b"a=1&" * 20_000 + good,
            )
        )
        types = (
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/json",
            "x" * 900,
            "\x00",
        )
        return http_request(self._url, body, headers={"Content-Type": rng.choice(types[:4])})

    def _odd_headers(self) -> bytes:
        rng = self._rng
        headers = rng.choice(
            (
                {"X-Long": "a" * rng.randrange(70_000)},
                {f"X-{n}": "b" for n in range(rng.randrange(300))},
                {"Cookie": "c=" + "d" * 8000},
                {"Accept-Encoding": "br, gzip, " * 50},
                {"Content-Encoding": "gzip"},
                {"Expect": "100-continue"},
                {"Expect": "nonsense"},
                {"Upgrade": "websocket", "Connection": "upgrade"},
                {"Host": rng.choice(("", "[", "a b", "x" * 3000, "[::1", "%00"))},
                {"Authorization": "bce-auth-v1/" + "/".join(["x"] * rng.randrange(8))},
                {"Authorization": f"bce-auth-v1/{API_KEY}/2026-01-01T00:00:00Z/1800/host/{'0' * 64}"},
                {"Authorization": "Basic " + "e" * rng.randrange(5000)},
                {"X-Forwarded-For": "1.2.3.4", "Forwarded": "for=x"},
                {"Range": "bytes=0-"},
            )
        )
        url = wire.PATH if "Authorization" in headers else self._url
        return http_request(url, self._form(SEEDS[2]), headers=headers)

    def _odd_target(self) -> bytes:
        rng = self._rng
        paths = (
            "/",
            "//",
            "/rest/2.0/",
            "/rest/2.0/image-classify/v1/body_seg_photo/",
            "/rest/2.0/image-classify/v1/../v1/body_seg_photo",
            "/rest/2.0/" + "a" * rng.randrange(3000),
            "/rest/2.0/%00%ff%2e%2e",
            "/static/..%2f..%2fpyproject.toml",
            "/static/%2e%2e/app.py",
            "/healthz?" + "q" * 3000,
            "/oauth/2.0/token/",
            "*",
            "http://example.com/",
            self._url + "&a=" + quote(rng.randbytes(40)),
            self._url + "?" * 200,
            self._url + "&%" * 200,
        )
        methods = ("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND", "X" * 20)
        return http_request(rng.choice(paths), self._form(SEEDS[2]), rng.choice(methods))

    def _odd_token(self) -> bytes:
        token = mutated(self._rng, self._token.encode())
        query = self._rng.choice((quote(token), quote(token) + "?x=1", "", "%", "1" * 5000))
        body = self._rng.choice((self._form(SEEDS[2]), b"access_token=" + quote_plus(token).encode()))
        return http_request(f"{wire.PATH}?access_token={query}", body)

    def _odd_login(self) -> bytes:
        rng = self._rng
        fields = {"grant_type": "client_credentials", "client_id": API_KEY, "client_secret": SECRET_KEY}
        fields[rng.choice(list(fields))] = rng.choice(("", "x", "\x00", "密钥", "y" * 3000, "%"))
        query = urlencode(fields)
        if rng.random() < 0.5:
            return http_request(f"{wire.TOKEN_PATH}?{query}", b"", rng.choice(("GET", "POST", "PUT")))
        return http_request(wire.TOKEN_PATH, mutated(rng, query.encode()))

    def _broken_http(self) -> bytes:
        rng = self._rng
        good = http_request(self._url, self._form(SEEDS[3]))
        head, _, body = good.partition(b"\r\n\r\n")
        return rng.choice(
            (
                mutated(rng, head) + b"\r\n\r\n" + body,
                rng.randbytes(rng.randrange(1, 400)) + b"\r\n\r\n",
                b"GET / HTTP/9.9\r\n\r\n",
                b"\r\n" * rng.randrange(1, 30) + b"x\r\n\r\n",
                head.replace(b"Content-Length", b"Transfer-Encoding: chunked\r\nX-Was") + b"\r\n\r\nzz\r\n",
                b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
            )
        )

    def _odd_length(self) -> bytes:
        body = self._form(SEEDS[3])
        length = self._rng.choice(("-1", "1e3", "99999999999999999999", str(len(body) - 5), "0", "", " 7", "0x10"))
        return http_request(self._url, body, length=length)

    def _page(self) -> bytes:
        headers = {"X-Idseg-Page": self._rng.choice((__version__, "x")), "Content-Type": "application/octet-stream"}
        headers["Authorization"] = self._rng.choice((f"Bearer {self._token}", "Bearer", "Bearer x y"))
        return http_request("/page/photo", mutated(self._rng, self._rng.choice(SEEDS)), headers=headers)

    def _small_chunks(self) -> bytes:
        """With and without a token."""
        head = f"POST {self._rng.choice((self._url, wire.PATH, '/v1/check?size=us-visa'))} HTTP/1.1\r\nHost: a\r\n"
        piece = self._rng.choice((b"1\r\na\r\n", b"2\r\n&=\r\n", b"1;x=y\r\na\r\n"))
        return f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + piece * 50_000 + b"0\r\n\r\n"

    def _many_fields(self) -> bytes:
        field = self._rng.choice((b"%=&", b"&", b"a=&", b"%69mage", b"image=&"))
        return http_request(self._rng.choice((self._url, wire.PATH)), field * 300_000)

    def _hostile_file(self) -> bytes:
        return http_request(self._url, self._form(self._rng.choice(self._hostile)))

    def _large_body(self) -> bytes:
        size = self._rng.choice((wire.MAX_BASE64 + 4, wire.MAX_BODY + 1))
        return http_request(self._url, b"image=" + self._rng.choice((b"A", b"%", b"=", b" ")) * size)

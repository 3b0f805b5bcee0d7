"""Any bytes as a request: always the API's JSON, never a traceback, memory back to its level, the next good request
answered.

``IDSEG_FUZZ_REQUESTS`` sets how many are sent (20,000 for the issue's figure); ``IDSEG_FUZZ_SEED`` where they begin;
``IDSEG_FUZZ_REAL=1`` asks the models that ship instead of the stand-in.
"""

from __future__ import annotations

import base64
import os
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote_plus, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from idseg.cloud import wire
from idseg.server.auth.keys import Key, write_keys
from idseg.server.memory import TRIM_EVERY_S
from idseg.server.settings import Settings
from tests.server.fakes import picture
from tests.server.live import API_KEY, FAKE_APP, SECRET_KEY, Live, running
from tests.server.test_processes import resident
from tests.server.wrong import REAL, SEEDS, Requests, assert_an_answer, bombs, hostile, http_request, largest, send

REQUESTS = int(os.environ.get("IDSEG_FUZZ_REQUESTS", "300"))
SEED = int(os.environ.get("IDSEG_FUZZ_SEED", "20261123"))
SENDERS = 4
GROWTH = 40e6 if REAL else 15e6
"""Bytes that all processes together may have grown by, after a warm-up of the worst cases. So 300 requests may leave
50 KB each (a quarter of the mean body), and 20,000 with the models that ship 2 KB each."""
BODY_TIMEOUT_S = 1.0
SETTLE_S = 2.5 * TRIM_EVERY_S
"""The workers give freed memory back a second after their last photo, the server's own process every two seconds."""


MOST_BYTES = 1.2e9
"""Of all the server's processes together, with the models that ship; measured every half second."""
QUIET_CALLS = 40
"""A good client's calls before anything wrong is sent, in the long run."""


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    state = tmp_path_factory.mktemp("state")
    write_keys(state / "keys.json", [Key.of(API_KEY, SECRET_KEY), Key.of(GOOD_KEY, SECRET_KEY)])
    wanted = Settings(app="idseg.server.app:create_worker_app" if REAL else FAKE_APP)
    limits = replace(wanted, body_timeout_s=BODY_TIMEOUT_S, header_timeout_s=1.0, queue=64)
    with running(limits, state=state) as live:
        yield live


GOOD_KEY = "KeyOfTheGoodClient24Chars"


class Witness:
    """A client with a key of its own that sends a good photo every half second, and looks at the server's memory."""

    def __init__(self, live: Live) -> None:
        fields = {"grant_type": "client_credentials", "client_id": GOOD_KEY, "client_secret": SECRET_KEY}
        self._live = live
        self._token = live.get(f"{wire.TOKEN_PATH}?{urlencode(fields)}")["access_token"]
        self._photo = SEEDS[-1] if REAL else picture()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="witness")
        self.times_s: list[float] = []
        self.refused = 0
        self.most_bytes = 0

    def call(self) -> float:
        """Seconds of one good photo."""
        started = time.perf_counter()
        self.refused += "seg_info" not in self._live.call(self._token, self._photo)
        return time.perf_counter() - started

    def _run(self) -> None:
        while not self._stop.is_set():
            self.times_s.append(self.call())
            self.most_bytes = max(self.most_bytes, resident(self._live))
            self._stop.wait(0.5)

    def __enter__(self) -> Witness:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()


def p95(times_s: list[float]) -> float:
    return sorted(times_s)[int(0.95 * len(times_s))]


def warm_up(live: Live, token: str) -> None:
    """Show every worker the worst photos, because a worker grows when it first sees one. Equal photos in a row arrive
    at the same time, so that no worker gets them all."""
    worst = [largest(), *(hostile() + SEEDS if REAL else [])]
    photos = bombs() + SEEDS + [photo for photo in worst for _ in range(SENDERS)]
    with ThreadPoolExecutor(SENDERS) as warming:
        list(warming.map(lambda photo: live.call(token, photo), photos))
    time.sleep(SETTLE_S)


def test_wrong_requests_of_every_kind(target: Live) -> None:
    token = target.token()
    warm_up(target, token)
    before, codes, faults = resident(target), Counter[int](), list[str]()
    witness = Witness(target)
    quiet = [witness.call() for _ in range(QUIET_CALLS if REQUESTS >= 1000 else 2)]

    def sender(number: int) -> None:
        requests = Requests(token, SEED + number)
        rng = random.Random(SEED - number)  # noqa: S311
        for count in range(REQUESTS // SENDERS):
            request = requests.next()
            slow = rng.random() < 0.004
            leave = rng.random() < 0.02
            try:
                answer = send(target, request, pieces=3 if slow else 1, pause_s=0.2 if slow else 0.0, leave=leave)
                if answer is not None:
                    codes[assert_an_answer(answer, request)] += 1
                if count % 100 == 99:
                    assert "seg_info" in target.call(token, picture()) or REAL
            except Exception as error:  # noqa: BLE001 - a thread must hand its failure over
                faults.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=sender, args=(number,)) for number in range(SENDERS)]
    with witness:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    print(
        f"a good client: p95 {p95(quiet):.3f} s before, {p95(witness.times_s):.3f} s meanwhile ({len(witness.times_s)} "
        f"calls, {witness.refused} refused); most memory {witness.most_bytes / 1e6:.0f} MB"
    )
    assert witness.refused == 0
    assert not REAL or witness.most_bytes < MOST_BYTES
    assert faults == [], f"{len(faults)} faults, the first: " + "\n".join(faults[:5])
    assert_unharmed(target, token, before)
    print(f"{REQUESTS} requests; answers by code {dict(sorted(codes.items()))}")
    for code in (0, 3, 14, 100, 110, 216101, 216200, 216201, 216202, 216203):
        assert codes[code] > 0, f"nothing was answered with {code}: the generator lost a kind"


def assert_unharmed(live: Live, token: str, before: int) -> None:
    log = live.log_text()
    assert '"code": 282000' not in log
    assert "a worker is replaced" not in log
    assert "unexpected" not in log
    assert "Exception in" not in log
    live.call(token, picture())
    time.sleep(SETTLE_S)
    grown = resident(live) - before
    print(f"RSS {before / 1e6:.0f} MB before, {grown / 1e6:+.0f} MB after")
    assert grown < GROWTH
    assert live.get("/readyz")["ready"] is True


OCTETS = st.binary(max_size=600)
LATIN = st.text(st.characters(codec="latin-1", exclude_characters="\r\n\x00"), max_size=80)


@settings(
    max_examples=max(40, REQUESTS // 8),
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    body=st.one_of(
        OCTETS,
        OCTETS.map(lambda b: b"image=" + b),
        OCTETS.map(lambda b: b"image=" + base64.b64encode(b)),
        OCTETS.map(lambda b: b"image=" + base64.b64encode(SEEDS[2][:40] + b)),
        OCTETS.map(lambda b: b"image=" + quote_plus(base64.b64encode(SEEDS[0][:300] + b + SEEDS[0][300:])).encode()),
    ),
    content_type=LATIN,
    query=st.text(alphabet="access_token=&?%41+;.-/0", max_size=60),
    with_token=st.booleans(),
)
def test_any_body_query_and_type(target: Live, body: bytes, content_type: str, query: str, with_token: bool) -> None:
    token = _token(target)
    url = f"{wire.PATH}?{query}&access_token={token}" if with_token else f"{wire.PATH}?{query}"
    request = http_request(
        url, body, headers={"Content-Type": content_type.encode("latin-1").decode("utf-8", "surrogateescape")}
    )
    answer = send(target, request)
    assert answer is not None
    assert_an_answer(answer, request)


_TOKENS: dict[str, str] = {}


def _token(live: Live) -> str:
    return _TOKENS.setdefault(live.url, live.token())


def test_clients_that_stop_in_the_middle(target: Live, tmp_path: Path) -> None:
    """Slow bodies and headers, and connections that end anywhere: each is let go in time, none keeps its place."""
    token = _token(target)
    good = http_request(
        f"{wire.PATH}?access_token={token}", urlencode({"image": base64.b64encode(SEEDS[2]).decode()}).encode()
    )
    stuck = []
    for cut in range(1, len(good), max(1, len(good) // 20)):
        connection = socket.create_connection(("127.0.0.1", target.settings.port), timeout=120)
        connection.sendall(good[:cut])
        stuck.append(connection)
    assert "seg_info" in target.call(token, picture()) or REAL, "others are answered meanwhile"
    for connection in stuck:
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        connection.close()
        assert b'"reason":"http"' in answer or b'"reason":"body_timeout"' in answer

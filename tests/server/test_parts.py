"""The server's parts, each on its own: HMAC states, keys, tokens, signatures, limits, bodies, settings, logs."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import stat
import threading
import time
from collections.abc import MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idseg.cloud.errors import (
    BodyTimeoutError,
    BusyError,
    DailyQuotaError,
    ExpiredTokenError,
    RateError,
    SignatureError,
    UnavailableError,
    UnknownTokenError,
)
from idseg.errors import NoPersonError, OptionError, PhotoSizeError
from idseg.server.auth import bce, midstate, tokens
from idseg.server.auth.access import query_token
from idseg.server.auth.keys import Key, Keyring, environment_keys, new_pair, read_keys, write_keys
from idseg.server.auth.midstate import Midstate
from idseg.server.http.body import Body, Disconnected
from idseg.server.http.limits import Budget, DailyQuota, Pool, RateLimit
from idseg.server.logs import JsonFormatter, logging_config
from idseg.server.settings import Settings, default_state_folder
from idseg.system import usable_cores

NOW = 1_790_000_000


# --- midstate ---------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=150), st.binary(max_size=200))
def test_an_hmac_from_states_is_hmac_sha256(key: bytes, message: bytes) -> None:
    assert Midstate.of(key).hmac(message) == hmac.digest(key, message, "sha256")


def test_the_derived_constants_are_sha256s() -> None:
    """First words of FIPS 180-4, 4.2.2 and 5.3.3."""
    assert midstate._ROUND[:2] == (0x428A2F98, 0x71374491)
    assert midstate._ROUND[-1] == 0xC67178F2
    assert midstate._START[0] == 0x6A09E667
    assert midstate._START[-1] == 0x5BE0CD19


# --- keys -------------------------------------------------------------------------------------------------------------


def test_a_key_knows_its_secret_and_no_other(tmp_path: Path) -> None:
    api_key, secret_key = new_pair()
    path = tmp_path / "deep" / "keys.json"
    write_keys(path, [Key.of(api_key, secret_key)])
    (key,) = read_keys(path)
    assert key.has_secret(secret_key)
    assert not key.has_secret(secret_key[:-1])
    assert not key.has_secret("")
    assert not key.has_secret("\ud800" * 3)


def test_a_key_file_is_private_and_does_not_hold_the_secret(tmp_path: Path) -> None:
    api_key, secret_key = new_pair()
    path = tmp_path / "keys.json"
    write_keys(path, [Key.of(api_key, secret_key)])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_bytes()
    assert secret_key.encode() not in text
    assert hashlib.sha256(secret_key.encode()).hexdigest().encode() not in text
    assert list(tmp_path.iterdir()) == [path], "a temporary file was left"


def test_a_token_only_key_keeps_nothing_to_sign_with(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    write_keys(path, [Key.of(*new_pair(), may_sign=False)])
    assert "signing" not in path.read_text()
    assert read_keys(path)[0].signing is None


def test_keys_come_from_the_environment() -> None:
    (key,) = environment_keys({"IDSEG_API_KEY": "my-own-key", "IDSEG_SECRET_KEY": "my-own-secret"})
    assert key.api_key == "my-own-key"
    assert key.has_secret("my-own-secret")
    assert environment_keys({}) == ()
    with pytest.raises(OptionError):
        environment_keys({"IDSEG_API_KEY": "my-own-key"})
    with pytest.raises(OptionError):
        environment_keys({"IDSEG_API_KEY": "my-own-key", "IDSEG_SECRET_KEY": "short"})


def test_a_keyring_sees_the_file_change(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    ring = Keyring((), path)
    assert len(ring) == 0
    one, two = Key.of("key-one", "secret-of-one"), Key.of("key-two", "secret-of-two")
    write_keys(path, [one, two])
    assert ring.by_api_key("key-one") == one
    assert ring.by_app_id(two.app_id) == two
    write_keys(path, [two])
    assert ring.by_api_key("key-one") is None
    assert ring.by_app_id(one.app_id) is None
    path.write_text("{broken")
    assert ring.by_api_key("key-two") == two, "a damaged file must not lock everybody out"
    path.unlink()
    assert len(ring) == 0


def test_a_damaged_key_file_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    for text in ("{broken", "[]", '{"keys": [{}]}', '{"keys": 7}'):
        path.write_text(text)
        with pytest.raises(OptionError, match="no file of keys"):
            Keyring((), path)


@pytest.mark.parametrize("may_sign", [True, False])
def test_tokens_are_bound_to_the_secret(tmp_path: Path, may_sign: bool) -> None:
    path = tmp_path / "keys.json"
    key = Key.of("key-one", "secret-of-one", may_sign=may_sign)
    write_keys(path, [key])
    assert read_keys(path)[0].token_secret(b"server") == key.token_secret(b"server")
    assert Key.of("key-one", "secret-of-two").token_secret(b"server") != key.token_secret(b"server")
    assert key.token_secret(b"other server") != key.token_secret(b"server")


def test_a_pair_of_the_environment_signs_the_same_after_a_restart() -> None:
    first, second = Key.of("key-one", "secret-of-one"), Key.of("key-one", "secret-of-one")
    assert first.token_secret(b"server") == second.token_secret(b"server")


def test_the_second_check_of_a_secret_is_quick_and_as_strict() -> None:
    key = Key.of("key-one", "secret-of-one")
    ring = Keyring([key])
    assert ring.check(key, "secret-of-one")
    assert not ring.check(key, "secret-of-two")
    started = time.perf_counter()
    assert ring.check(key, "secret-of-one")
    assert time.perf_counter() - started < 0.005


# --- tokens -----------------------------------------------------------------------------------------------------------

SECRET = b"s" * 32


def test_a_token_has_the_clouds_shape_and_its_app() -> None:
    reply = tokens.issue(SECRET, 12345678, NOW, 2592000)
    assert list(reply) == ["refresh_token", "expires_in", "scope", "session_key", "access_token", "session_secret"]
    kind, mac, life, expires, owner = reply["access_token"].split(".")
    assert (kind, len(mac), life, expires) == ("24", 32, "2592000", str(NOW + 2592000))
    assert owner.split("-")[1] == "12345678"
    assert reply["refresh_token"].startswith("25.")
    assert ".315360000." in reply["refresh_token"]
    assert "brain_all_scope" in reply["scope"].split(" ")
    assert tokens.app_of(reply["access_token"]) == 12345678
    tokens.verify(SECRET, reply["access_token"], NOW)


def test_a_token_ends() -> None:
    token = tokens.issue(SECRET, 1, NOW, 100)["access_token"]
    tokens.verify(SECRET, token, NOW + 99)
    with pytest.raises(ExpiredTokenError):
        tokens.verify(SECRET, token, NOW + 100)


@given(st.data())
def test_a_changed_token_is_unknown(data: st.DataObject) -> None:
    token = tokens.issue(SECRET, 12345678, NOW, 2592000)["access_token"]
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(codec="latin-1").filter(lambda c: c != token[place]))
    with pytest.raises(UnknownTokenError):
        tokens.verify(SECRET, token[:place] + other + token[place + 1 :], NOW)


def test_a_refresh_token_and_another_servers_token_are_unknown() -> None:
    with pytest.raises(UnknownTokenError):
        tokens.verify(SECRET, tokens.issue(SECRET, 1, NOW, 100)["refresh_token"], NOW)
    with pytest.raises(UnknownTokenError):
        tokens.verify(SECRET, tokens.issue(b"t" * 32, 1, NOW, 100)["access_token"], NOW)


def test_workers_that_start_together_agree_on_one_secret(tmp_path: Path) -> None:
    path = tmp_path / "state" / "token.key"
    with ThreadPoolExecutor(8) as pool:
        secrets = set(pool.map(lambda _: tokens.load_secret(path), range(32)))
    assert len(secrets) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["token.key"]
    path.write_bytes(b"short")
    with pytest.raises(OptionError, match="damaged"):
        tokens.load_secret(path)


@pytest.mark.parametrize(
    ("query", "token"),
    [
        ("access_token=24.a-b", "24.a-b"),
        ("aipSdk=node&access_token=24.a-b?aipSdk=node", "24.a-b"),
        ("access_token=24.a-b&aipSdk=python&aipVersion=4_16_13", "24.a-b"),
        ("access%5Ftoken=24%2Ea-b", "24.a-b"),
        ("access_token=", None),
        ("", None),
        ("x_access_token=1", None),
    ],
)
def test_the_token_of_a_query(query: str, token: str | None) -> None:
    assert query_token(query) == token


# --- signatures -------------------------------------------------------------------------------------------------------

PATH = "/rest/2.0/image-classify/v1/body_seg_photo"
STAMP = "2026-09-21T14:13:20Z"  # NOW
HEADERS = [("host", "127.0.0.1"), ("x-bce-date", STAMP), ("content-type", "text/plain")]


def signed(secret: str, query: str = "aipSdk=python", stamp: str = STAMP, seconds: str = "1800") -> str:
    """As aip/base.py signs."""
    scope = f"bce-auth-v1/key-one/{stamp}/{seconds}"
    signing_key = hmac.new(secret.encode(), scope.encode(), hashlib.sha256).hexdigest()
    headers = f"host:127.0.0.1\nx-bce-date:{STAMP.replace(':', '%3A')}"
    text = f"POST\n{PATH}\n{query}\n{headers}"
    signature = hmac.new(signing_key.encode(), text.encode(), hashlib.sha256).hexdigest()
    return f"{scope}/host;x-bce-date/{signature}"


def verify(
    header: str, *, method: str = "POST", path: str = PATH, query: str = "aipSdk=python", now: float = NOW
) -> None:
    key = Key.of("key-one", "secret-of-one")
    assert key.signing is not None
    bce.verify(bce.read_credential(header), key.signing, method, path, query, HEADERS, now)


def test_a_good_signature_passes_for_half_an_hour() -> None:
    header = signed("secret-of-one")
    for now in (NOW - 800, NOW, NOW + 1799):
        verify(header, now=now)


@pytest.mark.parametrize(
    "changed",
    [
        {"header": signed("secret-of-two")},
        {"method": "GET"},
        {"path": "/rest/2.0/other"},
        {"query": "aipSdk=node"},
        {"now": NOW + 1801},
        {"now": NOW - 1000},
        {"header": signed("secret-of-one", seconds="999999"), "now": NOW + 5000},
        {"header": signed("secret-of-one", seconds="abc")},
        {"header": signed("secret-of-one", stamp="yesterday")},
        {"header": signed("secret-of-one")[:-1] + "é"},
        {"header": "bce-auth-v1/key-one"},
        {"header": "bce-auth-v2" + signed("secret-of-one")[11:]},
    ],
)
def test_any_other_signature_does_not(changed: dict[str, Any]) -> None:
    with pytest.raises(SignatureError):
        verify(changed.pop("header", signed("secret-of-one")), **changed)


def test_node_and_python_spell_a_query_differently() -> None:
    for spelled, raw in (("a=x+y", "a=x%20y"), ("a=x%20y", "a=x%20y"), ("a=1&b=", "b=&a=1")):
        verify(signed("secret-of-one", spelled), query=raw)


# --- limits -----------------------------------------------------------------------------------------------------------


def test_the_pool_takes_what_fits_and_refuses_the_next() -> None:
    async def scenario() -> None:
        pool = Pool(threads=2, queue=1)
        go = threading.Event()
        running = [pool.submit(lambda: go.wait(10)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await pool.submit(lambda: True)
        go.set()
        assert await asyncio.gather(*running) == [True] * 3
        await asyncio.sleep(0.01)
        assert pool.accepted == 0
        pool.close()
        with pytest.raises(UnavailableError):
            await pool.submit(lambda: True)

    asyncio.run(scenario())


def test_a_cancelled_photo_leaves_the_queue_unworked() -> None:
    async def scenario() -> None:
        pool = Pool(threads=1, queue=5)
        go, worked = threading.Event(), []
        first = pool.submit(lambda: go.wait(10))
        await asyncio.sleep(0.01)
        second = pool.submit(lambda: worked.append(2))
        await asyncio.sleep(0.01)
        second.cancel()
        await asyncio.sleep(0.01)
        assert pool.accepted == 1
        go.set()
        await first
        await asyncio.to_thread(pool.close)
        assert worked == []

    asyncio.run(scenario())


def test_closing_finishes_what_was_accepted() -> None:
    async def scenario() -> None:
        pool = Pool(threads=1, queue=5)
        results: list[int] = []

        def work(number: int) -> None:
            time.sleep(0.02)
            results.append(number)

        waiting = [pool.submit(lambda n=n: work(n)) for n in range(4)]  # type: ignore[misc]
        await asyncio.sleep(0)
        await asyncio.to_thread(pool.close)
        await asyncio.gather(*waiting)
        assert results == [0, 1, 2, 3]

    asyncio.run(scenario())


def test_work_that_raises_gives_its_place_back() -> None:
    async def scenario() -> None:
        pool = Pool(threads=1, queue=0)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await pool.submit(lambda: 1 // 0)
            await asyncio.sleep(0.01)
        pool.close()

    asyncio.run(scenario())


def test_a_budget_comes_back() -> None:
    budget = Budget(100)
    with budget.account() as take:
        take(60)
        with budget.account() as other:
            other(30)
            with pytest.raises(BusyError):
                other(30)
        assert budget.used == 60
        take(40)
    assert budget.used == 0


def test_a_rate_is_a_bucket_for_each_key() -> None:
    now = 0.0
    rate = RateLimit(2.0, lambda: now)
    rate.spend("a")
    rate.spend("a")
    with pytest.raises(RateError):
        rate.spend("a")
    rate.spend("b")
    now = 0.5
    rate.spend("a")
    with pytest.raises(RateError):
        rate.spend("a")
    now = 100.0
    rate.spend("a")
    rate.spend("a")
    with pytest.raises(RateError):
        rate.spend("a")


def test_a_slow_rate_still_lets_one_through() -> None:
    now = 0.0
    rate = RateLimit(0.1, lambda: now)
    rate.spend("a")
    with pytest.raises(RateError) as caught:
        rate.spend("a")
    assert caught.value.facts["retry_after_s"] == 10
    now = 10.0
    rate.spend("a")


def test_a_quota_begins_again_with_the_day() -> None:
    day = "2026-11-23"
    quota = DailyQuota(2, lambda: day)
    for _ in range(2):
        quota.check("a")
        quota.count("a")
    with pytest.raises(DailyQuotaError):
        quota.check("a")
    quota.check("b")
    day = "2026-11-24"
    quota.check("a")


# --- bodies -----------------------------------------------------------------------------------------------------------


class Sender:
    """An ASGI channel that sends chunks, then hangs as uvicorn's does."""

    def __init__(self, *chunks: bytes, disconnect: bool = False, complete: bool = True) -> None:
        self._chunks = list(chunks)
        self._disconnect = disconnect
        self._complete = complete

    async def __call__(self) -> MutableMapping[str, Any]:
        if self._chunks:
            chunk = self._chunks.pop(0)
            return {"type": "http.request", "body": chunk, "more_body": bool(self._chunks) or not self._complete}
        if self._disconnect:
            return {"type": "http.disconnect"}
        await asyncio.sleep(3600)
        raise AssertionError("nobody waits an hour")


def nothing(_: int) -> None:
    """No budget."""


def test_a_body_is_read_once_and_drained_never() -> None:
    async def scenario() -> None:
        body = Body(Sender(b"ab", b"", b"cd"), 5)
        assert await body.read(4, nothing) == b"abcd"
        assert await body.drain()

    asyncio.run(scenario())


def test_a_large_body_is_refused_and_drained() -> None:
    async def scenario() -> None:
        body = Body(Sender(b"ab", b"cd", b"ef"), 5)
        with pytest.raises(PhotoSizeError):
            await body.read(3, nothing)
        assert await body.drain()

    asyncio.run(scenario())


def test_an_endless_body_is_not_drained_to_its_end() -> None:
    async def scenario() -> None:
        body = Body(Sender(*[bytes(2**20)] * 70), 5)
        with pytest.raises(PhotoSizeError):
            await body.read(3, nothing)
        assert not await body.drain()

    asyncio.run(scenario())


def test_a_slow_body_times_out_once() -> None:
    async def scenario() -> None:
        body = Body(Sender(b"ab", complete=False), 0.05)
        started = time.perf_counter()
        with pytest.raises(BodyTimeoutError):
            await body.read(10, nothing)
        assert not await body.drain()
        assert time.perf_counter() - started < 1

    asyncio.run(scenario())


def test_a_client_that_leaves_is_noticed() -> None:
    async def scenario() -> None:
        with pytest.raises(Disconnected):
            await Body(Sender(b"ab", disconnect=True, complete=False), 5).read(10, nothing)
        await asyncio.wait_for(Body(Sender(disconnect=True), 5).left(), 1)

    asyncio.run(scenario())


# --- settings and logs ------------------------------------------------------------------------------------------------


def test_settings_travel() -> None:
    wanted = Settings(port=9, workers=3, cors_origins=("https://a.example",), rate_per_s=1.5)
    assert Settings.from_json(wanted.to_json()) == wanted


@pytest.mark.parametrize(
    "wrong",
    [
        {"auth": False, "host": "0.0.0.0"},  # noqa: S104
        {"auth": False, "host": "192.168.1.5"},
        {"auth": False, "cors_origins": ("*",)},
        {"tls_cert": "a.pem"},
        {"port": 65536},
        {"workers": 0},
        {"queue": -1},
        {"rate_per_s": -1.0},
        {"token_seconds": 0},
    ],
)
def test_dangerous_or_senseless_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        Settings(**wrong)


def test_the_state_folder_follows_the_environment() -> None:
    assert default_state_folder({"IDSEG_STATE": "/a"}) == Path("/a")
    assert default_state_folder({"XDG_STATE_HOME": "/b"}) == Path("/b/idseg")
    assert default_state_folder({}) == Path.home() / ".local/state/idseg"


def test_cores_are_shared_among_workers() -> None:
    cores = usable_cores()
    assert Settings().thread_count == cores
    assert Settings(workers=256).thread_count == 1
    assert Settings(threads=7).thread_count == 7


def _formatted(error: Exception) -> dict[str, Any]:
    try:
        raise error
    except Exception as caught:  # noqa: BLE001
        trace = (type(caught), caught, caught.__traceback__)
    record = logging.LogRecord("idseg.server", logging.ERROR, __file__, 1, "answered", None, trace)
    entry: dict[str, Any] = json.loads(JsonFormatter().format(record))
    return entry


def test_a_log_line_never_quotes_a_foreign_exception() -> None:
    entry = _formatted(ValueError("cannot read b'the photo'"))
    assert entry["error"]["type"] == "ValueError"
    assert any("_formatted" in frame for frame in entry["error"]["frames"])
    assert "the photo" not in json.dumps(entry)
    assert _formatted(NoPersonError("nobody"))["error"]["message"] == "nobody"


def test_uvicorn_writes_no_access_log() -> None:
    """It would hold the query, and so the token."""
    assert logging_config("info")["loggers"]["uvicorn.access"]["handlers"] == []

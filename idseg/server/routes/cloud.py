"""The API over HTTP: the ``body_seg_photo`` call and the token endpoint."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from idseg.cloud import wire
from idseg.cloud.errors import INTERNAL, BusyError, NoCredentialError, Reply, UnavailableError, render_error
from idseg.errors import IdsegError, PhotoSizeError
from idseg.server.auth import tokens
from idseg.server.auth.access import Access, query_string
from idseg.server.http.body import Body, Disconnected
from idseg.server.http.limits import Budget, DailyQuota, Pool, RateLimit
from idseg.server.logs import log
from idseg.server.metrics import Metrics
from idseg.server.routes.photo_api import Segment
from idseg.stages.decode import API_LIMITS

TOKEN_BODY: Final = 64 * 1024
"""Bytes of a token request's form."""
LOGINS: Final = 32
"""Logins that may wait for their scrypt, one at a time."""
_JSON: Final = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """Bytes, JSON unless the headers say otherwise, and what the log and the metrics want to know of them."""

    body: bytes
    code: int = 0
    reason: str = ""
    stages_ms: Mapping[str, float] = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Gate:
    """Everything a request passes on its way to a photo: who, how much, how fast, and the pool."""

    access: Access
    pool: Pool
    budget: Budget
    anonymous: Budget
    """Of that, for bodies whose sender is not known before they are read."""
    rate: RateLimit
    quota: DailyQuota
    metrics: Metrics
    segment: Segment
    body_timeout_s: float
    answer_timeout_s: float

    def admit(self, caller: str) -> None:
        """Raises RateError or DailyQuotaError."""
        self.rate.spend(caller)
        self.quota.check(caller)

    async def work(self, caller: str, body: Body, work: Callable[[], Answer]) -> Answer:
        """Run in the pool, or stop caring when the client goes away or has waited long enough.

        Raises:
            BusyError, DailyQuotaError, UnavailableError, Disconnected, and what ``work`` raises.
        """
        self.quota.check(caller)  # others of this key may have come while the body did
        working = self.pool.submit(work)
        self.quota.count(caller)
        leaving = asyncio.ensure_future(body.left())
        try:
            both: set[asyncio.Future[Any]] = {working, leaving}
            await asyncio.wait(both, timeout=self.answer_timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if leaving.done() and not working.done():
                raise Disconnected
            if not working.done():
                raise UnavailableError(f"no answer within {self.answer_timeout_s:g} s")
            return working.result()
        finally:
            working.cancel()
            leaving.cancel()


Refuse: TypeAlias = Callable[[BaseException, int], Answer]
Answering: TypeAlias = Callable[[int, Body, Callable[[int], None]], Awaitable[Answer]]


def refuse(
    error: BaseException, log_id: int, render_error: Callable[[BaseException, int], Reply] = render_error
) -> Answer:
    """The API's answer to an error: HTTP 200."""
    reply = render_error(error, log_id)
    return Answer(wire.dumps(reply), reply["error_code"], reason_of(error))


def reason_of(error: BaseException) -> str:
    """For the log."""
    return error.reason if isinstance(error, IdsegError) else type(error).__name__


async def respond(
    gate: Gate,
    request: Request,
    endpoint: str,
    answer: Answering,
    refuse: Refuse = refuse,
) -> Response:
    """Run one endpoint: whatever happens there, the client gets JSON, and the log and the metrics one entry.

    Args:
        answer: coroutine function of (log_id, body, take): take as in :meth:`Budget.account`.
        refuse: error and log_id → answer.
    """
    log_id, started = wire.new_log_id(), time.perf_counter()
    caught: BaseException | None = None
    waits = request.headers.get("expect", "").lower() == "100-continue"
    body = Body(request.receive, gate.body_timeout_s, waits=waits)
    try:
        with gate.budget.account() as take:
            done = await answer(log_id, body, take)
    except Disconnected:
        gate.metrics.lost.inc()
        log(logging.INFO, "client gone", endpoint=endpoint, log_id=log_id, ms=_ms_since(started))
        return Response(status_code=400)  # nobody reads it
    except Exception as error:  # noqa: BLE001 - the last line: a fault of ours must still be the API's JSON
        caught = error
        done = refuse(error, log_id)
    seconds = time.perf_counter() - started
    gate.metrics.observe(endpoint, done.code, seconds, done.stages_ms)
    ours = done.code in (INTERNAL, 2)
    log(
        logging.ERROR if ours else logging.INFO,
        "answered",
        exc_info=caught if ours else None,
        endpoint=endpoint,
        log_id=log_id,
        code=done.code,
        reason=done.reason,
        ms=_ms_since(started),
        stages_ms={stage: round(value, 1) for stage, value in done.stages_ms.items()},
    )
    headers = {"content-type": _JSON, "cache-control": "no-store", "x-log-id": str(log_id), **done.headers}
    if not await body.drain():
        headers["connection"] = "close"
    return Response(done.body, done.status, headers=headers)


def _ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)


async def body_seg_photo(gate: Gate, request: Request) -> Response:
    """``POST /rest/2.0/image-classify/v1/body_seg_photo``."""

    async def answer(log_id: int, body: Body, take: Callable[[int], None]) -> Answer:
        caller = gate.access.caller(request)
        if caller is not None:
            gate.admit(caller)
        check_announced(request, wire.MAX_BODY)
        if caller is None:
            caller, text = await _read_anonymous(gate, body, take)
        else:
            text = await body.read(wire.MAX_BODY, take)
        gate.metrics.received.inc(len(text))
        content_type = request.headers.get("content-type", "")
        return await gate.work(caller, body, partial(_answer_photo, gate.segment, text, content_type, log_id))

    return await respond(gate, request, "body_seg_photo", answer)


async def _read_anonymous(gate: Gate, body: Body, take: Callable[[int], None]) -> tuple[str, bytes]:
    """The caller by the ``access_token`` in the form, and the body. Such bodies share a quarter of the memory, so that
    callers who are nobody cannot take all of it."""
    with gate.anonymous.account() as take_of_quarter:

        def take_both(count: int) -> None:
            take_of_quarter(count)
            take(count)

        text = await body.read(wire.MAX_BODY, take_both)
        token = (await asyncio.to_thread(wire.parse_form, text)).access_token
        if not token:
            raise NoCredentialError("send an access_token in the query, or sign the request")
        caller = gate.access.by_token(token)
    gate.admit(caller)
    return caller, text


def check_announced(request: Request, limit: int) -> None:
    """Refuse by Content-Length before anything is read (curl waits for that with Expect: 100-continue)."""
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > limit:
        raise PhotoSizeError(f"the body is larger than {limit} bytes", max_body_bytes=limit)


def _answer_photo(segment: Segment, body: bytes, content_type: str, log_id: int) -> Answer:
    """In a thread of the pool: from the body to the JSON."""
    started = time.perf_counter()
    photo = wire.parse(body, content_type).image
    parsed = time.perf_counter()
    result = segment(photo, limits=API_LIMITS)
    segmented = time.perf_counter()
    text = wire.dumps(wire.render(result, log_id))
    rendered = time.perf_counter()
    stages = {"parse": (parsed - started) * 1000, **result.timings_ms, "render": (rendered - segmented) * 1000}
    return Answer(text, stages_ms=stages)


class Logins:
    """The token endpoint. Its scrypt runs in one thread of its own, so that guessing secrets cannot take the photos'
    cores."""

    def __init__(self, access: Access, body_timeout_s: float) -> None:
        self._access = access
        self._body_timeout_s = body_timeout_s
        self._pool = Pool(1, LOGINS)

    def close(self) -> None:
        self._pool.close()

    async def answer(self, request: Request) -> Response:
        """GET with a query, POST with a query, POST with a form: 200 with tokens, else 400 or 401."""
        body = Body(request.receive, self._body_timeout_s)
        try:
            status, reply = await self._answer(request, body)
        except Disconnected:
            return Response(status_code=400)
        except BusyError:
            status, reply = 503, _refusal("temporarily_unavailable", "Too many logins at once")
        except IdsegError:
            await body.drain()
            status, reply = 400, _refusal("invalid_request", "The form is too large or too slow")
        log(logging.INFO, "token", status=status, error=reply.get("error", ""))
        return Response(wire.dumps(reply), status, headers={"content-type": _JSON, "cache-control": "no-store"})

    async def _answer(self, request: Request, body: Body) -> tuple[int, Reply]:
        form = await body.read(TOKEN_BODY, lambda _: None)
        fields = {**_fields(form.decode("latin-1")), **_fields(query_string(request))}
        if fields.get("grant_type") != "client_credentials":
            return 400, _refusal("unsupported_grant_type", "The authorization grant type is not supported")
        app_id, secret = 0, self._access.secret
        keyring = self._access.keyring
        if keyring is not None:
            key = keyring.by_api_key(fields.get("client_id", ""))
            if key is None:
                return 401, {"error_description": "unknown client id", "error": "invalid_client"}
            if not await self._pool.submit(partial(keyring.check, key, fields.get("client_secret", ""))):
                return 401, _refusal("invalid_client", "Client authentication failed")
            app_id, secret = key.app_id, key.token_secret(secret)
        now = int(self._access.clock())
        return 200, tokens.issue(secret, app_id, now, self._access.token_seconds)


def _fields(text: str) -> dict[str, str]:
    """Fields of a query or a form; the first of each name wins, and more than a hundred are nobody's login."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=100, errors="replace")
    except ValueError:
        return {}
    return dict(reversed(pairs))


def _refusal(error: str, description: str) -> Reply:
    return {"error": error, "error_description": description}

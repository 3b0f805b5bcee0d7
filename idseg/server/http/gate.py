"""What a request passes on its way to a photo, and how it is answered whatever happens: who, how much, how fast, and
the workers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeAlias, cast

from starlette.requests import Request
from starlette.responses import Response

from idseg.cloud import wire
from idseg.cloud.errors import INTERNAL, BusyError, Reply, UnavailableError, render_error
from idseg.errors import IdsegError, PhotoSizeError
from idseg.server.auth.access import Access
from idseg.server.auth.site import refuse_foreign_site
from idseg.server.crew import Crew, Work
from idseg.server.http.body import Body, Disconnected
from idseg.server.http.limits import Budget, DailyQuota, PhotoThreads, RateLimit
from idseg.server.logs import log
from idseg.server.metrics import Metrics

JSON: Final = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """Bytes, JSON unless the headers say otherwise, and what the log and the metrics want to know of them."""

    body: bytes
    code: int = 0
    reason: str = ""
    stages_ms: Mapping[str, float] = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    keep: Any = None
    """For the route, not for the client."""


@dataclass(frozen=True)
class Gate:
    """One for the whole server."""

    access: Access
    crew: Crew
    pool: PhotoThreads
    """Threads that wait for the workers, and the queue before them."""
    budget: Budget
    anonymous: Budget
    """Of that, for bodies whose sender is not known before they are read."""
    rate: RateLimit
    quota: DailyQuota
    metrics: Metrics
    body_timeout_s: float
    answer_timeout_s: float
    origins: Collection[str] = frozenset()
    """Web sites besides our own page that may call a server without keys."""

    def admit(self, caller: str, request: Request) -> None:
        """The request is this caller's. Raises RateError or DailyQuotaError."""
        if self.access.keyring is not None:
            request.state.account.belongs_to(caller)
        self.rate.spend(caller)
        self.quota.check(caller)

    def refuse_foreign_site(self, headers: Mapping[str, str]) -> None:
        """A server without keys answers this machine's programs, its own page and named sites only.

        Raises:
            ForeignSiteError: a browser made the call for another site, or under another name than this machine's.
        """
        if self.access.is_open:
            refuse_foreign_site(headers, needs_loopback=True, origins=self.origins)

    async def work(self, caller: str, body: Body, work: Work, near: Hashable = None) -> Answer:
        """Run in a worker process, or stop caring when the client goes away or has waited long enough.

        Args:
            caller: for the quota.
            body: the request's, read to its end.
            work: a module's function with its arguments; called in the worker with what the worker has loaded.
            near: see :meth:`idseg.server.crew.Crew.do`.

        Raises:
            BusyError, DailyQuotaError, UnavailableError, Disconnected, and what ``work`` raises.
        """
        self.quota.check(caller)  # others of this key may have come while the body did
        working = self.pool.submit(partial(self.crew.do, work, near), caller)
        self.quota.count(caller)
        leaving = asyncio.ensure_future(body.left())
        try:
            both: set[asyncio.Future[Any]] = {working, leaving}
            await asyncio.wait(both, timeout=self.answer_timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if leaving.done() and not working.done():
                raise Disconnected
            if not working.done():
                raise UnavailableError(f"no answer within {self.answer_timeout_s:g} s")
            return cast(Answer, working.result())
        except BusyError:  # the place went to another caller
            self.quota.count(caller, -1)
            raise
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
        answer: coroutine function of (log_id, body, take): take is an :class:`~idseg.server.http.limits.Account`.
        refuse: error and log_id → answer.
    """
    log_id, started = wire.new_log_id(), time.perf_counter()
    caught: BaseException | None = None
    try:
        with gate.budget.account() as take:
            request.state.account = take
            done = await answer(log_id, Body(request.receive, gate.body_timeout_s), take)
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
    headers = {"content-type": JSON, "cache-control": "no-store", "x-log-id": str(log_id), **done.headers}
    return Response(done.body, done.status, headers=headers)


def _ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)


def check_announced(request: Request, limit: int) -> None:
    """Refuse by Content-Length before anything is read (curl waits for that with Expect: 100-continue).

    Raises:
        PhotoSizeError: more than ``limit`` bytes are announced.
    """
    announced = request.headers.get("content-length", "").lstrip("0")
    if announced.isascii() and announced.isdigit() and (len(announced) > 18 or int(announced) > limit):
        raise PhotoSizeError(f"the body is larger than {limit} bytes", max_body_bytes=limit)

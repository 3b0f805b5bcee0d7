"""The steps between a request and its photo: credentials, limits, workers, and an answer in every case."""

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
    """Bytes (JSON unless the headers differ), and values for the log and the metrics."""

    body: bytes
    code: int = 0
    reason: str = ""
    stages_ms: Mapping[str, float] = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    keep: Any = None
    """A value for the route that is not sent to the client."""


@dataclass(frozen=True)
class Gate:
    """The gate; one object per server."""

    access: Access
    crew: Crew
    pool: PhotoThreads
    """Threads that wait for the workers, with their queue."""
    budget: Budget
    anonymous: Budget
    """Part of the memory for bodies whose sender is unknown until they are read."""
    rate: RateLimit
    quota: DailyQuota
    metrics: Metrics
    body_timeout_s: float
    answer_timeout_s: float
    origins: Collection[str] = frozenset()
    """Other web sites that may call a server without keys."""

    def admit(self, caller: str, request: Request) -> None:
        """Count the request for this caller. Raises RateError or DailyQuotaError."""
        if self.access.keyring is not None:
            request.state.account.belongs_to(caller)
        self.rate.spend(caller)
        self.quota.check(caller)

    def refuse_foreign_site(self, headers: Mapping[str, str]) -> None:
        """On a server without keys, allow only local programs, the server's own page and the configured sites.

        Raises:
            ForeignSiteError: the call came from another site, or used another host name than this machine's.
        """
        if self.access.is_open:
            refuse_foreign_site(headers, needs_loopback=True, origins=self.origins)

    async def work(self, caller: str, body: Body, work: Work, near: Hashable = None) -> Answer:
        """Run the work in a worker process; stop waiting if the client disconnects or the time is over.

        Args:
            caller: the caller, for the quota.
            body: the body of the request, read to its end.
            work: a module-level function with arguments, called in the worker.
            near: see :meth:`idseg.server.crew.Crew.do`.

        Raises:
            BusyError, DailyQuotaError, UnavailableError, Disconnected, and the errors of ``work``.
        """
        self.quota.check(caller)  # other requests with this key may have arrived meanwhile
        working = self.pool.submit(partial(self.crew.do, work, near), caller)
        self.quota.count(caller)
        leaving = asyncio.ensure_future(body.left())
        both: set[asyncio.Future[Any]] = {working, leaving}
        try:
            await asyncio.wait(both, timeout=self.answer_timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if leaving.done() and not working.done():
                raise Disconnected
            if not working.done():
                raise UnavailableError(f"no answer within {self.answer_timeout_s:g} s")
            return cast(Answer, working.result())
        except BusyError:  # another caller got the place
            self.quota.count(caller, -1)
            raise
        finally:
            working.cancel()
            leaving.cancel()
            del working, both  # an error of theirs knows this frame, and the frame the body


Refuse: TypeAlias = Callable[[BaseException, int], Answer]
Answering: TypeAlias = Callable[[int, Body, Callable[[int], None]], Awaitable[Answer]]


def refuse(
    error: BaseException, log_id: int, render_error: Callable[[BaseException, int], Reply] = render_error
) -> Answer:
    """The API's answer to an error (HTTP 200)."""
    reply = render_error(error, log_id)
    return Answer(wire.dumps(reply), reply["error_code"], reason_of(error))


def reason_of(error: BaseException) -> str:
    """The reason of an error for the log."""
    return error.reason if isinstance(error, IdsegError) else type(error).__name__


async def respond(
    gate: Gate,
    request: Request,
    endpoint: str,
    answer: Answering,
    refuse: Refuse = refuse,
) -> Response:
    """Run one endpoint. In every case, the client gets JSON, and the log and the metrics get one entry.

    Args:
        answer: coroutine function of (log_id, body, take); take is an :class:`~idseg.server.http.limits.Account`.
        refuse: converts an error and a log_id to an answer.
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
        return Response(status_code=400)  # the client is gone
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
    del caught  # knows this frame by its traceback, and with it the body
    headers = {"content-type": JSON, "cache-control": "no-store", "x-log-id": str(log_id), **done.headers}
    return Response(done.body, done.status, headers=headers)


def _ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)


def check_announced(request: Request, limit: int) -> None:
    """Refuse a body by its Content-Length before reading it (curl waits for this with Expect: 100-continue).

    Raises:
        PhotoSizeError: the announced size exceeds ``limit`` bytes.
    """
    announced = request.headers.get("content-length", "").lstrip("0")
    if announced.isascii() and announced.isdigit() and (len(announced) > 18 or int(announced) > limit):
        raise PhotoSizeError(f"the body is larger than {limit} bytes", max_body_bytes=limit)

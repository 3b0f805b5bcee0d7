"""HTTP/1.1 below the application: uvicorn's own, with answers in JSON and a time for the headers."""

from __future__ import annotations

import asyncio
import os
from functools import lru_cache
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from idseg.cloud.errors import NoCredentialError, render_error
from idseg.cloud.wire import dumps, new_log_id
from idseg.server.settings import SETTINGS_VARIABLE, Settings

WRITE_TIMEOUT_S: Final = 60.0
"""A client that does not read its answer keeps it in memory no longer than this."""


@lru_cache(maxsize=1)
def _header_timeout_s() -> float:
    text = os.environ.get(SETTINGS_VARIABLE)
    return (Settings.from_json(text) if text else Settings()).header_timeout_s


class JsonHttpProtocol(H11Protocol):
    """uvicorn has no limit on how slowly headers may come, and answers bytes that are no HTTP in plain text."""

    _header_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._header_timer = self.loop.call_later(_header_timeout_s(), self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._header_timer = _cancelled(self._header_timer)
        self._write_timer = _cancelled(self._write_timer)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._header_timer = _cancelled(self._header_timer)
        elif self._header_timer is None and not self.transport.is_closing():
            self._header_timer = self.loop.call_later(_header_timeout_s(), self._too_slow)

    def on_response_complete(self) -> None:
        self._write_timer = _cancelled(self._write_timer)
        self._write_timer = self.loop.call_later(WRITE_TIMEOUT_S, self._unread)
        super().on_response_complete()

    def _unread(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    def _too_slow(self) -> None:
        self._header_timer = None
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self.send_400_response("The headers of a request did not arrive in time.")

    def send_400_response(self, msg: str) -> None:
        body = dumps(
            {**render_error(NoCredentialError(msg), new_log_id()), "error_detail": {"reason": "http", "message": msg}}
        )
        headers = [
            (b"content-type", b"application/json; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        try:
            for event in (
                h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        except h11.LocalProtocolError:  # in the middle of an answer
            pass
        self.transport.close()


def _cancelled(timer: asyncio.TimerHandle | None) -> Any:
    if timer is not None:
        timer.cancel()

"""One connection: the layer between the socket and uvicorn, built on the public interface of ``asyncio.Protocol``.

It wraps uvicorn's own protocol, unchanged. It passes the head of a request on, and the body only when the application
asks for it. So a request without credentials costs only a head and an answer, however long its body is. Also:

* Heads are limited in size and time, and the number of connections is limited. At the limit, the connection that was
  idle longest is closed, so that idle connections keep nobody out.
* The overhead of chunks in a body is limited, because one-byte chunks (64 bytes of work per byte) would keep the event
  loop busy for minutes.
* Errors that uvicorn answers itself (bytes that are not HTTP) are sent as JSON.
* A client that closed its sending half still gets its answer, and a client that is gone is noticed
  (:meth:`eof_received`).
* An answer sent before the body has arrived does not end in a connection reset: the rest of the body is read and
  discarded for a while (RFC 9112, section 9.6).
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from idseg.cloud.errors import BodyChunksError, NoCredentialError, render_error
from idseg.cloud.wire import dumps, new_log_id
from idseg.server.http.tls import TlsDoor

STATE_KEY: Final = "idseg_connection"
"""Key in a request's ``scope["state"]`` for its :class:`Connection`."""

MOST_HEAD_BYTES: Final = 64 * 1024
HOLD_BYTES: Final = 64 * 1024
"""Bytes of a body to buffer before the application asks for it; then reading from the socket pauses."""
SLICE_BYTES: Final = 64 * 1024
CHUNKED_SLICE_BYTES: Final = 8 * 1024
"""Bytes of a chunked body passed to uvicorn at once. uvicorn concatenates pieces until the application takes them,
which is slow for one-byte chunks."""
CHUNK_OVERHEAD_BYTES: Final = 8 * 1024
CHUNK_OVERHEAD_SHARE: Final = 1 / 64
"""Maximum overhead of a chunked body on the wire, as a share of its size. Each chunk adds at least 5 bytes, so chunks
of 512 bytes, smaller than those of real clients, always pass, and so does a short body with any chunks."""
WRITE_TIMEOUT_S: Final = 60.0
"""Seconds after which a client that does not read its answer is disconnected, to free the memory."""
MOST_UNREAD_BYTES: Final = 192 * 1024 * 1024
"""Maximum bytes of unread answers on all connections; beyond it, the connection with the most is closed."""
_LARGE_ANSWER_BYTES: Final = 64 * 1024
LINGER_BYTES: Final = 64 * 1024 * 1024
LINGER_S: Final = 10.0
"""Maximum bytes and seconds for discarding the rest of a refused body: most clients read an answer only after sending
everything."""
PROBE_S: Final = 0.2
"""Delay before checking whether a client that closed its sending half is gone; a reset arrives within a round trip."""

_HEAD_END: Final = re.compile(rb"\n\r?\n")
_LENGTH: Final = re.compile(rb"^content-length:[ \t]*(\d+)", re.IGNORECASE | re.MULTILINE)
_CHUNKED: Final = re.compile(rb"^transfer-encoding:", re.IGNORECASE | re.MULTILINE)
_MOST_DIGITS: Final = 18
"""Maximum digits of a Content-Length; longer numbers are unrealistic."""


@dataclass
class Connections:
    """All connections of a server, and their maximum number."""

    most: int
    head_timeout_s: float
    tls: ssl.SSLContext | None = None
    open: dict[Connection | TlsDoor, None] = field(default_factory=dict)
    dropped: int = 0

    def admit(self, connection: Connection | TlsDoor) -> bool:
        """Whether there is room for the connection; closes an idle connection if necessary."""
        if len(self.open) >= self.most:
            idle = min((one for one in self.open if one.rank is not None), key=lambda one: one.rank or (), default=None)
            if idle is None:
                return False
            self.dropped += 1
            del self.open[idle]
            idle.drop()
        self.open[connection] = None
        return True

    def forget(self, connection: Connection | TlsDoor) -> None:
        """Called when a connection is closed or replaced by another one."""
        self.open.pop(connection, None)

    def make_room_for(self, answer: int, own: Connection) -> None:
        """Limit the bytes of unread answers: closes the connection with the most of them."""
        while (unread := sum(one.unread for one in self.open)) and unread + answer > MOST_UNREAD_BYTES:
            most = max(self.open, key=lambda one: one.unread)
            if most is own:
                break
            self.dropped += 1
            del self.open[most]
            most.drop()

    def protocol(self) -> Any:
        """The factory for ``uvicorn.Config(http=...)``, with the signature of uvicorn's own protocols."""

        def make(**uvicorns: Any) -> Connection | TlsDoor:
            connection = Connection(self, **uvicorns)
            return connection if self.tls is None else TlsDoor(self, self.tls, connection)

        return make


class Connection(asyncio.Protocol):
    """One connection; see the module docstring."""

    def __init__(
        self,
        connections: Connections,
        config: Any,
        server_state: Any,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._connections = connections
        self._loop = _loop or asyncio.get_event_loop()
        state = {**app_state, STATE_KEY: self}
        self._inner = H11Protocol(config=config, server_state=server_state, app_state=state, _loop=_loop)
        self._transport: asyncio.Transport
        self._admitted = False
        self._since = time.monotonic()
        self._waiting = b""
        """Bytes not passed to uvicorn yet: an incomplete head, or the bytes after a head."""
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._paused_by: set[str] = set()
        self._in_request = False
        self._responding = False
        self._lingering = False
        self._swallowed_error = False
        self._half_closed = False
        self._lingered = 0
        self._body = _BodyOnWire()
        self.anonymous = False
        """The sender of the body is still unknown, so this connection may be closed in favour of another one."""

    @property
    def rank(self) -> tuple[int, float] | None:
        """Order for closing connections: first idle ones, then those without credentials, then those whose body is
        incomplete, each group oldest first. None: do not close, its photo is being processed."""
        if not self._in_request:
            return 0, self._since
        if self.anonymous:
            return 1, self._since
        return None if self._body.complete or self._responding else (2, self._since)

    @property
    def number_open(self) -> int:
        """Number of open connections."""
        return len(self._connections.open)

    @property
    def unread(self) -> int:
        """Number of bytes that the client has not read."""
        return self._transport.get_write_buffer_size()

    def drop(self) -> None:
        self._transport.abort()

    # --- asyncio ------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP or TLS
        self._transport = transport
        self._admitted = self._connections.admit(self)
        if not self._admitted:
            transport.abort()
            return
        self._inner.connection_made(_InnerTransport(self, transport))
        self._later("head", self._connections.head_timeout_s, self._head_too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        for name in list(self._timers):
            self._cancel(name)
        self._connections.forget(self)
        self._inner_lost(exc)
        self._waiting = b""

    def _inner_lost(self, exc: Exception | None) -> None:
        if self._admitted:
            self._admitted = False
            self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            self._lingered += len(data)
            if self._lingered > LINGER_BYTES:
                self._transport.abort()
            return
        self._waiting += data
        if self._in_request:
            self._pass_body_on()
        else:
            self._pass_head_on()

    def eof_received(self) -> bool:
        """The client has closed its sending half. To find out whether it can still read, send an interim response (RFC
        9110, section 15.2: every HTTP/1.1 client must accept one); a client that is gone replies with a reset."""
        whole = self._in_request and self._body.sent_whole(self._waiting)
        plain = self._transport.get_extra_info("ssl_object") is None  # TLS has no half-closed connections
        if self._lingering or not whole or not plain or not self._body.may_interim:
            return False
        self._half_closed = True
        if not self._responding:
            self._probe()
            self._later("probe", PROBE_S, self._probe)
        return True

    def _probe(self) -> None:
        if self._in_request and not self._responding:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    # --- from the socket to uvicorn -----------------------------------------------------------------------------------

    def _pass_head_on(self) -> None:
        self._waiting = self._waiting.lstrip(b"\r\n")
        if not self._waiting:
            return
        if "head" not in self._timers:
            self._later("head", self._connections.head_timeout_s, self._head_too_slow)
        end = _HEAD_END.search(self._waiting, 0, MOST_HEAD_BYTES)
        if end is None:
            if len(self._waiting) > MOST_HEAD_BYTES:
                self._refuse("The headers of a request are longer than 64 KiB.")
            return
        head, self._waiting = self._waiting[: end.end()], self._waiting[end.end() :]
        self._in_request = True
        self._since = time.monotonic()
        self._body = _BodyOnWire.of(head)
        self._hold()
        self._give(head)

    def _pass_body_on(self) -> None:
        """Pass a slice of the body on if the application asks for it. Bytes after the body wait."""
        if not self._body.wanted or self._responding or self._lingering:
            self._hold()
            return
        part = self._body.take(self._waiting)
        self._waiting = self._waiting[len(part) :]
        self._hold()
        if part:
            self._give(part)
            if self._waiting:  # a slice without a complete chunk gives the application no data
                self._loop.call_soon(self._pass_body_on)

    def _give(self, part: bytes) -> None:
        try:
            self._inner.data_received(part)
        except h11.LocalProtocolError:  # uvicorn tries to refuse data after an answer that has begun
            self._transport.close()

    def _hold(self) -> None:
        """Pause reading from the socket while enough bytes are buffered."""
        self.pause_reading("held") if len(self._waiting) > HOLD_BYTES else self.resume_reading("held")

    def pause_reading(self, why: str) -> None:
        self._paused_by.add(why)
        self._transport.pause_reading()

    def resume_reading(self, why: str) -> None:
        self._paused_by.discard(why)
        if not self._paused_by:
            self._transport.resume_reading()

    # --- from the application (see http/guard.py) ---------------------------------------------------------------------

    def begin(self) -> None:
        """Called when the application gets the request."""
        self._cancel("head")

    def want_body(self) -> None:
        """Called when the application asks for the next part of the body."""
        self._body.wanted = True
        self._pass_body_on()

    def count_body(self, count: int, more: bool) -> None:
        """Called when the application got ``count`` bytes of the body.

        Raises:
            BodyChunksError: the chunks are too small.
        """
        self._body.wanted = False
        self._body.received += count
        self._body.complete = not more
        if self._body.chunked:
            overhead = self._body.on_wire - self._body.received
            if overhead > CHUNK_OVERHEAD_BYTES + self._body.received * CHUNK_OVERHEAD_SHARE:
                raise BodyChunksError("the body comes in chunks that are too small; send larger ones")

    def respond(self) -> bool:
        """Called when the answer begins; returns whether the connection must close after it."""
        self._responding = True
        self._later("unread", WRITE_TIMEOUT_S, self._transport.abort)
        return not self._body.complete or self._body.chunked or self._half_closed

    def end(self) -> None:
        """Called when the application has finished the request."""
        self._in_request = self._responding = self.anonymous = False
        self._since = time.monotonic()
        if not self._transport.get_write_buffer_size():
            self._cancel("unread")
        if self._half_closed and not self._lingering:
            self._transport.close()
        elif self._waiting and not self._lingering and not self._transport.is_closing():
            self._hold()
            self._pass_head_on()

    # --- answers of our own, and the end ------------------------------------------------------------------------------

    def _head_too_slow(self) -> None:
        self._cancel("head")
        if self._in_request:  # uvicorn could not parse the request
            self._transport.abort()
        else:
            self._refuse("The headers of a request did not arrive in time.")

    def _refuse(self, message: str) -> None:
        """Send HTTP 400 with JSON and close the connection."""
        detail = {"reason": "http", "message": message}
        body = dumps({**render_error(NoCredentialError(message), new_log_id()), "error_detail": detail})
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json; charset=utf-8\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self._transport.write(head.encode("ascii") + body)
        self.linger()

    def write(self, content: bytes) -> None:
        """Called when uvicorn writes: the application's answer, an interim response, or uvicorn's own error."""
        if self._lingering:
            return
        if self._responding or content.startswith(b"HTTP/1.1 100 "):
            if len(content) > _LARGE_ANSWER_BYTES:
                self._connections.make_room_for(len(content), self)
            self._transport.write(content)
        else:
            self._swallowed_error = True

    def close(self) -> None:
        """Called when uvicorn closes the connection."""
        if self._swallowed_error and not self._lingering:
            self._refuse("These bytes are not an HTTP request.")
            self._inner_lost(None)  # stops the application's work on them
        elif self._in_request and not self._body.complete:
            self.linger()
        elif not self._lingering:
            self._transport.close()

    @property
    def closing(self) -> bool:
        return self._lingering or self._transport.is_closing()

    def linger(self) -> None:
        """Close after the client has read the answer, or after a timeout."""
        if self._lingering or self._transport.is_closing():
            return
        self._lingering, self._waiting = True, b""
        self._paused_by.clear()
        self._transport.resume_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._later("linger", LINGER_S, self._transport.abort)

    def _later(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        self._cancel(name)
        self._timers[name] = self._loop.call_later(seconds, call)

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()


@dataclass
class _BodyOnWire:
    """How the body of a request is sent."""

    announced: int = 0
    """Content-Length; uvicorn refuses a request whose value is invalid."""
    chunked: bool = False
    may_interim: bool = True
    """Whether the client uses HTTP/1.1."""
    wanted: bool = False
    on_wire: int = 0
    """Bytes passed to uvicorn."""
    received: int = 0
    """Bytes passed to the application."""
    complete: bool = True

    @classmethod
    def of(cls, head: bytes) -> _BodyOnWire:
        length = _LENGTH.search(head)
        announced = int(length[1][:_MOST_DIGITS]) if length else 0
        chunked = _CHUNKED.search(head) is not None
        old = b"HTTP/1.1" not in head.partition(b"\n")[0]
        return cls(announced, chunked, not old, complete=not announced and not chunked)

    def take(self, waiting: bytes) -> bytes:
        """The part of these bytes that belongs to the body and may be passed to uvicorn."""
        most = CHUNKED_SLICE_BYTES if self.chunked else min(SLICE_BYTES, self.announced - self.on_wire)
        part = waiting[:most]
        self.on_wire += len(part)
        return part

    def sent_whole(self, waiting: bytes) -> bool:
        """Whether the client has sent the whole body."""
        if self.chunked:
            return self.complete or waiting.endswith(b"0\r\n\r\n")
        return self.on_wire + len(waiting) >= self.announced


class _InnerTransport(asyncio.Transport):
    """The transport that uvicorn sees."""

    def __init__(self, connection: Connection, transport: asyncio.Transport) -> None:
        super().__init__()
        self._connection = connection
        self._transport = transport

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        return self._connection.closing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._connection.write(bytes(data))

    def close(self) -> None:
        self._connection.close()

    def abort(self) -> None:
        self._transport.abort()

    def pause_reading(self) -> None:
        self._connection.pause_reading("uvicorn")

    def resume_reading(self) -> None:
        self._connection.resume_reading("uvicorn")

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._transport.set_write_buffer_limits(high, low)

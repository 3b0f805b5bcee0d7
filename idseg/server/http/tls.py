"""TLS before a connection, so that a client that opens a socket and sends nothing counts as a connection at once.

With asyncio's own TLS, a protocol learns of a connection only after the handshake. Until then, a thousand silent
sockets could use up the process's file handles for a minute, without any limit.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import Protocol


class Room(Protocol):
    """The interface of :class:`idseg.server.http.connection.Connections` that this module needs."""

    head_timeout_s: float

    def admit(self, connection: TlsDoor) -> bool: ...
    def forget(self, connection: TlsDoor) -> None: ...


class TlsDoor(asyncio.Protocol):
    """Does the handshake, then hands the secure transport to the connection."""

    def __init__(self, room: Room, context: ssl.SSLContext, behind: asyncio.Protocol) -> None:
        self._room = room
        self._context = context
        self._behind = behind
        self._since = time.monotonic()
        self._transport: asyncio.Transport
        self._early = b""
        """Bytes that arrived with the end of the handshake."""
        self._lost = False
        self._shaking: asyncio.Task[None] | None = None

    @property
    def rank(self) -> tuple[int, float]:
        """May be closed in favour of another connection, like an idle one."""
        return 0, self._since

    @property
    def unread(self) -> int:
        """Number of bytes that the client has not read."""
        return 0

    def drop(self) -> None:
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP
        self._transport = transport
        if self._room.admit(self):
            self._shaking = asyncio.get_running_loop().create_task(self._shake_hands())
        else:
            transport.abort()

    async def _shake_hands(self) -> None:
        try:
            secure = await asyncio.get_running_loop().start_tls(
                self._transport,
                self,
                self._context,
                server_side=True,
                ssl_handshake_timeout=self._room.head_timeout_s,
            )
        except OSError:  # not TLS, too slow, or disconnected
            self._transport.abort()
            return
        finally:
            self._room.forget(self)
        if secure is None or self._lost:
            return
        secure.set_protocol(self._behind)
        self._behind.connection_made(secure)
        if self._early:
            self._behind.data_received(self._early)

    def data_received(self, data: bytes) -> None:
        self._early += data

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._room.forget(self)

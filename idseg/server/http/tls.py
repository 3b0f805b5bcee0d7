"""TLS in front of a connection, so that whoever opens a socket and says nothing counts as a connection from the start.

A server that asyncio gives a TLS context tells a protocol of a connection after the handshake only: until then a
thousand silent sockets would hold the files of the process for a minute, unseen by any bound of ours.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import Protocol


class Room(Protocol):
    """What :class:`idseg.server.http.connection.Connections` is to a door."""

    head_timeout_s: float

    def admit(self, connection: TlsDoor) -> bool: ...
    def forget(self, connection: TlsDoor) -> None: ...


class TlsDoor(asyncio.Protocol):
    """Shakes hands, then hands the secure transport to the connection behind it."""

    def __init__(self, room: Room, context: ssl.SSLContext, behind: asyncio.Protocol) -> None:
        self._room = room
        self._context = context
        self._behind = behind
        self._since = time.monotonic()
        self._transport: asyncio.Transport
        self._early = b""
        """What came with the end of the handshake."""
        self._lost = False
        self._shaking: asyncio.Task[None] | None = None

    @property
    def rank(self) -> tuple[int, float]:
        """It gives way as an idle connection does."""
        return 0, self._since

    @property
    def unread(self) -> int:
        """Bytes that the client has not read."""
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
        except OSError:  # no TLS, too slow, gone
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

"""Reads a request body with limits on size and time. :mod:`idseg.server.http.connection` handles unread bodies."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from idseg.cloud.errors import BodyTimeoutError
from idseg.errors import PhotoSizeError

Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]


class Disconnected(Exception):
    """The client disconnected, so there is nobody to answer."""


class Body:
    """The body of one request."""

    def __init__(self, receive: Receive, timeout_s: float) -> None:
        """
        Args:
            receive: the ASGI channel.
            timeout_s: seconds for the whole body.
        """
        self._receive = receive
        self._timeout_s = timeout_s
        self._chunks: list[bytes] = []
        self._size = 0
        self._deadline: float | None = None
        self.ended = False
        """Whether the whole body was read."""

    async def read(self, limit: int, take: Callable[[int], None], *, enough: int | None = None) -> bytes:
        """Read the body or its beginning; includes the parts read by earlier calls.

        Args:
            limit: maximum bytes.
            take: called with the size of every piece before it is stored; may raise an error to refuse it.
            enough: return as soon as this many bytes were read; None: read to the end.

        Raises:
            PhotoSizeError: the body has more than ``limit`` bytes.
            BodyTimeoutError: the body did not arrive in time.
            BodyChunksError: the body has chunks of only a few bytes.
            Disconnected: the client disconnected.
        """
        loop = asyncio.get_running_loop()
        if self._deadline is None:
            self._deadline = loop.time() + self._timeout_s
        try:
            await asyncio.wait_for(self._collect(limit, take, enough), max(0.0, self._deadline - loop.time()))
        except asyncio.TimeoutError:
            raise BodyTimeoutError(
                f"the body did not arrive within {self._timeout_s:g} s", received_bytes=self._size
            ) from None
        return b"".join(self._chunks)

    async def _collect(self, limit: int, take: Callable[[int], None], enough: int | None) -> None:
        while not self.ended and (enough is None or self._size < enough):
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            self.ended = not message.get("more_body", False)
            chunk = message.get("body", b"")
            self._size += len(chunk)
            if self._size > limit:
                raise PhotoSizeError(f"the body is larger than {limit} bytes", max_body_bytes=limit)
            take(len(chunk))
            self._chunks.append(chunk)

    async def left(self) -> None:
        """Return when the client disconnects. Call this only after the body was read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

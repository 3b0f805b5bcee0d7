"""Reading a request body: bounded in bytes and in time, and polite enough that a client who sends too much sees our
answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

from idseg.cloud.errors import BodyTimeoutError
from idseg.errors import PhotoSizeError

Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]

DRAIN_BYTES: Final = 64 * 1024 * 1024
"""Of a body that is refused, at most this much is still read and thrown away: most clients read the answer only after
they have sent everything, and a connection closed before that shows them a reset instead of the reason."""


class Disconnected(Exception):
    """The client went away; there is nobody to answer."""


class Body:
    """The body of one request, to be read once."""

    def __init__(self, receive: Receive, timeout_s: float, *, waits: bool = False) -> None:
        """
        Args:
            receive: the ASGI channel.
            timeout_s: for the whole body, and again for draining it.
            waits: the client sends nothing before we ask (``Expect: 100-continue``).
        """
        self._receive = receive
        self._timeout_s = timeout_s
        self._waits = waits
        self._ended = False

    async def read(self, limit: int, take: Callable[[int], None]) -> bytes:
        """The whole body.

        Args:
            limit: bytes.
            take: called with the size of every piece before it is kept; may raise to refuse.

        Raises:
            PhotoSizeError: more than ``limit`` bytes.
            BodyTimeoutError: not complete in time.
            Disconnected: the client went away.
        """
        chunks: list[bytes] = []
        size = 0

        async def collect() -> None:
            nonlocal size
            async for chunk in self._chunks():
                size += len(chunk)
                if size > limit:
                    raise PhotoSizeError(f"the body is larger than {limit} bytes", max_body_bytes=limit)
                take(len(chunk))
                chunks.append(chunk)

        try:
            await asyncio.wait_for(collect(), self._timeout_s)
        except asyncio.TimeoutError:
            message = f"the body did not arrive within {self._timeout_s:g} s"
            self._timeout_s = 0.0  # no second chance in drain
            raise BodyTimeoutError(message, received_bytes=size) from None
        return b"".join(chunks)

    async def drain(self) -> bool:
        """Read and forget what is left of the body; whether it came to its end within the bounds."""
        if self._waits:
            return False
        size = 0

        async def forget() -> bool:
            nonlocal size
            async for chunk in self._chunks():
                size += len(chunk)
                if size > DRAIN_BYTES:
                    return False
            return True

        try:
            return await asyncio.wait_for(forget(), self._timeout_s)
        except (asyncio.TimeoutError, Disconnected):
            return False

    async def left(self) -> None:
        """Return when the client goes away. Only after the body was read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _chunks(self) -> AsyncIterator[bytes]:
        while not self._ended:
            self._waits = False
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            self._ended = not message.get("more_body", False)
            yield message.get("body", b"")

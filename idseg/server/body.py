"""Reading a request body: bounded in bytes and in time, and polite enough that a client who sends too much sees our
answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

from idseg.api import BodyTimeoutError
from idseg.errors import PhotoSizeError

Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]

DRAIN_BYTES: Final = 64 * 1024 * 1024
"""Of a body that is refused, at most this much is still read and thrown away: most clients read the answer only
after they have sent everything, and a connection closed before that shows them a reset instead of the reason."""


class Disconnected(Exception):
    """The client went away; there is nobody to answer."""


async def read_body(receive: Receive, limit: int, timeout_s: float, take: Callable[[int], None]) -> bytes:
    """The whole body.

    Args:
        receive: the ASGI channel.
        limit: bytes.
        timeout_s: for the whole body.
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
        async for chunk in _chunks(receive):
            size += len(chunk)
            if size > limit:
                raise PhotoSizeError(f"the body is larger than {limit} bytes", max_body_bytes=limit)
            take(len(chunk))
            chunks.append(chunk)

    try:
        await asyncio.wait_for(collect(), timeout_s)
    except asyncio.TimeoutError:
        raise BodyTimeoutError(f"the body did not arrive within {timeout_s:g} s", received_bytes=size) from None
    return b"".join(chunks)


async def drain(receive: Receive, timeout_s: float) -> bool:
    """Read and forget the rest of a body that has not been read to its end; whether it ended within the bounds."""
    size = 0

    async def forget() -> bool:
        nonlocal size
        async for chunk in _chunks(receive):
            size += len(chunk)
            if size > DRAIN_BYTES:
                return False
        return True

    try:
        return await asyncio.wait_for(forget(), timeout_s)
    except (asyncio.TimeoutError, Disconnected):
        return False


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return

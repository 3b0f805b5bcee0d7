"""Bodies: bounded in bytes and in time."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from idseg.cloud.errors import (
    BodyTimeoutError,
)
from idseg.errors import PhotoSizeError
from idseg.server.http.body import Body, Disconnected

NOW = 1_790_000_000


class Sender:
    """An ASGI channel that sends chunks, then hangs as uvicorn's does."""

    def __init__(self, *chunks: bytes, disconnect: bool = False, complete: bool = True) -> None:
        self._chunks = list(chunks)
        self._disconnect = disconnect
        self._complete = complete

    async def __call__(self) -> MutableMapping[str, Any]:
        if self._chunks:
            chunk = self._chunks.pop(0)
            return {"type": "http.request", "body": chunk, "more_body": bool(self._chunks) or not self._complete}
        if self._disconnect:
            return {"type": "http.disconnect"}
        await asyncio.sleep(3600)
        raise AssertionError("nobody waits an hour")


def nothing(_: int) -> None:
    """No budget."""


def test_a_body_is_read_in_two_steps() -> None:
    async def scenario() -> None:
        body = Body(Sender(b"ab", b"", b"cd", b"ef"), 5)
        assert await body.read(6, nothing, enough=3) == b"abcd"
        assert not body.ended
        assert await body.read(6, nothing) == b"abcdef"
        assert body.ended

    asyncio.run(scenario())


def test_a_large_body_is_refused() -> None:
    async def scenario() -> None:
        taken: list[int] = []
        with pytest.raises(PhotoSizeError):
            await Body(Sender(b"ab", b"cd", b"ef"), 5).read(3, taken.append)
        assert taken == [2]

    asyncio.run(scenario())


def test_both_steps_have_one_time() -> None:
    async def scenario() -> None:
        body = Body(Sender(b"ab", complete=False), 0.05)
        assert await body.read(10, nothing, enough=1) == b"ab"
        with pytest.raises(BodyTimeoutError) as caught:
            await body.read(10, nothing)
        assert caught.value.facts["received_bytes"] == 2

    asyncio.run(scenario())


def test_a_client_that_leaves_is_noticed() -> None:
    async def scenario() -> None:
        with pytest.raises(Disconnected):
            await Body(Sender(b"ab", disconnect=True, complete=False), 5).read(10, nothing)
        await asyncio.wait_for(Body(Sender(disconnect=True), 5).left(), 1)

    asyncio.run(scenario())

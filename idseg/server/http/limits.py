"""How much of everything: a bounded queue before a pool of threads, memory for bodies, requests a second, requests a
day.

Nothing here waits without a bound: what does not fit is refused at once, and the client is told so.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, TypeVar

from idseg.cloud.errors import BusyError, DailyQuotaError, RateError, UnavailableError

_T = TypeVar("_T")


class PhotoThreads:
    """Threads, and the queue before them. Used from one event loop."""

    def __init__(self, threads: int, queue: int, watch: Callable[[int], None] = lambda _: None) -> None:
        """
        Args:
            threads: calls at once; each of a photo waits for a worker process.
            queue: calls waiting beyond those.
            watch: is told how many are accepted whenever that changes.
        """
        self.threads: Final = threads
        self.queue: Final = queue
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="idseg-photo")
        self._accepted = 0
        self._watch = watch
        self._open = True

    @property
    def accepted(self) -> int:
        """Photos worked on or waiting."""
        return self._accepted

    def submit(self, work: Callable[[], _T]) -> asyncio.Future[_T]:
        """Work in a thread, or refuse at once.

        Cancelling the future takes work that has not begun out of the queue; work that has begun runs to its end and
        keeps its place until then.

        Raises:
            BusyError: as many are accepted as fit.
            UnavailableError: the pool is closed.
        """
        if not self._open:
            raise UnavailableError("the server is shutting down")
        if self._accepted >= self.threads + self.queue:
            raise BusyError("the queue is full", waiting=self._accepted)
        self._enter()
        loop = asyncio.get_running_loop()
        try:
            future = self._executor.submit(work)
        except BaseException:
            self._leave()
            raise
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._leave))
        return asyncio.wrap_future(future, loop=loop)

    def _enter(self) -> None:
        self._accepted += 1
        self._watch(self._accepted)

    def _leave(self) -> None:
        self._accepted -= 1
        self._watch(self._accepted)

    def close(self) -> None:
        """Finish what is accepted, take nothing new."""
        self._open = False
        self._executor.shutdown(wait=True)


class Budget:
    """Bytes that bodies may hold while they arrive."""

    def __init__(self, limit: int) -> None:
        self.limit: Final = limit
        self.used = 0

    @contextmanager
    def account(self) -> Iterator[Callable[[int], None]]:
        """A function that takes bytes from the budget; all of them go back at the end of the block."""
        mine = 0

        def take(count: int) -> None:
            nonlocal mine
            if self.used + count > self.limit:
                raise BusyError("too many bodies are being received", bytes=self.used)
            self.used += count
            mine += count

        try:
            yield take
        finally:
            self.used -= mine


class RateLimit:
    """A bucket of tokens for each key: ``rate_per_s`` flow in, one second's worth (at least one) fits."""

    def __init__(self, rate_per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate_per_s
        self._room = max(1.0, rate_per_s)
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def spend(self, key: str) -> None:
        """Raises RateError where the key's bucket is empty."""
        if not self._rate:
            return
        now = self._clock()
        level, then = self._buckets.get(key, (self._room, now))
        level = min(self._room, level + (now - then) * self._rate)
        if level < 1.0:
            self._buckets[key] = (level, now)
            raise RateError("the key sends faster than it may", retry_after_s=math.ceil((1.0 - level) / self._rate))
        self._buckets[key] = (level - 1.0, now)


class DailyQuota:
    """Requests of a key since midnight, local time; counted by this process since it started."""

    def __init__(self, quota: int, today: Callable[[], str] = lambda: time.strftime("%Y-%m-%d")) -> None:
        self._quota = quota
        self._today = today
        self._day = today()
        self._spent: dict[str, int] = {}

    def check(self, key: str) -> None:
        """Raises DailyQuotaError where the key has used up its day."""
        if not self._quota:
            return
        if (day := self._today()) != self._day:
            self._day = day
            self._spent.clear()
        if self._spent.get(key, 0) >= self._quota:
            raise DailyQuotaError("the key has used up its requests of the day", quota=self._quota)

    def count(self, key: str) -> None:
        """One photo of the key was accepted."""
        if self._quota:
            self._spent[key] = self._spent.get(key, 0) + 1

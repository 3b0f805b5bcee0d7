"""Limits: a bounded queue before a pool of threads, memory for bodies, requests per second and per day.

A request that exceeds a limit is refused at once with an error; no wait is unlimited.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from idseg.cloud.errors import BusyError, DailyQuotaError, RateError, UnavailableError

_T = TypeVar("_T")

SENDING_S: Final = 10.0
"""A caller that sent a request within this many seconds counts as active."""


@dataclass(eq=False, frozen=True)
class _Waiting:
    """A photo in the queue."""

    work: Callable[[], Any]
    outcome: asyncio.Future[Any]


class PhotoThreads:
    """Threads, and the queue before them, shared fairly among callers. Used from one event loop.

    A free thread takes the next photo of the caller with the fewest photos in work. While several callers are active,
    a caller with photos in work does not get the last free thread, which is reserved for the others. If the queue is
    full, a caller with fewer waiting photos displaces the newest photo of the caller with the most.
    """

    def __init__(
        self,
        threads: int,
        queue: int,
        watch: Callable[[int], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            threads: number of simultaneous calls; each waits for a worker process.
            queue: number of waiting calls in addition.
            watch: called with the number of accepted calls whenever it changes.
            clock: returns the time in seconds.
        """
        self.threads: Final = threads
        self.queue: Final = queue
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="idseg-photo")
        self._waiting: dict[str, deque[_Waiting]] = {}
        """Waiting photos by caller; the first caller is next."""
        self._working: Counter[str] = Counter()
        self._empty = asyncio.Event()
        self._empty.set()
        self._watch = watch
        self._clock = clock
        self._seen: dict[str, float] = {}
        """When each caller last sent; those of the last seconds."""
        self._open = True

    @property
    def accepted(self) -> int:
        """Number of photos in work or waiting."""
        return sum(self._working.values()) + sum(map(len, self._waiting.values()))

    def submit(self, work: Callable[[], _T], caller: str = "") -> asyncio.Future[_T]:
        """Run the work in a thread, or refuse it at once.

        Cancelling the future removes waiting work from the queue; work in progress runs to its end and keeps its place.
        The future raises BusyError if another caller gets the place.

        Raises:
            BusyError: the maximum number of calls is accepted already.
            UnavailableError: the queue is closed.
        """
        if not self._open:
            raise UnavailableError("the server is shutting down")
        self._seen[caller] = now = self._clock()
        self._seen = {name: then for name, then in self._seen.items() if now - then < SENDING_S}
        if self.accepted >= self.threads + self.queue:
            self._make_room(caller)
        waiting = _Waiting(work, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(caller, deque()).append(waiting)
        waiting.outcome.add_done_callback(lambda _: self._left(caller, waiting))
        self._go_on()
        return waiting.outcome

    def _make_room(self, caller: str) -> None:
        most = max(self._waiting, key=lambda name: len(self._waiting[name]), default=caller)
        if len(self._waiting.get(most, ())) <= len(self._waiting.get(caller, ())) + 1:
            raise BusyError("the queue is full", waiting=self.accepted)
        error = BusyError("the queue is full, and another caller waits for less", waiting=self.accepted)
        self._waiting[most].pop().outcome.set_exception(error)

    def _left(self, caller: str, waiting: _Waiting) -> None:
        """Called when nobody waits for the work any more: it is done, or the caller left."""
        if waiting in (mine := self._waiting.get(caller, deque())):
            mine.remove(waiting)
            if not mine:
                del self._waiting[caller]
            self._go_on()

    def _go_on(self) -> None:
        """Start waiting work on free threads."""
        while sum(self._working.values()) < self.threads and (able := [*filter(self._may_begin, self._waiting)]):
            caller = min(able, key=lambda name: self._working[name])  # min() returns the first of equals
            mine = self._waiting.pop(caller)
            waiting = mine.popleft()
            if mine:
                self._waiting[caller] = mine  # moves the caller to the end
            if not waiting.outcome.done():
                self._begin(caller, waiting)
        accepted = self.accepted
        self._empty.clear() if accepted else self._empty.set()
        self._watch(accepted)

    def _may_begin(self, caller: str) -> bool:
        alone = not any(name != caller and self._clock() - then < SENDING_S for name, then in self._seen.items())
        return alone or self._working[caller] < max(1, self.threads - 1)

    def _begin(self, caller: str, waiting: _Waiting) -> None:
        loop = asyncio.get_running_loop()
        self._working[caller] += 1
        running = self._executor.submit(waiting.work)
        # The callback must not know the future by another way than its argument: a future keeps its callbacks, and a
        # cycle would keep the answer and the photo until the next full garbage collection.
        running.add_done_callback(lambda done: loop.call_soon_threadsafe(self._end, caller, waiting, done))

    def _end(self, caller: str, waiting: _Waiting, done: Future[Any]) -> None:
        self._working[caller] -= 1
        if not self._working[caller]:
            del self._working[caller]
        if not waiting.outcome.done():
            error = done.exception()
            if error is None:
                waiting.outcome.set_result(done.result())
            else:
                waiting.outcome.set_exception(error)
        self._go_on()

    async def close(self) -> None:
        """Finish the accepted work and accept no more."""
        self._open = False
        await self._empty.wait()
        await asyncio.to_thread(self._executor.shutdown)


class Budget:
    """Limits the bytes of bodies that are being received, in total and per caller."""

    def __init__(self, limit: int, share: float = 1.0) -> None:
        """
        Args:
            limit: maximum bytes.
            share: maximum share of the limit for one caller; the rest is for others.
        """
        self.limit: Final = limit
        self.used = 0
        self._most = int(limit * share)
        self._of: Counter[str] = Counter()

    @contextmanager
    def account(self) -> Iterator[Account]:
        """Take bytes from the budget; all are returned at the end of the block."""
        mine = Account(self)
        try:
            yield mine
        finally:
            self.used -= mine.held
            self._take(mine.caller, -mine.held)

    def _take(self, caller: str, count: int) -> None:
        self._of[caller] += count
        if not self._of[caller]:
            del self._of[caller]

    def check(self, caller: str, count: int) -> None:
        """Raises BusyError if ``count`` more bytes of this caller do not fit."""
        if self.used + count > self.limit or (caller and self._of[caller] + count > self._most):
            raise BusyError("too many bodies are being received", bytes=self.used)

    def take(self, account: Account, count: int) -> None:
        self.check(account.caller, count)
        self.used += count
        account.held += count
        self._take(account.caller, count)

    def move(self, account: Account, caller: str) -> None:
        self._take(account.caller, -account.held)
        self._take(caller, account.held)


class Account:
    """The bytes that one body takes from a :class:`Budget`; call it with the number of bytes to take."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.caller = ""
        """Empty while the caller is unknown."""
        self.held = 0

    def __call__(self, count: int) -> None:
        """Take bytes; raises BusyError if they do not fit."""
        self._budget.take(self, count)

    def belongs_to(self, caller: str) -> None:
        """Count the bytes for this caller from now on."""
        self._budget.move(self, caller)
        self.caller = caller


class RateLimit:
    """A token bucket per key: refilled with ``rate_per_s``, capacity of one second (at least one token)."""

    def __init__(self, rate_per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate_per_s
        self._room = max(1.0, rate_per_s)
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def spend(self, key: str) -> None:
        """Take a token; raises RateError if the key's bucket is empty."""
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
    """Requests of a key since midnight (local time), counted since this process started."""

    def __init__(self, quota: int, today: Callable[[], str] = lambda: time.strftime("%Y-%m-%d")) -> None:
        self._quota = quota
        self._today = today
        self._day = today()
        self._spent: dict[str, int] = {}

    def check(self, key: str) -> None:
        """Raises DailyQuotaError if the key has used its requests of the day."""
        if not self._quota:
            return
        if (day := self._today()) != self._day:
            self._day = day
            self._spent.clear()
        if self._spent.get(key, 0) >= self._quota:
            raise DailyQuotaError("the key has used up its requests of the day", quota=self._quota)

    def count(self, key: str, photos: int = 1) -> None:
        """Count ``photos`` accepted photos of the key; -1 if one was refused later."""
        if self._quota:
            self._spent[key] = self._spent.get(key, 0) + photos

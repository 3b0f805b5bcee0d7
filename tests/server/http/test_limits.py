"""Queue, budgets, rates, quotas."""

from __future__ import annotations

import asyncio
import threading
import time
from functools import partial

import pytest

from idseg.cloud.errors import (
    BusyError,
    DailyQuotaError,
    RateError,
    UnavailableError,
)
from idseg.server.http.limits import SENDING_S, Budget, DailyQuota, PhotoThreads, RateLimit

NOW = 1_790_000_000


def test_the_pool_takes_what_fits_and_refuses_the_next() -> None:
    async def scenario() -> None:
        pool = PhotoThreads(threads=2, queue=1)
        go = threading.Event()
        running = [pool.submit(lambda: go.wait(10)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await pool.submit(lambda: True)
        go.set()
        assert await asyncio.gather(*running) == [True] * 3
        await asyncio.sleep(0.01)
        assert pool.accepted == 0
        await pool.close()
        with pytest.raises(UnavailableError):
            await pool.submit(lambda: True)

    asyncio.run(scenario())


def test_a_cancelled_photo_leaves_the_queue_unworked() -> None:
    async def scenario() -> None:
        pool = PhotoThreads(threads=1, queue=5)
        go, worked = threading.Event(), []
        first = pool.submit(lambda: go.wait(10))
        await asyncio.sleep(0.01)
        second = pool.submit(lambda: worked.append(2))
        await asyncio.sleep(0.01)
        second.cancel()
        await asyncio.sleep(0.01)
        assert pool.accepted == 1
        go.set()
        await first
        await pool.close()
        assert worked == []

    asyncio.run(scenario())


def test_closing_finishes_what_was_accepted() -> None:
    async def scenario() -> None:
        pool = PhotoThreads(threads=1, queue=5)
        results: list[int] = []

        def work(number: int) -> None:
            time.sleep(0.02)
            results.append(number)

        waiting = [pool.submit(lambda n=n: work(n)) for n in range(4)]  # type: ignore[misc]
        await asyncio.sleep(0)
        await pool.close()
        await asyncio.gather(*waiting)
        assert results == [0, 1, 2, 3]

    asyncio.run(scenario())


def test_work_that_raises_gives_its_place_back() -> None:
    async def scenario() -> None:
        pool = PhotoThreads(threads=1, queue=0)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await pool.submit(lambda: 1 // 0)
            await asyncio.sleep(0.01)
        await pool.close()

    asyncio.run(scenario())


def test_a_caller_who_fills_the_queue_keeps_no_other_out() -> None:
    """Others get places, and wait for one photo of that caller's at most."""

    async def scenario() -> None:
        pool, go, begun = PhotoThreads(threads=1, queue=5), threading.Event(), list[str]()

        def work(name: str) -> None:
            go.wait(60)
            begun.append(name)

        many = [pool.submit(partial(work, "many"), "many") for _ in range(6)]
        with pytest.raises(BusyError):
            await pool.submit(partial(work, "many"), "many")
        others = [pool.submit(partial(work, "one"), "one"), pool.submit(partial(work, "two"), "two")]
        for lost in many[4:]:
            with pytest.raises(BusyError, match="another caller"):
                await lost
        assert pool.accepted == 6
        go.set()
        await asyncio.gather(*others, *many[:4])
        assert begun == ["many", "many", "one", "two", "many", "many"]
        await pool.close()
        assert pool.accepted == 0

    asyncio.run(scenario())


def test_callers_take_turns() -> None:
    async def scenario() -> None:
        pool, begun = PhotoThreads(threads=1, queue=10), list[str]()
        go = threading.Event()
        first = pool.submit(lambda: go.wait(60), "a")
        waiting = [pool.submit(partial(begun.append, caller), caller) for caller in "aaabbc"]
        go.set()
        await asyncio.gather(first, *waiting)
        assert begun in (list("abcaba"), list("bcabaa"), list("acbaba"))
        await pool.close()

    asyncio.run(scenario())


def test_the_last_free_thread_waits_for_another_caller() -> None:
    """As long as another one has sent something lately; a caller that is alone gets all threads."""

    async def scenario() -> None:
        now = [100.0]
        pool, go = PhotoThreads(threads=2, queue=9, clock=lambda: now[0]), threading.Event()
        begun: list[str] = []

        def work(name: str) -> None:
            begun.append(name)
            go.wait(60)

        await pool.submit(lambda: None, "good")
        many = [pool.submit(partial(work, "many"), "many") for _ in range(3)]
        await asyncio.sleep(0.05)
        assert begun == ["many"]
        good = pool.submit(partial(work, "good"), "good")
        await asyncio.sleep(0.05)
        assert begun == ["many", "good"]
        now[0] += 2 * SENDING_S
        many.append(pool.submit(partial(work, "many"), "many"))
        go.set()
        await asyncio.gather(good, *many)
        await pool.close()

    asyncio.run(scenario())


def test_one_caller_holds_a_share_of_a_budget() -> None:
    budget = Budget(100, share=0.75)
    with budget.account() as mine, budget.account() as more, budget.account() as others:
        mine(50)
        mine.belongs_to("me")
        more.belongs_to("me")
        more(25)
        with pytest.raises(BusyError):
            more(1)
        others.belongs_to("you")
        others(25)
        with pytest.raises(BusyError):
            others(1)
    with budget.account() as again:
        again.belongs_to("me")
        again(75)
    assert budget.used == 0


def test_a_budget_comes_back() -> None:
    budget = Budget(100)
    with budget.account() as take:
        take(60)
        with budget.account() as other:
            other(30)
            with pytest.raises(BusyError):
                other(30)
        assert budget.used == 60
        take(40)
    assert budget.used == 0


def test_a_rate_is_a_bucket_for_each_key() -> None:
    now = 0.0
    rate = RateLimit(2.0, lambda: now)
    rate.spend("a")
    rate.spend("a")
    with pytest.raises(RateError):
        rate.spend("a")
    rate.spend("b")
    now = 0.5
    rate.spend("a")
    with pytest.raises(RateError):
        rate.spend("a")
    now = 100.0
    rate.spend("a")
    rate.spend("a")
    with pytest.raises(RateError):
        rate.spend("a")


def test_a_slow_rate_still_lets_one_through() -> None:
    now = 0.0
    rate = RateLimit(0.1, lambda: now)
    rate.spend("a")
    with pytest.raises(RateError) as caught:
        rate.spend("a")
    assert caught.value.facts["retry_after_s"] == 10
    now = 10.0
    rate.spend("a")


def test_a_quota_begins_again_with_the_day() -> None:
    day = "2026-11-23"
    quota = DailyQuota(2, lambda: day)
    for _ in range(2):
        quota.check("a")
        quota.count("a")
    with pytest.raises(DailyQuotaError):
        quota.check("a")
    quota.check("b")
    day = "2026-11-24"
    quota.check("a")

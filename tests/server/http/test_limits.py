"""Queue, budgets, rates, quotas."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from idseg.cloud.errors import (
    BusyError,
    DailyQuotaError,
    RateError,
    UnavailableError,
)
from idseg.server.http.limits import Budget, DailyQuota, PhotoThreads, RateLimit

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
        pool.close()
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
        await asyncio.to_thread(pool.close)
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
        await asyncio.to_thread(pool.close)
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
        pool.close()

    asyncio.run(scenario())


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

"""Several workers, signals, and memory over thousands of requests."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from idseg.server.settings import Settings
from tests.server.fakes import SECONDS_VARIABLE, TWO_PEOPLE, picture
from tests.server.live import FAKE_APP, ROOT, RUN, Live, free_port, running

SOAK = int(os.environ.get("IDSEG_SOAK_REQUESTS", "400"))
"""Requests of the memory test; the issue's 5,000 by hand: IDSEG_SOAK_REQUESTS=5000."""


def workers_of(live: Live) -> set[int]:
    """The pids that answer, asked often enough to see all of two."""
    return {live.get("/healthz")["worker"] for _ in range(60)}


def wait_for_workers(live: Live, count: int, without: int = 0, seconds: float = 60) -> set[int]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError, http.client.HTTPException):
            found = workers_of(live)
            if len(found) == count and without not in found:
                return found
        time.sleep(0.2)
    raise AssertionError(f"no {count} workers:\n{live.log_text()[-2000:]}")


def test_a_killed_worker_comes_back_while_the_others_go_on() -> None:
    with running(Settings(app=FAKE_APP, workers=2), {SECONDS_VARIABLE: "0.01"}) as live:
        before = wait_for_workers(live, 2)
        token = live.token()
        victim = min(before)
        outcomes: list[str] = []
        stop = threading.Event()

        def keep_calling() -> None:
            while not stop.is_set():
                try:
                    outcomes.append("answered" if "seg_info" in live.call(token, picture()) else "refused")
                except (OSError, http.client.HTTPException):
                    outcomes.append("lost")

        threads = [threading.Thread(target=keep_calling) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        os.kill(victim, signal.SIGKILL)
        after = wait_for_workers(live, 2, without=victim)
        time.sleep(0.5)
        stop.set()
        for thread in threads:
            thread.join()
        assert len(after - before) == 1, "one new worker, and the other still there"
        assert outcomes.count("refused") == 0
        assert outcomes.count("lost") <= 4, "only what the killed worker held may be lost"
        assert outcomes[-20:] == ["answered"] * 20
        assert "died" in live.log_text()


def test_workers_share_tokens_and_add_up_their_numbers() -> None:
    with running(Settings(app=FAKE_APP, workers=2)) as live:
        wait_for_workers(live, 2)
        token = live.token()
        for _ in range(40):
            assert "seg_info" in live.call(token, picture())
        assert numbers(live)['idseg_requests_total{code="0",endpoint="body_seg_photo"}'] == 40
        victim = min(workers_of(live))
        os.kill(victim, signal.SIGKILL)
        wait_for_workers(live, 2, without=victim)
        found = numbers(live)
        assert found['idseg_requests_total{code="0",endpoint="body_seg_photo"}'] == 40
        assert not any(f'pid="{victim}"' in name for name in found)


def numbers(live: Live) -> dict[str, float]:
    import urllib.request

    with urllib.request.urlopen(f"{live.url}/metrics", timeout=10) as reply:  # noqa: S310 - loopback
        lines = reply.read().decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stop_finishes_what_was_accepted(workers: int) -> None:
    settings = Settings(app=FAKE_APP, workers=workers, threads=1, queue=20)
    with running(settings, {SECONDS_VARIABLE: "0.3"}) as live:
        if workers > 1:
            wait_for_workers(live, workers)
        token = live.token()
        answers: list[Any] = []
        threads = [threading.Thread(target=lambda: answers.append(live.call(token, picture()))) for _ in range(4)]
        for thread in threads:
            thread.start()
        end = time.monotonic() + 5
        while accepted(live) < 4 and time.monotonic() < end:
            time.sleep(0.02)
        live.process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
        assert live.process.wait(20) in (0, -signal.SIGTERM)
        assert len(answers) == 4
        assert all("seg_info" in answer for answer in answers)
        assert '"message": "stopped"' in live.log_text()


def accepted(live: Live) -> float:
    return numbers(live).get("idseg_photos_accepted", 0.0)


def test_a_stop_does_not_wait_for_idle_connections() -> None:
    with running(Settings(app=FAKE_APP)) as live:
        idle = http.client.HTTPConnection("127.0.0.1", live.settings.port)
        idle.request("GET", "/healthz")
        idle.getresponse().read()
        started = time.monotonic()
        live.process.send_signal(signal.SIGTERM)
        live.process.wait(10)
        assert time.monotonic() - started < 3
        idle.close()


def test_the_port_opens_only_when_the_models_are_warm(tmp_path: Path) -> None:
    """A model that does not load ends the server instead of leaving it half alive."""
    cold = Settings(app="tests.server.fakes:create_cold_app", auth=False, state_folder=str(tmp_path))
    for workers in (1, 2):
        text = replace(cold, port=free_port(), workers=workers).to_json()
        done = subprocess.run([sys.executable, "-c", RUN, text], cwd=ROOT, capture_output=True, timeout=60, check=False)
        assert b"ModelMissingError" in done.stderr
        assert done.returncode == 3


def resident(live: Live) -> int:
    pages = int(Path(f"/proc/{live.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_memory_stays_flat_over_many_requests() -> None:
    """Good and refused photos of many sizes; after a warm-up the process must not grow."""
    photos = [picture((90, 60, number), size=(400 + 97 * number % 900, 500), kind="JPEG") for number in range(12)]
    photos += [picture(TWO_PEOPLE), picture(size=(30, 30)), b"no picture"]
    with running(Settings(app=FAKE_APP)) as live:
        token = live.token()

        def send(count: int) -> None:
            for number in range(count):
                live.call(token, photos[number % len(photos)])

        send(SOAK // 3 * 2)
        before = resident(live)
        send(SOAK - SOAK // 3 * 2)
        grown = resident(live) - before
        print(f"RSS after {SOAK // 3 * 2} requests {before / 1e6:.1f} MB, after {SOAK} {(before + grown) / 1e6:.1f} MB")
        assert grown < 12e6

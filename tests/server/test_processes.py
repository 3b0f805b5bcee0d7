"""Several workers, signals, and memory over thousands of requests."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from idseg.server.memory import resident_bytes
from idseg.server.settings import Settings
from tests.server.fakes import DIES, DIES_ONCE, HANGS, ONCE_VARIABLE, SECONDS_VARIABLE, TWO_PEOPLE, picture
from tests.server.live import FAKE_APP, ROOT, RUN, Live, free_port, running

SETTLE_S = 3.0
"""A worker gives freed memory back a second after its last photo."""
SOAK = int(os.environ.get("IDSEG_SOAK_REQUESTS", "400"))
"""Requests of the memory test; the issue's 5,000 by hand: IDSEG_SOAK_REQUESTS=5000."""


def wait_for_workers(live: Live, count: int, without: int = 0) -> list[int]:
    """Until so many workers have their models, none of them the one named."""
    found: list[int] = []
    for _ in range(600):
        with contextlib.suppress(OSError, http.client.HTTPException):
            found = live.workers
            if len(found) == count and without not in found:
                return found
        time.sleep(0.2)
    raise AssertionError(f"no {count} workers but {found}:\n{live.log_text()[-2000:]}")


def gone(pid: int) -> bool:
    """Within a while; a zombie is gone."""
    for _ in range(300):
        try:
            if " Z " in Path(f"/proc/{pid}/stat").read_text():
                return True
        except OSError:
            return True
        time.sleep(0.1)
    return False


def call_in_thread(live: Live, token: str, photo: bytes, answers: list[Any]) -> threading.Thread:
    thread = threading.Thread(target=lambda: answers.append(live.call(token, photo, timeout_s=120)))
    thread.start()
    return thread


def test_a_killed_worker_is_replaced_and_its_photo_answered() -> None:
    with running(Settings(app=FAKE_APP, workers=2), {SECONDS_VARIABLE: "0.05"}) as live:
        before = wait_for_workers(live, 2)
        token = live.token()
        outcomes: list[str] = []
        stop = threading.Event()

        def keep_calling() -> None:
            while not stop.is_set():
                outcomes.append("answered" if "seg_info" in live.call(token, picture(), timeout_s=120) else "refused")

        threads = [threading.Thread(target=keep_calling) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        os.kill(before[0], signal.SIGKILL)
        after = wait_for_workers(live, 2, without=before[0])
        stop.set()
        for thread in threads:
            thread.join()
        assert len(set(after) - set(before)) == 1, "one new worker, and the other still there"
        assert set(outcomes) == {"answered"}, "nothing lost, nothing refused"
        assert "a worker is replaced" in live.log_text()
        assert numbers(live)["idseg_workers_replaced"] == 1


def test_a_worker_that_hangs_is_replaced_while_the_other_answers() -> None:
    """It hangs with the interpreter locked: no thread of its own could end it."""
    with running(Settings(app=FAKE_APP, workers=2, answer_timeout_s=3.0)) as live:
        before = wait_for_workers(live, 2)
        token = live.token()
        answers: list[Any] = []
        hanging = call_in_thread(live, token, picture(HANGS), answers)
        while accepted(live) < 1:
            time.sleep(0.02)
        for _ in range(5):
            assert "seg_info" in live.call(token, picture())
        hanging.join()
        assert answers[0]["error_code"] == 2
        while numbers(live)["idseg_workers_replaced"] < 1:
            time.sleep(0.1)
        after = wait_for_workers(live, 2)
        assert len(set(after) - set(before)) == 1
        assert "seg_info" in live.call(token, picture())


def test_ready_follows_the_workers() -> None:
    with running(Settings(app=FAKE_APP, workers=1, answer_timeout_s=1.0)) as live:
        (before,) = wait_for_workers(live, 1)
        token = live.token()
        call_in_thread(live, token, picture(HANGS), [])
        assert gone(before)
        seen = [ready(live)]
        while not seen[-1]:
            time.sleep(0.02)
            seen.append(ready(live))
        assert not seen[0], "a worker was killed: none is ready"
        assert "seg_info" in live.call(token, picture())
        assert live.get("/healthz")["status"] == "ok"


def ready(live: Live) -> bool:
    answer = httpx.get(f"{live.url}/readyz", timeout=30, trust_env=False)
    assert answer.status_code == (200 if answer.json()["ready"] else 503)
    return bool(answer.json()["ready"])


def test_a_photo_that_takes_a_worker_with_it_is_tried_once_more(tmp_path: Path) -> None:
    with running(Settings(app=FAKE_APP, workers=2), {ONCE_VARIABLE: str(tmp_path / "once")}) as live:
        token = live.token()
        assert "seg_info" in live.call(token, picture(DIES_ONCE), timeout_s=120)
        assert live.call(token, picture(DIES), timeout_s=120)["error_code"] == 282000
        assert "SIGSEGV" in live.log_text()
        assert "seg_info" in live.call(token, picture(), timeout_s=120)
        wait_for_workers(live, 2)
        assert numbers(live)["idseg_workers_replaced"] == 3


def test_all_numbers_are_in_one_place() -> None:
    with running(Settings(app=FAKE_APP, workers=2)) as live:
        victim = wait_for_workers(live, 2)[0]
        token = live.token()
        for _ in range(20):
            assert "seg_info" in live.call(token, picture())
        os.kill(victim, signal.SIGKILL)
        wait_for_workers(live, 2, without=victim)
        found = numbers(live)
        assert found['idseg_requests_total{code="0",endpoint="body_seg_photo"}'] == 20
        assert found["idseg_workers_ready"] == 2


def numbers(live: Live) -> dict[str, float]:
    with urllib.request.urlopen(f"{live.url}/metrics", timeout=30) as reply:  # noqa: S310 - loopback
        lines = reply.read().decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


@pytest.mark.parametrize("hanging", [False, True])
def test_kill_9_of_the_server_takes_the_workers_along(hanging: bool, tmp_path: Path) -> None:
    """Their port is free at once, and nothing is left in the temporary folder."""
    with running(Settings(app=FAKE_APP, workers=2), {"TMPDIR": str(tmp_path)}) as live:
        workers = wait_for_workers(live, 2)
        token = live.token()
        if hanging:
            threading.Thread(target=lambda: left_alone(live, token), daemon=True).start()
            while accepted(live) < 1:
                time.sleep(0.02)
            time.sleep(0.3)
        live.process.kill()
        live.process.wait()
        assert all(gone(pid) for pid in workers)
        with socket.create_server(("127.0.0.1", live.settings.port)):
            pass
        assert [path for path in tmp_path.iterdir() if "idseg" in path.name] == []


def left_alone(live: Live, token: str) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):
        live.call(token, picture(HANGS))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stop_finishes_what_was_accepted(workers: int) -> None:
    settings = Settings(app=FAKE_APP, workers=workers, queue=20)
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
    """Of the server and its workers."""
    return sum(resident_bytes(pid) for pid in (live.process.pid, *live.workers))


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
        time.sleep(SETTLE_S)
        before = resident(live)
        send(SOAK - SOAK // 3 * 2)
        time.sleep(SETTLE_S)
        grown = resident(live) - before
        print(f"RSS after {SOAK // 3 * 2} requests {before / 1e6:.1f} MB, after {SOAK} {(before + grown) / 1e6:.1f} MB")
        assert grown < 12e6

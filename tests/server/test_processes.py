"""Worker processes that die or hang, signals, and memory over many requests."""

from __future__ import annotations

import base64
import contextlib
import gc
import http.client
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx
import pytest

from idseg.cloud import wire
from idseg.server.http.body import Body
from idseg.server.http.gate import Answer
from idseg.server.memory import resident_bytes
from idseg.server.settings import Settings
from tests.server.fakes import DIES, DIES_ONCE, HANGS, SECONDS_VARIABLE, TWO_PEOPLE, FakeSegmenter, load_behind, picture
from tests.server.live import FAKE_APP, ROOT, RUN, Live, free_port, hosted, numbers, running, until, until_accepted

SETTLE_S = 3.0
"""A worker gives freed memory back a second after its last photo."""
SOAK = int(os.environ.get("IDSEG_SOAK_REQUESTS", "150"))
"""Requests of the memory test; the issue's 5,000 by hand: IDSEG_SOAK_REQUESTS=5000."""


def wait_for_workers(live: Live, count: int, without: int = 0) -> list[int]:
    """Until so many workers have their models, none of them the one named."""
    found: list[int] = []

    def there() -> bool:
        found[:] = live.workers
        return len(found) == count and without not in found

    until(there, f"{count} workers")
    return found


def gone(pid: int) -> bool:
    """A zombie is gone."""
    try:
        return " Z " in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True


# --- workers ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Two workers; each is given four seconds for a photo."""
    once = tmp_path_factory.mktemp("once") / "file"
    with hosted(Settings(workers=2, answer_timeout_s=4.0), partial(FakeSegmenter, 0.02, once=str(once))) as live:
        yield live


def test_a_killed_worker_is_replaced_and_its_photo_answered(two: Live, caplog: pytest.LogCaptureFixture) -> None:
    before, numbers_before = wait_for_workers(two, 2), numbers(two)
    token, outcomes, stop = two.token(), list[str](), threading.Event()

    def keep_calling(_: int) -> None:
        while not stop.is_set():
            outcomes.append("answered" if "seg_info" in two.call(token, picture()) else "refused")

    with ThreadPoolExecutor(4) as calling:
        calls = [calling.submit(keep_calling, number) for number in range(4)]
        until(lambda: len(outcomes) >= 4, "four answers")
        os.kill(before[0], signal.SIGKILL)
        after = wait_for_workers(two, 2, without=before[0])
        stop.set()
        for call in calls:
            call.result()
    assert len(set(after) - set(before)) == 1, "one new worker, and the other still there"
    assert set(outcomes) == {"answered"}, "nothing lost, nothing refused"
    assert "a worker is replaced" in caplog.text
    found = {name: value - numbers_before.get(name, 0.0) for name, value in numbers(two).items()}
    assert found["idseg_workers_replaced"] == 1
    assert found['idseg_requests_total{code="0",endpoint="body_seg_photo"}'] == len(outcomes), "in one place"


def test_a_worker_that_hangs_is_replaced_while_the_other_answers(two: Live) -> None:
    """It hangs with the interpreter locked: no thread of its own could end it."""
    before, replaced = wait_for_workers(two, 2), numbers(two)["idseg_workers_replaced"]
    token = two.token()
    with ThreadPoolExecutor(1) as calling:
        hanging = calling.submit(two.call, token, picture(HANGS))
        until_accepted(two, 1)
        for _ in range(5):
            assert "seg_info" in two.call(token, picture())
        assert hanging.result()["error_code"] == 2
    until(lambda: numbers(two)["idseg_workers_replaced"] == replaced + 1, "one replaced")
    assert len(set(wait_for_workers(two, 2)) - set(before)) == 1
    assert "seg_info" in two.call(token, picture())


def test_a_photo_that_takes_a_worker_with_it_is_tried_once_more(two: Live, caplog: pytest.LogCaptureFixture) -> None:
    token, replaced = two.token(), numbers(two)["idseg_workers_replaced"]
    assert "seg_info" in two.call(token, picture(DIES_ONCE))
    assert two.call(token, picture(DIES))["error_code"] == 282000
    assert any("SIGSEGV" in str(getattr(record, "fields", "")) for record in caplog.records)
    assert "seg_info" in two.call(token, picture())
    wait_for_workers(two, 2)
    assert numbers(two)["idseg_workers_replaced"] == replaced + 3


def test_ready_follows_the_workers(tmp_path: Path) -> None:
    gate = tmp_path / "may load"
    gate.touch()
    settings = Settings(workers=1, answer_timeout_s=3.0)
    with hosted(settings, partial(load_behind, str(gate))) as live, ThreadPoolExecutor(1) as calling:
        token = live.token()
        gate.unlink()
        hanging = calling.submit(live.call, token, picture(HANGS))
        until(lambda: not ready(live), "no worker, since the only one was killed")
        assert hanging.result()["error_code"] == 2
        assert live.get("/healthz")["status"] == "ok"
        gate.touch()
        until(lambda: ready(live), "a new worker")
        assert "seg_info" in live.call(token, picture())


def ready(live: Live) -> bool:
    answer = httpx.get(f"{live.url}/readyz", timeout=30, trust_env=False)
    assert answer.status_code == (200 if answer.json()["ready"] else 503)
    return bool(answer.json()["ready"])


# --- the end ----------------------------------------------------------------------------------------------------------


def test_kill_9_of_the_server_takes_the_workers_along(tmp_path: Path) -> None:
    """The idle one and the one that hangs; the port is free at once, and nothing is left in the temporary folder."""
    with running(Settings(app=FAKE_APP, workers=2), {"TMPDIR": str(tmp_path)}) as live:
        workers = wait_for_workers(live, 2)
        token = live.token()
        threading.Thread(target=left_alone, args=(live, token), daemon=True).start()
        until_accepted(live, 1)
        live.own_process.kill()
        live.own_process.wait()
        until(lambda: all(map(gone, workers)), "the end of the workers")
        with socket.create_server(("127.0.0.1", live.settings.port)):
            pass
        assert [path for path in tmp_path.iterdir() if "idseg" in path.name] == []


def left_alone(live: Live, token: str) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):
        live.call(token, picture(HANGS))


def test_a_stop_finishes_what_was_accepted_and_waits_for_nothing_else() -> None:
    """Not for a connection that is open and idle: it would be kept for 75 seconds."""
    settings = Settings(app=FAKE_APP, workers=2, queue=20, grace_s=600)
    with running(settings, {SECONDS_VARIABLE: "0.5"}) as live, ThreadPoolExecutor(4) as calling:
        idle = http.client.HTTPConnection("127.0.0.1", live.settings.port)
        idle.request("GET", "/healthz")
        idle.getresponse().read()
        token = live.token()
        answers = [calling.submit(live.call, token, picture()) for _ in range(4)]
        until_accepted(live, 4)
        live.own_process.send_signal(signal.SIGTERM)
        assert all("seg_info" in answer.result() for answer in answers)
        assert live.own_process.wait(60) in (0, -signal.SIGTERM)
        assert '"message": "stopped"' in live.log_text()
        idle.close()


def test_the_port_opens_only_when_the_models_are_warm(tmp_path: Path) -> None:
    """A model that does not load ends the server instead of leaving it half alive."""
    cold = Settings(app="tests.server.apps:cold", auth=False, state_folder=str(tmp_path))
    text = replace(cold, port=free_port(), workers=2).to_json()
    done = subprocess.run([sys.executable, "-c", RUN, text], cwd=ROOT, capture_output=True, timeout=120, check=False)
    assert b"ModelMissingError" in done.stderr
    assert done.returncode == 3


# --- memory -----------------------------------------------------------------------------------------------------------


def resident(live: Live) -> int:
    """Of the server and its workers."""
    return sum(resident_bytes(pid) for pid in (live.pid, *live.workers))


def test_nothing_waits_for_the_garbage_collector() -> None:
    """A body or an answer in a cycle of references (an error, its traceback, a frame that knows the error) stays until
    a full collection, which is rare: a server grows by it."""
    kinds = (Body, Answer, Future)

    def alive() -> int:
        return sum(issubclass(type(one), kinds) for one in gc.get_objects())  # isinstance asks the objects: torch warns

    photos = (picture(), picture(TWO_PEOPLE), picture(size=(30, 30)), b"no picture", b"")
    with hosted() as live:
        token = live.token()
        gc.collect()
        before = alive()
        gc.disable()
        try:
            for photo, path in itertools.product(photos, (wire.PATH, "/v1/check?size=us-visa")):
                for sent in (token, "wrong"):
                    form = {"image": base64.b64encode(photo).decode()}
                    httpx.post(live.url + path, params={"access_token": sent}, data=form, timeout=120, trust_env=False)
            with socket.create_connection(("127.0.0.1", live.settings.port)) as leaving:
                leaving.sendall(f"POST {wire.PATH}?access_token={token} HTTP/1.1\r\nContent-Length: 9\r\n\r\n".encode())
            until(lambda: alive() <= before, "nothing is left")
        finally:
            gc.enable()


def test_memory_stays_flat_over_many_requests(live: Live, token: str) -> None:
    """Good and refused photos of many sizes; after a warm-up the processes must not grow."""
    photos = [picture((90, 60, number), size=(300 + 97 * number % 400, 400), kind="JPEG") for number in range(12)]
    photos += [picture(TWO_PEOPLE), picture(size=(30, 30)), b"no picture"]
    forms = [{"image": base64.b64encode(photo).decode()} for photo in photos]
    client = httpx.Client(base_url=live.url, timeout=120, trust_env=False)

    def send(count: int) -> None:
        for number in range(count):
            answer = client.post(wire.PATH, params={"access_token": token}, data=forms[number % len(forms)])
            assert ("seg_info" in answer.json()) is (number % len(forms) < 12)

    send(SOAK // 3 * 2)
    time.sleep(SETTLE_S)
    before = resident(live)
    send(SOAK - SOAK // 3 * 2)
    time.sleep(SETTLE_S)
    grown = resident(live) - before
    print(f"RSS after {SOAK // 3 * 2} requests {before / 1e6:.1f} MB, after {SOAK} {(before + grown) / 1e6:.1f} MB")
    client.close()
    assert grown < 12e6, "each request leaves pixels behind"

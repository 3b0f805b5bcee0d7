"""Servers for tests, on free ports of the loopback, stopped at the end.

:func:`running` starts a process, as a person would, and keeps its log. :func:`hosted` is the same server in a thread of
the tests' process, some twenty times cheaper: for whatever needs neither a process, nor signals, nor a log.
"""

from __future__ import annotations

import base64
import json
import multiprocessing.forkserver
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import uvicorn

from idseg.cloud import wire
from idseg.server.app import WORK, create_app
from idseg.server.auth.keys import Key, read_keys, write_keys
from idseg.server.run import uvicorn_config
from idseg.server.settings import Settings
from tests.cloud.test_wire import check
from tests.server import fakes

ROOT = Path(__file__).resolve().parent.parent.parent
FAKE_APP = "tests.server.apps:fake"
API_KEY, SECRET_KEY = "TestKeyOfTheTests24Chars", "a-secret-key-of-the-tests-32char"

RUN = """
import sys
from idseg.server.run import serve
from idseg.server.run import uvicorn_config
from idseg.server.settings import Settings
serve(Settings.from_json(sys.argv[1]))
"""


@dataclass(frozen=True)
class Live:
    """A server that runs."""

    settings: Settings
    process: subprocess.Popen[bytes] | None = None
    """None: a thread of this process."""
    log_path: Path | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.settings.tls_cert else 'http'}://127.0.0.1:{self.settings.port}"

    @property
    def own_process(self) -> subprocess.Popen[bytes]:
        assert self.process is not None, "a hosted server has no process of its own"
        return self.process

    @property
    def pid(self) -> int:
        return os.getpid() if self.process is None else self.process.pid

    def log_text(self) -> str:
        assert self.log_path is not None, "a hosted server has no log of its own"
        return self.log_path.read_text(encoding="utf-8")

    def token_secret(self) -> bytes:
        """What the tokens of the tests' key are signed with."""
        (key,) = read_keys(self.settings.keys_path)
        return key.token_secret((self.settings.state_path / "token.key").read_bytes())

    def get(self, path: str) -> Any:
        context = ssl.create_default_context(cafile=self.settings.tls_cert) if self.settings.tls_cert else None
        with urllib.request.urlopen(self.url + path, timeout=10, context=context) as reply:  # noqa: S310 - loopback
            return json.loads(reply.read())

    @property
    def workers(self) -> list[int]:
        """Process ids of the photos' workers that have their models, from the metrics."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=10) as reply:  # noqa: S310 - loopback
            text = reply.read().decode()
        pids = {int(pid) for pid in re.findall(r'^idseg_resident_bytes{pid="(\d+)"}', text, re.MULTILINE)}
        return sorted(pids - {self.pid})

    def token(self) -> str:
        query = urllib.parse.urlencode(
            {"grant_type": "client_credentials", "client_id": API_KEY, "client_secret": SECRET_KEY}
        )
        token: str = self.get(f"{wire.TOKEN_PATH}?{query}")["access_token"]
        return token

    def call(self, token: str, photo: bytes, timeout_s: float = 120.0) -> Any:
        form = urllib.parse.urlencode({"image": base64.b64encode(photo).decode()}).encode()
        with urllib.request.urlopen(f"{self.url}{wire.PATH}?access_token={token}", form, timeout=timeout_s) as reply:  # noqa: S310
            answer = json.loads(reply.read())
        check(answer)
        return answer


def links_of(live: Live) -> list[str]:
    """The secrets of the one-time links that a server has shown so far."""
    return re.findall(r"https?://127\.0\.0\.1:\d+/#link=([\w-]+)", live.log_text())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(
    settings: Settings | None = None,
    environment: Mapping[str, str] | None = None,
    state: Path | None = None,
    most_files: int | None = None,
) -> Iterator[Live]:
    """A server with the tests' key; with the fake models unless ``settings.app`` says otherwise.

    Args:
        settings: the port is a free one unless it is named.
        environment: besides the tests' own.
        state: the state folder; by default one of this server's own.
        most_files: the system's limit of open files for the server.
    """
    with tempfile.TemporaryDirectory(prefix="idseg-test-") as scratch:
        wanted = _prepared(settings, Path(scratch) / "state" if state is None else state)
        log_path = Path(scratch) / "server.log"
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                [*_limited(most_files), sys.executable, "-W", "error::ResourceWarning", "-c", RUN, wanted.to_json()],
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        live = Live(wanted, process, log_path)
        try:
            wait_ready(live)
            yield live
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(90)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise AssertionError(f"the server did not stop:\n{live.log_text()[-3000:]}") from None


def _prepared(settings: Settings | None, state: Path) -> Settings:
    """With a state folder, a free port unless one is named, and the tests' key."""
    wanted = Settings(app=FAKE_APP) if settings is None else settings
    wanted = replace(wanted, state_folder=str(state), port=wanted.port if wanted.port != 8080 else free_port())
    if wanted.auth and not wanted.keys_path.exists():
        write_keys(wanted.keys_path, [Key.of(API_KEY, SECRET_KEY, app_id=12345678)])
    return wanted


@contextmanager
def hosted(
    settings: Settings | None = None, load: Callable[[], Any] = fakes.FakeSegmenter, state: Path | None = None
) -> Iterator[Live]:
    """A server in a thread of this process, its workers in processes of their own.

    Args:
        settings: as of :func:`running`; workers: 1 unless they say otherwise.
        load: called in each worker.
        state: as of :func:`running`.
    """
    _start_template()
    with tempfile.TemporaryDirectory(prefix="idseg-test-") as scratch:
        wanted = _prepared(settings, Path(scratch) / "state" if state is None else state)
        wanted = replace(wanted, workers=wanted.workers or 1)
        app = create_app(wanted, load, (fakes.__name__,))
        server = uvicorn.Server(uvicorn_config(wanted, app, log_config=None))
        thread = threading.Thread(target=server.run, name="idseg-hosted")
        thread.start()
        try:
            live = Live(wanted)
            wait_ready(live, thread.is_alive)
            yield live
        finally:
            server.should_exit = True
            thread.join()


def _start_template() -> None:
    """Here, in the tests' own thread: the template process ends with the thread that started it."""
    multiprocessing.forkserver.set_forkserver_preload(["idseg.models.template", fakes.__name__, *WORK])
    multiprocessing.forkserver.ensure_running()


def _limited(most_files: int | None) -> list[str]:
    if most_files is None:
        return []
    return ["sh", "-c", f'ulimit -n {most_files}; exec "$@"', "sh"]


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime, stime (proc(5))


def numbers(live: Live) -> dict[str, float]:
    """The metrics by name and labels."""
    with urllib.request.urlopen(f"{live.url}/metrics", timeout=30) as reply:  # noqa: S310 - loopback
        lines = reply.read().decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def until(condition: Callable[[], bool], what: str, seconds: float = 120.0) -> None:
    """Wait for something that happens soon; the time is for a busy machine."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)


def until_accepted(live: Live, photos: int) -> None:
    """Wait until so many photos are worked on or waiting."""
    until(lambda: numbers(live)["idseg_photos_accepted"] == photos, f"{photos} photos accepted")


def wait_ready(live: Live, alive: Callable[[], bool] | None = None, seconds: float = 120.0) -> None:
    """Until /readyz says yes."""
    runs = alive or (lambda: live.own_process.poll() is None)
    end = time.monotonic() + seconds
    while runs() and time.monotonic() < end:
        try:
            live.get("/readyz")
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(f"the server did not get ready:\n{live.log_text()[-3000:] if live.log_path else ''}")

"""Clients that load a server, each with its own picture; they count what they get.

Each client sends the public-domain astronaut with its own tint and checks that it receives the same cut as when it was
the only client, so that an answer sent to the wrong client is noticed. A refused client (codes 4 and 18) waits a moment
and tries again, as users of the cloud API do.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

import click
import numpy as np

from benchmarks.serving import TIMEOUT_S, Server
from benchmarks.speed import portrait
from idseg.cloud import wire
from idseg.cloud.errors import Reply
from idseg.imaging import encode

BACK_OFF_S = 0.25
"""Waiting time of a refused client."""


def own_picture(number: int, side: int) -> bytes:
    """The astronaut with this client's tint and mark, as JPEG."""
    pixels = portrait(side * side / 1e6).astype(np.float32)
    tint = np.array(
        [1.0 - 0.004 * (number % 8), 1.0 - 0.004 * (number // 8 % 8), 1.0 - 0.004 * (number // 64)], np.float32
    )
    marked = np.clip(pixels * tint, 0, 255).astype(np.uint8)
    return encode.jpeg(marked, quality=90)


def form_of(photo: bytes) -> bytes:
    return urlencode({"image": base64.b64encode(photo).decode("ascii")}).encode()


def fingerprint(reply: Reply) -> str:
    """Hash of the cut and its place in the photo."""
    text = reply["seg_info"]["cut"] + json.dumps([reply["cut_location"], reply["face_location"]])
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class Tally:
    """Counts and times of one or more clients."""

    times_s: list[float] = field(default_factory=list)
    codes: Counter[int] = field(default_factory=Counter)
    lost: int = 0
    mixed_up: int = 0
    seconds: float = 0.0
    peak_bytes: int = 0
    cpu_s: float = 0.0
    """CPU seconds of the server, all processes together."""

    def add(self, other: Tally) -> None:
        self.times_s += other.times_s
        self.codes += other.codes
        self.lost += other.lost
        self.mixed_up += other.mixed_up
        self.seconds += other.seconds
        self.peak_bytes = max(self.peak_bytes, other.peak_bytes)
        self.cpu_s += other.cpu_s


class Caller:
    """One client with its picture, its connection and the expected answer."""

    def __init__(self, server: Server, token: str, number: int, side: int) -> None:
        self._server = server
        self._path = f"{wire.PATH}?access_token={token}"
        self._form = form_of(own_picture(number, side))
        self._connection: http.client.HTTPConnection | None = None
        self.expected = ""

    def learn(self) -> None:
        """Store the answer that the client gets while no other client calls."""
        reply = self._call()
        if "error_code" in reply:
            raise click.ClickException(f"the picture was refused: {reply['error_code']} {reply.get('error_detail')}")
        self.expected = fingerprint(reply)

    def run(self, until: float) -> Tally:
        """Send requests until the clock reaches ``until``."""
        tally = Tally()
        while (started := time.perf_counter()) < until:
            try:
                reply = self._call()
            except (OSError, http.client.HTTPException):
                tally.lost += 1
                self.close()
                time.sleep(BACK_OFF_S)
                continue
            code = reply.get("error_code", 0)
            tally.codes[code] += 1
            if code:
                time.sleep(BACK_OFF_S)
            else:
                tally.times_s.append(time.perf_counter() - started)
                tally.mixed_up += fingerprint(reply) != self.expected
        self.close()
        return tally

    def _call(self) -> Reply:
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=TIMEOUT_S)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        self._connection.request("POST", self._path, self._form, headers)
        answer = self._connection.getresponse()
        reply: Reply = json.loads(answer.read())
        if answer.will_close:
            self.close()
        return reply

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def load(server: Server, callers: Sequence[Caller], seconds: float) -> Tally:
    """Run all clients at once for some seconds."""
    total, lock = Tally(), threading.Lock()
    cpu_before = server.cpu_seconds()
    started = time.perf_counter()

    def work(caller: Caller) -> None:
        mine = caller.run(started + seconds)
        with lock:
            total.add(mine)

    threads = [threading.Thread(target=work, args=(caller,), daemon=True) for caller in callers]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        total.peak_bytes = max(total.peak_bytes, server.resident())
        time.sleep(0.25)
    total.seconds = time.perf_counter() - started
    total.cpu_s = server.cpu_seconds() - cpu_before
    return total


def callers_of(server: Server, count: int, side: int) -> list[Caller]:
    """Clients that have stored their expected answers, which all differ."""
    token = server.token()
    callers = [Caller(server, token, number, side) for number in range(count)]
    for caller in callers:
        caller.learn()
        caller.close()
    if len({caller.expected for caller in callers}) != count:
        raise click.ClickException("two clients expect the same answer, so a mix-up would go unnoticed")
    return callers

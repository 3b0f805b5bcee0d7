"""Load benchmark of the server, over the loopback interface, with the real models: ``python -m benchmarks.server``.

Each client sends its own picture (the public-domain astronaut, tinted and marked) and checks that it receives the same
cut as when it was the only client, so that an answer sent to the wrong client is noticed. A refused client (codes 4 and
18) waits a moment and tries again, as users of the cloud API do. The clients run on the same cores as the server and
use part of the CPU time.

The parts: the library alone; 1, 8 and 32 clients; a rate limit; ``kill -9`` of one of two workers; many requests in
sequence while the memory is sampled.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import click
import numpy as np

from benchmarks.environment import Run
from benchmarks.figures import RESULTS, Figure, Result, Statistic, read, write
from benchmarks.speed import portrait
from idseg.cloud import wire
from idseg.cloud.client import Client
from idseg.cloud.errors import Reply
from idseg.imaging import encode
from idseg.segmenter import Options, Segmenter
from idseg.server.memory import resident_bytes
from idseg.server.settings import Settings
from idseg.system import usable_cores

_LIBRARY_PHOTOS = 20
BACK_OFF_S = 0.25
"""Waiting time of a refused client."""
TIMEOUT_S = 120.0
README = Path(__file__).parent.parent / "idseg" / "server" / "README.md"


@dataclass(frozen=True)
class Server:
    """A running ``idseg serve``."""

    process: subprocess.Popen[bytes]
    port: int
    api_key: str
    secret_key: str

    def client(self) -> Client:
        return Client(f"127.0.0.1:{self.port}", self.api_key, self.secret_key, timeout_s=TIMEOUT_S)

    def token(self) -> str:
        fields = {"grant_type": "client_credentials", "client_id": self.api_key, "client_secret": self.secret_key}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        connection.request("GET", f"{wire.TOKEN_PATH}?{urlencode(fields)}")
        token: str = json.loads(connection.getresponse().read())["access_token"]
        connection.close()
        return token

    def pids(self) -> list[int]:
        """Process ids of the server and its descendants: the template process and the workers."""
        return descendants(self.process.pid)

    def resident(self) -> int:
        """Resident bytes of all processes together. Shared pages count once per process."""
        return sum(resident_bytes(pid) for pid in self.pids())

    def cpu_seconds(self) -> float:
        """CPU seconds that all processes have used so far."""
        return sum(map(cpu_seconds, self.pids()))

    def workers(self) -> list[int]:
        """Process ids of the workers that have loaded their models; empty if the server does not answer."""
        found = re.findall(r'^idseg_resident_bytes{pid="(\d+)"}', self._get("/metrics"), re.MULTILINE)
        return [int(pid) for pid in found if int(pid) != self.process.pid]

    def up(self) -> bool:
        """Whether the server answers."""
        return bool(self._get("/healthz"))

    def _get(self, path: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException):
            return ""
        finally:
            connection.close()


def descendants(pid: int) -> list[int]:
    """Process ids of a process, its children, their children, …"""
    found, left = [], [pid]
    while left:
        pid = left.pop()
        found.append(pid)
        with suppress(OSError):  # the process has ended
            for task in Path(f"/proc/{pid}/task").iterdir():  # each thread lists its own children (proc(5))
                left += map(int, (task / "children").read_text().split())
    return found


def cpu_seconds(pid: int) -> float:
    """CPU seconds that a process has used so far; 0 if the process does not exist."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime, stime (proc(5))


@contextmanager
def serving(*options: str, tree: Path | None = None) -> Iterator[Server]:
    """Start a server with its own keys on a free port, of this checkout or of ``tree``; stop it at the end."""
    with tempfile.TemporaryDirectory(prefix="idseg-bench-") as folder:
        environment = {**os.environ, "IDSEG_STATE": folder}
        if tree is not None:
            environment["PYTHONPATH"] = str(tree)
        command = [sys.executable, "-m", "idseg"]
        keys = json.loads(subprocess.check_output([*command, "keys", "add", "--json"], env=environment, cwd=tree))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        arguments = [*command, "serve", "--port", str(port), "--log-level", "warning", *options]
        process = subprocess.Popen(arguments, env=environment, cwd=tree, stderr=subprocess.DEVNULL)
        server = Server(process, port, keys["api_key"], keys["secret_key"])
        try:
            while not server.up():
                if process.poll() is not None:
                    raise click.ClickException(f"the server ended with {process.returncode}")
                time.sleep(0.2)
            yield server
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(90)


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


def quantile(times_s: Sequence[float], share: float) -> float:
    ordered = sorted(times_s)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def figures_of(name: str, tally: Tally) -> list[Figure]:
    """The figures of one part."""
    answered = len(tally.times_s)
    asked = sum(tally.codes.values()) + tally.lost
    rows = [
        Figure("server", name, "throughput", "value", round(answered / tally.seconds, 3), "photos/s", max(answered, 1)),
        Figure("server", name, "answered", "count", answered, "requests", max(asked, 1)),
        Figure("server", name, "lost", "count", tally.lost, "requests", max(asked, 1)),
        Figure("server", name, "mixed up", "count", tally.mixed_up, "requests", max(asked, 1)),
        Figure("server", name, "memory", "most", round(tally.peak_bytes / 2**20, 1), "MiB", max(asked, 1)),
    ]
    rows += [
        Figure("server", name, f"refused with {code}", "count", tally.codes[code], "requests", max(asked, 1))
        for code in sorted({4, 18} | set(tally.codes) - {0})
    ]
    if answered:
        rows += [
            Figure("server", name, "CPU", "mean", round(tally.cpu_s / answered, 4), "s", answered),
            Figure("server", name, "time", "median", round(statistics.median(tally.times_s), 4), "s", answered),
            Figure("server", name, "time", "p95", round(quantile(tally.times_s, 0.95), 4), "s", answered),
            Figure("server", name, "p99 time", "value", round(quantile(tally.times_s, 0.99), 4), "s", answered),
            Figure("server", name, "time", "most", round(max(tally.times_s), 4), "s", answered),
        ]
    return rows


def show(rows: Sequence[Figure]) -> None:
    click.echo(f"{rows[0].on}: " + ", ".join(f"{row.measure} {row.statistic} {row.value:g} {row.unit}" for row in rows))


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


def measure_kill(server: Server, seconds: float, side: int) -> tuple[Tally, float]:
    """Run clients on two workers and kill one worker after a third of the time. Also returns the seconds until two
    workers run again."""
    callers = callers_of(server, 8, side)
    back = [0.0]

    def kill() -> None:
        time.sleep(seconds / 3)
        workers = server.workers()
        if not workers:
            raise click.ClickException("no worker answers")
        os.kill(workers[0], signal.SIGKILL)
        killed = time.perf_counter()
        while time.perf_counter() < killed + 120:
            now = server.workers()
            if len(now) == len(workers) and workers[0] not in now:
                back[0] = time.perf_counter() - killed
                return
            time.sleep(0.05)

    killer = threading.Thread(target=kill)
    killer.start()
    tally = load(server, callers, seconds)
    killer.join()
    return tally, back[0]


def measure_soak(server: Server, requests: int, side: int) -> list[Figure]:
    """Send many requests from four clients; sample the memory after every tenth of them."""
    callers = callers_of(server, 4, side)
    name = f"{requests} requests in a row"
    marks: list[float] = []
    done, mixed_up, lock = 0, 0, threading.Lock()

    def work(caller: Caller) -> None:
        nonlocal done, mixed_up
        while done < requests:
            tally = caller.run(time.perf_counter() + 0.001)
            if tally.lost and server.process.poll() is not None:
                return  # the server has ended
            with lock:
                done += len(tally.times_s)
                mixed_up += tally.mixed_up

    threads = [threading.Thread(target=work, args=(caller,), daemon=True) for caller in callers]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if done >= len(marks) * requests / 10 and len(marks) <= 10:
            marks.append(server.resident() / 2**20)
        time.sleep(0.05)
    rows = [
        Figure("server", name, "memory after a tenth", "value", round(marks[1], 1), "MiB", requests),
        Figure("server", name, "memory half-way", "value", round(marks[5], 1), "MiB", requests),
        Figure("server", name, "memory at the end", "value", round(marks[-1], 1), "MiB", requests),
        Figure("server", name, "mixed up", "count", mixed_up, "requests", requests),
    ]
    show(rows)
    return rows


def soak(requests: int, side: int) -> Result:
    """The soak part as its own run."""
    workers = usable_cores()
    settings = {"requests": requests, "photo": f"{side} x {side} px JPEG", "workers": workers}
    run = Run("serversoak", len(os.sched_getaffinity(0)), settings)
    with serving("--workers", str(workers)) as server:
        run.add(*measure_soak(server, requests, side))
    return run.result()


def library_cpu_s(count: int, side: int) -> float:
    """CPU seconds per photo without a server: the same pictures through ``idseg.body_seg_photo`` in this process."""
    segmenter = Segmenter(Options(threads=1))
    segmenter.warm()
    texts = [base64.b64encode(own_picture(number, side)) for number in range(count)]
    wire.body_seg_photo(texts[0], segmenter)
    started = time.process_time()
    for text in texts:
        wire.dumps(wire.body_seg_photo(text, segmenter))
    used = time.process_time() - started
    segmenter.close()
    return used / count


def measure(clients: Sequence[int], seconds: float, workers: int, side: int) -> Result:
    """Run all parts except the soak."""
    settings = {
        "clients": list(clients),
        "seconds": seconds,
        "workers": workers or usable_cores(),
        "photo": f"{side} x {side} px JPEG",
        "back_off_s": BACK_OFF_S,
        "queue": Settings().queue,
    }
    run = Run("server", len(os.sched_getaffinity(0)), settings)
    cpu_s = library_cpu_s(_LIBRARY_PHOTOS, side)
    run.add(Figure("server", "the library by itself", "CPU", "mean", round(cpu_s, 4), "s", _LIBRARY_PHOTOS))
    click.echo(f"the library by itself: {cpu_s:.3f} CPU s a photo")
    with serving("--workers", str(workers)) as server:
        callers = callers_of(server, max(clients), side)
        for count in clients:
            rows = figures_of(f"{count} clients", load(server, callers[:count], seconds))
            show(rows)
            run.add(*rows)
    with serving("--rate", "1") as server:
        rows = figures_of("4 clients, rate 1/s", rate_limited(server, seconds / 3, side))
        show(rows)
        run.add(*rows)
    with serving("--workers", "2") as server:
        tally, back_s = measure_kill(server, seconds, side)
        name = "8 clients, kill -9 of one of 2 workers"
        rows = [
            *figures_of(name, tally),
            Figure("server", name, "worker back after", "value", round(back_s, 2), "s", 1),
        ]
        show(rows)
        run.add(*rows)
    run.notes.append("clients and server share the machine's cores; a refused client waits 0.25 s and tries again")
    return run.result()


def rate_limited(server: Server, seconds: float, side: int) -> Tally:
    """Four clients share one key that allows one photo per second."""
    token = server.token()
    callers = [Caller(server, token, number, side) for number in range(4)]
    for caller in callers:
        time.sleep(1.5)
        caller.learn()
        caller.close()
    return load(server, callers, seconds)


def markdown(result: Result, soaked: Result | None = None) -> str:
    """The run as a Markdown table, with a description of the machine, then the figures of the soak part."""
    columns: tuple[tuple[str, Statistic, str], ...] = (
        ("throughput", "value", "photos/s"),
        ("CPU", "mean", "CPU s a photo"),
        ("time", "median", "median, s"),
        ("time", "p95", "p95, s"),
        ("p99 time", "value", "p99, s"),
        ("answered", "count", "answered"),
        ("refused with 4", "count", "refused, 4"),
        ("refused with 18", "count", "refused, 18"),
        ("lost", "count", "lost"),
        ("mixed up", "count", "mixed up"),
        ("memory", "most", "most memory, MiB"),
    )
    parts = list(dict.fromkeys(figure.on for figure in result.figures if figure.measure == "throughput"))
    rows = [[part, *(_cell(result, part, measure, statistic) for measure, statistic, _ in columns)] for part in parts]
    lines = [
        "",
        *(_line(row) for row in ([" ", *(head for _, _, head in columns)], ["---"] * (1 + len(columns)), *rows)),
        "",
    ]
    others = [figure for figure in result.figures if figure.on not in parts or figure.measure.startswith("worker")]
    lines += [f"* {figure.on}, {figure.measure}: {figure.value:g} {figure.unit}" for figure in others]
    if soaked is not None:
        figures = [f"{figure.measure} {figure.value:g} {figure.unit}" for figure in soaked.figures]
        lines.append(f"* {soaked.figures[0].on} by 4 clients ({soaked.date[:10]}): {', '.join(figures)}")
    machine, chosen = result.environment, result.settings
    about = (
        f"Measured {result.date[:10]} at {result.commit[:10]}{' (changed)' if result.changed else ''} "
        f"on {machine['machine']}, "
        f"{machine['threads']} cores, load average {machine['load_average'][0]:g} when it began; {chosen['photo']}, "
        f"{chosen['seconds']:g} s a part, {chosen['workers']} workers, a queue of {chosen['queue']}."
    )
    return "\n".join([about, *lines, "", *(f"{note[0].upper()}{note[1:]}." for note in result.notes)])


def _cell(result: Result, part: str, measure: str, statistic: Statistic) -> str:
    value = result.named("server", part, measure, statistic)
    return "–" if value is None else f"{value:.0f}" if statistic in ("count", "most") else f"{value:.2f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def into_readme(result: Result, soaked: Result | None = None, readme: Path = README) -> None:
    """Write the table between its two marks in the README."""
    begin, end = "<!-- begin server -->\n", "\n<!-- end server -->"
    head, _, rest = readme.read_text(encoding="utf-8").partition(begin)
    readme.write_text(f"{head}{begin}{markdown(result, soaked)}{end}{rest.partition(end)[2]}", encoding="utf-8")


@click.command(help=__doc__)
@click.option("--clients", default="1,8,32", show_default=True, help="Numbers of simultaneous clients; one part each.")
@click.option("--seconds", default=60.0, show_default=True, help="Duration of each part.")
@click.option("--workers", default=0, help="Worker processes (default: one per core).")
@click.option("--side", default=1000, show_default=True, help="Side of the square photo, px.")
@click.option("--soak", "requests", default=5000, show_default=True, help="Requests of the soak part; 0 skips it.")
@click.option("--only", type=click.Choice(["load", "soak"]), help="Run one of the two; keep the other's saved result.")
@click.option("--results", type=click.Path(file_okay=False, path_type=Path), default=RESULTS, show_default=True)
def main(  # noqa: PLR0913 - an option each
    clients: str, seconds: float, workers: int, side: int, requests: int, only: str | None, results: Path
) -> None:
    if only != "soak":
        loaded = measure([int(count) for count in clients.split(",")], seconds, workers, side)
        click.echo(f"written: {write(loaded, results)}")
    if only != "load" and requests:
        click.echo(f"written: {write(soak(requests, side), results)}")
    if results == RESULTS:
        into_readme(*saved(results))


def saved(results: Path = RESULTS) -> tuple[Result, Result | None]:
    """The saved result of the load parts, and that of the soak part (None if there is none)."""
    second = results / "serversoak.json"
    return read(results / "server.json"), read(second) if second.exists() else None


if __name__ == "__main__":
    main()

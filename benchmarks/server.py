"""Load benchmark of the server, over the loopback interface, with the real models: ``python -m benchmarks.server``.

Each client checks its own answer (:mod:`benchmarks.callers`). The clients run on the same cores as the server and use
part of the CPU time.

The parts: the library alone; 1, 8 and 32 clients; a rate limit; ``kill -9`` of one of two workers; many requests in
sequence while the memory is sampled.
"""

from __future__ import annotations

import base64
import os
import signal
import statistics
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import click

from benchmarks.callers import BACK_OFF_S, Caller, Tally, callers_of, load, own_picture
from benchmarks.environment import Run
from benchmarks.figures import RESULTS, Figure, Result, write
from benchmarks.server_table import into_readme, saved
from benchmarks.serving import Server, serving
from idseg.cloud import wire
from idseg.segmenter import Options, Segmenter
from idseg.server.settings import Settings
from idseg.system import usable_cores

_LIBRARY_PHOTOS = 20


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


if __name__ == "__main__":
    main()

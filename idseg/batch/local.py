"""The local engine: processes on this machine, each with its own models.

MediaPipe's objects process one picture at a time, and a photo can kill its process (out of memory, a fault in native
code, a graph that hangs). So each worker is a process with at most two photos (one being processed, one waiting), and a
dead worker is replaced. The photo that it was processing is tried again in another worker, ``tries`` times in total.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing import connection
from typing import Any

from idseg.batch.items import BatchError, Item, Outcome
from idseg.batch.work import Work, do
from idseg.errors import IdsegError, OptionError
from idseg.models.process import Pipe, ending, start
from idseg.system import usable_cores

_HAND = 2
_CHECK_EVERY_S = 0.2
"""Interval for checking deadlines and stop requests while nothing arrives."""
_MOST_START_DEATHS = 3
"""Number of consecutive workers that may die while loading before the batch fails: then the machine is the cause."""
_LOADING_S = 300.0
"""Maximum loading time of a worker; the first compilation of the closed-form refiner takes most of a minute."""
_EXIT_TIMEOUT_S = 5.0
"""Time for a worker to exit after it was asked to, before it is killed."""


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """How the machine is used. These options do not change the answers."""

    workers: int = 0
    """Number of processes; 0: one per usable core."""
    threads: int = 1
    """Threads of the nets in each worker."""
    tries: int = 3
    """Number of workers that a photo may kill before it counts as failed."""
    timeout_s: float = 300.0
    """Seconds after which a photo counts as hanging; a hundred times as long as the slowest refiner takes."""

    def __post_init__(self) -> None:
        if self.workers < 0 or self.threads < 1 or self.tries < 1 or self.timeout_s <= 0:
            raise OptionError("workers must be at least 0, threads and tries at least 1, and the timeout above 0")


@dataclass(slots=True)
class _Worker:
    process: Any
    pipe: Pipe
    hand: deque[tuple[Item, int]] = field(default_factory=deque)
    """The worker's photos (the first one is being processed), each with the number of workers that it killed."""
    begun: float = 0.0
    """Time at which the first photo was started."""
    ready: bool = False


class WorkerPool:
    """Workers that keep their models over several calls of ``run``. Use it in a ``with`` block, from one thread."""

    def __init__(self, work: Work, options: LocalOptions) -> None:
        self._work = replace(work, options=replace(work.options, threads=options.threads))
        self._options = options
        self._size = options.workers or usable_cores()
        self._workers: list[_Worker] = []
        self._again: deque[tuple[Item, int]] = deque()
        self._start_deaths = 0
        self.deaths = 0
        """Number of workers that died or were killed because they hung."""

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def run(self, items: Iterable[Item], stop: Callable[[], bool] = lambda: False) -> Iterator[Outcome]:
        """Yield outcomes as they arrive, in any order. Takes only as many items as the workers can hold.

        When ``stop()`` returns true, it takes no further items and finishes the photos in work.

        Raises:
            BatchError: nothing can be written, or workers die while loading.
            IdsegError: the model files, the provider or an option is wrong.
        """
        source = iter(items)
        while True:
            if not stop():
                self._distribute(source)
            if not any(worker.hand for worker in self._workers):
                return
            yield from self._collect()

    def close(self) -> None:
        """End the workers: idle ones by request, the others at once."""
        for worker in self._workers:
            if worker.hand or not worker.ready:
                worker.process.kill()
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join(_EXIT_TIMEOUT_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers.clear()

    def _distribute(self, source: Iterator[Item]) -> None:
        """Distribute items evenly over the workers; start a worker only when there is a photo for it."""
        for depth in range(1, _HAND + 1):
            for place in range(self._size):
                if place < len(self._workers) and len(self._workers[place].hand) >= depth:
                    continue
                taken = self._again.popleft() if self._again else next(((item, 0) for item in source), None)
                if taken is None:
                    return
                if place >= len(self._workers):
                    self._workers.append(self._start())
                self._assign(self._workers[place], taken)

    def _assign(self, worker: _Worker, taken: tuple[Item, int]) -> None:
        if not worker.hand:
            worker.begun = time.monotonic()
        worker.hand.append(taken)
        with suppress(OSError):  # a dead worker is noticed when reading; its photos then go to another one
            worker.pipe.send(taken[0])

    def _start(self) -> _Worker:
        preload = ("idseg.segmenter",) if self._size > 1 else ()  # one worker alone is not worth a template process
        process, pipe = start(_work, self._work, name="idseg-batch", preload=preload)
        return _Worker(process, pipe)

    def _collect(self) -> Iterator[Outcome]:
        """Yield the outcomes that have arrived, waiting briefly for them."""
        ready = connection.wait([worker.pipe for worker in self._workers], _CHECK_EVERY_S)
        for worker in list(self._workers):
            if worker.pipe in ready:
                yield from self._receive(worker)
            elif worker.hand:
                limit_s = self._options.timeout_s if worker.ready else max(self._options.timeout_s, _LOADING_S)
                if time.monotonic() - worker.begun > limit_s:
                    yield from self._replace_dead_worker(worker, "timeout", f"not done after {limit_s:g} s")

    def _receive(self, worker: _Worker) -> Iterator[Outcome]:
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join(_EXIT_TIMEOUT_S)
            yield from self._replace_dead_worker(
                worker, "worker_died", f"the process ended with {ending(worker.process.exitcode)}"
            )
            return
        if isinstance(message, Outcome):
            _, deaths = worker.hand.popleft()
            worker.begun = time.monotonic()
            yield replace(message, tries=deaths + 1)
        elif isinstance(message, IdsegError):
            raise message
        else:
            worker.ready = True
            worker.begun = time.monotonic()
            self._start_deaths = 0

    def _replace_dead_worker(self, worker: _Worker, reason: str, what: str) -> Iterator[Outcome]:
        """Replace a worker that died or hangs, and handle the photos that it had."""
        self.deaths += 1
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()
        if not worker.ready:
            self._start_deaths += 1
            if self._start_deaths >= _MOST_START_DEATHS:
                raise BatchError(
                    f"{self._start_deaths} workers died while loading the models ({what}); is there enough memory?"
                    " Try fewer --workers"
                )
        elif worker.hand:
            item, deaths = worker.hand.popleft()
            if deaths + 1 < self._options.tries:
                self._again.append((item, deaths + 1))
            else:
                message = f"It killed {deaths + 1} workers: {what}."
                yield Outcome(item.key, item.version, "failed", reason, message, tries=deaths + 1)
        self._again.extendleft(reversed(worker.hand))
        self._workers.remove(worker)


def _work(pipe: Pipe, work: Work) -> None:
    """Main function of a worker: load the models, then process photos until the pipe closes."""
    try:
        answer = work.loader(work.options)
        pipe.send("ready")
        while True:
            pipe.send(do(pipe.recv(), answer, work))
    except IdsegError as error:
        pipe.send(error)

"""The embedded engine: processes of this machine, each with its own models.

MediaPipe's objects take one picture at a time and a photo can take its process with it (out of memory, a fault in
native code, a graph that hangs), so each worker is a process, holds at most two photos (one in work, one waiting, so
that it never waits for us), and is replaced when it dies. The photo that it had in work is tried again in another one,
``tries`` times in all.
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
_LOOK_EVERY_S = 0.2
"""How often deadlines and the wish to stop are looked at while nothing arrives."""
_MOST_START_DEATHS = 3
"""Workers that die while loading, one after the other, before we give up: the machine, not a photo, is at fault."""
_LOADING_S = 300.0
"""How long a worker may load: the first compilation of the closed-form refiner takes 44 s on a free core."""
_LEAVE_S = 5.0
"""How long a worker that was told to leave may take before it is killed."""


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """How the machine is used; none of it changes an answer."""

    workers: int = 0
    """Processes; 0: one for each core that we may use."""
    threads: int = 1
    """Threads of the nets in each worker."""
    tries: int = 3
    """How many workers a photo may take with it before it is failed."""
    timeout_s: float = 300.0
    """Seconds after which a photo counts as hanging: a hundred times what the slowest refiner takes."""

    def __post_init__(self) -> None:
        if self.workers < 0 or self.threads < 1 or self.tries < 1 or self.timeout_s <= 0:
            raise OptionError("workers must be at least 0, threads and tries at least 1, and the timeout above 0")


@dataclass(slots=True)
class _Worker:
    process: Any
    pipe: Pipe
    hand: deque[tuple[Item, int]] = field(default_factory=deque)
    """Photos that it has, the first one in work; with the number of workers that they took with them."""
    begun: float = 0.0
    """When the first photo in hand was begun."""
    ready: bool = False


class WorkerPool:
    """Workers that keep their models over any number of ``run`` calls. Use it in ``with``, from one thread."""

    def __init__(self, work: Work, options: LocalOptions) -> None:
        self._work = replace(work, options=replace(work.options, threads=options.threads))
        self._options = options
        self._size = options.workers or usable_cores()
        self._workers: list[_Worker] = []
        self._again: deque[tuple[Item, int]] = deque()
        self._start_deaths = 0
        self.deaths = 0
        """Workers that died or were killed for hanging."""

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def run(self, items: Iterable[Item], stop: Callable[[], bool] = lambda: False) -> Iterator[Outcome]:
        """Outcomes as they come, in no order. Takes as many items as the workers hold, never more.

        When ``stop()`` turns true, what is in work is finished and no item more is taken.

        Raises:
            BatchError: nothing can be written, or workers die while they load.
            IdsegError: the weights, the provider or an option is at fault.
        """
        source = iter(items)
        while True:
            if not stop():
                self._deal(source)
            if not any(worker.hand for worker in self._workers):
                return
            yield from self._collect()

    def close(self) -> None:
        """Let the workers go: politely if they are idle, else at once."""
        for worker in self._workers:
            if worker.hand or not worker.ready:
                worker.process.kill()
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join(_LEAVE_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers.clear()

    def _deal(self, source: Iterator[Item]) -> None:
        """Fill the workers' hands evenly; start a worker only when there is a photo for it."""
        for depth in range(1, _HAND + 1):
            for place in range(self._size):
                if place < len(self._workers) and len(self._workers[place].hand) >= depth:
                    continue
                taken = self._again.popleft() if self._again else next(((item, 0) for item in source), None)
                if taken is None:
                    return
                if place >= len(self._workers):
                    self._workers.append(self._start())
                self._give(self._workers[place], taken)

    def _give(self, worker: _Worker, taken: tuple[Item, int]) -> None:
        if not worker.hand:
            worker.begun = time.monotonic()
        worker.hand.append(taken)
        with suppress(OSError):  # it died: noticed when we read from it, and the photo then goes to another one
            worker.pipe.send(taken[0])

    def _start(self) -> _Worker:
        process, pipe = start(_work, self._work, name="idseg-batch", preload=("idseg.segmenter",))
        return _Worker(process, pipe)

    def _collect(self) -> Iterator[Outcome]:
        """What has arrived; waits a moment for it."""
        ready = connection.wait([worker.pipe for worker in self._workers], _LOOK_EVERY_S)
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
            worker.process.join(_LEAVE_S)
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
        """Put another worker in the place of one that died or hangs, and see to the photos that it held."""
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
                message = f"It took {deaths + 1} workers with it: {what}."
                yield Outcome(item.key, item.version, "failed", reason, message, tries=deaths + 1)
        self._again.extendleft(reversed(worker.hand))
        self._workers.remove(worker)


def _work(pipe: Pipe, work: Work) -> None:
    """A worker's life: load the models, then one photo after the other until the pipe closes."""
    try:
        answer = work.loader(work.options)
        pipe.send("ready")
        while True:
            pipe.send(do(pipe.recv(), answer, work))
    except IdsegError as error:
        pipe.send(error)

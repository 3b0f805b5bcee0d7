"""The worker processes. A worker that hangs is killed and replaced; the others continue.

The server's own process accepts requests and never decodes a picture, so a photo that harms a decoding library harms
only one worker. A worker handles one call at a time. If a call exceeds its time limit, the worker is killed, the caller
gets :class:`~idseg.cloud.errors.UnavailableError`, and a new worker starts. If a worker dies (out of memory, a fault in
native code, ``kill -9``), its call is given to another worker, once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from idseg.cloud.errors import UnavailableError
from idseg.errors import IdsegError
from idseg.models.process import Pipe, ending, start
from idseg.server.logs import FaultError, describe, log
from idseg.server.memory import resident_bytes, set_up_malloc
from idseg.system import trim

Work: TypeAlias = Callable[[Any], Any]
"""A module-level function with arguments (``functools.partial``). The worker calls it with the return value of
``load``."""

LOADING_S: Final = 300.0
"""Maximum loading time of a worker; about a hundred times as long as on an idle core."""
TRIES: Final = 2
"""Number of workers that one photo may kill."""
_IDLE_S: Final = 1.0
"""Idle time after which a worker returns freed memory to the system."""
_MOST_UNTRIMMED: Final = 25
"""Calls after which a worker that is never idle returns freed memory: some milliseconds in 15 seconds of work."""
_CHECK_EVERY_S: Final = 0.5
"""Interval for checking idle workers."""
_MOST_PAUSE_S: Final = 30.0
"""Maximum pause between two starts if workers keep dying while loading; the first pauses are shorter."""
_EXIT_TIMEOUT_S: Final = 5.0
"""Time for a worker to exit after it was asked to, before it is killed."""


class WorkerDiedError(Exception):
    """The worker ended during the call."""


@dataclass(eq=False, slots=True)
class _Worker:
    process: Any
    pipe: Pipe
    near: Hashable = None
    """The ``near`` of its last call; see :meth:`Crew.do`."""
    overdue: bool = False
    """Whether it was killed because its call took too long."""


class Crew:
    """``size`` workers. Every method except :meth:`start_all` may be called from any thread."""

    def __init__(self, load: Callable[[], Any], size: int, limit_s: float, preload: tuple[str, ...]) -> None:
        """
        Args:
            load: called once in every worker; loads the models. It must be picklable, and so must its errors.
            size: number of workers.
            limit_s: maximum seconds per call.
            preload: modules imported once, by the process from which workers are forked; their import is more than
                half of a worker's start.
        """
        self.size: Final = size
        self._load = load
        self._limit_s = limit_s
        self._preload = preload
        self._changed = threading.Condition()
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._open = True
        self._deaths_in_a_row = 0
        self._trouble: BaseException | None = None
        self.replaced = 0
        """Number of workers that died or were killed, and were replaced."""
        # One thread starts all workers and lives as long as they do: the kernel kills a worker with that thread.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="idseg-start")

    @property
    def ready(self) -> int:
        """Number of workers that have loaded their models."""
        with self._changed:
            return len(self._all)

    @property
    def resident_bytes(self) -> dict[int, int]:
        """Resident memory of each worker, by process id."""
        with self._changed:
            pids = [worker.process.pid for worker in self._all]
        return {pid: resident_bytes(pid) for pid in pids}

    def start_all(self) -> None:
        """Start the workers; returns when one is ready.

        Raises:
            IdsegError, FaultError: an error that ``load`` raised in the first worker.
            WorkerDiedError: the first worker died while loading.
        """
        threading.Thread(target=self._watch, name="idseg-watch", daemon=True).start()
        for _ in range(self.size):
            self._starter.submit(self._hire)
        with self._changed:
            self._changed.wait_for(lambda: self._all or self._trouble is not None)
            if self._trouble is not None and not self._all:
                self._open = False
                self._changed.notify_all()
                raise self._trouble

    def do(self, work: Work, near: Hashable = None) -> Any:
        """Let a worker do the work, and return its result. Waits while all workers are busy or loading.

        Args:
            work: see :data:`Work`.
            near: prefers a free worker whose last call had the same value, because it may have cached something.

        Raises:
            UnavailableError: the call took too long, or the crew is closed.
            WorkerDiedError: the call killed ``TRIES`` workers.
            FaultError: the call raised an error that is not idseg's.
            IdsegError: an error that the call raised.
        """
        for attempt in range(1, TRIES + 1):
            worker = self._take(near)
            try:
                return self._call(worker, work)
            except WorkerDiedError:
                if attempt == TRIES:
                    raise
            finally:
                self._give_back(worker)
        raise AssertionError("unreachable")

    def close(self) -> None:
        """End the workers; kill those that are busy."""
        with self._changed:
            self._open = False
            workers, idle = list(self._all), list(self._idle)
            self._all.clear()
            self._idle.clear()
            self._changed.notify_all()
        for worker in idle:
            worker.pipe.close()
        for worker in workers:
            if worker in idle:
                worker.process.join(_EXIT_TIMEOUT_S)
            worker.process.kill()
            worker.process.join()
        self._starter.shutdown(wait=True, cancel_futures=True)

    # --- calls --------------------------------------------------------------------------------------------------------

    def _take(self, near: Hashable) -> _Worker:
        with self._changed:
            self._changed.wait_for(lambda: self._idle or not self._open)
            if not self._open:
                raise UnavailableError("the server is shutting down")
            places = [place for place, worker in enumerate(self._idle) if near is not None and worker.near == near]
            worker = self._idle.pop(places[0] if places else 0)
            worker.near = near
            return worker

    def _call(self, worker: _Worker, work: Work) -> Any:
        """Call the worker; raises the same errors as :meth:`do`. A timer kills the worker, which closes the pipe."""

        def kill() -> None:
            worker.overdue = True
            worker.process.kill()

        timer = threading.Timer(self._limit_s, kill)
        timer.daemon = True
        timer.start()
        try:
            worker.pipe.send(work)
            fine, value = worker.pipe.recv()
        except (EOFError, OSError) as error:
            worker.process.join(_EXIT_TIMEOUT_S)
            if worker.overdue:
                raise UnavailableError(f"no answer within {self._limit_s:g} s") from error
            raise WorkerDiedError(f"the worker ended with {ending(worker.process.exitcode)}") from error
        finally:
            timer.cancel()
        if fine:
            return value
        fault, described = value
        try:
            raise fault from FaultError(described)
        finally:
            del fault, value  # they know this frame by the traceback, and with it the work

    def _give_back(self, worker: _Worker) -> None:
        with self._changed:
            if not self._open:
                return
            if worker.process.is_alive() and not worker.overdue:
                self._idle.append(worker)
                self._changed.notify()
                return
        self._replace(worker)

    def _replace(self, worker: _Worker) -> None:
        with self._changed:
            self._all.discard(worker)
            self.replaced += 1
        self._kill(worker)
        log(
            logging.ERROR,
            "a worker is replaced",
            worker=worker.process.pid,
            why="too slow" if worker.overdue else ending(worker.process.exitcode),
        )
        with suppress(RuntimeError):  # the crew was closed
            self._starter.submit(self._hire)

    def _watch(self) -> None:
        """Replace idle workers that died, in an endless loop."""
        while True:
            with self._changed:
                if self._changed.wait_for(lambda: not self._open, _CHECK_EVERY_S):
                    return
                dead = [worker for worker in self._idle if not worker.process.is_alive()]
                self._idle = [worker for worker in self._idle if worker not in dead]
            for worker in dead:
                self._replace(worker)

    @staticmethod
    def _kill(worker: _Worker) -> None:
        worker.process.kill()
        worker.process.join()
        with suppress(OSError):
            worker.pipe.close()

    # --- starting -----------------------------------------------------------------------------------------------------

    def _hire(self) -> None:
        """Start a worker, in the starter's thread. Another thread waits until its models are loaded."""
        with self._changed:
            pause_s = min(_MOST_PAUSE_S, 0.5 * 2 ** (self._deaths_in_a_row - 1)) if self._deaths_in_a_row else 0.0
            if self._changed.wait_for(lambda: not self._open, pause_s):
                return
        try:
            worker = _Worker(*start(_run_worker, self._load, name="idseg-worker", preload=self._preload))
        except Exception as error:  # noqa: BLE001 - no process, no memory: try again, after a pause
            self._failed(error)
            return
        threading.Thread(target=self._wait_until_ready, args=(worker,), name="idseg-loading", daemon=True).start()

    def _wait_until_ready(self, worker: _Worker) -> None:
        trouble: BaseException | None = None
        try:
            if not worker.pipe.poll(LOADING_S):
                raise WorkerDiedError(f"the models did not load within {LOADING_S:g} s")
            fine, value = worker.pipe.recv()
            if not fine:
                trouble = value
        except (EOFError, OSError):
            worker.process.join(_EXIT_TIMEOUT_S)
            trouble = WorkerDiedError(f"the worker ended with {ending(worker.process.exitcode)} while it loaded")
        except WorkerDiedError as error:
            trouble = error
        if trouble is not None:
            self._kill(worker)
            self._failed(trouble)
            return
        with self._changed:
            if self._open:
                self._deaths_in_a_row = 0
                self._all.add(worker)
                self._idle.append(worker)
                self._changed.notify_all()
                return
        self._kill(worker)

    def _failed(self, trouble: BaseException) -> None:
        """Handle a worker that did not start. During the server's start this ends the start; later, another try follows
        after a pause."""
        log(logging.ERROR, "a worker does not start", exc_info=trouble)
        with self._changed:
            self._deaths_in_a_row += 1
            self._trouble = trouble
            self._changed.notify_all()
            if not self._open:
                return
        with suppress(RuntimeError):  # the crew was closed
            self._starter.submit(self._hire)


# --- in the worker ----------------------------------------------------------------------------------------------------


def _run_worker(pipe: Pipe, load: Callable[[], Any]) -> None:
    """Main function of a worker: load the models, then handle calls until the pipe closes."""
    set_up_malloc()
    try:
        loaded = load()
    except Exception as error:  # noqa: BLE001 - told to the parent
        pipe.send((False, _portable(error)))
        return
    pipe.send((True, None))
    forget_old = getattr(loaded, "forget_old", None)
    untrimmed = 0
    while True:
        idle = not pipe.poll(_IDLE_S)
        if idle or untrimmed >= _MOST_UNTRIMMED:
            if forget_old is not None:
                forget_old()
            if untrimmed:
                trim()
                untrimmed = 0
        if idle:
            continue
        work = pipe.recv()
        try:
            answer = True, work(loaded)
        except Exception as error:  # noqa: BLE001 - told to the parent
            answer = False, (_portable(error), describe(error))
        pipe.send(answer)
        del work, answer  # keeps nothing of a photo
        untrimmed += 1


def _portable(error: BaseException) -> BaseException:
    """Make an error picklable. idseg's errors stay; others become type and place, because their text may quote the
    photo."""
    return error if isinstance(error, IdsegError) else FaultError(describe(error))

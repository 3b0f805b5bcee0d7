"""The processes that work on photos. One that hangs is killed and replaced; the others go on.

The server's own process takes requests and never touches a pixel: whatever a photo does to the libraries that decode
it, it does to one worker. A worker answers one call at a time. When a call takes longer than its limit, the worker is
killed, its caller gets :class:`~idseg.cloud.errors.UnavailableError`, and a new worker starts. When a worker dies
(out of memory, a fault in native code, ``kill -9``), its call is given to another worker, once.
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
from idseg.server.memory import resident_bytes, trim

Work: TypeAlias = Callable[[Any], Any]
"""A function of a module with its arguments (``functools.partial``), called in the worker with what ``load`` gave."""

LOADING_S: Final = 300.0
"""How long a worker may load its models: some hundred times what a free core takes."""
TRIES: Final = 2
"""How many workers one photo may take with it."""
_IDLE_S: Final = 1.0
"""After so long without work a worker gives memory back that was freed."""
_LOOK_EVERY_S: Final = 0.5
"""How often idle workers are looked at."""
_MOST_PAUSE_S: Final = 30.0
"""Between two starts where one worker after the other dies while it loads; the first pauses are shorter."""
_LEAVE_S: Final = 5.0
"""How long a worker that was told to leave may take before it is killed."""


class WorkerDiedError(Exception):
    """The worker ended during the call."""


@dataclass(eq=False, slots=True)
class _Worker:
    process: Any
    pipe: Pipe
    near: Hashable = None
    """What its last call was near to; see :meth:`Crew.do`."""
    overdue: bool = False
    """It was killed because its call took too long."""


class Crew:
    """``size`` workers. Every method but :meth:`start_all` may be called from any thread."""

    def __init__(self, load: Callable[[], Any], size: int, limit_s: float, preload: tuple[str, ...]) -> None:
        """
        Args:
            load: called once in every worker; loads the models. It and what it raises must pickle.
            size: workers.
            limit_s: seconds that one call may take.
            preload: modules that are imported once, by the process that workers are forked from: over half of a
                worker's start.
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
        """Workers that died or were killed and were replaced."""
        # One thread starts all of them and lives as long as they do: the kernel kills a worker with that thread.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="idseg-start")

    @property
    def ready(self) -> int:
        """Workers that have loaded their models."""
        with self._changed:
            return len(self._all)

    @property
    def resident_bytes(self) -> dict[int, int]:
        """Memory of each worker by its process id."""
        with self._changed:
            pids = [worker.process.pid for worker in self._all]
        return {pid: resident_bytes(pid) for pid in pids}

    def start_all(self) -> None:
        """Start the workers; returns when one is ready.

        Raises:
            IdsegError, FaultError: what the first worker's ``load`` raised.
            WorkerDiedError: it died while it loaded.
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
        """Give the work to a worker and wait for what it returns; waits while all are at work or loading.

        Args:
            work: see :data:`Work`.
            near: a free worker whose last call had the same is preferred: it may remember something.

        Raises:
            UnavailableError: it took too long, or the crew is closed.
            WorkerDiedError: it took ``TRIES`` workers with it.
            FaultError: it raised something that is none of ours.
            IdsegError: what it raised.
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
        """Let the workers go; kill those that are at work."""
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
                worker.process.join(_LEAVE_S)
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
        """Raises as :meth:`do` does. The timer kills the worker, whatever it does: then the pipe ends here."""

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
            worker.process.join(_LEAVE_S)
            if worker.overdue:
                raise UnavailableError(f"no answer within {self._limit_s:g} s") from error
            raise WorkerDiedError(f"the worker ended with {ending(worker.process.exitcode)}") from error
        finally:
            timer.cancel()
        if fine:
            return value
        fault, described = value
        raise fault from FaultError(described)

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
        with suppress(RuntimeError):  # closed meanwhile
            self._starter.submit(self._hire)

    def _watch(self) -> None:
        """For ever: replace idle workers that died."""
        while True:
            with self._changed:
                if self._changed.wait_for(lambda: not self._open, _LOOK_EVERY_S):
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
        """In the starter's thread: start one; another thread waits for its models."""
        with self._changed:
            pause_s = min(_MOST_PAUSE_S, 0.5 * 2 ** (self._deaths_in_a_row - 1)) if self._deaths_in_a_row else 0.0
            if self._changed.wait_for(lambda: not self._open, pause_s):
                return
        try:
            worker = _Worker(*start(_life, self._load, name="idseg-worker", preload=self._preload))
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
            worker.process.join(_LEAVE_S)
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
        """A worker did not start: the first time that ends the server's start, later the next try comes after a
        pause."""
        log(logging.ERROR, "a worker does not start", exc_info=trouble)
        with self._changed:
            self._deaths_in_a_row += 1
            self._trouble = trouble
            self._changed.notify_all()
            if not self._open:
                return
        with suppress(RuntimeError):  # closed meanwhile
            self._starter.submit(self._hire)


# --- in the worker ----------------------------------------------------------------------------------------------------


def _life(pipe: Pipe, load: Callable[[], Any]) -> None:
    """Load the models, then one call after the other until the pipe ends."""
    try:
        loaded = load()
    except Exception as error:  # noqa: BLE001 - told to the parent
        pipe.send((False, _portable(error)))
        return
    pipe.send((True, None))
    forget_old = getattr(loaded, "forget_old", None)
    trimmed = True
    while True:
        if not pipe.poll(_IDLE_S):
            if forget_old is not None:
                forget_old()
            if not trimmed:
                trim()
                trimmed = True
            continue
        work = pipe.recv()
        try:
            answer = True, work(loaded)
        except Exception as error:  # noqa: BLE001 - told to the parent
            answer = False, (_portable(error), describe(error))
        pipe.send(answer)
        del work, answer  # nothing of a photo stays
        trimmed = False


def _portable(error: BaseException) -> BaseException:
    """Ours travel as they are; of any other only its type and place, since its text may quote the photo."""
    return error if isinstance(error, IdsegError) else FaultError(describe(error))

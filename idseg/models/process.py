"""A process that can be killed: how one is started, and how its life ends with its parent's.

Native code can hang or explode: a picture library in a hostile file, a graph that never ends, memory that runs out. In
a thread nothing stops that; a process can be killed and started again. The batch's workers and the server's are such
processes. A worker

* leaves Ctrl-C, and SIGTERM, to its parent;
* ends when its parent ends, also by ``kill -9`` of the parent, and also while it hangs in native code: on Linux the
  kernel sees to that (PR_SET_PDEATHSIG, prctl(2)). It looks at the THREAD that started the process, so that workers
  are to be started from a thread that lives as long as they do;
* is the first to go when memory runs out, and writes no core file, which would hold a photo.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import connection, parent_process, resource_tracker
from pathlib import Path
from typing import Any, Final, TypeAlias

Pipe: TypeAlias = "connection.Connection[Any, Any]"

_OOM_SCORE: Final = "500"
"""Added to the kernel's measure of badness (0 to 1000, proc(5)): rather a worker than its parent."""
_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


def start(
    life: Callable[[Pipe, Any], None], argument: Any, *, name: str, preload: Sequence[str] = ()
) -> tuple[multiprocessing.process.BaseProcess, Pipe]:
    """Start ``life(pipe, argument)`` in a process of its own.

    Args:
        life: a function of a module; when it returns, the process ends at once, without cleaning up (MediaPipe's close
            can hang after a graph that failed).
        argument: anything that pickles.
        name: of the process.
        preload: modules that a template process imports once, and from which the workers are forked: a new one then
            starts in half the time. None: each starts from nothing ("spawn"), as it does where there is no fork.

    Returns:
        the process and our end of the pipe.
    """
    with_template = bool(preload) and "forkserver" in multiprocessing.get_all_start_methods()
    context: Any = multiprocessing.get_context("forkserver" if with_template else "spawn")
    if with_template:
        context.set_forkserver_preload(["idseg.models.template", *preload])
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(life, theirs, argument), name=name, daemon=True)
    with _signals_held_back():
        process.start()
    theirs.close()
    return process, ours


def _run(life: Callable[[Pipe, Any], None], pipe: Pipe, argument: Any) -> None:
    _leave_signals_to_the_parent()
    _follow_the_parent()
    with suppress(EOFError, OSError):  # the parent has nothing more for us, or is gone
        life(pipe, argument)
    os._exit(0)


def die_with_the_parent() -> None:
    """The kernel kills this process when the thread that started it ends. Linux only; elsewhere nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def ending(code: int | None) -> str:
    """How a process ended, in words: "code 3", "SIGSEGV"."""
    if code is None or code >= 0:
        return f"code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return name + (" (out of memory?)" if -code == signal.SIGKILL else "") if os.name == "posix" else name


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Block Ctrl-C and SIGTERM meanwhile: a process started here cannot get them before it ignores them."""
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # when the first process starts it, it lets the signals through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _leave_signals_to_the_parent() -> None:
    """Ctrl-C reaches all processes of a terminal, and a service manager's SIGTERM all of a service: the parent
    decides."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if sys.platform != "win32":
        import resource

        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE, encoding="ascii")


def _follow_the_parent() -> None:
    """End when the parent does: by a thread that waits for it, and by the kernel where native code holds that thread
    up."""
    die_with_the_parent()
    parent = parent_process()
    if parent is not None:
        sentinel = parent.sentinel

        def follow() -> None:
            connection.wait([sentinel])
            os._exit(1)

        threading.Thread(target=follow, name="idseg-follow", daemon=True).start()

"""Starts worker processes that can be killed, and that end when their parent ends.

Native code can hang or crash: an image library on a hostile file, a graph that does not end, or memory that runs out.
Such code cannot be stopped in a thread, but a process can be killed and restarted. The workers of batches and of the
server are such processes. A worker

* ignores Ctrl-C and SIGTERM, which its parent handles;
* ends when its parent ends, even by ``kill -9``, and even while native code hangs. On Linux the kernel does this
  (PR_SET_PDEATHSIG, prctl(2)). It watches the THREAD that started the process, so start workers from a thread that
  lives as long as they do;
* is killed before other processes when memory runs out, and writes no core file, which would contain a photo.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import connection, parent_process, resource_tracker
from pathlib import Path
from typing import Any, Final, TypeAlias

Pipe: TypeAlias = "connection.Connection[Any, Any]"

_TEMPLATE_GONE_S: Final = 0.2
"""Pause after which a killed template process is seen to be gone."""
_OOM_SCORE: Final = "500"
"""Added to the kernel's out-of-memory score (0 to 1000, proc(5)), so that it kills a worker before the parent."""
_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


def start(
    life: Callable[[Pipe, Any], None], argument: Any, *, name: str, preload: Sequence[str] = ()
) -> tuple[multiprocessing.process.BaseProcess, Pipe]:
    """Start ``life(pipe, argument)`` in its own process.

    Args:
        life: a module-level function. When it returns, the process ends at once without cleaning up, because
            MediaPipe's close can hang after a failed graph.
        argument: any picklable value.
        name: name of the process.
        preload: modules that a template process imports once; workers are forked from it, which halves their start.
            Empty: each worker starts from scratch ("spawn"), as on systems without fork.

    Returns:
        the process and our end of the pipe.
    """
    with_template = bool(preload) and "forkserver" in multiprocessing.get_all_start_methods()
    context: Any = multiprocessing.get_context("forkserver" if with_template else "spawn")
    if with_template:
        context.set_forkserver_preload(["idseg.models.template", *preload])
    ours, theirs = context.Pipe()

    def begin() -> multiprocessing.process.BaseProcess:
        process: multiprocessing.process.BaseProcess = context.Process(
            target=_run, args=(life, theirs, argument), name=name, daemon=True
        )
        with _signals_held_back():
            process.start()
        return process

    try:
        process = begin()
    except (ConnectionError, EOFError):  # the template process was killed: the next start makes another one
        time.sleep(_TEMPLATE_GONE_S)
        process = begin()
    theirs.close()
    return process, ours


def _run(life: Callable[[Pipe, Any], None], pipe: Pipe, argument: Any) -> None:
    _leave_signals_to_the_parent()
    _follow_the_parent()
    with suppress(EOFError, OSError):  # the parent closed the pipe or ended
        life(pipe, argument)
    os._exit(0)


def die_with_the_parent() -> None:
    """Let the kernel kill this process when the thread that started it ends. Linux only; does nothing elsewhere."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def ending(code: int | None) -> str:
    """Describe how a process ended: "code 3", "SIGSEGV"."""
    if code is None or code >= 0:
        return f"code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return name + (" (out of memory?)" if -code == signal.SIGKILL else "") if os.name == "posix" else name


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Block Ctrl-C and SIGTERM during the block, so that a process started here cannot get them before it ignores
    them."""
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # starting it later would unblock the signals
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _leave_signals_to_the_parent() -> None:
    """Ignore SIGINT and SIGTERM. A terminal sends Ctrl-C, and a service manager SIGTERM, to all processes of a group,
    but only the parent reacts."""
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
    """End when the parent ends: a thread waits for it, and the kernel kills this process if native code blocks that
    thread."""
    die_with_the_parent()
    parent = parent_process()
    if parent is not None:
        sentinel = parent.sentinel

        def follow() -> None:
            connection.wait([sentinel])
            os._exit(1)

        threading.Thread(target=follow, name="idseg-follow", daemon=True).start()

"""The confined thread: no sockets, no stderr, in it and in what it starts; everything as before outside."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from idseg.models.sandbox import call_confined

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the filter is Linux's")


def _errno_of(action: Callable[[], object]) -> int:
    try:
        action()
    except OSError as error:
        return error.errno or -1
    return 0


def _in_a_thread(action: Callable[[], object]) -> int:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(_errno_of(action)))
    thread.start()
    thread.join()
    return found[0]


def test_gives_the_result() -> None:
    assert call_confined(lambda: 42) == 42


def test_raises_what_the_function_raises() -> None:
    with pytest.raises(ZeroDivisionError):
        call_confined(lambda: 1 // 0)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX])
def test_no_sockets_in_it_and_in_its_threads(family: socket.AddressFamily) -> None:
    def attempt() -> None:
        socket.socket(family).close()

    assert call_confined(lambda: (_errno_of(attempt), _in_a_thread(attempt))) == (13, 13)
    attempt()


def test_no_stderr_in_it_but_outside_and_other_files_are_written() -> None:
    program = """
import os, threading
from idseg.models.sandbox import call_confined
def shout():
    for write in (lambda: os.write(2, b"in"), lambda: os.writev(2, [b"in"])):
        try:
            write()
        except OSError as error:
            print(error.errno)
call_confined(shout)
os.write(2, b"out")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"9\n9\n", b"out")


def test_a_system_without_filters_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.warns(RuntimeWarning, match="unconfined .*riscv64"):
        assert call_confined(os.getpid) == os.getpid()

"""Runs code in threads that have no access to the network or to the process's stderr.

Some native libraries write to file descriptor 2 and send usage reports, and have no option against either. A seccomp
filter (Linux, seccomp(2)) applies to the thread that installs it and to the threads started from it later. All other
threads of the process keep network and stderr.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class _Abi(NamedTuple):
    """Constants of a processor: its seccomp name (linux/audit.h) and its system call numbers (asm/unistd.h)."""

    arch: int
    seccomp: int
    socket: int
    write: int
    writev: int


_ABIS = {
    "x86_64": _Abi(arch=0xC000003E, seccomp=317, socket=41, write=1, writev=20),
    "aarch64": _Abi(arch=0xC00000B7, seccomp=277, socket=198, write=64, writev=66),
}
_STDERR_FD = 2


def call_confined(function: Callable[[], T]) -> T:
    """Run ``function()`` in a new thread without network and stderr. Threads that it starts have neither, ever.

    Warns:
        RuntimeWarning: this system has no seccomp filters, so the function ran unconfined.
    """
    call = _Call(function)
    thread = threading.Thread(target=call.run, name="idseg-confined", daemon=True)
    thread.start()
    thread.join()
    if call.unconfined:
        warnings.warn(
            f"MediaPipe runs unconfined ({call.unconfined}): it may print to stderr; its usage reports are refused",
            RuntimeWarning,
            stacklevel=2,
        )
    if call.error is not None:
        raise call.error
    return call.results[0]


def can_confine() -> bool:
    """Whether :func:`call_confined` can confine on this system; tried in a thread that ends at once."""
    call = _Call(lambda: None)
    thread = threading.Thread(target=call.run, name="idseg-confined", daemon=True)
    thread.start()
    thread.join()
    return not call.unconfined


class _Call(Generic[T]):
    """A function call in a thread, with its result or error."""

    def __init__(self, function: Callable[[], T]) -> None:
        self.function = function
        self.results: list[T] = []
        self.error: BaseException | None = None
        self.unconfined = ""

    def run(self) -> None:
        try:
            _confine_this_thread()
        except OSError as error:
            self.unconfined = str(error)
        try:
            self.results.append(self.function())
        except BaseException as error:  # noqa: BLE001 - handed over to the caller's thread
            self.error = error


def _confine_this_thread() -> None:
    """Install the filter for this thread and its descendants.

    Raises:
        OSError: seccomp filters are not available (other system or processor, old kernel, or forbidden).
    """
    abi = _ABIS.get(platform.machine())
    if sys.platform != "linux" or abi is None or struct.calcsize("P") != 8:
        raise OSError(errno.ENOSYS, f"no filter is known for {sys.platform} on {platform.machine()}")
    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privileges = 38  # PR_SET_NO_NEW_PRIVS: required before an unprivileged thread sets a filter
    if libc.prctl(no_new_privileges, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS): " + os.strerror(ctypes.get_errno()))
    code = _filter(abi)
    instructions = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.addressof(instructions))
    set_mode_filter, spec_allow = 1, 4  # SECCOMP_FILTER_FLAG_SPEC_ALLOW: avoids slow Spectre mitigations
    if libc.syscall(abi.seccomp, set_mode_filter, spec_allow, ctypes.byref(program)):
        raise OSError(ctypes.get_errno(), "seccomp: " + os.strerror(ctypes.get_errno()))


class _Program(ctypes.Structure):
    """``struct sock_fprog`` of linux/filter.h."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def _filter(abi: _Abi) -> bytes:
    """Classic BPF: socket() fails with EACCES; write() and writev() to fd 2 fail with EBADF; all else is allowed.

    The write must fail: if it reported 0 bytes instead, the C library would retry for ever.
    """
    load, jump_if_equal, give = 0x20, 0x15, 0x06  # BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K
    number, arch, first_argument = 0, 4, 16  # offsets in struct seccomp_data of linux/seccomp.h
    fail, allow = 0x00050000, 0x7FFF0000  # SECCOMP_RET_ERRNO, SECCOMP_RET_ALLOW
    instructions = (  # operation, steps to skip if equal, if not, operand
        (load, 0, 0, arch),
        (jump_if_equal, 0, 8, abi.arch),
        (load, 0, 0, number),
        (jump_if_equal, 4, 0, abi.socket),
        (jump_if_equal, 1, 0, abi.write),
        (jump_if_equal, 0, 4, abi.writev),
        (load, 0, 0, first_argument),
        (jump_if_equal, 1, 2, _STDERR_FD),
        (give, 0, 0, fail | errno.EACCES),
        (give, 0, 0, fail | errno.EBADF),
        (give, 0, 0, allow),
    )
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)

"""Starts an idseg server for a benchmark, and reads the CPU time and the memory of its processes (Linux)."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import click

from idseg.cloud import wire
from idseg.cloud.client import Client
from idseg.server.memory import resident_bytes

TIMEOUT_S = 120.0


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

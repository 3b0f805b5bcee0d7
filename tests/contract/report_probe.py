"""Does MediaPipe's usage report reach its maker? Run by test_mediapipe_reports.py inside an empty network of its own.

    unshare --mount --net python report_probe.py FOLDER CERTIFICATES

FOLDER has ``cert.pem`` and ``key.pem`` for play.googleapis.com. The maker's name leads to this process; MediaPipe runs
without idseg's confinement, as on macOS and Windows, and trusts CERTIFICATES ("idseg": what idseg gives it). Prints
``report of N bytes`` or ``refused``, whichever happens first.
"""

from __future__ import annotations

import queue
import socket
import ssl
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import numpy as np

from idseg.models import mediapipe as backend
from idseg.models import mediapipe_library
from idseg.models.manifest import load_manifest


def main() -> int:
    folder, certificates = Path(sys.argv[1]), sys.argv[2]
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    hosts = folder / "hosts"
    hosts.write_text("127.0.0.1 localhost play.googleapis.com\n")
    subprocess.run(["mount", "--bind", str(hosts), "/etc/hosts"], check=True)
    outcomes: queue.Queue[str] = queue.Queue()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    server = socket.create_server(("127.0.0.1", 443))
    threading.Thread(target=partial(_serve, server, context, outcomes), daemon=True).start()

    vars(backend)["call_confined"] = lambda function: function()
    if certificates != "idseg":
        mediapipe_library._NO_CERTIFICATES = Path(certificates)
    detector = backend.FaceDetector(load_manifest(), "short")
    detector(np.zeros((128, 128, 3), np.uint8))
    detector.close()
    print(outcomes.get(timeout=60), flush=True)
    return 0


def _serve(server: socket.socket, context: ssl.SSLContext, outcomes: queue.Queue[str]) -> None:
    connection, _ = server.accept()
    try:
        received = context.wrap_socket(connection, server_side=True).recv(65536)
    except OSError:
        received = b""
    outcomes.put(f"report of {len(received)} bytes" if received else "refused")


if __name__ == "__main__":
    sys.exit(main())

"""Running the application under uvicorn: one process, or several that share the port."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from idseg.errors import OptionError
from idseg.server.auth.keys import Keyring, environment_keys
from idseg.server.http.protocol import JsonHttpProtocol
from idseg.server.logs import logging_config
from idseg.server.metrics import MULTIPROCESS_VARIABLE
from idseg.server.settings import SETTINGS_VARIABLE, Settings

WORKER_TIMEOUT_S: Final = 5
"""A worker that does not answer its supervisor for this long is replaced. It is also how late the supervisor may notice
a death that falls between its question and the answer."""
KEEP_ALIVE_S: Final = 75
"""An idle connection is kept this long, as nginx does: the shorter, the more often a client's next request meets a
connection that is just being closed."""


def serve(settings: Settings, log_level: str = "info", starting: Callable[[], None] = lambda: None) -> None:
    """Serve until a signal comes, then finish what was accepted.

    With several workers uvicorn's supervisor binds the port, starts them, and replaces one that dies. The port
    starts listening when the first worker has its models.

    Args:
        settings: all of them.
        log_level: of the JSON lines on stderr.
        starting: called when nothing is wrong with the settings.

    Raises:
        OptionError: authorization is on and there is no key.
    """
    if settings.auth and not len(Keyring(environment_keys(), settings.keys_path)):
        raise OptionError(
            f"there is no key in {settings.keys_path} and none in IDSEG_API_KEY and IDSEG_SECRET_KEY; "
            "make one with: idseg keys add, or serve this machine only with: idseg serve --no-auth"
        )
    starting()
    os.environ[SETTINGS_VARIABLE] = settings.to_json()
    config = uvicorn.Config(
        settings.app,
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        http=JsonHttpProtocol,
        ws="none",
        log_config=logging_config(log_level),
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.grace_s,
        timeout_worker_healthcheck=WORKER_TIMEOUT_S,
        ssl_certfile=settings.tls_cert or None,
        ssl_keyfile=settings.tls_key or None,
    )
    if settings.workers == 1:
        with suppress(KeyboardInterrupt):  # uvicorn raises the signal again once it has stopped
            uvicorn.Server(config).run()
    else:
        _supervise(config)


def _supervise(config: uvicorn.Config) -> None:
    with tempfile.TemporaryDirectory(prefix="idseg-metrics-") as folder:
        os.environ[MULTIPROCESS_VARIABLE] = folder
        supervisor = Multiprocess(config, [config.bind_socket()])
        supervisor.run()
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        sys.exit(STARTUP_FAILURE)

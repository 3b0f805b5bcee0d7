"""Runs the application with uvicorn."""

from __future__ import annotations

import gc
import os
import ssl
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import uvicorn

from idseg.errors import OptionError
from idseg.server.auth.keys import Keyring, environment_keys
from idseg.server.http.connection import Connections
from idseg.server.logs import logging_config
from idseg.server.memory import set_up_malloc
from idseg.server.settings import SETTINGS_VARIABLE, Settings

KEEP_ALIVE_S: Final = 75
"""Seconds to keep an idle connection, as in nginx. With a shorter time, a client's next request more often meets a
connection that is being closed."""
BACKLOG: Final = 256
"""Number of connections that the system queues for the server."""
_MOST_FILES: Final = 65_536
_FILES_A_WORKER: Final = 8
_OTHER_FILES: Final = 64


def serve(settings: Settings, log_level: str = "info", starting: Callable[[], None] = lambda: None) -> None:
    """Serve until a signal arrives, then finish the accepted requests. The port opens when a worker has its models.

    Args:
        settings: all settings.
        log_level: level of the JSON lines on stderr.
        starting: called after the settings were checked.

    Raises:
        OptionError: authorization is on but there is no key, or the TLS files do not match.
    """
    if settings.auth and not len(Keyring(environment_keys(), settings.keys_path)):
        raise OptionError(
            f"there is no key in {settings.keys_path} and none in IDSEG_API_KEY and IDSEG_SECRET_KEY; "
            "make one with: idseg keys add, or serve this machine only with: idseg serve --no-auth"
        )
    set_up_malloc()
    os.environ[SETTINGS_VARIABLE] = settings.to_json()
    config = uvicorn_config(settings, settings.app, factory=True, log_config=logging_config(log_level))
    config.load()
    _freeze()
    starting()
    with suppress(KeyboardInterrupt):  # uvicorn raises the signal again after it has stopped
        uvicorn.Server(config).run()


def _freeze() -> None:
    """Exempt all objects so far, mostly code, from garbage collection. Python makes a full collection when a quarter of
    the old objects is new; without the code's, closed connections (which are cycles) are collected soon."""
    gc.collect()
    gc.freeze()
    gc.collect()


def uvicorn_config(settings: Settings, app: Any, **more: Any) -> uvicorn.Config:
    """The configuration of uvicorn: our connections, no output of its own.

    Args:
        settings: all settings.
        app: the ASGI application, or the import path of its factory.
        more: other options of ``uvicorn.Config``.

    Raises:
        OptionError: the TLS files do not match.
    """
    most = min(settings.connections, room_for_connections(settings.worker_count))
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=Connections(most, settings.header_timeout_s, _tls(settings)).protocol(),
        ws="none",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.grace_s,
        **more,
    )


def _tls(settings: Settings) -> ssl.SSLContext | None:
    """The TLS context; None if there are no TLS files."""
    if not settings.tls_cert:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except ssl.SSLError as error:
        raise OptionError(f"the TLS certificate and key do not fit: {error.reason}") from None
    return context


def room_for_connections(workers: int) -> int:
    """Raise the limit of open files as far as allowed; returns the number of connections that fit."""
    if sys.platform == "win32":
        return _MOST_FILES
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < files:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
            soft = files
    return max(8, min(soft, _MOST_FILES) - BACKLOG - _OTHER_FILES - _FILES_A_WORKER * workers)

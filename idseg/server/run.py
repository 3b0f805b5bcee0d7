"""Running the application under uvicorn."""

from __future__ import annotations

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
from idseg.server.settings import SETTINGS_VARIABLE, Settings

KEEP_ALIVE_S: Final = 75
"""An idle connection is kept this long, as nginx does: the shorter, the more often a client's next request meets a
connection that is just being closed."""
BACKLOG: Final = 256
"""Connections that the system holds for us, and that are taken in one go."""
_MOST_FILES: Final = 65_536
_FILES_A_WORKER: Final = 8
_OTHER_FILES: Final = 64


def serve(settings: Settings, log_level: str = "info", starting: Callable[[], None] = lambda: None) -> None:
    """Serve until a signal comes, then finish what was accepted. The port opens when the models are warm.

    Args:
        settings: all of them.
        log_level: of the JSON lines on stderr.
        starting: called when nothing is wrong with the settings.

    Raises:
        OptionError: authorization is on and there is no key; the TLS files do not fit.
    """
    if settings.auth and not len(Keyring(environment_keys(), settings.keys_path)):
        raise OptionError(
            f"there is no key in {settings.keys_path} and none in IDSEG_API_KEY and IDSEG_SECRET_KEY; "
            "make one with: idseg keys add, or serve this machine only with: idseg serve --no-auth"
        )
    os.environ[SETTINGS_VARIABLE] = settings.to_json()
    config = uvicorn_config(settings, settings.app, factory=True, log_config=logging_config(log_level))
    config.load()
    starting()
    with suppress(KeyboardInterrupt):  # uvicorn raises the signal again once it has stopped
        uvicorn.Server(config).run()


def uvicorn_config(settings: Settings, app: Any, **more: Any) -> uvicorn.Config:
    """How uvicorn runs the application: over our connections, and silent.

    Args:
        settings: all of them.
        app: the ASGI application, or the import path of its factory.
        more: of ``uvicorn.Config``.

    Raises:
        OptionError: the TLS files do not fit.
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
    """None where there are no TLS files."""
    if not settings.tls_cert:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except ssl.SSLError as error:
        raise OptionError(f"the TLS certificate and key do not fit: {error.reason}") from None
    return context


def room_for_connections(workers: int) -> int:
    """Raise the limit of open files as far as the system lets us; how many connections that leaves room for."""
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

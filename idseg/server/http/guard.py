"""The outermost layer of the application, for requests to any path.

It handles targets that are not paths, the path under which a proxy shows the server, security headers for browsers,
JSON for unhandled errors, and the link between a request and its :class:`~idseg.server.http.connection.Connection`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

from starlette.responses import JSONResponse, RedirectResponse, Response

from idseg.cloud import wire
from idseg.cloud.errors import render_error
from idseg.server.http.connection import STATE_KEY, Connection
from idseg.server.logs import log

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Scope]]
Send: TypeAlias = Callable[[Scope], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_CAREFUL: Final = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))
_PATH_LOGGED: Final = 100


def connection_of(scope: Scope) -> Connection | None:
    """The connection of a request; None if another ASGI server runs the application."""
    found: Connection | None = scope.get("state", {}).get(STATE_KEY)
    return found


class Guard:
    """The outermost ASGI middleware."""

    def __init__(self, app: App, root_path: str = "") -> None:
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        connection = connection_of(scope)
        if connection is None:
            await self._answer(scope, receive, send, None)
            return
        connection.begin()
        try:
            await self._answer(scope, _asking(connection, receive), send, connection)
        finally:
            connection.end()

    async def _answer(self, scope: Scope, receive: Receive, send: Send, connection: Connection | None) -> None:
        begun = False

        async def careful(message: Scope) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                closing = [(b"connection", b"close")] if connection is not None and connection.respond() else []
                message["headers"] = [*message.get("headers", ()), *_CAREFUL, *closing]
            await send(message)

        if answer := _odd_target(scope) or _below_root(scope, self._root_path):
            await answer(scope, receive, careful)
            return
        try:
            await self._app(scope, receive, careful)
        except Exception as error:
            log(logging.ERROR, "unexpected", exc_info=error, path=scope["path"][:_PATH_LOGGED])
            if begun:
                raise
            status = 200 if scope["path"].startswith("/rest/2.0/") else 500
            await JSONResponse(render_error(error, wire.new_log_id()), status)(scope, receive, careful)


def _asking(connection: Connection, receive: Receive) -> Receive:
    """Wrap the ASGI channel of a body: the first call makes the connection read the body, and every part is counted."""

    async def ask() -> Scope:
        connection.want_body()
        message = await receive()
        if message["type"] == "http.request":
            connection.count_body(len(message.get("body", b"")), message.get("more_body", False))
        return message

    return ask


def _odd_target(scope: Scope) -> JSONResponse | None:
    """Convert ``GET http://host/path`` to ``GET /path``; refuse targets that are not paths."""
    path: str = scope["path"]
    if scope["method"] == "CONNECT":
        return JSONResponse({"error": "method_not_allowed"}, 405)
    if path.lower().startswith(("http://", "https://")):
        path = "/" + path.partition("://")[2].partition("/")[2]
        scope["path"], scope["raw_path"] = path, path.encode("utf-8", "replace")
    if not path.startswith("/") and path != "*":
        return JSONResponse({"error": "bad_request"}, 400)
    return None


def _below_root(scope: Scope, root_path: str) -> Response | None:
    """Remove the proxy's path from the request's path. The root path alone is redirected to the page, whose links are
    relative."""
    path: str = scope["path"]
    if root_path and path == root_path:
        return RedirectResponse(root_path + "/", 308)
    if root_path and path.startswith(root_path + "/"):
        scope["path"] = path[len(root_path) :]
        scope["raw_path"] = scope["path"].encode("utf-8", "replace")
    return None

"""The application: every route, what stands around them, and how it starts and stops."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeAlias

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from idseg._version import __version__
from idseg.cloud import wire
from idseg.cloud.errors import MethodError, render_error
from idseg.server.auth import tokens
from idseg.server.auth.access import Access
from idseg.server.auth.keys import Keyring, environment_keys
from idseg.server.http.limits import Budget, DailyQuota, Pool, RateLimit
from idseg.server.logs import log
from idseg.server.memory import trim_when_idle
from idseg.server.metrics import Metrics
from idseg.server.routes import cloud, page, v1
from idseg.server.routes.photo_api import Segment
from idseg.server.settings import SETTINGS_VARIABLE, Settings

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Scope]]
Send: TypeAlias = Callable[[Scope], Awaitable[None]]

_JSON: Final = "application/json"
SCHEMA: Final = Path(__file__).with_name("schema") / "body_seg_photo.json"


@dataclass(frozen=True)
class Engine:
    """What answers photos: ``segment`` is called from several threads, ``warm`` once before the port opens."""

    segment: Segment
    warm: Callable[[], None] = lambda: None
    close: Callable[[], None] = lambda: None


def create_worker_app() -> FastAPI:
    """The factory that uvicorn's workers call: settings from the environment, models from the manifest."""
    from idseg.segmenter import Options, Segmenter
    from idseg.system import usable_cores

    settings = Settings.from_json(os.environ.get(SETTINGS_VARIABLE, "{}"))
    photos_at_once = settings.thread_count
    net_threads = max(1, usable_cores() // (settings.workers * photos_at_once))
    segmenter = Segmenter(Options(threads=net_threads, parallel=photos_at_once))
    return create_app(settings, Engine(segmenter, segmenter.warm, segmenter.close))


def create_app(settings: Settings, engine: Engine, clock: Callable[[], float] = time.time) -> FastAPI:
    """The ASGI application of one process.

    Args:
        settings: all limits.
        engine: what answers photos.
        clock: seconds since 1970, for tokens and signatures.
    """
    keyring = Keyring(environment_keys(), settings.keys_path) if settings.auth else None
    access = Access(keyring, tokens.load_secret(settings.state_path / "token.key"), settings.token_seconds, clock)
    metrics = Metrics()
    gate = cloud.Gate(
        access=access,
        pool=Pool(settings.thread_count, settings.queue, metrics.accepted.set),
        budget=Budget(settings.body_memory_mb * 2**20),
        anonymous=Budget(settings.body_memory_mb * 2**18),
        rate=RateLimit(settings.rate_per_s),
        quota=DailyQuota(settings.daily_quota),
        metrics=metrics,
        segment=engine.segment,
        body_timeout_s=settings.body_timeout_s,
        answer_timeout_s=settings.answer_timeout_s,
    )
    logins = cloud.Logins(access, settings.body_timeout_s)
    state = _State()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        started = time.perf_counter()
        try:
            await asyncio.to_thread(engine.warm)
        except Exception as error:
            log(logging.ERROR, "the models do not load", exc_info=error)
            raise
        metrics.capacity.set(settings.thread_count + settings.queue)
        state.ready = True
        warm_ms = round((time.perf_counter() - started) * 1000)
        log(logging.INFO, "ready", photos_at_once=settings.thread_count, warm_ms=warm_ms)
        trimming = asyncio.create_task(trim_when_idle(lambda: gate.pool.finished, lambda: gate.pool.accepted > 0))
        yield
        trimming.cancel()
        state.ready = False
        await asyncio.to_thread(gate.pool.close)
        await asyncio.to_thread(logins.close)
        await asyncio.to_thread(engine.close)
        log(logging.INFO, "stopped")

    app = FastAPI(
        title="idseg",
        version=__version__,
        description="A local stand-in for the cloud's body_seg_photo: portrait segmentation for ID photos.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    _add_api(app, gate, logins)
    v1.add(app, gate, settings.cors_origins)
    _add_page(app, gate)
    _add_operations(app, state, gate)
    app.add_exception_handler(HTTPException, _no_route)
    app.add_middleware(Shield)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type", "x-bce-date"],
        )
    return app


@dataclass
class _State:
    ready: bool = False


def _add_api(app: FastAPI, gate: cloud.Gate, logins: cloud.Logins) -> None:
    async def body_seg_photo(request: Request) -> Response:
        return await cloud.body_seg_photo(gate, request)

    async def token(request: Request) -> Response:
        return await logins.answer(request)

    app.add_api_route(
        wire.PATH,
        body_seg_photo,
        methods=["POST"],
        response_class=Response,
        summary="Cut, matte and describe the one person of a photo",
        description="Always HTTP 200: an error is a JSON object with error_code and error_msg.",
        openapi_extra=_photo_openapi(),
        responses={200: {"description": "The result, or an error", "content": {_JSON: {"schema": _schema()}}}},
    )
    for method in ("GET", "POST"):  # two routes: one of both methods would give one operation id twice
        app.add_api_route(
            wire.TOKEN_PATH,
            token,
            methods=[method],
            response_class=Response,
            operation_id=f"token_{method.lower()}",
            summary="An access token for an API key and its secret key",
            description="Parameters in the query or in a form body.",
            openapi_extra={"parameters": [_parameter(name) for name in ("grant_type", "client_id", "client_secret")]},
            responses={
                200: {"description": "The tokens"},
                400: {"description": "Another grant type"},
                401: {"description": "Unknown key or wrong secret"},
            },
        )


def _parameter(name: str) -> dict[str, Any]:
    parameter: dict[str, Any] = {"name": name, "in": "query", "required": True, "schema": {"type": "string"}}
    if name == "grant_type":
        parameter["schema"] = {"type": "string", "enum": ["client_credentials"]}
    return parameter


def _photo_openapi() -> dict[str, Any]:
    image = {"type": "string", "maxLength": wire.MAX_BASE64, "description": "Base64 of a JPEG, PNG or BMP, urlencoded"}
    form = {"type": "object", "required": ["image"], "properties": {"image": image}}
    token = {"name": "access_token", "in": "query", "required": False, "schema": {"type": "string"}}
    return {
        "parameters": [token],
        "requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": form}}},
    }


@lru_cache(maxsize=1)
def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return schema


def _add_page(app: FastAPI, gate: cloud.Gate) -> None:
    async def index() -> Response:
        return _file_or_404("index.html")

    async def docs() -> Response:
        return _file_or_404("docs.html")

    async def static(name: str) -> Response:
        return _file_or_404(name)

    async def settings() -> Response:
        return JSONResponse(page.settings_for_page(gate), headers={"cache-control": "no-store"})

    async def photo(request: Request) -> Response:
        return await page.photo(gate, request)

    for path, handler in (("/", index), ("/docs", docs), ("/static/{name}", static), ("/page/settings", settings)):
        app.add_api_route(path, handler, methods=["GET", "HEAD"], response_class=Response, include_in_schema=False)
    app.add_api_route("/page/photo", photo, methods=["POST"], response_class=Response, include_in_schema=False)


def _file_or_404(name: str) -> Response:
    found = page.static_file(name)
    if found is None:
        raise HTTPException(404)
    return found


def _add_operations(app: FastAPI, state: _State, gate: cloud.Gate) -> None:
    async def healthz() -> Response:
        stuck = gate.pool.longest_s > gate.answer_timeout_s
        found = {"status": "stuck" if stuck else "ok", "version": __version__, "worker": os.getpid()}
        return JSONResponse(found, 503 if stuck else 200)

    async def readyz() -> Response:
        return JSONResponse({"ready": state.ready, "worker": os.getpid()}, 200 if state.ready else 503)

    async def numbers() -> Response:
        text = await asyncio.to_thread(gate.metrics.text)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    app.add_api_route("/healthz", healthz, response_class=Response, summary="The process answers, and no photo hangs")
    app.add_api_route("/readyz", readyz, response_class=Response, summary="The models are loaded")
    app.add_api_route("/metrics", numbers, response_class=Response, summary="Numbers for Prometheus")


async def _no_route(request: Request, error: Exception) -> Response:
    """No such path, or not with this method: the API's code 3 under /rest/2.0/, plain HTTP elsewhere."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    path: str = request.scope["path"]
    if path.startswith("/rest/2.0/"):
        reply = render_error(MethodError("no such method"), wire.new_log_id())
        return Response(wire.dumps(reply), headers={"content-type": "application/json; charset=utf-8"})
    if path == wire.TOKEN_PATH:
        reply = {"error": "invalid_request", "error_description": "use GET or POST"}
        return JSONResponse(reply, 400)
    if path.startswith(v1.PREFIX):
        refused = v1.refuse(MethodError(f"no such path, or not by {request.method[:10]}"), wire.new_log_id())
        return JSONResponse(json.loads(refused.body), status)
    names = {404: "not_found", 405: "method_not_allowed"}
    return JSONResponse({"error": names.get(status, "http")}, status)


class Shield:
    """Around everything: headers that keep browsers careful, and JSON for what no handler caught."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def careful(message: Scope) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-content-type-options", b"nosniff"),
                    (b"referrer-policy", b"no-referrer"),
                ]
            await send(message)

        try:
            await self._app(scope, receive, careful)
        except Exception as error:
            log(logging.ERROR, "unexpected", exc_info=error, path=scope["path"])
            if begun:
                raise
            reply = render_error(error, wire.new_log_id())
            status = 200 if scope["path"].startswith("/rest/2.0/") else 500
            await JSONResponse(reply, status)(scope, receive, careful)

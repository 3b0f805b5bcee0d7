"""The ASGI application: its routes and middleware, its start and its shutdown."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from idseg._version import __version__
from idseg.cloud import wire
from idseg.cloud.errors import MethodError, render_error
from idseg.result import SegmentPhoto
from idseg.server import lan
from idseg.server.auth import tokens
from idseg.server.auth.access import Access
from idseg.server.auth.keys import Keyring, environment_keys
from idseg.server.auth.links import Links
from idseg.server.crew import Crew
from idseg.server.http.gate import Gate
from idseg.server.http.guard import Guard, connection_of
from idseg.server.http.limits import Budget, DailyQuota, PhotoThreads, RateLimit
from idseg.server.logs import log
from idseg.server.memory import keep_trimmed
from idseg.server.metrics import Metrics
from idseg.server.remember import load_segmenter
from idseg.server.routes import cloud, page, v1
from idseg.server.settings import SETTINGS_VARIABLE, Settings

_JSON: Final = "application/json"
WORK: Final = (cloud.__name__, page.__name__, v1.__name__)
"""Modules that the workers import for their work. None of them imports FastAPI."""
_MAX_CALLER_SHARE: Final = 0.75
"""Share of the memory for bodies that one caller may use; the rest is for other callers."""
SCHEMA: Final = Path(__file__).with_name("schema") / "body_seg_photo.json"


def create_worker_app() -> FastAPI:
    """The factory that uvicorn calls: settings from the environment, models from the manifest."""
    settings = Settings.from_json(os.environ.get(SETTINGS_VARIABLE, "{}"))
    return create_app(settings, partial(load_segmenter, settings.quality))


def create_app(
    settings: Settings, load: Callable[[], SegmentPhoto], preload: tuple[str, ...] = ("idseg.segmenter",)
) -> FastAPI:
    """The ASGI application.

    Args:
        settings: all limits.
        load: called in every worker process; returns the function that answers photos.
        preload: modules that ``load`` needs; imported once, before the workers are forked.
    """
    keyring = Keyring(environment_keys(), settings.keys_path) if settings.auth else None
    secret = tokens.SecretFile(settings.state_path / "token.key")
    links = Links() if settings.lan_address else None
    metrics = Metrics()
    crew = Crew(load, settings.worker_count, settings.answer_timeout_s, (*preload, *WORK))
    gate = Gate(
        access=Access(keyring, secret, settings.token_seconds, links=links, root_path=settings.root_path),
        crew=crew,
        pool=PhotoThreads(settings.worker_count, settings.queue, metrics.accepted.set),
        budget=Budget(settings.body_memory_mb * 2**20, _MAX_CALLER_SHARE),
        anonymous=Budget(settings.body_memory_mb * 2**18),
        rate=RateLimit(settings.rate_per_s),
        quota=DailyQuota(settings.daily_quota),
        metrics=metrics,
        body_timeout_s=settings.body_timeout_s,
        answer_timeout_s=settings.answer_timeout_s,
        origins=frozenset(settings.cors_origins),
    )

    def show_link() -> None:
        if links is not None:
            lan.show(settings, links.new())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        started = time.perf_counter()
        try:
            await asyncio.to_thread(crew.start_all)
        except Exception as error:
            log(logging.ERROR, "the models do not load", exc_info=error)
            raise
        metrics.capacity.set(settings.worker_count + settings.queue)
        warm_ms = round((time.perf_counter() - started) * 1000)
        log(logging.INFO, "ready", workers=settings.worker_count, warm_ms=warm_ms)
        show_link()
        trimming = asyncio.create_task(keep_trimmed())
        yield
        trimming.cancel()
        await gate.pool.close()
        await asyncio.to_thread(crew.close)
        log(logging.INFO, "stopped")

    app = FastAPI(
        title="idseg",
        version=__version__,
        description="A local stand-in for the cloud's body_seg_photo: portrait segmentation for ID photos.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        servers=[{"url": settings.root_path}] if settings.root_path else None,
    )
    _add_api(app, gate)
    kept = v1.add(app, gate)
    _add_page(app, gate, kept, show_link)
    _add_operations(app, gate)
    app.add_exception_handler(HTTPException, _no_route)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type", "x-bce-date"],
        )
    app.add_middleware(Guard, root_path=settings.root_path)  # the middleware added last is the outermost
    return app


def _add_api(app: FastAPI, gate: Gate) -> None:
    async def body_seg_photo(request: Request) -> Response:
        return await cloud.body_seg_photo(gate, request)

    async def token(request: Request) -> Response:
        return await cloud.token(gate, request)

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
    for method in ("GET", "POST"):  # two routes, because one route with both methods would use an operation id twice
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


def _add_page(app: FastAPI, gate: Gate, kept: v1.Kept, show_link: Callable[[], None]) -> None:
    async def index() -> Response:
        return _file_or_404("index.html")

    async def docs() -> Response:
        return _file_or_404("docs.html")

    async def static(name: str) -> Response:
        return _file_or_404(name)

    async def settings() -> Response:
        return JSONResponse(page.settings_for_page(gate), headers={"cache-control": "no-store"})

    async def photo(request: Request) -> Response:
        return await page.photo(gate, request, kept.photo)

    for path, handler in (("/", index), ("/docs", docs), ("/static/{name}", static), ("/page/settings", settings)):
        app.add_api_route(path, handler, methods=["GET", "HEAD"], response_class=Response, include_in_schema=False)

    async def join(request: Request) -> Response:
        return await page.join(gate, request, show_link)

    for path, called in (("/page/photo", photo), ("/page/join", join)):
        app.add_api_route(path, called, methods=["POST"], response_class=Response, include_in_schema=False)


def _file_or_404(name: str) -> Response:
    found = page.static_file(name)
    if found is None:
        raise HTTPException(404)
    return found


def _add_operations(app: FastAPI, gate: Gate) -> None:
    async def healthz() -> Response:
        return JSONResponse({"status": "ok", "version": __version__, "pid": os.getpid()})

    async def readyz() -> Response:
        ready = gate.crew.ready
        found = {"ready": ready > 0, "workers_ready": ready, "workers": gate.crew.size}
        return JSONResponse(found, 200 if ready else 503)

    async def numbers(request: Request) -> Response:
        metrics = gate.metrics
        metrics.workers.set(gate.crew.ready)
        metrics.replaced.set(gate.crew.replaced)
        connection = connection_of(request.scope)
        metrics.connections.set(connection.number_open if connection is not None else 0)
        text = await asyncio.to_thread(metrics.text, gate.crew.resident_bytes)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    for path, handler, summary in (
        ("/healthz", healthz, "The process answers"),
        ("/readyz", readyz, "A worker has its models"),
        ("/metrics", numbers, "Numbers for Prometheus"),
    ):
        app.add_api_route(path, handler, methods=["GET"], response_class=Response, summary=summary)
        app.add_api_route(path, handler, methods=["HEAD"], response_class=Response, include_in_schema=False)


async def _no_route(request: Request, error: Exception) -> Response:
    """Answer an unknown path or method: the API's code 3 under /rest/2.0/, plain HTTP elsewhere."""
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

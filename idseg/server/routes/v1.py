"""``/v1/…`` over HTTP: finished ID photos, print sheets, checks, sizes. The photo is the body, the rest the query."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from idseg.cloud import wire
from idseg.cloud.errors import Reply, error_code
from idseg.errors import IdsegError
from idseg.server.auth.access import query_string
from idseg.server.http.body import Body
from idseg.server.http.gate import Answer, Gate, check_announced, reason_of, respond
from idseg.server.routes import photo_api
from idseg.server.routes.page import MAX_FILE
from idseg.server.routes.photo_api import File, Segment
from idseg.server.routes.wanted import CHECK_FIELDS, PHOTO_FIELDS, SHEET_FIELDS

PREFIX: Final = "/v1/"

_Json: TypeAlias = Callable[[Segment, bytes, str], tuple[Reply, Mapping[str, float]]]
_Making: TypeAlias = Callable[[Segment, bytes, str], tuple[File, Mapping[str, float]]]
_Work: TypeAlias = Callable[..., Answer]
"""Called in a worker with its segmenter, and ``content``, ``query``, ``log_id``."""


def add(app: FastAPI, gate: Gate) -> None:
    """All routes.

    Args:
        app: to add them to.
        gate: what every photo passes.
    """
    works: tuple[tuple[str, _Work], ...] = (
        ("photo", partial(_answer_json, photo_api.photo)),
        ("photo/file", partial(_answer_file, photo_api.only_photo)),
        ("photo/sheet", partial(_answer_file, photo_api.only_sheet)),
        ("check", partial(_answer_json, photo_api.checked)),
    )
    for name, work in works:
        app.add_api_route(
            PREFIX + name,
            _handler(gate, f"v1/{name}", work),
            methods=["POST"],
            response_class=Response,
            operation_id=f"v1_{name.replace('/', '_')}",
            **_DOCUMENTATION[name],
        )
    app.add_api_route(
        PREFIX + "sizes", _sizes, response_class=Response, operation_id="v1_sizes", **_DOCUMENTATION["sizes"]
    )


def _handler(gate: Gate, endpoint: str, work: _Work) -> Callable[..., Any]:
    async def answer(request: Request, log_id: int, body: Body, take: Callable[[int], None]) -> Answer:
        gate.refuse_foreign_site(request.headers)
        caller = gate.access.caller(request) or gate.access.by_bearer(request)
        gate.admit(caller)
        check_announced(request, MAX_FILE)
        photo_api.refuse_form(request.headers.get("content-type", ""))
        content = await body.read(MAX_FILE, take)
        gate.metrics.received.inc(len(content))
        return await gate.work(caller, body, partial(work, content=content, query=query_string(request), log_id=log_id))

    async def handle(request: Request) -> Response:
        return await respond(gate, request, endpoint, partial(answer, request), refuse)

    return handle


def _answer_json(make: _Json, segment: Segment, *, content: bytes, query: str, log_id: int) -> Answer:
    """In a worker."""
    started = time.perf_counter()
    reply, timings_ms = make(segment, content, query)
    made = Answer(photo_api.dumps({"log_id": str(log_id), **reply}))
    return Answer(made.body, stages_ms={**timings_ms, "finish": _rest_ms(started, timings_ms)})


def _answer_file(make: _Making, segment: Segment, *, content: bytes, query: str, log_id: int) -> Answer:
    """In a worker. The facts travel in a header, as ASCII."""
    started = time.perf_counter()
    file, timings_ms = make(segment, content, query)
    headers = {
        "content-type": file.media_type,
        "content-disposition": f'attachment; filename="{file.name}"',
        "x-idseg-facts": photo_api.dumps(file.facts, ascii_only=True).decode("ascii"),
    }
    return Answer(file.content, stages_ms={**timings_ms, "finish": _rest_ms(started, timings_ms)}, headers=headers)


def _rest_ms(started: float, timings_ms: Mapping[str, float]) -> float:
    return max(0.0, (time.perf_counter() - started) * 1000 - sum(timings_ms.values()))


def refuse(error: BaseException, log_id: int) -> Answer:
    """Our own calls' answer to an error: a proper status."""
    status = photo_api.status_of(error)
    headers = {}
    if status in (429, 503):
        facts = error.facts if isinstance(error, IdsegError) else {}
        headers["retry-after"] = str(facts.get("retry_after_s", 1))
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    body = photo_api.dumps(photo_api.error_reply(error, log_id))
    return Answer(body, error_code(error), reason_of(error), status=status, headers=headers)


async def _sizes(request: Request) -> Response:
    """Needs no key: nothing but public rules."""
    try:
        reply = await asyncio.to_thread(photo_api.sizes, query_string(request))
        status, body = 200, photo_api.dumps(reply)
    except IdsegError as error:
        refused = refuse(error, wire.new_log_id())
        status, body = refused.status, refused.body
    headers = {"content-type": "application/json; charset=utf-8", "cache-control": "no-cache"}
    return Response(body, status, headers=headers)


# --- documentation ----------------------------------------------------------------------------------------------------

_SAID: Final[Mapping[str, str]] = {
    "size": "a name of /v1/sizes, or 35x45mm, 413x531px, 2x2in, 35x45mm@600",
    "background": "white, #438edb, vertical:blue,white, radial:white,blue, transparent; default: the document's",
    "format": "jpeg, png, webp, tiff, pdf; default: JPEG, or PNG where transparent",
    "kb": "kilobytes of the file, MOST or LEAST-MOST; default: the document's",
    "paper": "5inch, 6inch, 7inch, 4x6, A4, A5, Letter, 100x148mm: also a print sheet",
    "copies": "photos on the sheet; default: as many as fit",
    "sheet_format": "pdf, jpeg, png; default: pdf, in true millimetres",
    "margin": "millimetres free at the paper's edge; default: 4",
    "gap": "millimetres between photos; default: 2",
    "marks": "cut marks: corners, lines, none",
    "finished": "1: judge the photo as it is, its file too; 0: as it will be after placing",
    "q": "words in any order, English or Chinese, or a size: UK passport, 美签, 一寸, 2x2, 295x413; default: all",
    "access_token": "of /oauth/2.0/token; or Authorization: Bearer TOKEN, or a bce-auth signature",
}
_REFUSALS: Final[Mapping[int | str, dict[str, Any]]] = {
    400: {"description": "A parameter that cannot be, or no photo"},
    401: {"description": "No token, an unknown or an expired one, a wrong signature"},
    403: {"description": "Another web site made the call"},
    408: {"description": "The body did not arrive in time"},
    413: {"description": "The body is too large"},
    415: {"description": "Not a JPEG, PNG or BMP, or a form around it"},
    422: {"description": "A damaged photo, one of the wrong size, or not exactly one upright person"},
    429: {"description": "Too fast, or the day's requests are used up"},
    503: {"description": "The queue is full, or the models are not ready"},
}


def _documented(
    summary: str, description: str, fields: Collection[str], answer: Mapping[str, Any], *, required: bool = True
) -> dict[str, Any]:
    parameters = [
        {
            "name": name,
            "in": "query",
            "required": required and name == "size",
            "description": _SAID[name],
            "schema": {"type": "string"},
        }
        for name in (*fields, *(("access_token",) if required else ()))
    ]
    extra: dict[str, Any] = {"parameters": parameters}
    if required:
        picture = {"schema": {"type": "string", "format": "binary"}}
        extra["requestBody"] = {
            "required": True,
            "description": "The picture's file as it is: JPEG, PNG or BMP",
            "content": dict.fromkeys(_PICTURES, picture),
        }
    responses: dict[int | str, Any] = {200: dict(answer), **(_REFUSALS if required else {400: _REFUSALS[400]})}
    return {"summary": summary, "description": description, "openapi_extra": extra, "responses": responses}


_PICTURES: Final = ("image/jpeg", "image/png", "image/bmp", "application/octet-stream")
_OWN: Final = "Ours, not the cloud's: errors have HTTP statuses and a body {error: {reason, message, …}, log_id}."
_DOCUMENTATION: Final[Mapping[str, dict[str, Any]]] = {
    "photo": _documented(
        "A finished ID photo, its print sheet and its checks, in one JSON",
        _OWN,
        (*PHOTO_FIELDS, *SHEET_FIELDS),
        {"description": "photo {file {name, media_type, kb, base64}, …}, sheet or null, check"},
    ),
    "photo/file": _documented(
        "A finished ID photo as a file",
        f"{_OWN} What was done to the pixels is in the header x-idseg-facts.",
        PHOTO_FIELDS,
        {"description": "The file"},
    ),
    "photo/sheet": _documented(
        "A print sheet as a file",
        f"{_OWN} 6 inch paper where none is named.",
        ("size", "background", *SHEET_FIELDS),
        {"description": "The file"},
    ),
    "check": _documented(
        "Whether a photo obeys a document's rules, rule by rule",
        f"{_OWN} Changes nothing. A photo without exactly one upright person has a report too.",
        CHECK_FIELDS,
        {"description": "verdict, counts, rules: each pass, fail or unknown, with value, allowed range and advice"},
    ),
    "sizes": _documented(
        "The sizes of ID photos, and the papers",
        "Needs no key.",
        ("q",),
        {"description": "sizes, papers"},
        required=False,
    ),
}

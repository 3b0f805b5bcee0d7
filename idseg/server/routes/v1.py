"""``/v1/…`` over HTTP: finished ID photos, print sheets, checks, sizes. The body is the photo, the query the rest."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from idseg.cloud import wire
from idseg.cloud.errors import Reply, error_code
from idseg.errors import EmptyPhotoError, IdsegError
from idseg.server.auth.access import query_string, query_value
from idseg.server.handles import Handles
from idseg.server.http.body import Body
from idseg.server.http.gate import Answer, Gate, check_announced, reason_of, respond
from idseg.server.remember import Looks, Remembering
from idseg.server.routes import photo_api
from idseg.server.routes.photo_api import File
from idseg.server.routes.wanted import CHECK_FIELDS, MOVE_FIELDS, PHOTO_FIELDS, SHEET_FIELDS

if TYPE_CHECKING:
    from fastapi import FastAPI

PREFIX: Final = "/v1/"
MOST_PHOTO: Final = 24 * 2**20
"""Maximum bytes of a photo, enough for a phone's 48 MP as HEIC or JPEG. The cloud's limit applies only to its API."""

_Json: TypeAlias = Callable[[Looks, bytes, str], tuple[Reply, Mapping[str, float]]]
_Making: TypeAlias = Callable[[Looks, bytes, str], tuple[File, Mapping[str, float]]]
_Work: TypeAlias = Callable[..., Answer]
"""Called in a worker with its segmenter and ``content``, ``query``, ``log_id``."""


@dataclass(frozen=True)
class Kept:
    """Access to the photos that are kept for later calls."""

    handles: Handles

    def photo(self, caller: str, query: str) -> tuple[str, bytes] | None:
        """The handle in the query, and its photo; None if the query has no handle.

        Raises:
            UnknownHandleError: there is no such photo, or it belongs to another caller.
        """
        handle = query_value(query, "handle")
        return None if handle is None else (handle, self.handles.find(caller, handle))


def add(app: FastAPI, gate: Gate) -> Kept:
    """Add all routes; returns the store of kept photos.

    Args:
        app: the application.
        gate: the gate that every photo passes.
    """
    kept = Kept(Handles())
    works: tuple[tuple[str, _Work], ...] = (
        ("photo", partial(_answer_json, photo_api.photo)),
        ("photo/file", partial(_answer_file, photo_api.only_photo)),
        ("photo/sheet", partial(_answer_file, photo_api.only_sheet)),
        ("check", partial(_answer_json, photo_api.checked)),
    )
    for name, work in works:
        app.add_api_route(
            PREFIX + name,
            _handler(gate, kept, f"v1/{name}", work),
            methods=["POST"],
            response_class=Response,
            operation_id=f"v1_{name.replace('/', '_')}",
            **_DOCUMENTATION[name],
        )
    app.add_api_route(
        PREFIX + "sizes", _sizes, response_class=Response, operation_id="v1_sizes", **_DOCUMENTATION["sizes"]
    )
    _add_kept(app, gate, kept)
    return kept


def _caller(gate: Gate, request: Request) -> str:
    """Identify the caller.

    Raises:
        ForeignSiteError, or the error for a wrong or missing credential.
    """
    gate.refuse_foreign_site(request.headers)
    caller = gate.access.caller(request) or gate.access.by_bearer(request)
    gate.admit(caller, request)
    return caller


async def _photo_of(gate: Gate, request: Request, body: Body, take: Callable[[int], None]) -> bytes:
    """Read the body, which is the photo's file."""
    check_announced(request, MOST_PHOTO)
    photo_api.refuse_form(request.headers.get("content-type", ""))
    content = await body.read(MOST_PHOTO, take)
    gate.metrics.received.inc(len(content))
    return content


def _handler(gate: Gate, kept: Kept, endpoint: str, work: _Work) -> Callable[..., Any]:
    async def answer(request: Request, log_id: int, body: Body, take: Callable[[int], None]) -> Answer:
        caller, query = _caller(gate, request), query_string(request)
        handle, content = kept.photo(caller, query) or (None, b"")
        if handle is None:
            content = await _photo_of(gate, request, body, take)
        done = partial(work, content=content, query=query, log_id=log_id)
        return await gate.work(caller, body, done, near=handle)

    async def handle(request: Request) -> Response:
        return await respond(gate, request, endpoint, partial(answer, request), refuse)

    return handle


def _add_kept(app: FastAPI, gate: Gate, kept: Kept) -> None:
    """``POST /v1/photos`` keeps a photo, ``GET /v1/photos/HANDLE`` shows it, ``DELETE`` drops it."""

    async def keep(request: Request) -> Response:
        async def answer(log_id: int, body: Body, take: Callable[[int], None]) -> Answer:
            caller = _caller(gate, request)
            content = await _photo_of(gate, request, body, take)
            if not content:
                raise EmptyPhotoError("the body is empty; send the picture's file as it is")
            handle = kept.handles.keep(caller, content)
            kept_photo = {"log_id": str(log_id), "handle": handle, "life_s": kept.handles.life_s, "bytes": len(content)}
            return Answer(photo_api.dumps(kept_photo), status=201)

        return await respond(gate, request, "v1/photos", answer, refuse)

    async def show(request: Request) -> Response:
        async def answer(log_id: int, body: Body, take: Callable[[int], None]) -> Answer:
            caller = _caller(gate, request)
            handle = request.path_params["handle"]
            content = kept.handles.find(caller, handle)
            await body.read(0, take)
            return await gate.work(caller, body, partial(_answer_preview, content=content), near=handle)

        return await respond(gate, request, "v1/photos/preview", answer, refuse)

    async def forget(request: Request) -> Response:
        async def answer(log_id: int, body: Body, take: Callable[[int], None]) -> Answer:
            known = kept.handles.forget(_caller(gate, request), request.path_params["handle"])
            return Answer(photo_api.dumps({"log_id": str(log_id), "forgotten": known}))

        return await respond(gate, request, "v1/photos/forget", answer, refuse)

    for path, method, handler, name in (
        ("photos", "POST", keep, "photos"),
        ("photos/{handle}", "GET", show, "photos/preview"),
        ("photos/{handle}", "DELETE", forget, "photos/forget"),
    ):
        app.add_api_route(
            PREFIX + path,
            handler,
            methods=[method],
            response_class=Response,
            operation_id=f"v1_{name.replace('/', '_')}",
            **_DOCUMENTATION[name],
        )


def _answer_preview(segment: Looks, *, content: bytes) -> Answer:
    """Answer in a worker."""
    file = photo_api.preview(content)
    facts = photo_api.dumps(file.facts, ascii_only=True).decode("ascii")
    return Answer(file.content, headers={"content-type": file.media_type, "x-idseg-facts": facts})


def _answer_json(make: _Json, segment: Looks, *, content: bytes, query: str, log_id: int) -> Answer:
    """Answer in a worker."""
    started = time.perf_counter()
    reply, timings_ms = make(_segmenter_for(segment, query), content, query)
    made = Answer(photo_api.dumps({"log_id": str(log_id), **reply}))
    return Answer(made.body, stages_ms={**timings_ms, "finish": _rest_ms(started, timings_ms)})


def _answer_file(make: _Making, segment: Looks, *, content: bytes, query: str, log_id: int) -> Answer:
    """Answer in a worker. The facts are sent in a header, as ASCII."""
    started = time.perf_counter()
    file, timings_ms = make(_segmenter_for(segment, query), content, query)
    headers = {
        "content-type": file.media_type,
        "content-disposition": f'attachment; filename="{file.name}"',
        "x-idseg-facts": photo_api.dumps(file.facts, ascii_only=True).decode("ascii"),
    }
    return Answer(file.content, stages_ms={**timings_ms, "finish": _rest_ms(started, timings_ms)}, headers=headers)


def _segmenter_for(segment: Looks, query: str) -> Looks:
    """The segmenter, with its cache only if the sender asked to keep the photo."""
    return segment.kept if isinstance(segment, Remembering) and query_value(query, "handle") else segment


def _rest_ms(started: float, timings_ms: Mapping[str, float]) -> float:
    return max(0.0, (time.perf_counter() - started) * 1000 - sum(timings_ms.values()))


def refuse(error: BaseException, log_id: int) -> Answer:
    """The answer to an error in idseg's own calls: an HTTP status and JSON."""
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
    """Needs no key, because it returns only public rules."""
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
    "px": "other pixels of the same shape: 600x600; default: the document's",
    "dpi": "resolution written into the file; default: the document's",
    "right": "by hand: move the head right by millimetres of the finished photo",
    "down": "by hand: move it down by millimetres",
    "zoom": "by hand: scale the head about the middle of the eyes, 0.25 to 4",
    "turn": "by hand: turn it clockwise about the middle of the eyes, degrees, -45 to 45",
    "flip": "1: mirror the picture left to right",
    "light": "by hand: brighter by stops, -1 to 1; an edit, told as one",
    "check": "0: without the report, which costs another look at the finished photo; default: 1",
    "layers": "1: also the person's cut-out and its place, to show the photo on any background",
    "handle": "of POST /v1/photos, in place of the body",
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
    415: {"description": "Not a supported picture, or a form around it"},
    410: {"description": "No photo is kept under this handle; send it again"},
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
        for name in (*fields, *(("handle", "access_token") if required else ()))
    ]
    extra: dict[str, Any] = {"parameters": parameters}
    if required:
        picture = {"schema": {"type": "string", "format": "binary"}}
        extra["requestBody"] = {
            "required": False,
            "description": "The picture's file: JPEG, PNG, WebP, HEIC, AVIF, TIFF, GIF, BMP; empty with a handle",
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
        (*PHOTO_FIELDS, *SHEET_FIELDS, "layers", "check"),
        {"description": "photo {file {name, media_type, kb, base64}, …}, sheet or null, check or null"},
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
        ("size", "background", "px", "dpi", *MOVE_FIELDS, *SHEET_FIELDS),
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
    "photos": _documented(
        "Keep a photo for later calls",
        f"{_OWN} The photo lies in memory for 15 minutes after its last use, for its sender only, and on no disk.",
        (),
        {"description": "handle, life_s, bytes"},
    ),
    "photos/preview": _documented(
        "A kept photo, upright, as a JPEG of at most 2560 px", _OWN, (), {"description": "The picture"}, required=False
    ),
    "photos/forget": _documented("Forget a kept photo", _OWN, (), {"description": "forgotten"}, required=False),
}

"""The cloud API over HTTP: the ``body_seg_photo`` call and the token endpoint."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from idseg.cloud import wire
from idseg.cloud.errors import ForeignSiteError, NoCredentialError, Reply
from idseg.errors import IdsegError
from idseg.result import SegmentPhoto
from idseg.server.auth import tokens
from idseg.server.auth.access import query_string
from idseg.server.http.body import Body, Disconnected
from idseg.server.http.gate import JSON, Answer, Gate, check_announced, respond
from idseg.server.http.guard import connection_of
from idseg.server.logs import log
from idseg.stages.decode import API_LIMITS

TOKEN_BODY: Final = 64 * 1024
"""Maximum bytes of a token request's form."""
TOKEN_WITHIN: Final = 64 * 1024
"""An ``access_token`` in the form must be within this many bytes; without one, no more of the body is read."""
GUESS_S: Final = 0.5
"""Delay of the answer to a wrong secret, seconds. The right one is answered at once."""


async def body_seg_photo(gate: Gate, request: Request) -> Response:
    """``POST /rest/2.0/image-classify/v1/body_seg_photo``."""

    async def answer(log_id: int, body: Body, take: Callable[[int], None]) -> Answer:
        gate.refuse_foreign_site(request.headers)
        caller = gate.access.caller(request)
        if caller is not None:
            gate.admit(caller, request)
        check_announced(request, wire.MAX_BODY)
        if caller is None:
            caller = await _caller_in_form(gate, request, body, take)
        content = await body.read(wire.MAX_BODY, take)
        gate.metrics.received.inc(len(content))
        content_type = request.headers.get("content-type", "")
        work = partial(answer_photo, content=content, content_type=content_type, log_id=log_id)
        return await gate.work(caller, body, work)

    return await respond(gate, request, "body_seg_photo", answer)


async def _caller_in_form(gate: Gate, request: Request, body: Body, take: Callable[[int], None]) -> str:
    """Identify the caller by the ``access_token`` at the beginning of the form. Such bodies share a quarter of the
    memory, and their connections are closed first, so that callers without credentials keep nobody out."""
    connection = connection_of(request.scope)
    if connection is not None:
        connection.anonymous = True
    with gate.anonymous.account() as take_of_quarter:

        def take_both(count: int) -> None:
            take_of_quarter(count)
            take(count)

        beginning = await body.read(wire.MAX_BODY, take_both, enough=TOKEN_WITHIN)
        token = wire.token_in_beginning(beginning[:TOKEN_WITHIN], whole=body.ended and len(beginning) <= TOKEN_WITHIN)
        if not token:
            raise NoCredentialError("send an access_token in the query or before the image, or sign the request")
        caller = gate.access.by_token(token)
    if connection is not None:
        connection.anonymous = False
    gate.admit(caller, request)
    return caller


def answer_photo(segment: SegmentPhoto, *, content: bytes, content_type: str, log_id: int) -> Answer:
    """Answer the request in a worker: from the body to the JSON."""
    started = time.perf_counter()
    photo = wire.parse(content, content_type).image
    parsed = time.perf_counter()
    result = segment(photo, limits=API_LIMITS)
    segmented = time.perf_counter()
    text = wire.dumps(wire.render(result, log_id))
    rendered = time.perf_counter()
    stages = {"parse": (parsed - started) * 1000, **result.timings_ms, "render": (rendered - segmented) * 1000}
    return Answer(text, stages_ms=stages)


async def token(gate: Gate, request: Request) -> Response:
    """The token endpoint: GET or POST with a query, or POST with a form. 200 with tokens, else 400 or 401."""
    body = Body(request.receive, gate.body_timeout_s)
    try:
        gate.refuse_foreign_site(request.headers)
        status, reply = await _token(gate, request, body)
    except Disconnected:
        return Response(status_code=400)
    except ForeignSiteError as error:
        status, reply = 403, _refusal("access_denied", error.message)
    except IdsegError:
        status, reply = 400, _refusal("invalid_request", "The form is too large or too slow")
    log(logging.INFO, "token", status=status, error=reply.get("error", ""))
    return Response(wire.dumps(reply), status, headers={"content-type": JSON, "cache-control": "no-store"})


async def _token(gate: Gate, request: Request, body: Body) -> tuple[int, Reply]:
    """Costs only a few hashes, so that guessing secrets does not keep others from logging in."""
    check_announced(request, TOKEN_BODY)
    form = await body.read(TOKEN_BODY, lambda _: None) if request.method == "POST" else b""
    fields = {**_fields(form.decode("latin-1")), **_fields(query_string(request))}
    if fields.get("grant_type") != "client_credentials":
        return 400, _refusal("unsupported_grant_type", "The authorization grant type is not supported")
    access = gate.access
    if access.links is not None:
        return 401, _refusal("invalid_client", "This server has no keys; it is opened by the link on its terminal")
    app_id, secret = 0, access.secret.read()
    if access.keyring is not None:
        key = access.keyring.by_api_key(fields.get("client_id", ""))
        if key is None:
            return 401, {"error_description": "unknown client id", "error": "invalid_client"}
        if not key.has_secret(fields.get("client_secret", "")):
            await asyncio.sleep(GUESS_S)
            return 401, _refusal("invalid_client", "Client authentication failed")
        app_id, secret = key.app_id, key.token_secret(secret)
    return 200, tokens.issue(secret, app_id, int(access.clock()), access.token_seconds)


def _fields(text: str) -> dict[str, str]:
    """Fields of a query or a form. The first field of each name counts; more than a hundred fields are ignored."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=100, errors="replace")
    except ValueError:
        return {}
    return dict(reversed(pairs))


def _refusal(error: str, description: str) -> Reply:
    return {"error": error, "error_description": description}

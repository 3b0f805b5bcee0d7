"""The web page, and its call.

``POST /page/photo`` takes the bytes of the image file as the body (no form, no base64), and returns the API's reply
with a few additions. Other web sites cannot make a browser send this call: it needs a custom header, which browsers
send across sites only after asking (CORS), and the server refuses. With keys, it also needs a bearer token, which the
page keeps in memory, not in a cookie or storage. Without keys, the Host must be this machine, which prevents DNS
rebinding.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from idseg._version import __version__
from idseg.cloud import wire
from idseg.cloud.errors import ExpiredTokenError, ForeignSiteError, Reply, RequestError, UnknownTokenError
from idseg.cloud.errors import render_error as render_api_error
from idseg.errors import EmptyPhotoError
from idseg.result import SegmentPhoto
from idseg.server.auth.access import query_string
from idseg.server.auth.site import refuse_foreign_site
from idseg.server.http.body import Body
from idseg.server.http.gate import Answer, Gate, refuse, respond

STATIC: Final = Path(__file__).parent.parent / "page"
MAX_FILE: Final = wire.MAX_BASE64 // 4 * 3
"""Maximum size of a file, so that its base64 fits the API's limit."""
_LONGEST_NAME: Final = 64
PAGE_HEADER: Final = "x-idseg-page"

CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def static_file(name: str) -> Response | None:
    """A file of the page; None if there is no such file."""
    path = STATIC / name
    if len(name) > _LONGEST_NAME or Path(name).name != name or path.suffix not in _TYPES or not path.is_file():
        return None
    headers = {
        "cache-control": "no-cache",
        "content-security-policy": CSP,
        "permissions-policy": "camera=(self), microphone=(), geolocation=()",
        "cross-origin-opener-policy": "same-origin",
    }
    return FileResponse(path, media_type=_TYPES[path.suffix], headers=headers)


async def photo(gate: Gate, request: Request, kept: Callable[[str, str], tuple[str, bytes] | None]) -> Response:
    """``POST /page/photo``, for the body or for a kept photo whose handle is in the query.

    Args:
        gate: the gate that every photo passes.
        request: the call.
        kept: returns the handle and its photo for a caller and a query; None if the query names no handle.
    """

    async def answer(log_id: int, body: Body, take: Callable[[int], None]) -> Answer:
        _check_site(request, needs_loopback=gate.access.is_open)
        caller = gate.access.by_bearer(request)
        gate.admit(caller, request)
        handle, file = kept(caller, query_string(request)) or (None, b"")
        file = await body.read(0 if handle else MAX_FILE, take) or file
        gate.metrics.received.inc(len(file))
        if not file:
            raise EmptyPhotoError("no bytes were sent")
        return await gate.work(caller, body, partial(answer_photo, file=file, log_id=log_id), near=handle)

    return await respond(gate, request, "page", answer, partial(refuse, render_error=render_error))


def render_error(error: BaseException, log_id: int) -> Reply:
    """The API's error reply, always with an id and a reason, because a person reads it."""
    reply = render_api_error(error, log_id)
    if "error_detail" not in reply:
        detail = error.to_dict() if isinstance(error, RequestError) else {"reason": "unavailable"}
        reply = {"log_id": log_id, **reply, "error_detail": detail}
    return {**reply, "log_id": str(reply["log_id"])}


def answer_photo(segment: SegmentPhoto, *, file: bytes, log_id: int) -> Answer:
    """Answer in a worker: the API's reply plus the photo's size, the angles and times. ``log_id`` is text, because
    JavaScript's exact integers end at 2^53."""
    result = segment(file)
    started = time.perf_counter()
    reply: dict[str, Any] = wire.render(result, log_id)
    head, shoulders = result.pose.head, result.pose.shoulders
    reply["log_id"] = str(log_id)
    reply["photo"] = result.photo_size._asdict()
    reply["angles"] = {
        "yaw_deg": round(head.yaw_deg, 1),
        "pitch_deg": round(head.pitch_deg, 1),
        "roll_deg": round(head.roll_deg, 1),
        "shoulder_tilt_deg": round(shoulders.tilt_deg, 1),
        "shoulder_turn": round(shoulders.turn, 3),
    }
    stages = {**result.timings_ms, "render": (time.perf_counter() - started) * 1000}
    reply["timings_ms"] = {stage: round(value, 1) for stage, value in stages.items()}
    return Answer(wire.dumps(reply), stages_ms=stages)


def _check_site(request: Request, *, needs_loopback: bool) -> None:
    """Raises ForeignSiteError if another site could have made the call."""
    if request.headers.get(PAGE_HEADER) != __version__:
        raise ForeignSiteError("the page is of another version; reload it", needs="reload")
    refuse_foreign_site(request.headers, needs_loopback=needs_loopback)


def settings_for_page(gate: Gate) -> Reply:
    """The settings that the page needs to start."""
    access = gate.access
    keys, link = access.keyring is not None, access.links is not None
    return {"version": __version__, "auth": keys, "link": link, "max_file_bytes": MAX_FILE}


async def join(gate: Gate, request: Request, used: Callable[[], None]) -> Response:
    """``POST /page/join``: the body is the secret of a one-time link; the answer has a session's token.

    Args:
        gate: the gate that every call passes.
        request: the call.
        used: called when the link is used up or too old, because the next device needs another one.
    """

    async def answer(log_id: int, body: Body, take: Callable[[int], None]) -> Answer:
        _check_site(request, needs_loopback=gate.access.is_open)
        secret = await body.read(_LONGEST_NAME, take)
        if gate.access.links is None:
            raise UnknownTokenError("this server has no links")
        try:
            token = gate.access.links.join(secret.decode("ascii", "replace"))
        except ExpiredTokenError:
            used()
            raise
        used()
        return Answer(wire.dumps({"log_id": str(log_id), "token": token}))

    return await respond(gate, request, "page/join", answer, partial(refuse, render_error=render_error))

"""Finished ID photos and checks: photo and query → answer, error → status. Pure functions without sockets, web
framework or clock.

These calls are idseg's own; the cloud has none like them. The body of a request is the photo's file, the query has all
other values, and an error has an HTTP status and the body ``{"error": {"reason", "message", facts…}, "log_id"}``.
"""

from __future__ import annotations

import base64
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from idseg import errors
from idseg.check import Report, check, delivered, refused
from idseg.check.report import judged
from idseg.cloud.errors import (
    BodyTimeoutError,
    BusyError,
    DailyQuotaError,
    ExpiredTokenError,
    ForeignSiteError,
    MethodError,
    NoCredentialError,
    RateError,
    Reply,
    RequestError,
    SignatureError,
    UnavailableError,
    UnknownTokenError,
)
from idseg.errors import EmptyPhotoError, IdsegError, OptionError, PersonError, PhotoFormatError, PhotoSizeError
from idseg.imaging import encode
from idseg.imaging.colours import parse_color
from idseg.imaging.resize import reduced
from idseg.photo.finish import Finished, finish
from idseg.photo.numbers import Number
from idseg.photo.output import Encoded, Format
from idseg.photo.search import search_sizes
from idseg.photo.sheet import PAPERS, Layout, SheetPhoto, encode_sheet, lay_out
from idseg.photo.size import PhotoSize
from idseg.photo.window import crop_options
from idseg.result import Result
from idseg.server.handles import UnknownHandleError
from idseg.server.layers import layers
from idseg.server.reduce import REDUCED
from idseg.server.remember import Looks
from idseg.server.routes.wanted import (
    CHECK_FIELDS,
    MOVE_FIELDS,
    PHOTO_FIELDS,
    SHEET_FIELDS,
    Wanted,
    WantedSheet,
    read_flag,
    read_query,
    read_size,
    read_wanted,
)
from idseg.stages.decode import decode

MEDIA_TYPES: Final[Mapping[Format, str]] = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "TIFF": "image/tiff",
    "PDF": "application/pdf",
}
_SUFFIXES: Final[Mapping[Format, str]] = {
    "JPEG": "jpg",
    "PNG": "png",
    "WEBP": "webp",
    "TIFF": "tif",
    "PDF": "pdf",
}

STATUS: Final[Mapping[type[IdsegError], int]] = {
    errors.IdsegError: 500,
    errors.OptionError: 400,
    errors.InputError: 422,
    errors.PhotoFormatError: 415,
    errors.EmptyPhotoError: 400,
    errors.PersonError: 422,
    errors.ModelError: 503,
    RequestError: 400,
    UnavailableError: 503,
    MethodError: 405,
    BusyError: 503,
    SignatureError: 401,
    DailyQuotaError: 429,
    RateError: 429,
    NoCredentialError: 401,
    UnknownTokenError: 401,
    ExpiredTokenError: 401,
    BodyTimeoutError: 408,
    ForeignSiteError: 403,
    UnknownHandleError: 410,
}
"""Error class → HTTP status. A class without a row has the status of its nearest base class."""


_MOST_MADE_BYTES: Final = 40_000_000
"""Maximum bytes of an output file: an A4 sheet of portraits at 600 dpi as a PNG; noise would have 105 MB."""
_PREVIEW_PX: Final = 2560
_PREVIEW_QUALITY: Final = 92


@dataclass(frozen=True, slots=True)
class File:
    """An output file and facts about it."""

    name: str
    media_type: str
    content: bytes
    facts: Mapping[str, Any]


# --- photos -----------------------------------------------------------------------------------------------------------


def photo(segment: Looks, content: bytes, query: str) -> tuple[Reply, Mapping[str, float]]:
    """The finished photo's file, its sheet if requested, and the report in one answer.

    Returns:
        the JSON, and the milliseconds of each stage.
    """
    values = read_query(query, (*PHOTO_FIELDS, *SHEET_FIELDS, "layers", "check"))
    wanted = read_wanted(values)
    with_layers, with_check = (
        read_flag(name, values.get(name) or usual) for name, usual in (("layers", ""), ("check", "1"))
    )
    result = segment(_usable(content), crop=crop_options(wanted.size))
    finished = wanted.finish(result)
    made = photo_file(finished, wanted)
    begun = time.perf_counter()
    report = _report_of(segment, made, finished) if with_check else None
    timings = {**result.timings_ms, "check": (time.perf_counter() - begun) * 1000}
    reply = {
        "photo": {"file": _in_json(made), **finished.to_dict(), **_photo_facts(result)},
        "sheet": None if wanted.sheet is None else _sheet_in_json(finished, wanted.sheet),
        "check": None if report is None else report.to_dict(),
    }
    if with_layers:
        by_rules = finished if wanted.by_hand.is_none else finish(result, wanted.size, wanted.background)
        reply["layers"] = layers(result, by_rules)
    return reply, timings


def _report_of(segment: Looks, made: File, finished: Finished) -> Report:
    """The report of a finished photo, analysed again from its own pixels. Enlargement is not visible in them."""
    report = delivered(segment, made.content, finished.size, finished)
    return replace(report, rules=(*report.rules, judged("enough_pixels", finished.placement.scale)))


def only_photo(segment: Looks, content: bytes, query: str) -> tuple[File, Mapping[str, float]]:
    """The finished photo's file."""
    wanted = read_wanted(read_query(query, PHOTO_FIELDS))
    result = segment(_usable(content), crop=crop_options(wanted.size))
    made = photo_file(wanted.finish(result), wanted)
    return replace(made, facts={**made.facts, **_photo_facts(result)}), result.timings_ms


def only_sheet(segment: Looks, content: bytes, query: str) -> tuple[File, Mapping[str, float]]:
    """The print sheet's file, by default a PDF for 6 inch paper."""
    fields = ("size", "background", "px", "dpi", *MOVE_FIELDS, *SHEET_FIELDS)
    wanted = read_wanted(read_query(query, fields), default_paper="6inch")
    assert wanted.sheet is not None  # noqa: S101 - it has a default
    result = segment(_usable(content), crop=crop_options(wanted.size))
    finished = wanted.finish(result)
    return sheet_file(finished, wanted.sheet), result.timings_ms


def checked(segment: Looks, content: bytes, query: str) -> tuple[Reply, Mapping[str, float]]:
    """The report of a photo, also if it does not show exactly one upright person."""
    values = read_query(query, CHECK_FIELDS)
    size, as_it_is = read_size(values), read_flag("finished", values.get("finished", ""))
    photo_bytes = _usable(content)
    timings: Mapping[str, float] = {}
    if as_it_is:
        return delivered(segment, photo_bytes, size).to_dict(), timings
    try:
        result = segment(photo_bytes, crop=crop_options(size))
    except PersonError as error:
        report = refused(error, size)
    else:
        report, timings = check(result, size), result.timings_ms
    return report.to_dict(), timings


def _usable(content: bytes) -> bytes:
    if not content:
        raise EmptyPhotoError("the body is empty; send the picture's file as it is: curl --data-binary @photo.jpg …")
    return content


def _photo_facts(result: Result) -> Mapping[str, Any]:
    """Facts about the received photo."""
    reduced = any(note.startswith(REDUCED) for note in result.notes)
    return {"notes": list(result.notes), **({"resamplings": 2} if reduced else {})}


def photo_file(finished: Finished, wanted: Wanted) -> File:
    """The finished photo in the requested format."""
    encoded = finished.encode(wanted.format, wanted.kb)
    return _file(finished.size.name, encoded, finished.to_dict())


def sheet_file(finished: Finished, wanted: WantedSheet) -> File:
    """The sheet's file; refuses a photo without a background."""
    if finished.pixels.shape[2] == 4:
        raise OptionError("a print sheet needs a background; transparent photos cannot be printed")
    size, layout = finished.size, _layout(finished.size, wanted)
    encoded = encode_sheet(layout, [finished.pixels], wanted.format, wanted.options)
    facts = {"paper": wanted.name, "paper_mm": list(layout.paper_mm), "photos": len(layout.spots), "size": size.name}
    return _file(f"{size.name}-sheet-{wanted.name}", encoded, facts)


def _layout(size: PhotoSize, wanted: WantedSheet) -> Layout:
    return lay_out([SheetPhoto(size.width_mm, size.height_mm, wanted.copies)], wanted.paper_mm, wanted.options)


def _file(stem: str, encoded: Encoded, facts: Mapping[str, Any]) -> File:
    if len(encoded.content) > _MOST_MADE_BYTES:
        raise OptionError(
            f"the {encoded.format} has {encoded.kb / 1000:.0f} MB; at most {_MOST_MADE_BYTES / 1e6:.0f} MB are sent: "
            "ask for a JPEG or a PDF",
            most_kb=_MOST_MADE_BYTES / 1000,
        )
    plain = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-.") else "_" for letter in stem)
    about = {"format": encoded.format, "quality": encoded.quality, "kb": round(encoded.kb, 1)}
    name = f"{plain}.{_SUFFIXES[encoded.format]}"
    return File(name, MEDIA_TYPES[encoded.format], encoded.content, {**about, **facts})


def _in_json(file: File) -> Reply:
    about = {name: file.facts[name] for name in ("format", "quality", "kb")}
    content = base64.b64encode(file.content).decode("ascii")
    return {"name": file.name, "media_type": file.media_type, **about, "base64": content}


def _sheet_in_json(finished: Finished, wanted: WantedSheet) -> Reply:
    """The sheet's file and, for a preview, the place of each photo: left, top, width, height in mm, rotated 0 or 1."""
    file = sheet_file(finished, wanted)
    spots = [
        [*(round(side, 2) for side in (spot.left, spot.top, spot.width, spot.height)), int(spot.turned)]
        for spot in _layout(finished.size, wanted).spots
    ]
    about = {name: file.facts[name] for name in ("paper", "paper_mm", "photos")}
    return {"file": _in_json(file), **about, "spots": spots}


def preview(content: bytes) -> File:
    """A kept photo upright, as a JPEG of at most 2560 px: for browsers that cannot show its format, and for a page
    after a reload."""
    rgb = decode(content).rgb
    height, width = rgb.shape[:2]
    facts = {"width": width, "height": height}
    return File(
        "preview.jpg", MEDIA_TYPES["JPEG"], encode.jpeg(reduced(rgb, _PREVIEW_PX)[0], quality=_PREVIEW_QUALITY), facts
    )


# --- sizes, errors, JSON ----------------------------------------------------------------------------------------------


def sizes(query: str) -> Reply:
    """The sizes that match ``q``, best first, or all sizes without it; how ``q`` was interpreted; and the papers. A
    page needs no other data."""
    found = search_sizes(read_query(query, ("q",)).get("q", ""))
    return {
        "sizes": [_size(size) for size in found.rows],
        "read": found.read,
        "number": None if found.number is None else _number(found.number),
        "left_out": list(found.left_out),
        "papers": {name: list(PAPERS[name]) for name in PAPERS},
    }


def _number(number: Number) -> Reply:
    """How a size given as numbers was interpreted, as values, for languages other than English."""
    width, height = number.written
    return {"width": width, "height": height, "unit": number.written_unit, "guessed": number.guessed}


def _size(size: PhotoSize) -> Reply:
    colors = [parse_color(color) for color in size.backgrounds]
    return {**size.to_dict(), "background_hex": [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in colors]}


def status_of(error: BaseException) -> int:
    """The HTTP status of an error; 500 for errors that are not idseg's."""
    if isinstance(error, PhotoSizeError) and "max_body_bytes" in error.facts:
        return 413
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def error_reply(error: BaseException, log_id: int) -> Reply:
    """The JSON of an error. For an internal error it gives no details."""
    status = status_of(error)
    if isinstance(error, IdsegError) and (status < 500 or isinstance(error, RequestError)):
        fields: Mapping[str, Any] = error.to_dict()
    elif status == 503:
        fields = {"reason": "unavailable", "message": "the models are not ready; see the server's log"}
    else:
        fields = {"reason": "internal", "message": "an error in the server; see its log"}
    return {"error": dict(fields), "log_id": str(log_id)}


def refuse_form(content_type: str) -> None:
    """Raises PhotoFormatError for a form, because these calls take the photo's file as the body."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind.startswith("multipart/") or kind == "application/json":
        raise PhotoFormatError(
            f"the body is {kind[:40]}; send the picture's file itself: curl --data-binary @photo.jpg …", found=kind[:40]
        )


def dumps(reply: Any, *, ascii_only: bool = False) -> bytes:
    """JSON without spaces; numbers that JSON lacks (NaN, infinity) become null."""
    return json.dumps(_finite(reply), ensure_ascii=ascii_only, separators=(",", ":"), allow_nan=False).encode(
        errors="replace"
    )


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

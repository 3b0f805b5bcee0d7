"""The wire format of ``body_seg_photo``: bytes → request, Result → reply, error → reply. It needs neither sockets nor a
web framework.

The API documentation leaves some points open. idseg's own decisions are marked "ours" here and in the documentation:

* Coordinates are in the frame of ``seg_info.cut``. The extra key ``cut_location`` gives the place of the cut in the
  upright photo.
* ``cut`` is a JPEG, ``scoremap`` an 8-bit grey PNG, ``demo`` a PNG, so any background is ``demo + (1 - scoremap /
  255) * colour``.
* A point is given as the pixel that contains it. Points and the face box are clamped to the cut.
* Every refusal of a photo (codes 2xxxxx) has one extra key, ``error_detail``, with a ``reason``. Codes 1 to 111 have
  only the two published keys.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import json
import math
import os
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from idseg.cloud.errors import DataHeaderError, MissingImageError, Reply, render_error
from idseg.errors import Base64Error, EmptyPhotoError, IdsegError, PhotoSizeError
from idseg.imaging import encode
from idseg.stages.decode import API_LIMITS
from idseg.system import side_by_side

if TYPE_CHECKING:
    from idseg.result import Result, SegmentPhoto
    from idseg.types import Box, Point

PATH: Final = "/rest/2.0/image-classify/v1/body_seg_photo"
TOKEN_PATH: Final = "/oauth/2.0/token"  # noqa: S105 - a path

MAX_BASE64: Final = 4 * 1024 * 1024
"""Maximum characters of base64 after form decoding (documented as "4M"; the exact number is ours)."""
MAX_BODY: Final = 3 * MAX_BASE64 + 64 * 1024
"""Maximum bytes of a request body: urlencoding can triple each base64 character, and the form may have other fields."""


MAX_FIELDS: Final = 64
"""Fields of a form that are read; the API has one."""
_LONGEST_NAME: Final = 3 * len("access_token")
"""Maximum characters of a known field's name, with every character percent-encoded."""
_LONGEST_TOKEN: Final = 1024


@dataclass(frozen=True, slots=True)
class Form:
    """The form fields that the API knows, percent-decoded."""

    image: bytes | None
    """Base64 text; None if the field is missing."""
    access_token: str | None


@dataclass(frozen=True, slots=True)
class Request:
    """A request with a valid form."""

    image: bytes
    """The bytes of the image file."""
    access_token: str | None = None


def parse(body: bytes, content_type: str = "application/x-www-form-urlencoded") -> Request:
    """Read a request body.

    Raises:
        MissingImageError: no ``image`` field (216101).
        EmptyPhotoError: ``image`` is empty (216200).
        DataHeaderError: ``image`` starts with ``data:`` (216201).
        PhotoSizeError: more than 4 MiB of base64 (216202).
        Base64Error: not base64 (216203).
    """
    form = parse_form(body)
    return Request(decode_image(form, content_type), form.access_token)


def parse_form(body: bytes) -> Form:
    """Find ``image`` and ``access_token`` in a urlencoded form. The first field of each name counts.

    Reads at most :data:`MAX_FIELDS` fields and stops when both are found; names longer than ours are not decoded.
    """
    fields: dict[bytes, bytes] = {}
    start = 0
    for _ in range(MAX_FIELDS):
        end = body.find(b"&", start)
        end = len(body) if end < 0 else end
        equals = body.find(b"=", start, min(end, start + _LONGEST_NAME + 1))
        if equals >= 0 and (name := _unquote(body[start:equals])) in (b"image", b"access_token"):
            fields.setdefault(name, body[equals + 1 : end])
        start = end + 1
        if len(fields) == 2 or start > len(body):
            break
    token = fields.get(b"access_token")
    image = fields.get(b"image")
    return Form(
        image=None if image is None else _unquote(image),
        access_token=None if token is None else _token(token),
    )


def token_in_beginning(beginning: bytes, *, whole: bool) -> str | None:
    """The ``access_token`` from the beginning of a form body; None unless the beginning contains all of it.

    Args:
        beginning: the first kilobytes of the body.
        whole: whether ``beginning`` is the whole body.
    """
    complete = beginning if whole else beginning[: beginning.rfind(b"&") + 1]
    return parse_form(complete).access_token


def _token(value: bytes) -> str:
    return _unquote(value[:_LONGEST_TOKEN]).decode("latin-1")


def decode_image(form: Form, content_type: str = "") -> bytes:
    """The bytes of the image file from the ``image`` field of a form; raises the same errors as :func:`parse`."""
    if form.image is None:
        raise MissingImageError(
            "param image not exist: send a form field image=<base64, urlencoded> as application/x-www-form-urlencoded",
            content_type=content_type[:100],
        )
    return decode_base64(form.image)


def decode_base64(text: bytes) -> bytes:
    """Decode base64 as clients send it: a space counts as ``+`` (``curl --data`` does not urlencode), padding may be
    missing, and lines may be wrapped (ours)."""
    if not text:
        raise EmptyPhotoError("the field image is empty")
    if text[:5].lower() == b"data:":
        raise DataHeaderError("send the base64 without its data: header", found=text[:30].decode("latin-1"))
    if len(text) > MAX_BASE64:
        raise PhotoSizeError(
            f"{len(text)} characters of base64; at most {MAX_BASE64} are allowed",
            base64_chars=len(text),
            max_base64_chars=MAX_BASE64,
        )
    plain = text.translate(_SPACE_TO_PLUS, b"\r\n").rstrip(b"=")
    if len(plain) % 4 == 1:
        raise Base64Error(f"{len(plain)} characters cannot be base64: one is left over", base64_chars=len(plain))
    try:
        decoded = base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except binascii.Error:
        raise Base64Error("image has characters that are not of the base64 alphabet") from None
    if not decoded:
        raise EmptyPhotoError("the field image holds no bytes")
    return decoded


_SPACE_TO_PLUS = bytes.maketrans(b" ", b"+")
_HEX = np.full(256, 255, np.uint8)
_HEX[np.frombuffer(b"0123456789", np.uint8)] = np.arange(10)
_HEX[np.frombuffer(b"abcdef", np.uint8)] = _HEX[np.frombuffer(b"ABCDEF", np.uint8)] = np.arange(10, 16)


def _unquote(text: bytes) -> bytes:
    """Form decoding: ``+`` is a space, ``%41`` is ``A``, and a ``%`` without two hex digits stays. Vectorised, so that
    12 MB of ``%41`` take about ten milliseconds."""
    if b"%" not in text:
        return text.replace(b"+", b" ")
    chars = np.frombuffer(text.replace(b"+", b" "), np.uint8)
    percent = np.flatnonzero(chars[:-2] == ord("%")) if len(chars) > 2 else np.empty(0, np.intp)
    high, low = _HEX[chars[percent + 1]], _HEX[chars[percent + 2]]
    valid = (high < 16) & (low < 16)
    percent, high, low = percent[valid], high[valid], low[valid]
    decoded = chars.copy()
    decoded[percent] = high * 16 + low
    keep = np.ones(len(chars), np.bool_)
    keep[percent + 1] = False
    keep[percent + 2] = False
    return decoded[keep].tobytes()


def render(result: Result, log_id: int) -> Reply:
    """The reply with a result, with the documented keys in the documented order."""
    width, height = result.window.width, result.window.height
    dx, dy = -result.window.left, -result.window.top
    with ThreadPoolExecutor(1, "idseg-encode") as pool:  # the demo takes longer than the other two
        demo, (cut, scoremap) = side_by_side(
            pool,
            lambda: _base64(encode.png(result.on((0, 0, 0)))),
            lambda: (_base64(encode.jpeg(result.cut)), _base64(encode.png(encode.scoremap(result.alpha)))),
        )
    return {
        "log_id": log_id,
        "seg_info": {"cut": cut, "scoremap": scoremap, "demo": demo},
        "face_location": _face_location(result.person.face_box.moved(dx, dy), result.person.face_score, width, height),
        "pose_info": {
            "body_parts": [
                {name: _point(point, width, height)} for name, point in result.person.parts.moved(dx, dy).items()
            ],
            "facepose": int(result.pose.facepose),
            "bodypose": int(result.pose.bodypose),
        },
        "cut_location": {
            "left": result.window.left,
            "top": result.window.top,
            "width": width,
            "height": height,
        },
    }


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _score(score: float) -> float:
    return round(min(max(float(score), 0.0), 1.0), 7)


def _point(point: Point, width: int, height: int) -> Reply:
    """The pixel of the cut that contains the point, or the nearest pixel."""
    return {
        "score": _score(point.score),
        "x": min(max(math.floor(point.x), 0), width - 1),
        "y": min(max(math.floor(point.y), 0), height - 1),
    }


def _face_location(box: Box, score: float, width: int, height: int) -> Reply:
    left, right = (min(max(math.floor(x + 0.5), 0), width) for x in (box.left, box.right))
    top, bottom = (min(max(math.floor(y + 0.5), 0), height) for y in (box.top, box.bottom))
    return {"score": _score(score), "top": top, "left": left, "width": right - left, "height": bottom - top}


def dumps(reply: Reply) -> bytes:
    """JSON in the service's format: no spaces, UTF-8."""
    return json.dumps(reply, ensure_ascii=False, separators=(",", ":")).encode()


class _Ids:
    """Ids that are unique within a process. Each process starts to count at a random number."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Start counting at a new random number; also called in the child process after a fork."""
        self._count = itertools.count(secrets.randbits(22))

    def __call__(self) -> int:
        return (int(time.time() * 1000) & (1 << 41) - 1) << 22 | next(self._count) & (1 << 22) - 1


_ids = _Ids()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_ids.begin)


def new_log_id() -> int:
    """A new id below 2^63: milliseconds since 1970 in the upper 41 bits (until 2039), then a 22-bit counter that starts
    at a random number. (With 22 random bits instead, two of 500 ids of one millisecond would be equal with 3 %.)
    """
    return _ids()


def body_seg_photo(image_base64: str | bytes, segmenter: SegmentPhoto | None = None) -> Reply:
    """The API as a function: takes the text of the ``image`` field and returns the reply, also for errors.

    Args:
        image_base64: base64 of a JPEG, PNG or BMP file, not urlencoded. The API's limits and formats apply, whatever
            the segmenter's options allow.
        segmenter: an :class:`idseg.segmenter.Segmenter`; by default the process's own, as in :func:`idseg.segment`.
    """
    log_id = new_log_id()
    try:
        text = image_base64.encode("utf-8") if isinstance(image_base64, str) else image_base64
        segment = segmenter or _default_segmenter()
        return render(segment(decode_base64(text), limits=API_LIMITS), log_id)
    except IdsegError as error:
        return render_error(error, log_id)


def _default_segmenter() -> SegmentPhoto:
    from idseg.segmenter import default_segmenter

    return default_segmenter()

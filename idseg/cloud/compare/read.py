"""Reads saved replies of the API leniently: replies saved by any client, with any extra keys."""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from idseg.cloud.compare import relaxed
from idseg.errors import InputError
from idseg.types import Box, PartName, Point, Rgb, Window

Grey: TypeAlias = npt.NDArray[np.uint8]
"""uint8 (H, W)."""

PART_NAMES: tuple[PartName, ...] = get_args(PartName)
_DATA_HEADER = re.compile(r"^\s*data:[^,]{0,100},", re.IGNORECASE)
_LARGEST_PIXELS = 64_000_000
"""Maximum pixels of a saved picture; the API takes photos of at most 4096 x 4096."""


@dataclass(frozen=True, slots=True)
class SavedResult:
    """A reply with a result. Values missing in the file are None; ``notes`` list what was repaired or is missing."""

    cut: Rgb | None = field(default=None, repr=False)
    scoremap: Grey | None = field(default=None, repr=False)
    face_box: Box | None = None
    face_score: float | None = None
    parts: Mapping[PartName, Point] = field(default_factory=dict)
    facepose: int | None = None
    bodypose: int | None = None
    window: Window | None = None
    """``cut_location``, which only idseg's replies have: the rectangle of the cut in the upright photo."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reply with an error."""

    code: int
    text: str = ""
    reason: str = ""
    """``error_detail.reason`` of an idseg server."""


SavedReply: TypeAlias = "SavedResult | Refusal"


def read_file(path: Path) -> SavedReply:
    """Read the reply in a file.

    Raises InputError if it is not text, not an object, or contains neither a result nor an error.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", path=str(path)) from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text file", path=str(path)) from None
    try:
        return parse(relaxed.loads(text))
    except (ValueError, InputError) as error:
        raise InputError(f"{path} is not a saved reply: {error}", path=str(path)) from None


def parse(reply: Any) -> SavedReply:
    """Read a reply from a dictionary, a string with JSON, or an envelope that has either of them one level down.

    Raises InputError if it is neither a result nor an error of the API.
    """
    found = _reply_in(reply)
    if found is None:
        raise InputError("there is neither a seg_info, face_location or pose_info nor an error_code in it")
    if "error_code" in found:
        detail = found.get("error_detail")
        reason = str(detail.get("reason", "")) if isinstance(detail, Mapping) else ""
        return Refusal(_int(found["error_code"], "error_code") or 0, str(found.get("error_msg", "")), reason)
    notes: list[str] = []
    pictures = _mapping(found.get("seg_info"))
    pose = _mapping(found.get("pose_info"))
    face = _mapping(found.get("face_location"))
    cut = _picture(pictures, "cut", "RGB", notes)
    scoremap = _picture(pictures, "scoremap", "L", notes)
    return SavedResult(
        cut=cut,
        scoremap=scoremap,
        face_box=_box(face),
        face_score=_float(face.get("score")),
        parts=_parts(pose.get("body_parts"), notes),
        facepose=_int(pose.get("facepose"), "facepose"),
        bodypose=_int(pose.get("bodypose"), "bodypose"),
        window=_window(_mapping(found.get("cut_location"))),
        notes=tuple(notes),
    )


def _reply_in(value: Any) -> Mapping[str, Any] | None:
    """The reply itself, or the first reply one level down (``{"result": {…}}``, ``"{…}"``)."""
    if isinstance(value, str):
        try:
            value = relaxed.loads(value)
        except ValueError:
            return None
    if not isinstance(value, Mapping):
        return None
    for candidate in (value, *value.values()):
        if isinstance(candidate, Mapping) and candidate.keys() & {
            "seg_info",
            "face_location",
            "pose_info",
            "error_code",
        }:
            return candidate
    return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _float(value: Any) -> float | None:
    """A finite number, also from a string; None for any other value."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None


def _int(value: Any, name: str) -> int | None:
    if value is None:
        return None
    number = _float(value)
    if number is None:
        raise InputError(f"{name} is {value!r}, not a number", found=str(value)[:40])
    return round(number)


def _box(face: Mapping[str, Any]) -> Box | None:
    values = [_float(face.get(key)) for key in ("left", "top", "width", "height")]
    known = [value for value in values if value is not None]
    return Box(*known) if len(known) == 4 else None


def _window(place: Mapping[str, Any]) -> Window | None:
    box = _box(place)
    return None if box is None else Window(*(round(value) for value in box))


def _parts(value: Any, notes: list[str]) -> dict[PartName, Point]:
    """Parts from a list of one-key objects (as documented), one object with all keys, or a list of larger objects."""
    groups = value if isinstance(value, list) else [value]
    named = {name: point for group in groups for name, point in _mapping(group).items()}
    parts: dict[PartName, Point] = {}
    for name in PART_NAMES:
        point = _mapping(named.get(name))
        x, y = _float(point.get("x")), _float(point.get("y"))
        if x is not None and y is not None:
            parts[name] = Point(x, y, _float(point.get("score")) or 0.0)
    if missing := [name for name in PART_NAMES if name not in parts]:
        notes.append(f"without {', '.join(missing)}")
    return parts


def _picture(pictures: Mapping[str, Any], name: str, mode: str, notes: list[str]) -> npt.NDArray[np.uint8] | None:
    """A base64 picture as an array, RGB (H, W, 3) or grey (H, W); None and a note if there is no picture."""
    value = pictures.get(name)
    if not isinstance(value, str) or not value:
        notes.append(f"no {name}")
        return None
    try:
        image: Image.Image = Image.open(io.BytesIO(_unbase64(value)))
        if image.width * image.height > _LARGEST_PIXELS:
            raise ValueError(f"{image.width} x {image.height} px")
        if mode == "L" and image.mode in ("RGBA", "LA", "PA"):
            image = image.getchannel("A")
            notes.append(f"{name}: taken from the picture's alpha channel")
        return np.ascontiguousarray(np.asarray(image.convert(mode)))
    except (OSError, ValueError, binascii.Error, Image.DecompressionBombError) as error:
        notes.append(f"{name} is not a picture ({error})"[:120])
        return None


def _unbase64(text: str) -> bytes:
    """Decode base64 with line breaks, a ``data:`` header, url-safe letters or missing padding."""
    plain = "".join(_DATA_HEADER.sub("", text).split()).replace("-", "+").replace("_", "/").rstrip("=")
    return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)

"""The rules for the file of a finished photo: pixels, resolution, kilobytes, format."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator

from PIL import Image

from idseg.check.report import RuleReport, judged, left_out
from idseg.check.rules import Rule
from idseg.photo.size import PhotoSize
from idseg.photo.verdict import CHECK_YOURSELF, MET, NOT_MET, Status
from idseg.stages.decode import decode
from idseg.types import Photo, Size

_BYTES_A_PIXEL = 3
_SHAPE = 0.01
"""Allowed deviation of width / height, as a share."""
_DPI = 0.5


def check_file(content: bytes, size: PhotoSize, photo: Photo | None = None) -> tuple[RuleReport, ...]:
    """Check the properties of a finished photo's file.

    Args:
        content: the file.
        size: the document.
        photo: the decoded file; None: decode it here.

    Raises:
        InputError: the file cannot be decoded.
    """
    photo = decode(content) if photo is None else photo
    return (
        _pixels(photo.size, size),
        _dpi(content, size),
        *_kilobytes(len(content), size),
        _compression(len(content), photo.size, size),
        _format(photo.format, size),
    )


def _pixels(px: Size, size: PhotoSize) -> RuleReport:
    """The shape and the number of pixels of the finished photo."""
    least, most = size.px_min or size.px, size.px_max
    few = px.width < least.width or px.height < least.height
    many = most is not None and (px.width > most.width or px.height > most.height)
    shape = abs(px.width / px.height / (size.px.width / size.px.height) - 1) > _SHAPE
    wanted = f"{least.width} x {least.height} px"
    if most is not None and most != least:
        wanted = f"{least.width} x {least.height} to {most.width} x {most.height} px"
    advice = ""
    if few or many or shape:
        advice = f"It is {px.width} x {px.height} px; {wanted} are wanted."
    return RuleReport(
        "pixels",
        "pixels of the file",
        NOT_MET if advice else MET,
        float(px.height),
        "px high",
        (float(least.height), None if most is None else float(most.height)),
        advice=advice,
    )


def _dpi(content: bytes, size: PhotoSize) -> RuleReport:
    """The resolution stored in the file; only for documents that are printed."""
    term = "resolution of the print"
    if size.channels and "print" not in size.channels:
        return left_out("dpi", "The document takes a file; nothing is printed.", term)
    found = _named_dpi(content)
    if found is None:
        return RuleReport(
            "dpi", term, CHECK_YOURSELF, None, "dpi", (size.dpi, size.dpi), advice="The file names no resolution."
        )
    good = abs(found - size.dpi) <= _DPI
    advice = "" if good else f"Set {size.dpi:g} dpi."
    return RuleReport("dpi", term, MET if good else NOT_MET, found, "dpi", (size.dpi, size.dpi), advice=advice)


def _named_dpi(content: bytes) -> float | None:
    """Vertical dots per inch in the file's header; None if it has none."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            dpi = image.info.get("dpi")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return float(dpi[1]) if isinstance(dpi, tuple) and len(dpi) == 2 and math.isfinite(float(dpi[1])) else None


def _kilobytes(count: int, size: PhotoSize) -> Iterator[RuleReport]:
    """The size of the file. A kilobyte may mean 1000 or 1024 bytes; a size that fits only one of them is doubtful."""
    if size.kb is None:
        return
    low, high = size.kb
    status: Status = MET
    if count < low * 1024 or count > high * 1000:
        status = NOT_MET if count < low * 1000 or count > high * 1024 else CHECK_YOURSELF
    advice = "" if status == MET else "Save it larger." if count < low * 1024 else "Save it smaller."
    if status == CHECK_YOURSELF:
        advice = f"It depends on whether a KB has 1000 or 1024 bytes. {advice}"
    yield RuleReport(
        "file_size",
        "size of the file",
        status,
        count / 1000,
        "KB",
        (low, None if math.isinf(high) else high),
        0.0,
        advice,
    )


def _compression(count: int, px: Size, size: PhotoSize) -> RuleReport:
    """The compression ratio of the file."""
    term = "compression of the file"
    if size.compression is None:
        return left_out("compression", "The document names no limit.", term)
    rule = Rule(term, "times", high=size.compression, too_high="Save it with less compression.")
    return judged("compression", px.width * px.height * _BYTES_A_PIXEL / max(count, 1), rule)


def _format(found: str, size: PhotoSize) -> RuleReport:
    term = "format of the file"
    if not size.formats:
        return left_out("format", "The document names no format.", term)
    good = found in size.formats
    advice = "" if good else f"It is a {found}; save it as {' or '.join(size.formats)}."
    return RuleReport("format", term, MET if good else NOT_MET, advice=advice)

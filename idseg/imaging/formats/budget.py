"""Limits on the decoding cost of a file, checked from its headers. Pure functions: bytes in, a reason or an error out.

Any file of 4 MB within the API's limits must cost at most 3 CPU seconds. Two parts of a file can cost far more than
their size suggests, and a few bytes reveal both:

* **Colour profiles.** A profile is a small program: its look-up tables and processing elements (``A2B0``, ``mpet``) can
  refer to the same bytes ten thousand times. Only profiles made of three curves and a matrix, or of one grey curve, are
  applied. All cameras, phones and screens write such profiles; press profiles (CMYK) are different.
* **JPEG scans.** Each scan is a pass over all pixels (up to 60 ms for 4096 x 4096 px on one core of 2020). Arithmetic
  coding costs thirty times as much as Huffman coding, and no camera or browser writes it.
"""

from __future__ import annotations

import itertools
import re
import struct
from dataclasses import dataclass
from typing import Final

from idseg.errors import PhotoFormatError

MAX_PROFILE_BYTES: Final = 64 * 1024
"""Matrix profiles have 0.5 to 4 KB; with three curves of 1024 entries, 10 KB."""
MAX_PROFILE_TAGS: Final = 64
"""Real profiles have 9 to 20."""
_MAX_CURVE_ENTRIES: Final = 4096
"""Maximum entries of a sampled curve; the largest in use (LittleCMS's own) have this many."""

_HEADER_BYTES: Final = 128
_CLASSES: Final = frozenset({b"mntr", b"scnr", b"spac", b"prtr"})
"""Allowed classes: monitor, scanner, colour space, printer (grey ones: "Dot Gain 20%"). Device links, abstract and
named-colour profiles are not allowed."""
_LUT_TAG: Final = re.compile(rb"A2B.|B2A.|D2B.|B2D.|gamt|pre[012]|ncl2", re.DOTALL)
"""Tags with look-up tables or chains of processing elements, which a colour engine prefers to curves."""
_CURVE_NAMES: Final = (b"rTRC", b"gTRC", b"bTRC", b"kTRC")
_REQUIRED: Final = {b"RGB ": (b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC"), b"GRAY": (b"kTRC",)}
_PARAMETERS: Final = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}
"""Type of a parametric curve → its number of parameters (ICC.1:2022, table 68)."""

MAX_SCANS: Final = 100
MAX_ORDINARY_SCANS: Final = 16
"""Up to this many scans the larger maximum holds: a progressive JPEG has 10 from libjpeg and up to 14 from mozjpeg."""
MAX_ORDINARY_SCAN_PIXELS: Final = 700_000_000
"""14 scans of 48 megapixels, 10 of 64; at most 3 CPU seconds."""
MAX_SCAN_PIXELS: Final = 500_000_000
"""Maximum of scans times pixels: 29 scans of 4096 x 4096 px, about 2.4 CPU seconds."""
MAX_SEGMENTS: Final = 10_000
"""Maximum segments and stray markers of a JPEG. A camera writes 10 to 100; each costs one step of a Python loop."""


def profile_refusal(icc: bytes) -> str:
    """The reason why a colour profile is not applied; empty if it may be applied.

    Several tags may share a whole element (in most profiles, the three channels share one curve). Elements that overlap
    in part are refused, and so is a profile with anything except curves, a matrix and texts.
    """
    if len(icc) > MAX_PROFILE_BYTES:
        return f"it has {len(icc)} bytes; at most {MAX_PROFILE_BYTES} are read"
    if len(icc) < _HEADER_BYTES + 4 or icc[36:40] != b"acsp" or int.from_bytes(icc[:4], "big") != len(icc):
        return "it is not an ICC profile, or it is cut off"
    if icc[12:16] not in _CLASSES:
        return "its class is not that of a screen, camera, printer or colour space"
    required = _REQUIRED.get(icc[16:20])
    if required is None:
        return f"its colours are {icc[16:20].decode('latin-1').strip()!r}; only RGB and grey profiles are applied"
    if icc[20:24] not in (b"XYZ ", b"Lab "):
        return "its connection space is neither XYZ nor Lab"
    tags = _tags(icc)
    if isinstance(tags, str):
        return tags
    if any(_LUT_TAG.fullmatch(name) for name in tags):
        return "it contains look-up tables; only a matrix and curves are applied"
    for name in required:
        if name not in tags:
            return f"its tag {name.decode()} is missing"
        if wrong := _wrong_element(name, tags[name]):
            return wrong
    return ""


def _tags(icc: bytes) -> dict[bytes, bytes] | str:
    """Element by tag signature, or an error text if the tag table is wrong."""
    count = int.from_bytes(icc[_HEADER_BYTES : _HEADER_BYTES + 4], "big")
    start = _HEADER_BYTES + 4
    if count > MAX_PROFILE_TAGS or start + 12 * count > len(icc):
        return f"it declares {count} tags; at most {MAX_PROFILE_TAGS} are read"
    entries = [struct.unpack_from(">4sII", icc, start + 12 * index) for index in range(count)]
    spans = sorted({(offset, offset + length) for _, offset, length in entries})
    if any(offset < start + 12 * count or end > len(icc) for offset, end in spans):
        return "a tag refers beyond its end"
    if any(end > following for (_, end), (following, _) in itertools.pairwise(spans)):
        return "its tags overlap"
    if len({name for name, _, _ in entries}) < count:
        return "it has a tag twice"
    return {name: icc[offset : offset + length] for name, offset, length in entries}


def _wrong_element(name: bytes, element: bytes) -> str:
    kind, shown = element[:4], name.decode()
    if name not in _CURVE_NAMES:
        return "" if kind == b"XYZ " and len(element) >= 20 else f"its tag {shown} is not a colour"
    if kind == b"curv" and len(element) >= 12:
        entries = int.from_bytes(element[8:12], "big")
        if entries <= _MAX_CURVE_ENTRIES and 12 + 2 * entries <= len(element):
            return ""
    if kind == b"para" and len(element) >= 12:
        parameters = _PARAMETERS.get(int.from_bytes(element[8:10], "big"))
        if parameters is not None and 12 + 4 * parameters <= len(element):
            return ""
    return f"its tag {shown} is not a curve of at most {_MAX_CURVE_ENTRIES} entries"


# --- JPEG -------------------------------------------------------------------------------------------------------------

_MARKER: Final = re.compile(rb"\xff([^\x00\xff])")
_MARKER_AFTER_SCAN: Final = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
_EOI, _SOS, _TEM = 0xD9, 0xDA, 0x01
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_FIRST_ARITHMETIC: Final = 0xC9  # SOF9 to SOF15; SOF1 to SOF7 use Huffman coding


@dataclass(frozen=True, slots=True)
class JpegCost:
    """Decoding work for the first picture of a JPEG; all values are 0 if its headers are broken."""

    frame_marker: int = 0
    """0xC0 (SOF0) to 0xCF (SOF15)."""
    pixels: int = 0
    scans: int = 0
    segments: int = 0


def jpeg_cost(jpeg: bytes) -> JpegCost:
    """Read the markers up to the end of the first picture, as libjpeg does (skipping garbage between segments)."""
    marker = pixels = scans = segments = 0
    position, pattern = 2, _MARKER
    while segments <= MAX_SEGMENTS and (match := pattern.search(jpeg, position)):
        found, position = match[1][0], match.end()
        segments += 1
        if found == _EOI:
            break
        if found == _TEM or 0xD0 <= found <= 0xD8:
            continue
        length = int.from_bytes(jpeg[position : position + 2], "big")
        if length < 2 or position + length > len(jpeg):
            break
        if found in _FRAMES and not marker and length >= 8:
            marker = found
            pixels = int.from_bytes(jpeg[position + 3 : position + 5], "big") * int.from_bytes(
                jpeg[position + 5 : position + 7], "big"
            )
        elif found == _SOS:
            scans += 1
            pattern = _MARKER_AFTER_SCAN
        position += length
    return JpegCost(marker, pixels, scans, segments)


def check_jpeg(jpeg: bytes) -> None:
    """Refuse a JPEG that costs too much. A JPEG with broken headers passes, because the decoder refuses it at once.

    Raises:
        PhotoFormatError: arithmetic coding, too many scans for its pixels, or too many segments.
    """
    cost = jpeg_cost(jpeg)
    if cost.frame_marker >= _FIRST_ARITHMETIC:
        what = f"JPEG with arithmetic coding (SOF{cost.frame_marker - 0xC0})"
        raise PhotoFormatError(f"A {what}, which is not read. Save it again as an ordinary JPEG.", found=what)
    if cost.segments > MAX_SEGMENTS:
        raise PhotoFormatError(
            f"A JPEG in more than {MAX_SEGMENTS} segments. Save it again.",
            found="JPEG with too many segments",
            maximum=MAX_SEGMENTS,
        )
    pixels = max(cost.pixels, 1)
    ordinary = min(MAX_ORDINARY_SCANS, MAX_ORDINARY_SCAN_PIXELS // pixels)
    maximum = min(MAX_SCANS, max(1, ordinary, MAX_SCAN_PIXELS // pixels))
    if cost.scans > maximum:
        raise PhotoFormatError(
            f"A JPEG in {cost.scans} scans; at most {maximum} are read of {cost.pixels} pixels. Save it again.",
            found="JPEG with too many scans",
            scans=cost.scans,
            maximum=maximum,
        )

"""JPEG (ITU-T T.81): a walk over the markers, then libjpeg-turbo through Pillow."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from PIL import Image

from idseg.errors import PhotoDamagedError, PhotoFormatError
from idseg.imaging.formats import Raster, budget, exif
from idseg.types import Size

_MARKER = re.compile(rb"\xff([^\x00\xff])")
_MARKER_AFTER_SCAN = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
_SOI, _EOI, _SOS, _TEM = 0xD8, 0xD9, 0xDA, 0x01
_APP1, _APP2 = 0xE1, 0xE2
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_FRAMES_DECODED = {0xC0, 0xC1, 0xC2}  # baseline, extended, progressive
_MODES = {1: ("L", "L"), 3: ("RGB", "RGB"), 4: ("CMYK", "CMYK;I")}
"""Components → Pillow mode and raw mode. Four: stored inverted, as Adobe does and every viewer assumes."""


@dataclass(slots=True)
class _Found:
    frame: bytes | None = None
    frame_marker: int = 0
    exif: bytes = b""
    icc_parts: list[bytes] = field(default_factory=list)
    scans: int = 0


def read(jpeg: bytes) -> Raster:
    """The first picture of a JPEG or MPO; raises PhotoDamagedError, PhotoFormatError."""
    budget.check_jpeg(jpeg)
    found = _walk(jpeg)
    if found.frame is None or found.scans == 0:
        raise PhotoDamagedError("The JPEG ends before its picture begins.", format="JPEG", bytes=len(jpeg))
    frame = found.frame
    if len(frame) < 6 or len(frame) != 6 + 3 * frame[5]:
        raise PhotoDamagedError("The JPEG's frame header is broken.", format="JPEG")
    bits, components = frame[0], frame[5]
    size = Size(int.from_bytes(frame[3:5], "big"), int.from_bytes(frame[1:3], "big"))
    if found.frame_marker not in _FRAMES_DECODED or bits != 8 or components not in _MODES:
        what = f"JPEG of a rare kind (SOF{found.frame_marker - 0xC0}, {bits} bits, {components} components)"
        raise PhotoFormatError(
            f"A {what}; 8-bit baseline or progressive JPEG with 1, 3 or 4 components is read.", found=what
        )
    if size.width == 0 or size.height == 0:
        raise PhotoDamagedError(
            f"The JPEG says it is {size.width} x {size.height} px.", format="JPEG", width=size.width, height=size.height
        )
    mode, raw_mode = _MODES[components]

    def load() -> Image.Image:
        try:
            return Image.frombytes(mode, size, jpeg, "jpeg", raw_mode, "")
        except (ValueError, OSError) as error:
            raise PhotoDamagedError(
                f"The JPEG is damaged or cut off ({len(jpeg)} bytes do not decode to {size.width} x {size.height} px).",
                format="JPEG",
                bytes=len(jpeg),
                width=size.width,
                height=size.height,
            ) from error

    return Raster("JPEG", size, load, _joined_icc(found.icc_parts), exif.orientation(found.exif))


def _walk(jpeg: bytes) -> _Found:
    """Frame header, EXIF, ICC and number of scans up to the end of the first picture.

    Finds markers the way libjpeg does (garbage between segments is skipped), so that both see the same frame header.
    """
    found = _Found()
    position, pattern = 2, _MARKER
    while match := pattern.search(jpeg, position):
        marker, position = match[1][0], match.end()
        if marker == _EOI:
            break
        if marker == _SOI:
            raise PhotoDamagedError("A second JPEG begins inside the first.", format="JPEG")
        if marker == _TEM or 0xD0 <= marker <= 0xD7:
            continue
        length = int.from_bytes(jpeg[position : position + 2], "big")
        if length < 2 or position + length > len(jpeg):
            raise PhotoDamagedError("The JPEG is cut off or broken in its header.", format="JPEG", bytes=len(jpeg))
        start, position = position + 2, position + length
        if marker in _FRAMES:
            if found.frame is not None:
                raise PhotoDamagedError("The JPEG has two frame headers.", format="JPEG")
            found.frame, found.frame_marker = jpeg[start:position], marker
        elif marker == _SOS:
            found.scans += 1
            pattern = _MARKER_AFTER_SCAN
        elif marker == _APP1 and not found.exif and jpeg.startswith(b"Exif\0", start):
            found.exif = jpeg[start:position]
        elif marker == _APP2 and jpeg.startswith(b"ICC_PROFILE\0", start) and not found.scans:
            found.icc_parts.append(jpeg[start + 12 : position])
    return found


def _joined_icc(parts: list[bytes]) -> bytes | None:
    """The profile from its APP2 parts (number, count, payload; ICC.1:2022 B.4), None if one is missing."""
    numbered = {part[0]: part[2:] for part in parts if len(part) > 2 and part[1] == len(parts)}
    if not parts or sorted(numbered) != list(range(1, len(parts) + 1)):
        return None
    return b"".join(numbered[number] for number in sorted(numbered))

"""Reads JPEG (ITU-T T.81): idseg walks over the markers, then libjpeg-turbo decodes through Pillow.

The walk ends with the first picture (MPO files and motion photos of phones contain more) and drops the metadata.
Before decoding, :mod:`.budget` refuses costly files. A file without its end marker is accepted if it has all its
blocks: see :func:`_is_whole`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from idseg.errors import PhotoDamagedError, PhotoFormatError
from idseg.imaging.formats import Raster, budget, exif, pillow
from idseg.types import Size

_MARKER = re.compile(rb"\xff([^\x00\xff])")
_MARKER_AFTER_SCAN = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
_SOI, _EOI, _SOS, _TEM = 0xD8, 0xD9, 0xDA, 0x01
_APP0, _APP1, _APP2, _APP14 = 0xE0, 0xE1, 0xE2, 0xEE
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_PROGRESSIVE = 0xC2
_MOST_TWICE = budget.MAX_SCAN_PIXELS // 2
"""Scans times pixels of a JPEG without its end marker, which is decoded twice."""
_FRAMES_DECODED = {0xC0, 0xC1, _PROGRESSIVE}  # baseline, extended, progressive
_KEPT = _FRAMES | {0xC4, 0xCC, 0xDB, 0xDD, _SOS}
"""Segments that decoding needs: frame, tables, restart interval, scans."""
_KEPT_APPS = {_APP0: b"JFIF", _APP14: b"Adobe"}
"""Segments that say how the colours are stored."""


@dataclass(slots=True)
class _Found:
    frame: bytes | None = None
    frame_marker: int = 0
    exif: bytes = b""
    icc_parts: list[bytes] = field(default_factory=list)
    scans: list[bytes] = field(default_factory=list)
    """Headers of the scans."""
    parts: list[memoryview] = field(default_factory=list)
    """The file without its metadata, up to the end of the first picture."""
    ended: bool = False
    """Whether the end marker was found."""


def read(jpeg: bytes) -> Raster:
    """The first picture of a JPEG or MPO; raises PhotoDamagedError, PhotoFormatError."""
    budget.check_jpeg(jpeg)
    found = _walk(jpeg)
    frame = found.frame
    if frame is None or not found.scans:
        raise PhotoDamagedError("The JPEG ends before its picture begins.", format="JPEG", bytes=len(jpeg))
    if len(frame) < 6 or len(frame) != 6 + 3 * frame[5]:
        raise PhotoDamagedError("The JPEG's frame header is broken.", format="JPEG")
    bits, components = frame[0], frame[5]
    if found.frame_marker not in _FRAMES_DECODED or bits != 8 or components not in (1, 3, 4):
        what = f"JPEG of a rare kind (SOF{found.frame_marker - 0xC0}, {bits} bits, {components} components)"
        raise PhotoFormatError(
            f"A {what}; 8-bit baseline or progressive JPEG with 1, 3 or 4 components is read.", found=what
        )
    size = Size(int.from_bytes(frame[3:5], "big"), int.from_bytes(frame[1:3], "big"))
    if size.width == 0 or size.height == 0:
        raise PhotoDamagedError(
            f"The JPEG declares a size of {size.width} x {size.height} px.",
            format="JPEG",
            width=size.width,
            height=size.height,
        )
    lean = b"".join([b"\xff\xd8", *found.parts])

    def load() -> Image.Image:
        if found.ended:
            return _decoded(lean + b"\xff\xd9", len(jpeg))
        if len(found.scans) * size.width * size.height > _MOST_TWICE:
            raise PhotoDamagedError(
                f"The JPEG is cut off: its end marker is missing, and {size.width} x {size.height} px in "
                f"{len(found.scans)} scans are too many to find out whether anything else is.",
                format="JPEG",
                bytes=len(jpeg),
                width=size.width,
                height=size.height,
            )
        image = _decoded(lean + _ENDINGS[0], len(jpeg))
        if not _is_whole(image, lean, found):
            raise PhotoDamagedError(
                f"The JPEG is cut off: {len(jpeg)} bytes do not hold all of {size.width} x {size.height} px.",
                format="JPEG",
                bytes=len(jpeg),
                width=size.width,
                height=size.height,
            )
        return image

    return Raster("JPEG", size, load, _joined_icc(found.icc_parts), exif.orientation(found.exif))


def _decoded(jpeg: bytes, file_bytes: int) -> Image.Image:
    return pillow.load(pillow.open_image(JpegImageFile, jpeg, "JPEG"), "JPEG", file_bytes)


def _is_whole(image: Image.Image, lean: bytes, found: _Found) -> bool:
    """Whether a file without its end marker is complete otherwise.

    The file does not say where its last block ends. But bytes appended to the data change the picture only if it is
    incomplete. So it is decoded again with other bytes appended, and must not change. A progressive picture must also
    have all its scans, to the last bit.
    """
    return _all_scans(found) and np.array_equal(np.asarray(image), np.asarray(_decoded(lean + _ENDINGS[1], len(lean))))


def _ending(noise: npt.NDArray[np.uint8]) -> bytes:
    """Bytes that look like further blocks, with all restart markers among them, followed by an end marker."""
    return b"".join(row.tobytes() + bytes((0xFF, 0xD0 + turn % 8)) for turn, row in enumerate(noise)) + b"\xff\xd9"


_NOISE = np.random.default_rng(1).integers(1, 255, (16, 64), dtype=np.uint8)  # no 0xFF, which begins a marker
_ENDINGS = (_ending(_NOISE), _ending(255 - _NOISE))
"""Every bit differs between the two, so the first bit that a cut-off file lacks makes their pictures differ."""


def _all_scans(found: _Found) -> bool:
    """Whether every component has all its coefficients to the last bit (T.81, B.2.3 and G.1.1.1)."""
    frame = found.frame or b""
    components = {frame[place] for place in range(6, len(frame), 3)}
    lacking = {(component, coefficient) for component in components for coefficient in range(64)}
    for scan in found.scans:
        count = scan[0] if scan else 0
        if len(scan) != 4 + 2 * count:
            return False
        first, last, low = (scan[-3], scan[-2], scan[-1] & 15) if found.frame_marker == _PROGRESSIVE else (0, 63, 0)
        if low == 0:
            lacking -= {(scan[1 + 2 * each], place) for each in range(count) for place in range(first, last + 1)}
    return not lacking


def _walk(jpeg: bytes) -> _Found:
    """Collect frame header, EXIF, ICC, scans, and the file without metadata, up to the end of the first picture.

    Finds markers as libjpeg does (skipping garbage between segments), so that both read the same frame header.
    """
    found, view = _Found(), memoryview(jpeg)
    position, pattern, kept_to = 2, _MARKER, 0
    while match := pattern.search(jpeg, position):
        if kept_to:  # the scan's data end here
            found.parts.append(view[kept_to : match.start()])
            kept_to = 0
        marker, position = match[1][0], match.end()
        if marker == _EOI:
            found.ended = True
            return found
        if marker == _SOI:
            raise PhotoDamagedError("A second JPEG begins inside the first.", format="JPEG")
        if marker == _TEM or 0xD0 <= marker <= 0xD7:
            continue
        length = int.from_bytes(jpeg[position : position + 2], "big")
        if length < 2 or position + length > len(jpeg):
            raise PhotoDamagedError("The JPEG is cut off or broken in its header.", format="JPEG", bytes=len(jpeg))
        start, position = position + 2, position + length
        _note(found, marker, jpeg[start:position])
        if marker in _KEPT or (marker in _KEPT_APPS and jpeg.startswith(_KEPT_APPS[marker], start)):
            found.parts.append(view[match.start() : position])
        if marker == _SOS:
            pattern, kept_to = _MARKER_AFTER_SCAN, position
    if kept_to:
        found.parts.append(view[kept_to : len(jpeg.rstrip(b"\xff"))])  # half an end marker
    return found


def _note(found: _Found, marker: int, payload: bytes) -> None:
    if marker in _FRAMES:
        if found.frame is not None:
            raise PhotoDamagedError("The JPEG has two frame headers.", format="JPEG")
        found.frame, found.frame_marker = payload, marker
    elif marker == _SOS:
        found.scans.append(payload)
    elif marker == _APP1 and not found.exif and payload.startswith(b"Exif\0"):
        found.exif = payload
    elif marker == _APP2 and payload.startswith(b"ICC_PROFILE\0") and not found.scans:
        found.icc_parts.append(payload[12:])


def _joined_icc(parts: list[bytes]) -> bytes | None:
    """Join the profile from its APP2 parts (number, count, payload; ICC.1:2022 B.4); None if a part is missing."""
    numbered = {part[0]: part[2:] for part in parts if len(part) > 2 and part[1] == len(parts)}
    if not parts or sorted(numbered) != list(range(1, len(parts) + 1)):
        return None
    return b"".join(numbered[number] for number in sorted(numbered))

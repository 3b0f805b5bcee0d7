"""Pads files with bytes that no reader shows, for authorities that refuse small files."""

from __future__ import annotations

import struct
import zlib
from typing import Literal

Padded = Literal["JPEG", "PNG", "WEBP", "TIFF"]

_FILL = b" "
_JPEG_COMMENT, _JPEG_MOST = b"\xff\xfe", 0xFFFF
"""COM segment, and the maximum of its length field, which counts itself (ITU-T T.81, B.2.4.5)."""
_PNG_END_BYTES = 12
_PNG_NAME = b"Comment\0"
_RIFF_NAME = b"PAD "


def pad(content: bytes, format: Padded, least: int) -> bytes:
    """The same picture in at least ``least`` bytes.

    * JPEG: comment segments after the application segments (ITU-T T.81, B.2.4.5).
    * PNG: a ``tEXt`` chunk before the end (PNG 1.2, 4.2.3).
    * WebP: an unknown chunk at the end, which readers must ignore (WebP container, "Unknown Chunks").
    * TIFF: bytes at the end to which no directory refers (TIFF 6.0, section 2).

    Args:
        content: the file, as Pillow writes it.
        format: format of the file.
        least: minimum number of bytes; a file that has them is returned unchanged.
    """
    missing = least - len(content)
    if missing <= 0:
        return content
    if format == "JPEG":
        at = _behind_jpeg_head(content)
        return content[:at] + _comments(missing) + content[at:]
    if format == "PNG":
        text = _PNG_NAME + _FILL * max(0, missing - _PNG_END_BYTES - len(_PNG_NAME))
        checksum = zlib.crc32(b"tEXt" + text)
        chunk = struct.pack(">I", len(text)) + b"tEXt" + text + struct.pack(">I", checksum)
        return content[:-_PNG_END_BYTES] + chunk + content[-_PNG_END_BYTES:]
    if format == "WEBP":
        count = max(0, missing - 8)
        count += count % 2  # chunks have even lengths
        longer = content + _RIFF_NAME + struct.pack("<I", count) + _FILL * count
        return longer[:4] + struct.pack("<I", len(longer) - 8) + longer[8:]
    return content + _FILL * missing


def _comments(missing: int) -> bytes:
    """Comment segments with at least ``missing`` bytes in total."""
    parts = []
    while missing > 0:
        count = min(max(missing - 2, 2), _JPEG_MOST)
        parts.append(_JPEG_COMMENT + struct.pack(">H", count) + _FILL * (count - 2))
        missing -= count + 2
    return b"".join(parts)


def _behind_jpeg_head(content: bytes) -> int:
    """Position after the application segments (APP0 to APP15) of a JPEG."""
    at = 2
    while content[at] == 0xFF and 0xE0 <= content[at + 1] <= 0xEF:
        at += 2 + int(struct.unpack(">H", content[at + 2 : at + 4])[0])
    return at

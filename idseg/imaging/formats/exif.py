"""Reads the only EXIF field that a photo needs: the orientation."""

from __future__ import annotations

import struct

_ORIENTATION_TAG = 0x0112
_TYPE_FORMATS = {1: "B", 3: "H", 4: "I"}  # SHORT is the standard; some writers use BYTE or LONG


def orientation(exif: bytes) -> int:
    """Orientation 1..8 of an EXIF block (with or without ``Exif\\0\\0``); 1 if there is none or it is broken.

    Reads tag 0x0112 of the first image file directory only (EXIF 2.32, 4.6.4).
    """
    tiff = exif[6:] if exif.startswith(b"Exif\0") else exif
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (ifd,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, ifd)
        for entry in range(ifd + 2, ifd + 2 + 12 * entries, 12):
            tag, kind, count = struct.unpack_from(order + "HHI", tiff, entry)
            if tag == _ORIENTATION_TAG:
                if kind not in _TYPE_FORMATS or count != 1:
                    return 1
                (value,) = struct.unpack_from(order + _TYPE_FORMATS[kind], tiff, entry + 8)
                return value if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1

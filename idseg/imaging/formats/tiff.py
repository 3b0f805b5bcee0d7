"""Reads the first picture of a TIFF 6.0 with Pillow: plain, LZW, deflate, JPEG and libtiff's other compressions.

Pillow gets a directory with only the needed tags, and no further directories. Pillow reads the data of every tag first,
and 65,000 tags could all refer to the same megabytes. The number of strips or tiles must match the size, because each
extra one would be decoded over the others.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import NamedTuple

from PIL import Image
from PIL.TiffImagePlugin import COMPRESSION_INFO, TiffImageFile

from idseg.errors import PhotoDamagedError, PhotoFormatError
from idseg.imaging.formats import Raster, pillow
from idseg.types import Size

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _ORIENTATION = 256, 257, 258, 259, 274
_SAMPLES, _ROWS, _PLANES = 277, 278, 284
_STRIPS, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _ICC = 273, 322, 323, 324, 34675
_KEPT = frozenset(
    {
        *(_WIDTH, _HEIGHT, _BITS, _COMPRESSION, 262, 266, _STRIPS, _SAMPLES, _ROWS, 279, _PLANES, 292, 293, 317, 320),
        *(_TILE_WIDTH, _TILE_HEIGHT, _TILES, 325, 332, 338, 339, 347, 529, 530, 531, 532, _ICC),
    }
)
"""Photometric, fill order, byte counts, fax options, predictor, colours, inks, extra samples, sample format, JPEG
tables, YCbCr. idseg applies the orientation itself."""
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
"""Type → bytes of a value (TIFF 6.0, section 2)."""
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "I;16", "I;16L", "I;16B")
_MOST_SAMPLES = 8
_JPEGS = (6, 7)
_SCAN = b"\xff\xda"
_SCANS_A_PIECE, _STRAY_SCANS = 4, 8
"""Scans allowed per strip or tile (one, or one per component), and allowed in addition."""


class _Entry(NamedTuple):
    kind: int
    values: int
    raw: bytes
    """The four value bytes of the entry: the value, or the offset of the value."""


def read(tiff: bytes) -> Raster:
    """Read the header of a TIFF; raises PhotoDamagedError, PhotoFormatError."""
    order = {b"II": "<", b"MM": ">"}[tiff[:2]]
    if struct.unpack_from(order + "H", tiff, 2)[0] == 43:
        raise PhotoFormatError("A BigTIFF; a TIFF of the usual kind is read.", found="BigTIFF")
    with pillow.damage_of("TIFF", len(tiff)):
        start, entries = _directory(tiff, order)
    size = Size(_number(entries, _WIDTH, order, 0), _number(entries, _HEIGHT, order, 0))
    compression = _number(entries, _COMPRESSION, order, 1)
    if compression not in COMPRESSION_INFO:
        raise PhotoFormatError(
            f"A TIFF with compression {compression}, which is not read. Save it again.", found="TIFF of a rare kind"
        )
    strips = _check_pieces(entries, order, size)
    if compression in _JPEGS and tiff.count(_SCAN) > _SCANS_A_PIECE * strips + _STRAY_SCANS:
        raise PhotoFormatError(
            "A TIFF of JPEGs in many scans. Save it again.", found="TIFF with too many scans", scans=tiff.count(_SCAN)
        )
    image = pillow.open_image(TiffImageFile, _with_directory(tiff, order, start, entries), "TIFF")
    if image.mode not in _MODES:
        raise PhotoFormatError(
            f"A TIFF of mode {image.mode}, whose range is not known; 1, 8 and 16 bits are read.",
            found=f"TIFF of mode {image.mode}",
        )

    def load() -> Image.Image:
        return pillow.load(image, "TIFF", len(tiff))

    orientation = _number(entries, _ORIENTATION, order, 1)
    icc = image.info.get("icc_profile")
    return Raster("TIFF", Size(*image.size), load, icc or None, orientation if 1 <= orientation <= 8 else 1)


def _directory(tiff: bytes, order: str) -> tuple[int, dict[int, _Entry]]:
    """Offset of the first directory, and its entries that a picture needs (the first one of each tag)."""
    (start,) = struct.unpack_from(order + "I", tiff, 4)
    (count,) = struct.unpack_from(order + "H", tiff, start)
    entries: dict[int, _Entry] = {}
    for position in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, values = struct.unpack_from(order + "HHI", tiff, position)
        if tag not in _KEPT and tag != _ORIENTATION:
            continue
        length = _SIZES[kind] * values
        raw = tiff[position + 8 : position + 12]
        if length > 4 and struct.unpack(order + "I", raw)[0] + length > len(tiff):
            raise EOFError(f"tag {tag} is cut off")
        entries.setdefault(tag, _Entry(kind, values, raw))
    return start, entries


def _with_directory(tiff: bytes, order: str, start: int, entries: Mapping[int, _Entry]) -> bytes:
    """The file with its directory replaced in place by a shorter one."""
    kept = [(tag, entry) for tag, entry in sorted(entries.items()) if tag != _ORIENTATION]
    body = b"".join(struct.pack(order + "HHI", tag, entry.kind, entry.values) + entry.raw for tag, entry in kept)
    directory = struct.pack(order + "H", len(kept)) + body + b"\0\0\0\0"
    return tiff[:start] + directory + tiff[start + len(directory) :]


def _number(entries: Mapping[int, _Entry], tag: int, order: str, default: int) -> int:
    """The value of a tag with a single number; ``default`` if it is missing."""
    entry = entries.get(tag)
    if entry is None or entry.values != 1 or entry.kind not in (1, 3, 4):
        return default
    return int(struct.unpack_from(order + {1: "B", 3: "H", 4: "I"}[entry.kind], entry.raw)[0])


def _check_pieces(entries: Mapping[int, _Entry], order: str, size: Size) -> int:
    """The number of strips or tiles; raises PhotoDamagedError if it does not match the size."""
    samples = _number(entries, _SAMPLES, order, 1)
    planes = samples if _number(entries, _PLANES, order, 1) == 2 else 1
    tiled = _TILES in entries
    width = _number(entries, _TILE_WIDTH, order, 0) if tiled else size.width
    height = (
        _number(entries, _TILE_HEIGHT, order, 0)
        if tiled
        else min(_number(entries, _ROWS, order, 2**32 - 1), size.height)
    )
    pieces = entries.get(_TILES if tiled else _STRIPS)
    fits = min(size) > 0 and 0 < width < 2 * size.width + 1024 and 0 < height < 2 * size.height + 1024
    if not fits or pieces is None or not 1 <= samples <= _MOST_SAMPLES:
        raise PhotoDamagedError("The TIFF's header is broken (size, samples or strips).", format="TIFF")
    wanted = -(-size.width // width) * -(-size.height // height) * planes
    if pieces.values != wanted:
        raise PhotoDamagedError(
            f"The TIFF has {pieces.values} strips or tiles; its size requires {wanted}.", format="TIFF"
        )
    return wanted

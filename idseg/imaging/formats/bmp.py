"""BMP (Windows 3 to 5 and OS/2 1): 1, 4, 8, 16, 24 and 32 bits, bit fields, RLE4 and RLE8, top-down.

Decoded with NumPy. An alpha mask (version 4 and 5 headers) is used unless all of it is zero, which many writers leave
behind. A colour profile inside a version 5 header is not applied.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from idseg.errors import PhotoDamagedError, PhotoFormatError
from idseg.imaging.formats import Raster
from idseg.types import Size

_FILE_HEADER_BYTES = 14
_CORE_HEADER_BYTES = 12  # OS/2 1: 16-bit sides, 3 bytes per palette colour
_RAW, _RLE8, _RLE4, _BITFIELDS, _ALPHABITFIELDS = 0, 1, 2, 3, 6
_ALLOWED = {  # compression → bits per pixel
    _RAW: (1, 4, 8, 16, 24, 32),
    _RLE8: (8,),
    _RLE4: (4,),
    _BITFIELDS: (16, 32),
    _ALPHABITFIELDS: (16, 32),
}
_MASKS_555 = (0x7C00, 0x03E0, 0x001F, 0)
_MASKS_888 = (0xFF0000, 0x00FF00, 0x0000FF, 0)


@dataclass(frozen=True, slots=True)
class _Header:
    size: Size
    top_down: bool
    bits: int
    compression: int
    pixel_start: int
    palette: npt.NDArray[np.uint8]
    """uint8 (256, 3) RGB; black where the file has none."""
    masks: tuple[int, int, int, int]


def read(bmp: bytes) -> Raster:
    """Header of a BMP; raises PhotoDamagedError, PhotoFormatError."""
    try:
        header = _read_header(bmp)
    except struct.error:
        raise PhotoDamagedError("The BMP ends in its header.", format="BMP", bytes=len(bmp)) from None

    def load() -> Image.Image:
        pixels = _rle_indices(bmp, header) if header.compression in (_RLE8, _RLE4) else _raw_rows(bmp, header)
        return Image.fromarray(np.ascontiguousarray(pixels if header.top_down else pixels[::-1]))

    return Raster("BMP", header.size, load)


def _read_header(bmp: bytes) -> _Header:
    pixel_start, header_bytes = struct.unpack_from("<II", bmp, 10)
    if header_bytes == _CORE_HEADER_BYTES:
        width, height, _, bits = struct.unpack_from("<HHHH", bmp, 18)
        compression, colors = _RAW, 0
    elif header_bytes in (40, 52, 56, 64, 108, 124):
        width, height, _, bits, compression, _, _, _, colors = struct.unpack_from("<iiHHIIiiI", bmp, 18)
    else:
        raise PhotoDamagedError(f"The BMP has a header of {header_bytes} bytes, of no known kind.", format="BMP")
    if width <= 0 or height == 0:
        raise PhotoDamagedError(f"The BMP says it is {width} x {height} px.", format="BMP", width=width, height=height)
    if bits not in _ALLOWED.get(compression, ()):
        raise PhotoFormatError(
            f"A BMP of {bits} bits with compression {compression}; 1 to 32 bits, plain, RLE or bit fields, are read.",
            found=f"BMP of a rare kind ({bits} bits, compression {compression})",
        )
    palette_start = _FILE_HEADER_BYTES + header_bytes
    masks = _MASKS_555 if bits == 16 else _MASKS_888
    if compression in (_BITFIELDS, _ALPHABITFIELDS):
        red, green, blue = struct.unpack_from("<III", bmp, 54)  # behind a version 3 header or inside a longer one
        has_alpha = header_bytes >= 56 or compression == _ALPHABITFIELDS
        masks = (red, green, blue, struct.unpack_from("<I", bmp, 66)[0] if has_alpha else 0)
    return _Header(
        size=Size(width, abs(height)),
        top_down=height < 0,
        bits=bits,
        compression=compression,
        pixel_start=pixel_start,
        palette=_palette(bmp, palette_start, 3 if header_bytes == _CORE_HEADER_BYTES else 4, colors, bits, pixel_start),
        masks=masks,
    )


def _palette(bmp: bytes, start: int, entry_bytes: int, colors: int, bits: int, end: int) -> npt.NDArray[np.uint8]:
    palette = np.zeros((256, 3), np.uint8)
    if bits <= 8:
        entries = min(colors or 2**bits, 2**bits, max(0, min(end, len(bmp)) - start) // entry_bytes)
        stored = np.frombuffer(bmp, np.uint8, entries * entry_bytes, start) if entries else np.zeros(0, np.uint8)
        palette[:entries] = stored.reshape(entries, entry_bytes)[:, 2::-1]
    return palette


def _cut_off(bmp: bytes, header: _Header) -> PhotoDamagedError:
    return PhotoDamagedError(
        f"The BMP is cut off: {len(bmp)} bytes do not hold {header.size.width} x {header.size.height} px.",
        format="BMP",
        bytes=len(bmp),
        width=header.size.width,
        height=header.size.height,
    )


def _raw_rows(bmp: bytes, header: _Header) -> npt.NDArray[np.uint8]:
    """uint8 (H, W, 3 or 4), rows in the file's order."""
    (width, height), bits = header.size, header.bits
    stride = (width * bits + 31) // 32 * 4
    if header.pixel_start + stride * height > len(bmp):
        raise _cut_off(bmp, header)
    rows = np.frombuffer(bmp, np.uint8, stride * height, header.pixel_start).reshape(height, stride)
    if bits == 24:
        return rows[:, : 3 * width].reshape(height, width, 3)[:, :, ::-1]
    if bits == 32 and header.masks == _MASKS_888:
        return rows.reshape(height, width, 4)[:, :, 2::-1]
    if bits >= 16:
        return _bit_fields(rows.view(f"<u{bits // 8}")[:, :width], header.masks)
    if bits == 8:
        indices = rows[:, :width]
    elif bits == 4:
        indices = np.stack([rows >> 4, rows & 15], axis=2).reshape(height, -1)[:, :width]
    else:
        indices = np.unpackbits(rows, axis=1, count=width)
    return header.palette[indices]


def _bit_fields(words: npt.NDArray[np.unsignedinteger], masks: tuple[int, int, int, int]) -> npt.NDArray[np.uint8]:
    """Each mask's bits, scaled so that all ones are 255."""
    channels = []
    for mask in masks if masks[3] else masks[:3]:
        lowest = (mask & -mask).bit_length() - 1 if mask else 0
        top = mask >> lowest
        field = (words & np.uint32(mask)).astype(np.uint32) >> np.uint32(lowest)
        scaled = field.astype(np.float32) * np.float32(255.0 / top) if top else field.astype(np.float32)
        channels.append(np.rint(scaled).clip(0, 255).astype(np.uint8))
    if len(channels) == 4 and not channels[3].any():
        channels.pop()
    return np.stack(channels, axis=2)


def _rle_indices(bmp: bytes, header: _Header) -> npt.NDArray[np.uint8]:
    """uint8 (H, W, 3), rows in the file's order. Pixels that the stream jumps over have colour 0."""
    (width, height), four = header.size, header.compression == _RLE4
    indices = bytearray(width * height)
    position, end, x, y = header.pixel_start, len(bmp), 0, 0
    while y < height:
        if position + 2 > end:
            if y == height - 1 and x >= width:
                break  # the end mark is missing, the picture is whole
            raise _cut_off(bmp, header)
        count, value = bmp[position], bmp[position + 1]
        position += 2
        if count == 0 and value == 0:
            x, y = 0, y + 1
            continue
        if count == 0 and value == 1:
            break
        if count == 0 and value == 2:
            if position + 2 > end:
                raise _cut_off(bmp, header)
            x, y, position = x + bmp[position], y + bmp[position + 1], position + 2
            continue
        if count == 0:
            count, stored = value, (value + 1) // 2 if four else value
            literal = bmp[position : position + stored]
            if len(literal) < stored:
                raise _cut_off(bmp, header)
            run = bytes(nibble for byte in literal for nibble in (byte >> 4, byte & 15))[:count] if four else literal
            position += stored + stored % 2  # literals end on a 16-bit boundary
        else:
            run = (bytes((value >> 4, value & 15)) * 128)[:count] if four else bytes((value,)) * count
        if x + count > width:
            raise PhotoDamagedError(f"The BMP has a run beyond the end of row {y}.", format="BMP")
        indices[y * width + x : y * width + x + count] = run
        x += count
    return header.palette[np.frombuffer(indices, np.uint8).reshape(height, width)]

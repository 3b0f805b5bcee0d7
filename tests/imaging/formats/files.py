"""Files of photos made by hand and by Pillow, and what decoding them must give."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from idseg.errors import InputError
from idseg.stages.decode import DecodeLimits, decode
from idseg.types import Photo

Array = npt.NDArray[Any]
ANY_SIZE = DecodeLimits(min_side=1)
WIDTH, HEIGHT = 70, 56


def scene(width: int = WIDTH, height: int = HEIGHT) -> npt.NDArray[np.uint8]:
    """A smooth picture without any symmetry."""
    y, x = np.mgrid[:height, :width]
    return np.dstack([x * 255 // width, y * 255 // height, (x + 2 * y) % 256 // 2]).astype(np.uint8)


def saved(image: Image.Image | Array, form: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(stream, form, **options)
    return stream.getvalue()


def chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def png(
    width: int, height: int, depth: int, color: int, rows: bytes, *extra: tuple[bytes, bytes], interlace: int = 0
) -> bytes:
    """A PNG by hand; ``rows`` are packed samples without filter bytes."""
    stride = len(rows) // height
    filtered = b"".join(b"\0" + rows[y * stride : (y + 1) * stride] for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlace)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(filtered)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def bmp(
    width: int,
    height: int,
    bits: int,
    pixels: bytes,
    *,
    compression: int = 0,
    palette: bytes = b"",
    colors: int = 0,
    masks: bytes = b"",
    header_bytes: int = 40,
) -> bytes:
    """A BMP by hand; ``pixels`` are the stored rows."""
    if header_bytes == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", header_bytes, width, height, 1, bits, compression, 0, 0, 0, colors, 0)
    body = (info + masks).ljust(header_bytes, b"\0") + palette
    return b"BM" + struct.pack("<IHHI", 14 + len(body) + len(pixels), 0, 0, 14 + len(body)) + body + pixels


def exif(orientation: int, order: str = "<", kind: int = 3) -> bytes:
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    value = struct.pack(order + {3: "HH", 4: "I"}[kind], *((orientation, 0) if kind == 3 else (orientation,)))
    other = struct.pack(order + "HHII", 0x0100, 4, 1, 77)
    entry = struct.pack(order + "HHI", 0x0112, kind, 1) + value
    return b"Exif\0\0" + head + struct.pack(order + "H", 2) + other + entry + b"\0\0\0\0"


def rows_padded(rows: Array) -> bytes:
    """Rows as BMP stores them: bottom up, each to 4 bytes."""
    width = rows.shape[1]
    return np.pad(rows[::-1], ((0, 0), (0, -width % 4))).tobytes()


def turned(upright: Array, orientation: int) -> Array:
    """What a camera stores, EXIF 2.32 4.6.4: where row 0 and column 0 of the stored picture lie in the upright one."""
    turn: Callable[[Array], Array] = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: a.transpose(1, 0, 2)[::-1],
        7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
        8: lambda a: a.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    return turn(upright)


def assert_sound(photo: Photo) -> None:
    assert photo.rgb.dtype == np.uint8
    assert photo.rgb.ndim == 3
    assert photo.rgb.shape[2] == 3
    assert photo.rgb.flags.c_contiguous
    assert photo.rgb.flags.writeable


def difference(photo: Photo, expected: Array) -> int:
    assert_sound(photo)
    assert photo.rgb.shape == expected.shape
    return int(np.abs(photo.rgb.astype(int) - expected).max())


def pack(samples: Array, depth: int) -> bytes:
    """Rows of samples (H, N) to PNG's packed rows."""
    if depth == 16:
        return samples.astype(">u2").tobytes()
    bits = np.unpackbits(samples.astype(np.uint8)[..., None], axis=2)[:, :, 8 - depth :]
    return np.packbits(bits.reshape(len(samples), -1), axis=1).tobytes()


def matrix_profile(primaries: Array, gamma: float) -> bytes:
    """A small ICC v2 RGB profile: D50 XYZ columns and one gamma."""

    def xyz(values: Any) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(float(value) * 65536)) for value in values)

    curve = b"curv\0\0\0\0" + struct.pack(">IHxx", 1, round(gamma * 256))
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(79)
    copyright_text = b"text\0\0\0\0none\0\0\0\0"
    tags = [
        (b"desc", text), (b"cprt", copyright_text), (b"wtpt", xyz([0.9642, 1, 0.8249])),
        (b"rXYZ", xyz(primaries[0])), (b"gXYZ", xyz(primaries[1])), (b"bXYZ", xyz(primaries[2])),
        (b"rTRC", curve), (b"gTRC", curve), (b"bTRC", curve),
    ]  # fmt: skip
    offset = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, content in tags:
        table += name + struct.pack(">II", offset + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(">I4sI4s4s4s", offset + len(body), b"lcms", 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + struct.pack(">iii", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + table + body


ADOBE_RGB = matrix_profile(
    np.array([[0.60974, 0.31111, 0.01947], [0.20528, 0.62567, 0.06087], [0.14919, 0.06322, 0.74457]]), 2.19921875
)


RLE_ROW = (
    b"\x1e\x05" + b"\x00\x03\x07\x08\x09\x00" + b"\x11\x02" + b"\x00\x00"
)  # 30 x 5, literal 7 8 9, 17 x 2, end of row
SAMPLES = {
    "jpeg": saved(scene(), "JPEG", exif=exif(6), icc_profile=ADOBE_RGB),
    "progressive": saved(scene(), "JPEG", progressive=True),
    "cmyk": saved(Image.fromarray(scene()).convert("CMYK"), "JPEG"),
    "png": saved(scene(), "PNG", exif=exif(8), icc_profile=ADOBE_RGB),
    "palette": saved(Image.fromarray(scene()).quantize(9), "PNG", transparency=2),
    "rgba": saved(Image.fromarray(scene()).convert("RGBA"), "PNG"),
    "bmp24": saved(scene(), "BMP"),
    "bmp8": saved(Image.fromarray(scene()).quantize(9), "BMP"),
    "rle": bmp(50, 50, 8, RLE_ROW * 50 + b"\0\1", compression=1, palette=bytes(range(256)) * 4),
    "fields": bmp(50, 50, 16, bytes(range(200)) * 25, compression=3, masks=struct.pack("<III", 0xF800, 0x7E0, 0x1F)),
}  # fmt: skip


def photo_or_error(file_bytes: bytes) -> Photo | None:
    try:
        photo = decode(file_bytes, ANY_SIZE)
    except InputError as caught:
        error = caught
    else:
        assert_sound(photo)
        return photo
    assert error.to_dict()["reason"]
    assert len(str(error)) < 400
    return None

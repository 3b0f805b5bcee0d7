"""Decodes any photo input into one upright sRGB picture. This is the first stage and idseg's only decoder.

* Files: JPEG (the first picture of a phone's MPO), PNG (the default picture of an animated one), BMP, HEIC, WebP, AVIF,
  TIFF, GIF (the first frame); see :mod:`idseg.imaging.formats`. The first bytes decide, not the name. All eight EXIF
  orientations are applied by moving pixels, without resampling.
* Colour: ICC profiles with a matrix and curves are applied (others are ignored, with a note), alpha is composited on
  white, CMYK and grey become RGB (:mod:`idseg.imaging.formats.color`). Of 16-bit samples the high byte is used, in
  files and in arrays.
* NumPy arrays are RGB (not BGR), sRGB: uint8; uint16 over its full range; or float within 0..1 (other values are
  refused, because 0..255 cannot be told from overexposure). Shapes: (H, W), (H, W, 1), (H, W, 3), or (H, W, 4) with
  straight alpha.
* PIL images have any format and 8 bits per channel. Their EXIF orientation and profile are applied as for a file.
* The result is C-contiguous and writable, and never shares memory with the input.

Any bytes give either a Photo or an InputError. The header is checked against the limits before any pixel is decoded.
Memory: the file, and at most about 10 bytes per pixel while decoding (16 for AVIF and HEIC).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from idseg.errors import (
    EmptyPhotoError,
    InputError,
    OptionError,
    PhotoDamagedError,
    PhotoFormatError,
    PhotoReadError,
    PhotoSizeError,
    PhotoTypeError,
)
from idseg.imaging.formats import Raster, bmp, color, exif, gif, jpeg, modern, png, tiff
from idseg.imaging.formats.sniff import sniff
from idseg.types import Photo, Rgb, Size

PhotoLike: TypeAlias = (
    "str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | npt.NDArray[Any] | Image.Image"
)

_READERS: dict[str, Callable[[bytes], Raster]] = {
    "JPEG": jpeg.read,
    "PNG": png.read,
    "BMP": bmp.read,
    "HEIC": modern.read_heic,
    "WebP": modern.read_webp,
    "AVIF": modern.read_avif,
    "TIFF": tiff.read,
    "GIF": gif.read,
}
FORMATS = tuple(_READERS)
"""The file formats that idseg reads."""
API_FORMATS = ("JPEG", "PNG", "BMP")
"""The file formats that the cloud API accepts."""
_ACCEPTED = "a path, bytes, a binary file object, a NumPy array or a PIL image"
_TURNS: dict[int, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.T,
    6: lambda stored: stored.T[:, ::-1],
    7: lambda stored: stored.T[::-1, ::-1],
    8: lambda stored: stored.T[::-1],
}
"""EXIF orientation → function that returns the upright view (EXIF 2.32, 4.6.4 A); 1 is already upright."""
_PIL_MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "LAB", "HSV")
_ARRAY_KINDS = {("u", 1), ("u", 2), ("f", 2), ("f", 4), ("f", 8)}  # in either byte order
_RGB_NOTE = ("The array's channels were taken as red, green, blue; OpenCV's are blue, green, red.",)
_STRIP_BYTES = 96 * 1024
"""Size of a strip of pixels that is copied at once."""
_PATH_SHOWN = 120  # characters of a path in a message; a longer "path" is usually base64 of a photo


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """Limits of a photo. The defaults are idseg's and fit any phone's photo; :data:`API_LIMITS` are the API's."""

    min_side: int = 50
    """Minimum of the shorter side, pixels."""
    max_side: int = 16_384
    """Maximum of the longer side, pixels."""
    max_pixels: int | None = 64_000_000
    """Maximum of width times height; None: ``max_side`` squared. A phone's 48 MP have 8064 x 6048. 64 MP need about
    0.7 GB while decoding."""
    max_bytes: int = 256 * 2**20
    """Maximum length of a file or stream, bytes. 64 MP as a plain 24-bit BMP have 183 MiB."""
    formats: tuple[str, ...] = FORMATS
    """Names of the allowed file formats. Arrays and PIL images are always allowed."""

    def __post_init__(self) -> None:
        if not 1 <= self.min_side <= self.max_side:
            raise OptionError(
                f"min_side {self.min_side} and max_side {self.max_side} must keep 1 <= min_side <= max_side.",
                min_side=self.min_side,
                max_side=self.max_side,
            )
        if (self.max_pixels is not None and self.max_pixels < self.min_side**2) or self.max_bytes < 1:
            raise OptionError("max_pixels and max_bytes must leave room for a photo of min_side squared.")
        unknown = sorted(set(self.formats) - set(FORMATS))
        if unknown or not self.formats:
            raise OptionError(f"formats: {', '.join(unknown) or 'none'}; there are {', '.join(_READERS)}.")

    @property
    def pixels(self) -> int:
        """Maximum number of pixels to decode."""
        return self.max_side**2 if self.max_pixels is None else min(self.max_pixels, self.max_side**2)


API_LIMITS = DecodeLimits(max_side=4096, max_pixels=None, max_bytes=128 * 2**20, formats=API_FORMATS)
"""The cloud API's limits (:mod:`idseg.cloud.wire` checks its 4 MB of base64). 128 MiB is the largest plain file of 4096
x 4096 px, an RGBA PNG of 16 bits."""


def decode(photo: PhotoLike, limits: DecodeLimits = DecodeLimits()) -> Photo:
    """Decode the photo as upright RGB. Raises only InputErrors (type, read, empty, format, damaged, size).

    A stream is read from its position to its end (at most ``limits.max_bytes``) and stays open. The caller's object is
    not changed, except that a lazy PIL image loads its pixels.
    """
    if isinstance(photo, np.ndarray):
        rgb = _rgb_of_array(photo, limits)
        return Photo(rgb, "array", notes=_RGB_NOTE if photo.ndim == 3 and photo.shape[2] >= 3 else ())
    if isinstance(photo, Image.Image):
        return _decode_pil(photo, limits)
    return _decode_file(_bytes_of(photo, limits), limits)


def _decode_file(file_bytes: bytes, limits: DecodeLimits) -> Photo:
    if not file_bytes:
        raise EmptyPhotoError("The photo is empty: 0 bytes.")
    found = sniff(file_bytes)
    reader = _READERS.get(found) if found in limits.formats else None
    if reader is None:
        wanted = [name for name in _READERS if name in limits.formats]
        listed = f"{', '.join(wanted[:-1])} or {wanted[-1]}" if len(wanted) > 1 else wanted[0]
        raise PhotoFormatError(f"Looks like {found}; a {listed} is wanted.", found=found)
    raster = reader(file_bytes)
    _check_size(raster.size, limits)
    rgb = _upright(color.to_srgb(raster.load(), raster.icc), raster.exif_orientation)
    return Photo(rgb, raster.format, raster.exif_orientation, color.profile_note(raster.icc))


def _decode_pil(image: Image.Image, limits: DecodeLimits) -> Photo:
    if image.mode not in _PIL_MODES:
        raise PhotoTypeError(
            f"A PIL image of mode {image.mode!r}; its range is not known. Give 8 bits per channel, or a NumPy array"
            " (uint16 over its full range, or float in 0..1).",
            found=f"PIL image, mode {image.mode}",
        )
    _check_size(Size(*image.size), limits)
    try:
        image.load()
        orientation = _pil_orientation(image)
        stored = image.info.get("icc_profile")
        icc = stored if isinstance(stored, bytes) else None
        rgb = _upright(color.to_srgb(image, icc), orientation)
    except (OSError, ValueError, SyntaxError, EOFError, AttributeError) as error:
        raise PhotoDamagedError(f"The PIL image does not load: {error}", format=image.format or "") from error
    return Photo(rgb, "array", orientation, color.profile_note(icc))


def _pil_orientation(image: Image.Image) -> int:
    stored = image.info.get("exif")
    if isinstance(stored, bytes):
        return exif.orientation(stored)
    value = image.getexif().get(0x0112, 1)  # TIFF keeps it among its own tags
    return value if value in _TURNS else 1


def _upright(image: Image.Image, orientation: int) -> Rgb:
    """The RGB image's pixels, rotated or mirrored. Moves whole pixels (3-byte items), which is faster than samples."""
    stored = _pixels(image)
    if orientation not in _TURNS:
        return stored
    turned = np.ascontiguousarray(_TURNS[orientation](stored.view("V3")[:, :, 0]))
    return turned.view(np.uint8).reshape(*turned.shape, 3)


def _pixels(image: Image.Image) -> Rgb:
    """The RGB image's pixels, in strips that fit into the processor's cache: Pillow stores four bytes a pixel, and
    ``np.array(image)`` would copy all of them twice more."""
    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    rows = max(1, _STRIP_BYTES // (3 * width))
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, width, bottom)))
    return pixels


def _check_size(size: Size, limits: DecodeLimits) -> None:
    """Raises PhotoSizeError. Rotation does not change the outcome."""
    width, height = size
    found = f"The photo is {width} x {height} px"
    facts = {"width": width, "height": height, "minimum": limits.min_side, "maximum": limits.max_side}
    if min(size) < limits.min_side:
        raise PhotoSizeError(
            f"{found}; its shortest side must have at least {limits.min_side} px. Give a larger photo.", **facts
        )
    if max(size) > limits.max_side:
        raise PhotoSizeError(
            f"{found}; its longest side may have at most {limits.max_side} px. Scale it down.", **facts
        )
    if width * height > limits.pixels:
        raise PhotoSizeError(
            f"{found}, {width * height} pixels; at most {limits.pixels} are allowed. Scale it down.",
            **facts,
            maximum_pixels=limits.pixels,
        )


def _bytes_of(photo: object, limits: DecodeLimits) -> bytes:
    """The file's bytes, at most ``limits.max_bytes``."""
    if isinstance(photo, (bytes, bytearray, memoryview)):
        try:
            _check_length(memoryview(photo).nbytes, limits)
            return bytes(photo)
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            raise PhotoTypeError("A memoryview that was released.", found="released memoryview") from error
    if isinstance(photo, (str, os.PathLike)):
        return _bytes_of_path(photo, limits)
    if callable(getattr(photo, "read", None)):
        return _bytes_of_stream(photo, limits)
    found = type(photo).__name__
    raise PhotoTypeError(f"Got {found}; wanted {_ACCEPTED}.", found=found)


def _bytes_of_path(path: str | os.PathLike[str], limits: DecodeLimits) -> bytes:
    text = os.fspath(path)
    name = os.fsdecode(text)
    shown = name if len(name) <= _PATH_SHOWN else f"{name[:40]}… ({len(name)} characters)"
    if name.startswith(("http://", "https://", "data:")):
        raise PhotoReadError(f"{shown!r} is a URL; idseg fetches none. Give a path or bytes.", path=shown)
    try:
        with open(text, "rb") as file:
            return _bytes_of_stream(file, limits)
    except OSError as error:
        if isinstance(error, InputError):
            raise
        raise PhotoReadError(f"Cannot read {shown!r}: {error.strerror or error}.", path=shown) from error
    except ValueError as error:  # a NUL in the path
        if isinstance(error, InputError):
            raise
        raise PhotoReadError(f"Cannot read {shown!r}: {error}.", path=shown) from error


def _bytes_of_stream(stream: Any, limits: DecodeLimits) -> bytes:
    parts: list[bytes] = []
    length = 0
    while length <= limits.max_bytes:
        try:
            part = stream.read(limits.max_bytes + 1 - length)
        except (OSError, ValueError) as error:  # ValueError: a closed file
            raise PhotoReadError(f"Cannot read the stream: {error}.") from error
        if part is None:
            raise PhotoReadError("The stream is non-blocking and has nothing to read yet.")
        if not isinstance(part, (bytes, bytearray, memoryview)):
            raise PhotoTypeError(
                f"The file object gives {type(part).__name__}; open it in binary mode.", found="text file object"
            )
        if not part:
            return parts[0] if len(parts) == 1 else b"".join(parts)
        parts.append(bytes(part))
        length += len(part)
    _check_length(length, limits)
    raise AssertionError("unreachable")


def _check_length(length: int, limits: DecodeLimits) -> None:
    if length > limits.max_bytes:
        raise PhotoSizeError(
            f"The photo has more than {limits.max_bytes} bytes, the most that is read.", maximum_bytes=limits.max_bytes
        )


def _rgb_of_array(array: npt.NDArray[Any], limits: DecodeLimits) -> Rgb:
    """uint8 (H, W, 3), a copy; raises PhotoTypeError that names the array's type and shape."""
    found = f"array of {array.dtype} with shape {array.shape}"
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise PhotoTypeError(f"An {found}; wanted (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).", found=found)
    if (array.dtype.kind, array.dtype.itemsize) not in _ARRAY_KINDS:
        raise PhotoTypeError(f"An {found}; wanted uint8, uint16 (full range) or float in 0..1.", found=found)
    if array.size == 0:
        raise EmptyPhotoError(f"The photo is empty: an {found}.")
    _check_size(Size(array.shape[1], array.shape[0]), limits)
    levels = _levels_8_bit(np.asarray(array), found)
    if levels.ndim == 2 or levels.shape[2] == 1:
        return np.repeat(levels.reshape(*levels.shape[:2], 1), 3, axis=2)
    if levels.shape[2] == 4:
        return _pixels(color.to_srgb(Image.fromarray(np.ascontiguousarray(levels)), None))
    return np.array(levels, order="C", copy=True)


def _levels_8_bit(array: npt.NDArray[Any], found: str) -> npt.NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "u":
        return (array >> 8).astype(np.uint8)
    low, high = float(array.min()), float(array.max())  # both are NaN if any value is
    if not (low >= 0.0 and high <= 1.0):
        raise PhotoTypeError(
            f"An {found} with values {low:g} to {high:g}; float must be within 0..1. Divide or clip it first.",
            found=found,
            low=str(low),
            high=str(high),
        )
    return np.rint(array * 255.0).astype(np.uint8)

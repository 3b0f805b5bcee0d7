"""Every way in: files, bytes, streams, arrays, PIL images; limits and orientation."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

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
from idseg.stages.decode import API_LIMITS, DecodeLimits, decode
from tests.imaging.formats.files import HEIGHT, WIDTH, Array, difference, exif, saved, scene, turned


def test_every_entrance_gives_the_same_picture(tmp_path: Path) -> None:
    file_bytes = saved(scene(), "PNG")
    path = tmp_path / "照片 ü.png"
    path.write_bytes(file_bytes)
    with open(path, "rb") as file, open(path, "rb", buffering=0) as raw:
        entrances: list[Any] = [
            path, str(path), file, raw, file_bytes, bytearray(file_bytes), memoryview(file_bytes),
            memoryview(file_bytes + b"x" * len(file_bytes))[: len(file_bytes)], io.BytesIO(file_bytes),
            scene(), Image.fromarray(scene()), Image.open(io.BytesIO(file_bytes)),
        ]  # fmt: skip
        for entrance in entrances:
            assert difference(decode(entrance), scene()) == 0
        assert not file.closed
    assert decode(file_bytes).format == "PNG"
    assert decode(scene()).format == "array"


def test_stream_is_read_from_where_it_stands_in_any_pieces() -> None:
    class Trickle:
        def __init__(self, content: bytes) -> None:
            self.stream = io.BytesIO(content)

        def read(self, size: int) -> bytes:
            return self.stream.read(min(size, 7))

    file_bytes = saved(scene(), "PNG")
    stream = io.BytesIO(b"header" + file_bytes)
    stream.seek(6)
    assert difference(decode(stream), scene()) == 0
    trickle: Any = Trickle(file_bytes)
    assert difference(decode(trickle), scene()) == 0


def test_endless_stream_is_refused_without_reading_on() -> None:
    class Endless:
        given = 0

        def read(self, size: int) -> bytes:
            part = b"\xff\xd8\xff" * min(size, 1000)
            self.given += len(part)
            return part

    endless: Any = Endless()
    with pytest.raises(PhotoSizeError, match="more than 10000 bytes") as caught:
        decode(endless, DecodeLimits(max_bytes=10_000))
    assert endless.given < 20_000
    assert caught.value.facts["maximum_bytes"] == 10_000
    with pytest.raises(PhotoSizeError):
        decode(bytes(10_001), DecodeLimits(max_bytes=10_000))


class _Broken:
    def __init__(self, answer: object) -> None:
        self.answer = answer

    def read(self, size: int) -> object:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def _released() -> memoryview:
    view = memoryview(b"abc")
    view.release()
    return view


@pytest.mark.parametrize(
    ("photo", "error", "says"),
    [
        (None, PhotoTypeError, "NoneType"),
        (7, PhotoTypeError, "int"),
        ([1, 2], PhotoTypeError, "list"),
        (_released(), PhotoTypeError, "released"),
        (io.StringIO("text"), PhotoTypeError, "binary"),
        (_Broken(None), PhotoReadError, "non-blocking"),
        (_Broken(OSError("gone")), PhotoReadError, "gone"),
        (b"", EmptyPhotoError, "0 bytes"),
        (io.BytesIO(), EmptyPhotoError, "0 bytes"),
        ("", PhotoReadError, "No such file"),
        ("/nowhere/a.jpg", PhotoReadError, "No such file"),
        ("/", PhotoReadError, "directory"),
        ("a\0b", PhotoReadError, "null"),
        ("https://example.com/me.jpg", PhotoReadError, "URL"),
        ("data:image/png;base64,iVBORw0KGgo", PhotoReadError, "URL"),
        ("/9j/" * 2000, PhotoReadError, "8000 characters"),
    ],
)
def test_what_is_no_photo(photo: Any, error: type[InputError], says: str) -> None:
    with pytest.raises(error, match=says) as caught:
        decode(photo)
    assert len(str(caught.value)) < 400


def test_closed_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x")
    with open(path, "rb") as file:
        pass
    with pytest.raises(PhotoReadError, match="closed"):
        decode(file)


@pytest.mark.parametrize(
    ("file_bytes", "found"),
    [
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (saved(scene(), "ICO"), "icon"),
        (saved(scene(), "PDF"), "PDF"),
        (saved(scene(), "PPM"), "nothing known"),
        (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41", "video"),
        (b"PK\3\4\x14\0\0\0\x08\0", "ZIP"),
        (b'<?xml version="1.0"?>\n<!-- x -->\n<svg width="9">', "SVG"),
        (b"<!DOCTYPE html><html></html>", "HTML"),
        (b'{"error": 1}', "JSON"),
        (b"hello, this is not a photo", "text"),
        ("早上好".encode(), "text"),
        (b"\0" * 100, "nothing known"),
        (b"data:image/jpeg;base64,/9j/4AAQ", "data: URL"),
        (b"/9j/4AAQSkZJRgABAQ", "base64"),
    ],
)
def test_other_formats_are_named(file_bytes: bytes, found: str) -> None:
    with pytest.raises(PhotoFormatError, match=r"a JPEG, PNG, BMP, HEIC, WebP, AVIF, TIFF or GIF is wanted") as caught:
        decode(file_bytes)
    assert found in str(caught.value.facts["found"])


@pytest.mark.parametrize("form", ["WEBP", "GIF", "TIFF", "AVIF"])
def test_the_api_stays_strict(form: str) -> None:
    file_bytes = saved(scene(), form)
    assert decode(file_bytes).size == (WIDTH, HEIGHT)
    with pytest.raises(PhotoFormatError, match=f"(?i)looks like {form}; a JPEG, PNG or BMP is wanted"):
        decode(file_bytes, API_LIMITS)
    assert decode(saved(scene(), "JPEG"), API_LIMITS).format == "JPEG"


# --- sizes ---


@pytest.mark.parametrize(("width", "height"), [(50, 50), (50, 4096), (4096, 50), (51, 4096)])
def test_sizes_that_pass(width: int, height: int) -> None:
    assert decode(saved(Image.new("RGB", (width, height)), "PNG"), API_LIMITS).size == (width, height)
    assert decode(np.zeros((height, width, 3), np.uint8), API_LIMITS).size == (width, height)


def test_a_phone_s_48_mp() -> None:
    """The limit of 4096 px is the API's."""
    file_bytes = saved(Image.new("RGB", (8064, 6048), (9, 99, 199)), "JPEG")
    assert decode(file_bytes).size == (8064, 6048)
    with pytest.raises(PhotoSizeError):
        decode(file_bytes, API_LIMITS)


def test_our_own_limit_is_64_million_pixels() -> None:
    for file_bytes in (saved(Image.new("L", (8001, 8000)), "PNG"), saved(Image.new("L", (16385, 60)), "PNG")):
        with pytest.raises(PhotoSizeError, match="Scale it down"):
            decode(file_bytes)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "array", "pil"])
def test_sizes_that_do_not(form: str) -> None:
    for width, height in ((49, 50), (50, 49), (1, 1), (4097, 60), (60, 4097), (49, 4097)):
        image = Image.new("RGB", (width, height))
        photo: Any = {"array": np.asarray(image), "pil": image}.get(form)
        with pytest.raises(PhotoSizeError, match=rf"{width} x {height} px") as caught:
            decode(saved(image, form) if photo is None else photo, API_LIMITS)
        assert caught.value.facts == {"width": width, "height": height, "minimum": 50, "maximum": 4096}


def test_a_caller_may_move_the_limits() -> None:
    large = saved(Image.new("L", (5000, 40)), "PNG")
    assert decode(large, DecodeLimits(min_side=40, max_side=5000)).size == (5000, 40)
    with pytest.raises(PhotoSizeError, match="200000 pixels") as caught:
        decode(large, DecodeLimits(min_side=40, max_side=5000, max_pixels=199_999))
    assert caught.value.facts["maximum_pixels"] == 199_999


@pytest.mark.parametrize(
    "options",
    [
        {"min_side": 0},
        {"min_side": 60, "max_side": 59},
        {"max_pixels": 10},
        {"max_bytes": 0},
        {"formats": ()},
        {"formats": ("JPG",)},
    ],
)
def test_limits_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        DecodeLimits(**options)


# --- orientation ---


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_gives_one_array(orientation: int) -> None:
    for order, kind in (("<", 3), (">", 3), ("<", 4), (">", 4)):
        _one_array(orientation, order, kind)


def _one_array(orientation: int, order: str, kind: int) -> None:
    stored = Image.fromarray(np.ascontiguousarray(turned(scene(), orientation)))
    block = exif(orientation, order, kind)
    as_png = saved(stored, "PNG", exif=block)
    photo = decode(as_png)
    assert difference(photo, scene()) == 0
    assert photo.exif_orientation == orientation
    assert difference(decode(Image.open(io.BytesIO(as_png))), scene()) == 0

    as_jpeg = saved(stored, "JPEG", exif=block, quality=95, subsampling=0)
    plain = np.asarray(Image.open(io.BytesIO(as_jpeg)))
    photo = decode(as_jpeg)
    assert np.array_equal(turned(photo.rgb, orientation), plain)  # a permutation of the decoded pixels, exactly
    assert photo.exif_orientation == orientation
    assert difference(photo, scene()) < 12


def test_orientation_of_pil_images() -> None:
    stored = Image.fromarray(np.ascontiguousarray(turned(scene(), 6)))
    tiff = io.BytesIO()
    stored.save(tiff, "TIFF", tiffinfo={0x0112: 6})
    assert difference(decode(Image.open(tiff)), scene()) == 0


@pytest.mark.parametrize(
    "block", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0XX*\0", exif(0), exif(9), exif(6)[:30], b"junk"]
)
def test_broken_exif_is_upright(block: bytes) -> None:
    for form in ("PNG", "JPEG"):
        photo = decode(saved(scene(), form, exif=block))
        assert photo.exif_orientation == 1
        assert photo.size == (WIDTH, HEIGHT)


# --- arrays and PIL images ---


def test_array_shapes_and_types() -> None:
    grey = scene()[:, :, 0]
    tripled = np.repeat(grey[..., None], 3, axis=2)
    assert difference(decode(grey), tripled) == 0
    assert difference(decode(grey[..., None]), tripled) == 0
    assert difference(decode(scene().astype(np.uint16) * 257), scene()) == 0
    assert difference(decode((scene().astype(np.uint16) << 8).astype(">u2")), scene()) == 0
    for kind in (np.float16, np.float32, np.float64):
        assert difference(decode((scene() / 255).astype(kind)), scene()) == 0
    assert difference(decode(scene()[::-1, ::-1]), scene()[::-1, ::-1]) == 0
    assert difference(decode(np.asfortranarray(scene())), scene()) == 0


def test_array_is_never_shared_nor_changed() -> None:
    for array in (scene(), scene()[:, :, :1], np.dstack([scene(), scene()[:, :, 0]]), scene()[:, :, 1]):
        before = array.copy()
        rgb = decode(array).rgb
        assert not np.shares_memory(rgb, array)
        rgb[:] = 7
        assert np.array_equal(array, before)


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((60, 60, 2), np.uint8), r"\(60, 60, 2\)"),
        (np.zeros((60, 60, 5), np.uint8), r"\(60, 60, 5\)"),
        (np.zeros((3, 60, 60), np.uint8), r"\(3, 60, 60\)"),
        (np.zeros(60, np.uint8), r"\(60,\)"),
        (np.zeros((1, 60, 60, 3), np.uint8), "wanted"),
        (np.zeros((60, 60, 3), np.int64), "int64"),
        (np.zeros((60, 60, 3), bool), "bool"),
        (np.zeros((60, 60, 3), object), "object"),
        (np.zeros((60, 60, 3), "U3"), "<U3"),
        (np.full((60, 60, 3), 128.0), "0..1"),
        (np.full((60, 60, 3), -0.01), "0..1"),
        (np.full((60, 60, 3), np.nan), "nan"),
        (np.full((60, 60, 3), np.inf), "inf"),
        (np.zeros((), np.uint8), "wanted"),
    ],
)
def test_arrays_that_are_no_picture(array: Array, says: str) -> None:
    with pytest.raises(PhotoTypeError, match=says) as caught:
        decode(array)
    assert isinstance(caught.value, TypeError)


def test_empty_array() -> None:
    with pytest.raises(EmptyPhotoError):
        decode(np.zeros((0, 60, 3), np.uint8))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"])
def test_pil_modes(mode: str) -> None:
    rgb = Image.fromarray(scene())
    image = ImageCms.profileToProfile(
        rgb, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    ) if mode == "LAB" else (rgb.convert("P").convert("PA") if mode == "PA" else rgb.convert(mode))  # fmt: skip
    assert image is not None
    before = image.tobytes()
    photo = decode(image)
    if mode == "LAB":
        assert np.abs(photo.rgb.astype(int) - scene()).mean() < 3  # 8-bit Lab is coarse
    else:
        assert difference(photo, np.asarray(image.convert("RGB"))) == 0
    assert image.tobytes() == before


@pytest.mark.parametrize("mode", ["I", "F", "I;16"])
def test_pil_modes_without_a_known_range(mode: str) -> None:
    with pytest.raises(PhotoTypeError, match="mode"):
        decode(Image.new(mode, (60, 60)))


def test_pil_image_that_does_not_load() -> None:
    with pytest.raises(PhotoDamagedError):
        decode(Image.open(io.BytesIO(saved(scene(300, 300), "JPEG")[:3000])))
    closed = Image.new("RGB", (60, 60))
    closed.close()
    with pytest.raises(InputError):
        decode(closed)

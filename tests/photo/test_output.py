"""Finished photos as files: what another program reads back, and the range of kilobytes."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from idseg.errors import OptionError
from idseg.photo.output import Format, best_quality, encode, format_of
from idseg.photo.pdf import PdfImage, PdfPage, write_pdf
from idseg.photo.size import Band
from idseg.types import Rgb

RASTER: tuple[Format, ...] = ("JPEG", "PNG", "WEBP", "TIFF")


def picture(width: int = 295, height: int = 413, noise: float = 12.0) -> Rgb:
    """Smooth with some noise, so that quality matters."""
    rows, columns = np.mgrid[0:height, 0:width]
    smooth = np.stack((rows / height * 200, columns / width * 200, (rows + columns) / (width + height) * 255), axis=2)
    grain = np.random.default_rng(7).normal(0, noise, smooth.shape)
    return np.clip(smooth + grain, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("format", RASTER)
@pytest.mark.parametrize("dpi", [300, 350, 72])
def test_resolution_and_srgb_are_read_back(format: Format, dpi: int) -> None:
    content = encode(picture(), format, dpi).content
    with Image.open(io.BytesIO(content)) as image:
        assert image.format == format
        assert image.size == (295, 413)
        found = image.info.get("dpi") or (image.getexif()[0x011A], image.getexif()[0x011B])
        assert [float(side) for side in found] == pytest.approx([dpi, dpi], abs=0.02)
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_lossless_formats_keep_every_pixel(format: Format) -> None:
    pixels = picture()
    with Image.open(io.BytesIO(encode(pixels, format, 300).content)) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
def test_transparency_is_kept(format: Format) -> None:
    pixels = np.dstack((picture(), np.full((413, 295), 77, np.uint8)))
    with Image.open(io.BytesIO(encode(pixels, format, 300).content)) as image:
        assert image.mode == "RGBA"
        assert np.asarray(image)[..., 3].max() == 77


@pytest.mark.parametrize("format", ["JPEG", "PDF"])
def test_transparency_where_there_is_none_is_refused(format: Format) -> None:
    with pytest.raises(OptionError, match="transparency"):
        encode(np.zeros((20, 20, 4), np.uint8), format, 300)


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
@pytest.mark.parametrize("band", [Band(0, 60), Band(20, 40), Band(14, 20)])
def test_kilobytes_are_met_with_the_best_quality(format: Format, band: Band) -> None:
    encoded = encode(picture(), format, 300, band)
    assert band.low * 1024 <= len(encoded.content) <= band.high * 1000
    assert encoded.quality is not None


def test_too_few_kilobytes_say_what_is_possible() -> None:
    with pytest.raises(OptionError) as caught:
        encode(picture(noise=60), "JPEG", 300, Band(0, 5))
    assert float(str(caught.value.facts["smallest_kb"])) > 5


@pytest.mark.parametrize("format", RASTER)
@pytest.mark.parametrize("least_kb", [30, 200, 900])
def test_the_least_kilobytes_are_reached_and_the_picture_is_the_same(format: Format, least_kb: int) -> None:
    plain = encode(picture(noise=0), format, 300)
    made = encode(picture(noise=0), format, 300, Band(least_kb, 4000))
    assert least_kb * 1024 <= len(made.content)
    assert made.padding == 0 or len(made.content) <= least_kb * 1024 + 8
    if format in ("PNG", "TIFF"):
        assert made.padding == max(0, len(made.content) - len(plain.content))
    with Image.open(io.BytesIO(made.content)) as image, Image.open(io.BytesIO(plain.content)) as other:
        image.load()
        difference = np.asarray(image).astype(int) - np.asarray(other).astype(int)
        assert image.info.get("icc_profile") == other.info.get("icc_profile")
    assert np.abs(difference).max() <= (0 if format in ("PNG", "TIFF") else 12)


def test_a_padded_jpeg_has_a_comment_and_nothing_else_more() -> None:
    made = encode(picture(noise=0), "JPEG", 300, Band(900, 4000))
    assert made.quality == 100
    assert made.padding > 0
    assert made.content.count(b"\xff\xfe") >= made.padding // 65535
    bare = encode(picture(noise=0), "JPEG", 300, Band(0, 4000)).content
    assert len(made.content) == len(bare) + made.padding


def test_a_range_between_the_two_kilobytes_is_refused() -> None:
    with pytest.raises(OptionError, match="1024"):
        encode(picture(noise=0), "JPEG", 300, Band(900, 901))


def test_a_png_is_made_smaller_where_that_meets_the_limit() -> None:
    pixels = picture(noise=2)
    plain = encode(pixels, "PNG", 300)
    squeezed = encode(pixels, "PNG", 300, Band(0, plain.kb - 0.1))
    assert squeezed.kb < plain.kb
    with Image.open(io.BytesIO(squeezed.content)) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_a_lossless_file_cannot_be_squeezed() -> None:
    with pytest.raises(OptionError, match="JPEG"):
        encode(picture(noise=60), "PNG", 300, Band(0, 20))


@pytest.mark.parametrize("limit", range(29, 102, 6))
def test_bisection_is_the_search_over_all_qualities(limit: int) -> None:
    expected = max((quality for quality in range(30, 101) if quality * 10 <= limit * 10), default=None)
    assert best_quality(lambda quality: quality * 10, limit * 10) == expected


def test_equal_pixels_give_equal_bytes() -> None:
    for format in (*RASTER, "PDF"):
        assert encode(picture(), format, 300).content == encode(picture(), format, 300).content


@pytest.mark.parametrize(
    ("name", "format"),
    [("a.jpg", "JPEG"), ("A.JPEG", "JPEG"), ("tif", "TIFF"), ("x.webp", "WEBP"), ("pdf", "PDF"), ("jpg", "JPEG")],
)
def test_format_of(name: str, format: str) -> None:
    assert format_of(name) == format


@pytest.mark.parametrize("name", ["a.gif", "gif", "jpg2", ""])
def test_format_of_nothing_of_ours(name: str) -> None:
    with pytest.raises(OptionError):
        format_of(name)


def test_pdf_has_true_millimetres_a_profile_and_the_jpeg_itself() -> None:
    encoded = encode(picture(), "PDF", 300, size_mm=(25.0, 35.0))
    box = re.search(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", encoded.content)
    assert box is not None
    assert [float(side) / 72 * 25.4 for side in box.groups()] == pytest.approx([25, 35], abs=1e-3)
    assert b"/ICCBased" in encoded.content
    start = encoded.content.index(b"\xff\xd8")
    with Image.open(io.BytesIO(encoded.content[start : encoded.content.index(b"\nendstream", start)])) as image:
        assert image.size == (295, 413)


def test_pdf_cross_references_point_at_the_objects() -> None:
    content = encode(picture(60, 80), "PDF", 300).content
    start = int(content.rsplit(b"startxref\n", 1)[1].split(b"\n")[0])
    assert content[start : start + 4] == b"xref"
    offsets = [int(row[:10]) for row in content[start:].split(b"\n")[3:] if row.endswith(b"00000 n ")]
    for number, offset in enumerate(offsets, 1):
        assert content[offset:].startswith(f"{number} 0 obj".encode())


def test_pdf_stores_an_equal_picture_once() -> None:
    jpeg = encode(picture(60, 80), "JPEG", 300).content
    images = tuple(PdfImage(jpeg, (60, 80), (left, 5, 10, 13)) for left in (5, 20, 35))
    content = write_pdf([PdfPage((60, 30), images)], b"profile")
    assert content.count(b"/Subtype /Image") == 1
    drawing = next(
        text
        for text in (
            zlib.decompress(part)
            for part in re.findall(rb"FlateDecode /Length \d+ >>\nstream\n(.*?)\nendstream", content, re.S)
        )
        if b" Do " in text
    )
    assert drawing.count(b" Do ") == 3


@pytest.mark.skipif(shutil.which("pdfinfo") is None, reason="needs poppler-utils")
def test_pdfinfo_reads_the_page(tmp_path: object) -> None:
    from pathlib import Path

    file = Path(str(tmp_path)) / "photo.pdf"
    file.write_bytes(encode(picture(), "PDF", 300, size_mm=(35.0, 45.0)).content)
    told = subprocess.run(["pdfinfo", str(file)], capture_output=True, text=True, check=True).stdout
    size = re.search(r"Page size:\s+([\d.]+) x ([\d.]+) pts", told)
    assert size is not None
    assert [float(side) / 72 * 25.4 for side in size.groups()] == pytest.approx([35, 45], abs=0.01)

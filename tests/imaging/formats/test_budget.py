"""What a file may cost: the rules, and the CPU seconds of the costliest files that keep to them."""

from __future__ import annotations

import contextlib
import io
import re
import struct
import time
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from idseg.errors import InputError, PhotoDamagedError, PhotoFormatError
from idseg.imaging.formats import budget
from idseg.stages.decode import decode

MOST_CPU_S = 9.0
"""Three times what is promised for a file of 4 MB, since another program's work slows the caches down; what is held
off costs many times more. ``benchmarks/hostile.py`` measures the promise itself."""

XYZ = b"XYZ \0\0\0\0" + struct.pack(">3i", 28672, 20480, 4096)
GAMMA = b"curv\0\0\0\0" + struct.pack(">IHxx", 1, 563)


def profile(tags: list[tuple[bytes, bytes]], *, space: bytes = b"RGB ", kind: bytes = b"mntr") -> bytes:
    """An ICC profile; equal elements are stored once and shared, as real profiles do."""
    start = 128 + 4 + 12 * len(tags)
    table, body, places = struct.pack(">I", len(tags)), b"", dict[bytes, int]()
    for name, element in tags:
        if element not in places:
            places[element] = start + len(body)
            body += element + bytes(-len(element) % 4)
        table += name + struct.pack(">II", places[element], len(element))
    header = struct.pack(">I4sI4s4s4s", start + len(body), b"none", 0x02100000, kind, space, b"XYZ ")
    return (header + bytes(12) + b"acsp").ljust(128, b"\0") + table + body


RGB = [(name, XYZ) for name in (b"rXYZ", b"gXYZ", b"bXYZ")] + [(name, GAMMA) for name in (b"rTRC", b"gTRC", b"bTRC")]


def cpu_seconds(content: bytes) -> float:
    """Of decoding or refusing a file."""
    started = time.process_time()
    with contextlib.suppress(InputError):
        decode(content)
    return time.process_time() - started


def png_with(icc: bytes) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (60, 60), (64, 128, 64)).save(stream, "PNG")
    png = stream.getvalue()
    payload = b"x\0\0" + zlib.compress(icc, 9)
    chunk = struct.pack(">I", len(payload)) + b"iCCP" + payload + struct.pack(">I", zlib.crc32(b"iCCP" + payload))
    return png[:33] + chunk + png[33:]


# --- colour profiles --------------------------------------------------------------------------------------------------


def test_matrix_and_grey_profiles_are_applied() -> None:
    assert budget.profile_refusal(profile(RGB)) == ""
    assert budget.profile_refusal(profile([(b"kTRC", GAMMA)], space=b"GRAY", kind=b"prtr")) == ""
    assert budget.profile_refusal(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()) == ""
    sampled = b"curv\0\0\0\0" + struct.pack(">I", 1024) + bytes(2048)
    parametric = b"para\0\0\0\0" + struct.pack(">HH5i", 3, 0, *(157286, 62085, 3449, 5072, 2651))
    for curve in (sampled, parametric):
        assert budget.profile_refusal(profile(RGB[:3] + [(name, curve) for name, _ in RGB[3:]])) == ""


@pytest.mark.parametrize(
    ("icc", "why"),
    [
        (profile([*RGB, (b"A2B0", b"mpet" + bytes(40))]), "look-up tables"),
        (profile([*RGB, (b"D2B1", b"mpet" + bytes(40))]), "look-up tables"),
        (profile([*RGB, (b"gamt", b"mft2" + bytes(40))]), "look-up tables"),
        (profile(RGB + [(b"x\0" + struct.pack(">H", n), XYZ) for n in range(65)]), "71 tags"),
        (profile(RGB[:-1]), "bTRC is missing"),
        (profile([(name, GAMMA) for name, _ in RGB]), "not a colour"),
        (profile([(name, XYZ) for name, _ in RGB]), "not a curve"),
        (
            profile([*RGB[:5], (b"bTRC", b"curv\x00\x00\x00\x00" + struct.pack(">I", 5000) + bytes(10000))]),
            "not a curve",
        ),
        (profile([*RGB[:5], (b"bTRC", b"para\x00\x00\x00\x00" + struct.pack(">HHi", 9, 0, 1))]), "not a curve"),
        (profile([*RGB, RGB[0]]), "twice"),
        (profile(RGB, space=b"CMYK"), "CMYK"),
        (profile(RGB, kind=b"link"), "class"),
        (profile(RGB) + bytes(70_000), "bytes"),
        (profile(RGB) + b"\0", "cut off"),
        (b"junk", "not an ICC profile"),
        (bytes(5000), "not an ICC profile"),
    ],
)
def test_any_other_profile_is_refused_with_the_reason(icc: bytes, why: str) -> None:
    assert why in budget.profile_refusal(icc)
    if len(icc) < 60_000:
        assert any(why in note for note in decode(png_with(icc)).notes)


def test_elements_that_overlap_are_refused() -> None:
    icc = bytearray(profile(RGB))
    (offset,) = struct.unpack_from(">I", icc, 132 + 12 * 4 + 4)
    struct.pack_into(">I", icc, 132 + 12 * 4 + 4, offset - 2)
    assert "overlap" in budget.profile_refusal(bytes(icc))


@given(st.data())
def test_any_profile_is_applied_or_refused_in_a_moment(data: st.DataObject) -> None:
    icc = bytearray(profile(RGB))
    for _ in range(data.draw(st.integers(1, 8))):
        icc[data.draw(st.integers(0, len(icc) - 1))] = data.draw(st.integers(0, 255))
    assert cpu_seconds(png_with(bytes(icc))) < MOST_CPU_S


def elements_that_share_bytes(count: int) -> bytes:
    """A profile whose one ``mpet`` tag names ``count`` processing elements, all at the same bytes."""
    matrix = b"matf\0\0\0\0" + struct.pack(">HH", 3, 3) + struct.pack(">12f", *([1, 0, 0, 0, 1, 0, 0, 0, 1] + [0] * 3))
    head = 16 + 8 * count
    table = struct.pack(">II", head, len(matrix)) * count
    mpet = b"mpet\0\0\0\0" + struct.pack(">HHI", 3, 3, count) + table + matrix
    return profile([*RGB, (b"D2B0", mpet), (b"D2B1", mpet)])


def test_ten_thousand_elements_cost_nothing() -> None:
    """The file of the attack: it cost 60 CPU seconds and 780 MB."""
    content = png_with(elements_that_share_bytes(10_000))
    assert len(content) < 2000
    assert cpu_seconds(content) < MOST_CPU_S


# --- JPEG -------------------------------------------------------------------------------------------------------------


def jpeg(width: int, height: int, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (width, height), (120, 90, 60)).save(stream, "JPEG", **options)
    return stream.getvalue()


def with_scans(progressive: bytes, scans: int) -> bytes:
    """The file with its last scan again and again, ``scans`` in all."""
    have = len(re.findall(b"\xff\xda", progressive))
    last = progressive[progressive.rindex(b"\xff\xda") : -2]
    return progressive[:-2] + last * (scans - have) + b"\xff\xd9"


def test_headers_are_read_as_libjpeg_reads_them() -> None:
    assert budget.jpeg_cost(jpeg(300, 200)) == budget.JpegCost(0xC0, 60_000, 1, budget.jpeg_cost(jpeg(1, 1)).segments)
    progressive = jpeg(300, 200, progressive=True)
    assert (budget.jpeg_cost(progressive).frame_marker, budget.jpeg_cost(progressive).scans) == (0xC2, 10)
    assert budget.jpeg_cost(b"\xff\xd8") == budget.JpegCost()


@pytest.mark.parametrize("marker", range(0xC9, 0xD0))
def test_arithmetic_coding_is_refused(marker: int) -> None:
    if marker == 0xCC:
        return  # DAC, the tables of arithmetic coding, is no frame
    with pytest.raises(PhotoFormatError, match="arithmetic"):
        decode(jpeg(60, 60).replace(b"\xff\xc0", bytes((0xFF, marker))))


@pytest.mark.parametrize(("side", "most"), [(60, 100), (2236, 100), (2800, 63), (4096, 29)])
def test_scans_times_pixels_are_bounded(side: int, most: int) -> None:
    progressive = jpeg(side, side, progressive=True)
    budget.check_jpeg(with_scans(progressive, most))
    with pytest.raises(PhotoFormatError, match=f"{most + 1} scans; at most {most}"):
        budget.check_jpeg(with_scans(progressive, most + 1))


@pytest.mark.parametrize(("side", "most"), [(6000, 16), (6928, 14), (8000, 10)])
def test_ordinary_scans_are_read_at_any_size(side: int, most: int) -> None:
    progressive = jpeg(4096, 50, progressive=True)
    huge = progressive.replace(struct.pack(">HH", 50, 4096), struct.pack(">HH", side, side))
    budget.check_jpeg(with_scans(huge, most))
    with pytest.raises(PhotoFormatError, match=f"at most {most} "):
        budget.check_jpeg(with_scans(huge, most + 1))


def test_a_large_jpeg_without_its_end_is_not_decoded_twice() -> None:
    progressive = jpeg(4096, 50, progressive=True)
    huge = progressive.replace(struct.pack(">HH", 50, 4096), struct.pack(">HH", 6000, 6000))
    with pytest.raises(PhotoDamagedError, match="end marker is missing"):
        decode(huge[:-2])


def test_few_bytes_of_many_samples_are_refused() -> None:
    """64 million pixels of 16-bit RGBA in a file of a few bytes."""
    header = struct.pack(">IIBBBBB", 8000, 8000, 16, 6, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )
    with pytest.raises(PhotoFormatError, match="bytes of pixels"):
        decode(b"\x89PNG\r\n\x1a\n" + body)


def test_thousands_of_segments_are_refused() -> None:
    plain = jpeg(60, 60)
    for segment in (b"\xff\xfe\x00\x02", b"\xff\xd0", b"\xff\x01"):
        with pytest.raises(PhotoFormatError, match="segments"):
            decode(plain[:2] + segment * 20_000 + plain[2:])


# --- BMP --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("run", "size"), [(b"\x01\x05", 999_000), (b"\x00\x03abc\0", 3 * 2**20)])
def test_a_million_runs_cost_little(run: bytes, size: int) -> None:
    header = struct.pack("<2sIHHI", b"BM", 0, 0, 0, 1078)
    header += struct.pack("<IiiHHIIiiII", 40, 4096, 4096, 1, 8, 1, 0, 0, 0, 256, 0)
    assert cpu_seconds(header + bytes(range(256)) * 4 + run * ((size - 1078) // len(run))) < MOST_CPU_S

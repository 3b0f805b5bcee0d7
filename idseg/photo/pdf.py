"""Writes a PDF of pictures placed in millimetres, and of hairlines (ISO 32000-1:2008, PDF 1.4).

JPEG streams are embedded unchanged, so a photo is not compressed twice. Equal input gives equal bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

MM_PER_POINT = 25.4 / 72
"""One PDF unit, 1/72 inch (8.3.2.3), in millimetres."""

Line = tuple[float, float, float, float]
"""x1, y1, x2, y2 in millimetres from the page's upper left corner."""


@dataclass(frozen=True, slots=True)
class PdfImage:
    """An RGB JPEG and its place on the page."""

    jpeg: bytes
    px: tuple[int, int]
    """Width, height in pixels."""
    place_mm: tuple[float, float, float, float]
    """Left, top, width, height of the picture on the page, in millimetres from the page's upper left corner."""
    turned: bool = False
    """Rotated a quarter clockwise on the page; ``place_mm`` is that of the rotated picture."""


@dataclass(frozen=True, slots=True)
class PdfPage:
    size_mm: tuple[float, float]
    images: tuple[PdfImage, ...] = ()
    lines: tuple[Line, ...] = ()
    line_mm: float = 0.1
    line_grey: float = 0.55
    """0 (black) .. 1 (white)."""


def write_pdf(pages: Sequence[PdfPage], icc_profile: bytes) -> bytes:
    """Write the file. Equal JPEGs are stored once.

    Args:
        pages: at least one page.
        icc_profile: RGB profile of all pictures.
    """
    objects: list[bytes] = [b"", b""]  # 1 catalog, 2 pages: filled in at the end
    profile = _add(objects, _stream(b"/N 3 /Alternate /DeviceRGB", zlib.compress(icc_profile, 9), b"/FlateDecode"))
    stored: dict[bytes, int] = {}
    kids = []
    for page in pages:
        names = []
        for image in page.images:
            if image.jpeg not in stored:
                width, height = image.px
                head = (
                    f"/Type /XObject /Subtype /Image /Width {width} /Height {height} /BitsPerComponent 8 "
                    f"/ColorSpace [/ICCBased {profile} 0 R]"
                )
                stored[image.jpeg] = _add(objects, _stream(head.encode(), image.jpeg, b"/DCTDecode"))
            names.append(stored[image.jpeg])
        content = _add(objects, _stream(b"", zlib.compress(_content(page, names), 9), b"/FlateDecode"))
        resources = " ".join(f"/I{number} {number} 0 R" for number in sorted(set(names)))
        box = " ".join(_points(side) for side in page.size_mm)
        body = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {box}] /Contents {content} 0 R "
            f"/Resources << /XObject << {resources} >> >> >>"
        )
        kids.append(_add(objects, body.encode()))
    objects[0] = b"<< /Type /Catalog /Pages 2 0 R /ViewerPreferences << /PrintScaling /None >> >>"
    objects[1] = f"<< /Type /Pages /Count {len(kids)} /Kids [{' '.join(f'{kid} 0 R' for kid in kids)}] >>".encode()
    return _file(objects)


def _content(page: PdfPage, names: Sequence[int]) -> bytes:
    """The drawing commands of the page. PDF's y starts at the lower edge and points up."""
    height = page.size_mm[1]
    steps = []
    for image, name in zip(page.images, names, strict=True):
        left, top, wide, high = image.place_mm
        x, y = _points(left), _points(height - top - high)
        w, h = _points(wide), _points(high)
        matrix = f"0 -{h} {w} 0 {x} {_points(height - top)}" if image.turned else f"{w} 0 0 {h} {x} {y}"
        steps.append(f"q {matrix} cm /I{name} Do Q")
    if page.lines:
        steps.append(f"{page.line_grey:g} G {_points(page.line_mm)} w")
        steps += [
            f"{_points(x1)} {_points(height - y1)} m {_points(x2)} {_points(height - y2)} l S"
            for x1, y1, x2, y2 in page.lines
        ]
    return "\n".join(steps).encode()


def _points(mm: float) -> str:
    """Millimetres converted to points, to a thousandth of a point (0.35 micrometres)."""
    return f"{mm / MM_PER_POINT:.3f}".rstrip("0").rstrip(".")


def _stream(head: bytes, content: bytes, filter_name: bytes) -> bytes:
    head += b" /Filter " + filter_name + b" /Length " + str(len(content)).encode()
    return b"<< " + head + b" >>\nstream\n" + content + b"\nendstream"


def _add(objects: list[bytes], body: bytes) -> int:
    objects.append(body)
    return len(objects)


def _file(objects: Sequence[bytes]) -> bytes:
    """Header, objects, cross-reference table and trailer (7.5)."""
    parts = [b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"]
    offsets = []
    at = len(parts[0])
    for number, body in enumerate(objects, 1):
        offsets.append(at)
        part = f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
        parts.append(part)
        at += len(part)
    rows = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    table = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{rows}"
    trailer = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{at}\n%%EOF\n"
    return b"".join((*parts, table.encode(), trailer.encode()))

"""Recognises a file's format by its first bytes."""

from __future__ import annotations

import re

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (rb"\xff\xd8\xff", "JPEG"),
    (rb"\x89PNG\r\n\x1a\n", "PNG"),
    (rb"BM", "BMP"),
    (rb"RIFF....WEBP", "WebP"),
    (rb"GIF8[79]a", "GIF"),
    (rb"II\*\0|MM\0\*|II\+\0|MM\0\+", "TIFF"),
    (rb"....ftyp(?:avi[fs]|(?:mif1|msf1|miaf).{4}(?:.{4}){0,12}?avi[fs])", "AVIF"),
    (rb"....ftyp(?:hei[cxms]|hev[cxms]|mif1|msf1|miaf)", "HEIC"),
    (rb"....ftyp|....moov|\x1aE\xdf\xa3", "video"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "JPEG XL"),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "JPEG 2000"),
    (rb"8BPS", "Photoshop document"),
    (rb"\x00\x00\x01\x00", "icon (ICO)"),
    (rb"%PDF", "PDF"),
    (rb"PK\x03\x04|PK\x05\x06", "ZIP archive"),
    (rb"\x1f\x8b", "gzip archive"),
    (rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*|<!DOCTYPE svg[^>]*>\s*)*<svg", "SVG"),
    (rb"(?i)\s*<!doctype html|\s*<html|\s*<head|\s*<body", "HTML"),
    (rb"\s*<\?xml", "XML"),
    (rb"data:image/", "data: URL (decode the base64 after the comma)"),
    (rb"/9j/|iVBORw0KGgo|Qk[0-3]", "base64 text of a picture (decode it first)"),
    (rb"\s*[{\[]", "JSON"),
)
_PATTERNS = tuple((re.compile(pattern, re.DOTALL), name) for pattern, name in _MAGIC)
_TEXT = re.compile(rb"[\t\n\r\x20-\x7e\x80-\xff]+\Z")


def sniff(file_bytes: bytes) -> str:
    """Name of the format (``"JPEG"``, ``"PNG"``, ``"BMP"``, ``"WebP"``, …), ``"text"`` or ``"nothing known"``."""
    head = file_bytes[:512]
    for pattern, name in _PATTERNS:
        if pattern.match(head):
            return name
    try:
        head.decode("utf-8", "strict" if len(file_bytes) <= 512 else "ignore")
    except UnicodeDecodeError:
        return "nothing known"
    return "text" if _TEXT.match(head) else "nothing known"

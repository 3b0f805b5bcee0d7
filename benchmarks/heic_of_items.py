"""HEIC files assembled from items (ISO/IEC 14496-12 and 23008-12), also such as no camera writes."""

from __future__ import annotations

import struct
from dataclasses import dataclass


def box(kind: bytes, payload: bytes, version: int | None = None) -> bytes:
    """A box; a full box if it has a version."""
    head = b"" if version is None else struct.pack(">I", version << 24)
    return struct.pack(">I4s", 8 + len(head) + len(payload), kind) + head + payload


def ispe(width: int, height: int) -> bytes:
    """The property with an item's size, px."""
    return box(b"ispe", struct.pack(">II", width, height), 0)


@dataclass(frozen=True)
class Item:
    """An item of a file to build; its number is its place, counted from 1."""

    kind: bytes
    content: bytes
    properties: tuple[bytes, ...]
    parts: tuple[int, ...] = ()
    alpha_of: int = 0


def built(*items: Item) -> bytes:
    """A HEIC of these items; the first is the main one. Equal contents and properties are stored once."""
    properties = list(dict.fromkeys(one for item in items for one in item.properties))
    contents = list(dict.fromkeys(item.content for item in items))
    infe, refs, ipma = b"", b"", struct.pack(">I", len(items))
    for number, item in enumerate(items, 1):
        infe += box(b"infe", struct.pack(">HH4s", number, 0, item.kind) + b"\0", 2)
        if item.parts:
            counted = struct.pack(f">HH{len(item.parts)}H", number, len(item.parts), *item.parts)
            refs += box(b"dimg", counted)
        if item.alpha_of:
            refs += box(b"auxl", struct.pack(">HHH", number, 1, item.alpha_of))
        ipma += struct.pack(">HB", number, len(item.properties))
        ipma += bytes(properties.index(one) + 1 for one in item.properties)

    def meta(start: int) -> bytes:
        iloc = struct.pack(">BBH", 0x44, 0, len(items))
        for number, item in enumerate(items, 1):
            offset = start + sum(map(len, contents[: contents.index(item.content)]))
            iloc += struct.pack(">HHHII", number, 0, 1, offset, len(item.content))
        hdlr = box(b"hdlr", struct.pack(">I4s13x", 0, b"pict"), 0)
        iinf = box(b"iinf", struct.pack(">H", len(items)) + infe, 0)
        iprp = box(b"iprp", box(b"ipco", b"".join(properties)) + box(b"ipma", ipma, 0))
        iref = box(b"iref", refs, 0) if refs else b""
        pitm = box(b"pitm", struct.pack(">H", 1), 0)
        return box(b"meta", hdlr + pitm + iinf + iref + iprp + box(b"iloc", iloc, 0), 0)

    ftyp = box(b"ftyp", b"heic\0\0\0\0mif1heic")
    return ftyp + meta(len(ftyp) + len(meta(0)) + 8) + box(b"mdat", b"".join(contents))


def grid(rows: int, columns: int, width: int, height: int, first: int = 2) -> Item:
    """An item of tiles, the items from ``first`` on; width and height of the whole, px."""
    content = struct.pack(">BBBBII", 0, 1, rows - 1, columns - 1, width, height)
    return Item(b"grid", content, (ispe(width, height),), tuple(range(first, first + rows * columns)))

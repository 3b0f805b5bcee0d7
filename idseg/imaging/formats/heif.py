"""The decoding cost of a HEIC, from its boxes, before any pixel is decoded (ISO/IEC 14496-12 and 23008-12).

A HEIC is a table of items. A coded item holds pixels; a derived item is assembled from other items (``grid`` puts tiles
side by side, ``iovl`` lays items over each other, ``iden`` repeats one), and these may be derived too. A few bytes can
ask for the same pixels a thousand times, and libheif does not limit the sum: 17 KB with 400 tiles for a picture of
64 x 64 px cost 1.5 CPU seconds. This module adds up what the main picture asks for. Pure functions: bytes in, an error
or nothing out.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from idseg.errors import PhotoDamagedError, PhotoFormatError

MAX_WORK: Final = 110_000_000
"""Maximum work of a HEIC, in coded pixels of a plain picture, about 15 ns each on one core of 2020. A phone's
48 megapixels in tiles of 512 x 512 px, turned, ask for 91 million, 64 megapixels not turned for 105 million."""
_ITEM_WORK: Final = 20_000
"""Work to begin one item: 0.3 ms."""
_CANVAS_SHARE: Final = 0.5
"""Work per pixel of a canvas, on which items are put together, and to mix alpha in; as a share of a coded pixel's."""
_TURN_SHARE: Final = 0.25
"""Work per pixel to rotate, mirror, cut or scale once."""
_BYTE_WORK: Final = 20
"""Work per coded byte (300 ns in a noisy picture). The file's own bytes are free, since a file of 4 MB has few; bytes
that several items share count."""
_MOST_ITEMS: Final = 1000
"""libheif's own limit."""
_MOST_DEPTH: Final = 8
"""Maximum levels of derived items; phones write one."""
_WHOLE_FILE: Final = 2**40
_CODED: Final = frozenset({b"hvc1", b"hev1"})
_DERIVED: Final = frozenset({b"grid", b"iovl", b"iden"})
_TRANSFORMS: Final = frozenset({b"irot", b"imir", b"clap", b"iscl"})
_ALPHA: Final = (b"urn:mpeg:hevc:2015:auxid:1\0", b"urn:mpeg:avc:2015:auxid:1\0")
_CICP_ALPHA: Final = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"


@dataclass(frozen=True, slots=True)
class _Property:
    kind: bytes
    payload: bytes

    @property
    def pixels(self) -> int:
        """Width times height of an ``ispe``, the size of an item; else 0. libheif refuses an item of another size."""
        if self.kind != b"ispe" or len(self.payload) < 12:
            return 0
        width, height = struct.unpack_from(">II", self.payload, 4)
        return int(width) * int(height)

    @property
    def is_alpha(self) -> bool:
        return self.kind == b"auxC" and self.payload[4:].startswith((*_ALPHA, _CICP_ALPHA))


@dataclass(slots=True)
class _Items:
    """What the ``meta`` box says about the items; by item id."""

    primary: int = 0
    kinds: dict[int, bytes] = field(default_factory=dict)
    parts: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    """Items from which a derived item is assembled."""
    auxiliary: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    """Items that belong to an item: alpha, depth, a gain map."""
    properties: dict[int, list[_Property]] = field(default_factory=lambda: defaultdict(list))
    lengths: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    """Bytes of a coded item."""


def check_heic(heic: bytes) -> None:
    """Refuse a HEIC whose main picture asks for too much work.

    Raises:
        PhotoDamagedError: the boxes cannot be read.
        PhotoFormatError: too much work, or an item of a kind that cameras do not write.
    """
    try:
        items = _items(heic)
        work = _work(items, items.primary, 0, {})
    except (struct.error, IndexError) as error:
        raise PhotoDamagedError("The HEIC is damaged or cut off: its boxes end too early.", format="HEIC") from error
    total = work.pixels + _BYTE_WORK * max(0, work.coded_bytes - len(heic))
    if total > MAX_WORK:
        raise _rare(f"with {total / 1e6:.0f} million pixels to decode; at most {MAX_WORK // 10**6} million are read")


class _Work(NamedTuple):
    pixels: float
    coded_bytes: int

    def plus(self, other: _Work, times: float = 1.0) -> _Work:
        """The sum; ``times`` applies to the other's pixels."""
        return _Work(self.pixels + times * other.pixels, self.coded_bytes + other.coded_bytes)


def _rare(what: str) -> PhotoFormatError:
    return PhotoFormatError(f"A HEIC {what}. Save it again.", found="HEIC of a rare kind")


def _work(items: _Items, item: int, depth: int, known: dict[int, _Work | None]) -> _Work:
    """Work to decode an item with all its parts and its alpha. An item that is used twice counts twice."""
    if item in known:
        found = known[item]
        if found is None:
            raise _rare("with an item that contains itself")
        return found
    kind = items.kinds.get(item, b"")
    if kind not in _CODED | _DERIVED:
        raise _rare(f"whose picture is of the kind {kind.decode('latin-1')!r}")
    if depth > _MOST_DEPTH:
        raise _rare(f"in more than {_MOST_DEPTH} levels")
    known[item] = None
    properties = items.properties[item]
    pixels = max((one.pixels for one in properties), default=0)
    if not pixels:
        raise PhotoDamagedError("The HEIC is damaged: an item has no size.", format="HEIC")
    turned = sum(one.kind in _TRANSFORMS for one in properties) * _TURN_SHARE
    drawn = 1.0 if kind in _CODED else _CANVAS_SHARE
    work = _Work(_ITEM_WORK + pixels * (drawn + turned), items.lengths[item] if kind in _CODED else 0)
    for part in items.parts[item] if kind in _DERIVED else ():
        blended = 2.0 if kind == b"iovl" else 1.0  # every part of an overlay is blended whole
        work = work.plus(_work(items, part, depth + 1, known), blended)
    for other in items.auxiliary[item]:
        if any(one.is_alpha for one in items.properties[other]):
            work = work.plus(_work(items, other, depth + 1, known)).plus(_Work(pixels * _CANVAS_SHARE, 0))
    known[item] = work
    return work


def _items(heic: bytes) -> _Items:
    meta = [payload for kind, payload in _boxes(heic) if kind == b"meta"]
    if len(meta) != 1:
        raise _rare(f"with {len(meta)} tables of items")
    items, properties = _Items(), list[_Property]()
    associations: list[bytes] = []
    for kind, payload in _boxes(meta[0][4:]):
        if kind == b"pitm":
            items.primary = int.from_bytes(payload[4 : 6 if payload[0] == 0 else 8], "big")
        elif kind == b"iinf":
            _read_kinds(payload, items)
        elif kind == b"iref":
            _read_references(payload, items)
        elif kind == b"iloc":
            _read_lengths(payload, items)
        elif kind == b"iprp":
            for inner, content in _boxes(payload):
                if inner == b"ipco":
                    properties += [_Property(*one) for one in _boxes(content)]
                elif inner == b"ipma":
                    associations.append(content)
    for content in associations:
        _read_associations(content, properties, items)
    return items


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(type, payload) of each box; a box of size 0 extends to the end."""
    position = 0
    while position + 8 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, position)
        start = position + 8
        if size == 1:
            size, start = struct.unpack_from(">Q", content, start)[0], start + 8
        end = len(content) if size == 0 else position + size
        if end < start or end > len(content):
            raise IndexError("a box ends outside")
        yield kind, content[start:end]
        position = end


def _read_kinds(iinf: bytes, items: _Items) -> None:
    for kind, entry in _boxes(iinf[6 if iinf[0] == 0 else 8 :]):
        if kind == b"infe" and entry[0] in (2, 3):
            width = 2 if entry[0] == 2 else 4
            item, name = int.from_bytes(entry[4 : 4 + width], "big"), entry[6 + width : 10 + width]
            if items.kinds.setdefault(item, name) != name:
                raise _rare("with two items of one number")
    if len(items.kinds) > _MOST_ITEMS:
        raise _rare(f"of more than {_MOST_ITEMS} items")


def _read_references(iref: bytes, items: _Items) -> None:
    code = ">H" if iref[0] == 0 else ">I"
    width = struct.calcsize(code)
    for kind, entry in _boxes(iref[4:]):
        (source,), (count,) = struct.unpack_from(code, entry), struct.unpack_from(">H", entry, width)
        targets = [struct.unpack_from(code, entry, width + 2 + width * place)[0] for place in range(count)]
        if kind == b"dimg":
            items.parts[source] += targets
        elif kind == b"auxl":
            for target in targets:
                items.auxiliary[target].append(source)


def _read_lengths(iloc: bytes, items: _Items) -> None:
    """An ``iloc`` box: for each item, where its bytes are; here only how many. A length of 0 means "to the end of the
    file", which no camera writes, and is refused by its cost."""
    version = iloc[0]
    offset_size, length_size, base_size = iloc[4] >> 4, iloc[4] & 15, iloc[5] >> 4
    index_size = iloc[5] & 15 if version in (1, 2) else 0
    wide = 4 if version == 2 else 2
    position = 6

    def take(size: int) -> int:
        nonlocal position
        if position + size > len(iloc):
            raise IndexError("iloc ends too early")
        position += size
        return int.from_bytes(iloc[position - size : position], "big")

    for _ in range(take(wide)):
        item = take(wide)
        take((2 if version in (1, 2) else 0) + 2 + base_size)
        for _ in range(take(2)):
            take(index_size + offset_size)
            items.lengths[item] += take(length_size) or _WHOLE_FILE


def _read_associations(ipma: bytes, properties: list[_Property], items: _Items) -> None:
    """An ``ipma`` box: for each item, places of its properties in the list, counted from 1."""
    item_code = ">H" if ipma[0] == 0 else ">I"
    wide = bool(ipma[3] & 1)
    (count,), position = struct.unpack_from(">I", ipma, 4), 8
    for _ in range(count):
        (item,), position = struct.unpack_from(item_code, ipma, position), position + struct.calcsize(item_code)
        number, position = ipma[position], position + 1
        for _ in range(number):
            (place,) = struct.unpack_from(">H" if wide else ">B", ipma, position)
            place &= 0x7FFF if wide else 0x7F  # the highest bit: essential
            position += 2 if wide else 1
            if 0 < place <= len(properties):
                items.properties[item].append(properties[place - 1])

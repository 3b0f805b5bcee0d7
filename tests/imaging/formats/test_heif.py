"""What a HEIC may ask for: the rules, on files assembled from one coded picture."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.heic_of_items import Item, box, built, grid, ispe
from idseg.errors import InputError, PhotoDamagedError, PhotoFormatError
from idseg.imaging.formats import heif
from idseg.stages.decode import decode

DATA = Path(__file__).resolve().parents[2] / "data"
SCENE = (DATA / "scene.heic").read_bytes()
NAMES = ("scene", "ten_bits", "turned", "alpha")


def stored(kind: bytes) -> bytes:
    """The first box of this type in the scene, whole."""
    at = SCENE.index(kind) - 4
    return SCENE[at : at + int.from_bytes(SCENE[at : at + 4], "big")]


WIDTH, HEIGHT = struct.unpack(">II", stored(b"ispe")[12:])
"""As coded; the scene's own properties cut it to size."""


ALPHA = box(b"auxC", b"urn:mpeg:hevc:2015:auxid:1\0", 0)
TURN = box(b"irot", b"\1")


def coded(width: int = WIDTH, height: int = HEIGHT, *more: bytes, alpha_of: int = 0, length: int = 0) -> Item:
    """The scene's pixels; another size is a lie, which only the rules get to see, and so is another length."""
    content = stored(b"mdat")[8:].ljust(length, b"\0")
    return Item(b"hvc1", content, (ispe(width, height), stored(b"hvcC"), *more), alpha_of=alpha_of)


def overlay(side: int, parts: tuple[int, ...]) -> Item:
    content = struct.pack(">BB4HII", 0, 1, 0, 0, 0, 0, side, side) + bytes(8 * len(parts))
    return Item(b"iovl", content, (ispe(side, side),), parts)


@pytest.mark.parametrize("name", NAMES)
def test_ordinary_files_pass(name: str) -> None:
    heif.check_heic((DATA / f"{name}.heic").read_bytes())


def test_what_is_built_here_is_read_by_libheif() -> None:
    assert decode(built(coded())).rgb.shape == (HEIGHT, WIDTH, 3)
    tiles = built(grid(2, 2, 2 * WIDTH, 2 * HEIGHT), *[coded()] * 4)
    assert decode(tiles).rgb.shape == (2 * HEIGHT, 2 * WIDTH, 3)


def test_a_phone_of_48_megapixels_passes() -> None:
    """In tiles of 512 x 512 px, turned. So do 64 that are not turned, and 24 with an alpha plane of the same size."""
    alpha = coded(6144, 4096, ALPHA, alpha_of=1)
    for rows, columns, turns, more in ((12, 16, (TURN,), ()), (16, 16, (), ()), (8, 12, (TURN,), (alpha,))):
        main = grid(rows, columns, 500 * columns, 500 * rows)
        turned = Item(main.kind, main.content, (*main.properties, *turns), main.parts)
        heif.check_heic(built(turned, *[coded(512, 512)] * (rows * columns), *more))


COSTLY = {
    "tiles that nobody sees": built(grid(25, 25, 64, 64), *[coded(512, 512)] * 625),
    "layers": built(overlay(2048, tuple(range(2, 22))), *[coded(2048, 2048)] * 20),
    "small layers": built(overlay(64, tuple(range(2, 902))), *[coded(4096, 64)] * 900),
    "layers of layers": built(
        overlay(512, tuple(range(2, 22))),
        *[overlay(512, tuple(range(22, 52)))] * 20,
        *[coded(512, 512)] * 30,
    ),
    "a large alpha": built(coded(64, 64), coded(16_000, 16_000, ALPHA, alpha_of=1)),
    "bytes shared": built(grid(10, 10, 5120, 5120), *[coded(512, 512, length=200_000)] * 100),
    "turned often": built(coded(4096, 4096, *[TURN] * 100)),
}


@pytest.mark.parametrize("name", COSTLY)
def test_too_much_work_is_refused(name: str) -> None:
    with pytest.raises(PhotoFormatError, match="million pixels to decode"):
        decode(COSTLY[name])


ODD = {
    "contains itself": built(overlay(64, (1,))),
    "two that contain each other": built(overlay(64, (2,)), overlay(64, (1,))),
    "deep": built(*[overlay(64, (number,)) for number in range(2, 12)], coded(64, 64)),
    "another codec": built(Item(b"unci", b"x", (ispe(64, 64),))),
    "no such item": built(overlay(64, (9,)), coded(64, 64)),
    "two tables": SCENE + stored(b"meta"),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_items_are_refused(name: str) -> None:
    with pytest.raises(PhotoFormatError):
        decode(ODD[name])


def test_an_item_without_size_is_damaged() -> None:
    with pytest.raises(PhotoDamagedError):
        decode(built(Item(b"hvc1", b"x", (stored(b"hvcC"),))))


def test_depth_and_gain_maps_cost_nothing() -> None:
    """Phones store them beside the photo; only alpha is decoded."""
    depth = box(b"auxC", b"urn:mpeg:hevc:2015:auxid:2\0", 0)
    heif.check_heic(built(coded(64, 64), coded(16_000, 16_000, depth, alpha_of=1)))


@given(st.integers(0, len(SCENE) - 1), st.binary(min_size=1, max_size=8), st.booleans())
def test_any_bytes_end_in_an_answer(place: int, content: bytes, cut: bool) -> None:
    broken = SCENE[:place] + content + (b"" if cut else SCENE[place + len(content) :])
    with contextlib.suppress(InputError):
        heif.check_heic(broken)

"""Damage anywhere, and any bytes: a picture or an error."""

from __future__ import annotations

import itertools
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idseg.stages.decode import decode
from tests.imaging.formats.files import SAMPLES, chunk, photo_or_error


@pytest.mark.parametrize("name", SAMPLES)
def test_cut_anywhere_is_an_error_or_the_same_picture(name: str) -> None:
    whole = SAMPLES[name]
    expected = decode(whole).rgb
    step = max(1, len(whole) // 400)
    whole_again = 0
    for end in itertools.chain(range(0, len(whole), step), range(len(whole) - 40, len(whole))):
        photo = photo_or_error(whole[:end])
        if photo is not None:
            whole_again += 1
            assert np.array_equal(photo.rgb, expected)
    assert whole_again < 40  # only a cut at the very end can be harmless


@pytest.mark.parametrize("name", SAMPLES)
def test_every_header_byte_may_be_anything(name: str) -> None:
    whole = SAMPLES[name]
    for at in range(min(len(whole), 300)):
        value = (0x00, 0xFF, whole[at] ^ 0x81)[at % 3]
        photo_or_error(whole[:at] + bytes([value]) + whole[at + 1 :])


def fix_checksums(file_bytes: bytes) -> bytes:
    """A PNG with every chunk's checksum made right, so that damage gets past it."""
    out, at = file_bytes[:8], 8
    while at + 12 <= len(file_bytes):
        (length,) = struct.unpack_from(">I", file_bytes, at)
        if at + 12 + length > len(file_bytes):
            break
        out += chunk(file_bytes[at + 4 : at + 8], file_bytes[at + 8 : at + 8 + length])
        at += 12 + length
    return out + file_bytes[at:]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    name = draw(st.sampled_from(sorted(SAMPLES)))
    content = bytearray(SAMPLES[name])
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(content) - 1))
        piece = draw(st.binary(max_size=6))
        content[at : at + draw(st.integers(0, 6))] = piece
    return fix_checksums(bytes(content)) if draw(st.booleans()) and content[:4] == b"\x89PNG" else bytes(content)


@settings(max_examples=200)
@given(damaged())
def test_damage_anywhere_is_an_error_or_a_picture(file_bytes: bytes) -> None:
    photo_or_error(file_bytes)


@settings(max_examples=150)
@given(
    st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"BM" + bytes(8) + b"\x36\0\0\0\x28\0\0\0"]),
    st.binary(max_size=400),
)
def test_any_bytes_are_an_error_or_a_picture(magic: bytes, rest: bytes) -> None:
    photo_or_error(magic + rest)

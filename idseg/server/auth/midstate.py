"""HMAC-SHA-256 with a key that is not kept, only its two inner states.

Why this exists: a bce-auth signature is an HMAC under the secret key, so whoever verifies it needs something
equivalent to the secret for that purpose; a salted hash will not do. HMAC(k, m) = H(k ^ opad || H(k ^ ipad || m)).
Both outer blocks are one 64-byte block of SHA-256, so the states after them are enough to go on from, and getting
``k`` back from a state means inverting SHA-256's compression function. ``hashlib`` does not let a state be set,
hence these few lines (FIPS 180-4, section 6.2).

A stolen pair of states lets its thief SIGN requests until the key is removed. It does not tell the secret, and does
not pass the token endpoint, which compares a scrypt hash.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Final, NamedTuple

_MASK: Final = 0xFFFFFFFF
_BLOCK: Final = 64


def _primes(count: int) -> list[int]:
    found: list[int] = []
    candidate = 2
    while len(found) < count:
        if all(candidate % prime for prime in found):
            found.append(candidate)
        candidate += 1
    return found


def _root_bits(prime: int, root: int) -> int:
    """First 32 bits of the fraction of the square (2) or cube (3) root: the constants of FIPS 180-4, 4.2.2 and
    5.3.3."""
    scaled = prime << (32 * root)
    low, high = 0, 1 << 48
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**root <= scaled else (low, middle - 1)
    return low & _MASK


_ROUND: Final = tuple(_root_bits(prime, 3) for prime in _primes(64))
_START: Final = tuple(_root_bits(prime, 2) for prime in _primes(8))


def _rotr(word: int, bits: int) -> int:
    return (word >> bits | word << (32 - bits)) & _MASK


def _compress(state: tuple[int, ...], block: bytes) -> tuple[int, ...]:
    """SHA-256's compression of one 64-byte block."""
    w = list(struct.unpack(">16I", block))
    for i in range(16, 64):
        s0 = _rotr(w[i - 15], 7) ^ _rotr(w[i - 15], 18) ^ w[i - 15] >> 3
        s1 = _rotr(w[i - 2], 17) ^ _rotr(w[i - 2], 19) ^ w[i - 2] >> 10
        w.append((w[i - 16] + s0 + w[i - 7] + s1) & _MASK)
    a, b, c, d, e, f, g, h = state
    for i in range(64):
        t1 = h + (_rotr(e, 6) ^ _rotr(e, 11) ^ _rotr(e, 25)) + (e & f ^ ~e & g) + _ROUND[i] + w[i]
        t2 = (_rotr(a, 2) ^ _rotr(a, 13) ^ _rotr(a, 22)) + (a & b ^ a & c ^ b & c)
        a, b, c, d, e, f, g, h = (t1 + t2) & _MASK, a, b, c, (d + t1) & _MASK, e, f, g
    return tuple((x + y) & _MASK for x, y in zip(state, (a, b, c, d, e, f, g, h), strict=True))


def _finish(state: tuple[int, ...], message: bytes) -> bytes:
    """The digest of a message whose first 64-byte block has already gone into ``state``."""
    bits = (len(message) + _BLOCK) * 8
    padded = message + b"\x80" + b"\x00" * ((55 - len(message)) % _BLOCK) + struct.pack(">Q", bits)
    for start in range(0, len(padded), _BLOCK):
        state = _compress(state, padded[start : start + _BLOCK])
    return struct.pack(">8I", *state)


class Midstate(NamedTuple):
    """What is left of a key: the states after ``key ^ ipad`` and after ``key ^ opad``, 32 bytes each."""

    inner: bytes
    outer: bytes

    @classmethod
    def of(cls, key: bytes) -> Midstate:
        block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\x00")
        inner, outer = (
            struct.pack(">8I", *_compress(_START, bytes(byte ^ pad for byte in block))) for pad in (0x36, 0x5C)
        )
        return cls(inner, outer)

    def hmac(self, message: bytes) -> bytes:
        """HMAC-SHA-256 of ``message`` under the key this came from; 32 bytes."""
        inner, outer = (struct.unpack(">8I", state) for state in self)
        return _finish(outer, _finish(inner, message))

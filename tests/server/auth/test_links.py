"""One-time links: once, for ten minutes, bounded."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from idseg.cloud.errors import ExpiredTokenError, UnknownTokenError
from idseg.server.auth.links import LINK_S, MOST_SESSIONS, SESSION_S, Links


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_link_works_once() -> None:
    links = Links(Clock())
    secret = links.new()
    token = links.join(secret)
    assert links.caller(token) == "device 1"
    assert len(secret) >= 20
    assert token != secret
    with pytest.raises(UnknownTokenError):
        links.join(secret)
    for wrong in ("", "x", secret[:-1], token):
        with pytest.raises(UnknownTokenError):
            links.join(wrong)


def test_links_and_sessions_end() -> None:
    clock = Clock()
    links = Links(clock)
    old, other = links.new(), links.new()
    token = links.join(other)
    clock.now = LINK_S + 1
    with pytest.raises(ExpiredTokenError):
        links.join(old)
    clock.now = SESSION_S - 1
    assert links.caller(token), "a call makes it live on"
    clock.now += SESSION_S - 1
    assert links.caller(token)
    clock.now += SESSION_S + 1
    with pytest.raises(ExpiredTokenError):
        links.caller(token)
    with pytest.raises(UnknownTokenError):
        links.caller(token)


def test_both_are_bounded() -> None:
    links = Links(Clock())
    first = links.new()
    tokens = [links.join(links.new()) for _ in range(MOST_SESSIONS + 1)]
    with pytest.raises(UnknownTokenError):
        links.caller(tokens[0])
    assert links.caller(tokens[1])
    for _ in range(20):
        links.new()
    with pytest.raises(UnknownTokenError):
        links.join(first)

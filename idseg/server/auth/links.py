"""One-time links: how a phone at home gets into a server that has no keys.

A link holds a secret of 128 bits that works once and for ten minutes. Whoever opens it gets a session, whose token the
page keeps for its tab and sends as a bearer token. All of it lies in memory and ends with the server.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from idseg.cloud.errors import ExpiredTokenError, UnknownTokenError

LINK_S: Final = 600
SESSION_S: Final = 12 * 3600
"""A session ends this long after its last call."""
MOST_SESSIONS: Final = 32
"""Devices at once; beyond it the one that has been idle longest is signed out."""
_MOST_LINKS: Final = 8
_BYTES: Final = 16


class Links:
    """The links that wait to be opened, and the sessions of those that were. For one event loop: not thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._links: OrderedDict[str, float] = OrderedDict()
        self._sessions: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._number = 0

    def new(self) -> str:
        """The secret of a new link."""
        secret = secrets.token_urlsafe(_BYTES)
        self._links[secret] = self._clock() + LINK_S
        while len(self._links) > _MOST_LINKS:
            self._links.popitem(last=False)
        return secret

    def join(self, secret: str) -> str:
        """The token of a new session; the link is used up.

        Raises:
            UnknownTokenError: no such link, or it was used.
            ExpiredTokenError: it is older than :data:`LINK_S`.
        """
        ends = self._links.pop(secret, None)
        if ends is None:
            raise UnknownTokenError("this link was used already, or is none of this server")
        if ends < self._clock():
            raise ExpiredTokenError("this link is too old")
        token = secrets.token_urlsafe(2 * _BYTES)
        self._number += 1
        self._sessions[token] = f"device {self._number}", self._clock() + SESSION_S
        while len(self._sessions) > MOST_SESSIONS:
            self._sessions.popitem(last=False)
        return token

    def caller(self, token: str) -> str:
        """Whose session a token is of.

        Raises:
            UnknownTokenError, ExpiredTokenError
        """
        known = self._sessions.pop(token, None)
        if known is None:
            raise UnknownTokenError("this server knows no such session")
        name, ends = known
        if ends < self._clock():
            raise ExpiredTokenError("the session has ended; open a new link")
        self._sessions[token] = name, self._clock() + SESSION_S
        return name

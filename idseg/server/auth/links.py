"""One-time links, which let a phone at home use a server without keys.

A link contains a secret of 128 bits, which works once, for ten minutes. Whoever opens it gets a session. The page keeps
the session's token in its tab and sends it as a bearer token. Everything is in memory and ends with the server.
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
"""Seconds after its last call until a session ends."""
MOST_SESSIONS: Final = 32
"""Maximum number of devices; at the limit, the one that was idle longest is signed out."""
_MOST_LINKS: Final = 8
_BYTES: Final = 16


class Links:
    """The unused links, and the sessions of used ones. Use it from one event loop; it is not thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._links: OrderedDict[str, float] = OrderedDict()
        self._sessions: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._number = 0

    def new(self) -> str:
        """Make a new link and return its secret."""
        secret = secrets.token_urlsafe(_BYTES)
        self._links[secret] = self._clock() + LINK_S
        while len(self._links) > _MOST_LINKS:
            self._links.popitem(last=False)
        return secret

    def join(self, secret: str) -> str:
        """Use up a link and return the token of a new session.

        Raises:
            UnknownTokenError: there is no such link, or it was used.
            ExpiredTokenError: the link is older than :data:`LINK_S`.
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
        """The device to which a session token belongs.

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

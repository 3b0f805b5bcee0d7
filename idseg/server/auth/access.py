"""Identifies the caller of a request from its query, headers or form, or refuses the request."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_plus

from starlette.requests import Request

from idseg.cloud.errors import NoCredentialError, SignatureError, UnknownTokenError
from idseg.server.auth import bce, tokens
from idseg.server.auth.keys import Keyring
from idseg.server.auth.links import Links

ANYBODY: Final = "anybody"
"""The caller's name on a server without keys."""


@dataclass(frozen=True)
class Access:
    """The settings for identifying callers."""

    keyring: Keyring | None
    """None: no authorization; every caller is :data:`ANYBODY`."""
    secret: tokens.SecretFile
    token_seconds: int
    clock: Callable[[], float] = time.time
    root_path: str = ""
    """The path under which a proxy shows the server; clients include it in signatures."""
    links: Links | None = None
    """On a server without keys: sessions opened by one-time links; None: everybody on this machine may call."""

    @property
    def is_open(self) -> bool:
        """Whether everybody who can reach the server may call."""
        return self.keyring is None and self.links is None

    def caller(self, request: Request) -> str | None:
        """The caller's API key from query or headers; None if they have no credential (the form may have a token).

        Raises:
            UnknownTokenError, ExpiredTokenError, SignatureError
        """
        if self.is_open:
            return ANYBODY
        token = query_token(query_string(request))
        if token is not None:
            return self.by_token(token)
        header = request.headers.get("authorization", "")
        if self.keyring is not None and header.startswith("bce-auth"):
            return self._by_signature(self.keyring, header, request)
        return None

    def by_token(self, token: str) -> str:
        """The API key for which a token was issued, or the device that opened a link."""
        if self.links is not None:
            return self.links.caller(token)
        if self.keyring is None:
            return ANYBODY
        key = self.keyring.by_app_id(tokens.app_of(token))
        if key is None:
            raise UnknownTokenError("no key belongs to this access token")
        tokens.verify(key.token_secret(self.secret.read()), token, int(self.clock()))
        return key.api_key

    def by_bearer(self, request: Request) -> str:
        """Authorize the web page by ``Authorization: Bearer <token>``, which other sites cannot make a browser send."""
        if self.is_open:
            return ANYBODY
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            wanted = "an API key and a secret key" if self.links is None else "the link that it shows on its terminal"
            raise NoCredentialError(f"this server asks for {wanted}")
        return self.by_token(token)

    def _by_signature(self, keyring: Keyring, header: str, request: Request) -> str:
        credential = bce.read_credential(header)
        key = keyring.by_api_key(credential.api_key)
        if key is None or not key.may_sign:
            raise SignatureError("no such key, or it may not sign")
        path: str = request.scope["path"]
        bce.verify(
            credential,
            key.secret,
            bce.RequestLine(request.method, path, query_string(request), self.root_path),
            request.headers.items(),
            self.clock(),
        )
        return key.api_key


def query_string(request: Request) -> str:
    """The raw query. Not from ``request.url``, which requires a well-formed Host header."""
    raw: bytes = request.scope["query_string"]
    return raw.decode("latin-1")


def query_token(query: str) -> str | None:
    """``access_token`` from a query string. The Node SDK sends ``…?aipSdk=node&access_token=TOK?aipSdk=node``, so the
    value is cut at ``?``."""
    token = query_value(query, "access_token")
    return None if token is None else token.partition("?")[0]


def query_value(query: str, wanted: str) -> str | None:
    """The first non-empty value of that name in a query string; None if there is none."""
    for pair in query.split("&"):
        name, equals, value = pair.partition("=")
        if equals and unquote_plus(name) == wanted and value:
            return unquote_plus(value)
    return None

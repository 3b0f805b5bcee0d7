"""Access tokens in the cloud's format, signed instead of stored: ``24.<32 hex>.<ttl>.<exp>.<uid>-<app>``.

The 32 hex digits are the first 128 bits of an HMAC-SHA-256 of the rest. Its secret is derived from the server's secret
(in the state folder, mode 0600) and the key's. So a token survives a restart, every process can verify it, and removing
a key, or changing its secret, invalidates its tokens.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from pathlib import Path
from typing import Any, Final

from idseg.cloud.errors import ExpiredTokenError, UnknownTokenError
from idseg.errors import OptionError
from idseg.server.auth.files import locked, stamp_of, write_private

ACCESS: Final = 24
REFRESH: Final = 25
REFRESH_SECONDS: Final = 315360000
_SECRET_BYTES: Final = 32
USER_ID: Final = 282335
"""User number in the tokens. The API's tokens contain a user before the app; this server has only one."""
SCOPE: Final = "public brain_all_scope brain_body_seg_photo wise_adapt"
"""Scope of the tokens. The SDKs reject a token without the word brain_all_scope."""

_TOKEN: Final = re.compile(r"24\.([0-9a-f]{32})\.(\d{1,12})\.(\d{1,12})\.(\d{1,12})-(\d{1,12})", re.ASCII)


class SecretFile:
    """The 32 bytes for signing tokens, in a file of mode 0600, which is created if missing. It is read again when it
    changes; deleting it invalidates every token."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, ...] = ()
        self._secret = b""
        self.read()

    def read(self) -> bytes:
        """Return the secret; raises OptionError if the file is damaged or cannot be created."""
        if not self._secret or stamp_of(self._path) != self._stamp:
            self._secret = load_secret(self._path)
            self._stamp = stamp_of(self._path)
        return self._secret


def load_secret(path: Path) -> bytes:
    """The secret of a file. Servers that start at the same time use the same one."""
    try:
        secret = _read(path)
        if secret is None:
            with locked(path):
                secret = _read(path)
                if secret is None:
                    secret = secrets.token_bytes(_SECRET_BYTES)
                    write_private(path, secret)
    except OSError as error:
        raise OptionError(f"{path} cannot be read: {error.strerror}", path=str(path)) from None
    if len(secret) < _SECRET_BYTES:
        raise OptionError(f"{path} is damaged: {len(secret)} bytes; delete it, and every token ends", path=str(path))
    return secret


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _mac(secret: bytes, kind: int, rest: str) -> str:
    return hmac.new(secret, f"{kind}.{rest}".encode(), hashlib.sha256).hexdigest()[:32]


def issue(secret: bytes, app_id: int, now: int, seconds: int) -> dict[str, Any]:
    """The reply of the token endpoint."""

    def token(kind: int, life: int) -> str:
        rest = f"{life}.{now + life}.{USER_ID}-{app_id}"
        return f"{kind}.{_mac(secret, kind, rest)}.{rest}"

    session = secrets.token_bytes(48)
    return {
        "refresh_token": token(REFRESH, REFRESH_SECONDS),
        "expires_in": seconds,
        "scope": SCOPE,
        "session_key": session[:32].hex(),
        "access_token": token(ACCESS, seconds),
        "session_secret": session[32:].hex(),
    }


def app_of(token: str) -> int:
    """The app id in a token, which is not verified yet.

    Raises:
        UnknownTokenError: the token has another format (110).
    """
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise UnknownTokenError("this is not an access token of this server")
    return int(match.group(5))


def verify(secret: bytes, token: str, now: int) -> None:
    """Check an access token.

    Raises:
        UnknownTokenError: this server did not issue the token (110).
        ExpiredTokenError: the token has expired (111).
    """
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise UnknownTokenError("this is not an access token of this server")
    mac, life, expires, user, app = match.groups()
    if not hmac.compare_digest(mac, _mac(secret, ACCESS, f"{life}.{expires}.{user}-{app}")):
        raise UnknownTokenError("this server did not sign the access token")
    if int(expires) <= now:
        raise ExpiredTokenError("the access token is out of its time", expired=int(expires))

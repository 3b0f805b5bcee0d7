"""Verifies the header ``authorization: bce-auth-v1/{ak}/{utc}/{seconds}/{signed headers}/{hmac}``.

It follows the signing code of baidu-aip (``aip/base.py``) and baidu-aip-sdk (``auth/bceAuth/auth.js``). They differ for
the query: Python percent-encodes with ``quote_plus`` and encodes names too; Node uses ``encodeURIComponent`` and does
not encode names. Both forms are accepted.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
from calendar import timegm
from collections.abc import Callable, Iterable, Sequence
from time import strptime
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, quote, quote_plus

from idseg.cloud.errors import SignatureError

CLOCK_SKEW_S: Final = 900
"""Seconds by which a client's clock may be ahead."""
MAX_LIFE_S: Final = 1800
"""Maximum validity in seconds, as used by the SDKs; a longer one is shortened to this."""
_DEFAULT_HEADERS: Final = ("host", "content-md5", "content-length", "content-type")


class Credential(NamedTuple):
    """The parts of the header."""

    api_key: str
    timestamp: str
    seconds: str
    headers: tuple[str, ...]
    signature: str

    @property
    def scope(self) -> str:
        """The text from which the signing key is derived."""
        return f"bce-auth-v1/{self.api_key}/{self.timestamp}/{self.seconds}"


class RequestLine(NamedTuple):
    """The parts of a request, besides headers, that a signature covers."""

    method: str
    path: str
    """The decoded path."""
    query: str
    """The query as sent, without the ``?``."""
    root_path: str = ""
    """The path prefix that a proxy may have removed."""


def read_credential(header: str) -> Credential:
    """Parse the header; raises SignatureError if it has another form."""
    parts = header.strip().split("/")
    if len(parts) != 6 or parts[0] != "bce-auth-v1":
        raise SignatureError("the authorization header is not bce-auth-v1/ak/time/seconds/headers/signature")
    return Credential(parts[1], parts[2], parts[3], tuple(h for h in parts[4].lower().split(";") if h), parts[5])


def verify(
    credential: Credential, secret_key: str, line: RequestLine, headers: Iterable[tuple[str, str]], now: float
) -> None:
    """Raises SignatureError if the signature is wrong, does not cover the host, or is outside its period of validity.

    A signature does not cover the body, and has no nonce. So whoever sees a request can send it again with another body
    until it expires. Use TLS.
    """
    if credential.headers and "host" not in credential.headers:
        raise SignatureError("the signature must cover the header host")
    _check_time(credential, now)
    signing_key = hmac.new(secret_key.encode(), credential.scope.encode(), hashlib.sha256).hexdigest().encode()
    canonical_headers = _canonical_headers(credential.headers, headers)
    good = False
    for path, encode_query in itertools.product((line.path, line.root_path + line.path), (_python_query, _node_query)):
        text = "\n".join((line.method.upper(), quote(path), encode_query(line.query), canonical_headers))
        expected = hmac.new(signing_key, text.encode(), hashlib.sha256).hexdigest()
        good |= hmac.compare_digest(expected.encode(), credential.signature.encode("utf-8", "replace"))
    if not good:
        raise SignatureError("the signature does not fit the request")


def _check_time(credential: Credential, now: float) -> None:
    try:
        signed_at = timegm(strptime(credential.timestamp, "%Y-%m-%dT%H:%M:%SZ"))
        if not (credential.seconds.isascii() and credential.seconds.isdigit() and len(credential.seconds) < 10):
            raise ValueError("not a number of seconds")
        life = min(int(credential.seconds), MAX_LIFE_S)
    except (ValueError, OverflowError):
        raise SignatureError("the authorization header has no time") from None
    if not signed_at - CLOCK_SKEW_S <= now <= signed_at + life:
        raise SignatureError("the signature is out of its time", signed_at=signed_at)


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=100)
    except ValueError:
        raise SignatureError("the query has more than 100 parameters") from None
    return [(name, value) for name, value in pairs if name.lower() != "authorization"]


def _canonical(query: str, name_code: Callable[[str], str], value_code: Callable[[str], str]) -> str:
    return "&".join(sorted(f"{name_code(name)}={value_code(value)}" for name, value in _pairs(query)))


def _python_query(query: str) -> str:
    return _canonical(query, quote_plus, quote_plus)


def _node_query(query: str) -> str:
    return _canonical(query, str, lambda value: quote(value, safe=""))


def _canonical_headers(signed: Sequence[str], headers: Iterable[tuple[str, str]]) -> str:
    wanted = signed or _DEFAULT_HEADERS
    lines = {
        f"{quote(name.strip().lower(), safe='')}:{quote(value.strip(), safe='')}"
        for name, value in headers
        if (name.lower() in wanted or (not signed and name.lower().startswith("x-bce-"))) and value.strip()
    }
    return "\n".join(sorted(lines))

"""bce-auth signatures."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest

from idseg.cloud.errors import (
    SignatureError,
)
from idseg.server.auth import bce

NOW = 1_790_000_000


PATH = "/rest/2.0/image-classify/v1/body_seg_photo"
STAMP = "2026-09-21T14:13:20Z"  # NOW
HEADERS = [("host", "127.0.0.1"), ("x-bce-date", STAMP), ("content-type", "text/plain")]


def signed(
    secret: str,
    query: str = "aipSdk=python",
    stamp: str = STAMP,
    seconds: str = "1800",
    named: str = "host;x-bce-date",
) -> str:
    """As aip/base.py signs."""
    scope = f"bce-auth-v1/key-one/{stamp}/{seconds}"
    signing_key = hmac.new(secret.encode(), scope.encode(), hashlib.sha256).hexdigest()
    lines = {"host": "host:127.0.0.1", "x-bce-date": f"x-bce-date:{STAMP.replace(':', '%3A')}"}
    headers = "\n".join(lines[name] for name in named.split(";"))
    text = f"POST\n{PATH}\n{query}\n{headers}"
    signature = hmac.new(signing_key.encode(), text.encode(), hashlib.sha256).hexdigest()
    return f"{scope}/{named}/{signature}"


def verify(
    header: str, *, method: str = "POST", path: str = PATH, query: str = "aipSdk=python", now: float = NOW
) -> None:
    bce.verify(bce.read_credential(header), "secret-of-one", bce.RequestLine(method, path, query), HEADERS, now)


def test_a_good_signature_passes_for_half_an_hour() -> None:
    header = signed("secret-of-one")
    for now in (NOW - 800, NOW, NOW + 1799):
        verify(header, now=now)


@pytest.mark.parametrize(
    "changed",
    [
        {"header": signed("secret-of-two")},
        {"method": "GET"},
        {"path": "/rest/2.0/other"},
        {"query": "aipSdk=node"},
        {"now": NOW + 1801},
        {"now": NOW - 1000},
        {"header": signed("secret-of-one", seconds="999999"), "now": NOW + 5000},
        {"header": signed("secret-of-one", seconds="abc")},
        {"header": signed("secret-of-one", seconds="1_800")},
        {"header": signed("secret-of-one", seconds="٣")},
        {"header": signed("secret-of-one", named="x-bce-date")},
        {"header": signed("secret-of-one", stamp="yesterday")},
        {"header": signed("secret-of-one")[:-1] + "é"},
        {"header": "bce-auth-v1/key-one"},
        {"header": "bce-auth-v2" + signed("secret-of-one")[11:]},
    ],
)
def test_any_other_signature_does_not(changed: dict[str, Any]) -> None:
    with pytest.raises(SignatureError):
        verify(changed.pop("header", signed("secret-of-one")), **changed)


def test_node_and_python_spell_a_query_differently() -> None:
    for spelled, raw in (("a=x+y", "a=x%20y"), ("a=x%20y", "a=x%20y"), ("a=1&b=", "b=&a=1")):
        verify(signed("secret-of-one", spelled), query=raw)

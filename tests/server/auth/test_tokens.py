"""Access tokens, and the secret that signs them."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idseg.cloud.errors import (
    ExpiredTokenError,
    UnknownTokenError,
)
from idseg.errors import OptionError
from idseg.server.auth import tokens
from idseg.server.auth.access import query_token

NOW = 1_790_000_000


SECRET = b"s" * 32


def test_a_token_has_the_clouds_shape_and_its_app() -> None:
    reply = tokens.issue(SECRET, 12345678, NOW, 2592000)
    assert list(reply) == ["refresh_token", "expires_in", "scope", "session_key", "access_token", "session_secret"]
    kind, mac, life, expires, owner = reply["access_token"].split(".")
    assert (kind, len(mac), life, expires) == ("24", 32, "2592000", str(NOW + 2592000))
    assert owner.split("-")[1] == "12345678"
    assert reply["refresh_token"].startswith("25.")
    assert ".315360000." in reply["refresh_token"]
    assert "brain_all_scope" in reply["scope"].split(" ")
    assert tokens.app_of(reply["access_token"]) == 12345678
    tokens.verify(SECRET, reply["access_token"], NOW)


def test_a_token_ends() -> None:
    token = tokens.issue(SECRET, 1, NOW, 100)["access_token"]
    tokens.verify(SECRET, token, NOW + 99)
    with pytest.raises(ExpiredTokenError):
        tokens.verify(SECRET, token, NOW + 100)


@given(st.data())
def test_a_changed_token_is_unknown(data: st.DataObject) -> None:
    token = tokens.issue(SECRET, 12345678, NOW, 2592000)["access_token"]
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(codec="latin-1").filter(lambda c: c != token[place]))
    with pytest.raises(UnknownTokenError):
        tokens.verify(SECRET, token[:place] + other + token[place + 1 :], NOW)


def test_a_refresh_token_and_another_servers_token_are_unknown() -> None:
    with pytest.raises(UnknownTokenError):
        tokens.verify(SECRET, tokens.issue(SECRET, 1, NOW, 100)["refresh_token"], NOW)
    with pytest.raises(UnknownTokenError):
        tokens.verify(SECRET, tokens.issue(b"t" * 32, 1, NOW, 100)["access_token"], NOW)


def test_workers_that_start_together_agree_on_one_secret(tmp_path: Path) -> None:
    path = tmp_path / "state" / "token.key"
    with ThreadPoolExecutor(8) as pool:
        secrets = set(pool.map(lambda _: tokens.load_secret(path), range(32)))
    assert len(secrets) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(file.name for file in path.parent.iterdir()) == [".token.key.lock", "token.key"]
    path.write_bytes(b"short")
    with pytest.raises(OptionError, match="damaged"):
        tokens.load_secret(path)


def test_who_deletes_the_secret_ends_all_tokens(tmp_path: Path) -> None:
    path = tmp_path / "token.key"
    secret = tokens.SecretFile(path)
    first = secret.read()
    assert secret.read() == first
    path.unlink()
    assert secret.read() != first
    assert secret.read() == path.read_bytes()


@pytest.mark.parametrize(
    ("query", "token"),
    [
        ("access_token=24.a-b", "24.a-b"),
        ("aipSdk=node&access_token=24.a-b?aipSdk=node", "24.a-b"),
        ("access_token=24.a-b&aipSdk=python&aipVersion=4_16_13", "24.a-b"),
        ("access%5Ftoken=24%2Ea-b", "24.a-b"),
        ("access_token=", None),
        ("", None),
        ("x_access_token=1", None),
    ],
)
def test_the_token_of_a_query(query: str, token: str | None) -> None:
    assert query_token(query) == token

"""Keys, and the file that holds them."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from idseg.errors import OptionError
from idseg.server.auth.keys import Key, Keyring, add_key, environment_keys, new_pair, read_keys, write_keys
from tests.server.live import ROOT

NOW = 1_790_000_000


def test_a_key_knows_its_secret_and_no_other(tmp_path: Path) -> None:
    api_key, secret_key = new_pair()
    path = tmp_path / "deep" / "keys.json"
    write_keys(path, [Key.of(api_key, secret_key)])
    (key,) = read_keys(path)
    assert key.has_secret(secret_key)
    assert not key.has_secret(secret_key[:-1])
    assert not key.has_secret("")
    assert not key.has_secret("\ud800" * 3)


def test_a_key_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    write_keys(path, [Key.of(*new_pair())])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path], "a temporary file was left"


def test_a_token_only_key_keeps_a_salted_hash(tmp_path: Path) -> None:
    api_key, secret_key = new_pair()
    path = tmp_path / "keys.json"
    write_keys(path, [Key.of(api_key, secret_key, may_sign=False)])
    assert secret_key not in path.read_text()
    assert hashlib.sha256(secret_key.encode()).hexdigest() not in path.read_text()
    (key,) = read_keys(path)
    assert not key.may_sign
    assert key.has_secret(secret_key)
    assert not key.has_secret(secret_key[:-1])
    assert not key.has_secret(key.secret)


def test_twelve_keys_at_once_are_twelve_keys(tmp_path: Path) -> None:
    path = tmp_path / "state" / "keys.json"
    code = "import sys, pathlib; from idseg.server.auth.keys import add_key; add_key(pathlib.Path(sys.argv[1]))"
    running = [subprocess.Popen([sys.executable, "-c", code, str(path)], cwd=ROOT) for _ in range(12)]
    assert [process.wait(120) for process in running] == [0] * 12
    assert len({key.app_id for key in read_keys(path)}) == 12
    assert {file.name for file in path.parent.iterdir()} == {"keys.json", ".keys.json.lock"}


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX's")
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_key_file_that_others_can_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "keys.json"
    write_keys(path, [Key.of(*new_pair())])
    path.chmod(mode)
    with pytest.raises(OptionError, match="chmod 600"):
        read_keys(path)


def test_a_full_disk_leaves_the_old_keys_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys.json"
    add_key(path)
    before = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OptionError, match="No space left"):
        add_key(path)
    assert path.read_bytes() == before
    assert {file.name for file in tmp_path.iterdir()} == {"keys.json", ".keys.json.lock"}


def test_keys_come_from_the_environment() -> None:
    (key,) = environment_keys({"IDSEG_API_KEY": "my-own-key", "IDSEG_SECRET_KEY": "my-own-secret"})
    assert key.api_key == "my-own-key"
    assert key.has_secret("my-own-secret")
    assert environment_keys({}) == ()
    with pytest.raises(OptionError):
        environment_keys({"IDSEG_API_KEY": "my-own-key"})
    with pytest.raises(OptionError):
        environment_keys({"IDSEG_API_KEY": "my-own-key", "IDSEG_SECRET_KEY": "short"})


def test_a_keyring_sees_the_file_change(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "keys.json"
    ring = Keyring((), path)
    assert len(ring) == 0
    one, two = Key.of("key-one", "secret-of-one"), Key.of("key-two", "secret-of-two")
    write_keys(path, [one, two])
    assert ring.by_api_key("key-one") == one
    assert ring.by_app_id(two.app_id) == two
    write_keys(path, [two])
    assert ring.by_api_key("key-one") is None
    assert ring.by_app_id(one.app_id) is None
    path.write_text("{broken")
    with caplog.at_level(logging.ERROR, "idseg.server"):
        assert ring.by_api_key("key-two") == two, "a damaged file must not lock everybody out"
    assert len(caplog.records) == 1, "and is told to the operator"
    path.unlink()
    assert len(ring) == 0


def test_a_damaged_key_file_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    for text in ("{broken", "[]", '{"keys": [{}]}', '{"keys": 7}'):
        path.write_text(text)
        with pytest.raises(OptionError, match="damaged"):
            Keyring((), path)


@pytest.mark.parametrize("may_sign", [True, False])
def test_tokens_are_bound_to_the_secret(tmp_path: Path, may_sign: bool) -> None:
    path = tmp_path / "keys.json"
    key = Key.of("key-one", "secret-of-one", may_sign=may_sign)
    write_keys(path, [key])
    assert read_keys(path)[0].token_secret(b"server") == key.token_secret(b"server")
    assert Key.of("key-one", "secret-of-two").token_secret(b"server") != key.token_secret(b"server")
    assert key.token_secret(b"other server") != key.token_secret(b"server")


def test_a_pair_of_the_environment_signs_the_same_after_a_restart() -> None:
    first, second = Key.of("key-one", "secret-of-one"), Key.of("key-one", "secret-of-one")
    assert first.token_secret(b"server") == second.token_secret(b"server")

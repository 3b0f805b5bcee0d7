"""Pairs of an API key and a secret key, in a file that only its owner can read.

A bce-auth signature is an HMAC with the secret key, so the verifier needs the secret itself. The file therefore stores
it in plain text with mode 0600, as the cloud's clients do. With ``--token-only`` it stores a hash instead; such a key
can get tokens but cannot sign. Generated secrets have 186 random bits, so a simple salted hash is sufficient. A secret
chosen by a person comes only from the environment, and is never written to disk.
"""

from __future__ import annotations

import hmac
import json
import logging
import os
import re
import secrets
import stat
import threading
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from idseg.errors import OptionError
from idseg.server.auth.files import locked, stamp_of, write_private
from idseg.server.logs import log

_ALPHABET: Final = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_API_KEY: Final = re.compile(r"[A-Za-z0-9_-]{4,64}")
_SALT_BYTES: Final = 16
_MOST_SECRET: Final = 1024
"""Maximum characters of a secret that are compared; generated ones have 32."""


@dataclass(frozen=True, slots=True)
class Key:
    """One pair of keys."""

    api_key: str
    app_id: int
    """The number at the end of the key's tokens: 24.<mac>.<ttl>.<exp>.<uid>-<app>."""
    secret: str
    """The secret key; for a key that may not sign, ``sha256:SALT:HMAC`` in hexadecimal digits."""
    may_sign: bool = True
    note: str = ""

    @classmethod
    def of(
        cls, api_key: str, secret_key: str, *, app_id: int | None = None, may_sign: bool = True, note: str = ""
    ) -> Key:
        """Create a key with this secret.

        Raises:
            OptionError: a key is too short or too long, or has invalid characters.
        """
        if not _API_KEY.fullmatch(api_key):
            raise OptionError("an API key is 4 to 64 letters, digits, _ or -", api_key_chars=len(api_key))
        if len(secret_key) < 8 or len(secret_key) > 128:
            raise OptionError("a secret key has 8 to 128 characters", secret_key_chars=len(secret_key))
        number = 10_000_000 + zlib.crc32(api_key.encode()) % 90_000_000 if app_id is None else app_id
        kept = secret_key if may_sign else _hashed(secret_key, secrets.token_bytes(_SALT_BYTES))
        return cls(api_key, number, kept, may_sign, note)

    def has_secret(self, secret_key: str) -> bool:
        """Whether this is the secret key. Takes constant time, some microseconds."""
        given = secret_key[:_MOST_SECRET]
        if not self.may_sign:
            given = _hashed(given, bytes.fromhex(self.secret.split(":")[1]))
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.secret.encode("utf-8", "replace"))

    def token_secret(self, server_secret: bytes) -> bytes:
        """The secret for signing this key's tokens. It is the same after a restart, and depends on the secret key, so a
        changed secret key invalidates old tokens."""
        return hmac.digest(server_secret, self.secret.encode(), "sha256")

    def to_dict(self) -> dict[str, Any]:
        entry: dict[str, Any] = {"api_key": self.api_key, "app_id": self.app_id}
        entry["secret" if self.may_sign else "secret_hash"] = self.secret
        return {**entry, "note": self.note} if self.note else entry

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Key:
        may_sign = "secret_hash" not in entry
        secret = str(entry["secret" if may_sign else "secret_hash"])
        if not may_sign:
            kind, salt, digest = secret.split(":")
            if kind != "sha256" or not bytes.fromhex(salt) or len(bytes.fromhex(digest)) != 32:
                raise ValueError("not a hash made by idseg")
        return cls(str(entry["api_key"]), int(entry["app_id"]), secret, may_sign, str(entry.get("note", "")))


def _hashed(secret_key: str, salt: bytes) -> str:
    return f"sha256:{salt.hex()}:{hmac.digest(salt, secret_key.encode('utf-8', 'replace'), 'sha256').hex()}"


def new_pair() -> tuple[str, str]:
    """Generate (API key, secret key): 24 and 32 characters, 139 and 186 random bits."""
    api_key, secret_key = ("".join(secrets.choice(_ALPHABET) for _ in range(chars)) for chars in (24, 32))
    return api_key, secret_key


def environment_keys(environment: Mapping[str, str] = os.environ) -> tuple[Key, ...]:
    """The pair in ``IDSEG_API_KEY`` and ``IDSEG_SECRET_KEY``; empty if neither is set."""
    api_key, secret_key = environment.get("IDSEG_API_KEY", ""), environment.get("IDSEG_SECRET_KEY", "")
    if bool(api_key) != bool(secret_key):
        raise OptionError("set both IDSEG_API_KEY and IDSEG_SECRET_KEY, or neither")
    return (Key.of(api_key, secret_key, note="environment"),) if api_key else ()


def read_keys(path: Path) -> tuple[Key, ...]:
    """The keys of a file; empty if the file does not exist.

    Raises:
        OptionError: the file is not a file of keys, or others can write it.
    """
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            if os.name == "posix" and mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise OptionError(f"others can write {path}, and so add keys; fix it with: chmod 600 {path}")
            entries = json.load(file)["keys"]
        return tuple(Key.from_dict(entry) for entry in entries)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise OptionError(f"{path} cannot be read: {error.strerror}", path=str(path)) from None
    except OptionError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise OptionError(
            f"{path} is damaged, or of an older idseg ({type(error).__name__}); put back a copy of it, or move it away "
            "and make new keys",
            path=str(path),
        ) from None


def write_keys(path: Path, keys: Iterable[Key]) -> None:
    """Replace a file of keys atomically; only its owner can read it.

    Raises:
        OptionError: the file cannot be written.
    """
    write_private(path, json.dumps({"keys": [key.to_dict() for key in keys]}, indent=1).encode() + b"\n")


def add_key(path: Path, *, may_sign: bool = True, note: str = "") -> tuple[Key, str]:
    """Generate a pair of keys and add it to the file. Several processes may do so at the same time.

    Returns:
        the key and its secret.
    """
    with locked(path):
        known = read_keys(path)
        used = {key.app_id for key in known}
        while True:
            api_key, secret_key = new_pair()
            key = Key.of(api_key, secret_key, may_sign=may_sign, note=note)
            if key.app_id not in used:
                write_keys(path, (*known, key))
                return key, secret_key


def remove_key(path: Path, api_key: str) -> None:
    """Remove a key; raises OptionError if the file does not have it."""
    with locked(path):
        known = read_keys(path)
        left = [key for key in known if key.api_key != api_key]
        if len(left) == len(known):
            raise OptionError(f"{path} has no key {api_key}")
        write_keys(path, left)


class Keyring:
    """The valid keys: fixed ones, and those of a file, which is read again when it changes."""

    def __init__(self, fixed: Iterable[Key] = (), path: Path | None = None) -> None:
        self._fixed = tuple(fixed)
        self._path = path
        self._stamp: tuple[int, ...] | None = None
        self._lock = threading.Lock()
        self._keys: dict[str, Key] = {key.api_key: key for key in self._fixed}
        self._refresh()

    def __len__(self) -> int:
        self._refresh()
        return len(self._keys)

    def by_api_key(self, api_key: str) -> Key | None:
        self._refresh()
        return self._keys.get(api_key)

    def by_app_id(self, app_id: int) -> Key | None:
        self._refresh()
        return next((key for key in self._keys.values() if key.app_id == app_id), None)

    def _refresh(self) -> None:
        """Read the file again if its inode, mode, time or size changed. If the new file is damaged, the old keys stay
        valid, and the log reports it."""
        if self._path is None:
            return
        stamp = stamp_of(self._path)
        with self._lock:
            if stamp == self._stamp:
                return
            first, self._stamp = self._stamp is None, stamp
            try:
                self._keys = {key.api_key: key for key in (*read_keys(self._path), *self._fixed)}
            except OptionError as error:
                if first:
                    raise
                log(logging.ERROR, "the file of keys is not used; the keys before it stay in force", why=str(error))

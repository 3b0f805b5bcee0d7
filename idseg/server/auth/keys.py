"""Who may call: pairs of an API key and a secret key, kept so that a stolen file does not tell the secret.

Of a secret we keep its scrypt hash (for the token endpoint) and, unless asked not to, the two HMAC states that
bce-auth signatures can be verified from (see :mod:`idseg.server.auth.midstate` for what a thief could do with those).
Secrets are random, 160 bits: ``idseg keys add`` makes them, and a person's own choice comes only from the
environment.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import secrets
import threading
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from idseg import system
from idseg.errors import OptionError
from idseg.server.auth.midstate import Midstate

_SCRYPT: Final[Mapping[str, int]] = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}
"""About 40 ms and 16 MB on one core; OWASP's 2**17 guards human passwords, these are 160 random bits."""
_ALPHABET: Final = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_API_KEY: Final = re.compile(r"[A-Za-z0-9_-]{4,64}")


@dataclass(frozen=True, slots=True)
class Key:
    """One caller."""

    api_key: str
    app_id: int
    """The number at the end of its tokens: 24.<mac>.<ttl>.<exp>.<uid>-<app>."""
    salt: bytes
    scrypt: bytes
    signing: Midstate | None
    """None: this key may log in but not sign."""
    note: str = ""

    @classmethod
    def of(
        cls, api_key: str, secret_key: str, *, app_id: int | None = None, may_sign: bool = True, note: str = ""
    ) -> Key:
        if not _API_KEY.fullmatch(api_key):
            raise OptionError("an API key is 4 to 64 letters, digits, _ or -", api_key_chars=len(api_key))
        if len(secret_key) < 8 or len(secret_key) > 128:
            raise OptionError("a secret key has 8 to 128 characters", secret_key_chars=len(secret_key))
        salt = secrets.token_bytes(16)
        return cls(
            api_key=api_key,
            app_id=10_000_000 + zlib.crc32(api_key.encode()) % 90_000_000 if app_id is None else app_id,
            salt=salt,
            scrypt=hashlib.scrypt(secret_key.encode(), salt=salt, **_SCRYPT),
            signing=Midstate.of(secret_key.encode()) if may_sign else None,
            note=note,
        )

    def has_secret(self, secret_key: str) -> bool:
        """Constant-time; about 40 ms."""
        found = hashlib.scrypt(secret_key.encode("utf-8", "replace")[:1024], salt=self.salt, **_SCRYPT)
        return hmac.compare_digest(found, self.scrypt)

    def token_secret(self, server_secret: bytes) -> bytes:
        """What this key's tokens are signed with: another secret key, other tokens, so a changed secret ends the old
        ones. The same after a restart, also for a pair of the environment, whose salt is new each time."""
        own = self.scrypt if self.signing is None else self.signing.inner + self.signing.outer
        return hmac.digest(server_secret, own, "sha256")

    def to_dict(self) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "api_key": self.api_key,
            "app_id": self.app_id,
            "salt": _text(self.salt),
            "scrypt": _text(self.scrypt),
        }
        if self.signing is not None:
            entry["signing"] = [_text(self.signing.inner), _text(self.signing.outer)]
        if self.note:
            entry["note"] = self.note
        return entry

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Key:
        signing = entry.get("signing")
        return cls(
            api_key=str(entry["api_key"]),
            app_id=int(entry["app_id"]),
            salt=base64.b64decode(entry["salt"]),
            scrypt=base64.b64decode(entry["scrypt"]),
            signing=None if signing is None else Midstate(*(base64.b64decode(state) for state in signing)),
            note=str(entry.get("note", "")),
        )


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def new_pair() -> tuple[str, str]:
    """A fresh (API key, secret key): 24 and 32 characters, 139 and 186 random bits."""
    api_key, secret_key = ("".join(secrets.choice(_ALPHABET) for _ in range(chars)) for chars in (24, 32))
    return api_key, secret_key


def environment_keys(environment: Mapping[str, str] = os.environ) -> tuple[Key, ...]:
    """The pair in ``IDSEG_API_KEY`` and ``IDSEG_SECRET_KEY``, hashed; empty where neither is set."""
    api_key, secret_key = environment.get("IDSEG_API_KEY", ""), environment.get("IDSEG_SECRET_KEY", "")
    if bool(api_key) != bool(secret_key):
        raise OptionError("set both IDSEG_API_KEY and IDSEG_SECRET_KEY, or neither")
    return (Key.of(api_key, secret_key, note="environment"),) if api_key else ()


def read_keys(path: Path) -> tuple[Key, ...]:
    """The keys of a file; none where there is no file.

    Raises:
        OptionError: the file is not one of ours.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["keys"]
        return tuple(Key.from_dict(entry) for entry in entries)
    except FileNotFoundError:
        return ()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise OptionError(
            f"{path} is no file of keys: {type(error).__name__}; make one with: idseg keys add", path=str(path)
        ) from None


def write_keys(path: Path, keys: Iterable[Key]) -> None:
    """Replace a file of keys in one step; readable by its owner only."""
    write_private(path, json.dumps({"keys": [key.to_dict() for key in keys]}, indent=1).encode() + b"\n")


def write_private(path: Path, content: bytes) -> None:
    """Write a file with mode 0600 and move it to its place, so that no reader ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    system.write(path, content, sync=True, private=True)


class Keyring:
    """The keys in force: fixed ones and those of a file, which is read again when it changes."""

    def __init__(self, fixed: Iterable[Key] = (), path: Path | None = None) -> None:
        self._fixed = tuple(fixed)
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._lock = threading.Lock()
        self._seen: dict[str, bytes] = {}
        self._blind = secrets.token_bytes(32)
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

    def check(self, key: Key, secret_key: str) -> bool:
        """Whether the secret is the key's. The first success of a process costs a scrypt, later ones a hash: what is
        remembered is a keyed hash under a random key of this process."""
        blind = hmac.digest(self._blind, key.scrypt + secret_key.encode("utf-8", "replace"), "sha256")
        if hmac.compare_digest(self._seen.get(key.api_key, b""), blind):
            return True
        if not key.has_secret(secret_key):
            return False
        self._seen[key.api_key] = blind
        return True

    def _refresh(self) -> None:
        """Read the file again if its inode, time or size changed. A file that went bad keeps the keys that were in
        force."""
        if self._path is None:
            return
        try:
            status = self._path.stat()
            stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
        except FileNotFoundError:
            stamp = (0, 0, 0)
        with self._lock:
            if stamp == self._stamp:
                return
            first, self._stamp = self._stamp is None, stamp
            try:
                keys = {key.api_key: key for key in (*read_keys(self._path), *self._fixed)}
            except OptionError:
                if first:
                    raise
                return
            self._keys = keys
            self._seen = {name: blind for name, blind in self._seen.items() if name in keys}

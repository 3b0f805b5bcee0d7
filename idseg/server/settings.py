"""The settings of a server, a frozen value. Worker processes get it as JSON in an environment variable."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final, get_args

from idseg.errors import OptionError
from idseg.system import usable_cores
from idseg.types import Quality

SETTINGS_VARIABLE: Final = "IDSEG_SERVER_SETTINGS"
_ROOT_PATH: Final = re.compile(r"(?:/[\w.~-]+)*", re.ASCII)
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def default_state_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """``$IDSEG_STATE``, or else ``$XDG_STATE_HOME/idseg``, or else ``~/.local/state/idseg``."""
    if explicit := environment.get("IDSEG_STATE"):
        return Path(explicit)
    base = environment.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "idseg"


@dataclass(frozen=True, slots=True)
class Settings:
    """The limits apply to the whole server: one process accepts requests, and ``workers`` processes handle photos."""

    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 0
    """Processes that handle photos, one photo at a time, each with its own models; 0: one per core."""
    queue: int = 64
    """Number of accepted photos that may wait, besides those in work; the next one is refused with code 4."""
    rate_per_s: float = 0.0
    """Requests per second per key (a bucket of one second); 0: no limit. More are refused with code 18."""
    daily_quota: int = 0
    """Requests per day (local time) per key; 0: no limit. More are refused with code 17."""
    auth: bool = True
    lan_address: str = ""
    """On a server without keys: this machine's address in the home network, for one-time links to it."""
    state_folder: str = ""
    """Folder of the token secret and the keys; empty: :func:`default_state_folder`."""
    keys_file: str = ""
    """JSON file of keys; empty: ``keys.json`` in the state folder."""
    token_seconds: int = 2592000
    """Life of an access token, seconds; 30 days as in the cloud."""
    body_timeout_s: float = 30.0
    """Maximum seconds for a body after its headers."""
    answer_timeout_s: float = 60.0
    """Maximum seconds for the answer to an accepted photo, which otherwise gets code 2; a worker that takes longer is
    killed and replaced."""
    header_timeout_s: float = 10.0
    """Maximum seconds for the headers of a request after the connection, or after the previous request."""
    quality: Quality = "best"
    body_memory_mb: int = 128
    """Maximum megabytes of bodies that are being received; the next one is refused with code 4."""
    connections: int = 4096
    """Maximum number of open connections; at the limit, the one that was idle longest is closed. It is lower if the
    system's limit of open files (``ulimit -n``) is."""
    grace_s: int = 60
    """Maximum seconds that a shutdown waits for accepted requests."""
    cors_origins: tuple[str, ...] = ()
    root_path: str = ""
    """The path under which a proxy shows the server, such as ``/idseg``; requests are answered with it and without
    it."""
    tls_cert: str = ""
    tls_key: str = ""
    app: str = "idseg.server.app:create_worker_app"
    """Import path of the ASGI factory."""

    def __post_init__(self) -> None:
        if not self.auth and not self.lan_address and self.host not in LOOPBACK:
            raise OptionError(
                f"a server without keys may only listen on this machine, not on {self.host}; "
                "use --host 127.0.0.1, drop --no-auth, or use --lan",
                host=self.host,
            )
        if self.auth and self.lan_address:
            raise OptionError("a server with keys needs no link")
        if self.quality not in get_args(Quality):
            raise OptionError(
                f"quality {self.quality!r} is none of {', '.join(get_args(Quality))}", quality=self.quality
            )
        if bool(self.tls_cert) != bool(self.tls_key):
            raise OptionError("TLS needs both files: a certificate and its key")
        if not _ROOT_PATH.fullmatch(self.root_path):
            raise OptionError(
                f"the root path {self.root_path!r} is invalid: write /idseg, without a slash at the end",
                root_path=self.root_path,
            )
        for path in filter(None, (self.tls_cert, self.tls_key)):
            try:
                Path(path).open("rb").close()
            except OSError as error:
                raise OptionError(f"the TLS file {path} cannot be read: {error.strerror}", path=path) from None
        for name, low, high in (
            ("port", 0, 65535),
            ("workers", 0, 256),
            ("connections", 8, 1_000_000),
            ("queue", 0, 100_000),
            ("rate_per_s", 0, 1e6),
            ("daily_quota", 0, 10**12),
            ("token_seconds", 1, 10**9),
            ("body_timeout_s", 0.05, 3600),
            ("header_timeout_s", 0.05, 3600),
            ("answer_timeout_s", 0.05, 3600),
            ("body_memory_mb", 1, 1_000_000),
            ("grace_s", 0, 86400),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise OptionError(f"{name} is {value}; allowed are {low} to {high}", option=name)
        if "*" in self.cors_origins and not self.auth:
            raise OptionError("--cors '*' without keys would let every web page use this server; name the origins")

    @property
    def state_path(self) -> Path:
        return Path(self.state_folder) if self.state_folder else default_state_folder()

    @property
    def keys_path(self) -> Path:
        return Path(self.keys_file) if self.keys_file else self.state_path / "keys.json"

    @property
    def worker_count(self) -> int:
        """Number of photos processed at the same time."""
        return self.workers or usable_cores()

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Settings:
        values = json.loads(text)
        values["cors_origins"] = tuple(values.get("cors_origins", ()))
        return cls(**{field.name: values[field.name] for field in fields(cls) if field.name in values})

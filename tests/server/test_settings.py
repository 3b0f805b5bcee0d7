"""Settings and logs."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from idseg.errors import NoPersonError, OptionError
from idseg.server.logs import AtMost, JsonFormatter, logging_config
from idseg.server.settings import Settings, default_state_folder
from idseg.system import usable_cores

NOW = 1_790_000_000


def test_settings_travel() -> None:
    wanted = Settings(port=9, workers=3, cors_origins=("https://a.example",), rate_per_s=1.5)
    assert Settings.from_json(wanted.to_json()) == wanted


@pytest.mark.parametrize(
    "wrong",
    [
        {"auth": False, "host": "0.0.0.0"},  # noqa: S104
        {"auth": False, "host": "192.168.1.5"},
        {"auth": False, "cors_origins": ("*",)},
        {"tls_cert": "a.pem"},
        {"port": 65536},
        {"workers": -1},
        {"connections": 1},
        {"tls_cert": "/nowhere/a.pem", "tls_key": "/nowhere/b.pem"},
        {"queue": -1},
        {"quality": "superb"},
        {"rate_per_s": -1.0},
        {"token_seconds": 0},
    ],
)
def test_dangerous_or_senseless_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        Settings(**wrong)


def test_the_state_folder_follows_the_environment() -> None:
    assert default_state_folder({"IDSEG_STATE": "/a"}) == Path("/a")
    assert default_state_folder({"XDG_STATE_HOME": "/b"}) == Path("/b/idseg")
    assert default_state_folder({}) == Path.home() / ".local/state/idseg"


def test_cores_are_shared_among_workers() -> None:
    assert Settings().worker_count == usable_cores()
    assert Settings(workers=7).worker_count == 7


def _formatted(error: Exception) -> dict[str, Any]:
    try:
        raise error
    except Exception as caught:  # noqa: BLE001
        trace = (type(caught), caught, caught.__traceback__)
    record = logging.LogRecord("idseg.server", logging.ERROR, __file__, 1, "answered", None, trace)
    entry: dict[str, Any] = json.loads(JsonFormatter().format(record))
    return entry


def test_a_log_line_never_quotes_a_foreign_exception() -> None:
    entry = _formatted(ValueError("cannot read b'the photo'"))
    assert entry["error"]["type"] == "ValueError"
    assert any("_formatted" in frame for frame in entry["error"]["frames"])
    assert "the photo" not in json.dumps(entry)
    assert _formatted(NoPersonError("nobody"))["error"]["message"] == "nobody"


def test_uvicorn_writes_no_access_log() -> None:
    """It would hold the query, and so the token."""
    assert logging_config("info")["loggers"]["uvicorn.access"]["handlers"] == []


def test_a_flood_of_one_message_is_cut_short() -> None:
    now = 0.0
    at_most = AtMost(most=3, seconds=10.0, clock=lambda: now)

    def let_through(message: str, count: int) -> int:
        records = [logging.LogRecord("asyncio", logging.ERROR, "", 1, message, None, None) for _ in range(count)]
        return sum(bool(at_most.filter(record)) for record in records)

    assert let_through("out of files", 1000) == 3
    assert let_through("something else", 2) == 2
    now = 11.0
    assert let_through("out of files", 1000) == 3


def test_asyncio_writes_in_our_format_and_not_without_a_bound() -> None:
    config = logging_config("info")
    (handler,) = config["loggers"]["asyncio"]["handlers"]
    assert config["handlers"][handler]["formatter"] == "json"
    assert config["handlers"][handler]["filters"] == ["at_most"]

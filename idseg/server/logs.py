"""Structured logs: one JSON object a line on stderr. Never a photo, a query string, a header, a key's secret or a
token."""

from __future__ import annotations

import json
import logging
import os
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any, Final

from idseg.errors import IdsegError

LOGGER: Final = logging.getLogger("idseg.server")


class JsonFormatter(logging.Formatter):
    """Time, level, logger, message, and what was given as ``extra={"fields": {...}}``; of an exception what
    :func:`describe` says."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": os.getpid(),
            "message": record.getMessage(),
        }
        entry.update(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[1] is not None:
            entry["error"] = describe(record.exc_info[1])
        return json.dumps(entry, ensure_ascii=False, default=str)


class FaultError(Exception):
    """What :func:`describe` says of an exception in a worker process: in place of one that is none of ours, and as the
    cause of one of ours."""

    def __init__(self, described: Mapping[str, Any]) -> None:
        super().__init__(described)
        self.described: Final = described


def describe(error: BaseException) -> dict[str, Any]:
    """An exception's type and where it came from. Its text only where it is one of ours, which hold no photo: another
    library's may quote what it was given."""
    if isinstance(error, FaultError):
        return dict(error.described)
    if isinstance(error.__cause__, FaultError):
        return dict(error.__cause__.described)
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    described: dict[str, Any] = {"type": type(error).__name__, "frames": frames}
    if isinstance(error, IdsegError):
        described["message"] = error.message
    return described


def log(level: int, message: str, *, exc_info: BaseException | None = None, **fields: Any) -> None:
    """One line with fields."""
    LOGGER.log(level, message, exc_info=exc_info, extra={"fields": fields})


class AtMost(logging.Filter):
    """Lets through ``most`` lines of one kind (logger and unformatted message) in ``seconds``; the last of them says
    that more will be dropped. A flood of the same trouble neither fills the disk nor takes the time of the server."""

    def __init__(self, most: int = 20, seconds: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now = self._clock()
        if len(self._seen) > _MOST_KINDS:
            self._seen.clear()
        kind = record.name, str(record.msg)[:100]
        begun, count = self._seen.get(kind, (now, 0))
        if now - begun > self._seconds:
            begun, count = now, 0
        self._seen[kind] = begun, count + 1
        if count + 1 == self._most:
            record.fields = {**getattr(record, "fields", {}), "more_of_these": f"not written for {self._seconds:g} s"}
        return count < self._most


_MOST_KINDS: Final = 1000


TERMINAL: Final = "idseg.terminal"
"""The logger of what a person at the terminal has to see, as text on stdout; the log itself goes to stderr."""


def logging_config(level: str) -> dict[str, Any]:
    """For :func:`logging.config.dictConfig`: uvicorn's and asyncio's messages in the same form, a bounded
    number of each kind, and no access log of uvicorn's, which would write the query string with its token."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "idseg.server.logs.JsonFormatter"}, "plain": {"format": "%(message)s"}},
        "filters": {"at_most": {"()": "idseg.server.logs.AtMost"}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"},
            "terminal": {"class": "logging.StreamHandler", "formatter": "plain", "stream": "ext://sys.stdout"},
            "foreign": {
                "class": "logging.StreamHandler",
                "formatter": "json",
                "stream": "ext://sys.stderr",
                "filters": ["at_most"],
            },
        },
        "loggers": {
            "idseg": {"handlers": ["stderr"], "level": level.upper(), "propagate": False},
            TERMINAL: {"handlers": ["terminal"], "level": "INFO", "propagate": False},
            "asyncio": {"handlers": ["foreign"], "level": level.upper(), "propagate": False},
            "uvicorn": {"handlers": ["foreign"], "level": level.upper(), "propagate": False},
            "uvicorn.access": {"handlers": [], "level": "CRITICAL", "propagate": False},
        },
    }

"""Structured logs: one JSON object per line on stderr. They never contain a photo, a query string, a header, a secret
key or a token."""

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
    """Writes time, level, logger, message, and the values in ``extra={"fields": {...}}``; for an exception, the result
    of :func:`describe`."""

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
    """Carries the result of :func:`describe` from a worker process: instead of an exception that is not idseg's, or as
    the cause of one that is."""

    def __init__(self, described: Mapping[str, Any]) -> None:
        super().__init__(described)
        self.described: Final = described


def describe(error: BaseException) -> dict[str, Any]:
    """An exception's type and origin. Its text is included only for idseg's errors, which contain no photo; the text of
    others may quote their input."""
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
    """Log one line with fields."""
    LOGGER.log(level, message, exc_info=exc_info, extra={"fields": fields})


class AtMost(logging.Filter):
    """Passes at most ``most`` lines of one kind (logger and unformatted message) per ``seconds``; the last one says
    that more are dropped. So a flood of equal errors fills neither the disk nor the server's time."""

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
"""Logger for messages to the person at the terminal, as text on stdout. The log itself goes to stderr."""


def logging_config(level: str) -> dict[str, Any]:
    """The configuration for :func:`logging.config.dictConfig`: messages of uvicorn and asyncio in the same form,
    limited per kind, without uvicorn's access log, which would contain the query string with the token."""
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

"""Structured logs: one JSON object a line on stderr. Never a photo, a query string, a header, a key's secret or a
token."""

from __future__ import annotations

import json
import logging
import os
import time
import traceback
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


def describe(error: BaseException) -> dict[str, Any]:
    """An exception's type and where it came from. Its text only where it is one of ours, which hold no photo: another
    library's may quote what it was given."""
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    described: dict[str, Any] = {"type": type(error).__name__, "frames": frames}
    if isinstance(error, IdsegError):
        described["message"] = error.message
    return described


def log(level: int, message: str, *, exc_info: BaseException | None = None, **fields: Any) -> None:
    """One line with fields."""
    LOGGER.log(level, message, exc_info=exc_info, extra={"fields": fields})


def logging_config(level: str) -> dict[str, Any]:
    """For :func:`logging.config.dictConfig`: uvicorn's own messages in the same form, and no access log of
    uvicorn's, which would write the query string with its token."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "idseg.server.logs.JsonFormatter"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
        "loggers": {
            "idseg": {"handlers": ["stderr"], "level": level.upper(), "propagate": False},
            "uvicorn": {"handlers": ["stderr"], "level": level.upper(), "propagate": False},
            "uvicorn.access": {"handlers": [], "level": "CRITICAL", "propagate": False},
        },
    }

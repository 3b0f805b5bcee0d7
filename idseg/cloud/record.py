"""Send photos to a service of the API and save the replies beside them, for ``idseg compare``.

A run can be resumed: a photo with a final reply (a result, or an error of the photo itself) is not sent again. The
calls are slow on purpose: cloud accounts allow only a few calls per second, and refused calls (code 18) count too.
"""

from __future__ import annotations

import filecmp
import itertools
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from idseg import system
from idseg.cloud.client import ApiError, LimitError, PhotoError, ServiceError, TransportError
from idseg.cloud.compare import read
from idseg.errors import InputError, OptionError

_LONGEST_WAIT_S = 60.0
_FIRST_WAIT_S = 1.0
_FINAL_CODES = range(216000, 217000)
"""Codes of errors of the photo itself. Sending the photo again would give the same code."""


class Service(Protocol):
    """The interface of :class:`idseg.cloud.client.Client` that this module needs."""

    def body_seg_photo(self, photo: Path, /) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Recorded:
    """The outcome of one photo."""

    photo: Path
    state: Literal["answer", "refused", "kept", "failed"]
    """``answer``: a result; ``refused``: an error of the photo; ``kept``: a final reply existed; ``failed``: none."""
    message: str = ""


class Timing(NamedTuple):
    """Functions that read the time and that wait, in seconds."""

    now: Callable[[], float]
    wait: Callable[[float], None]


SYSTEM_TIME = Timing(time.monotonic, time.sleep)


def record(
    photos: Iterable[Path],
    service: Service,
    folder: Path | None = None,
    *,
    per_second: float = 2.0,
    tries: int = 5,
    clock: Timing = SYSTEM_TIME,
) -> Iterator[Recorded]:
    """Send the photos one after the other; yields the outcome of each.

    Args:
        photos: photo files.
        service: a client of the API.
        folder: folder for the replies and copies of the photos; None: beside the photos. In ``folder``, photos with the
            same name get ``NAME``, ``NAME-2``, …, and the same names again when the run is repeated. Beside the photos
            their replies would overwrite each other, so there it is an error.
        per_second: maximum number of calls per second.
        tries: maximum number of calls per photo while the service is busy, unreachable or failing. The waits between
            them are 1, 2, 4 … 60 s.
        clock: functions for time and waiting; a test passes its own.

    Raises:
        LoginError, AuthorizationError: the keys are refused, so every photo would fail.
        OptionError: two photos would share a reply file, or ``per_second`` is not positive.
    """
    if per_second <= 0:
        raise OptionError(f"{per_second:g} calls a second; it must be more than 0", per_second=per_second)
    targets = _targets(list(photos), folder)
    pace = _Pace(1 / per_second, clock)
    for photo, target in targets:
        if _final(photo, target):
            yield Recorded(photo, "kept")
            continue
        yield _one(photo, target, service, pace, tries)


def _targets(photos: list[Path], folder: Path | None) -> list[tuple[Path, Path]]:
    """Each photo and the path of its reply, decided before the first call."""
    if folder is not None:
        return _numbered(photos, folder)
    targets = [(photo, photo.with_suffix(".json")) for photo in photos]
    seen: dict[Path, Path] = {}
    for photo, target in targets:
        if target in seen:
            raise OptionError(f"{seen[target]} and {photo} would both be saved as {target}; name a folder with -o")
        seen[target] = photo
    return targets


def _numbered(photos: list[Path], folder: Path) -> list[tuple[Path, Path]]:
    """Names in ``folder``: the name of an existing copy of the same photo, or else the first free one."""
    names = os.listdir(folder) if folder.is_dir() else []
    copies: dict[str, list[Path]] = {}
    for name in names:
        copies.setdefault(os.path.splitext(name)[0].casefold(), []).append(folder / name)
    taken: set[str] = set()
    targets = []
    for photo in photos:
        for count in itertools.count(1):
            stem = photo.stem if count == 1 else f"{photo.stem}-{count}"
            there = copies.get(stem.casefold(), [])
            ours = any(_same(photo, path) for path in there if path.suffix != ".json")
            if stem.casefold() not in taken and (ours or not there):
                taken.add(stem.casefold())
                targets.append((photo, folder / f"{stem}.json"))
                break
    return targets


def _same(photo: Path, copy: Path) -> bool:
    try:
        return photo.suffix == copy.suffix and filecmp.cmp(photo, copy, shallow=False)
    except OSError:
        return False


def _final(photo: Path, target: Path) -> bool:
    """Whether the photo has a reply, newer than itself, that another call would not change."""
    try:
        if not target.is_file() or (target.parent == photo.parent and _newer(photo, target)):
            return False
    except OSError:
        return False
    try:
        outcome = read.read_file(target)
    except InputError:
        return False
    return isinstance(outcome, read.SavedResult) or outcome.code in _FINAL_CODES


def _one(photo: Path, target: Path, service: Service, pace: _Pace, tries: int) -> Recorded:
    message = ""
    for turn in range(tries):
        pace.next(0.0 if turn == 0 else min(_FIRST_WAIT_S * 2 ** (turn - 1), _LONGEST_WAIT_S))
        try:
            reply = service.body_seg_photo(photo)
        except PhotoError as error:
            return _saved(photo, target, _as_reply(error), Recorded(photo, "refused", error.message))
        except (LimitError, ServiceError, TransportError) as error:
            message = error.message
        except InputError as error:
            return Recorded(photo, "failed", error.message)
        else:
            return _saved(photo, target, reply, Recorded(photo, "answer"))
    return Recorded(photo, "failed", f"{message} (asked {tries} times)")


def _saved(photo: Path, target: Path, reply: Mapping[str, Any], recorded: Recorded) -> Recorded:
    """Save the reply, and a copy of the photo unless it is beside it; returns ``recorded``, or the failure to save."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = target.with_suffix(photo.suffix)
        if not copy.exists():
            system.write(copy, photo.read_bytes())
        system.write(target, json.dumps(reply, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")
    except OSError as error:
        return Recorded(photo, "failed", f"the reply came but cannot be saved: {error.strerror or error}")
    return recorded


def _newer(photo: Path, reply: Path) -> bool:
    return photo.stat().st_mtime_ns > reply.stat().st_mtime_ns


def _as_reply(error: ApiError) -> dict[str, Any]:
    """The JSON of the error, as the service sent it."""
    reply: dict[str, Any] = {"error_code": error.code, "error_msg": error.text}
    if error.log_id is not None:
        reply["log_id"] = error.log_id
    if error.detail:
        reply["error_detail"] = error.detail
    return reply


class _Pace:
    """Starts calls at least ``every`` seconds apart."""

    def __init__(self, every: float, clock: Timing) -> None:
        self._every = every
        self._clock = clock
        self._free_at = clock.now()

    def next(self, rest_s: float) -> None:
        """Wait until the next call may start, and at least ``rest_s`` seconds."""
        now = self._clock.now()
        start = max(now + rest_s, self._free_at)
        if start > now:
            self._clock.wait(start - now)
        self._free_at = start + self._every

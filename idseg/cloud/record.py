"""Call a service of the API for every photo and save its replies beside them: what ``idseg compare`` reads.

Resumable: a photo with a final reply (a result, or an error of the photo's own) is not sent again. It is slow on
purpose: cloud accounts allow a few calls a second, and a call that is refused (code 18) counts too.
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
"""Errors of the photo itself: asking again gives the same."""


class Service(Protocol):
    """What a :class:`idseg.cloud.client.Client` can do."""

    def body_seg_photo(self, photo: Path, /) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of one photo."""

    photo: Path
    state: Literal["answer", "refused", "kept", "failed"]
    """``refused``: the reply is an error of the photo's; ``kept``: a final reply was there; ``failed``: none came."""
    message: str = ""


class Timing(NamedTuple):
    """How to read the time and how to wait, in seconds."""

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
    """Send photos one after the other; yields what became of each.

    Args:
        photos: photo files.
        service: a client of the API.
        folder: where replies (and copies of the photos) go; None: beside the photos. Photos of one name get ``NAME``,
            ``NAME-2``, … in ``folder``, and the same ones again when it is started again; beside the photos that would
            be another photo's reply, so there it is an error.
        per_second: calls a second, at most.
        tries: calls for one photo, at most, where the service is busy, away or at fault; waits 1, 2, 4 … 60 s between.
        clock: the time; a test has its own.

    Raises:
        LoginError, AuthorizationError: the keys are refused: no photo would pass.
        OptionError: see above.
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
    """Each photo and where its reply goes, settled before the first call."""
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
    """Names in ``folder``: the one under which a copy of the same photo lies there, else the first free one."""
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
    """Whether there is a reply to this photo, as it is now, that asking again would not change."""
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
    """``recorded``, once the reply lies in its place, with a copy of the photo where it is not beside it."""
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
    """The error's JSON again, as the service sent it."""
    reply: dict[str, Any] = {"error_code": error.code, "error_msg": error.text}
    if error.log_id is not None:
        reply["log_id"] = error.log_id
    if error.detail:
        reply["error_detail"] = error.detail
    return reply


class _Pace:
    """Lets calls start no faster than one in ``every`` seconds."""

    def __init__(self, every: float, clock: Timing) -> None:
        self._every = every
        self._clock = clock
        self._free_at = clock.now()

    def next(self, rest_s: float) -> None:
        """Wait for the next turn, at least ``rest_s`` seconds."""
        now = self._clock.now()
        start = max(now + rest_s, self._free_at)
        if start > now:
            self._clock.wait(start - now)
        self._free_at = start + self._every

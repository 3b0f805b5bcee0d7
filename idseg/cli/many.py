"""Shared by all commands that take several photos: unique file names, errors of single photos, summary, exit code.

::

    names = unique([photo.stem for photo in photos])           # before any work
    failures = each_photo(photos, make, load=segmenter.warm)   # reports a bad photo and continues
    finish(failures)                                           # exit code
"""

from __future__ import annotations

import errno
import io
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from idseg.cli.runner import EXIT_CODES, EXIT_SOME_FAILED
from idseg.errors import DependencyError, IdsegError, ModelError, ProviderError

_ERRORS_FOR_ALL = (ModelError, ProviderError, DependencyError)
"""Errors that every later photo would have too; they end the command."""
_NO_MORE_WRITING = frozenset({errno.ENOSPC, errno.EROFS, errno.EDQUOT})
"""Such errors of the output folder."""


class OutputError(IdsegError, OSError):
    """A file or folder cannot be written."""

    reason = "output"


class UnexpectedError(IdsegError):
    """An error in idseg, which must not stop the other photos."""

    reason = "fault"


def unique(names: Sequence[str]) -> list[str]:
    """The names, made unique: a later equal name gets ``-2``, ``-3``, … (case is ignored, as on Windows and macOS). A
    name that occurs once never changes, so ``x x x-2`` become ``x x-3 x-2``.
    """
    taken = {name.casefold() for name in names}
    first: set[str] = set()
    settled = []
    for name in names:
        chosen, count = name, 2
        if name.casefold() in first:
            while (chosen := f"{name}-{count}").casefold() in taken:
                count += 1
        taken.add(chosen.casefold())
        first.add(chosen.casefold())
        settled.append(chosen)
    return settled


def each_photo(
    photos: Sequence[Path],
    make: Callable[[int, Path], str | None],
    *,
    load: Callable[[], object] = lambda: None,
    tell_failure: Callable[[Path, IdsegError], str | None] = lambda photo, error: None,
    done: str = "done",
) -> list[IdsegError]:
    """Process all photos with a progress bar on stderr. A photo's error is reported there, and the others continue.

    Args:
        photos: the photos.
        make: processes one (number from 0, photo) and returns a text for stdout, or None.
        load: called before the first of several photos, while the bar says that models are loading.
        tell_failure: returns a text for stdout instead of a failed photo's, or None.
        done: the summary's word for photos that did not fail.

    Returns:
        one error for each photo that failed; pass them to :func:`finish`.

    Raises:
        IdsegError: an error that all photos would have (model files, provider, a full disk).
    """
    from tqdm import tqdm

    many = len(photos) > 1
    failures: list[IdsegError] = []
    with tqdm(total=len(photos), unit="photo", disable=not many and not sys.stderr.isatty(), leave=many) as bar:

        def tell(text: str | None, *, err: bool = False) -> None:
            if text is not None:
                with tqdm.external_write_mode():
                    click.echo(text, err=err)

        bar.set_description("loading models")
        if many:
            load()
        for number, photo in enumerate(photos):
            bar.set_description(photo.name[:24])
            try:
                text = make(number, photo)
            except _ERRORS_FOR_ALL:
                raise
            except Exception as error:  # noqa: BLE001 - a fault in one photo of many must not stop the others
                failures.append(_as_idseg_error(error))
                tell(f"{photo}: {failures[-1]}", err=True)
                tell(tell_failure(photo, failures[-1]))
            else:
                tell(text)
            bar.update()
    if many:
        click.echo(_summary(len(photos), failures, done), err=True)
    return failures


def _as_idseg_error(error: Exception) -> IdsegError:
    """Convert the error to an IdsegError with a one-line message.

    Raises:
        OutputError: no later photo could be written either.
    """
    if isinstance(error, IdsegError):
        return error
    if isinstance(error, OSError):
        where = f" {error.filename}" if error.filename else ""
        ours = OutputError(f"cannot write{where}: {error.strerror or error}")
        if error.errno in _NO_MORE_WRITING:
            raise ours from error
        return ours
    if isinstance(error, MemoryError):
        return UnexpectedError("not enough memory for this photo")
    return UnexpectedError(f"an error in idseg, please report it: {type(error).__name__}: {error}")


def _summary(total: int, failures: Sequence[IdsegError], done: str) -> str:
    if not failures:
        return f"{total} of {total} photos {done}"
    reasons = Counter(failure.reason.replace("_", " ") for failure in failures).most_common()
    reasons_text = ", ".join(f"{count} {reason}" for reason, count in reasons)
    return f"{total - len(failures)} of {total} photos {done}; {len(failures)} failed: {reasons_text}"


def finish(failures: Sequence[IdsegError], *codes: int) -> NoReturn:
    """End the command with exit code 0, the code that all failures and ``codes`` share, or 1 for different codes."""
    found = {
        next((code for kind, code in EXIT_CODES.items() if isinstance(failure, kind)), EXIT_SOME_FAILED)
        for failure in failures
    } | {code for code in codes if code}
    sys.exit(0 if not found else found.pop() if len(found) == 1 else EXIT_SOME_FAILED)


def json_line(value: Any) -> str:
    """One line of JSON that the terminal can show: non-ASCII letters as they are if stdout is UTF-8, otherwise as
    ``\\u5f20``."""
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower().replace("-", "")
    return json.dumps(value, ensure_ascii=encoding != "utf8", separators=(",", ":"))


def survive_any_terminal() -> None:
    """Let stdout and stderr write characters that their encoding lacks (Windows code pages, ``LC_ALL=C``, undecodable
    names) as ``\\u5f20`` instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

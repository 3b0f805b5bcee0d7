"""Finds the photos: folders, files, globs, manifests, Parquet files, and URLs that fsspec can list."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence

from idseg.batch import manifest, parquet, storage
from idseg.batch.items import Item, Trouble, number64
from idseg.batch.walk import SYSTEM_FOLDERS, Found, Skip, is_photo, is_photo_name, item, walk
from idseg.errors import OptionError

_MAGIC = re.compile(r"[*?\[]")
_NAME_PART = re.compile(r"\[[!^]?\]?[^\]/]*\]|.", re.DOTALL)
"""A character, or a set of characters, of a glob."""


Excluded = Callable[[str], bool]
"""Whether a path below a source is excluded."""


def find(sources: Sequence[str], out: str, exclude: Sequence[str] = ()) -> Iterator[Found]:
    """Find all photos of ``sources``, each once, in a fixed order; also yields skipped files and unusable ones.

    The paths of the answers are relative to the folder, or to the common folder of several sources. Manifests and
    Parquet files name their photos themselves.

    Args:
        sources: local paths, globs, manifests, Parquet files, URLs.
        out: the output folder, which is not searched.
        exclude: globs of excluded files. A glob without ``/`` is compared with each file's and folder's name, a glob
            with ``/`` with the path below the source.

    Raises:
        OptionError: a source does not exist, ``out`` is or contains a source, or a glob is invalid.
    """
    check(sources, out)
    excluded = excluder(exclude)
    local_out = None if storage.is_url(out) else out
    top = _common_top([_top(source) for source in sources if _has_tree(source)])
    if len(sources) == 1 and _has_tree(sources[0]):
        yield from _from(sources[0], top, local_out, excluded)  # a single tree contains no photo twice
        return
    seen: dict[int, int] = {}
    for source in sources:
        for found in _from(source, top, local_out, excluded):
            yield _once(found, seen) if isinstance(found, Item) else found


def read(source: str, most_bytes: int) -> bytes:
    """Read a photo's bytes from a file, a URL or a Parquet row; at most ``most_bytes`` + 1.

    Raises:
        PhotoReadError: the photo does not exist or cannot be read.
    """
    row = parquet.row_of(source)
    return storage.read(source, most_bytes) if row is None else parquet.read_row(*row)[: most_bytes + 1]


def check(sources: Sequence[str], out: str) -> None:
    """Raises OptionError, before any work, if the sources and the output folder do not fit together."""
    if not sources:
        raise OptionError("no input: name a folder, files, a glob or a manifest")
    for source in sources:
        if source.lower().endswith((".xlsx", ".xls", ".ods", ".numbers")):
            raise OptionError(f"{source} is a spreadsheet: save its table as CSV first", path=source)
        if storage.is_url(source):
            continue
        if not os.path.lexists(source) and not _MAGIC.search(source):
            raise OptionError(f"{source} does not exist", path=source)
        top = os.path.realpath(_top(source))
        if not storage.is_url(out) and os.path.isdir(top) and _has_tree(source):
            answers = os.path.realpath(out)
            if os.path.isdir(source) and os.path.commonpath([answers, top]) == answers:
                raise OptionError(f"the output folder {out} is or contains the input {source}: name another", path=out)


def _has_tree(source: str) -> bool:
    return not manifest.is_manifest(source) and not parquet.is_parquet(source)


def _top(source: str) -> str:
    """The folder to which the names of a source's photos are relative."""
    if storage.is_url(source):
        return source.rstrip("/")
    match = None if os.path.lexists(source) else _MAGIC.search(source)
    if match:
        return source[: match.start()].rpartition("/")[0] or ("/" if source.startswith("/") else ".")
    return source if os.path.isdir(source) else os.path.dirname(source) or "."


def _common_top(tops: Sequence[str]) -> str:
    if not tops or any(storage.is_url(top) for top in tops):
        return ""
    return os.path.commonpath([os.path.abspath(top) for top in tops])


def _from(source: str, top: str, out: str | None, excluded: Excluded) -> Iterator[Found]:
    if parquet.is_parquet(source):
        yield from _without(parquet.find_rows(source), excluded)
    elif storage.is_url(source):
        yield from _from_url(source, excluded)
    elif manifest.is_manifest(source):
        yield from _without(manifest.read_manifest(source), excluded)
    elif os.path.isdir(source):
        yield from _moved(walk(source, out, excluded), _prefix(source, top))
    elif os.path.lexists(source):
        name = os.path.basename(source)
        yield (
            Skip.EXCLUDED if excluded(name) else _one_file(source, _prefix(os.path.dirname(source) or ".", top) + name)
        )
    else:
        yield from _moved(_glob(source, out, excluded), _prefix(_top(source), top))


def _without(founds: Iterator[Found], excluded: Excluded) -> Iterator[Found]:
    for found in founds:
        yield Skip.EXCLUDED if isinstance(found, Item) and excluded(found.key) else found


def _prefix(folder: str, top: str) -> str:
    inside = os.path.relpath(os.path.abspath(folder), top) if top else os.curdir
    return "" if inside == os.curdir else inside.replace(os.sep, "/") + "/"


def _moved(founds: Iterator[Found], prefix: str) -> Iterator[Found]:
    for found in founds:
        if isinstance(found, Item):
            yield Item(prefix + found.key, found.source, found.version) if prefix else found
        elif isinstance(found, Trouble):
            yield Trouble(prefix + found.key, found.reason, found.message)
        else:
            yield found


def _one_file(path: str, key: str) -> Found:
    try:
        return item(path, key) if is_photo(path) else Skip.OTHER
    except OSError as error:
        return Trouble(key, "photo_read", f"Cannot read it: {error.strerror}.")


def _from_url(url: str, excluded: Excluded) -> Iterator[Found]:
    try:
        for key, source, version in storage.walk_url(url):
            parts = key.split("/")
            if any(part.startswith(".") for part in parts):
                yield Skip.HIDDEN
            elif any(part.lower() in SYSTEM_FOLDERS for part in parts[:-1]):
                yield Skip.SYSTEM
            elif excluded(key):
                yield Skip.EXCLUDED
            else:
                yield Item(key, source, version) if is_photo_name(key) else Skip.OTHER
    except OSError as error:
        raise OptionError(f"cannot list {url}: {error}", path=url) from error


def _glob(pattern: str, out: str | None, excluded: Excluded) -> Iterator[Found]:
    """Walk the fixed part of the pattern and yield only matching photos; ``**`` matches any number of folders."""
    top = _top(pattern)
    rest = pattern[len(top) :].lstrip("/") if top != "." else pattern.removeprefix("./")
    matches = _compiled(rest)
    for found in walk(top, out, excluded):
        if isinstance(found, Skip) or matches(found.key):
            yield found


def excluder(globs: Sequence[str]) -> Excluded:
    """Return a function that tells whether a path, or a folder above it, is excluded by one of the globs.

    Raises:
        OptionError: a glob is empty or invalid.
    """
    names = [_compiled(glob) for glob in globs if "/" not in glob.strip("/")]
    paths = [_compiled(glob.strip("/")) for glob in globs if "/" in glob.strip("/")]

    def excluded(key: str) -> bool:
        parts = key.rstrip("/").split("/")
        return any(matches(part) for matches in names for part in parts) or any(
            matches("/".join(parts[:depth])) for matches in paths for depth in range(1, len(parts) + 1)
        )

    return excluded


def _compiled(glob: str) -> Callable[[str], object]:
    try:
        if not glob.strip("/"):
            raise re.error("it is empty")
        return re.compile(_glob_regex(glob.strip("/")), re.DOTALL).fullmatch
    except re.error as error:
        raise OptionError(f"{glob!r} is not a glob: {error.msg}", glob=glob) from None


def _glob_regex(pattern: str) -> str:
    names = pattern.split("/")
    parts = ["(?:[^/]+/)*" if name == "**" else _NAME_PART.sub(_part_regex, name) + "/" for name in names[:-1]]
    return "".join(parts) + (".*" if names[-1] == "**" else _NAME_PART.sub(_part_regex, names[-1]))


def _part_regex(match: re.Match[str]) -> str:
    part = match[0]
    if part in "*?":
        return "[^/]*" if part == "*" else "[^/]"
    if len(part) > 1:
        inside = part[1:-1].replace("\\", "\\\\")
        if inside in ("", "!", "^"):
            return re.escape(part)  # an empty set is literal, as in Python's fnmatch
        return f"[^{inside[1:]}]" if inside[0] in "!^" else f"[{inside}]"
    return re.escape(part)


def _once(found: Item, seen: dict[int, int]) -> Found:
    """The item; Skip if it was found before; Trouble if another photo has the same name."""
    key, source = number64(found.key), number64(os.path.realpath(found.source))
    if key not in seen:
        seen[key] = source
        return found
    if seen[key] == source:
        return Skip.TWICE
    return Trouble(
        f"{found.key} ({found.source})", "name_clash", f"Another photo is already called {found.key} in this batch."
    )

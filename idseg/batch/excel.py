"""CSV files as people's programs write them: Excel of any language, Google Sheets, text editors, databases.

* Encoding: a byte order mark decides; without one UTF-16 is seen by its zero bytes, and UTF-8 by being valid. Anything
  else is one of :data:`_LEGACY`: the one under which most of the listed files exist.
* Delimiter: Excel's own first line ``sep=;`` decides; else the one of ``, ; TAB |`` that splits the first line so that
  a wanted column appears.
* Names of columns in any case, blanks around names and values, rows without any value.
"""

from __future__ import annotations

import codecs
import csv
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import IO

from idseg.errors import OptionError

Row = Mapping[str, str]
"""Column, in lower case → value without the blanks around it; columns without a name are left out."""

_SAMPLE_BYTES = 64 * 1024
_DELIMITERS = (",", ";", "\t", "|")
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_LEGACY = ("gb18030", "cp1252", "big5", "cp932", "cp949")
"""What Excel saves as plain "CSV" in China (a superset of GBK), western Europe, Taiwan, Japan and Korea; in this order
where none makes more listed files exist than another."""


def encoding_of(path: str, is_there: Callable[[str], bool]) -> str:
    """The text encoding of a file.

    Args:
        path: the file.
        is_there: whether a value of the file names something that exists; decides between legacy encodings.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        sample = file.read(_SAMPLE_BYTES)
        for mark, encoding in _MARKS:
            if sample.startswith(mark):
                return encoding
        if b"\0" in sample[:200]:
            return "utf-16-be" if sample[:1] == b"\0" else "utf-16-le"
        file.seek(0)
        if _is_utf8(file):
            return "utf-8"
    lines = [line for line in sample.splitlines() if not line.isascii()][:200]
    scores = {encoding: _score(lines, encoding, is_there) for encoding in (*_LEGACY, "utf-8")}
    return max(scores, key=lambda encoding: scores[encoding])  # the first of the best


def rows(file: IO[str], path: str, wanted: Collection[str]) -> Iterator[tuple[int, Row]]:
    """(line number, row) of a CSV file that was opened with ``newline=""``.

    Args:
        file: the text.
        path: its name, for messages; ``.tsv`` expects tabs.
        wanted: columns of which at least one must be there, in lower case.

    Raises:
        OptionError: no such column, or a line that is not CSV.
    """
    first = file.readline()
    skipped = 0
    delimiters: tuple[str, ...] = ("\t", *_DELIMITERS) if path.lower().endswith(".tsv") else _DELIMITERS
    hint = first.strip().strip('"')
    if hint.lower().startswith("sep=") and len(hint) <= 5:
        delimiters = (hint[4:] or "\t",)  # ``sep=`` and a tab: strip() took it
        first, skipped = file.readline(), 1
    delimiter = next((each for each in delimiters if _columns(first, each) & set(wanted)), None)
    if delimiter is None:
        shown = first.strip()[:200]
        raise OptionError(f"{path} has no column {', '.join(sorted(wanted))}; its first line is {shown!r}", path=path)
    names = [_name(name) for name in next(csv.reader([first], delimiter=delimiter, skipinitialspace=True))]
    yield from _rows(file, path, names, delimiter, 1 + skipped)


def _rows(file: IO[str], path: str, names: list[str], delimiter: str, line: int) -> Iterator[tuple[int, Row]]:
    """The rows after the first one; ``line`` lines are behind us."""
    lines: list[str] = []  # of the row that is being read

    def remembered() -> Iterator[str]:
        for text in file:
            lines.append(text)
            yield text

    reader = csv.reader(remembered(), delimiter=delimiter, skipinitialspace=delimiter != "\t")
    try:
        for values in reader:
            if len(lines) > 1:
                _check_closed(lines, delimiter)
            lines.clear()
            row = {name: value.strip() for name, value in zip(names, values, strict=False) if name}
            if any(row.values()):
                yield line + reader.line_num, row
    except csv.Error as error:
        begun = line + reader.line_num - len(lines) + 1
        raise OptionError(
            f"{path}, in the row that begins in line {begun}: {error}. Is a quotation mark not closed?", path=path
        ) from error


def _check_closed(lines: list[str], delimiter: str) -> None:
    """Raises csv.Error where a row of several lines ends within quotation marks: it has swallowed all that follow."""
    try:
        list(csv.reader(lines, delimiter=delimiter, skipinitialspace=delimiter != "\t", strict=True))
    except csv.Error as error:
        if "end of data" in str(error):
            raise


def _columns(first: str, delimiter: str) -> set[str]:
    try:
        return {_name(name) for name in next(csv.reader([first], delimiter=delimiter, skipinitialspace=True), [])}
    except csv.Error:
        return set()


def _name(text: str) -> str:
    return text.strip().strip("\ufeff").casefold()


def _is_utf8(file: IO[bytes]) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while block := file.read(2**20):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _score(lines: list[bytes], encoding: str, is_there: Callable[[str], bool]) -> int:
    """How many of the lines name something that exists, read in that encoding; -1 where they cannot be read."""
    score = 0
    for line in lines:
        try:
            text = line.decode(encoding, "surrogateescape" if encoding == "utf-8" else "strict")
        except UnicodeDecodeError:
            return -1
        for delimiter in _DELIMITERS:
            values = (value.strip().strip('"').strip() for value in text.split(delimiter))
            if any(value and is_there(value) for value in values):
                score += 1
                break
    return score


def exists(folder: str, text: str) -> bool:
    """Whether a manifest's value names a file, in ``folder`` or by its whole path; ``\\`` may stand for ``/``."""
    try:
        return any(os.path.isfile(os.path.join(folder, name)) for name in (text, text.replace("\\", "/")))
    except (OSError, ValueError):  # ValueError: a NUL
        return False

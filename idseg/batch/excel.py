"""Reads CSV files of any origin: Excel in any language, Google Sheets, text editors, databases.

* Encoding: a byte order mark decides. Without one, zero bytes mean UTF-16, and valid UTF-8 means UTF-8. Otherwise it is
  the encoding of :data:`_LEGACY` under which most of the listed files exist.
* Delimiter: Excel's first line ``sep=;`` decides. Otherwise it is the one of ``, ; TAB |`` that splits the first line
  so that a wanted column appears.
* Column names may have any case, blanks may surround names and values, and rows may be empty.
"""

from __future__ import annotations

import codecs
import csv
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import IO

from idseg.errors import OptionError

Row = Mapping[str, str]
"""Column name in lower case → value without surrounding blanks. Columns without a name are left out."""

_SAMPLE_BYTES = 64 * 1024
_DELIMITERS = (",", ";", "\t", "|")
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_LEGACY = ("gb18030", "cp1252", "big5", "cp932", "cp949")
"""Excel's encodings for plain "CSV" in China (a superset of GBK), western Europe, Taiwan, Japan and Korea. If several
make the same number of listed files exist, the first one is used."""


def encoding_of(path: str, is_there: Callable[[str], bool]) -> str:
    """Determine the text encoding of a file.

    Args:
        path: the file.
        is_there: whether a value of the file names something that exists; decides between legacy encodings.

    Raises:
        OSError: the file cannot be read.
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
    return max(scores, key=lambda encoding: scores[encoding])  # the first one with the best score


def rows(file: IO[str], path: str, wanted: Collection[str]) -> Iterator[tuple[int, Row]]:
    """Yield (line number, row) of a CSV file that was opened with ``newline=""``.

    Args:
        file: the text.
        path: the file's name, for messages; ``.tsv`` expects tabs.
        wanted: column names in lower case; at least one must exist.

    Raises:
        OptionError: none of the columns exists, or a line is not CSV.
    """
    first = file.readline()
    skipped = 0
    delimiters: tuple[str, ...] = ("\t", *_DELIMITERS) if path.lower().endswith(".tsv") else _DELIMITERS
    hint = first.strip().strip('"')
    if hint.lower().startswith("sep=") and len(hint) <= 5:
        delimiters = (hint[4:] or "\t",)  # ``sep=`` and a tab, which strip() removed
        first, skipped = file.readline(), 1
    delimiter = next((each for each in delimiters if _columns(first, each) & set(wanted)), None)
    if delimiter is None:
        shown = first.strip()[:200]
        raise OptionError(f"{path} has no column {', '.join(sorted(wanted))}; its first line is {shown!r}", path=path)
    names = [_name(name) for name in next(csv.reader([first], delimiter=delimiter, skipinitialspace=True))]
    yield from _rows(file, path, names, delimiter, 1 + skipped)


def _rows(file: IO[str], path: str, names: list[str], delimiter: str, line: int) -> Iterator[tuple[int, Row]]:
    """The rows after the first one; ``line`` lines were already read."""
    lines: list[str] = []  # lines of the current row

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
    """Raises csv.Error if a row of several lines ends inside quotation marks, because it has swallowed later rows."""
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
    """Number of lines that name something that exists, read in that encoding; -1 if they cannot be decoded."""
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
    """Whether a manifest's value names a file, relative to ``folder`` or absolute; ``\\`` may stand for ``/``."""
    try:
        return any(os.path.isfile(os.path.join(folder, name)) for name in (text, text.replace("\\", "/")))
    except (OSError, ValueError):  # ValueError: a NUL
        return False

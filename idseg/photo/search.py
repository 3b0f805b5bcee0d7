"""Finds documents from a query: ``UK passport photo``, ``2x2``, ``护照 蓝底``, ``green card``, ``295x413``.

Query and rows are parsed by the same function (``_read``), which takes the longest known phrase at each place. So
``UK``, ``Britain`` and ``英国`` become one term, ``@GB``, and ``passport`` and ``护照`` another, ``#passport``. A
row matches if it has every term of the query, in any order. Words that do not identify a document (photo, size, 照片,
蓝底) are ignored. Words such as ``online`` exclude no document but affect the order.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

from idseg.photo import words
from idseg.photo.numbers import Number, find_number, size_by_number
from idseg.photo.size import PhotoSize
from idseg.photo.table import load_sizes

_Kind = Literal["hard", "soft", "stop"]
_BETWEEN_LETTERS = re.compile(r"(?<=[a-z])\.(?=[a-z]\b)")
"""The dots in u.s. and u.k."""
_NO_WORD = re.compile(r"[^\w.×*@\"]|_|(?<!\d)\.|\.(?!\d)")
"""Characters that belong neither to a word nor to a size in numbers."""
_MM = 0.6
"""Tolerance for equal sizes, mm: 2 in is 50.8 mm, often written as 51 or 50."""
_LEAST_PART = 3
"""Minimum letters of a word that is searched inside other words; 1 for Chinese."""


class Term(NamedTuple):
    """One term of a text: ``@GB``, ``#passport``, ``~online``, or an unknown word."""

    name: str
    kind: _Kind
    text: str
    """The original text."""


@dataclass(frozen=True, slots=True)
class Found:
    """The result of a query."""

    rows: tuple[PhotoSize, ...]
    """Best match first. A size given as numbers comes last, if it is supported."""
    read: str
    """How the query was interpreted, for people; empty if there is nothing to explain."""
    number: Number | None = None
    """The size given as numbers in the query."""
    left_out: tuple[str, ...] = ()
    """Words that do not identify a document."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A document, prepared for searching."""

    size: PhotoSize
    terms: frozenset[str]
    names: frozenset[frozenset[str]]
    """Each of its names, as a set of terms."""
    soft: frozenset[str]
    compact: frozenset[str]
    """Each of its names without blanks."""
    text: str
    """All names of ``compact`` in one text, for searching parts of words."""


def search_sizes(query: str = "") -> Found:
    """The documents that match all terms of the query, best first; all documents for an empty query.

    Whole words have priority: a row that contains a word only inside another one (``us`` in Cyprus) counts only if no
    row contains it as a whole word.
    """
    number, rest = find_number(_plain(query))
    terms = tuple(_read(rest, upper=_capitals(query)))
    hard = frozenset(term.name for term in terms if term.kind == "hard")
    soft = frozenset(term.name for term in terms if term.kind == "soft")
    rows = list(_index())
    notes = []
    if number is not None:
        rows = sorted((row for row in rows if _is_size(row.size, number)), key=_usual_first)
        notes.append(number.told)
    compact = _plain(query).replace(" ", "")
    named = [row for row in rows if compact in row.compact]
    if named:
        found = named + [row for row in rows if row not in named and hard and hard <= row.terms]
    elif hard:
        found = _ranked(rows, hard, soft)
    else:
        found = sorted(rows, key=lambda row: -len(soft & row.soft)) if number or not query.strip() or terms else []
    left_out = () if named else tuple(dict.fromkeys(term.text for term in terms if term.kind == "stop"))
    if left_out:
        notes.append(f"left out: {', '.join(left_out)}")
    sizes = tuple(row.size for row in found)
    if number is not None and not hard:
        sizes += (size_by_number(number.width, number.height, number.unit, number.dpi),)
    return Found(sizes, "; ".join(notes), number, left_out)


def _ranked(rows: list[_Row], hard: frozenset[str], soft: frozenset[str]) -> list[_Row]:
    """The rows that contain all terms as whole words, or else as parts of words."""
    whole = [row for row in rows if hard <= row.terms]
    if whole:
        return sorted(whole, key=lambda row: (hard not in row.names, -len(soft & row.soft)))
    return [row for row in rows if all(term in row.terms or _is_part(term, row) for term in hard)]


def _is_part(term: str, row: _Row) -> bool:
    if term[0] in "@#":
        return False
    return (len(term) >= _LEAST_PART or not term.isascii()) and term in row.text


def _is_size(size: PhotoSize, number: Number) -> bool:
    """Whether a document's photo has this size, in either orientation."""
    if number.unit == "px":
        asked = (round(number.width), round(number.height))
        return asked in (size.px, size.px_min, size.px_max)
    scale = 25.4 if number.unit == "in" else 1.0
    sides = sorted((number.width * scale, number.height * scale))
    return all(abs(a - b) <= _MM for a, b in zip(sides, sorted((size.width_mm, size.height_mm)), strict=True))


def _usual_first(row: _Row) -> int:
    """Sort key: ICAO's portrait and trade sizes come before the documents of single countries."""
    return 0 if row.size.country == "ICAO" else 1 if row.size.basis == "trade" else 2


# --- reading ----------------------------------------------------------------------------------------------------------


def _plain(text: str) -> str:
    """Convert to lower case, simplified Chinese and narrow letters, and replace separators by blanks."""
    plain = unicodedata.normalize("NFKC", text).casefold().translate(words.SIMPLIFIED)
    plain = _BETWEEN_LETTERS.sub("", plain.replace("license", "licence"))
    return " ".join(_NO_WORD.sub(" ", plain).split())


def _capitals(text: str) -> frozenset[str]:
    """The query's words in capitals, converted to lower case: ``IN`` is India, ``in`` is a word."""
    return frozenset(word.lower() for word in re.findall(r"[A-Z]{2,}", text))


def _read(plain: str, upper: frozenset[str] = frozenset()) -> Iterator[Term]:
    """The terms of a text that ``_plain`` has converted."""
    phrases = _phrases()
    at = 0
    while at < len(plain):
        if plain[at] == " ":
            at += 1
            continue
        found = _longest(plain, at, phrases)
        if found is None:
            end = _end_of_unknown(plain, at, phrases)
            found = Term(plain[at:end], "hard", plain[at:end])
        if found.text in words.CODES_THAT_ARE_WORDS and (found.text in upper or plain == found.text):
            found = Term(f"@{found.text.upper()}", "hard", found.text)
        yield found
        at += len(found.text)


def _longest(plain: str, at: int, phrases: Mapping[str, tuple[Term, ...]]) -> Term | None:
    for term in phrases.get(plain[at], ()):
        end = at + len(term.text)
        if plain.startswith(term.text, at) and not (_joins(plain[end - 1]) and end < len(plain) and _joins(plain[end])):
            return term
    return None


def _end_of_unknown(plain: str, at: int, phrases: Mapping[str, tuple[Term, ...]]) -> int:
    """End of an unknown word: at a blank, or in Chinese where a known phrase begins."""
    end = at + 1
    if _joins(plain[at]):
        while end < len(plain) and _joins(plain[end]):
            end += 1
        return end
    while end < len(plain) and plain[end] != " " and not _joins(plain[end]) and _longest(plain, end, phrases) is None:
        end += 1
    return end


def _joins(letter: str) -> bool:
    """Whether blanks separate words in this script (not in Chinese, Japanese and Korean)."""
    return letter.isalnum() and not letter >= "\u1100"


# --- what is searched -------------------------------------------------------------------------------------------------


@cache
def _phrases() -> Mapping[str, tuple[Term, ...]]:
    """All known phrases by their first letter, longest first."""
    known: dict[str, Term] = {}

    def add(text: str, name: str, kind: _Kind) -> None:
        plain = _plain(text)
        if plain:
            known.setdefault(plain, Term(name, kind, plain))

    tables: tuple[tuple[str, _Kind, Mapping[str, str]], ...] = (
        ("#", "hard", words.DOCUMENTS),
        ("@", "hard", words.COUNTRIES),
        ("~", "soft", words.SOFT),
        ("", "stop", {"": words.STOP}),
    )
    for mark, kind, table in tables:
        for name, texts in table.items():
            for text in texts.split(","):
                add(text, mark + name, kind)
    for word in words.CODES_THAT_ARE_WORDS:
        add(word, "", "stop")
    for code in words.COUNTRIES:
        add(code, f"@{code}", "hard")
    for size in load_sizes():
        for name in size.aka:
            plain = _plain(name)
            if not _joins(plain[0]) or not _joins(plain[-1]):  # Chinese names are not split into words
                add(name, plain, "hard")
    by_letter: dict[str, list[Term]] = {}
    for term in sorted(known.values(), key=lambda term: -len(term.text)):
        by_letter.setdefault(term.text[0], []).append(term)
    return {letter: tuple(terms) for letter, terms in by_letter.items()}


@cache
def _index() -> tuple[_Row, ...]:
    return tuple(map(_row, load_sizes()))


def _row(size: PhotoSize) -> _Row:
    names, soft = [], set()
    plains = [_plain(text) for text in (size.en, size.zh, *size.aka)]
    for plain in plains:
        terms = tuple(_read(plain))
        names.append(frozenset(term.name for term in terms if term.kind == "hard"))
        soft |= {term.name for term in terms if term.kind == "soft"}
    given = {f"@{size.country}"} | ({f"#{size.document}"} if size.document in words.DOCUMENTS else set())
    if "#id" in given.union(*names):
        soft.add("~id")
    compact = frozenset(plain.replace(" ", "") for plain in (_plain(size.name), *plains))
    return _Row(
        size=size,
        terms=frozenset(given.union(*names)),
        names=frozenset(names),
        soft=frozenset(soft),
        compact=compact,
        text=" ".join(compact),
    )

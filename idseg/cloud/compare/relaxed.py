"""JSON as people write it by hand: the API page's own example has keys without quotes and no commas between entries."""

from __future__ import annotations

import json
import re
from typing import Any

_DEEPEST = 32
"""Nesting beyond which a text is no reply (a reply has 4 levels)."""
_SKIP = re.compile(r"[\s,;]*")
_WORD = re.compile(r"[^\s,;:{}\[\]\"']+")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}


def loads(text: str) -> Any:
    """Read JSON; where it is not valid, read it leniently: bare or single-quoted words, missing or extra commas,
    Python's ``repr`` of a dict. What is left over after the first value is not looked at (the page prints its
    example twice).

    Raises ValueError where no value can be made out.
    """
    try:
        return json.loads(text)
    except ValueError:
        value, _ = _value(text, _skip(text, 0), 0)
        return value


def _skip(text: str, at: int) -> int:
    found = _SKIP.match(text, at)
    return found.end() if found else at


def _value(text: str, at: int, depth: int) -> tuple[Any, int]:
    if depth > _DEEPEST:
        raise ValueError(f"nested deeper than {_DEEPEST} levels")
    if at >= len(text):
        raise ValueError("the text ends where a value should be")
    first = text[at]
    if first == "{":
        return _object(text, at + 1, depth)
    if first == "[":
        return _list(text, at + 1, depth)
    if first in "\"'":
        return _string(text, at)
    found = _WORD.match(text, at)
    if found is None:
        raise ValueError(f"{first!r} at character {at} where a value should be")
    return _word(found.group()), found.end()


def _object(text: str, at: int, depth: int) -> tuple[dict[str, Any], int]:
    entries: dict[str, Any] = {}
    while (at := _skip(text, at)) < len(text):
        if text[at] == "}":
            return entries, at + 1
        key, at = _value(text, at, depth + 1)
        at = _skip(text, at)
        if isinstance(key, dict | list) or text[at : at + 1] != ":":
            raise ValueError(f"no ':' after a key at character {at}")
        entries[str(key)], at = _value(text, _skip(text, at + 1), depth + 1)
    raise ValueError("an object is not closed")


def _list(text: str, at: int, depth: int) -> tuple[list[Any], int]:
    values: list[Any] = []
    while (at := _skip(text, at)) < len(text):
        if text[at] == "]":
            return values, at + 1
        value, at = _value(text, at, depth + 1)
        values.append(value)
    raise ValueError("a list is not closed")


def _string(text: str, at: int) -> tuple[str, int]:
    quote = text[at]
    end = at + 1
    while True:
        end = text.find(quote, end)
        if end < 0:
            raise ValueError(f"a string that starts at character {at} is not closed")
        slashes = len(text[at + 1 : end]) - len(text[at + 1 : end].rstrip("\\"))
        if slashes % 2 == 0:
            break
        end += 1
    body = text[at + 1 : end]
    return _ESCAPE.sub(_unescaped, body), end + 1


def _unescaped(found: re.Match[str]) -> str:
    code = found.group(1)
    return chr(int(code[1:], 16)) if len(code) > 1 else _LETTERS.get(code, code)


def _word(word: str) -> Any:
    if word in _WORDS:
        return _WORDS[word]
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word

"""JSON that may be malformed like the example in the API documentation: keys without quotes, missing commas."""

from __future__ import annotations

import json
import re
from typing import Any

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s"{}\[\]:,]+', re.DOTALL)
_OPEN, _CLOSE = "{[", "}]"


def loads(text: str) -> Any:
    """Read JSON. If it is invalid, repair it once as the documentation's example needs, and read it again.

    Raises:
        ValueError: it is invalid JSON even after the repair.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deep for a reply") from None
    except ValueError as strict:
        try:
            return json.loads(mended(text))
        except (ValueError, RecursionError):
            raise ValueError(f"not JSON: {strict}") from None


def mended(text: str) -> str:
    """The first object of a text, with quotes around its bare keys and the missing commas between its entries."""
    pieces: list[str] = []
    depth = 0
    tokens = _TOKEN.findall(text)
    for token, following in zip(tokens, [*tokens[1:], ""], strict=True):
        ends_a_value = bool(pieces) and pieces[-1] not in (*_OPEN, ":", ",")
        if ends_a_value and token not in (*_CLOSE, ":", ","):
            pieces.append(",")
        bare_key = following == ":" and token.isidentifier()
        pieces.append(json.dumps(token) if bare_key else token)
        depth += (token in _OPEN) - (token in _CLOSE)
        if depth == 0:
            break
    return " ".join(pieces)

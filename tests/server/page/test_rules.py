"""The page's words and marks for every rule of a check. Reads the page's files as text: no server, no node."""

from __future__ import annotations

import re

from idseg.check.rules import RULES
from idseg.server.routes.page import STATIC

_NOWHERE = {"enough_pixels"}
"""Rules that no part of the picture shows."""


def test_every_rule_has_its_words_in_both_languages() -> None:
    text = (STATIC / "rules_text.js").read_text(encoding="utf-8")
    english, chinese = text.split("\n  zh: {")
    missing = {
        language: [name for name in RULES if not re.search(rf'\b{name}: \["[^"]+", "[^"]+"', words)]
        for language, words in (("en", english), ("zh", chinese))
    }
    assert missing == {"en": [], "zh": []}, f"write these into idseg/server/page/rules_text.js: {missing}"


def test_every_rule_is_marked_on_the_picture() -> None:
    text = (STATIC / "faults.js").read_text(encoding="utf-8")
    missing = [name for name in RULES if f'"{name}"' not in text and name not in _NOWHERE]
    assert not missing, (
        f"write {missing} into a list of idseg/server/page/faults.js (EYES, MOUTH, HEAD …), "
        "or into _NOWHERE of this test if no part of the picture shows them"
    )

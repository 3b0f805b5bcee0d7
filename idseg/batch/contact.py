"""``refusals.html``: a contact sheet of the photos without an answer, with the reasons. It works offline.

A page has 500 photos (about 6 MB); the rest goes to ``refusals-2.html`` and so on.
"""

from __future__ import annotations

import base64
import html
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import Any

from idseg.batch import storage
from idseg.batch.items import Outcome
from idseg.batch.storage import replacing
from idseg.batch.work import thumbnail_name
from idseg.errors import PhotoReadError

_ON_A_PAGE = 500
_MOST_BYTES = 100_000
_STYLE = """
:root { color-scheme: light dark; font: 14px/1.4 system-ui, sans-serif; }
body { margin: 1.5rem; }
h1 { font-size: 1.3rem; } td { padding: 0 1rem 0 0; } td:first-child { text-align: right; }
ul { display: grid; grid-template-columns: repeat(auto-fill, minmax(200px, 1fr)); gap: 1rem; }
ul { list-style: none; padding: 0; }
li { border: 1px solid #8886; border-radius: 6px; padding: 8px; overflow-wrap: anywhere; }
.picture { height: 240px; display: grid; place-items: center; background: #8882; }
.picture img { max-width: 100%; max-height: 240px; } .blank { color: #888; }
.reason { font-weight: 600; margin: 6px 0 2px; } .failed .reason { color: #c33; } p { margin: 0 0 4px; }
.name { color: #888; font-size: 12px; }
"""


def write_pages(folder: Path, name: str, without: Callable[[], Iterable[Outcome]], thumbnails: str) -> int:
    """Write the pages into ``folder``, delete surplus pages of an earlier run, and return the number of pages.

    Args:
        folder: output folder.
        name: name of the first page without its suffix.
        without: returns the outcomes that are not ok; called twice.
        thumbnails: folder of the thumbnails.
    """
    counts: Counter[tuple[str, str]] = Counter((outcome.status, outcome.reason) for outcome in without())
    pages = max(1, -(-sum(counts.values()) // _ON_A_PAGE))
    outcomes = iter(without())
    for page in range(1, pages + 1):
        with replacing(folder / _page_name(name, page)) as file:
            _write(file, islice(outcomes, _ON_A_PAGE), counts, (page, pages, name), thumbnails)
    page = pages + 1
    while (folder / _page_name(name, page)).exists():
        (folder / _page_name(name, page)).unlink()
        page += 1
    return pages


def _page_name(name: str, page: int) -> str:
    return f"{name}.html" if page == 1 else f"{name}-{page}.html"


def _write(
    file: Any,
    outcomes: Iterator[Outcome],
    counts: Counter[tuple[str, str]],
    place: tuple[int, int, str],
    thumbnails: str,
) -> None:
    total = sum(counts.values())
    rows = "".join(
        f"<tr><td>{count}<td>{_words(reason)}<td>{status}" for (status, reason), count in counts.most_common()
    )
    head = (
        f'<!DOCTYPE html>\n<html lang="en"><meta charset="utf-8"><title>{total} photos without an answer</title>\n'
        f"<style>{_STYLE}</style>\n<h1>{total} photos without an answer</h1>\n"
        f"<table>{rows}</table>\n{_links(place)}<ul>\n"
    )
    for text in chain([head], (_tile(outcome, thumbnails) for outcome in outcomes), ["</ul>\n"]):
        file.write(text)


def _tile(outcome: Outcome, thumbnails: str) -> str:
    content = b""
    with suppress(PhotoReadError):  # there is no thumbnail: the photo does not decode, or thumbnails are off
        if outcome.status == "refused":
            content = storage.read(storage.join(thumbnails, thumbnail_name(outcome.key)), _MOST_BYTES)
    picture = (
        f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(content).decode("ascii")}">'
        if content
        else '<span class="blank">no picture</span>'
    )
    return (
        f'<li class="{outcome.status}"><div class="picture">{picture}</div><p class="reason">{_words(outcome.reason)}'
        f'<p>{_text(outcome.message)}<p class="name">{_text(outcome.key)}\n'
    )


def _links(place: tuple[int, int, str]) -> str:
    page, pages, name = place
    if pages == 1:
        return ""
    around = [(page - 1, "previous"), (page + 1, "next")]
    links = [f'<a href="{_page_name(name, other)}">{word}</a>' for other, word in around if 1 <= other <= pages]
    return f"<p>Page {page} of {pages} · {' · '.join(links)}\n"


def _words(reason: str) -> str:
    return _text(reason.replace("_", " "))


def _text(text: str) -> str:
    """Escape for HTML; bytes of a name that are not UTF-8 are shown as escapes."""
    shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return html.escape(shown)

"""``idseg sizes``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from idseg.photo.size import Band, PhotoSize

_CARDS = 4
"""Maximum number of documents that are shown with all details."""


@click.command(context_settings={"max_content_width": 110})
@click.argument("words", nargs=-1)
@click.option("--long", "-l", "long", is_flag=True, help="Show all details, as for up to four documents.")
@click.option("--json", "as_json", is_flag=True, help="Print all details as JSON.")
def sizes(words: tuple[str, ...], long: bool, as_json: bool) -> None:
    """List the documents that idseg knows: size, head, background, editing rules, link.

    \b
    WORDS can be in any order, English or Chinese, and can contain a size:
      idseg sizes UK passport        idseg sizes 美签            idseg sizes green card
      idseg sizes 2x2                idseg sizes 3.5x4.5 cm      idseg sizes 295x413
    A size without a unit: up to 2.5 is inches, up to 12 centimetres, up to 150 millimetres, otherwise pixels.
    A "?" marks data that could not be confirmed on a page of the authority. Rules change, so follow the link.
    """
    from idseg.photo.search import search_sizes

    found = search_sizes(" ".join(words))
    if as_json:
        click.echo(json.dumps([size.to_dict() for size in found.rows], indent=2, ensure_ascii=False))
    else:
        in_full = long or len(found.rows) <= _CARDS
        for size in found.rows:
            click.echo("\n".join(_card(size) if in_full else _row(size)))
        count = len(found.rows)
        click.echo(f"{count} document{'' if count == 1 else 's'}{f' ({found.read})' if found.read else ''}", err=True)
    if not found.rows:
        sys.exit(1)


def _row(size: PhotoSize) -> Iterator[str]:
    """Two lines of text."""
    parts = [_measures(size), _head(size), _background(size), f"edits: {size.edits}", size.guide]
    yield f"{size.name:<26} {size.en}  {size.zh}{'  ?' if size.unsure else ''}"
    yield f"    {'; '.join(text for text in parts if text)}"


def _card(size: PhotoSize) -> Iterator[str]:
    """All details of a document."""
    yield f"{size.name}: {size.en}  {size.zh}"
    yield _line("photo", _measures(size))
    yield _line("file", _file(size))
    yield _line("framing", "; ".join(text for text in (_head(size), *_other_rules(size)) if text))
    yield _line("background", _background(size))
    yield _line("edits", size.edits + (f" ({size.edits_source})" if size.edits_source else ""))
    yield _line("person", "; ".join(_person(size)))
    yield _line("note", size.note)
    checked = f"; checked {size.checked.isoformat()}" if size.checked else ""
    yield _line("source", f"{size.source} [{size.basis}{checked}]")
    yield _line("not sure", size.unsure)
    yield _line("link", size.guide)


def _line(name: str, text: str) -> str:
    return f"    {name:<11} {text or '-'}"


def _range(band: Band, unit: str = "mm", most: float = float("inf")) -> str:
    """``32..36 mm``, ``at least 7 mm``, ``at most 240 KB``; ``most``: an upper end from which there is no limit."""
    if band.high >= most:
        return f"at least {band.low:.4g} {unit}"
    return f"at most {band.high:.5g} {unit}" if band.low == 0 else f"{band.low:.4g}..{band.high:.5g} {unit}"


def _measures(size: PhotoSize) -> str:
    parts = [f"{size.width_mm:.4g} x {size.height_mm:.4g} mm", f"{size.px.width} x {size.px.height} px"]
    if size.file_kb is not None:
        parts.append(_range(size.file_kb, "KB"))
    return ", ".join(parts)


def _file(size: PhotoSize) -> str:
    parts = []
    if size.px_min is not None:
        parts.append(f"at least {size.px_min.width} x {size.px_min.height} px")
    if size.px_max is not None:
        parts.append(f"at most {size.px_max.width} x {size.px_max.height} px")
    if size.compression is not None:
        parts.append(f"compressed at most {size.compression:g}:1")
    parts += [" or ".join(size.formats)] if size.formats else []
    parts += [f"handed in: {', '.join(size.channels)}"] if size.channels else []
    parts += [f"{size.prints} print{'s' if size.prints > 1 else ''}"] if size.prints else []
    parts += ["the site crops: head to mid-torso, with room around"] if size.site_crops else []
    return "; ".join(parts)


_TOPS = {"crown": "the crown (hair not counted)", "hair": "the top of the hair", "forehead": "the hairline"}


def _head(size: PhotoSize) -> str:
    if not size.framing_is_rule:
        return "no rule for the head"
    head = size.framing.head
    if head is None:
        return ""
    return f"head {_range(head, most=size.height_mm)} from chin to {_TOPS[size.framing.head_top]}"


def _other_rules(size: PhotoSize) -> Iterator[str]:
    if size.framing_is_rule:
        names = {
            "eyes": "eyes above the lower edge",
            "top": f"gap above {'the crown' if size.framing.gap_top == 'crown' else 'the hair'}",
            "chin": "gap below the chin",
            "face": "face width",
            "width": "head width",
        }
        for rule, band in size.framing.bands().items():
            if rule in names:
                yield f"{names[rule]} {_range(band, most=size.height_mm)}"


def _background(size: PhotoSize) -> str:
    from idseg.photo.size import COLOR_NAMES

    names = {color: name for name, color in COLOR_NAMES.items()}
    parts = [names.get(color, color) for color in size.backgrounds] + (
        ["any plain light colour"] if size.any_light else []
    )
    return ", ".join(parts) or "no colour named"


def _person(size: PhotoSize) -> Iterator[str]:
    glasses = {"no": "no glasses", "clear": "glasses only with eyes fully seen"}
    if size.glasses in glasses:
        yield glasses[size.glasses]
    if size.head_covering != "unknown":
        yield "no head covering" if size.head_covering == "no" else f"head covering: {size.head_covering} only"
    if size.expression != "unknown":
        yield {"neutral": "neutral", "slight smile": "neutral or a smile with closed lips", "any": "any expression"}[
            size.expression
        ]
    if size.age_months is not None:
        yield f"at most {size.age_months} month{'' if size.age_months == 1 else 's'} old"

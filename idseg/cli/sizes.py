"""``idseg sizes``."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from idseg.photo.size import PhotoSize


@click.command(context_settings={"max_content_width": 110})
@click.argument("word", default="")
@click.option("--json", "as_json", is_flag=True, help="All there is to know, as JSON.")
def sizes(word: str, as_json: bool) -> None:
    """List the sizes of ID photos that hold WORD: a name, a country, 一寸, visa.

    \b
    The last column says how sure a row is: authority (its own page), cited, reported (trackers agree),
    standard, icao (no rule of its own), trade (studios' custom).
    """
    from idseg.photo.sizes import find_sizes

    found = find_sizes(word)
    if as_json:
        click.echo(json.dumps([size.to_dict() for size in found], indent=2, ensure_ascii=False))
    else:
        for size in found:
            click.echo(_row(size))
        click.echo(f"{len(found)} sizes", err=True)
    if not found:
        sys.exit(1)


def _row(size: PhotoSize) -> str:
    kb = "" if size.kb is None else f"{size.kb.low:g}-{size.kb.high:g} KB"
    mm, px = f"{size.width_mm:g}x{size.height_mm:g} mm", f"{size.px.width}x{size.px.height} px"
    return f"{size.name:<22} {mm:<16} {px:<14} {kb:<13} {size.basis:<9} {size.en} {size.zh}"

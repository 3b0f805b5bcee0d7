"""``idseg record``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from idseg.cli.runner import clear_errors, progress_bar
from idseg.errors import OptionError


@click.command(context_settings={"max_content_width": 110})
@click.argument(
    "photos", nargs=-1, required=True, metavar="PHOTO|FOLDER...", type=click.Path(exists=True, path_type=Path)
)
@click.option(
    "--host",
    required=True,
    metavar="URL",
    help="https://aip.baidubce.com, or http://127.0.0.1:8080 for an idseg server.",
)
@click.option(
    "--keys",
    "keys_file",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    metavar="FILE",
    help="File with the API key and the secret key: two words, or the output of `idseg keys add --json`. "
    "Without it: IDSEG_API_KEY and IDSEG_SECRET_KEY.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Folder for replies and copies of the photos (default: beside the photos).",
)
@click.option("--rate", "per_second", default=2.0, show_default=True, metavar="N", help="Maximum calls per second.")
@click.option(
    "--tries",
    default=5,
    show_default=True,
    metavar="N",
    help="Maximum calls per photo if the service is busy or unreachable.",
)
@click.option(
    "--timeout", "timeout_s", default=60.0, show_default=True, metavar="SECONDS", help="Maximum time for an answer."
)
def record(
    photos: tuple[Path, ...],
    host: str,
    keys_file: Path | None,
    out: Path | None,
    per_second: float,
    tries: int,
    timeout_s: float,
) -> None:
    """Send photos to a service of the API and save its replies for `idseg compare`.

    To continue after a break, run the command again: photos with a final reply are not sent again. The photos go to
    the host that you name.

    \b
    Examples:
      idseg record photos/ --host https://aip.baidubce.com --keys keys.txt -o replies/
      idseg record *.jpg --host http://127.0.0.1:8080 --rate 10
    """
    with clear_errors():
        from idseg.cloud import record as recorder
        from idseg.cloud.client import Client

        found = list(_photos(photos))
        client = Client(host, *_keys(keys_file, os.environ), timeout_s=timeout_s)
        counts: dict[str, int] = {}
        calls = recorder.record(found, client, out, per_second=per_second, tries=tries)
        for result in progress_bar("photo", len(found))(calls):
            counts[result.state] = counts.get(result.state, 0) + 1
            if result.message:
                click.echo(f"{result.photo}: {result.message}", err=True)
        click.echo(", ".join(f"{count} {state}" for state, count in counts.items()))
    if counts.get("failed"):
        sys.exit(1)


def _photos(given: Iterable[Path]) -> Iterator[Path]:
    """The given files, and the files with a photo's suffix in the given folders."""
    from idseg.cloud.compare.run import PHOTO_SUFFIXES

    for path in given:
        if path.is_dir():
            yield from sorted(entry for entry in path.iterdir() if entry.suffix.lower() in PHOTO_SUFFIXES)
        else:
            yield path


def _keys(path: Path | None, environment: Any) -> tuple[str, str]:
    """(API key, secret key) from a file, or else from the environment; both empty for a server without keys."""
    if path is None:
        return environment.get("IDSEG_API_KEY", ""), environment.get("IDSEG_SECRET_KEY", "")
    text = path.read_text(encoding="utf-8-sig")
    if text.lstrip().startswith("{"):
        try:
            pair = json.loads(text)
            return str(pair["api_key"]), str(pair["secret_key"])
        except (ValueError, KeyError):
            raise OptionError(f"{path} is not JSON with api_key and secret_key") from None
    words = text.split()
    if len(words) != 2:
        raise OptionError(f"{path} has {len(words)} words; it must have two: the API key and the secret key")
    return words[0], words[1]

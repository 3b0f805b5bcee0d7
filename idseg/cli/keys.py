"""``idseg keys``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from idseg.cli.runner import clear_errors


def state_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--state",
        "state_folder",
        default="",
        metavar="FOLDER",
        envvar="IDSEG_STATE",
        help="Folder for the token secret and the keys (default: ~/.local/state/idseg).",
    )(
        click.option(
            "--keys",
            "keys_file",
            default="",
            metavar="FILE",
            envvar="IDSEG_KEYS",
            help="File with the keys (default: keys.json in that folder).",
        )(command)
    )


@click.group()
def keys() -> None:
    """Create, list and remove API keys. A running server notices changes at once."""


@keys.command()
@state_option
@click.option("--note", default="", help="Owner of the key, or another note.")
@click.option(
    "--token-only",
    is_flag=True,
    help="Store only a hash of the secret. Such a key can get tokens, but cannot sign requests.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the pair of keys as JSON.")
def add(state_folder: str, keys_file: str, note: str, token_only: bool, as_json: bool) -> None:
    """Create a pair of keys. The file keeps the secret key, readable only by you; with --token-only only a hash."""
    from idseg.server.auth.keys import add_key

    with clear_errors():
        path = _keys_path(state_folder, keys_file)
        key, secret_key = add_key(path, may_sign=not token_only, note=note)
    if as_json:
        click.echo(json.dumps({"api_key": key.api_key, "secret_key": secret_key, "app_id": key.app_id}))
    else:
        kept = "its hash; this is the only time you see the secret" if token_only else "mode 0600; keep it so"
        click.echo(f"API key     {key.api_key}\nSecret key  {secret_key}\nIn          {path} ({kept})")


@keys.command(name="list")
@state_option
def list_keys(state_folder: str, keys_file: str) -> None:
    """List the API keys of the file, with their app ids and notes."""
    from idseg.server.auth.keys import read_keys

    with clear_errors():
        for key in read_keys(_keys_path(state_folder, keys_file)):
            signs = "tokens, signatures" if key.may_sign else "tokens"
            click.echo(f"{key.api_key:<26} {key.app_id:<10} {signs:<19} {key.note}".rstrip())


@keys.command()
@state_option
@click.argument("api_key")
def remove(state_folder: str, keys_file: str, api_key: str) -> None:
    """Remove a key. Its tokens become invalid."""
    from idseg.server.auth.keys import remove_key

    with clear_errors():
        remove_key(_keys_path(state_folder, keys_file), api_key)


def _keys_path(state_folder: str, keys_file: str) -> Path:
    from idseg.server.settings import Settings

    return Settings(state_folder=state_folder, keys_file=keys_file).keys_path

"""``idseg serve`` and ``idseg keys``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from idseg.errors import DependencyError, IdsegError, OptionError

_SERVER_PACKAGES = ("fastapi", "uvicorn", "prometheus_client")


@contextmanager
def _clear_errors() -> Iterator[None]:
    try:
        yield
    except IdsegError as error:
        from idseg.cli import EXIT_CODES

        click.echo(f"idseg: {error}", err=True)
        sys.exit(next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), 1))


def _state_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--state",
        "state_folder",
        default="",
        metavar="FOLDER",
        envvar="IDSEG_STATE",
        help="Folder of the token secret and the keys (default: ~/.local/state/idseg).",
    )(
        click.option(
            "--keys",
            "keys_file",
            default="",
            metavar="FILE",
            envvar="IDSEG_KEYS",
            help="File of keys (default: keys.json there).",
        )(command)
    )


@click.command(context_settings={"max_content_width": 110})
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option("--port", default=8080, show_default=True, help="Port.")
@click.option(
    "--workers",
    default=1,
    show_default=True,
    metavar="N",
    help="Processes; each loads its own models. Limits are per worker.",
)
@click.option(
    "--threads", default=0, metavar="N", help="Photos worked on at once in a worker (default: cores / workers)."
)
@click.option(
    "--queue", default=16, show_default=True, metavar="N", help="Photos waiting in a worker; the next gets code 4."
)
@click.option(
    "--rate",
    "rate_per_s",
    default=0.0,
    metavar="N",
    help="Requests a second for one key; beyond: code 18 (default: no limit).",
)
@click.option(
    "--daily-quota", default=0, metavar="N", help="Requests a day for one key; beyond: code 17 (default: no limit)."
)
@click.option("--no-auth", is_flag=True, help="No keys; only for a server that this machine alone can reach.")
@_state_option
@click.option(
    "--body-timeout",
    "body_timeout_s",
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="For a whole request body.",
)
@click.option(
    "--answer-timeout",
    "answer_timeout_s",
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="An accepted photo is answered this soon, or with code 2.",
)
@click.option(
    "--grace",
    "grace_s",
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="How long a stop waits for accepted photos.",
)
@click.option(
    "--cors",
    "cors_origins",
    multiple=True,
    metavar="ORIGIN",
    help="A web origin that may call the API; repeatable (default: none).",
)
@click.option("--tls-cert", default="", metavar="FILE", help="Certificate chain, PEM.")
@click.option("--tls-key", default="", metavar="FILE", help="Its private key, PEM.")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="JSON lines on stderr.",
)
def serve(no_auth: bool, log_level: str, **chosen: Any) -> None:
    """Answer the cloud API's requests over HTTP, with a web page at /.

    \b
    Examples:
      idseg keys add                       # once: makes an API key and a secret key
      idseg serve                          # http://127.0.0.1:8080/
      idseg serve --no-auth                # try it without keys
      IDSEG_API_KEY=… IDSEG_SECRET_KEY=… idseg serve --host 0.0.0.0 --workers 4

    \b
    In a client, change the host name only:
      https://aip.baidubce.com/…  →  http://127.0.0.1:8080/…
    """
    with _clear_errors():
        missing = [name for name in _SERVER_PACKAGES if find_spec(name) is None]
        if missing:
            raise DependencyError(
                f"the server needs {', '.join(missing)}; install them with: pip install 'idseg[server]'"
            )
        from idseg.server.run import serve as run
        from idseg.server.settings import Settings

        settings = Settings(auth=not no_auth, **chosen)
        scheme = "https" if settings.tls_cert else "http"
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        run(settings, log_level, lambda: click.echo(f"loading models, then {scheme}://{host}:{settings.port}/"))


@click.group()
def keys() -> None:
    """Make, list and remove API keys. A running server sees the change at once."""


@keys.command()
@_state_option
@click.option("--note", default="", help="Whose key this is.")
@click.option(
    "--token-only", is_flag=True, help="Keep nothing that bce-auth signatures could be verified (or forged) with."
)
@click.option("--json", "as_json", is_flag=True, help="Print the pair as JSON.")
def add(state_folder: str, keys_file: str, note: str, token_only: bool, as_json: bool) -> None:
    """Make a pair. The secret key is shown this once; the file keeps only hashes of it."""
    from idseg.server.auth.keys import Key, new_pair, read_keys, write_keys

    with _clear_errors():
        path = _keys_path(state_folder, keys_file)
        known = read_keys(path)
        api_key, secret_key = new_pair()
        used = {key.app_id for key in known}
        key = Key.of(api_key, secret_key, may_sign=not token_only, note=note)
        while key.app_id in used:
            api_key, secret_key = new_pair()
            key = Key.of(api_key, secret_key, may_sign=not token_only, note=note)
        write_keys(path, (*known, key))
    if as_json:
        click.echo(json.dumps({"api_key": api_key, "secret_key": secret_key, "app_id": key.app_id}))
    else:
        click.echo(
            f"API key     {api_key}\nSecret key  {secret_key}\n"
            f"In          {path} (hashed; this is the only time you see it)"
        )


@keys.command(name="list")
@_state_option
def list_keys(state_folder: str, keys_file: str) -> None:
    """The API keys of the file, their app ids and notes."""
    from idseg.server.auth.keys import read_keys

    with _clear_errors():
        for key in read_keys(_keys_path(state_folder, keys_file)):
            signs = "tokens, signatures" if key.signing else "tokens"
            click.echo(f"{key.api_key:<26} {key.app_id:<10} {signs:<19} {key.note}".rstrip())


@keys.command()
@_state_option
@click.argument("api_key")
def remove(state_folder: str, keys_file: str, api_key: str) -> None:
    """Take a key away; its tokens end with it."""
    from idseg.server.auth.keys import read_keys, write_keys

    with _clear_errors():
        path = _keys_path(state_folder, keys_file)
        known = read_keys(path)
        left = [key for key in known if key.api_key != api_key]
        if len(left) == len(known):
            raise OptionError(f"{path} has no key {api_key}")
        write_keys(path, left)


def _keys_path(state_folder: str, keys_file: str) -> Path:
    from idseg.server.settings import Settings

    return Settings(state_folder=state_folder, keys_file=keys_file).keys_path

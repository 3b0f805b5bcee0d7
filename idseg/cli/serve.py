"""``idseg serve``."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from idseg.cli.keys import state_option
from idseg.cli.runner import clear_errors, quality_option
from idseg.errors import DependencyError, OptionError

_SERVER_PACKAGES = ("fastapi", "uvicorn", "prometheus_client")


@click.command(context_settings={"max_content_width": 110})
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0: all addresses.")
@click.option("--port", default=8080, show_default=True, help="Port.")
@click.option(
    "--workers",
    default=0,
    metavar="N",
    help="Worker processes, one photo at a time each (default: one per core). Each needs 0.4 to 0.7 GB.",
)
@click.option(
    "--queue", default=64, show_default=True, metavar="N", help="Maximum waiting photos; the next one gets code 4."
)
@quality_option
@click.option(
    "--rate",
    "rate_per_s",
    default=0.0,
    metavar="N",
    help="Requests per second per key; more get code 18 (default: no limit).",
)
@click.option(
    "--daily-quota", default=0, metavar="N", help="Requests per day per key; more get code 17 (default: no limit)."
)
@click.option("--no-auth", is_flag=True, help="Run without keys; only for a server that listens on this machine alone.")
@click.option(
    "--lan",
    "in_lan",
    is_flag=True,
    help="For a phone at home: no keys, but a one-time link, shown here as a QR code, to this machine's address.",
)
@click.option(
    "--https",
    is_flag=True,
    help="With --lan: encrypt, with a certificate that is made here; the phone warns of it once.",
)
@state_option
@click.option(
    "--body-timeout",
    "body_timeout_s",
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Maximum time for a request body.",
)
@click.option(
    "--answer-timeout",
    "answer_timeout_s",
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Maximum time for an accepted photo; then it gets code 2 and its worker is replaced.",
)
@click.option(
    "--connections",
    default=4096,
    show_default=True,
    metavar="N",
    help="Maximum open connections; at the limit, the longest idle one is closed.",
)
@click.option(
    "--grace",
    "grace_s",
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="Maximum time that a shutdown waits for accepted photos.",
)
@click.option(
    "--cors",
    "cors_origins",
    multiple=True,
    metavar="ORIGIN",
    help="A web origin that may call the API; repeatable (default: none).",
)
@click.option(
    "--root-path",
    default="",
    metavar="/PATH",
    help="Path under which a proxy shows this server; /idseg for https://example.com/idseg/.",
)
@click.option("--tls-cert", default="", metavar="FILE", help="Certificate chain, PEM.")
@click.option("--tls-key", default="", metavar="FILE", help="Private key of the certificate, PEM.")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="JSON lines on stderr.",
)
def serve(no_auth: bool, in_lan: bool, https: bool, log_level: str, **chosen: Any) -> None:
    """Answer the cloud API's requests over HTTP, with a web page at /.

    \b
    Examples:
      idseg keys add                       # once: makes an API key and a secret key
      idseg serve                          # http://127.0.0.1:8080/
      idseg serve --no-auth                # try it without keys
      idseg serve --lan --https            # from a phone in the same network: scan the QR code
      IDSEG_API_KEY=… IDSEG_SECRET_KEY=… idseg serve --host 0.0.0.0 --workers 4

    \b
    In a client, change the host name only:
      https://aip.baidubce.com/…  →  http://127.0.0.1:8080/…
    """
    with clear_errors():
        missing = [name for name in _SERVER_PACKAGES if find_spec(name) is None]
        if missing:
            raise DependencyError(
                f"the server needs {', '.join(missing)}; install them with: pip install 'idseg[server]'"
            )
        from idseg.server.run import serve as run
        from idseg.server.settings import Settings

        if https and not in_lan:
            raise OptionError("--https goes with --lan; elsewhere name the files: --tls-cert and --tls-key")
        if in_lan:
            chosen = _for_lan(chosen, https=https)
        settings = Settings(auth=not (no_auth or in_lan), **chosen)
        scheme = "https" if settings.tls_cert else "http"
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        run(settings, log_level, lambda: click.echo(f"loading models, then {scheme}://{host}:{settings.port}/"))


def _for_lan(chosen: dict[str, Any], *, https: bool) -> dict[str, Any]:
    """The options of a server for devices in the home network."""
    from idseg.server import lan
    from idseg.server.auth.certificate import self_signed
    from idseg.server.settings import LOOPBACK, default_state_folder

    lan.check_packages()
    named = chosen["host"] not in LOOPBACK and chosen["host"] not in lan.EVERYWHERE
    address = chosen["host"] if named else lan.own_address()
    chosen = {**chosen, "lan_address": address, "host": chosen["host"] if named else lan.EVERYWHERE[0]}
    if https and not chosen["tls_cert"]:
        folder = Path(chosen["state_folder"]) if chosen["state_folder"] else default_state_folder()
        certificate, key, fingerprint = self_signed(folder, address)
        click.echo(f"certificate {certificate}, SHA-256 fingerprint:\n{fingerprint}")
        chosen |= {"tls_cert": str(certificate), "tls_key": str(key)}
    return chosen

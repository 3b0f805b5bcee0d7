"""The terminal output of ``idseg serve --lan``: the link as text and as a QR code, and its risks."""

from __future__ import annotations

import io
import logging
import socket
from importlib.util import find_spec
from typing import Final

from idseg.errors import DependencyError, OptionError
from idseg.server.auth.links import LINK_S
from idseg.server.logs import TERMINAL
from idseg.server.settings import Settings

EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 - the user asks for it with --lan
_SOMEWHERE: Final = ("192.0.2.1", 9)
"""A reserved address (RFC 5737). No packet is sent; it only selects the network interface."""


def own_address() -> str:
    """This machine's address in the home network: that of the interface with the default route.

    Raises:
        OptionError: the machine is not in a network.
    """
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(_SOMEWHERE)
            address: str = probe.getsockname()[0]
    except OSError:
        raise OptionError("this machine is in no network; name its address with --host") from None
    return address


def show(settings: Settings, secret: str) -> None:
    """Print a link of a running server."""
    url = link(settings, secret)
    logging.getLogger(TERMINAL).info(told(url, https=bool(settings.tls_cert)))


def link(settings: Settings, secret: str) -> str:
    """The link. The secret is in the fragment, which browsers send to no server and no log contains."""
    address = settings.lan_address
    host = f"[{address}]" if ":" in address else address
    return f"{'https' if settings.tls_cert else 'http'}://{host}:{settings.port}/#link={secret}"


def check_packages() -> None:
    """Raises DependencyError if segno is not installed."""
    if find_spec("segno") is None:
        raise DependencyError("--lan needs segno; install it with: pip install 'idseg[server]'")


_PLAIN: Final = (
    "Others in this network can read along,\n"
    "photos too: use it at home, not in a café. --https encrypts, and only with it can the page use the phone's\n"
    "camera itself; choosing a photo, or taking one with the phone's camera app, works without."
)
_ENCRYPTED: Final = (
    "What is sent is encrypted. The phone\n"
    "will warn of an unknown certificate: go on only where its fingerprint is the one above."
)


def told(url: str, *, https: bool) -> str:
    """The text for the terminal: a link as a QR code and as text, and its risks."""
    import segno

    code = io.StringIO()
    segno.make(url, micro=False).terminal(code, border=2, compact=True)
    return (
        "\nScan this with the phone, or open the link. Phone and computer must be in the same network.\n\n"
        f"{code.getvalue()}\n{url}\n\n"
        f"It works once and for {LINK_S // 60} minutes; when it was used, a new one appears here.\n"
        f"Risk: whoever opens it first can use this server until it stops. {_ENCRYPTED if https else _PLAIN}\n"
    )

"""Refuses browser calls from other web sites. Programs other than browsers do not send the headers checked here."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from idseg.cloud.errors import ForeignSiteError
from idseg.server.settings import LOOPBACK


def refuse_foreign_site(
    headers: Mapping[str, str], *, needs_loopback: bool, origins: Collection[str] = frozenset()
) -> None:
    """Allow calls from this server's own page and from programs that are not browsers.

    Args:
        headers: headers of the request, names in lower case.
        needs_loopback: the server has no keys, so it answers only under this machine's own names, which prevents DNS
            rebinding.
        origins: other web sites that may call.

    Raises:
        ForeignSiteError: another web site made the call.
    """
    host = headers.get("host", "")
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if needs_loopback and name.lower() not in LOOPBACK:
        raise ForeignSiteError("a server without keys answers its page only as localhost", host=host[:100])
    origin = headers.get("origin")
    if origin is not None and origin in origins:
        return
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise ForeignSiteError("another site made this call")
    if origin is not None and origin.partition("://")[2].lower() != host.lower():
        raise ForeignSiteError("another site made this call")

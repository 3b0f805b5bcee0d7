"""Whether a browser's call may come from another web site. Programs that are no browsers send none of these headers."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from idseg.cloud.errors import ForeignSiteError
from idseg.server.settings import LOOPBACK


def refuse_foreign_site(
    headers: Mapping[str, str], *, needs_loopback: bool, origins: Collection[str] = frozenset()
) -> None:
    """Let through what this server's own page, or no page at all, has sent.

    Args:
        headers: of the request, names in lower case.
        needs_loopback: the server has no keys: it answers only under this machine's own names, which ends DNS
            rebinding.
        origins: other sites that may call.

    Raises:
        ForeignSiteError: another site made the call.
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

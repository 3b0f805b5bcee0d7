"""A token and a client for the server of all tests (``live``)."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from idseg.server.settings import Settings
from tests.cloud.test_wire import check
from tests.server.live import FAKE_APP, Live, running


@pytest.fixture(scope="session")
def token(live: Live) -> str:
    return live.token()


@pytest.fixture(scope="session")
def home() -> Iterator[Live]:
    """A server for devices at home, which come in by one-time links."""
    with running(Settings(app=FAKE_APP, auth=False, lan_address="127.0.0.1")) as server:
        yield server


@pytest.fixture(scope="session")
def http(live: Live) -> Iterator[httpx.Client]:
    """A client that checks every reply of the API against the schema."""

    def checked(answer: httpx.Response) -> None:
        if answer.url.path.startswith("/rest/2.0/"):
            answer.read()
            check(answer.json())

    with httpx.Client(base_url=live.url, timeout=120, trust_env=False, event_hooks={"response": [checked]}) as client:
        yield client

"""One browser and one server without keys for all tests of the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.server.page.browser import Browser, opened


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with opened(tmp_path_factory) as browser:
        yield browser

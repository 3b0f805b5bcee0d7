"""Fixtures: the example portrait, the shared photos where they are, one Segmenter for all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from idseg.types import Rgb

if TYPE_CHECKING:
    from tests.server.live import Live

# numba compiles for 44 s where its cache cannot be kept; nothing on the default path may need it.
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(__file__).parent.parent / ".pytest_cache" / "numba"))

# Threads of PyTorch and OpenBLAS that spin while they wait make a shared machine ten times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

# On a busy machine any example may take long: no test asserts a wall time.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"


@pytest.fixture(scope="session")
def astronaut() -> Rgb:
    """NASA's portrait of Eileen Collins (public domain), (512, 512, 3), from scikit-image's wheel."""
    from skimage import data

    picture: Rgb = np.ascontiguousarray(data.astronaut())  # type: ignore[no-untyped-call]
    picture.setflags(write=False)
    return picture


@pytest.fixture(scope="session")
def astronaut_file(astronaut: Rgb, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a JPEG file."""
    from idseg.imaging.encode import jpeg

    path = tmp_path_factory.mktemp("photo") / "astronaut.jpg"
    path.write_bytes(jpeg(astronaut))
    return path


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """../shared/data; the test skips, saying so, where it is absent."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip("shared/data is not here: this test needs its photos")
    return folder


@pytest.fixture(scope="session")
def segmenter() -> Iterator[object]:
    """One Segmenter with the weights that ship."""
    from idseg import Segmenter

    with Segmenter() as shared:
        yield shared


@pytest.fixture(scope="session")
def live() -> Iterator[Live]:
    """One server with the fake models for all tests that need no other settings."""
    from tests.server.live import running

    with running() as server:
        yield server


@pytest.fixture(scope="session")
def open_live() -> Iterator[Live]:
    """The same without keys."""
    from idseg.server.settings import Settings
    from tests.server.live import hosted

    with hosted(Settings(auth=False)) as server:
        yield server

"""Foreground colours: no weights needed."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import numpy.typing as npt
import pytest

from idseg.stages.foreground import estimate_foreground


def head(side: int = 480) -> npt.NDArray[np.float32]:
    """A disc with a soft edge 12 px wide."""
    rows, columns = np.mgrid[0:side, 0:side] - side / 2
    return np.asarray(np.clip((150 - np.hypot(rows, columns)) / 12 + 0.5, 0.0, 1.0), np.float32)


def composite(
    foreground: npt.NDArray[np.uint8], background: npt.NDArray[np.uint8], alpha: npt.NDArray[np.float32]
) -> npt.NDArray[np.uint8]:
    mixed = foreground * alpha[..., None] + background * (1 - alpha[..., None])
    return np.asarray(mixed + 0.5, np.uint8)


@pytest.mark.parametrize("backdrop", [(0, 0, 255), (255, 255, 255), (0, 200, 0)])
def test_no_halo_of_the_old_backdrop(backdrop: tuple[int, int, int]) -> None:
    alpha = head()
    truth = np.full((480, 480, 3), (150, 90, 60), np.uint8)
    picture = composite(truth, np.full_like(truth, backdrop), alpha)
    found = estimate_foreground(picture, alpha)
    black = np.zeros_like(truth)
    halo = np.abs(composite(found, black, alpha).astype(int) - composite(truth, black, alpha).astype(int))
    naive = np.abs(composite(picture, black, alpha).astype(int) - composite(truth, black, alpha).astype(int))
    assert halo.max() <= 6  # of 255; the naive paste leaves the old backdrop's colour
    assert naive.max() > 30


def test_opaque_pixels_keep_their_colour_exactly() -> None:
    alpha = head()
    picture = np.random.default_rng(1).integers(0, 256, (480, 480, 3), dtype=np.uint8)
    found = estimate_foreground(picture, alpha)
    assert np.array_equal(found[alpha == 1.0], picture[alpha == 1.0])


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_an_empty_and_a_full_matte(level: float) -> None:
    picture = np.random.default_rng(2).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    found = estimate_foreground(picture, np.full((40, 56), level, np.float32))
    assert found.shape == picture.shape
    assert found.dtype == np.uint8
    if level == 1.0:
        assert np.array_equal(found, picture)


def test_inputs_are_left_alone_and_mirroring_mirrors() -> None:
    alpha = head()
    picture = np.random.default_rng(3).integers(0, 256, (480, 480, 3), dtype=np.uint8)
    kept_picture, kept_alpha = picture.copy(), alpha.copy()
    found = estimate_foreground(picture, alpha)
    assert np.array_equal(picture, kept_picture)
    assert np.array_equal(alpha, kept_alpha)
    mirrored = estimate_foreground(np.ascontiguousarray(picture[:, ::-1]), np.ascontiguousarray(alpha[:, ::-1]))
    apart = np.abs(mirrored[:, ::-1].astype(int) - found.astype(int))
    assert apart[alpha > 0.002].max() <= 1  # blocks begin at the left, and end the colours where alpha is 0


def test_the_default_path_never_imports_pymatting_or_numba() -> None:
    code = (
        "import sys, idseg.stages.matte, idseg.stages.refine, idseg.stages.foreground\n"
        "sys.exit('pymatting' in sys.modules or 'numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

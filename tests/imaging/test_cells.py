"""Cells of a picture in one strip."""

import numpy as np
import pytest

from idseg.imaging.cells import Cells

HALO = 4


def cells_of(height: int, width: int, seed: int = 0) -> Cells:
    marked = np.zeros((height, width), np.uint8)
    marked[np.random.default_rng(seed).random((height, width)) < 0.003] = 1
    marked[-1, -1] = marked[0, 0] = 1
    cells = Cells.of(marked, HALO)
    assert cells is not None
    assert (cells.picture(cells.inner(cells.read(marked.astype(np.float32)))) == marked).all()
    return cells


@pytest.mark.parametrize(("height", "width"), [(100, 90), (48, 64), (5, 7), (25, 9), (131, 5)])
def test_what_is_read_and_written_back_is_the_picture_in_the_cells(height: int, width: int) -> None:
    picture = np.arange(1.0, height * width + 1, dtype=np.float32).reshape(height, width)
    cells = cells_of(height, width)
    back = cells.picture(cells.inner(cells.read(picture)))
    assert back.shape == picture.shape
    assert set(np.unique(back == picture)) <= {np.True_, np.False_}
    assert ((back == picture) | (back == 0)).all()
    assert back[0, 0] == picture[0, 0]
    assert back[-1, -1] == picture[-1, -1]


def test_a_halo_has_the_pixels_around_the_cell() -> None:
    picture = np.arange(200 * 150).reshape(200, 150)
    marked = np.zeros((200, 150), np.uint8)
    marked[100, 75] = 1
    cells = Cells.of(marked, HALO)
    assert cells is not None
    assert (cells.read(picture) == picture[96 - HALO : 120 + HALO, 72 - HALO : 80 + HALO]).all()


def test_beyond_the_picture_it_is_mirrored() -> None:
    picture = np.arange(20 * 30).reshape(20, 30)
    cells = Cells.of(np.ones((20, 30), np.uint8), HALO)
    assert cells is not None
    around = np.pad(picture, HALO, "reflect")
    assert (cells.read(picture)[: 20 + 2 * HALO] == around).all()


def test_channels_are_read_too() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (60, 50, 3))
    cells = cells_of(60, 50)
    assert (cells.read(picture)[..., 1] == cells.read(picture[..., 1])).all()


def test_nothing_marked_is_no_cell() -> None:
    assert Cells.of(np.zeros((40, 40), np.uint8), HALO) is None

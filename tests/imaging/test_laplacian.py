"""The matting Laplacian without a matrix."""

import numpy as np
import numpy.typing as npt
import pytest

from idseg.imaging.cells import Cells
from idseg.imaging.laplacian import HALO, Guide, Steps, moved

NOISE = 4e-5
STEPS = Steps(6, slowest=0.03, weight=1e-3)
Floats = npt.NDArray[np.float64]


def picture(height: int = 30, width: int = 26, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def every_cell(height: int, width: int) -> Cells:
    cells = Cells.of(np.ones((height, width), np.uint8), HALO)
    assert cells is not None
    return cells


def laplacian(rgb: npt.NDArray[np.uint8], noise: float) -> Floats:
    """The matrix of Levin et al. for windows of 5 x 5 that lie in the picture, divided by 25."""
    height, width = rgb.shape[:2]
    colours = rgb.reshape(-1, 3) / 255
    matrix = np.zeros((height * width, height * width))
    index = np.arange(height * width).reshape(height, width)
    for row in range(2, height - 2):
        for column in range(2, width - 2):
            window = index[row - 2 : row + 3, column - 2 : column + 3].ravel()
            centred = colours[window] - colours[window].mean(axis=0)
            inverse = np.linalg.inv(centred.T @ centred / 25 + noise * np.eye(3))
            matrix[np.ix_(window, window)] += (np.eye(25) - (1 + centred @ inverse @ centred.T) / 25) / 25
    return matrix


def filtered(rgb: npt.NDArray[np.uint8], alpha: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    cells = every_cell(*alpha.shape)
    strip = cells.read(alpha)
    scratch = np.empty((4, *strip.shape), np.float32), np.empty((3, *strip.shape), np.float32)
    return cells.picture(cells.inner(Guide.of(rgb, cells, NOISE).filtered(strip, scratch)))


def test_the_difference_to_the_filter_is_the_matrix_times_the_matte() -> None:
    rgb = picture()
    alpha = np.random.default_rng(1).random(rgb.shape[:2]).astype(np.float32)
    expected = (laplacian(rgb, NOISE) @ alpha.ravel()).reshape(alpha.shape)
    inside = np.s_[4:-4, 4:-4]  # all windows of these pixels lie in the picture
    assert (alpha - filtered(rgb, alpha))[inside] == pytest.approx(expected[inside], abs=2e-4)


def test_an_affine_function_of_the_colours_is_already_right() -> None:
    rgb = picture()
    alpha = (rgb @ np.array([0.2, 0.3, 0.4]) / 255 + 0.05).astype(np.float32)
    assert filtered(rgb, alpha) == pytest.approx(alpha, abs=5e-3)


def two_colours(height: int, width: int) -> npt.NDArray[np.uint8]:
    """Windows of exactly two colours, of one, and of colours that hardly differ."""
    rgb = np.where(np.random.default_rng(0).random((height, width, 1)) < 0.5, 0, 255).astype(np.uint8).repeat(3, axis=2)
    rgb[: height // 3] = (255, 0, 255)
    rgb[height // 3 : height // 2] = 7
    rgb[height // 3 : height // 2, ::5] = 8
    return rgb


@pytest.mark.parametrize("noise", [1e-5, NOISE])
def test_windows_of_one_or_two_colours_make_no_large_numbers(noise: float) -> None:
    rgb = two_colours(90, 80)
    alpha = np.random.default_rng(2).random((90, 80)).astype(np.float32)
    cells = every_cell(90, 80)
    guide = Guide.of(rgb, cells, noise)
    assert np.abs(guide.inverse).max() <= 1.01 / noise
    free = np.ones((90, 80), np.uint8)
    change = moved(guide, cells, alpha, alpha, free, Steps(200, slowest=0.01, weight=1e-3))
    assert np.isfinite(change).all()
    after = alpha + cells.picture(change)
    assert after.min() >= 0.0
    assert after.max() <= 1.0 + 1e-6


def test_steps_come_near_the_exact_solution() -> None:
    rgb = picture(40, 40, seed=3)
    alpha = np.random.default_rng(4).random((40, 40)).astype(np.float32) * 0.2 + 0.4
    free = np.zeros((40, 40), np.uint8)
    free[8:-8, 8:-8] = 1
    matrix, cells = laplacian(rgb, NOISE), every_cell(40, 40)
    guide = Guide.of(rgb, cells, NOISE)
    here = free.ravel() == 1
    inner = matrix[np.ix_(here, here)] + STEPS.weight * np.eye(int(here.sum()))
    exact = np.linalg.solve(inner, -(matrix @ alpha.ravel())[here])

    def distance(count: int) -> float:
        change = cells.picture(moved(guide, cells, alpha, alpha, free, STEPS._replace(number=count)))
        assert (change[free == 0] == 0).all()
        return float(np.abs(change.ravel()[here] - exact).mean())

    assert distance(0) > 0.05
    assert distance(6) < 0.2 * distance(0)
    assert distance(60) < 1e-5


def test_cells_do_not_depend_on_distant_ones() -> None:
    rgb, alpha = picture(200, 60), np.random.default_rng(5).random((200, 60)).astype(np.float32)
    marked = np.zeros((200, 60), np.uint8)
    marked[10, 20] = 1
    both = marked.copy()
    both[180, 40] = 1
    results = []
    for chosen in (marked, both):
        cells = Cells.of(chosen, HALO)
        assert cells is not None
        guide = Guide.of(rgb, cells, NOISE)
        results.append(cells.picture(moved(guide, cells, alpha, alpha, np.ones_like(marked), STEPS)))
    assert (results[0][:100] == results[1][:100]).all()
    assert results[1][100:].any()

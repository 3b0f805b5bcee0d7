"""Resampling on any device: affine maps with area averaging, and blurs. Pictures: float32 (C, H, W) or (N, C, H, W).

Points are (x, y) in pixels; the centre of the first pixel is (.5, .5). A map is a (2, 3) array from source points to
frame points.
"""

# torch is not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

Map = NDArray[np.float64]


def joined(second: Map, first: Map) -> Map:
    """The map that applies ``first``, then ``second``."""
    return np.asarray(second @ np.vstack((first, (0, 0, 1))), np.float64)


def scale_of(matrix: Map) -> float:
    """Linear enlargement: the square root of the enlargement of areas."""
    return float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))


def warp(picture: Tensor, matrix: Map, size: tuple[int, int], padding: str) -> Tensor:
    """Resample (C, h, w) to ``size`` (width, height): bicubic; with area averaging if it shrinks below 2/3.

    ``padding``: "zeros", "border" or "reflection". The result may slightly exceed the range of the source.
    """
    x = picture[None].float()
    scale = scale_of(matrix)
    height, width = x.shape[-2:]
    if scale < 0.67:
        rows, columns = (max(round(side * scale * 1.2), 1) for side in (height, width))
        x = functional.interpolate(x, (rows, columns), mode="area")
        matrix = matrix @ np.diag((width / columns, height / rows, 1.0))
        height, width = rows, columns
    back = np.linalg.inv(np.vstack((matrix, (0, 0, 1))))
    into = np.array(((2 / width, 0, -1), (0, 2 / height, -1), (0, 0, 1)))
    out = np.array(((size[0] / 2, 0, size[0] / 2), (0, size[1] / 2, size[1] / 2), (0, 0, 1)))
    theta = torch.from_numpy((into @ back @ out)[:2].astype(np.float32)).to(x.device, non_blocking=True)
    grid = functional.affine_grid(theta[None], [1, x.shape[1], size[1], size[0]], align_corners=False)
    return functional.grid_sample(x, grid, mode="bicubic", padding_mode=padding, align_corners=False)[0]


def blur(pictures: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (N, C, H, W); large sigmas are computed at a lower resolution."""
    height, width = pictures.shape[-2:]
    step = max(int(sigma / 2.0), 1)
    if step > 1:
        small = functional.interpolate(pictures, (max(height // step, 2), max(width // step, 2)), mode="area")
        small = gaussian(small, sigma / step)
        return functional.interpolate(small, (height, width), mode="bilinear", align_corners=False)
    return gaussian(pictures, sigma)


def gaussian(pictures: Tensor, sigma: float) -> Tensor:
    """Separable Gaussian of (N, C, H, W); the border is repeated."""
    radius = max(int(np.ceil(2.5 * sigma)), 1)
    at = torch.arange(-radius, radius + 1, dtype=torch.float32, device=pictures.device)
    kernel = torch.exp(-0.5 * (at / sigma) ** 2)
    kernel = kernel / kernel.sum()
    count, channels, height, width = pictures.shape
    flat = pictures.reshape(count * channels, 1, height, width)
    flat = functional.pad(flat, (radius, radius, radius, radius), mode="replicate")
    flat = functional.conv2d(flat, kernel.view(1, 1, 1, -1))
    return functional.conv2d(flat, kernel.view(1, 1, -1, 1)).reshape(count, channels, height, width)


def noise(size: tuple[int, int], cells: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Smooth noise (height, width) with mean 0, standard deviation about 1, and ``cells`` (across, down) cells."""
    device = generator.device
    knots = torch.randn(1, 1, max(cells[1], 2), max(cells[0], 2), generator=generator, device=device)
    return functional.interpolate(knots, (size[1], size[0]), mode="bicubic", align_corners=False)[0, 0] * 1.3

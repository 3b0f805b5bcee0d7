"""Degrades whole batches (N, 3, H, W), 0..255, as cameras and web sites do: light, colour, blur, noise, JPEG."""

# torch is not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from scripts.train.scene.warp import gaussian

GREY = (0.299, 0.587, 0.114)
_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55), (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62), (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip
"""Luminance steps at quality 50: ITU-T T.81, table K.1. Chrominance (K.2) is 99 except in the first corner."""


def degrade(pictures: Tensor, rng: np.random.Generator, chance: torch.Generator, strength: float) -> Tensor:
    """Change light and colour of all pictures at random; blur, add noise, JPEG-compress or decolour some of them."""
    count = len(pictures)
    pictures = tone(pictures, rng, strength)
    for index in range(count):
        one = pictures[index : index + 1]
        draw = rng.random()
        if draw < 0.12:
            one = gaussian(one, float(rng.uniform(0.4, 1.2)))
        elif draw < 0.2:
            one = softened(one, float(rng.uniform(0.5, 0.9)))
        elif draw < 0.3:  # sharpened, as phones do
            one = one + float(rng.uniform(0.3, 1.2)) * (one - gaussian(one, float(rng.uniform(0.6, 1.5))))
        pictures[index] = one[0]
    some = torch.from_numpy(rng.uniform(0.5, 8.0, count) * (rng.random(count) < 0.4)).float().to(pictures.device)
    grain = torch.randn(pictures.shape, generator=chance, device=pictures.device)
    pictures = (pictures + grain * some.view(-1, 1, 1, 1)).clamp(0.0, 255.0)
    chosen = np.flatnonzero(rng.random(count) < 0.5)
    if chosen.size:
        quality = np.exp(rng.uniform(np.log(30), np.log(97), chosen.size))
        places = torch.from_numpy(chosen).to(pictures.device)
        pictures[places] = jpeg(pictures[places], quality)
    grey = np.flatnonzero(rng.random(count) < 0.04)
    if grey.size:
        places = torch.from_numpy(grey).to(pictures.device)
        pictures[places] = luminance(pictures[places]).expand(-1, 3, -1, -1)
    return pictures


def luminance(pictures: Tensor) -> Tensor:
    """(N, 3, H, W) to (N, 1, H, W)."""
    weights = torch.tensor(GREY, device=pictures.device).view(1, 3, 1, 1)
    return (pictures * weights).sum(dim=1, keepdim=True)


def tone(pictures: Tensor, rng: np.random.Generator, strength: float) -> Tensor:
    """Random exposure, gamma, white balance and saturation for each picture."""
    count, device = len(pictures), pictures.device

    def each(values: np.ndarray) -> Tensor:  # type: ignore[type-arg]
        return torch.from_numpy(values.reshape(count, -1, 1, 1).astype(np.float32)).to(device)

    gain = np.exp(rng.normal(0, 0.18 * strength, (count, 1)) + rng.normal(0, 0.07 * strength, (count, 3)))
    gamma, saturation = np.exp(rng.normal(0, 0.2 * strength, count)), np.exp(rng.normal(0, 0.25 * strength, count))
    x = (pictures / 255.0).clamp(0.0, 1.0) ** each(gamma) * (255.0 * each(gain)) + each(
        rng.normal(0, 8.0 * strength, count)
    )
    grey = luminance(x)
    return (grey + (x - grey) * each(saturation)).clamp(0.0, 255.0)


def softened(pictures: Tensor, scale: float) -> Tensor:
    """Shrink by ``scale`` and enlarge again."""
    height, width = pictures.shape[-2:]
    small = functional.interpolate(pictures, (int(height * scale), int(width * scale)), mode="area")
    return functional.interpolate(small, (height, width), mode="bicubic", align_corners=False)


def _cosines(device: torch.device) -> Tensor:
    """The DCT's matrix (8, 8)."""
    rows, columns = np.mgrid[0:8, 0:8]
    matrix = np.cos((2 * columns + 1) * rows * math.pi / 16) * np.where(rows == 0, math.sqrt(1 / 8), 0.5)
    return torch.from_numpy(matrix.astype(np.float32)).to(device)


def jpeg(pictures: Tensor, quality: np.ndarray) -> Tensor:  # type: ignore[type-arg]
    """Simulate JPEG's quantisation of (N, 3, H, W), 0..255; ``quality`` (N,), 1..100; chroma at half size."""
    device = pictures.device
    height, width = pictures.shape[-2:]
    padded = functional.pad(pictures, (0, -width % 16, 0, -height % 16), mode="replicate")
    y = luminance(padded)
    chroma = torch.cat((padded[:, 2:] - y, padded[:, :1] - y), dim=1) * torch.tensor(
        (0.564, 0.713), device=device
    ).view(1, 2, 1, 1)
    percent = np.where(quality < 50, 5000 / quality, 200 - 2 * quality) / 100
    factor = torch.from_numpy(percent.astype(np.float32)).to(device).view(-1, 1, 1, 1, 1, 1)
    table = torch.tensor(_LUMA, dtype=torch.float32, device=device)
    coarse = torch.full((8, 8), 99.0, device=device)
    corner = torch.tensor(((17, 18, 24, 47), (18, 21, 26, 66), (24, 26, 56, 99), (47, 66, 99, 99)), device=device)
    coarse[:4, :4] = corner.float()
    y = _quantised(y - 128.0, table, factor) + 128.0
    chroma = _quantised(functional.avg_pool2d(chroma, 2), coarse, factor)
    chroma = functional.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False)
    blue, red = chroma[:, :1] / 0.564 + y, chroma[:, 1:] / 0.713 + y
    green = (y - GREY[0] * red - GREY[2] * blue) / GREY[1]
    return torch.cat((red, green, blue), dim=1)[..., :height, :width].clamp(0.0, 255.0)


def _quantised(planes: Tensor, table: Tensor, factor: Tensor) -> Tensor:
    """DCT of 8x8 blocks of (N, C, H, W), rounded to multiples of ``table * factor``, and the inverse DCT."""
    count, channels, height, width = planes.shape
    cosines = _cosines(planes.device)
    blocks = planes.reshape(count, channels, height // 8, 8, width // 8, 8).transpose(3, 4)
    steps = (table * factor).round().clamp(min=1.0)
    frequencies = ((cosines @ blocks @ cosines.T) / steps).round() * steps
    back = cosines.T @ frequencies @ cosines
    return back.transpose(3, 4).reshape(count, channels, height, width)

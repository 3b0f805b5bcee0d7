"""A head with strands around it, drawn with exact alpha."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

SIDE = 480
HAIR, WALL = (60, 40, 30), (190, 200, 210)
Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]


def strands(seed: int = 0) -> Floats:
    """The true alpha of a head, with strands and gaps around it."""
    random = np.random.default_rng(seed)
    drawn = np.zeros((SIDE * 4, SIDE * 4), np.uint8)
    middle = SIDE * 2
    cv2.circle(drawn, (middle, middle), SIDE, 255, -1)
    for angle in np.linspace(0, 2 * np.pi, 160):
        length, bend = SIDE * random.uniform(1.1, 1.5), random.uniform(-0.2, 0.2)
        start, end = (
            (int(middle + r * np.cos(a)), int(middle + r * np.sin(a)))
            for r, a in ((SIDE, angle), (length, angle + bend))
        )
        cv2.line(drawn, start, end, 255, int(random.integers(4, 12)), cv2.LINE_AA)
    return (cv2.resize(drawn, (SIDE, SIDE), interpolation=cv2.INTER_AREA) / 255).astype(np.float32)


def soft(alpha: Floats) -> Floats:
    """What a net makes of it: a wide grey band instead of strands."""
    return np.asarray(cv2.blur(alpha, (25, 25)), np.float32)


def photo(alpha: Floats, hair: tuple[int, ...] = HAIR, wall: tuple[int, ...] = WALL, noise: float = 1.0) -> Bytes:
    colours = alpha[..., None] * np.array(hair) + (1 - alpha[..., None]) * np.array(wall)
    colours += np.random.default_rng(9).normal(0, noise, colours.shape)
    return np.asarray(np.clip(colours + 0.5, 0, 255), np.uint8)


def error(alpha: Floats, truth: Floats) -> float:
    return float(np.abs(alpha - truth).mean())

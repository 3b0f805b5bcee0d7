"""Light on hair: Kajiya and Kay's shading, with shadows inside the hair and shadows of the head.

Source: Kajiya & Kay 1989, "Rendering fur with three dimensional textures", equations 14 to 16. The shifted white and
the coloured highlight come from Marschner et al. 2003. Shadows use the optical depth of the strands on a grid of cells,
summed along the way to each light.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scripts.train.hair.head import F32, HeadShape, unit

CELL, REACH = 0.07, 3.2
"""Edge of a grid cell, and the distance from the centre of the head to the edge of the grid, head units."""

PIGMENTS = (
    (16, 14, 14), (26, 22, 20), (38, 29, 25), (58, 40, 30), (88, 60, 42), (122, 86, 56), (160, 120, 78),
    (196, 158, 108), (224, 200, 156), (146, 70, 40), (178, 96, 56), (150, 148, 146), (205, 203, 200), (236, 234, 230),
)  # fmt: skip
"""Hair colours in even light, sRGB: black to blond, red, grey to white."""


@dataclass(frozen=True)
class Lamp:
    """A distant light: unit vector (3,) towards it, and its RGB strength."""

    towards: F32
    strength: F32


@dataclass(frozen=True)
class Light:
    """All lights on one head."""

    lamps: tuple[Lamp, ...]
    ambient: F32
    gloss: float
    power: float
    glow: float
    """Strength of light that shines through the hair from behind."""


def draw_light(rng: np.random.Generator) -> Light:
    """A main light in front, often a fill light, often a light behind; each with its own colour temperature."""
    lamps = [_lamp(rng, (rng.uniform(-1.2, 1.2), -1.0, rng.uniform(-0.1, 1.2)), rng.uniform(0.5, 1.0))]
    if rng.random() < 0.6:
        lamps.append(
            _lamp(rng, (rng.uniform(-1.5, 1.5), rng.uniform(-1, 0), rng.uniform(-0.3, 1)), rng.uniform(0.1, 0.5))
        )
    if rng.random() < 0.5:
        lamps.append(_lamp(rng, (rng.uniform(-1.5, 1.5), 1.0, rng.uniform(0.1, 1.5)), rng.uniform(0.2, 1.6)))
    ambient = rng.uniform(0.2, 0.6) * np.exp(rng.normal(0.0, 0.05, 3))
    power = float(np.exp(rng.uniform(np.log(8), np.log(70))))
    return Light(tuple(lamps), ambient.astype(np.float32), rng.uniform(0.05, 0.5), power, rng.uniform(0.2, 1.0))


def _lamp(rng: np.random.Generator, towards: tuple[float, float, float], strength: float) -> Lamp:
    warm = rng.normal(0.0, 0.09)
    colour = strength * np.exp(np.array((warm, 0.0, -warm)))
    return Lamp(unit(np.array(towards, np.float32)), colour.astype(np.float32))


def draw_pigment(rng: np.random.Generator) -> F32:
    """One hair colour, linear light, 0..255: mostly natural, sometimes dyed."""
    if rng.random() < 0.06:
        return rng.uniform(10, 225, 3).astype(np.float32)
    index = int(len(PIGMENTS) * rng.random() ** 1.6)  # more dark than light
    return (np.array(PIGMENTS[index]) * np.exp(rng.normal(0, 0.12, 3) * 0.5)).astype(np.float32)


class Shade:
    """Optical depth of all strands of a head on a grid, and how much light reaches each place."""

    def __init__(self, head: HeadShape, samples: list[tuple[F32, float]]) -> None:
        """``samples``: points (n, 3) and the area (square units) that each point represents."""
        self.size = int(2 * REACH / CELL)
        flat = np.zeros(self.size**3, np.float32)
        for points, area in samples:
            cells = self._cells(points)
            flat += np.bincount(cells, minlength=flat.size).astype(np.float32) * (area / CELL**2)
        self.grid = flat.reshape((self.size,) * 3)
        at = (np.arange(self.size, dtype=np.float32) + 0.5) * CELL - REACH
        places = np.stack(np.meshgrid(at, at, at, indexing="ij"), axis=-1).reshape(-1, 3)
        skull = (np.linalg.norm(head.inside(places), axis=1) < 0.93).reshape(self.grid.shape)
        self.blocked = np.where(skull, np.float32(3.0), self.grid * 0.6)

    def _cells(self, points: F32) -> NDArray[np.int64]:
        cell = np.clip(((points + REACH) / CELL).astype(np.int64), 0, self.size - 1)
        return np.asarray((cell[..., 0] * self.size + cell[..., 1]) * self.size + cell[..., 2], np.int64)

    def arrives(self, points: F32, towards: F32) -> F32:
        """Share (n,) of a lamp's light that reaches ``points`` (n, 3); the cells along 1.3 units of its way dim it."""
        depth = np.zeros(len(points), np.float32)
        blocked = self.blocked.ravel()
        for step in range(1, 14):
            depth += blocked[self._cells(points + towards * np.float32(step * 1.4 * CELL))]
        return np.asarray(np.exp(-0.35 * depth), np.float32)

    def open(self, points: F32) -> F32:
        """How open ``points`` (n, 3) are to all sides, 0..1: samples one step in each of four directions."""
        sides = np.array(((0.1, -0.15, 0), (-0.1, -0.15, 0), (0, -0.12, 0.14), (0, -0.2, -0.05)), np.float32)
        depth = np.zeros(len(points), np.float32)
        grid = self.grid.ravel()
        for side in sides:
            depth += grid[self._cells(points + side)]
        return np.asarray(np.exp(-0.12 * depth), np.float32)


def colours(points: F32, tint: F32, shade: Shade, light: Light) -> F32:
    """Colours (n, m, 3), 0..255, along strands ``points`` (n, m, 3) with pigments ``tint`` (n, m, 3)."""
    n, m, _ = points.shape
    tangent = unit(np.gradient(points, axis=1).astype(np.float32)).reshape(-1, 3)
    flat, own = points.reshape(-1, 3), tint.reshape(-1, 3)
    around = 0.35 + 0.65 * shade.open(flat)[:, None]
    total = own * light.ambient * around
    eye = np.array((0.0, -1.0, 0.0), np.float32)
    along_eye = tangent @ eye
    sine_eye = np.sqrt(np.clip(1 - along_eye**2, 0, 1))
    for lamp in light.lamps:
        lit = shade.arrives(flat, lamp.towards)[:, None] * lamp.strength
        along = tangent @ lamp.towards
        sine = np.sqrt(np.clip(1 - along**2, 0, 1))
        total += own * lit * (0.75 * sine)[:, None]
        for shift, white in ((0.1, 1.0), (-0.15, 0.0)):
            cosine = np.clip(sine * sine_eye - (along + shift) * along_eye, 0, 1)
            shine = (light.gloss * cosine**light.power)[:, None] * lit
            total += shine * (255.0 * 0.35 * white + own * 1.2 * (1 - white))
        through = max(float(lamp.towards[1]), 0.0)  # a light behind the hair
        if through:
            total += light.glow * through * lit * (own + 25.0) * sine[:, None]
    return np.asarray(np.clip(total, 0, 255).reshape(n, m, 3), np.float32)

"""Draws shapes from signed distances, and surfaces, on any device.

A shape is a coverage, float32 (H, W), 0..1, anti-aliased to first order. Colours are 0..1 (3, H, W).
"""

# torch is not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scripts.train.scene.warp import noise

Colour = NDArray[np.float64]
"""RGB, 0..1."""
Point = tuple[float, float]


@dataclass(frozen=True)
class Frame:
    """The pixels of one picture: the x and y coordinates (H, W) of their centres, and a random generator."""

    x: Tensor
    y: Tensor
    chance: torch.Generator

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.x.shape[1], self.x.shape[0]


def make_frame(size: tuple[int, int], chance: torch.Generator) -> Frame:
    """The frame of a picture of ``size`` (width, height) on the device of ``chance``."""
    width, height = size
    x = torch.arange(width, device=chance.device, dtype=torch.float32) + 0.5
    y = torch.arange(height, device=chance.device, dtype=torch.float32) + 0.5
    return Frame(x[None].expand(height, width), y[:, None].expand(height, width), chance)


def cover(distance: Tensor) -> Tensor:
    """Coverage from a signed distance in pixels, negative inside."""
    return (0.5 - distance).clamp(0.0, 1.0)


def turned(frame: Frame, middle: Point, angle: float) -> tuple[Tensor, Tensor]:
    """Coordinates along and across a direction (radians) from ``middle``."""
    c, s = float(np.cos(angle)), float(np.sin(angle))
    x, y = frame.x - middle[0], frame.y - middle[1]
    return c * x + s * y, c * y - s * x


def box(frame: Frame, middle: Point, half: Point, angle: float = 0.0, corner: float = 0.0) -> Tensor:
    """A rectangle, turned, with round corners: coverage."""
    along, across = turned(frame, middle, angle)
    dx, dy = along.abs() - (half[0] - corner), across.abs() - (half[1] - corner)
    outside = torch.hypot(dx.clamp(min=0.0), dy.clamp(min=0.0))
    return cover(outside + torch.maximum(dx, dy).clamp(max=0.0) - corner)


def ellipse(frame: Frame, middle: Point, half: Point, angle: float = 0.0) -> Tensor:
    """An ellipse: coverage."""
    along, across = turned(frame, middle, angle)
    return cover(ellipse_distance(along, across, half))


def ellipse_distance(along: Tensor, across: Tensor, half: Point) -> Tensor:
    """Distance to an ellipse, exact to first order near its edge."""
    u, v = along / half[0], across / half[1]
    radius = torch.hypot(u, v)
    slope = torch.hypot(u / half[0], v / half[1])
    return radius * (radius - 1.0) / slope.clamp(min=1e-6)


def ring(frame: Frame, middle: Point, half: Point, width: float, angle: float = 0.0) -> Tensor:
    """The outline of an ellipse, ``width`` px wide: coverage. Thinner than a pixel it is paler."""
    along, across = turned(frame, middle, angle)
    return line_cover(ellipse_distance(along, across, half).abs(), width)


def line_cover(distance: Tensor, width: float) -> Tensor:
    """Coverage of a line ``width`` px wide from the distance to its middle (a box filter across it)."""
    half = 0.5 * width
    return (torch.clamp(distance + half, max=0.5) - torch.clamp(distance - half, min=-0.5)).clamp(0.0, 1.0)


def capsule(frame: Frame, start: Point, end: Point, width: float) -> Tensor:
    """A line with round ends, ``width`` px wide: coverage."""
    return line_cover(capsule_distance(frame, start, end), width)


def capsule_distance(frame: Frame, start: Point, end: Point) -> Tensor:
    """Distance (H, W) to the line from ``start`` to ``end``, px."""
    px, py = frame.x - start[0], frame.y - start[1]
    dx, dy = end[0] - start[0], end[1] - start[1]
    t = ((px * dx + py * dy) / max(dx * dx + dy * dy, 1e-6)).clamp(0.0, 1.0)
    return torch.hypot(px - t * dx, py - t * dy)


def solid(frame: Frame, colour: Colour) -> Tensor:
    """One colour (3, H, W)."""
    flat = torch.as_tensor(np.asarray(colour, np.float32), device=frame.x.device).view(3, 1, 1)
    return flat.expand(3, *frame.x.shape)


def shaded(frame: Frame, colour: Colour, shade: Tensor) -> Tensor:
    """A colour (3, H, W) times ``shade`` (H, W)."""
    return (solid(frame, colour) * shade).clamp(0.0, 1.0)


def over(scene: Tensor, colour: Tensor, coverage: Tensor) -> Tensor:
    """``colour`` over ``scene``, both (3, H, W)."""
    return scene + (colour - scene) * coverage


SURFACES = ("flat", "wood", "stripes", "plaid", "folds", "speckle", "cloud")


def surface(frame: Frame, colour: Colour, rng: np.random.Generator, kind: str | None = None) -> Tensor:
    """The surface of an object of this colour: one of `SURFACES`, unevenly lit; (3, H, W)."""
    kind = kind or str(rng.choice(SURFACES))
    width = frame.size[0]
    angle = float(rng.uniform(0, np.pi))
    along, across = turned(frame, (0.0, 0.0), angle)
    shade = 1.0 + float(rng.uniform(-0.4, 0.4)) * (along / width - 0.5)
    depth = float(rng.uniform(0.05, 0.45))
    period = float(np.exp(rng.uniform(np.log(5.0), np.log(0.25 * width))))
    if kind == "wood":
        grain = noise(frame.size, (6, 6), frame.chance)
        shade = shade + 0.5 * depth * torch.sin(6.28 * across / period + 2.0 * grain)
        shade = shade + 0.25 * depth * torch.sin(6.28 * 3.7 * across / period + 3.0 * grain)
    elif kind == "stripes":
        shade = shade + depth * torch.sign(torch.sin(6.28 * across / period))
    elif kind == "plaid":
        shade = shade + 0.5 * depth * (
            torch.sign(torch.sin(6.28 * across / period)) + torch.sign(torch.sin(6.28 * along / period))
        )
    elif kind == "folds":
        bent = across + 0.05 * width * noise(frame.size, (3, 3), frame.chance)
        shade = shade + depth * torch.sin(6.28 * bent / period) * (0.6 + 0.4 * torch.sin(6.28 * bent / period / 2.7))
    elif kind == "speckle":
        cells = max(int(width / rng.uniform(1.5, 12.0)), 4)
        shade = shade + 0.5 * depth * noise(frame.size, (cells, cells), frame.chance)
    elif kind == "cloud":
        for cells in (3, 9, 27):
            shade = shade + depth / cells**0.5 * noise(frame.size, (cells, cells), frame.chance)
    return shaded(frame, colour, shade)

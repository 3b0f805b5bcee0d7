"""Cuts gaps (`gaps`) into the person's alpha.

All gaps of a picture are drawn in one pass. Each is an ellipse or a lens along a bent axis, with a rough rim, and
single strands cross it or fringe its rim. Only the alpha changes, so the strands have the colours of the hair that was
there.
"""

# torch is not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
import torch
from torch import Tensor

from scripts.train.scene import shapes
from scripts.train.scene.gaps import HEAD, Gap
from scripts.train.scene.shapes import Frame
from scripts.train.scene.warp import gaussian, noise
from scripts.train.scene.worn import Face, Figure

_TABLE = 256
"""Number of different strands; more lines repeat them."""


@dataclass(frozen=True)
class Carved:
    """The figure with gaps, and the coverage (H, W) of the gaps without their strands."""

    figure: Figure
    gap: Tensor
    keep: Tensor
    """Factor (H, W) of the alpha."""


def carve(figure: Figure, frame: Frame, face: Face, gaps: list[Gap], rng: np.random.Generator) -> Carved:
    """Cut ``gaps`` (at least one) out of the figure's alpha."""
    rows, columns = window(gaps, frame)
    part = Frame(frame.x[rows, columns], frame.y[rows, columns], frame.chance)
    hole, across, along, number = distances(part, face, gaps, rng)
    if rng.random() < 0.7:
        hole = hole + float(rng.uniform(0.5, 4.0)) * grain(figure.colour[:, rows, columns])
    hole = torch.maximum(hole, own_distance(part, face))
    soft = 1.0 if rng.random() < 0.6 else float(rng.uniform(1.0, 3.5))
    gap = shapes.cover(hole / soft)
    if any(g.fringe > 0.0 for g in gaps):
        kept = 1.0 - gap * (1.0 - strands(part, (across, along, number), gaps, rng))
    else:
        kept = 1.0 - gap
    whole_gap, keep = torch.zeros_like(figure.alpha), torch.ones_like(figure.alpha)
    whole_gap[rows, columns], keep[rows, columns] = gap, kept
    return Carved(Figure(figure.colour, figure.alpha * keep), whole_gap, keep)


def window(gaps: list[Gap], frame: Frame) -> tuple[slice, slice]:
    """Rows and columns of the frame that contain all gaps."""
    x, y = (np.array([getattr(g, name) for g in gaps]) for name in "xy")
    reach = np.array([1.3 * g.half_length * (1 + abs(g.bend)) + 1.5 * g.half_width + g.rough for g in gaps]) + 4
    width, height = frame.size
    left, right = int(np.clip((x - reach).min(), 0, width - 2)), int(np.clip((x + reach).max(), 2, width))
    top, bottom = int(np.clip((y - reach).min(), 0, height - 2)), int(np.clip((y + reach).max(), 2, height))
    return slice(top, max(bottom, top + 2)), slice(left, max(right, left + 2))


def distances(
    part: Frame, face: Face, gaps: list[Gap], rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Distance to the nearest gap's rim (negative inside), coordinates across and along its axis, and its number."""
    values = np.array([astuple(g) for g in gaps])
    angles = values[:, 2]
    columns = np.column_stack((values[:, :2], np.cos(angles), np.sin(angles), values[:, 3:9], values[:, 12]))
    each = torch.from_numpy(columns.astype(np.float32)).to(part.x.device, non_blocking=True)
    x, y, c, s, length, width, bend, wedge, power, rough, body = each.T[..., None, None]
    dx, dy = part.x - x, part.y - y
    along = c * dx + s * dy
    ua = along / length
    lumps = noise(part.size, cells_of(part, face.width * float(rng.uniform(0.015, 0.12))), part.chance)
    across = c * dy - s * dx - bend * ua * along + rough * lumps
    wide = width * (1.0 + wedge * ua).clamp(min=0.1)
    uc = across.abs() / wide
    slope = torch.hypot(2.0 * ua / length, power * uc.clamp(min=1e-4) ** (power - 1.0) / wide)
    distance = (ua**2 + uc**power - 1.0) / slope.clamp(min=1e-4)
    w, (middle_x, middle_y) = face.width, face.middle
    fx, fy = part.x - middle_x, part.y - middle_y
    side = fx.abs()
    shoulder = (0.78 * w + 0.42 * (side - 0.3 * w).clamp(0.0, 0.9 * w) - fy) / 1.08
    neck = torch.maximum(side - 0.3 * w, 0.3 * w - fy)
    person = torch.minimum(shoulder, neck)
    distance = torch.maximum(distance, -person - 1e4 * (1.0 - body))
    nearest, number = distance.min(dim=0)
    chosen = torch.stack((across / wide.clamp(min=1.0), across, along)).gather(1, number.expand(3, 1, -1, -1))
    return nearest, chosen[0, 0], torch.stack((chosen[1, 0], chosen[2, 0])), number


def own_distance(part: Frame, face: Face) -> Tensor:
    """Distance to the rim of face and skull: positive inside."""
    w, (x, y) = face.width, face.middle
    return torch.maximum(
        *(
            -shapes.ellipse_distance(part.x - x, part.y - y - down * w, (wide * w, high * w))
            for wide, high, down in HEAD
        )
    )


def grain(colour: Tensor) -> Tensor:
    """Fine structure of the hair's light (H, W), standard deviation about 1: a gap's rim follows single strands."""
    light = colour.mean(dim=0)
    fine = light - gaussian(light[None, None], 2.5)[0, 0]
    return (fine / (fine.std() + 0.01)).clamp(-2.0, 2.0)


def cells_of(part: Frame, size: float) -> tuple[int, int]:
    """Numbers of noise cells of ``size`` px across and down."""
    return max(int(part.size[0] / size), 2), max(int(part.size[1] / size), 2)


def strands(part: Frame, local: tuple[Tensor, Tensor, Tensor], gaps: list[Gap], rng: np.random.Generator) -> Tensor:
    """Coverage (H, W) of single strands in and beside the gaps: two families of waved lines with random gaps.

    ``local``: place across the axis in half widths (H, W); across and along in px (2, H, W); number of the gap (H, W).
    """
    relative, (across, along), number = local
    device = part.x.device
    turns = np.array([(g.cross, -g.cross - 0.25) for g in gaps])
    facts = np.column_stack(
        (np.cos(turns), np.sin(turns), [(g.strands, g.fringe, min(0.15 * g.half_width, 1.0)) for g in gaps])
    )
    each = torch.from_numpy(facts.astype(np.float32)).to(device, non_blocking=True)[number].movedim(-1, 0)
    thick = float(np.exp(rng.uniform(np.log(0.5), np.log(2.0))))
    period = float(rng.uniform(2.0, 6.0)) * max(thick, 1.0)
    table = np.column_stack(
        (rng.uniform(0.25, 0.75, _TABLE), thick * rng.uniform(0.5, 1.4, _TABLE), rng.uniform(0.0, 1.0, _TABLE))
    )
    lines = torch.from_numpy(table.astype(np.float32)).to(device, non_blocking=True)
    waves = torch.stack([noise(part.size, cells_of(part, period * n), part.chance) for n in (6.0, 15.0)])
    level = (each[0:2] * across - each[2:4] * along) / period + 0.8 * waves
    index = level.floor()
    place, width, chance = lines[(index.long() + 17) % _TABLE].movedim(-1, 0)
    present = each[4] + each[5] * relative.abs().clamp(max=1.2) ** 3
    width = width * (4.0 * (present - chance)).clamp(0.0, 1.0) * each[6]
    half = 0.5 * width
    distance = (level - index - place).abs() * period
    covered = torch.clamp(distance + half, max=0.5) - torch.clamp(distance - half, min=-0.5)
    covered = covered.clamp(0.0, 1.0)
    return 1.0 - (1.0 - covered[0]) * (1.0 - covered[1])


def shine(figure: Figure, frame: Frame, face: Face, gaps: list[Gap], rng: np.random.Generator) -> Figure:
    """Paint the forms of ``gaps`` on the figure, as light on hair or as ribbons: they are person."""
    carved = carve(figure, frame, face, gaps, rng)
    if rng.random() < 0.6:
        painted = (figure.colour * float(rng.uniform(1.3, 3.0)) + float(rng.uniform(0.0, 0.25))).clamp(max=1.0)
    else:
        painted = shapes.solid(frame, rng.uniform(0.0, 1.0, 3))
    return Figure(shapes.over(figure.colour, painted, 1.0 - carved.keep), figure.alpha)


def trusted(trust: Tensor, carved: Carved) -> Tensor:
    """The trust (H, W) of a label after carving: 1 in and around gaps, where the alpha is known."""
    known = (carved.gap > 0.02) & ((carved.figure.alpha > 0.95) | (carved.keep < 0.98))
    return torch.maximum(trust, known.float())

"""Places gaps through which the backdrop is visible: in hair, beside the neck, inside an arm. `carve` draws them.

Lengths of gaps are in widths of the face box.
"""

# torch is not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scripts.train.scene.worn import Face, Figure

F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]
Range = tuple[float, float]

MOST = 14
"""Maximum number of gaps in a picture; their planes are in memory at the same time."""
HEAD = ((0.47, 0.6, 0.04), (0.54, 0.68, -0.18))
"""Ellipses that no gap cuts, face and skull: half axes, and how far the centre is below that of the face box; in widths
of the face box. Behind hair on the skull there is no backdrop."""
_SOLID = 0.9
"""Alpha above which a pixel of the thumbnail is inside the person."""
_LITTLE = 20
"""Number of the thumbnail's pixels; with less hair, only gaps in clothes are likely."""
_ALONG = np.linspace(-0.9, 0.9, 7)
_TRIES = 10
"""Number of attempts to place gaps."""


@dataclass(frozen=True)
class Thumbnail:
    """Every ``step``-th pixel of a figure, in NumPy: alpha (h, w), colour (3, h, w), coverage of drawn hair (h, w)."""

    alpha: F64
    colour: F64
    hair: F64
    step: int


def thumbnail(figure: Figure, hair: Tensor | None = None) -> Thumbnail:
    """Read a figure from its device once. ``hair``: coverage (H, W) of drawn hair."""
    step = max(min(figure.alpha.shape) // 80, 1)
    drawn = torch.zeros_like(figure.alpha) if hair is None else hair
    planes = torch.cat((figure.alpha[None], figure.colour, drawn[None]))[:, ::step, ::step]
    values = planes.cpu().numpy().astype(np.float64)
    return Thumbnail(values[0], values[1:4], values[4], step)


@dataclass(frozen=True)
class Gap:
    """One gap; px. The axis goes through ``x, y`` at ``angle``; ``half`` are its half length and half width."""

    x: float
    y: float
    angle: float
    half_length: float
    half_width: float
    bend: float = 0.0
    """Deviation of the axis at its ends, in half lengths."""
    wedge: float = 0.0
    """-1..1: how much wider one end is than the other."""
    round: float = 2.0
    """1: a lens with sharp ends; 2: an ellipse."""
    rough: float = 0.0
    """Displacement of the rim, px."""
    cross: float = 0.0
    """Angle between the strands and the axis."""
    strands: float = 0.0
    """Share of the strands that cross the gap's middle."""
    fringe: float = 0.0
    """More strands towards the rim."""
    body: float = 1.0
    """1: ends at the shoulder line, behind which there is no backdrop; 0: an opening inside an arm."""


@dataclass(frozen=True)
class Ground:
    """Where gaps are possible in a thumbnail: masks (h, w) and coordinates (h, w) in face widths from the face."""

    u: F64
    v: F64
    inside: Mask
    hair: Mask
    rim: Mask
    """Hair near the outline."""
    face: Face
    step: int

    def at(self, x: F64, y: F64) -> tuple[Mask, Mask]:
        """``inside`` and ``hair`` at points of the frame, px; those at the border outside it."""
        height, width = self.inside.shape
        rows = (y / self.step).astype(int).clip(0, height - 1)
        columns = (x / self.step).astype(int).clip(0, width - 1)
        return self.inside[rows, columns], self.hair[rows, columns]


def shoulder_line(u: F64) -> F64:
    """Height of the shoulder at ``u`` to the side of the face's centre, in face widths; rough."""
    return 0.78 + 0.42 * np.clip(np.abs(u) - 0.3, 0.0, 0.9)


def survey(small: Thumbnail, face: Face) -> Ground:
    """Find the hair: drawn hair, and what has the colours above the face; without the face and below the shoulders."""
    height, width = small.alpha.shape
    y, x = np.mgrid[0:height, 0:width] * small.step + 0.5
    u, v = (x - face.middle[0]) / face.width, (y - face.middle[1]) / face.width
    inside = small.alpha > _SOLID
    crown = inside & (np.abs(u) < 0.35) & (v > -0.95) & (v < -0.62)
    cheeks = inside & (np.abs(u) < 0.3) & (v > -0.1) & (v < 0.35)
    hair = small.hair > _SOLID
    if crown.sum() > 3 and cheeks.sum() > 3:
        tone, skin = (np.median(small.colour[:, mask], axis=1)[:, None, None] for mask in (crown, cheeks))
        apart = ((small.colour - tone) ** 2).sum(axis=0)
        alike = apart < (0.32 * (np.linalg.norm(tone) + 0.12)) ** 2
        alike &= apart < 0.5 * ((small.colour - skin) ** 2).sum(axis=0)
        hair |= alike & ((v < 0.3) | (np.abs(u) < 0.75)) & (v < 0.65)
    for wide, high, down in HEAD:
        hair &= np.hypot(u / wide, (v - down) / high) > 1.03
    hair &= inside & (v < shoulder_line(u))
    reach = max(int(0.12 * face.width / small.step), 1)
    padded = np.pad(inside, reach, mode="edge")
    around = [
        padded[reach + dy : reach + dy + height, reach + dx : reach + dx + width]
        for dy, dx in ((-reach, 0), (reach, 0), (0, -reach), (0, reach))
    ]
    return Ground(u, v, inside, hair, hair & ~np.logical_and.reduce(around), face, small.step)


# ----------------------------------------------------------------------------------- where the gaps are


def flow(u: float, v: float) -> float:
    """Direction of the hair at a place near the head (radians): around the crown, down at the sides."""
    if v > 0.0:
        return float(np.pi / 2)
    return float(np.arctan2(u, -(v + 0.05) * 1.2) if abs(v) > 1e-6 else np.pi / 2)


def spot(mask: Mask, ground: Ground, rng: np.random.Generator) -> tuple[float, float] | None:
    """A random place of the mask, in face widths from the face."""
    rows, columns = np.nonzero(mask)
    if rows.size < 3:
        return None
    i = int(rng.integers(rows.size))
    return float(ground.u[rows[i], columns[i]]), float(ground.v[rows[i], columns[i]])


def make(
    ground: Ground, at: tuple[float, float], half: tuple[float, float], angle: float, rng: np.random.Generator
) -> Gap:
    """A gap at ``at`` with half length and half width ``half``, all in face widths, and a random form."""
    w, (x, y) = ground.face.width, ground.face.at(*at)
    return Gap(
        *(x, y, angle, half[0] * w, max(half[1] * w, 0.4)),
        bend=float(rng.normal(0.0, 0.22)),
        wedge=float(rng.uniform(-0.8, 0.8)),
        round=(1.0, 1.3, 2.0)[int(rng.integers(3))],
        rough=float(rng.uniform(0.0, 0.3) * half[1] * w),
        cross=float(rng.normal(0.0, 0.15) if rng.random() < 0.7 else rng.normal(0.0, 0.6)),
    )


def along_hair(
    mask: Mask, halves: tuple[Range, Range], turn: float, ground: Ground, rng: np.random.Generator
) -> list[Gap]:
    """One to three gaps in the mask, roughly in the direction of the hair.

    ``halves``: least and most half length and half width, in face widths; ``turn``: spread of the angle, radians.
    """
    found = []
    for _ in range(int(rng.integers(1, 4))):
        if at := spot(mask, ground, rng):
            half = (rng.uniform(*halves[0]), rng.uniform(*halves[1]))
            found.append(make(ground, at, half, flow(*at) + rng.normal(0.0, turn), rng))
    return found


def beside_neck(ground: Ground, rng: np.random.Generator) -> list[Gap]:
    """Wedges between the jaw or neck and the hair, on one side or both."""
    found = []
    for side in (-1.0, 1.0):
        low = ground.hair & (ground.v > 0.1) & (side * ground.u > 0.0) & (np.abs(ground.u) < 0.8)
        if (at := spot(low, ground, rng)) and rng.random() < 0.7:
            half = (rng.uniform(0.1, 0.34), rng.uniform(0.02, 0.13))
            towards = (at[0] - side * 0.5 * half[1], at[1])
            found.append(make(ground, towards, half, np.pi / 2 + side * rng.normal(0.05, 0.15), rng))
    return found


def loops(ground: Ground, rng: np.random.Generator) -> list[Gap]:
    """Long ellipses inside the hair."""
    return along_hair(ground.hair, ((0.05, 0.22), (0.012, 0.09)), 0.35, ground, rng)


def between_curls(ground: Ground, rng: np.random.Generator) -> list[Gap]:
    """Several small irregular gaps near the outline of the hair."""
    middle = spot(ground.rim, ground, rng)
    if middle is None:
        return []
    found, largest = [], float(np.exp(rng.uniform(np.log(0.012), np.log(0.05))))
    for _ in range(int(rng.integers(3, 10))):
        at = (middle[0] + rng.normal(0.0, 0.12), middle[1] + rng.normal(0.0, 0.16))
        size = largest * rng.uniform(0.3, 1.0)
        half = (size * rng.uniform(1.0, 2.6), size)
        found.append(make(ground, at, half, flow(*at) + rng.normal(0.0, 0.7), rng))
    return found


def slits(ground: Ground, rng: np.random.Generator) -> list[Gap]:
    """Long thin gaps between locks, in the direction of the hair."""
    found = []
    if start := spot(ground.hair, ground, rng):
        for _ in range(int(rng.integers(1, 6))):
            at = (start[0] + rng.normal(0.0, 0.06), start[1] + rng.normal(0.0, 0.12))
            half = (rng.uniform(0.08, 0.4), float(np.exp(rng.uniform(np.log(0.002), np.log(0.025)))))
            found.append(make(ground, at, half, flow(*at) + rng.normal(0.0, 0.12), rng))
    return found


def notches(ground: Ground, rng: np.random.Generator) -> list[Gap]:
    """Gaps that are open to the outside: between locks that stand off."""
    return along_hair(ground.rim, ((0.1, 0.3), (0.008, 0.07)), 0.4, ground, rng)


def inside_arm(ground: Ground, rng: np.random.Generator) -> list[Gap]:
    """An opening between an arm and the body."""
    side = float(rng.choice((-1.0, 1.0)))
    at = (side * rng.uniform(0.85, 1.25), rng.uniform(1.7, 2.4))
    half = (rng.uniform(0.25, 0.7), rng.uniform(0.02, 0.15))
    gap = make(ground, at, half, np.pi / 2 + side * rng.normal(-0.1, 0.12), rng)
    return [replace(gap, body=0.0, wedge=abs(gap.wedge), rough=0.03 * half[1] * ground.face.width)]


Recipe = Callable[[Ground, np.random.Generator], list[Gap]]
KINDS: tuple[Recipe, ...] = (*3 * (beside_neck,), *2 * (loops, between_curls, slits), notches, inside_arm)
"""Functions that each place some gaps; the more often named, the more often chosen."""


def plan(ground: Ground, rng: np.random.Generator, *, enclosed: bool = False) -> list[Gap]:
    """Random gaps that lie in hair, or in clothes at an arm. ``enclosed``: none that touches the outline."""
    found: list[Gap] = []
    wanted = int(rng.integers(1, 4))
    for _ in range(_TRIES if ground.hair.sum() > _LITTLE else 1):
        made = fitting(KINDS[int(rng.integers(len(KINDS)))](ground, rng), ground, enclosed)
        found, wanted = found + made, wanted - bool(made)
        if not wanted:
            break
    bare = rng.random() < 0.2
    strands = 0.0 if bare else float(rng.uniform(0.0, 0.5) * rng.integers(0, 2))
    fringe = 0.0 if bare else float(rng.uniform(0.3, 1.2))
    return [replace(gap, strands=strands * gap.body, fringe=fringe * gap.body) for gap in found[:MOST]]


def fitting(gaps: list[Gap], ground: Ground, enclosed: bool) -> list[Gap]:
    """Those of ``gaps`` that lie mostly in hair and have hair beside them (an arm's: those inside the person)."""
    if not gaps:
        return []
    facts = np.array([(g.x, g.y, g.angle, g.half_length, g.half_width, g.bend, g.body) for g in gaps])
    x, y, angle, length, width, bend, body = facts.T[:, :, None, None]
    outer = width + 0.05 * ground.face.width
    across = np.concatenate((-outer, -0.5 * width, np.zeros_like(width), 0.5 * width, outer), axis=1)
    s, t = _ALONG * length, across + bend * length * _ALONG**2
    c, d = np.cos(angle), np.sin(angle)
    inside, hair = ground.at(x + c * s - d * t, y + d * s + c * t)
    whole = inside.all(axis=(1, 2))
    core, held = hair[:, 1:4].sum(axis=(1, 2)), inside[:, 1:4].sum(axis=(1, 2))
    sides = np.maximum(hair[:, 0].mean(axis=1), hair[:, 4].mean(axis=1))
    good = (core >= 0.5 * held) & (core > 0.25 * 3 * _ALONG.size) & (sides > 0.5)
    if enclosed:
        good &= whole
    good = np.where(body[:, 0, 0] == 0.0, whole, good)
    return [gap for gap, chosen in zip(gaps, good, strict=True) if chosen]


def beside(small: Thumbnail, gaps: list[Gap], rng: np.random.Generator) -> tuple[int, int] | None:
    """A shift (px, right and down) from every gap to backdrop of a photo; None if none was found."""
    height, width = small.alpha.shape
    ends = np.array(
        [(g.x + a * g.half_length * np.cos(g.angle), g.y + a * g.half_length * np.sin(g.angle), g.half_width)
         for g in gaps for a in (-1.1, 0.0, 1.1)]
    )  # fmt: skip
    points = np.concatenate(
        [ends[:, :2] + ends[:, 2:] * side for side in ((-1.5, 0.0), (1.5, 0.0), (0.0, 1.5), (0.0, -1.5))]
    )
    for number in rng.permutation(48):
        away, angle = small.step * (8.0 + 4.0 * (number // 6)), np.pi / 6 * (0, 1, -1, 5, -5, 6)[number % 6]
        shift = (round(away * np.cos(angle)), round(away * np.sin(angle)))
        columns, rows = ((points + shift) / small.step).T.astype(int)
        known = rows.min() >= 0 and columns.min() >= 0 and rows.max() < height and columns.max() < width
        if known and small.alpha[rows, columns].max() < 0.02:
            return shift
    return None

"""One head of hair from a seed: style, strands and light, drawn in two layers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scripts.train.hair import gather
from scripts.train.hair.grow import STEPS, Fill, Guides, Way, curls, fill, grow, spline
from scripts.train.hair.head import F32, HeadShape, body_depth, draw_head, scalp
from scripts.train.hair.light import Light, Shade, colours, draw_light, draw_pigment
from scripts.train.hair.raster import Ribbons, paint
from scripts.train.hair.styles import STYLES, Style
from scripts.train.hair.view import MIDDLE, VIEW

U8 = NDArray[np.uint8]

PIECES = 12
"""Pieces per strand; each piece is sorted by depth and coloured separately."""


@dataclass(frozen=True)
class Strands:
    """A group of strands: points (n, k, 3) in units, width (n,) in units, own colour (n, 3), 0..255."""

    points: F32
    width: F32
    tint: F32


@dataclass(frozen=True)
class Groom:
    """Hair in two layers, RGBA uint8 (H, W, 4), straight alpha.

    ``front`` lies in front of the body and ``back`` behind it: composite front over person over back over backdrop.
    ``hidden``, float32 (H, W), is 1 where the mean body would cover ``back``, else 0.
    """

    style: str
    front: U8
    back: U8
    hidden: F32


def groom(seed: int, size: tuple[int, int], style: str | None = None, strands: float = 1.0) -> Groom:
    """Draw the hair of ``seed`` as a picture of ``size`` (width, height), 4:5. A seed gives the same hair at any size.

    ``strands`` multiplies the style's number of strands; fewer strands are faster to draw.

    Raises:
        KeyError: ``style`` is not a key of `STYLES`.
    """
    rng = np.random.default_rng(seed)
    drawn = str(rng.choice(list(STYLES)))
    name = style or drawn
    head = draw_head(rng)
    light = draw_light(rng)
    groups = grow_all(rng, head, STYLES[name], strands)
    front, back, hidden = render(groups, head, light, size)
    return Groom(name, straight(front), straight(back), hidden)


def layer(seed: int, size: tuple[int, int], style: str | None = None) -> U8:
    """One RGBA picture, uint8 (H, W, 4), straight alpha: the hair that is visible around a mean body."""
    hair = groom(seed, size, style)
    return flatten(hair.front, hair.back, hair.hidden)


def flatten(front: U8, back: U8, hidden: F32) -> U8:
    """``front`` over the part of ``back`` that is not ``hidden``; RGBA uint8, straight alpha."""
    before, behind = (x.astype(np.float32) * (1.0, 1.0, 1.0, 1 / 255.0) for x in (front, back))
    for x in (before, behind):
        x[..., :3] *= x[..., 3:]
    behind *= (1.0 - hidden)[..., None]
    return straight((before + behind * (1.0 - before[..., 3:])).astype(np.float32))


def straight(premultiplied: F32) -> U8:
    """RGBA uint8 with straight alpha, from premultiplied colours in 0..255 and alpha in 0..1."""
    alpha = premultiplied[..., 3:]
    rgb = premultiplied[..., :3] / np.maximum(alpha, 1e-4)
    return np.asarray(np.clip(np.concatenate((rgb, alpha * 255.0), axis=-1) + 0.5, 0, 255), np.uint8)


# ------------------------------------------------------------------------------------ growing


def draw_way(rng: np.random.Generator, style: Style) -> Way:
    """The forces on one head's hair: those of its style, sometimes with wind."""
    wind = rng.normal(0.0, 0.004, 3)
    if rng.random() < 0.15:
        wind = np.array(
            (rng.choice((-1, 1)) * rng.uniform(0.05, 0.25), rng.normal(0.0, 0.06), rng.uniform(-0.02, 0.12))
        )
    return Way(
        part=float(rng.uniform(-0.4, 0.4)),
        lift=style.lift,
        side=style.side,
        back=style.back,
        up=style.up,
        stiff=style.stiff,
        weight=style.weight,
        wind=wind.astype(np.float32),
        mess=rng.uniform(0.04, 0.3),
        wander=float(10 ** rng.uniform(-2.2, -1.2)),
        swell=rng.uniform(1.03, 1.16),
        opening=rng.uniform(*style.opening),
    )


def grow_all(rng: np.random.Generator, head: HeadShape, style: Style, strands: float = 1.0) -> list[Strands]:
    """All strands of one head, with hair ties and bands."""
    way = draw_way(rng, style)
    line, recession = rng.uniform(0.42, 0.68), rng.uniform(0.0, 0.2)
    total = int(strands * rng.uniform(*style.strands))
    thick = float(10 ** rng.uniform(-2.95, -2.62))
    tints = Tints(rng)
    groups: list[Strands] = []

    def add(points: F32, factor: float, owner: NDArray[np.int64] | None = None) -> None:
        kept = in_view(points)
        points, owner = points[kept], None if owner is None else owner[kept]
        width = thick * factor * rng.uniform(0.6, 1.3, len(points)).astype(np.float32)
        groups.append(Strands(points, width, tints.of(rng, len(points), owner)))

    gathered = style.gather in ("tail", "bun", "braids", "half")
    if gathered:
        for points in gather_hair(rng, head, style, way, total, line):
            add(points, 1.0)
    if not gathered or style.gather == "half":
        points, owner = free_hair(rng, head, style, way, total // (2 if gathered else 1), (line, recession))
        add(points, 1.0, owner)
    if rng.random() < style.bangs:
        add(gather.fringe(rng, head, line, int(rng.uniform(1200, 4000)), way), 1.0)
    if style is STYLES["beard"] or rng.random() < 0.07:
        add(gather.beard(rng, head, way), 1.0)
    longest = float(np.clip(0.5 * np.mean(style.length), 0.12, 1.1))
    few = int(total * 10 ** rng.uniform(-3.3, -1.6))  # mostly few, because ordinary hair has few
    add(gather.flyaways(rng, head, few + 3, longest, line, way), 0.6)
    if rng.random() < 0.5:  # short new hair along the hairline
        add(gather.flyaways(rng, head, int(rng.uniform(30, 300)), 0.3, line, way), 0.55)
    if style.length[1] > 0.6 and rng.random() < 0.06:
        cloth = gather.band_of_cloth(rng, head, rng.uniform(-0.1, 0.6))
        groups.append(Strands(cloth, np.full(len(cloth), 0.012, np.float32), tints.cloth(rng, len(cloth))))
    return groups


def in_view(points: F32) -> NDArray[np.bool_]:
    """Which strands (n,) stay inside the top and sides of a 4:5 picture, so that a layer is not cut off there."""
    top = points[..., 2].max(axis=1) < MIDDLE + 0.61 * VIEW
    beside = (np.abs(points[..., 0]) > 0.485 * VIEW) & (points[..., 2] > -1.6)
    return np.asarray(top & ~beside.any(axis=1))


def free_hair(
    rng: np.random.Generator, head: HeadShape, style: Style, way: Way, total: int, line: tuple[float, float]
) -> tuple[F32, NDArray[np.int64]]:
    """Strands that fall freely, and the index of each strand's lock."""
    guides = scalp(rng, int(rng.choice(style.guides)), *line)
    if style.gather == "half":
        guides = guides[guides[:, 2] < 0.35]
    length = rng.uniform(*style.length) * rng.uniform(0.8, 1.1, len(guides))
    turns = rng.uniform(*style.turns) * rng.uniform(0.85, 1.15, len(guides))
    points = int(np.clip(max(2.5 * STEPS, 14 * turns.max()), 48, 220))
    if style.length[1] < 0.5:
        points = 24
    if style.gather == "plaits":
        points = 200
    plain = spline(grow(rng, head, guides, length.astype(np.float32), way), points)
    size = rng.uniform(*style.amplitude) * rng.uniform(0.6, 1.3, len(guides))
    wound = curls(rng, plain, size.astype(np.float32), turns.astype(np.float32), bool(rng.random() < style.flat))
    locks = np.sqrt(4 * np.pi * 0.6 / len(guides))  # mean distance between guides
    tight = style.clump > 0.96
    how = Fill(
        clump=min(style.clump * rng.uniform(0.7, 1.05), 0.985),
        early=0.3 if tight else rng.uniform(0.6, 1.4),
        tube=float(locks * (rng.uniform(0.2, 0.3) if tight else rng.uniform(0.12, 0.4))),
        frizz=style.frizz * float(10 ** rng.uniform(-0.5, 0.35)),
        blend=1 if style.clump > 0.65 else 3,
        shortest=0.93 if tight else rng.uniform(0.6, 0.95),
        lobes=3 if style.gather == "plaits" else 0,
    )
    roots = scalp(rng, total, *line)
    if style.gather == "half":
        roots = roots[roots[:, 2] < 0.35]
    return fill(rng, head, roots, Guides(guides, plain, wound, way.part), how)


def gather_hair(
    rng: np.random.Generator, head: HeadShape, style: Style, way: Way, total: int, line: float
) -> list[F32]:
    """Strands along the skin to a tie, and beyond it as a tail, a bun or braids."""
    ties = gather.draw_tie(rng, style.gather)
    loose = float(rng.choice((0.0, 0.02, 0.06)) * rng.uniform(0, 1.5))
    roots = scalp(rng, total // 2, line, 0.05)
    if style.gather == "half":
        roots = roots[roots[:, 2] > 0.3]
    nearer = np.stack([roots @ tie for tie in ties]).argmax(axis=0)
    groups: list[F32] = []
    for index, tie in enumerate(ties):
        groups.append(gather.to_tie(rng, head, roots[nearer == index], tie, loose))
        n = total // (2 * len(ties))
        if style.gather == "bun":
            groups.append(gather.bun(rng, head, tie, n))
            continue
        path = gather.centre_line(rng, head, tie, rng.uniform(*style.length), way)
        radius = rng.uniform(0.1, 0.2)
        if style.gather == "braids":
            groups.append(gather.braid(rng, path, n, 0.75 * radius))
        else:
            curl = (rng.uniform(*style.amplitude), rng.uniform(*style.turns))
            groups.append(gather.tail(rng, path, n, radius, curl))
    return groups


class Tints:
    """Colours of strands: one pigment with variation by strand and lock, sometimes with streaks and grey hairs."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.pigment = draw_pigment(rng)
        self.spread = float(rng.uniform(0.03, 0.22))
        self.second = draw_pigment(rng)
        self.streaks = float(rng.choice((0.0, 0.0, 0.0, 0.15, 0.4)))
        self.grey = float(rng.choice((0.0, 0.0, 0.05, 0.3)))

    def of(self, rng: np.random.Generator, n: int, owner: NDArray[np.int64] | None) -> F32:
        """Colours (n, 3), 0..255; ``owner``: the lock of each strand."""
        locks = rng.integers(0, 200, n) if owner is None else owner
        by_lock = np.exp(rng.normal(0.0, 0.6 * self.spread, int(locks.max(initial=0)) + 1))
        tint = self.pigment * (by_lock[locks] * np.exp(rng.normal(0.0, self.spread, n)))[:, None]
        streak = (rng.random(len(by_lock)) < self.streaks)[locks]
        tint = np.where(streak[:, None], 0.4 * tint + 0.6 * self.second, tint)
        grey = rng.random(n) < self.grey
        return np.where(grey[:, None], rng.uniform(150, 225, (n, 1)), tint).astype(np.float32)

    def cloth(self, rng: np.random.Generator, n: int) -> F32:
        """One colour of cloth with variation by thread."""
        return (rng.uniform(15, 235, 3) * np.exp(rng.normal(0.0, 0.08, (n, 1)))).astype(np.float32)


# ------------------------------------------------------------------------------------ drawing


def render(groups: list[Strands], head: HeadShape, light: Light, size: tuple[int, int]) -> tuple[F32, F32, F32]:
    """Front and back layer, RGBA float32 premultiplied (0..255 and 0..1), and where the body hides the back."""
    width, height = size
    unit_px = width / VIEW
    samples = 3 if unit_px < 220 else 2
    stride = 6
    clouds = []
    for group in groups:
        steps = np.linalg.norm(np.diff(group.points[:, ::stride], axis=1), axis=-1)
        clouds.append((group.points[:, ::stride].reshape(-1, 3), float(steps.mean() * group.width.mean())))
    shade = Shade(head, clouds)
    ribbons = []
    for group in groups:
        k = group.points.shape[1]
        ends = np.arange(PIECES + 1) * (k - 1) // PIECES
        along = np.linspace(0.0, 1.0, PIECES + 1, dtype=np.float32)
        tint = group.tint[:, None] * (0.85 + 0.25 * along)[None, :, None]
        shaded = colours(group.points[:, ends], tint.astype(np.float32), shade, light)
        taper = 1.0 - 0.6 * np.linspace(0.0, 1.0, k, dtype=np.float32) ** 3
        widths = (group.width[:, None] * taper * (unit_px * samples)).astype(np.float32)
        ribbons.append(Ribbons(place(group.points, size, samples), shaded, widths))
    x = (np.arange(width, dtype=np.float32) + 0.5 - width / 2) / unit_px
    z = (height / 2 - np.arange(height, dtype=np.float32) - 0.5) / unit_px + MIDDLE
    body = body_depth(head, x[None], z[:, None])
    hidden = np.isfinite(body).astype(np.float32)
    split = np.where(np.isfinite(body), body + 0.03, 0.2).astype(np.float32)
    front, back = paint(ribbons, split, samples)
    return front, back, hidden


def place(points: F32, size: tuple[int, int], samples: int) -> F32:
    """Convert head units to canvas samples: x, y (down), depth."""
    width, height = size
    scale = width / VIEW * samples
    x = points[..., 0] * scale + width * samples / 2
    y = height * samples / 2 - (points[..., 2] - MIDDLE) * scale
    return np.stack((x, y, points[..., 1]), axis=-1).astype(np.float32)

"""Gathered hair (tails, buns, braids, hair ties, bands), fringes, beards and loose hairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scripts.train.hair.grow import Way, curls, cut, frames, grow, plaits, spline, stray
from scripts.train.hair.head import F32, HeadShape, jaw, scalp, unit

ALONG_SKIN = 28
"""Points of a gathered strand between its root and the tie."""


def to_tie(rng: np.random.Generator, head: HeadShape, roots: F32, tie: F32, loose: float) -> F32:
    """Paths (n, ALONG_SKIN, 3) along the skin from ``roots`` to ``tie`` (3,), both on the unit sphere."""
    n = len(roots)
    u = np.linspace(0.0, 1.0, ALONG_SKIN, dtype=np.float32)[None, :, None]
    cosine = np.clip(roots @ tie, -0.98, 0.999)[:, None, None]
    angle = np.arccos(cosine)
    arc = (np.sin((1 - u) * angle) * roots[:, None] + np.sin(u * angle) * tie) / np.sin(angle)
    height = 0.985 + rng.uniform(0.03, 0.09, (n, 1, 1)) * np.clip(u * 5, 0, 1) + loose * np.sin(np.pi * u)
    arc = unit(arc) * height.astype(np.float32)
    arc[..., 2] -= loose * 0.3 * np.sin(np.pi * u[..., 0])
    shape = arc.shape
    return np.asarray(head.outside(arc.reshape(-1, 3)).reshape(shape), np.float32)


def draw_tie(rng: np.random.Generator, kind: str) -> list[F32]:
    """Draw where hair is gathered, on the unit sphere: one place, or one on each side."""
    if kind == "braids" and rng.random() < 0.6:
        x, z = rng.uniform(0.65, 0.85), rng.uniform(-0.55, -0.1)
        return [unit(np.array((sign * x, 0.45, z), np.float32)) for sign in (-1.0, 1.0)]
    if kind == "bun":
        angle = rng.uniform(0.35, 1.5)
    elif kind == "half":
        angle = rng.uniform(0.2, 0.9)
    else:
        angle = rng.uniform(-0.45, 1.2)
    x = rng.normal(0.0, 0.25) if kind != "bun" else rng.normal(0.0, 0.08)
    return [unit(np.array((x, np.cos(angle), np.sin(angle)), np.float32))]


def centre_line(rng: np.random.Generator, head: HeadShape, tie: F32, length: float, way: Way) -> F32:
    """Path (48, 3) of a tail, starting at its tie: outwards, then down, often over a shoulder."""
    outwards = rng.uniform(0.3, 1.0)
    over = rng.random() < 0.5 or abs(tie[0]) > 0.5
    sign = np.sign(tie[0]) if abs(tie[0]) > 0.3 else rng.choice((-1.0, 1.0))
    wind = way.wind + np.array((sign * 0.06, -0.22, 0.0)) * over
    free = replace(way, lift=outwards, side=0.0, back=0.0, up=0.3 * outwards, mess=0.1, wander=0.02)
    free = replace(free, wind=wind.astype(np.float32), opening=0.9, swell=1.12)
    path = grow(rng, head, tie[None], np.array((length,), np.float32), free)
    path += (head.outside(tie[None] * 1.06) - path[:, 0])[:, None] * np.linspace(1, 0, path.shape[1])[None, :, None]
    return np.asarray(spline(path.astype(np.float32), 48)[0], np.float32)


def tail(rng: np.random.Generator, line: F32, n: int, radius: float, curl: tuple[float, float]) -> F32:
    """Loose strands (n, 48, 3) of a tail around ``line``: narrow at the tie, wide below, thin at the end."""
    k = len(line)
    _, deep, across = frames(line[None])
    u = np.linspace(0.0, 1.0, k, dtype=np.float32)[None]
    wide = radius * (0.35 + 1.0 * np.clip(u * 2.5, 0, 1)) * (1.1 - 0.6 * u**2)
    place = rng.normal(0.0, 0.55, (2, n, 1)) * wide[None]
    strands = line[None] + place[0][..., None] * across + place[1][..., None] * deep
    strands = strands.astype(np.float32)
    locks = int(rng.integers(12, 60))
    wound = curls(rng, np.repeat(line[None], locks, 0), np.full(locks, curl[0]), np.full(locks, curl[1]), False)
    strands += wound[rng.integers(0, locks, n)] + stray(rng, n, k, 0.04)
    return cut(strands, (1 - 0.4 * rng.beta(1, 2.5, n)).astype(np.float32))


def braid(rng: np.random.Generator, line: F32, n: int, radius: float) -> F32:
    """Strands (n, 192, 3) of one braid of three along ``line``, with a brush at its end."""
    path = np.repeat(spline(line[None], 192), n, 0)
    return path + plaits(rng, path, radius, 3) + stray(rng, n, 192, 0.015)


def bun(rng: np.random.Generator, head: HeadShape, tie: F32, n: int) -> F32:
    """Strands (n, 40, 3) wound into a bun on the tie."""
    radius = rng.uniform(0.16, 0.34)
    out = head.normals(head.outside(tie[None]))[0]
    middle = head.outside(tie[None])[0] + out * radius * 0.75
    a = unit(np.cross(out, np.array((0.3, 0.2, 1.0), np.float32)))
    b = np.cross(out, a)
    u = np.linspace(0.0, rng.uniform(0.7, 1.6), 40)[None]
    angle = 2 * np.pi * (rng.uniform(0, 1, (n, 1)) + u)
    ring = radius * (0.35 + 0.45 * np.sqrt(rng.uniform(0, 1, (n, 1))))
    tilt = rng.normal(0.0, 0.5, (n, 1))
    around = np.cos(angle)[..., None] * a + np.sin(angle)[..., None] * b
    rise = np.sin(angle + rng.uniform(0, 6.28, (n, 1))) * np.sin(tilt)
    dome = radius * 0.75 * np.sqrt(np.maximum(1 - (ring / radius) ** 2, 0)) * rng.uniform(-1, 1, (n, 1))
    strands = middle + ring[..., None] * around + (0.4 * radius * rise + dome)[..., None] * out
    return np.asarray(strands + stray(rng, n, 40, 0.03), np.float32)


def band_of_cloth(rng: np.random.Generator, head: HeadShape, over: float) -> F32:
    """A headband at the angle ``over`` in radians (0 is the crown; larger angles are nearer to the forehead)."""
    n = 500
    angle = np.linspace(-1.75, 1.75, 60)[None]
    slant = over + rng.normal(0.0, 0.05, (n, 1))
    x, up = np.sin(angle), np.cos(angle)
    arc = np.stack((x + 0 * slant, -up * np.sin(slant), up * np.cos(slant)), axis=-1).astype(np.float32)
    arc *= rng.uniform(1.15, 1.19, (n, 1, 1)).astype(np.float32)
    return np.asarray(head.outside(arc.reshape(-1, 3)).reshape(arc.shape), np.float32)


def fringe(rng: np.random.Generator, head: HeadShape, line: float, n: int, way: Way) -> F32:
    """A fringe (n, 40, 3): locks from the front of the scalp down to the forehead."""
    guides = int(rng.integers(25, 90))
    roots = scalp(rng, 12 * (n + guides), line, 0.05)
    roots = roots[(roots[:, 1] < -0.35) & (np.abs(roots[:, 0]) < 0.55)]
    roots, front = roots[:guides], roots[guides : guides + n]
    length = np.float32(rng.uniform(0.4, 0.75)) * rng.uniform(0.9, 1.1, len(roots)).astype(np.float32)
    forward = replace(way, back=-0.9, up=0.15, side=rng.uniform(-0.1, 0.5), lift=0.5, weight=0.3, stiff=0.8)
    forward = replace(forward, opening=0.0, swell=rng.uniform(1.04, 1.1), mess=0.12, wander=0.02)
    paths = spline(grow(rng, head, roots, length, forward), 40)
    owner = ((front[:, None] - roots[None]) ** 2).sum(axis=-1).argmin(axis=1)
    u = np.linspace(0.0, 1.0, 40, dtype=np.float32)[None, :, None]
    gap = (head.outside(front) * 0.985 - paths[owner, 0])[:, None]
    strands = paths[owner] + gap * (1 - rng.uniform(0.3, 0.9) * u)
    strands = strands + stray(rng, len(front), 40, 0.03)
    return cut(strands.astype(np.float32), rng.uniform(0.85, 1.0, len(front)).astype(np.float32))


def beard(rng: np.random.Generator, head: HeadShape, way: Way) -> F32:
    """A beard (n, 24, 3), from stubble to a hand's length."""
    length = float(10 ** rng.uniform(-1.7, 0.0))
    n = int(rng.uniform(2500, 7000))
    roots = jaw(rng, n, rng.uniform(0.0, 1.0))
    down = replace(way, lift=0.5, side=0.0, back=-0.3, up=-0.8, weight=0.3, stiff=0.85, mess=0.25, wander=0.02)
    down = replace(down, opening=0.0, swell=1.02)
    paths = spline(grow(rng, head, roots, length * rng.uniform(0.4, 1.0, n).astype(np.float32), down), 24)
    turns = np.full(n, rng.uniform(0.5, 3.0), np.float32)
    size = np.full(n, length * rng.uniform(0.0, 0.08), np.float32)
    return paths + curls(rng, paths, size, turns, False) + stray(rng, n, 24, 0.1 * length)


def flyaways(rng: np.random.Generator, head: HeadShape, n: int, longest: float, line: float, way: Way) -> F32:
    """Loose hairs (n, 48, 3) that leave the shape, of all lengths up to ``longest``."""
    roots = scalp(rng, n, line, 0.05)
    loose = replace(
        way, mess=0.8, wander=0.1, lift=1.0, stiff=0.95, weight=way.weight * rng.uniform(0.2, 0.8), swell=1.06
    )
    length = (longest * rng.uniform(0.15, 1.0, n)).astype(np.float32)
    paths = spline(grow(rng, head, roots, length, loose), 48)
    size = (length * rng.uniform(0.0, 0.06, n)).astype(np.float32)
    return paths + curls(rng, paths, size, rng.uniform(0.5, 4.0, n).astype(np.float32), False)

"""Grows strands: guide strands step by step, curls around them, and the strands between them.

Points are float32 (strands, points, 3) in head units; a strand begins just under the skin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scripts.train.hair.head import F32, HeadShape, push_out, unit

STEPS = 32
"""Number of points of a grown path before smoothing."""


@dataclass(frozen=True)
class Way:
    """Forces that bend growing strands; see `scripts.train.hair.styles.Style`. ``wind`` and ``weight``: per step."""

    part: float
    lift: float
    side: float
    back: float
    up: float
    stiff: float
    weight: float
    wind: F32
    mess: float
    wander: float
    swell: float
    opening: float


def grow(rng: np.random.Generator, head: HeadShape, roots: F32, length: F32, way: Way) -> F32:
    """Paths (n, STEPS, 3) from ``roots`` (n, 3) on the unit sphere; ``length`` (n,) in units."""
    n = len(roots)
    skin = head.outside(roots)
    normal = head.normals(skin)
    side = np.where(roots[:, :1] > way.part, 1.0, -1.0) * np.clip(np.abs(roots[:, :1] - way.part) * 6, 0.3, 1)
    comb = np.concatenate((side * way.side, np.full((n, 1), way.back), np.full((n, 1), way.up)), axis=1)
    comb = comb @ head.turn.T
    d = unit(normal * way.lift + unit(comb) * np.linalg.norm(comb, axis=1, keepdims=True))
    d = unit(d + rng.normal(0.0, way.mess, (n, 3)))
    drift = rng.normal(0.0, way.wander, (n, 3)) + way.wind
    pull = np.array((0.0, 0.0, -way.weight), np.float32)
    step = (length / (STEPS - 1))[:, None].astype(np.float32)
    p = (skin * 1.01).astype(np.float32)
    path = [(skin * 0.985).astype(np.float32)]
    for _ in range(STEPS - 1):
        d = unit(d * way.stiff + pull + drift + rng.normal(0.0, 0.5 * way.wander, (n, 3)))
        moved = push_out(p + d * step, head, way.swell, way.opening)
        d = unit(0.5 * d + 0.5 * unit(moved - p))  # a strand that slides along the body follows its direction
        p = moved
        path.append(p)
    return np.stack(path, axis=1)


def spline(knots: F32, count: int) -> F32:
    """Catmull-Rom curves (n, count, 3) through ``knots`` (n, m, 3)."""
    m = knots.shape[1]
    at = np.linspace(0.0, m - 1.0, count)
    cell = np.clip(at.astype(int), 0, m - 2)
    t = at - cell
    basis = np.zeros((count, m), np.float32)
    weights = (
        (-t + 2 * t**2 - t**3) / 2,
        (2 - 5 * t**2 + 3 * t**3) / 2,
        (t + 4 * t**2 - 3 * t**3) / 2,
        (t**3 - t**2) / 2,
    )
    for shift, weight in enumerate(weights):
        np.add.at(basis, (np.arange(count), np.clip(cell + shift - 1, 0, m - 1)), weight.astype(np.float32))
    return np.asarray(np.einsum("km,nmc->nkc", basis, knots, optimize=True), np.float32)


def frames(path: F32) -> tuple[F32, F32, F32]:
    """Unit tangent, a normal mostly along the depth axis, and the normal across; all (n, k, 3)."""
    tangent = unit(np.gradient(path, axis=1).astype(np.float32))
    reference = np.array((0.2, 1.0, 0.15), np.float32)
    deep = unit(reference - (tangent @ reference)[..., None] * tangent)
    return tangent, deep, np.cross(tangent, deep).astype(np.float32)


def curls(rng: np.random.Generator, path: F32, amplitude: F32, turns: F32, flat: bool) -> F32:
    """Displacement (n, k, 3) that winds ``path`` around itself: helices, or waves in a plane when ``flat``."""
    n, k, _ = path.shape
    _, deep, across = frames(path)
    u = np.linspace(0.0, 1.0, k, dtype=np.float32)[None]
    uneven = 1 + 0.15 * np.sin(2 * np.pi * (u * rng.uniform(0.5, 2.0, (n, 1)) + rng.uniform(0, 1, (n, 1))))
    angle = 2 * np.pi * (rng.uniform(0, 1, (n, 1)) + turns[:, None] * u) + uneven
    size = amplitude[:, None] * np.clip(u * 4, 0, 1) * uneven
    round_ = 0.0 if flat else np.sin(angle)[..., None] * deep
    return np.asarray(size[..., None] * (np.cos(angle)[..., None] * across + round_), np.float32)


def nearest(roots: F32, guides: F32, part: float, count: int) -> tuple[NDArray[np.int64], F32]:
    """Indices (n, count) of the nearest guides (same side of the parting preferred) and weights that sum to 1."""
    found = []
    for begin in range(0, len(roots), 4096):
        block = roots[begin : begin + 4096]
        distance = 2.0 - 2.0 * (block @ guides.T)  # both on the unit sphere
        distance += np.float32(0.5) * ((block[:, :1] > part) != (guides[:, 0] > part)[None])
        index = distance.argmin(axis=1)[:, None]
        if count > 1:
            index = np.argpartition(distance, count - 1, axis=1)[:, :count]
        chosen = np.take_along_axis(distance, index, axis=1)
        order = np.argsort(chosen, axis=1)
        found.append((np.take_along_axis(index, order, axis=1), np.take_along_axis(chosen, order, axis=1)))
    index = np.concatenate([f[0] for f in found])
    weight = 1.0 / (np.maximum(np.concatenate([f[1] for f in found]), 0) + 1e-3)
    return index, (weight / weight.sum(axis=1, keepdims=True)).astype(np.float32)


def cut(paths: F32, share: F32) -> F32:
    """The first ``share`` (n,) of each path, with the same number of points."""
    n, k, _ = paths.shape
    at = share[:, None] * np.arange(k, dtype=np.float32)[None]
    cell = np.clip(at.astype(int), 0, k - 2)
    t = (at - cell)[..., None].astype(np.float32)
    rows = np.arange(n)[:, None]
    return np.asarray(paths[rows, cell] * (1 - t) + paths[rows, cell + 1] * t, np.float32)


def stray(rng: np.random.Generator, n: int, k: int, size: float) -> F32:
    """Smooth random displacement (n, k, 3) that grows from the root to about ``size`` at the end."""
    knots = rng.normal(0.0, 1.0, (n, 9, 3)).astype(np.float32)
    knots[:, 0] = 0.0
    walk = knots.cumsum(axis=1) / 3.0 * np.linspace(0.0, 1.0, 9)[None, :, None]
    each = rng.lognormal(-0.5, 0.8, (n, 1, 1)).astype(np.float32)  # small for most strands, large for some
    return np.asarray(size * each * spline(walk.astype(np.float32), k), np.float32)


@dataclass(frozen=True)
class Fill:
    """How strands fill the space between guides; see `scripts.train.hair.styles.Style`."""

    clump: float
    early: float
    """Exponent of the clumping along the strand; below 1 it starts near the root."""
    tube: float
    """Radius of a lock at its end, head units."""
    frizz: float
    blend: int
    """Number of guides that a strand follows."""
    shortest: float
    """Strands end between this share of their length and their full length."""
    lobes: int
    """Number of strands per plait; 0: not plaited."""


class Guides(NamedTuple):
    """Strands that others follow."""

    roots: F32
    """(guides, 3) on the unit sphere."""
    plain: F32
    """(guides, k, 3): paths without curls."""
    wound: F32
    """(guides, k, 3): displacement by the curls."""
    part: float
    """x coordinate of the parting."""


def fill(
    rng: np.random.Generator, head: HeadShape, roots: F32, guides: Guides, how: Fill
) -> tuple[F32, NDArray[np.int64]]:
    """Strands (n, k, 3) at ``roots`` (n, 3) on the unit sphere, and the index (n,) of each strand's guide."""
    plain, wound = guides.plain, guides.wound
    n, k = len(roots), plain.shape[1]
    index, weight = nearest(roots, guides.roots, guides.part, how.blend)
    owner = index[:, 0]
    relative = plain - plain[:, :1]
    strands = weight[:, :1, None] * relative[owner]
    for other in range(1, how.blend):
        strands += weight[:, other, None, None] * relative[index[:, other]]
    strands += (head.outside(roots) * 0.985)[:, None].astype(np.float32)
    u = np.linspace(0.0, 1.0, k, dtype=np.float32)[None, :, None]
    pulled = how.clump * np.clip(u * 1.5, 0, 1) ** how.early
    lock = plain[owner]
    if how.lobes:
        lock = lock + plaits(rng, lock, how.tube, how.lobes)
    else:
        lock = lock + (rng.normal(0.0, how.tube, (n, 1, 3)) * (1.0 - 0.5 * u)).astype(np.float32)
    strands += (lock - strands) * pulled
    strands += wound[owner] * rng.uniform(0.8, 1.15, (n, 1, 1)).astype(np.float32)
    strands += stray(rng, n, k, how.frizz)
    return cut(strands, rng.uniform(how.shortest, 1.0, n).astype(np.float32)), owner


def plaits(rng: np.random.Generator, path: F32, radius: float, lobes: int, pitch: float = 3.2) -> F32:
    """Displacement (n, k, 3) of strands plaited along ``path``: a figure of eight, one turn per ``pitch`` radii."""
    n, k, _ = path.shape
    _, deep, across = frames(path)
    length = np.linalg.norm(np.diff(path, axis=1), axis=-1).cumsum(axis=1)
    length = np.concatenate((np.zeros((n, 1), np.float32), length), axis=1)
    phase = 2 * np.pi * rng.integers(0, lobes, (n, 1)) / lobes
    angle = 2 * np.pi * length / (2 * pitch * radius) + phase
    taper = np.clip(1.15 - np.linspace(0.0, 1.0, k) ** 3, 0.35, 1.0)[None]
    x = radius * 0.75 * np.sin(angle) * taper
    y = radius * 0.5 * np.sin(2 * angle) * taper
    own = rng.normal(0.0, 0.27 * radius, (2, n, 1)) * taper
    return np.asarray((x + own[0])[..., None] * across + (y + own[1])[..., None] * deep, np.float32)

"""The head and body that hair grows on: ellipsoids in head units.

Coordinates: x to the picture's right, y away from the camera, z up; the origin is the centre of the head. One unit is
about 100 mm; the mean head is 1.56 units wide. Points are float32 (..., 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Real = NDArray[np.floating[Any]]

HALF_AXES = np.array((0.78, 0.95, 1.05))
"""Mean half axes of the head, head units: ear to ear, front to back, chin to crown."""
NECK = (np.array((0.0, 0.14, -1.35)), np.array((0.44, 0.44, 0.95)))
SHOULDERS = (np.array((0.0, 0.2, -2.75)), np.array((1.95, 0.7, 1.02)))
"""Centre and half axes of the ellipsoids for neck and shoulders, head units."""


@dataclass(frozen=True)
class HeadShape:
    """One head: half axes in units, and the rotation (3, 3) from the head's own frame to the world's."""

    half: F32
    turn: F32

    def inside(self, points: Real) -> F32:
        """Transform world points to the head's unit sphere (length 1 is the skin)."""
        return np.asarray((points @ self.turn) / self.half, np.float32)

    def outside(self, points: Real) -> F32:
        """The inverse of `inside`."""
        return np.asarray((points * self.half) @ self.turn.T, np.float32)

    def normals(self, points: Real) -> F32:
        """Outward unit normals of the skin near the world points ``points``."""
        return unit((points @ self.turn / self.half**2) @ self.turn.T)


def draw_head(rng: np.random.Generator) -> HeadShape:
    """A head of random shape (standard deviation 5 % per axis), turned and tilted by a few degrees."""
    half = HALF_AXES * np.exp(rng.normal(0.0, 0.05, 3))
    yaw, pitch, roll = rng.normal(0.0, (0.22, 0.09, 0.06))
    return HeadShape(half.astype(np.float32), rotation(yaw, pitch, roll))


def rotation(yaw: float, pitch: float, roll: float) -> F32:
    """Rotation matrix, angles in radians: about z, then x, then y."""
    (cy, sy), (cp, sp), (cr, sr) = ((np.cos(angle), np.sin(angle)) for angle in (yaw, pitch, roll))
    about_z = np.array(((cy, -sy, 0), (sy, cy, 0), (0, 0, 1)))
    about_x = np.array(((1, 0, 0), (0, cp, -sp), (0, sp, cp)))
    about_y = np.array(((cr, 0, sr), (0, 1, 0), (-sr, 0, cr)))
    return np.asarray(about_y @ about_x @ about_z, np.float32)


def unit(vectors: Real) -> F32:
    """Normalise vectors to length 1; zero vectors stay zero."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9), np.float32)


def scalp(rng: np.random.Generator, count: int, line: float, recession: float) -> F32:
    """Points on the unit sphere, evenly distributed above the hairline.

    ``line``: height of the hairline at the forehead, 0..1 of the half axis. ``recession``: how much higher it is at the
    temples. At the sides the hairline is above the ears; at the back it is low.
    """
    found: list[F32] = []
    while sum(map(len, found)) < count:
        p = unit(rng.normal(size=(3 * count, 3)).astype(np.float32))
        x, y, z = np.abs(p[:, 0]), p[:, 1], p[:, 2]
        front = np.clip((-y - 0.1) / 0.6, 0.0, 1.0)
        temple = np.exp(-(((x - 0.5) / 0.16) ** 2))
        low = -0.5 + front * (line + 0.5 + recession * temple)
        low += 0.28 * np.exp(-(((y + 0.05) / 0.22) ** 2)) * (x > 0.6)  # above the ear
        found.append(p[z > low + rng.normal(0.0, 0.03, len(p))])
    return np.concatenate(found)[:count]


def jaw(rng: np.random.Generator, count: int, full: float) -> F32:
    """Points on the unit sphere where a beard grows: jaw, chin, upper lip; ``full`` (0..1) adds the cheeks."""
    found: list[F32] = []
    while sum(map(len, found)) < count:
        p = unit(rng.normal(size=(12 * count, 3)).astype(np.float32))
        x, y, z = np.abs(p[:, 0]), p[:, 1], p[:, 2]
        lip = (x < 0.3) & (np.abs(z + 0.49) < 0.04)
        top = -0.68 + (0.2 + 0.35 * full) * np.clip((x - 0.2) / 0.5, 0.0, 1.0)
        keep = (y < -0.15) & (z > -0.97) & ((z < top + rng.normal(0.0, 0.03, len(p))) | lip)
        keep &= ~((x < 0.2) & (np.abs(z + 0.6) < 0.05))  # the mouth
        found.append(p[keep])
    return np.concatenate(found)[:count]


def push_out(points: Real, head: HeadShape, swell: float, opening: float) -> F32:
    """Move points (n, 3) out of the head (enlarged by ``swell``), the neck, the shoulders and the face.

    ``opening``: half width of the free face, as a share of the head's; with 0, hair may hang in front of the face.
    """
    q = head.inside(points)
    if opening > 0:
        face = (q[:, 1] < -0.15) & (q[:, 2] < 0.42) & (q[:, 2] > -1.3) & (np.abs(q[:, 0]) < opening)
        wide = np.where(q[:, 0] < 0, -opening, opening)
        q[:, 0] = np.where(face, 0.6 * wide + 0.4 * q[:, 0], q[:, 0])
    r = np.linalg.norm(q, axis=-1, keepdims=True)
    q = np.where(r < swell, q * (swell / np.maximum(r, 1e-6)), q).astype(np.float32)
    points = head.outside(q)
    middle, half = NECK
    around = (points[:, :2] - middle[:2]) / half[:2]
    r = np.linalg.norm(around, axis=-1, keepdims=True)
    neck = (points[:, 2:] < -0.8) & (r < 1.08)
    points[:, :2] = np.where(neck, middle[:2] + around / np.maximum(r, 1e-6) * 1.08 * half[:2], points[:, :2])
    middle, half = SHOULDERS
    q = (points - middle) / (half * 1.03)
    r = np.linalg.norm(q, axis=-1, keepdims=True)
    return np.where(r < 1, middle + (points - middle) / np.maximum(r, 1e-6), points).astype(np.float32)


def body_depth(head: HeadShape, x: F32, z: F32) -> F32:
    """Depth y of the front of the body at (x, z), head units; infinite beside the body."""
    depth = np.full(np.broadcast_shapes(x.shape, z.shape), np.inf, np.float32)
    quadric = (head.turn / head.half**2) @ head.turn.T  # p^T quadric p = 1 is the skin
    b = quadric[0, 1] * x + quadric[1, 2] * z
    c = quadric[0, 0] * x * x + 2 * quadric[0, 2] * x * z + quadric[2, 2] * z * z - 1
    root = b * b - quadric[1, 1] * c
    depth = np.where(root > 0, (-b - np.sqrt(np.maximum(root, 0))) / quadric[1, 1], depth)
    for middle, half in (NECK, SHOULDERS):
        rest = 1 - ((x - middle[0]) / half[0]) ** 2 - ((z - middle[2]) / half[2]) ** 2
        front = middle[1] - half[1] * np.sqrt(np.maximum(rest, 0))
        depth = np.where(rest > 0, np.minimum(depth, front), depth)
    return depth.astype(np.float32)

"""Plane geometry on arrays: overlaps, angles, fits. Pure functions without pictures or models."""

from __future__ import annotations

import math

import numpy as np

from idseg.types import Box, HeadAngles, Points


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, 0..1; 0 if either box is empty."""
    width = min(a.right, b.right) - max(a.left, b.left)
    height = min(a.bottom, b.bottom) - max(a.top, b.top)
    if width <= 0 or height <= 0:
        return 0.0
    inter = width * height
    return inter / (a.width * a.height + b.width * b.height - inter)


def slope_deg(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Angle of the vector a → b in degrees, -180..180; > 0 clockwise in the picture (y down)."""
    return math.degrees(math.atan2(b[1] - a[1], b[0] - a[0]))


def wrap_deg(angle: float) -> float:
    """The same angle in -180 (excluded) .. 180."""
    return -((-angle + 180.0) % 360.0 - 180.0)


def midpoint(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    """The midpoint of two points."""
    return (a[0] + b[0]) / 2, (a[1] + b[1]) / 2


def head_angles(right: Points, down: Points) -> HeadAngles:
    """Yaw, pitch and roll of a head from two of its axes in camera space.

    Args:
        right: (3,) from the head's side at the picture's left to its side at the right; any length; x right, y down,
            z away from the camera.
        down: (3,) from the forehead to the chin.

    The roll is the in-plane rotation that fits both axes best (2-D Procrustes: the angle of the sum of the two axes as
    complex numbers, Gower & Dijksterhuis 2004, ch. 4). So rotating the photo by t degrees adds exactly t and changes
    neither yaw nor pitch, and the roll is defined even in full profile, where the first axis points at the camera.
    """
    x = np.asarray(right, dtype=np.float64) / (np.linalg.norm(right) or 1.0)
    y = np.asarray(down, dtype=np.float64) / (np.linalg.norm(down) or 1.0)
    roll = math.atan2(x[1] - y[0], x[0] + y[1])
    cos, sin = math.cos(-roll), math.sin(-roll)
    upright = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    forward = -np.cross(upright @ x, upright @ y)
    forward /= np.linalg.norm(forward) or 1.0
    yaw = math.degrees(math.atan2(forward[0], -forward[2]))
    pitch = math.degrees(math.asin(float(np.clip(-forward[1], -1.0, 1.0))))
    return HeadAngles(yaw, pitch, math.degrees(roll))

"""Procedural hair: strands drawn outwards from the edge of a head, with exact alpha."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]

_SUPERSAMPLING = 2  # canvas px per picture px, because strands may be thinner than a pixel
_POINTS = 12  # points of a strand's polyline
_SHIFT = 4  # OpenCV's fixed-point bits of a polyline's coordinates


def add_strands(foreground: U8, alpha: U8, rng: np.random.Generator) -> tuple[U8, U8]:
    """Add hair to a foreground (H, W, 3) and alpha (H, W); returns new arrays.

    Tufts of strands start on the edge of the upper 60 % of the person, leave it roughly along the outward normal or
    along the edge, and bend. A strand has the colour of the hair at its root, slightly lighter or darker.
    """
    height, width = alpha.shape
    rows = np.flatnonzero((alpha > 127).sum(axis=1) > 2)
    if rows.size == 0:
        return foreground, alpha
    top, bottom = int(rows[0]), height
    smooth = cv2.GaussianBlur(alpha.astype(np.float32) / 255.0, (0, 0), 3.0)
    edge_rows, edge_columns = np.nonzero((smooth > 0.4) & (smooth < 0.6))
    upper = edge_rows < top + 0.6 * (bottom - top)
    edge_rows, edge_columns = edge_rows[upper], edge_columns[upper]
    if edge_rows.size == 0:
        return foreground, alpha
    slope_x = cv2.Sobel(smooth, cv2.CV_32F, 1, 0)
    slope_y = cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    canvas = np.zeros((height * _SUPERSAMPLING, width * _SUPERSAMPLING), np.uint8)
    colours = cv2.resize(foreground, (width, height)).copy()
    longest = rng.uniform(0.02, 0.16) * width
    for _ in range(int(rng.integers(2, 12))):
        tuft = int(rng.integers(0, edge_rows.size))
        row, column = int(edge_rows[tuft]), int(edge_columns[tuft])
        normal = -np.array((slope_x[row, column], slope_y[row, column]), np.float64)
        normal /= np.linalg.norm(normal) + 1e-6
        along = np.array((-normal[1], normal[0])) * (1 if rng.random() < 0.5 else -1)
        lean = rng.normal(0.6, 0.8)
        root = np.array((column, row), np.float64) - 3.0 * normal
        inside = np.clip((root - 3.0 * normal).astype(int), 0, (width - 1, height - 1))
        hair = foreground[inside[1], inside[0]].astype(np.float64)
        spread = rng.uniform(2.0, 14.0)
        for _ in range(int(rng.integers(1, 14))):
            start = root + along * rng.normal(0.0, spread)
            direction = normal + along * (lean + rng.normal(0.0, 0.35))
            direction /= np.linalg.norm(direction) + 1e-6
            length = longest * rng.uniform(0.3, 1.0)
            bend = rng.normal(0.0, 0.35) * length
            steps = np.linspace(0.0, 1.0, _POINTS)[:, None]
            curve = start + direction * steps * length + along * bend * steps**2
            curve[:, 1] += 0.25 * length * steps[:, 0] ** 2 * rng.uniform(0.0, 1.0)  # gravity
            fixed = np.round(curve * _SUPERSAMPLING * 2**_SHIFT).astype(np.int32)
            opacity = int(rng.uniform(90, 255))
            thickness = 2 if rng.random() < 0.2 else 1
            cv2.polylines(canvas, [fixed], False, opacity, thickness, cv2.LINE_AA, _SHIFT)
            shade = np.clip(hair * rng.uniform(0.75, 1.3), 0, 255)
            plain = np.round(curve * 2**_SHIFT).astype(np.int32)
            cv2.polylines(colours, [plain], False, tuple(map(float, shade)), 3, cv2.LINE_8, _SHIFT)
    strands = np.asarray(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA), np.float32)[..., None]
    strands = strands / 255.0
    old = alpha.astype(np.float32)[..., None] / 255.0
    total = 1.0 - (1.0 - old) * (1.0 - strands)
    # Composite the strands over the foreground; each layer is weighted by its visible share.
    mixed = (colours * strands + foreground * old * (1.0 - strands)) / np.maximum(total, 1e-4)
    hairy = np.where(total > 1e-3, mixed, foreground)
    return (
        np.asarray(np.clip(hairy, 0, 255) + 0.5, np.uint8),
        np.asarray(np.clip(total[..., 0] * 255.0 + 0.5, 0, 255), np.uint8),
    )

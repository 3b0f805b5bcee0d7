"""Random affine maps that place people, hair and photos in a frame. Uses only NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scripts.train.scene.warp import Map, joined

Size = tuple[int, int]
"""Width and height, px."""
FACE = tuple[float, float, float, float]
"""A face box: left, top, width, height, px."""


def person_map(
    source: Size, top: float, frame: Size, rng: np.random.Generator, *, room: float = 0.0, sharp: float = 0.3
) -> Map:
    """Map a cut-out person's picture into the frame. The straight cut at the source's bottom is never visible.

    ``top``: first row of the person, 0..1; ``room``: space that hair adds above it, 0..1 of the source's height;
    ``sharp``: probability that the map neither rotates nor scales.
    """
    width, height = frame
    base = max(width / source[0], 0.9 * height / source[1])
    scale = base * (
        rng.uniform(0.5, 0.95) if rng.random() < 0.12 else np.clip(np.exp(rng.normal(0.02, 0.16)), 0.72, 1.6)
    )
    angle, stretch = (
        np.radians(rng.normal(0.0, 6.0 * (3.0 if rng.random() < 0.05 else 1.0))),
        np.exp(rng.normal(0.0, 0.03)),
    )
    if rng.random() < sharp and 0.6 < base < 1.35:
        scale, angle, stretch = 1.0, 0.0, 1.0
    above = rng.uniform(-0.2, 0.0) if rng.random() < 0.08 else rng.uniform(0.01, 0.26)
    head = scale * (top - room) * source[1]  # the first row of person or hair, if the source stood at the top
    dip = 0.4 * width * abs(np.tan(angle))  # a rotation lifts a corner of the cut
    down = max(above * height - head, height + dip - scale * source[1])
    across = width / 2 - scale * source[0] / 2 + rng.normal(0.0, 0.08) * width
    matrix = np.array(((scale * stretch, 0.0, across), (0.0, scale, down)))
    if scale == 1.0:
        matrix[:, 2] = np.round(matrix[:, 2])
    if rng.random() < 0.5:
        matrix[0] = (-matrix[0, 0], 0.0, width - matrix[0, 2])
    return joined(turn(angle, (width / 2, float(height))), matrix) if angle else matrix


def photo_map(source: Size, frame: Size, rng: np.random.Generator) -> Map:
    """Map a whole photo, or a window of it, into the frame; slightly rotated, mirrored half of the time."""
    cover = max(frame[0] / source[0], frame[1] / source[1])
    scale = cover * float(np.exp(abs(rng.normal(0.0, 0.2))))
    if rng.random() < 0.3 and cover <= 1.0:
        scale = 1.0  # no resampling
    slack = np.array(frame) - scale * np.array(source)
    shift = slack * (np.clip(rng.normal(0.5, 0.2), 0, 1), rng.uniform(0.0, 0.7))
    matrix = np.array(((scale, 0.0, shift[0]), (0.0, scale, shift[1])))
    if scale == 1.0:
        matrix[:, 2] = np.round(matrix[:, 2])
    if rng.random() < 0.5:
        matrix[0] = (-scale, 0.0, frame[0] - matrix[0, 2])
    if scale == 1.0:
        return matrix
    angle = np.radians(rng.normal(0.0, 4.0))
    grown = turn(angle, (frame[0] / 2, frame[1] / 2), 1 + abs(angle))
    return joined(grown, matrix)


def turn(angle: float, about: tuple[float, float], scale: float = 1.0) -> Map:
    """A rotation (radians) and enlargement about a point."""
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    x, y = about
    return np.array(((c, -s, x - c * x + s * y), (s, c, y - s * x - c * y)))


def window_map(source: Size, frame: Size, rng: np.random.Generator, zoom: float) -> Map:
    """Map a random window of a backdrop to the whole frame, enlarged up to ``zoom`` times."""
    scale = max(frame[0] / source[0], frame[1] / source[1]) * float(np.exp(rng.uniform(0.0, np.log(zoom))))
    slack = np.array(frame) - scale * np.array(source)
    shift = slack * rng.uniform(0.0, 1.0, 2)
    matrix = np.array(((scale, 0.0, shift[0]), (0.0, scale, shift[1])))
    if rng.random() < 0.5:
        matrix[0] = (-scale, 0.0, frame[0] - matrix[0, 2])
    return matrix


def hair_map(layer: Size, face: FACE, view: tuple[float, float, float, float], rng: np.random.Generator) -> Map:
    """Map a layer of hair to the person's picture, using the face box.

    ``view``: width of the layer, height of its centre, width and centre of the face box; all in head units.
    """
    across, middle, face_width, face_middle = view
    unit = layer[0] / across
    scale = face[2] / (face_width * unit) * float(np.exp(rng.normal(0.03, 0.05)))
    x, y = face[0] + face[2] / 2, face[1] + face[3] / 2
    x, y = x + rng.normal(0.0, 0.02) * face[2], y + rng.normal(0.0, 0.03) * face[2]
    matrix = np.array(((scale, 0.0, x - scale * layer[0] / 2), (0.0, scale, 0.0)))
    matrix[1, 2] = y - scale * (layer[1] / 2 + (middle - face_middle) * unit)
    if rng.random() < 0.5:
        matrix[0] = (-scale, 0.0, 2 * x - matrix[0, 2])
    angle = rng.normal(0.0, 0.05)
    return joined(turn(angle, (x, y)), matrix)


def mapped(matrix: Map, x: float, y: float) -> NDArray[np.float64]:
    """Apply the map to a point."""
    return np.asarray(matrix[:, :2] @ (x, y) + matrix[:, 2], np.float64)

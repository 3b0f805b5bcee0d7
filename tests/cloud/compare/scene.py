"""Made-up answers to real pixels, for tests of comparing: no models, known geometry, a soft-edged matte."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from idseg.imaging import cutting, encode
from idseg.result import Result
from idseg.stages import pose
from idseg.types import Alpha, BodyParts, Box, HeadAngles, Person, Point, Rgb, Size, Window

WINDOW = Window(110, 20, 300, 420)


def matte(width: int, height: int) -> Alpha:
    """A head over shoulders with an edge of some pixels, (H, W)."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    head = 0.27 * width - np.hypot(columns - 0.5 * width, (rows - 0.38 * height) * 0.75)
    body = 0.46 * width - np.hypot(columns - 0.5 * width, (rows - 1.12 * height) * 0.8)
    curls = 3 * np.sin(columns / 5.0) * np.cos(rows / 7.0)
    return np.asarray(np.clip((np.maximum(head, body) + curls) / 6 + 0.5, 0, 1), np.float32)


def result(photo: Rgb, window: Window = WINDOW, facing: float = 2.0) -> Result:
    """An answer whose face lies in the middle of the window."""
    face = Box(window.left + 0.27 * window.width, window.top + 0.28 * window.height, 0.46 * window.width, 120.0)
    x, y = face.center

    def at(dx: float, dy: float, score: float) -> Point:
        return Point(x + dx * face.width, y + dy * face.height, score)

    parts = BodyParts(
        left_ear=at(-0.5, -0.1, 0.8),
        right_ear=at(0.5, -0.1, 0.7),
        left_eye=at(-0.22, -0.12, 0.9),
        right_eye=at(0.22, -0.12, 0.9),
        nose_tip=at(0.02, 0.1, 0.9),
        left_mouth=at(-0.16, 0.28, 0.9),
        right_mouth=at(0.16, 0.28, 0.9),
        right_shoulder=at(0.95, 0.9, 0.6),
        left_shoulder=at(-0.95, 0.9, 0.6),
        neck=at(0.0, 0.6, 0.8),
    )
    head = HeadAngles(facing, 0.0, 0.0)
    inside = cutting.inside(Size(photo.shape[1], photo.shape[0]), window)
    alpha = np.where(inside, matte(window.width, window.height), np.float32(0))
    cut = cutting.take(photo, window)
    return Result(
        photo=photo,
        person=Person(face, 0.98, parts, head),
        pose=pose.classify(parts, face, head),
        window=window,
        cut=cut,
        alpha=alpha,
        foreground=cut,
    )


def photos(astronaut: Rgb, folder: Path, count: int) -> list[tuple[Path, Result]]:
    """Different photos with answers: the portrait mirrored, brightened, cut and placed differently."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for index in range(count):
        light = np.asarray(cv2.convertScaleAbs(astronaut, alpha=0.8 + 0.06 * index, beta=4 * index), np.uint8)
        photo = np.ascontiguousarray(light[:, ::-1] if index % 2 else light)
        path = folder / f"photo{index:02d}.png"
        path.write_bytes(encode.png(photo))
        window = Window(WINDOW.left - 6 * index, WINDOW.top + 3 * index, WINDOW.width, WINDOW.height)
        made.append((path, result(photo, window)))
    return made

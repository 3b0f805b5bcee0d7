"""A drawn person whose every measure is known: no model, no weights."""

from __future__ import annotations

import math
from functools import cache

import cv2
import numpy as np

from idseg.result import Result
from idseg.stages import pose
from idseg.types import Alpha, BodyParts, Box, FaceMesh, HeadAngles, Person, Point, Points, Rgb, Window

EYES = (300.0, 260.0)
TO_CHIN, TO_HAIR, HALF_FACE = 100.0, 115.0, 62.0
SKIN, HAIR, COAT, WALL = (205, 160, 135), (60, 40, 30), (30, 40, 90), (20, 200, 40)


def turned(points: Points, roll_deg: float) -> Points:
    """Points turned clockwise about the eyes' middle."""
    cos, sin = math.cos(math.radians(roll_deg)), math.sin(math.radians(roll_deg))
    around: Points = np.asarray(points, dtype=np.float64) - np.array(EYES)
    moved: Points = np.empty((len(around), 2))
    moved[:, 0] = around[:, 0] * cos - around[:, 1] * sin + EYES[0]
    moved[:, 1] = around[:, 0] * sin + around[:, 1] * cos + EYES[1]
    return moved


def mesh(roll_deg: float = 0.0) -> FaceMesh:
    """A mesh whose named points lie where the drawing has them; the others in the middle of the face."""
    x, y = EYES
    points = np.full((468, 2), (x, y + 30))
    named = {
        33: (-42, 0),
        133: (-14, 0),
        362: (14, 0),
        263: (42, 0),
        152: (0, TO_CHIN),
        10: (0, -70),
        1: (0, 35),
        234: (-HALF_FACE, 20),
        454: (HALF_FACE, 20),
        61: (-24, 62),
        291: (24, 62),
        50: (-32, 38),
        280: (32, 38),
        151: (0, -45),
        199: (0, 86),
        205: (-28, 48),
        425: (28, 48),
        4: (0, 30),
        81: (-8, 61),
        13: (0, 61),
        311: (8, 61),
        178: (-8, 63),
        14: (0, 63),
        402: (8, 63),
    }
    for index, (dx, dy) in named.items():
        points[index] = (x + dx, y + dy)
    oval = {
        10: -90,
        338: -70,
        297: -50,
        332: -35,
        284: -25,
        251: -15,
        389: -8,
        356: 0,
        454: 5,
        323: 15,
        361: 25,
        288: 35,
    }
    for index, angle in {**oval, 288: 35, 397: 45, 365: 52, 379: 60, 378: 68, 400: 76, 377: 84, 152: 90}.items():
        _on_oval(points, index, angle)
    left = {148: 96, 176: 104, 149: 112, 150: 120, 136: 128, 172: 135, 58: 145, 132: 155, 93: 165, 234: 175}
    for index, angle in {**left, 127: 180, 162: 188, 21: 195, 54: 205, 103: 215, 67: 230, 109: 250}.items():
        _on_oval(points, index, angle)
    for side, sockets, openings in ((-1, _LEFT_SOCKET, _LEFT_OPENING), (1, _RIGHT_SOCKET, _RIGHT_OPENING)):
        _around(points, side, sockets, (24, 17))
        _around(points, side, openings, (13, 5))
    flat = turned(points, roll_deg)
    return FaceMesh(np.column_stack((flat, np.zeros(468))), 1.0)


# The eye's rings of MediaPipe's mesh, from the outer corner over the upper lid and back.
_LEFT_SOCKET = (226, 247, 30, 29, 27, 28, 56, 190, 245, 128, 121, 120, 119, 118, 117, 111, 143)
_RIGHT_SOCKET = (446, 467, 260, 259, 257, 258, 286, 414, 465, 357, 350, 349, 348, 347, 346, 340, 372)
_LEFT_OPENING = (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7)
_RIGHT_OPENING = (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249)


def _around(points: Points, side: int, indices: tuple[int, ...], axes: tuple[float, float]) -> None:
    """A ring about the middle of one eye, evenly spaced; corners as in ``named`` keep their place."""
    for step, index in enumerate(indices):
        if index not in (33, 133, 362, 263):
            angle = 2 * math.pi * step / len(indices)
            x = EYES[0] + side * 28 + side * axes[0] * math.cos(angle)
            points[index] = (x, EYES[1] - axes[1] * math.sin(angle))


def _on_oval(points: Points, index: int, angle_deg: float) -> None:
    angle = math.radians(angle_deg)
    points[index] = (EYES[0] + HALF_FACE * math.cos(angle), EYES[1] + 15 + 85 * math.sin(angle))


@cache
def draw(roll_deg: float = 0.0) -> tuple[Rgb, Alpha]:
    """(the person's colours everywhere, the matte) of 600 x 800 px."""
    scale = 4
    mask, colors = np.zeros((3200, 2400), np.uint8), np.full((3200, 2400, 3), COAT, np.uint8)

    def blob(center: tuple[float, float], axes: tuple[float, float], color: tuple[int, int, int]) -> None:
        at = turned(np.array([[EYES[0] + center[0], EYES[1] + center[1]]]), roll_deg)[0]
        where = (round(at[0] * scale), round(at[1] * scale))
        size = (round(axes[0] * scale), round(axes[1] * scale))
        for target, value in ((mask, 255), (colors, color)):
            cv2.ellipse(target, where, size, roll_deg, 0, 360, value, -1)

    blob((0, 420), (260, 300), COAT)
    blob((0, -10), (80, TO_HAIR - 10), HAIR)
    blob((0, 15), (HALF_FACE, TO_CHIN - 15), SKIN)
    for side in (-1, 1):
        blob((side * 28, 0), (13, 5), (200, 196, 192))
        blob((side * 28, -2), (5, 5), (40, 30, 25))
    blob((0, 62), (22, 3), (150, 70, 70))
    alpha = np.asarray(cv2.resize(mask, (600, 800), interpolation=cv2.INTER_AREA), dtype=np.float32) / np.float32(255)
    return np.asarray(cv2.resize(colors, (600, 800), interpolation=cv2.INTER_AREA), dtype=np.uint8), alpha


@cache
def result(roll_deg: float = 0.0, *, cut: Window | None = None) -> Result:
    """The drawn person before a green wall."""
    colors, alpha = draw(roll_deg)
    wall = np.full_like(colors, WALL)
    photo = np.rint(colors * alpha[..., None] + wall * (1 - alpha[..., None])).astype(np.uint8)
    window = cut or Window(0, 0, 600, 800)
    rows, columns = slice(window.top, window.bottom), slice(window.left, window.right)
    x, y = EYES
    places = {
        "left_ear": (-66, 15),
        "right_ear": (66, 15),
        "left_eye": (-28, 0),
        "right_eye": (28, 0),
        "nose_tip": (0, 35),
        "left_mouth": (-24, 62),
        "right_mouth": (24, 62),
        "left_shoulder": (-170, 210),
        "right_shoulder": (170, 210),
        "neck": (0, 140),
    }
    spots = turned(np.array([(x + dx, y + dy) for dx, dy in places.values()]), roll_deg)
    parts = BodyParts(**{name: Point(float(a), float(b), 0.95) for name, (a, b) in zip(places, spots, strict=True)})
    person = Person(Box(x - 66, y - 75, 132, 175), 0.99, parts, HeadAngles(0.0, 0.0, roll_deg), mesh(roll_deg))
    classes = pose.classify(person.parts, person.face_box, person.head, pose.PoseRules())
    return Result(
        photo=photo,
        person=person,
        pose=classes,
        window=window,
        cut=np.ascontiguousarray(photo[rows, columns]),
        alpha=np.ascontiguousarray(alpha[rows, columns]),
        foreground=np.ascontiguousarray(colors[rows, columns]),
    )

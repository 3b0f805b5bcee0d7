"""Draws things that belong to the person: hats, scarves, hoods, earrings, glasses, an arm, ornaments."""

# torch is not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from scripts.train.scene import shapes
from scripts.train.scene.shapes import Frame, Point, surface
from scripts.train.scene.warp import noise


@dataclass(frozen=True)
class Face:
    """Where a face is in the frame: the middle and the width of its box, px."""

    middle: Point
    width: float

    def at(self, across: float, down: float) -> Point:
        """A point given in box widths from the centre."""
        return self.middle[0] + across * self.width, self.middle[1] + down * self.width


@dataclass(frozen=True)
class Figure:
    """The person so far: colours (3, H, W), 0..1, and alpha (H, W)."""

    colour: Tensor
    alpha: Tensor

    def wear(self, thing: Tensor, coverage: Tensor) -> Figure:
        """The figure with a thing (3, H, W) of coverage ``coverage`` (H, W) in front of it."""
        total = coverage + self.alpha * (1.0 - coverage)
        mixed = thing * coverage + self.colour * self.alpha * (1.0 - coverage)
        return Figure(mixed / total.clamp(min=1e-4), total)


def dress(figure: Figure, frame: Frame, face: Face, rng: np.random.Generator) -> Figure:
    """Add one or two worn things to ``figure``."""
    for _ in range(1 + int(rng.random() < 0.3)):
        figure = KINDS[int(rng.integers(len(KINDS)))](figure, frame, face, rng)
    return figure


def cloth(rng: np.random.Generator) -> shapes.Colour:
    """A random colour of clothes; white and black are more frequent."""
    draw = rng.random()
    if draw < 0.25:
        return rng.uniform(0.85, 1.0) * np.ones(3)
    if draw < 0.45:
        return rng.uniform(0.02, 0.15) * np.ones(3)
    return rng.uniform(0.0, 1.0, 3)


def hat(figure: Figure, frame: Frame, face: Face, rng: np.random.Generator) -> Figure:
    """A knitted cap, a brimmed hat, a cap with a peak or a service cap."""
    w = face.width
    colour, kind = cloth(rng), str(rng.choice(("knit", "brim", "peak", "service")))
    brow = rng.uniform(-0.52, -0.4)
    high = rng.uniform(0.32, 0.6) * w
    wide = rng.uniform(0.54, 0.64) * w
    tilt = rng.normal(0.0, 0.06)
    middle = face.at(rng.normal(0.0, 0.02), brow)
    along, across = shapes.turned(frame, middle, tilt)
    crown = shapes.cover(shapes.ellipse_distance(along, across, (wide, 1.35 * high))) * shapes.cover(across)
    if kind in ("brim", "service"):  # straight sides and a flat top
        crown = shapes.box(frame, (middle[0], middle[1] - 0.6 * high), (0.93 * wide, 0.62 * high), tilt, 0.3 * high)
    if kind == "knit":
        fuzz = noise(frame.size, (90, 110), frame.chance) * 0.012 * w
        distance = shapes.ellipse_distance(along, across, (1.02 * wide, 1.4 * high)) + fuzz
        crown = shapes.cover(distance) * shapes.cover(across - 0.02 * w + fuzz)
    figure = figure.wear(surface(frame, colour, rng, None if kind != "knit" else "stripes"), crown)
    band = shapes.box(frame, (middle[0], middle[1] - 0.07 * w), (0.97 * wide, 0.07 * w), tilt)
    figure = figure.wear(surface(frame, cloth(rng) if rng.random() < 0.5 else colour * 0.8, rng), band * crown)
    if kind == "brim":
        reach = rng.uniform(1.25, 1.9) * wide
        brim = shapes.ellipse(frame, (middle[0], middle[1] + 0.01 * w), (reach, rng.uniform(0.06, 0.2) * w), tilt)
        figure = figure.wear(surface(frame, colour * 0.9, rng), brim)
    if kind in ("peak", "service"):
        peak = shapes.ellipse(frame, (middle[0], middle[1] + 0.02 * w), (0.8 * wide, rng.uniform(0.1, 0.2) * w), tilt)
        figure = figure.wear(surface(frame, cloth(rng) if kind == "service" else colour, rng, "flat"), peak)
    return figure


def scarf(figure: Figure, frame: Frame, face: Face, rng: np.random.Generator) -> Figure:
    """A scarf or a collar around the neck, sometimes with an end that hangs down."""
    w, colour = face.width, cloth(rng)
    texture = surface(frame, colour, rng)
    for turn in range(int(rng.integers(1, 4))):
        middle = face.at(rng.normal(0.0, 0.05), 0.72 + 0.13 * turn)
        half = (w * rng.uniform(0.42, 0.62), w * rng.uniform(0.1, 0.17))
        along, across = shapes.turned(frame, middle, rng.normal(0.0, 0.12))
        rough = noise(frame.size, (12, 14), frame.chance) * 0.015 * w
        roll = shapes.cover(shapes.ellipse_distance(along, across, half) + rough)
        light = (1.1 - 0.5 * (across / half[1]) ** 2).clamp(0.3, 1.1)
        figure = figure.wear((texture * light).clamp(0, 1), roll)
    if rng.random() < 0.6:
        start, end = face.at(rng.uniform(-0.3, 0.3), 0.85), face.at(rng.uniform(-0.6, 0.6), 2.2)
        figure = figure.wear(texture, shapes.capsule(frame, start, end, w * rng.uniform(0.2, 0.35)))
    return figure


def hood(figure: Figure, frame: Frame, face: Face, rng: np.random.Generator) -> Figure:
    """A headscarf, veil or hood: cloth around the face down to the shoulders."""
    w, colour = face.width, cloth(rng)
    rough = noise(frame.size, (9, 11), frame.chance) * 0.02 * w
    along, across = shapes.turned(frame, face.at(0.0, -0.02), 0.0)
    outer = shapes.cover(
        shapes.ellipse_distance(along, across, (rng.uniform(0.68, 0.82) * w, rng.uniform(0.86, 1.0) * w)) + rough
    )
    fall = 0.5 * w + 0.32 * (across - 0.4 * w).clamp(min=0.0)
    skirt = (
        shapes.cover(along.abs() - fall + rough)
        * shapes.cover(0.3 * w - across)
        * shapes.cover(across - 1.35 * w + 4 * rough)
    )
    opening = shapes.ellipse(frame, face.at(0.0, 0.03), (rng.uniform(0.44, 0.5) * w, rng.uniform(0.6, 0.66) * w))
    coverage = torch_max(outer, skirt) * (1.0 - opening)
    return figure.wear(surface(frame, colour, rng, str(rng.choice(("flat", "folds", "cloud")))), coverage)


def torch_max(a: Tensor, b: Tensor) -> Tensor:
    """The union of two shapes."""
    return a + (b - a).clamp(min=0.0)


def earrings(figure: Figure, frame: Frame, face: Face, rng: np.random.Generator) -> Figure:
    """Hoops, drops or studs at both ears: thin and shiny; the background is visible through hoops."""
    w, colour = face.width, np.clip(rng.uniform(0.5, 1.0, 3) * (1.0, 0.92, 0.75), 0, 1)
    size, kind = w * rng.uniform(0.03, 0.16), str(rng.choice(("hoop", "drop", "stud", "chain")))
    thick = max(w * rng.uniform(0.004, 0.02), 0.3)
    shine = surface(frame, colour, rng, "speckle")
    for side in (-1.0, 1.0):
        ear = face.at(side * rng.uniform(0.5, 0.56), rng.uniform(0.12, 0.22))
        if kind == "hoop":
            narrow = size * rng.uniform(0.3, 1.0)
            figure = figure.wear(shine, shapes.ring(frame, (ear[0], ear[1] + size), (narrow, size), thick))
        elif kind == "stud":
            figure = figure.wear(shine, shapes.ellipse(frame, ear, (0.4 * size, 0.4 * size)))
        else:
            figure = figure.wear(shine, shapes.capsule(frame, ear, (ear[0], ear[1] + 2 * size), thick))
            steps = 1 if kind == "drop" else int(rng.integers(2, 5))
            for step in range(steps):
                bead = (ear[0], ear[1] + 2 * size * (step + 1) / steps)
                figure = figure.wear(shine, shapes.ellipse(frame, bead, (0.3 * size, 0.45 * size)))
    return figure


def glasses(figure: Figure, frame: Frame, face: Face, rng: np.random.Generator) -> Figure:
    """Spectacles whose arms stand a little off the head."""
    w, colour = face.width, cloth(rng)
    thick, half = w * rng.uniform(0.008, 0.035), (w * rng.uniform(0.15, 0.2), w * rng.uniform(0.1, 0.16))
    look = shapes.solid(frame, colour)
    down = rng.uniform(-0.14, -0.06)
    for side in (-1.0, 1.0):
        figure = figure.wear(look, shapes.ring(frame, face.at(side * 0.22, down), half, thick))
        out = face.at(side * rng.uniform(0.53, 0.6), down - rng.uniform(0.0, 0.04))
        figure = figure.wear(look, shapes.capsule(frame, face.at(side * 0.4, down - 0.03), out, thick))
    return figure.wear(look, shapes.capsule(frame, face.at(-0.06, down), face.at(0.06, down), thick))


def arm(figure: Figure, frame: Frame, face: Face, rng: np.random.Generator) -> Figure:
    """An arm away from the body: from the shoulder to an elbow, then up or down to a hand with fingers.

    The skin has the colour of the centre of the face, the sleeve that of the clothes at the shoulder.
    """
    w, side = face.width, float(rng.choice((-1.0, 1.0)))
    shoulder = face.at(side * rng.uniform(0.8, 1.1), rng.uniform(1.3, 1.6))
    elbow = face.at(side * rng.uniform(1.2, 2.1), rng.uniform(0.8, 2.3))
    wrist = face.at(side * rng.uniform(0.6, 1.6), rng.uniform(-1.0, 0.6))
    skin, sleeve = patch(figure, face.at(0.0, 0.05), 0.12 * w), patch(figure, shoulder, 0.15 * w)
    bare = rng.random() < 0.4
    figure = limb(figure, frame, (shoulder, elbow), w * rng.uniform(0.6, 0.8), skin if bare else sleeve)
    figure = limb(figure, frame, (elbow, wrist), w * rng.uniform(0.4, 0.55), skin if rng.random() < 0.6 else sleeve)
    along = np.array(wrist) - np.array(elbow)
    along = along / max(float(np.linalg.norm(along)), 1e-6)
    palm = np.array(wrist) + along * 0.3 * w
    figure = limb(figure, frame, (wrist, (float(palm[0]), float(palm[1]))), 0.5 * w, skin)
    spread = rng.uniform(0.03, 0.22)
    for finger in range(5):
        thumb = finger == 0
        angle = np.arctan2(along[1], along[0]) + spread * (finger - 2.0) * (2.2 if thumb else 1.0)
        root = palm + 0.1 * w * (finger - 2.0) * np.array((-along[1], along[0])) + 0.1 * w * along * (not thumb)
        tip = root + w * rng.uniform(0.3, 0.45) * np.array((np.cos(angle), np.sin(angle)))
        ends = (float(root[0]), float(root[1])), (float(tip[0]), float(tip[1]))
        figure = limb(figure, frame, ends, w * rng.uniform(0.1, 0.13), skin)
    return figure


def ornaments(figure: Figure, frame: Frame, face: Face, rng: np.random.Generator) -> Figure:
    """One or two things on hair or clothes, in any colour: only the colour changes, not the alpha."""
    for _ in range(1 + int(rng.random() < 0.4)):
        draw = (clip, flower, necklace, pattern)[int(rng.integers(4))]
        thing, coverage = draw(frame, face, rng)
        figure = Figure(shapes.over(figure.colour, thing, coverage), figure.alpha)
    return figure


def clip(frame: Frame, face: Face, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A hair clip, a pin or a ribbon: colour and coverage."""
    w, angle = face.width, rng.uniform(-1.2, -0.1) if rng.random() < 0.5 else rng.uniform(np.pi + 0.1, np.pi + 1.2)
    middle = face.at(rng.uniform(0.5, 0.62) * np.cos(angle), -0.2 + rng.uniform(0.55, 0.75) * np.sin(angle))
    half = (w * rng.uniform(0.03, 0.16), w * rng.uniform(0.006, 0.05))
    coverage = shapes.box(frame, middle, half, angle + rng.normal(0.0, 0.8), 0.8 * min(half))
    return surface(frame, cloth(rng), rng), coverage


def flower(frame: Frame, face: Face, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A flower or a bow in the hair: colour and coverage."""
    w, side = face.width, float(rng.choice((-1.0, 1.0)))
    along, across = shapes.turned(frame, face.at(side * rng.uniform(0.4, 0.6), rng.uniform(-0.75, -0.2)), 0.0)
    angle = along.atan2(across)
    petals, size = int(rng.integers(2, 8)), w * rng.uniform(0.05, 0.16)
    radius = along.hypot(across)
    rim = size * (1.0 + rng.uniform(0.1, 0.4) * (petals * angle).sin())
    light = (0.6 + 0.5 * radius / size).clamp(max=1.1)
    return shapes.shaded(frame, cloth(rng), light), shapes.cover(radius - rim)


def necklace(frame: Frame, face: Face, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A chain, beads or the strap of a bag below the chin: colour and coverage."""
    w, down = face.width, rng.uniform(0.62, 0.8)
    half, thick = (w * rng.uniform(0.28, 0.42), w * rng.uniform(0.15, 0.6)), w * rng.uniform(0.006, 0.05)
    middle = face.at(0.0, down)
    lower = shapes.cover(middle[1] - frame.y)
    colour = np.clip(rng.uniform(0.3, 1.0, 3), 0, 1)
    return surface(frame, colour, rng, "speckle"), shapes.ring(frame, middle, half, thick) * lower


def pattern(frame: Frame, face: Face, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Stripes, checks or a print with hard edges on the clothes: colour and coverage."""
    w = face.width
    middle = face.at(rng.uniform(-0.9, 0.9), rng.uniform(1.25, 1.9))
    if rng.random() < 0.4:
        half = (w * rng.uniform(0.1, 0.5), w * rng.uniform(0.05, 0.4))
        return surface(frame, cloth(rng), rng), shapes.box(frame, middle, half, rng.normal(0.0, 0.2))
    along, across = shapes.turned(frame, middle, rng.uniform(0, np.pi))
    period = w * float(np.exp(rng.uniform(np.log(0.04), np.log(0.5))))
    thick = period * rng.uniform(0.1, 0.5)
    stripes = shapes.line_cover((across / period - (across / period).round()).abs() * period, thick)
    if rng.random() < 0.4:
        checks = shapes.line_cover((along / period - (along / period).round()).abs() * period, thick)
        stripes = torch_max(stripes, checks)
    below = ((frame.y - face.at(0.0, 1.15)[1]) / (0.03 * w)).clamp(0.0, 1.0)
    return shapes.solid(frame, cloth(rng)), stripes * below * rng.uniform(0.5, 1.0)


def patch(figure: Figure, at: Point, half: float) -> Tensor:
    """Mean colour (3, 1, 1) of a square of the figure, moved into the frame."""
    height, width = figure.alpha.shape
    x, y = (int(min(max(v, 0), side - 1)) for v, side in zip(at, (width, height), strict=True))
    reach = max(int(half), 1)
    rows, columns = slice(max(y - reach, 0), y + reach), slice(max(x - reach, 0), x + reach)
    weight = figure.alpha[rows, columns] + 1e-3
    return ((figure.colour[:, rows, columns] * weight).sum(dim=(1, 2)) / weight.sum()).view(3, 1, 1)


def limb(figure: Figure, frame: Frame, ends: tuple[Point, Point], width: float, colour: Tensor) -> Figure:
    """A round limb, darker to its sides."""
    distance = shapes.capsule_distance(frame, *ends)
    light = 1.05 - 0.4 * (2.0 * distance / width).clamp(max=1.0) ** 2
    rough = 1.0 + 0.03 * noise(frame.size, (30, 36), frame.chance)
    return figure.wear((colour * (light * rough)).clamp(0, 1), shapes.line_cover(distance, width))


Wearing = Callable[[Figure, Frame, Face, np.random.Generator], Figure]
KINDS: tuple[Wearing, ...] = (hat, hat, scarf, hood, earrings, earrings, glasses, arm, ornaments, ornaments)
"""Functions that each add one thing: (figure, frame, face, rng) → figure."""

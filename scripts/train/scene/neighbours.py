"""Hard neighbours: background objects that touch hair, jaw, neck and shoulders, often in the person's colours."""

# torch is not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scripts.train.scene import shapes
from scripts.train.scene.shapes import Colour, Frame, Point, over, surface
from scripts.train.scene.warp import blur, noise

SKINS = ((0.96, 0.84, 0.75), (0.87, 0.68, 0.55), (0.72, 0.5, 0.37), (0.5, 0.33, 0.24), (0.3, 0.2, 0.15))


_LAYERS = 1024
"""Number of layers of rock before they repeat."""
ECHOES = 0.3
"""Probability of the person's own colour beside a place on the edge, where there are neighbours."""


@dataclass(frozen=True)
class Place:
    """A place on the person's edge, px, and the person's colour there, 0..1."""

    at: Point
    colour: Colour


def add_neighbours(scene: Tensor, frame: Frame, places: list[Place], rng: np.random.Generator) -> Tensor:
    """Draw one to four objects on ``scene`` (3, H, W), each at one of ``places``, sometimes out of focus."""
    if rng.random() < ECHOES:
        scene = echo(scene, frame, places[int(rng.integers(len(places)))], rng)
    for _ in range(int(rng.integers(1, 5))):
        place = places[int(rng.integers(len(places)))]
        colour = place.colour if rng.random() < 0.5 else rng.uniform(0.0, 1.0, 3)
        colour = np.clip(colour * np.exp(rng.normal(0.0, 0.1, 3)), 0.0, 1.0)
        draw = KINDS[int(rng.integers(len(KINDS)))]
        changed = draw(scene, frame, place.at, colour, rng)
        if rng.random() < 0.35:
            changed = blur(changed[None], float(rng.uniform(0.6, 0.012 * frame.size[0])))[0]
        scene = changed
    return scene


def _lit(scene: Tensor, frame: Frame, colour: Colour, coverage: Tensor, rng: np.random.Generator) -> Tensor:
    """Draw an object with its shadow on the background."""
    return over(scene, surface(frame, colour, rng), coverage)


def plank(scene: Tensor, frame: Frame, at: Point, colour: Colour, rng: np.random.Generator) -> Tensor:
    """A plank, pipe or beam through the place, mostly horizontal or vertical."""
    width = frame.size[0]
    angle = rng.normal(0.0, 0.2) + (np.pi / 2 if rng.random() < 0.4 else 0.0)
    thick = width * float(np.exp(rng.uniform(np.log(0.006), np.log(0.12))))
    reach = width * rng.uniform(0.3, 2.0)
    shift = reach * rng.uniform(-1.0, 1.0)
    middle = (at[0] + shift * np.cos(angle), at[1] + shift * np.sin(angle))
    return _lit(scene, frame, colour, shapes.box(frame, middle, (reach, thick), angle), rng)


def edge(scene: Tensor, frame: Frame, at: Point, colour: Colour, rng: np.random.Generator) -> Tensor:
    """A table, wall or floor: everything below or beside a straight edge at the place; the edge has a light rim."""
    width = frame.size[0]
    angle = rng.normal(0.0, 0.12) + (np.pi / 2 * rng.choice((-1, 1)) if rng.random() < 0.35 else 0.0)
    across = shapes.turned(frame, at, angle)[1]
    changed = _lit(scene, frame, colour, shapes.cover(-across), rng)
    if rng.random() < 0.6:
        rim = shapes.line_cover(across.abs(), width * rng.uniform(0.002, 0.015))
        changed = over(changed, shapes.solid(frame, np.clip(colour * rng.uniform(0.4, 1.8), 0, 1)), rim)
    return changed


def rock(scene: Tensor, frame: Frame, at: Point, colour: Colour, rng: np.random.Generator) -> Tensor:
    """A rock, bush or cushion: an irregular blob that touches the place."""
    width = frame.size[0]
    half = (width * rng.uniform(0.08, 0.4), width * rng.uniform(0.08, 0.35))
    angle = rng.uniform(0, 2 * np.pi)
    middle = (at[0] + 0.8 * half[0] * np.cos(angle), at[1] + 0.8 * half[1] * np.sin(angle))
    along, across = shapes.turned(frame, middle, 0.0)
    rough = sum(noise(frame.size, (n, n), frame.chance) / n**0.7 for n in (5, 11, 23))
    distance = shapes.ellipse_distance(along, across, half) + rough * width * rng.uniform(0.01, 0.06)
    light = 1.0 - 0.35 * (across / half[1]).clamp(-1.2, 1.2) + 0.15 * rough
    return over(scene, surface(frame, colour, rng, "speckle") * light.clamp(0.2, 1.6), shapes.cover(distance)).clamp(
        0, 1
    )


def curtain(scene: Tensor, frame: Frame, at: Point, colour: Colour, rng: np.random.Generator) -> Tensor:
    """A curtain or blind beside or behind the person: folds or slats that start at the place."""
    side = rng.choice((-1.0, 1.0))
    width = frame.size[0]
    bent = frame.x + 0.01 * width * noise(frame.size, (2, 5), frame.chance)
    coverage = shapes.cover(side * (at[0] - bent))
    period = width * rng.uniform(0.015, 0.12)
    level = frame.y if rng.random() < 0.3 else bent
    shade = 1.0 + rng.uniform(0.1, 0.5) * (6.28 * level / period + noise(frame.size, (4, 3), frame.chance)).sin()
    return over(scene, shapes.shaded(frame, colour, shade), coverage)


def screen(scene: Tensor, frame: Frame, at: Point, colour: Colour, rng: np.random.Generator) -> Tensor:
    """A screen, window, picture or cupboard with a frame and objects in it; a corner or side is near the place."""
    width = frame.size[0]
    half = (width * rng.uniform(0.1, 0.5), width * rng.uniform(0.1, 0.5))
    side = (rng.choice((-1.0, 1.0)), rng.choice((-1.0, 0.0, 1.0)))
    middle = (at[0] + side[0] * half[0], at[1] + side[1] * half[1])
    angle, corner, rim = rng.normal(0.0, 0.03), width * rng.choice((0.0, 0.01)), width * rng.uniform(0.004, 0.025)
    changed = _lit(scene, frame, colour, shapes.box(frame, middle, (half[0] + rim, half[1] + rim), angle, corner), rng)
    inner = shapes.box(frame, middle, half, angle)
    changed = over(changed, surface(frame, rng.uniform(0, 1, 3), rng), inner)
    for _ in range(int(rng.integers(0, 4))):
        place = (middle[0] + rng.uniform(-1, 1) * half[0], middle[1] + rng.uniform(-1, 1) * half[1])
        thing = shapes.box(frame, place, (half[0] * rng.uniform(0.05, 0.6), half[1] * rng.uniform(0.02, 0.2)), angle)
        changed = over(changed, shapes.solid(frame, rng.uniform(0, 1, 3)), thing * inner)
    return changed


def figure(scene: Tensor, frame: Frame, at: Point, colour: Colour, rng: np.random.Generator) -> Tensor:
    """A human shape, such as a statue, a poster or a passer-by: head and shoulders in skin and clothes colours."""
    width = frame.size[0]
    size = width * rng.uniform(0.04, 0.16)
    side = rng.choice((-1.0, 1.0))
    middle = (at[0] + side * size * rng.uniform(0.6, 1.6), at[1] + size * rng.uniform(-2.0, 0.5))
    skin = np.array(SKINS[int(rng.integers(len(SKINS)))]) * np.exp(rng.normal(0.0, 0.08, 3))
    body = shapes.ellipse(frame, (middle[0], middle[1] + 3.4 * size), (2.2 * size, 2.3 * size))
    changed = _lit(scene, frame, colour, body, rng)
    neck = shapes.box(frame, (middle[0], middle[1] + size), (0.45 * size, 0.7 * size))
    changed = over(changed, shapes.solid(frame, np.clip(skin * 0.85, 0, 1)), neck)
    hair = shapes.ellipse(frame, (middle[0], middle[1] - 0.25 * size), (0.95 * size, 1.15 * size))
    changed = over(changed, shapes.solid(frame, rng.uniform(0.03, 0.6, 3)), hair)
    face = shapes.ellipse(frame, (middle[0], middle[1] + 0.1 * size), (0.75 * size, size))
    light = 1.0 - 0.25 * ((frame.x - middle[0]) / size).clamp(-1, 1)
    return over(changed, shapes.shaded(frame, np.clip(skin, 0, 1), light), face)


def limbs(scene: Tensor, frame: Frame, at: Point, colour: Colour, rng: np.random.Generator) -> Tensor:
    """Branches, chair legs, cables or leaves: lines of different widths that meet near the place."""
    width = frame.size[0]
    thick = width * float(np.exp(rng.uniform(np.log(0.0008), np.log(0.03))))
    start = (at[0] + rng.normal(0, 0.1) * width, at[1] + rng.normal(0, 0.1) * width)
    for _ in range(int(rng.integers(2, 9))):
        angle, reach = rng.uniform(0, 2 * np.pi), width * rng.uniform(0.1, 0.9)
        end = (start[0] + reach * np.cos(angle), start[1] + reach * np.sin(angle))
        line = shapes.capsule(frame, start, end, thick * rng.uniform(0.4, 1.5))
        shade = np.clip(colour * np.exp(rng.normal(0.0, 0.15)), 0, 1)
        scene = over(scene, shapes.solid(frame, shade), line)
        if rng.random() < 0.4:
            start = end
    return scene


def grid(scene: Tensor, frame: Frame, at: Point, colour: Colour, rng: np.random.Generator) -> Tensor:
    """A fence, a lattice, tiles or shelves: lines at even distances, one way or two."""
    width = frame.size[0]
    period = width * float(np.exp(rng.uniform(np.log(0.012), np.log(0.2))))
    thick = period * rng.uniform(0.05, 0.35)
    along, across = shapes.turned(frame, at, rng.normal(0.0, 0.1) + rng.choice((0.0, np.pi / 4, np.pi / 2)))
    for level in (across, along)[: int(rng.integers(1, 3))]:
        distance = ((level / period - (level / period).round()) * period).abs()
        scene = over(scene, shapes.solid(frame, colour), shapes.line_cover(distance, thick))
    return scene


def strata(scene: Tensor, frame: Frame, at: Point, colour: Colour, rng: np.random.Generator) -> Tensor:
    """Layered rock, wood, fur or cloth: a wavy region of fine, nearly parallel lines that look like hair."""
    width = frame.size[0]
    if rng.random() < 0.5:
        earth = np.array(((0.22, 0.15, 0.12), (0.3, 0.28, 0.27), (0.55, 0.42, 0.3), (0.08, 0.07, 0.07)))
        colour = earth[int(rng.integers(4))] * np.exp(rng.normal(0.0, 0.3) + rng.normal(0.0, 0.08, 3))
    else:
        colour = colour.mean() + 0.6 * (colour - colour.mean())
    bend = width * float(np.exp(rng.uniform(np.log(0.01), np.log(0.1))))
    cells = int(rng.integers(2, 5))
    along, across = shapes.turned(frame, at, rng.uniform(0, np.pi))
    bent = across + bend * noise(frame.size, (cells, cells), frame.chance)
    rough = noise(frame.size, (40, 50), frame.chance)
    shade = 1.0 + 0.2 * noise(frame.size, (4, 4), frame.chance)
    profile = rng.normal(0.0, 1.0, _LAYERS)
    heights = torch.from_numpy(profile.astype(np.float32)).to(frame.x.device, non_blocking=True)
    for period in np.exp(rng.uniform(np.log(3.0), np.log(0.06 * width), 3)):
        level = bent / float(period) + 0.25 * rough + _LAYERS // 2
        index = level.long()
        below, above = heights[index % _LAYERS], heights[(index + 1) % _LAYERS]
        shade = shade + rng.uniform(0.08, 0.3) * torch.lerp(below, above, level.frac())
    thick, reach = width * rng.uniform(0.08, 0.4), width * rng.uniform(0.2, 1.2)
    inside = torch.maximum((bent - 0.8 * thick * rng.choice((-1.0, 1.0))).abs() - thick, along.abs() - reach)
    inside = inside + width * rng.uniform(0.0, 0.012) * (rough + 2.0 * noise(frame.size, (9, 11), frame.chance))
    return over(scene, shapes.shaded(frame, np.clip(colour, 0.0, 1.0), shade.clamp(0.1, 2.2)), shapes.cover(inside))


def window(scene: Tensor, frame: Frame, at: Point, colour: Colour, rng: np.random.Generator) -> Tensor:
    """A door or the window of a house or a car beside the person: bright outside, a frame, and bars."""
    width = frame.size[0]
    side, half = rng.choice((-1.0, 1.0)), (width * rng.uniform(0.12, 0.5), width * rng.uniform(0.25, 0.9))
    angle = rng.normal(0.0, 0.03) if rng.random() < 0.6 else rng.normal(0.0, 0.35)
    rim = width * float(np.exp(rng.uniform(np.log(0.006), np.log(0.07))))
    middle = (at[0] + side * half[0] * rng.uniform(0.6, 1.1), at[1] + width * rng.uniform(-0.4, 0.4))
    corner = min(half) * rng.choice((0.0, 0.3))
    wall = shapes.box(frame, middle, (half[0] + rim, half[1] + rim), angle, corner + rim)
    changed = over(scene, surface(frame, colour, rng, "flat" if rng.random() < 0.7 else "wood"), wall)
    outside = np.clip(rng.uniform(0.6, 1.1) * np.ones(3) + rng.normal(0.0, 0.06, 3), 0, 1)
    view = shapes.shaded(frame, outside, 1.0 + rng.uniform(0.02, 0.25) * noise(frame.size, (4, 5), frame.chance))
    pane = shapes.box(frame, middle, half, angle, corner)
    along, across = shapes.turned(frame, middle, angle)
    for level, reach in ((along, half[0]), (across, half[1])):
        bars = int(rng.integers(0, 3))
        if bars:
            period = 2.0 * reach / (bars + 1)
            start = (level + reach) / period
            nearest = start.round().clamp(1.0, bars)
            pane = pane * (1.0 - shapes.line_cover((start - nearest).abs() * period, rim * rng.uniform(0.3, 1.0)))
    return over(changed, view, pane)


def bokeh(scene: Tensor, frame: Frame, at: Point, colour: Colour, rng: np.random.Generator) -> Tensor:
    """Lights out of focus: bright discs of one size over the whole scene, which is mostly blurred as well."""
    width = frame.size[0]
    if rng.random() < 0.7:
        scene = blur(scene[None], width * float(rng.uniform(0.006, 0.03)))[0]
    radius = width * float(np.exp(rng.uniform(np.log(0.01), np.log(0.08))))
    tint = np.array(((1.0, 0.85, 0.6), (1.0, 1.0, 1.0), (0.7, 0.9, 0.5), colour))[int(rng.integers(4))]
    hollow = rng.uniform(0.0, 0.5)  # lenses draw discs with a brighter rim
    for layer in range(2):
        cell = 2.2 * radius * rng.uniform(1.3, 2.6)
        table = np.concatenate((rng.uniform(-0.5, 0.5, (2, 32, 32)), rng.uniform(0.0, 1.0, (2, 32, 32))))
        facts = torch.from_numpy(table.astype(np.float32)).to(frame.x.device, non_blocking=True)
        u, v = (frame.x - at[0]) / cell + 0.5 * layer + 1024.0, (frame.y - at[1]) / cell + 0.5 * layer + 1024.0
        dx, dy, bright, chance = facts[:, v.long() % 32, u.long() % 32]
        room = cell / 2 - radius
        distance = torch.hypot((u.frac() - 0.5) * cell - dx * 2 * room, (v.frac() - 0.5) * cell - dy * 2 * room)
        disc = ((radius - distance) / (0.08 * radius + 0.7) + 0.5).clamp(0.0, 1.0) * (chance < 0.6)
        disc = disc * (1.0 - hollow + hollow * (distance / radius).clamp(max=1.0) ** 4) * (0.15 + 0.75 * bright**2)
        light = torch.maximum(scene, shapes.solid(frame, np.clip(tint * rng.uniform(0.8, 1.2, 3), 0, 1)))
        scene = over(scene, light, disc)
    return scene


def ground(scene: Tensor, frame: Frame, at: Point, colour: Colour, rng: np.random.Generator) -> Tensor:
    """White or pale ground, snow, a table or a bed below the person: everything below a soft, nearly level line."""
    height = frame.size[1]
    line = max(at[1], height * rng.uniform(0.45, 0.85))
    bent = frame.y - line + 0.02 * height * noise(frame.size, (4, 2), frame.chance)
    bent = bent + float(rng.normal(0.0, 0.06)) * (frame.x - at[0])
    soft = height * float(np.exp(rng.uniform(np.log(0.001), np.log(0.15))))
    if rng.random() < 0.5:
        colour = np.clip(rng.uniform(0.82, 1.0) * np.ones(3) + rng.normal(0.0, 0.02, 3), 0.0, 1.0)
    folds = 1.0 + rng.uniform(0.0, 0.12) * noise(frame.size, (5, 9), frame.chance)
    return over(scene, shapes.shaded(frame, colour, folds), (bent / soft + 0.5).clamp(0.0, 1.0))


def echo(scene: Tensor, frame: Frame, place: Place, rng: np.random.Generator) -> Tensor:
    """The person's own colour in the scene beside a place on the edge, so that only form and texture show the edge."""
    width = frame.size[0]
    colour = np.clip(place.colour * np.exp(rng.normal(0.0, 0.04) + rng.normal(0.0, 0.015, 3)), 0.0, 1.0)
    along, across = shapes.turned(frame, place.at, rng.uniform(0, np.pi))
    reach, thick = width * rng.uniform(0.2, 0.8), width * rng.uniform(0.12, 0.4)
    mask = (1.5 - 1.5 * torch.hypot(along / reach, across / thick)).clamp(0.0, 1.0)
    shade = 1.0 + rng.uniform(0.0, 0.08) * noise(frame.size, (7, 8), frame.chance)
    return over(scene, shapes.shaded(frame, colour, shade), mask)


Drawing = Callable[[Tensor, Frame, Point, Colour, np.random.Generator], Tensor]
KINDS: tuple[Drawing, ...] = (
    *(plank, plank, edge, edge, rock, curtain, screen, screen, figure, limbs, grid),
    *(strata, strata),  # not in the training of portrait-5, which takes dark rock with such lines for hair
    *(window, window, bokeh, bokeh, ground),  # nor these, of which it takes parts for the person
)
"""Functions that each draw one object on a scene: (scene, frame, place, colour, rng) → scene."""


def plain(frame: Frame, colour: NDArray[np.float64], rng: np.random.Generator) -> Tensor:
    """A wall, as in studios and ID photos: one colour, a gradient, a vignette or a stain, and grain."""
    width, height = frame.size
    angle = rng.uniform(0, 2 * np.pi)
    u, v = frame.x / width - 0.5, frame.y / height - 0.5
    shade = 1.0 + rng.uniform(0.0, 0.6) * rng.integers(0, 2) * (np.cos(angle) * u + np.sin(angle) * v)
    middle = rng.uniform(-0.4, 0.4, 2)
    shade = shade + rng.uniform(-0.6, 0.3) * rng.integers(0, 2) * ((u - middle[0]) ** 2 + (v - middle[1]) ** 2).sqrt()
    if rng.random() < 0.25:
        shade = shade + 0.06 * noise(frame.size, (5, 6), frame.chance)
    return shapes.shaded(frame, colour, shade)

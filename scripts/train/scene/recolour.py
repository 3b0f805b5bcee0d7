"""Changes the colours of a person before the backdrop is added: clothes and light."""

# torch is not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scripts.train.scene import place
from scripts.train.scene.shapes import Frame, solid, turned
from scripts.train.scene.store import Person
from scripts.train.scene.warp import Map, blur, scale_of


@dataclass(frozen=True)
class Placed:
    """A person in the frame. ``matrix`` maps the pixels of the person's picture to those of the frame."""

    person: Person
    matrix: Map
    frame: Frame

    def below(self) -> Tensor:
        """The rows below the shoulders, (H, W), 0..1, with a soft upper end."""
        person, height = self.person, self.frame.size[1]
        row = float(place.mapped(self.matrix, person.size[0] / 2, person.shoulders * person.size[1])[1])
        return ((self.frame.y - row + 0.03 * height) / (0.05 * height)).clamp(0.0, 1.0)


def pale(colour: Tensor, placed: Placed, rng: np.random.Generator) -> Tensor:
    """Colours (3, H, W), 0..1, with clothes in white or another pale colour, keeping folds and skin."""
    below = placed.below()
    warm = ((colour[0] - colour[2] - 0.08) / 0.1).clamp(0.0, 1.0)  # skin is mostly redder than clothes
    light = colour.mean(dim=0)
    chosen = (light * below).sum() / below.sum().clamp(min=1.0)
    paint = np.clip(rng.uniform(0.8, 1.0) * np.ones(3) + rng.normal(0, 0.03, 3), 0, 1)
    folds = 1.0 + float(rng.uniform(0.25, 0.7)) * (light - chosen)
    mask = below * (1.0 - blur(warm[None, None], 3.0)[0, 0])
    return colour + (solid(placed.frame, paint) * folds - colour) * mask


def bare(colour: Tensor, placed: Placed, rng: np.random.Generator) -> Tensor:
    """Colours (3, H, W), 0..1, with shoulders in the colour of the face, as if they were bare; keeps large folds only.

    Few of the labelled people have bare shoulders.
    """
    skin, below = _skin(colour, placed), placed.below()
    light = blur(colour.mean(dim=0)[None, None], 0.02 * placed.frame.size[0])[0, 0]
    chosen = (light * below).sum() / below.sum().clamp(min=1.0)
    folds = (1.0 + float(rng.uniform(0.1, 0.5)) * (light - chosen)) * float(rng.uniform(0.8, 1.15))
    if rng.random() < 0.5:  # a neckline: clothes begin further down
        below = below * ((placed.frame.size[1] * rng.uniform(0.75, 1.0) - placed.frame.y) / 3.0).clamp(0.0, 1.0)
    return colour + (skin[:, None, None] * folds - colour) * below


def _skin(colour: Tensor, placed: Placed) -> Tensor:
    """Mean colour (3,) of the middle of the face; grey without a face in the frame."""
    width, height = placed.frame.size
    face = placed.person.face
    if face is None:
        return torch.full((3,), 0.6, device=colour.device)
    x, y = place.mapped(placed.matrix, face[0] + face[2] / 2, face[1] + 0.6 * face[3])
    reach = max(round(0.2 * face[2] * scale_of(placed.matrix)), 1)
    rows = slice(max(round(float(y)) - reach, 0), min(max(round(float(y)) + reach, 1), height))
    columns = slice(max(round(float(x)) - reach, 0), min(max(round(float(x)) + reach, 1), width))
    cheeks = colour[:, rows, columns].flatten(1)
    return cheeks.mean(dim=1) if cheeks.shape[1] else torch.full((3,), 0.6, device=colour.device)


def side_light(colour: Tensor, frame: Frame, rng: np.random.Generator) -> Tensor:
    """Colours (3, H, W), 0..1, that get darker towards one side."""
    angle, width = rng.uniform(0, 2 * np.pi), frame.size[0]
    slope = rng.uniform(0.2, 0.9) * (np.cos(angle) * frame.x + np.sin(angle) * frame.y) / width
    return colour * torch.exp(slope - slope.mean())


def hard_light(colour: Tensor, frame: Frame, rng: np.random.Generator) -> Tensor:
    """Colours (3, H, W), lit by the sun: one side, or a strip, is several times brighter than the rest, up to white."""
    width, height = frame.size
    middle = (width * rng.uniform(0.2, 0.8), height * rng.uniform(0.2, 1.0))
    along, _ = turned(frame, middle, float(rng.uniform(0, 2 * np.pi)))
    soft = width * float(np.exp(rng.uniform(np.log(0.005), np.log(0.15))))
    lit = torch.sigmoid(along / soft)
    if rng.random() < 0.4:
        lit = lit * torch.sigmoid((width * rng.uniform(0.1, 0.5) - along) / soft)
    dark = float(rng.uniform(0.45, 1.0))
    return colour * (dark + (dark * rng.uniform(1.6, 4.0) - dark) * lit)

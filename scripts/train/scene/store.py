"""Material in a device's memory: people, layers of hair and backdrops as uint8 tensors (C, H, W)."""

# torch is not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from scripts.train.scene.place import FACE
from scripts.train.scene.warp import blur


@dataclass(frozen=True)
class Person:
    """One person. ``figure``: foreground colours and alpha, uint8 (4, H, W), straight alpha."""

    name: str
    kind: str
    figure: Tensor
    photo: Tensor | None
    """The original photo (3, H, W); None if it has no real backdrop."""
    trust: Tensor | None
    """Trust of the label (1, H, W) uint8, any size; None: 255 everywhere."""
    face: FACE | None
    top: float
    """First row of the person, 0..1 of the height."""
    shoulders: float
    """Row where the body gets wider than the head, 0..1 of the height."""
    hair: tuple[float, float, float]
    """Mean colour above the face, 0..255."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, px."""
        return self.figure.shape[2], self.figure.shape[1]


@dataclass(frozen=True)
class Layer:
    """Hair before and behind the body, uint8 (4, H, W) each, straight alpha, and its mean colour, 0..255."""

    front: Tensor
    back: Tensor
    colour: tuple[float, float, float]


@dataclass
class Store:
    """All material for composing pictures. ``layers`` may grow during training."""

    people: list[Person]
    backdrops: list[Tensor]
    layers: list[Layer]
    shares: dict[str, float]
    """Probability of each kind of person. Within a kind all people have the same probability."""
    _chances: NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        counts: dict[str, int] = {}
        for person in self.people:
            counts[person.kind] = counts.get(person.kind, 0) + 1
        chances = np.array([self.shares.get(p.kind, 0.0) / counts[p.kind] for p in self.people])
        if not chances.sum() > 0:
            raise ValueError(f"no person of any of the kinds {sorted(self.shares)}; there are {sorted(counts)}")
        self._chances = chances / chances.sum()

    @property
    def device(self) -> torch.device:
        """The device that holds the material."""
        return self.people[0].figure.device

    def person(self, rng: np.random.Generator) -> Person:
        """A random person, by the probabilities of the kinds."""
        return self.people[int(rng.choice(len(self.people), p=self._chances))]


def foreground(photo: Tensor, alpha: Tensor) -> Tensor:
    """Foreground colours uint8 (3, H, W) of a labelled photo (3, H, W) and alpha (H, W), both uint8.

    Germer et al.'s estimate in the closed form of Forte & Pitié 2021, "FBA matting" ("blur fusion"), applied twice:
    first with a wide blur, then with a narrow one.
    """
    image = photo[None].float() / 255.0
    a = alpha[None, None].float() / 255.0
    front, behind = image, image
    longest = max(image.shape[-2:])
    for sigma in (longest / 25.0, longest / 300.0):
        weight_front, weight_behind = blur(a, sigma), blur(1 - a, sigma)
        mean_front = blur(front * a, sigma) / weight_front.clamp(min=1e-3)
        mean_behind = blur(behind * (1 - a), sigma) / weight_behind.clamp(min=1e-3)
        front = (mean_front + a * (image - a * mean_front - (1 - a) * mean_behind)).clamp(0, 1)
        behind = mean_behind
    return (front[0] * 255.0 + 0.5).to(torch.uint8)


def smaller(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize a mask (1, H, W) to ``size`` (width, height) with nearest neighbours."""
    return functional.interpolate(mask[None], (size[1], size[0]), mode="nearest")[0]

"""Batches of composed pictures, degraded together, as bytes."""

# torch is not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from scripts.train.scene.compose import Composer, Shares
from scripts.train.scene.degrade import degrade
from scripts.train.scene.store import Store

Batch = tuple[Tensor, Tensor, Tensor]
"""RGB (N, H, W, 3), alpha (N, H, W) and trust (N, H, W), all uint8 on the store's device."""


Option = TypeVar("Option")


def mostly_first(options: Sequence[Option], rng: np.random.Generator) -> Option:
    """The first option half of the time, else a random other one."""
    first = len(options) == 1 or rng.random() < 0.5
    return options[0 if first else int(rng.integers(1, len(options)))]


def rgb_bytes(rgb: Tensor) -> Tensor:
    """Colours 0..255 (..., 3, H, W) to uint8 (..., H, W, 3)."""
    return (rgb + 0.5).clamp(0, 255).movedim(-3, -1).to(torch.uint8).contiguous()


def plane_bytes(plane: Tensor) -> Tensor:
    """Alpha or trust, 0..1, to uint8."""
    return (plane * 255.0 + 0.5).to(torch.uint8)


class PackBatches(IterableDataset[Batch]):
    """Endless batches. All pictures of a batch have one size: the first size half of the time, else a random other."""

    def __init__(self, store: Store, shapes: list[tuple[int, int]], batch: int, seed: int, shares: Shares) -> None:
        """``shapes``: (width, height) px."""
        self.store, self.shapes, self.batch, self.seed, self.shares = store, shapes, batch, seed, shares

    def __iter__(self) -> Iterator[Batch]:
        rng = np.random.default_rng(self.seed)
        chance = torch.Generator(self.store.device)
        chance.manual_seed(self.seed)
        composer = Composer(self.store, self.shares, rng, chance)
        while True:
            yield self.one(composer, mostly_first(self.shapes, rng))

    def one(self, composer: Composer, size: tuple[int, int]) -> Batch:
        """One batch of ``size``."""
        with torch.no_grad():
            samples = [composer.sample(size) for _ in range(self.batch)]
            rgb = torch.stack([s.rgb for s in samples])
            rgb = degrade(rgb, composer.rng, composer.chance, self.shares.strength)
            alpha, trust = (
                plane_bytes(torch.stack([getattr(s, name) for s in samples])) for name in ("alpha", "trust")
            )
            return rgb_bytes(rgb), alpha, trust

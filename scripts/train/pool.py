"""Composed pictures in a device's memory, which other threads keep replacing while the training uses them.

Composing a picture takes several times longer than training on it, because it needs hundreds of small operations. So
each picture is used a few times: mirrored or not, with different light, colour, blur, noise and JPEG artefacts.
"""

# torch is not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from scripts.train.scene.compose import Batch, Composer, Shares, mostly_first, plane_bytes, rgb_bytes
from scripts.train.scene.degrade import degrade
from scripts.train.scene.store import Store

_AHEAD = 2
"""Number of batches that wait for the training."""
_WAIT_S = 0.2


def side_stream(device: torch.device) -> AbstractContextManager[Any]:
    """On an accelerator, a stream of high priority: its small operations do not wait for the training's large ones."""
    if device.type != "cuda":
        return nullcontext()
    return torch.cuda.stream(torch.cuda.Stream(device, priority=-1))


def finish_stream(device: torch.device) -> None:
    """Wait for the operations of the current stream."""
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()


class Shelf:
    """Pictures of one size: RGB (N, H, W, 3), alpha and trust (N, H, W), uint8."""

    def __init__(self, size: tuple[int, int], room: int, device: torch.device) -> None:
        width, height = size
        self.size, self.room, self.made = size, room, 0
        self.rgb = torch.empty((room, height, width, 3), dtype=torch.uint8, device=device)
        self.alpha, self.trust = (torch.empty((room, height, width), dtype=torch.uint8, device=device) for _ in "at")

    @property
    def filled(self) -> int:
        return min(self.made, self.room)


class Pool:
    """Composes pictures in threads until it is closed.

    >>> with Pool(store, [(640, 800)], room=[2000], shares=Shares(), seed=1, threads=3) as pool:  # doctest: +SKIP
    ...     for batch in pool.batches(8, seed=1): ...

    Args:
        store: the material.
        shapes: (width, height) px of the pictures; the first is used half of the time.
        room: number of pictures to keep of each shape.
        shares: probabilities of the composition.
        seed: of the random numbers. The pictures depend on it and on the threads' speed.
        threads: number of composing threads.
    """

    def __init__(
        self, store: Store, shapes: list[tuple[int, int]], room: list[int], shares: Shares, seed: int, threads: int
    ) -> None:
        self.store, self.shares, self.seed = store, shares, seed
        self.shelves = [Shelf(size, count, store.device) for size, count in zip(shapes, room, strict=True)]
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._failure: BaseException | None = None
        self._threads = [threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(threads)]

    def __enter__(self) -> Pool:
        finish_stream(self.store.device)  # of the material, which the threads' streams read
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def made(self) -> int:
        """Number of pictures composed so far."""
        return sum(shelf.made for shelf in self.shelves)

    def _run(self, number: int) -> None:
        device = self.store.device
        rng = np.random.default_rng((self.seed, number))
        chance = torch.Generator(device)
        chance.manual_seed(self.seed * 1000 + number)
        composer = Composer(self.store, self.shares, rng, chance)
        try:
            with torch.no_grad(), side_stream(device):
                while not self._stop.is_set():
                    shelf = mostly_first(self.shelves, rng)
                    sample = composer.sample(shelf.size)
                    rgb = rgb_bytes(sample.rgb)
                    alpha, trust = plane_bytes(sample.alpha), plane_bytes(sample.trust)
                    with self._lock:
                        place = shelf.made % shelf.room
                        shelf.rgb[place], shelf.alpha[place], shelf.trust[place] = rgb, alpha, trust
                        finish_stream(device)
                        shelf.made += 1
        except Exception as error:  # noqa: BLE001  # raised by `batches`
            self._failure = error

    def batches(self, count: int, seed: int) -> PoolBatches:
        """Endless batches of ``count`` pictures."""
        return PoolBatches(self, count, seed)


class PoolBatches(IterableDataset[Batch]):
    """Endless batches: RGB (N, H, W, 3), alpha and trust (N, H, W), uint8 on the pool's device."""

    def __init__(self, pool: Pool, count: int, seed: int) -> None:
        self.pool, self.count, self.seed = pool, count, seed

    def __iter__(self) -> Iterator[Batch]:
        ready: queue.Queue[Batch | BaseException] = queue.Queue(_AHEAD)
        stop = threading.Event()
        thread = threading.Thread(target=self._fill, args=(ready, stop), daemon=True)
        thread.start()
        try:
            while True:
                batch = ready.get()
                if isinstance(batch, BaseException):
                    raise batch
                if self.pool.store.device.type == "cuda":
                    for part in batch:  # memory of the other stream, in use by this one
                        part.record_stream(torch.cuda.current_stream())
                yield batch
        finally:
            stop.set()

    def _fill(self, ready: queue.Queue[Batch | BaseException], stop: threading.Event) -> None:
        device = self.pool.store.device
        rng = np.random.default_rng((self.seed, 7))
        chance = torch.Generator(device)
        chance.manual_seed(self.seed)
        try:
            with torch.no_grad(), side_stream(device):
                while not stop.is_set():
                    batch = self._one(rng, chance, stop)
                    finish_stream(device)
                    while not stop.is_set():
                        try:
                            ready.put(batch, timeout=_WAIT_S)
                            break
                        except queue.Full:
                            pass
        except Exception as error:  # noqa: BLE001  # raised in the training's thread
            ready.put(error)

    def _one(self, rng: np.random.Generator, chance: torch.Generator, stop: threading.Event) -> Batch:
        pool = self.pool
        shelf = mostly_first(pool.shelves, rng)
        while shelf.filled < min(4 * self.count, shelf.room) and not stop.wait(_WAIT_S):
            if pool._failure is not None:
                raise pool._failure
        places = torch.from_numpy(rng.integers(0, max(shelf.filled, 1), self.count)).to(shelf.rgb.device)
        with pool._lock:
            rgb, alpha, trust = shelf.rgb[places], shelf.alpha[places], shelf.trust[places]
            finish_stream(shelf.rgb.device)
        mirrored = torch.from_numpy(rng.random(self.count) < 0.5).to(rgb.device)
        rgb = torch.where(mirrored[:, None, None, None], rgb.flip(2), rgb)
        alpha, trust = (torch.where(mirrored[:, None, None], plane.flip(2), plane) for plane in (alpha, trust))
        pictures: Tensor = rgb.permute(0, 3, 1, 2).float().contiguous()
        pictures = degrade(pictures, rng, chance, pool.shares.strength)
        return rgb_bytes(pictures), alpha, trust

"""Composed pictures in a device's memory, which other processes keep replacing while the training uses them.

Composing a picture needs hundreds of small operations, each started by Python, and one Python process runs one thread
at a time. So other processes compose, with their own copy of the material on the same device, and this one copies the
finished pictures to its memory. Each picture is used about four times: mirrored or not, with different light, colour,
blur, noise and JPEG artefacts.
"""

# torch is not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

import multiprocessing
import queue
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from scripts.train.pack import HairDresser
from scripts.train.scene.batches import Batch, mostly_first, plane_bytes, rgb_bytes
from scripts.train.scene.compose import Composer, Shares
from scripts.train.scene.degrade import degrade
from scripts.train.scene.store import Store

_AHEAD = 2
"""Number of batches that wait for the training."""
_WAIT_S = 0.2
_SLOTS = 12
"""Number of finished pictures of one process that wait to be copied."""
_USES, _LEAD = 4.0, 1000
"""The processes wait when more than this number of pictures, plus those used divided by ``_USES``, have been composed:
more would only take time from the training."""
_FIRST_SEED, _SEEDS = 100_000, 10_000_000
"""First seed of the hair that the first process draws, and the distance to the next process's. Packs use smaller ones.
"""
_MOST_LAYERS = 2000
"""Maximum number of hair layers of one process; each takes up to 6 MB."""
_CLOSING_S = 60.0
"""Seconds that a process gets to end by itself."""
_PLANES = 5
"""Bytes of a pixel: red, green, blue, alpha, trust."""

Size = tuple[int, int]


class ComposeError(Exception):
    """A composing process failed; the message holds its traceback."""


@dataclass(frozen=True)
class Material:
    """What the composing processes work with."""

    open_store: Callable[[torch.device], Store]
    """Loads the material to a device; called in each process, so it must be picklable."""
    device: torch.device
    shares: Shares
    processes: int = 1
    """Number of composing processes."""
    drawing: int = 0
    """Number of processes that draw more hair for each composing process."""


@dataclass(frozen=True)
class _Order:
    """Instructions for one composing process."""

    material: Material
    number: int
    seed: int
    shapes: list[Size]
    file: Path
    """File of the slots."""

    @property
    def slot(self) -> int:
        """Bytes of a slot."""
        return _PLANES * max(width * height for width, height in self.shapes)

    def slots(self) -> np.memmap[Any, np.dtype[np.uint8]]:
        return np.memmap(self.file, np.uint8, "r+", shape=(_SLOTS, self.slot))


def _compose(order: _Order, free: Any, done: Any, stop: Any) -> None:
    """Fill free slots with pictures until ``stop`` is set or the parent has died. Runs in a process of its own.

    ``done`` gets (process, slot, number of the shape, number of hair layers), or a traceback.
    """
    try:
        torch.set_num_threads(1)
        material = order.material
        store = material.open_store(material.device)
        first = _FIRST_SEED + _SEEDS * order.number
        drawing = HairDresser(store, first, material.drawing, _MOST_LAYERS) if material.drawing else nullcontext()
        rng = np.random.default_rng((order.seed, order.number))
        chance = torch.Generator(material.device)
        chance.manual_seed(order.seed * 1000 + order.number)
        composer, slots = Composer(store, material.shares, rng, chance), order.slots()
        with torch.no_grad(), drawing:
            parent = multiprocessing.parent_process()
            while not stop.is_set() and (parent is None or parent.is_alive()):
                try:
                    slot = free.get(timeout=_WAIT_S)
                except queue.Empty:
                    continue
                shape = mostly_first(range(len(order.shapes)), rng)
                sample = composer.sample(order.shapes[shape])
                planes = (rgb_bytes(sample.rgb), plane_bytes(sample.alpha), plane_bytes(sample.trust))
                pixels = torch.cat([plane.flatten() for plane in planes]).cpu().numpy()
                slots[slot, : pixels.size] = pixels
                done.put((order.number, slot, shape, len(store.layers)))
    except BaseException:  # noqa: BLE001  # raised by `batches`, in the other process
        done.put(traceback.format_exc())


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
    """Lets other processes compose pictures until it is closed.

    >>> material = Material(partial(open_pack, [Path("a.pack")]), torch.device("cuda"), Shares())  # doctest: +SKIP
    >>> with Pool(material, [(640, 800)], room=[2000], seed=1) as pool:  # doctest: +SKIP
    ...     for batch in pool.batches(8, seed=1): ...

    Args:
        material: see :class:`Material`.
        shapes: (width, height) px of the pictures; the first is used half of the time.
        room: number of pictures to keep of each shape.
        seed: of the random numbers. The pictures depend on it and on the processes' speed.
    """

    def __init__(self, material: Material, shapes: list[Size], room: list[int], seed: int) -> None:
        self.device, self.shares = material.device, material.shares
        self.shelves = [Shelf(size, count, self.device) for size, count in zip(shapes, room, strict=True)]
        self.taken = 0
        """Number of pictures that the training has used."""
        self.layers = 0
        """Number of hair layers, in all processes."""
        self._folder = tempfile.TemporaryDirectory(prefix="idseg-pool-")
        self._orders = [
            _Order(material, number, seed, shapes, Path(self._folder.name) / f"{number}.slots")
            for number in range(material.processes)
        ]
        context = multiprocessing.get_context("spawn")  # a forked process would share the accelerator's state
        self._stop, self._done = context.Event(), context.Queue()
        self._free = [context.Queue() for _ in self._orders]
        self._processes = [
            context.Process(target=_compose, args=(order, free, self._done, self._stop))
            for order, free in zip(self._orders, self._free, strict=True)
        ]
        self._lock = threading.Lock()
        self._failure: ComposeError | None = None
        self._collector = threading.Thread(target=self._collect, name="collector", daemon=True)

    def __enter__(self) -> Pool:
        for order, free, process in zip(self._orders, self._free, self._processes, strict=True):
            with order.file.open("wb") as file:
                file.truncate(_SLOTS * order.slot)
            for slot in range(_SLOTS):
                free.put(slot)
            process.start()
        self._collector.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._stop.set()
        self._collector.join()
        for process in self._processes:
            process.join(_CLOSING_S)
            if process.is_alive():
                process.kill()
                process.join()
        for line in (self._done, *self._free):
            line.cancel_join_thread()
            line.close()
        self._folder.cleanup()

    @property
    def made(self) -> int:
        """Number of pictures composed so far."""
        return sum(shelf.made for shelf in self.shelves)

    def _collect(self) -> None:
        """Copy finished pictures to the shelves, until the pool is closed or a process fails."""
        slots = [order.slots() for order in self._orders]
        layers = [0] * len(slots)
        with side_stream(self.device):
            while not self._stop.is_set():
                try:
                    message = self._done.get(timeout=_WAIT_S)
                except queue.Empty:
                    if all(process.is_alive() for process in self._processes):
                        continue
                    message = "a composing process was killed"
                if isinstance(message, str):
                    self._failure = ComposeError(message)
                    return
                number, slot, shape, layers[number] = message
                self.layers = sum(layers)
                self._store(slots[number][slot], self.shelves[shape])
                while self.made > self.taken / _USES + _LEAD and not self._stop.wait(_WAIT_S / 20):
                    pass
                self._free[number].put(slot)

    def _store(self, pixels: np.ndarray, shelf: Shelf) -> None:  # type: ignore[type-arg]
        width, height = shelf.size
        count = width * height
        planes = torch.from_numpy(pixels[: _PLANES * count]).to(self.device)
        with self._lock:
            place = shelf.made % shelf.room
            shelf.rgb[place] = planes[: 3 * count].view(height, width, 3)
            shelf.alpha[place], shelf.trust[place] = planes[3 * count :].view(2, height, width)
            finish_stream(self.device)
            shelf.made += 1

    def wait(self, count: int) -> None:
        """Wait until there are ``count`` pictures of each size.

        Raises:
            ComposeError: a composing process failed.
        """
        while any(shelf.filled < min(count, shelf.room) for shelf in self.shelves):
            if self._failure is not None:
                raise self._failure
            self._stop.wait(_WAIT_S)

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
                if self.pool.device.type == "cuda":
                    for part in batch:  # memory of the other stream, in use by this one
                        part.record_stream(torch.cuda.current_stream())
                yield batch
        finally:
            stop.set()

    def _fill(self, ready: queue.Queue[Batch | BaseException], stop: threading.Event) -> None:
        device = self.pool.device
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
        while shelf.filled < min(4 * self.count, shelf.room) and not pool._failure and not stop.wait(_WAIT_S):
            pass
        if pool._failure is not None:
            raise pool._failure
        pool.taken += self.count
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

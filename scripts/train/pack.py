"""Packs: all training material in one or more files, which are read into a device's memory. `build_pack` makes them.

A pack is an uncompressed ZIP file with WebP pictures and their description, ``index.json``. Needs torch, NumPy and
Pillow. More hair layers can be drawn in other processes during training.
"""

# torch is not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

import io
import json
import multiprocessing
import os
import threading
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from scripts.train.scene.store import Layer, Person, Store, foreground

U8 = NDArray[np.uint8]

FORMAT = 1
"""Version of the format; changes when old readers cannot read new packs."""
SHARES = {"studio": 0.34, "keyed": 0.26, "official": 0.15, "faker": 0.1, "sfhq": 0.12, "facechain": 0.03}
"""Probability of each set of people."""
DRAWN_SIZES = ((640, 800), (640, 800), (1024, 1280))
"""Sizes of the layers that are drawn during training, in turn."""

LEAST_TEXTURE = 900
"""Minimum side of a texture after repeating it, px, so that it is hardly enlarged to cover a picture."""


class PackError(ValueError):
    """The file is not a pack, or it is damaged."""


def open_pack(
    paths: Sequence[Path],
    device: torch.device,
    shares: dict[str, float] | None = None,
    *,
    longest: int | None = None,
) -> Store:
    """Load all material of one or more packs into the memory of ``device``.

    Args:
        paths: files of `build_pack`.
        device: for example a GPU.
        shares: probability of each set of people; None: :data:`SHARES`.
        longest: maximum of a picture's longer side, px; larger ones are shrunk. None: no limit.

    Raises:
        PackError: a file is not a pack of this format, or is damaged.
        ValueError: ``shares`` names a kind of which the packs have no person.
    """
    people: list[Person] = []
    backdrops: list[Tensor] = []
    textures: list[Tensor] = []
    layers: list[Layer] = []
    least = LEAST_TEXTURE if longest is None else min(LEAST_TEXTURE, longest // 2)
    for path in paths:
        try:
            with zipfile.ZipFile(path) as file, ThreadPoolExecutor() as threads:
                index = json.loads(file.read("index.json"))
                if index["format"] != FORMAT:
                    raise PackError(f"{path}: format {index['format']}; this program reads {FORMAT}")
                blobs = {name: file.read(name) for name in file.namelist() if name.endswith(".webp")}
                pictures = dict(zip(blobs, threads.map(decoded, blobs.values()), strict=True))
                people += [_person(entry, pictures, device, longest) for entry in index["people"]]
                backdrops += [on_device(shrunk(pictures[name], longest), device) for name in index["backdrops"]]
                textures += [
                    repeated(on_device(shrunk(pictures[name], longest), device), least)
                    for name in index.get("textures", [])
                ]
                layers += [_layer(entry, pictures, device, longest) for entry in index["layers"]]
        except (zipfile.BadZipFile, KeyError, json.JSONDecodeError, OSError) as error:
            raise PackError(f"{path}: not a pack, or damaged: {error}") from error
    present = {person.kind for person in people}
    chosen = shares or {kind: share for kind, share in SHARES.items() if kind in present}
    return Store(people, evenly(backdrops, textures), layers, chosen)


def repeated(texture: Tensor, least: int = LEAST_TEXTURE) -> Tensor:
    """Repeat a texture (C, H, W), mirrored at each seam, until both sides have at least ``least`` px."""
    for axis in (1, 2):
        while texture.shape[axis] < least:
            texture = torch.cat((texture, texture.flip(axis)), axis)
    return texture


def evenly(first: list[Tensor], second: list[Tensor]) -> list[Tensor]:
    """Both lists in one, in which the smaller list's pictures are repeated, so that both get about the same share.

    A repeated picture is the same tensor, so it takes no memory.
    """
    if not first or not second:
        return first + second
    times = [max(1, round(max(len(first), len(second)) / len(part))) for part in (first, second)]
    return first * times[0] + second * times[1]


def decoded(blob: bytes) -> U8:
    """Decode a picture's pixels: (H, W), (H, W, 3) or (H, W, 4)."""
    with Image.open(io.BytesIO(blob)) as picture:
        return np.asarray(picture, np.uint8)


def shrunk(pixels: U8, longest: int | None, *, straight: bool = False) -> U8:
    """Shrink pixels (H, W) or (H, W, C) to a longer side of at most ``longest`` px, by area.

    ``straight``: the fourth channel is alpha, and the colours have not been multiplied by it. Colours count by alpha.
    """
    height, width = pixels.shape[:2]
    if longest is None or max(height, width) <= longest:
        return pixels
    factor = longest / max(height, width)
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    planes = torch.from_numpy(np.array(pixels)).float().view(height, width, -1).permute(2, 0, 1)[None]
    if straight:
        planes = torch.cat((planes[:, :3] * planes[:, 3:], planes[:, 3:]), dim=1)
    planes = functional.interpolate(planes, size[::-1], mode="area")
    if straight:
        planes = torch.cat((planes[:, :3] / planes[:, 3:].clamp(min=1e-3), planes[:, 3:]), dim=1)
    found = (planes[0].permute(1, 2, 0) + 0.5).clamp(0, 255).byte().numpy()
    return np.ascontiguousarray(found.reshape(size[1], size[0], *pixels.shape[2:]))


def on_device(pixels: U8, device: torch.device) -> Tensor:
    """Copy pixels (H, W, C) or (H, W) to the device as (C, H, W)."""
    planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return torch.from_numpy(np.array(planes)).to(device)


def _person(entry: dict[str, Any], pictures: dict[str, U8], device: torch.device, longest: int | None) -> Person:
    whole = pictures[entry["picture"]]
    pixels = shrunk(whole, longest, straight=not entry["photo"])
    scale = pixels.shape[1] / whole.shape[1]
    figure = on_device(pixels, device)
    photo = trust = None
    if entry["photo"]:  # the RGBA picture holds the photo and its alpha
        photo = figure[:3]
        figure = torch.cat((foreground(photo, figure[3]), figure[3:]))
    if entry["trust"]:
        trust = on_device(pictures[entry["trust"]], device)[:1]
    left, top, width, height = (scale * value for value in entry["face"] or (0, 0, 0, 0))
    face = (left, top, width, height) if entry["face"] else None
    facts = {name: entry[name] for name in ("name", "kind", "top", "shoulders")}
    return Person(figure=figure, photo=photo, trust=trust, face=face, hair=tuple(entry["hair"]), **facts)


def _layer(entry: dict[str, Any], pictures: dict[str, U8], device: torch.device, longest: int | None) -> Layer:
    front, back = (shrunk(pictures[entry[side]], longest, straight=True) for side in ("front", "back"))
    return make_layer(front, back, device)


def make_layer(front: U8, back: U8, device: torch.device) -> Layer:
    """A layer from its two RGBA pictures (H, W, 4)."""
    weight = front[..., 3:].astype(np.float64) + 1e-6
    colour = (front[..., :3] * weight).sum(axis=(0, 1)) / weight.sum()
    return Layer(on_device(front, device), on_device(back, device), (colour[0], colour[1], colour[2]))


# ------------------------------------------------------------------- hair drawn while training


def _give_way() -> None:
    """Let the training and the composing go first; on a small machine they would wait for the drawing."""
    if hasattr(os, "nice"):
        os.nice(10)


def draw(task: tuple[int, tuple[int, int]]) -> tuple[U8, U8]:
    """Draw the front and the back of the layer for a (seed, size). Runs in another process."""
    from scripts.train.hair.groom import groom  # only the drawing processes load numba

    torch.set_num_threads(1)
    hair = groom(*task)
    return hair.front, hair.back


def tasks(first: int) -> Iterator[tuple[int, tuple[int, int]]]:
    """Endless (seed, size) pairs, starting at seed ``first``."""
    seed = first
    while True:
        yield seed, DRAWN_SIZES[seed % len(DRAWN_SIZES)]
        seed += 1


class HairDresser:
    """Draws layers in other processes and adds them to a store, until it is closed or the store has ``most`` layers.

    >>> with HairDresser(store, first=100_000, processes=12, most=4000):  # doctest: +SKIP
    ...     train(store)
    """

    def __init__(self, store: Store, first: int, processes: int, most: int) -> None:
        self._store, self._most = store, most
        self._work = tasks(first)
        context = multiprocessing.get_context("spawn")  # a forked process would share the accelerator's state
        self._pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_give_way)
        self._queued = 2 * processes
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hair-dresser", daemon=True)

    def __enter__(self) -> HairDresser:
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._thread.join()

    def _run(self) -> None:
        pending = [self._pool.submit(draw, next(self._work)) for _ in range(self._queued)]
        while pending and not self._stop.is_set() and len(self._store.layers) < self._most:
            front, back = pending.pop(0).result()
            self._store.layers.append(make_layer(front, back, self._store.device))
            if not self._stop.is_set():
                pending.append(self._pool.submit(draw, next(self._work)))
        for future in pending:
            future.cancel()


def write_pack(path: Path, index: dict[str, Any], pictures: Iterable[tuple[str, bytes]]) -> int:
    """Write a pack; returns its size in bytes. ``index``: people, backdrops and layers as `open_pack` reads them."""
    beside = path.with_suffix(".part")
    with zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED) as file:
        for name, blob in pictures:
            file.writestr(name, blob)
        file.writestr("index.json", json.dumps({"format": FORMAT, **index}))
    beside.replace(path)
    return path.stat().st_size

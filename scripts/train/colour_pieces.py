"""What the colour nets learn from: pieces of evidence (idseg/imaging/colourlines.py) with the truth.

idseg makes mattes of composed pictures and of labelled photos; their evidence, the truth and its weight are cut into
pieces of one size.
"""

# torch is not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from idseg import IdsegError, Segmenter
from idseg.imaging.colourlines import LOW_AREA, NO_CHANGE, PLANES, Evidence, Scaled, first_change
from idseg.loaded import MattingModels
from idseg.models.manifest import load_manifest
from idseg.options import Options
from idseg.stages.follow import COLOUR_NETS, Follower, load_follower
from idseg.types import Alpha, Rgb
from scripts.train.build_pack import PHOTO_SETS
from scripts.train.keying import labels_of, read_label
from scripts.train.pack import open_pack
from scripts.train.scene.batches import plane_bytes, rgb_bytes
from scripts.train.scene.compose import Composer, Shares
from scripts.train.scene.degrade import degrade
from scripts.train.split import held_out

_COLUMNS = 64
"""Width of a piece of the strip, px."""
EXTRA = 3
"""Planes of a piece after the evidence: what may change, the truth, and its weight."""
KINDS = ("composed", "keyed", "labelled")
_KEYED_SHARE, _KEYED_FEWEST = 0.25, 200
"""A photo is keyed if the key decided this share of its uncertain pixels, and this number."""
_DIFFERS = 0.004
"""Difference of alpha from which the key decided a pixel."""
_AROUND_KEYED = 9
"""Side of the neighbourhood of keyed pixels in which the truth has full weight, px."""
_SHIFT, _SMALLEST, _LEAST_AREA = 0.07, 0.6, 100_000
"""Further cuts of a keyed photo: deviation of their sides, as a share; smallest scale; fewest pixels."""

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class ColourConfig:
    """The [colours] table of a config file."""

    net: str  # one of idseg.stages.follow.COLOUR_NETS
    pictures: int  # composed ones
    shapes: list[list[int]]  # (width, height) px of the composed pictures
    cuts: int  # of each keyed photo
    width: int  # channels of the net's layers
    layers: int  # its 3x3 convolutions; no more than the halo of the cells
    batch: int  # pieces per step
    share_of: dict[str, float]  # probability of each of KINDS in a batch
    again: float  # share of the pictures whose matte the published net has already changed once
    labelled: float  # weight of a label that was not keyed
    steps: int
    minutes: float  # the schedule ends after the steps or the minutes, whichever comes first
    rate: float
    weight_decay: float
    average: float  # decay of the averaged weights
    seed: int
    shares: dict[str, float]  # see `scene.compose.Shares`
    workers: int = 0


def said_low(rgb: Rgb, matte: Alpha) -> Evidence | None:
    """The evidence at the lower resolution."""
    scaled = Scaled.of(*Scaled.high(rgb, matte), LOW_AREA)
    return Evidence.of(scaled, first_change(scaled))


def said_high(follower: Follower, rgb: Rgb, matte: Alpha, *, again: bool = False) -> Evidence | None:
    """The evidence at the higher resolution, after the change at the lower one; ``again``: about the matte that the net
    has already changed once."""
    scaled = Scaled.high(rgb, matte)
    change = follower.low_change(scaled)
    if not again:
        return Evidence.of(scaled, change)
    after = follower.changed(scaled, change)
    return None if after is None else Evidence.of(after, NO_CHANGE)


def pieces(evidence: Evidence | None, truth: Floats, weight: Floats) -> NDArray[np.float16]:
    """What a net learns from one picture: pieces (N, 15, R, 64) of the strip of its cells.

    Args:
        evidence: the picture's.
        truth: the true matte (H, W).
        weight: of each pixel of the truth, 0 to 1.
    """
    if evidence is None:
        return np.zeros((0, PLANES + EXTRA, 1, _COLUMNS), np.float16)
    cells = evidence.cells
    small, counts = (
        np.asarray(cv2.resize(plane, cells.size, interpolation=cv2.INTER_AREA), np.float32) for plane in (truth, weight)
    )
    own = np.zeros(cells.pixels.shape, np.float32)
    own[cells.halo : -cells.halo, cells.columns] = 1.0
    extra = (evidence.free, cells.read(small), cells.read(counts) * own)
    strip = np.concatenate((evidence.planes, np.stack(extra)))
    more = -strip.shape[2] % _COLUMNS
    strip = np.pad(strip, ((0, 0), (0, 0), (0, more)))  # what is added has no weight
    return strip.reshape(*strip.shape[:2], -1, _COLUMNS).transpose(2, 0, 1, 3).astype(np.float16)


class Teacher:
    """Makes pieces of pictures whose truth is known, from idseg's own mattes of both qualities."""

    def __init__(self, config: ColourConfig) -> None:
        manifest = load_manifest()
        self._best, self._fast = (MattingModels.load(manifest, Options(quality=q)) for q in ("best", "fast"))
        self._follower = None if config.net == COLOUR_NETS[0] else load_follower(manifest)
        self._again = config.again

    def matte(self, rgb: Rgb, rng: np.random.Generator) -> Alpha:
        """The matte without colours, a third of the time the fast one."""
        models = self._fast if rng.random() < 1 / 3 else self._best
        return models.without_colours(rgb, models.coarse.look(rgb, models.coarse.glance(rgb)))

    def __call__(self, rgb: Rgb, truth: Floats, weight: Floats, rng: np.random.Generator) -> NDArray[np.float16]:
        matte = self.matte(rgb, rng)
        if self._follower is None:
            return pieces(said_low(rgb, matte), truth, weight)
        return pieces(said_high(self._follower, rgb, matte, again=rng.random() < self._again), truth, weight)


def composed(packs: list[Path], config: ColourConfig, teacher: Teacher) -> Iterator[tuple[str, NDArray[np.float16]]]:
    """Pieces of composed pictures, with their kind."""
    device, rng = torch.device("cpu"), np.random.default_rng(config.seed)
    chance = torch.Generator(device)
    chance.manual_seed(config.seed)
    shares = Shares(**config.shares)
    composer = Composer(open_pack(packs, device), shares, rng, chance)
    for _ in tqdm(range(config.pictures), "composed pictures"):
        width, height = config.shapes[int(rng.integers(len(config.shapes)))]
        with torch.no_grad():
            sample = composer.sample((width, height))
            rgb = rgb_bytes(degrade(sample.rgb[None], rng, chance, shares.strength)[0]).numpy()
        truth = plane_bytes(sample.alpha).numpy().astype(np.float32) / 255.0
        weight = (sample.trust > 0.8).float().numpy()
        yield KINDS[0], teacher(rgb, truth, weight, rng)


def photos(
    data: Path, labels: Path, config: ColourConfig, teacher: Teacher
) -> Iterator[tuple[str, NDArray[np.float16]]]:
    """Pieces of labelled photos that are not held out, with their kind."""
    rng = np.random.default_rng(config.seed)
    with Segmenter() as segmenter:
        for kind in PHOTO_SETS:
            for picture, file in tqdm(list(labels_of(data, labels, kind)), kind):
                before = data / "fused" / kind / file.name
                if held_out(picture.stem) or not before.exists():
                    continue
                rgb = np.asarray(Image.open(picture).convert("RGB"), np.uint8)
                truth, trust = read_label(file)
                usual, _ = read_label(before)
                if truth.shape != rgb.shape[:2] or usual.shape != truth.shape:
                    continue
                try:
                    window = segmenter(rgb).window
                except IdsegError:
                    continue
                trusted = trust > 200
                uncertain = trusted & (truth > 0.02) & (truth < 0.98)
                keyed = uncertain & (np.abs(usual - truth) > _DIFFERS)
                near = cv2.dilate(keyed.astype(np.uint8), np.ones((_AROUND_KEYED, _AROUND_KEYED)))
                weight = np.where(near > 0, 1.0, config.labelled) * trusted
                mostly = keyed.sum() > max(_KEYED_SHARE * uncertain.sum(), _KEYED_FEWEST)
                planes = np.dstack((rgb, np.round(truth * 255.0))).astype(np.uint8), weight.astype(np.float32)
                sides = (window.left, window.top, window.right, window.bottom)
                for number in range(config.cuts if mostly else 1):
                    cut = _cut(*planes, sides, rng if number else None)
                    if cut is not None:
                        yield KINDS[1 if mostly else 2], teacher(*cut, rng)


def _cut(
    pixels: Bytes, weight: Floats, sides: tuple[int, ...], rng: np.random.Generator | None
) -> tuple[Rgb, Floats, Floats] | None:
    """A cut of a photo (RGB and truth, (H, W, 4)): its picture, truth and weight; None if it is too small.

    With random numbers its sides are moved, and it is mirrored, shrunk and compressed by JPEG, each at times.
    """
    height, width = weight.shape
    limits = (width, height, width, height)
    if rng is not None:
        extent = np.array((sides[2] - sides[0], sides[3] - sides[1]) * 2)
        sides = tuple(int(side) for side in np.asarray(sides) + rng.normal(0.0, _SHIFT, 4) * extent)
    left, top, right, bottom = (min(max(side, 0), limit) for side, limit in zip(sides, limits, strict=True))
    if (right - left) * (bottom - top) < _LEAST_AREA:
        return None
    pixels, weight = pixels[top:bottom, left:right], weight[top:bottom, left:right]
    if rng is not None:
        least = (_LEAST_AREA / weight.size) ** 0.5
        scale = float(rng.uniform(max(least, _SMALLEST), 1.0)) if least < 1.0 else 1.0
        size = (round(weight.shape[1] * scale), round(weight.shape[0] * scale))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        weight = np.asarray(cv2.resize(weight, size, interpolation=cv2.INTER_NEAREST), np.float32)
        if rng.random() < 0.5:
            pixels, weight = pixels[:, ::-1], weight[:, ::-1]
    rgb = np.ascontiguousarray(pixels[..., :3])
    if rng is not None and rng.random() < 0.4:
        coded = cv2.imencode(".jpg", rgb, (cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(70, 97))))[1]
        rgb = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return rgb, pixels[..., 3].astype(np.float32) / 255.0, np.ascontiguousarray(weight)


def gather(config: ColourConfig, data: Path, labels: Path, packs: list[Path], out: Path) -> None:
    """Write the pieces of all pictures, a file for each of :data:`KINDS`."""
    out.mkdir(parents=True, exist_ok=True)
    teacher = Teacher(config)
    found: dict[str, list[NDArray[np.float16]]] = {kind: [] for kind in KINDS}
    for source in (photos(data, labels, config, teacher), composed(packs, config, teacher)):
        for kind, part in source:
            found[kind].append(part)
    for kind, parts in found.items():
        np.save(out / f"{kind}.npy", np.concatenate([part for part in parts if len(part)]))

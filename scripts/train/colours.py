"""Trains the colour nets, which decide how far a matte follows the picture's colours (idseg/stages/follow.py).

    python -m scripts.train.colours gather --config scripts/train/configs/colours-low-1.toml --data ../shared/data \
        --labels KEYED --pack a.pack b.pack c.pack --out LOW
    python -m scripts.train.colours train --config scripts/train/configs/colours-low-1.toml --out LOW
    python -m scripts.train.colours publish --config scripts/train/configs/colours-low-1.toml --out LOW

and then the same with colours-1.toml, because the net for the higher resolution learns from what the other one does.

``gather`` lets idseg make mattes of composed pictures and of labelled photos, and keeps what their colours say, with
the truth. Where a photo's label was keyed (`scripts.train.keying`), the truth is exact; elsewhere it has little weight.
Half an hour on a core trains a net. Run ``train`` with the same OUT again to continue.
"""

# torch and onnx are not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import IterableDataset
from tqdm import tqdm

from idseg import IdsegError, Segmenter
from idseg.imaging.colourlines import AREA, LOW_AREA, PLANES, Evidence, Scaled, first_change
from idseg.loaded import MattingModels
from idseg.models.manifest import load_manifest
from idseg.options import Options
from idseg.stages.follow import COLOUR_NETS, Follower, load_follower
from idseg.types import Alpha, Rgb
from scripts.train import loop, losses
from scripts.train.accelerator import MODELS
from scripts.train.build_pack import PHOTO_SETS
from scripts.train.keying import labels_of, read_label
from scripts.train.pack import open_pack
from scripts.train.scene.batches import plane_bytes, rgb_bytes
from scripts.train.scene.compose import Composer, Shares
from scripts.train.scene.degrade import degrade
from scripts.train.split import held_out

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CHANGES = 3
"""Number of the changes of the matte that the net chooses from, besides none."""
_FREEDOM = 0.3
"""Largest change that the net adds by itself."""
_LEAK, _LARGEST_LOGIT = 0.1, 30.0
_NONE_FIRST = 2.0
"""Bias of the choice of no change in an untrained net: e^2 times as likely as each other one."""
_COLUMNS = 64
"""Width of a piece of the strip, px."""
_EXTRA = 3
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
    labelled: float  # weight of a label that was not keyed
    steps: int
    minutes: float  # the schedule ends after the steps or the minutes, whichever comes first
    rate: float
    weight_decay: float
    average: float  # decay of the averaged weights
    seed: int
    shares: dict[str, float]  # see `scene.compose.Shares`
    workers: int = 0


class ColourNet(nn.Module):
    """Chooses, for each pixel, how the matte follows the colours.

    ``forward`` takes the planes of :class:`idseg.imaging.colourlines.Evidence` (N, 12, H, W) and returns the change of
    alpha (N, 1, H, W): a weighted mean of no change, that of the lower resolution, that of the steps, and the one to
    the place between the two colours, plus a small one of its own. An untrained net mostly chooses no change.
    """

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        sides = [PLANES, *[width] * layers]
        self.body = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(sides))
        self.choice = nn.Conv2d(width, 2 + CHANGES, 1)
        nn.init.zeros_(self.choice.weight)
        nn.init.zeros_(self.choice.bias)  # type: ignore[arg-type]
        with torch.no_grad():
            self.choice.bias[0] = _NONE_FIRST  # type: ignore[index]
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.zeros(1, PLANES, 1, 1))
        self.register_buffer("deviation", torch.ones(1, PLANES, 1, 1))

    def forward(self, planes: Tensor) -> Tensor:
        return self.chosen(planes, self.body[0]((planes - self.mean) / self.deviation), partial(torch.softmax, dim=1))

    def chosen(self, planes: Tensor, first: Tensor, softmax: Callable[[Tensor], Tensor]) -> Tensor:
        """The change, given the first layer's result."""
        x = functional.leaky_relu(first, _LEAK)
        for layer in list(self.body)[1:]:
            x = functional.leaky_relu(layer(x), _LEAK)
        chosen = self.choice(x).float()
        share = softmax(chosen[:, : 1 + CHANGES])[:, 1:]
        keyed = planes[:, 3:4].clamp(0.0, 1.0) - planes[:, :1]
        changes = torch.cat((planes[:, 1:3], keyed), dim=1)
        change: Tensor = (share * changes).sum(dim=1, keepdim=True) + _FREEDOM * torch.tanh(chosen[:, 1 + CHANGES :])
        return change


class PublishedColours(nn.Module):
    """A colour net as published: the same function in a faster form."""

    def __init__(self, net: ColourNet) -> None:
        super().__init__()
        self.net = net
        first: Any = net.body[0]
        scale = (1.0 / net.deviation).view(1, -1, 1, 1)
        self.first = nn.Conv2d(first.in_channels, first.out_channels, 3, padding=1)
        with torch.no_grad():
            self.first.weight.copy_(first.weight * scale)
            self.first.bias.copy_(first.bias - (first.weight * scale * net.mean).sum(dim=(1, 2, 3)))  # type: ignore[union-attr]

    def forward(self, evidence: Tensor) -> Tensor:
        return self.net.chosen(evidence, self.first(evidence), exponential)


def exponential(logits: Tensor) -> Tensor:
    """The softmax over dimension 1 of logits that are not huge; ONNX Runtime's own takes ten times as long there."""
    powers = logits.clamp(-_LARGEST_LOGIT, _LARGEST_LOGIT).exp()
    return powers / powers.sum(dim=1, keepdim=True)


# ------------------------------------------------------------------------------------------------------- the material


Saying = Callable[[Rgb, Alpha], Evidence | None]
"""Says what the colours of a picture say about its matte."""


def said_low(rgb: Rgb, matte: Alpha) -> Evidence | None:
    """The evidence at the lower resolution."""
    scaled = Scaled.of(*Scaled.of(rgb, matte, AREA), LOW_AREA)
    return Evidence.of(scaled, first_change(scaled))


def said_high(follower: Follower, rgb: Rgb, matte: Alpha) -> Evidence | None:
    """The evidence at the higher resolution, after the change at the lower one."""
    scaled = Scaled.of(rgb, matte, AREA)
    return Evidence.of(scaled, follower.low_change(scaled))


def pieces(evidence: Evidence | None, truth: Floats, weight: Floats) -> NDArray[np.float16]:
    """What a net learns from one picture: pieces (N, 15, R, 64) of the strip of its cells.

    Args:
        evidence: the picture's.
        truth: the true matte (H, W).
        weight: of each pixel of the truth, 0 to 1.
    """
    if evidence is None:
        return np.zeros((0, PLANES + _EXTRA, 1, _COLUMNS), np.float16)
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

    def __init__(self, net: str) -> None:
        manifest = load_manifest()
        self._best, self._fast = (MattingModels.load(manifest, Options(quality=q)) for q in ("best", "fast"))
        self._say: Saying = said_low if net == COLOUR_NETS[0] else partial(said_high, load_follower(manifest))

    def matte(self, rgb: Rgb, rng: np.random.Generator) -> Alpha:
        """The matte without colours, a third of the time the fast one."""
        models = self._fast if rng.random() < 1 / 3 else self._best
        return models.without_colours(rgb, models.coarse.look(rgb, models.coarse.glance(rgb)))

    def __call__(self, rgb: Rgb, truth: Floats, weight: Floats, rng: np.random.Generator) -> NDArray[np.float16]:
        return pieces(self._say(rgb, self.matte(rgb, rng)), truth, weight)


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


# ----------------------------------------------------------------------------------------------------------- training


class Pieces(IterableDataset[Tensor]):
    """Endless batches (N, 15, R, 64) of the gathered pieces, mirrored at random."""

    def __init__(self, folder: Path, config: ColourConfig, step: int) -> None:
        self.folder, self.config, self.step = folder, config, step

    def __iter__(self) -> Iterator[Tensor]:
        rng = np.random.default_rng((self.config.seed, self.step))
        shares = self.config.share_of
        kinds = {kind: np.load(self.folder / f"{kind}.npy", mmap_mode="r") for kind in shares}
        probability = np.array(list(shares.values())) / sum(shares.values())
        while True:
            counts = rng.multinomial(self.config.batch, probability)
            parts = [
                kinds[kind][np.sort(rng.integers(0, len(kinds[kind]), count))]
                for kind, count in zip(shares, counts, strict=True)
            ]
            batch = torch.from_numpy(np.concatenate(parts).astype(np.float32))
            yield batch.flip([axis for axis in (2, 3) if rng.random() < 0.5])


def loss_of(net: ColourNet, batch: Tensor) -> Tensor:
    """L1 + 2 squares + .5 gradients + blurred errors, which cost more the farther they reach."""
    planes = batch[:, :PLANES].contiguous(memory_format=torch.channels_last)
    free, truth, weight = batch[:, PLANES:].split(1, dim=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        change = net(planes).float()
    error = losses.clamped(planes[:, :1] + change * free) - truth
    total = weight.sum().clamp(min=1.0)
    value = (weight * (error.abs() + 2.0 * error.square())).sum() / total
    value = value + 0.5 * losses.gradient_l1(error, torch.zeros_like(error), weight)
    summed = error * weight
    for level in (1, 2):
        summed = functional.avg_pool2d(summed, 2)
        value = value + 0.5 * 4.0**level * summed.abs().sum() / total
    return value


def train(config: ColourConfig, out: Path) -> list[dict[str, float]]:
    """Train on the pieces in a folder, or continue from its checkpoint; returns the log."""
    torch.manual_seed(config.seed)
    net = ColourNet(config.width, config.layers)
    first = torch.cat(list(islice(Pieces(out, config, config.steps), 30)))[:, :PLANES]
    net.mean.copy_(first.mean(dim=(0, 2, 3), keepdim=True))
    net.deviation.copy_(first.std(dim=(0, 2, 3), keepdim=True) + 1e-3)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    lesson = loop.Lesson(lambda step: Pieces(out, config, step), lambda batch: loss_of(net, batch), log_every=250)
    groups = [{"params": list(net.parameters()), "peak": config.rate}]
    return loop.fit(net.train(), groups, config, out / "colours.pt", lesson)


def gather(config: ColourConfig, data: Path, labels: Path, packs: list[Path], out: Path) -> None:
    """Write the pieces of all pictures, a file for each of :data:`KINDS`."""
    out.mkdir(parents=True, exist_ok=True)
    teacher = Teacher(config.net)
    found: dict[str, list[NDArray[np.float16]]] = {kind: [] for kind in KINDS}
    for source in (photos(data, labels, config, teacher), composed(packs, config, teacher)):
        for kind, part in source:
            found[kind].append(part)
    for kind, parts in found.items():
        np.save(out / f"{kind}.npy", np.concatenate([part for part in parts if len(part)]))


def publish(config: Path, out: Path, models: Path) -> None:
    """Write the trained net as an ONNX file, copy it to the folder of the models, describe it in the manifest."""
    from scripts.train import export  # needs onnx
    from scripts.train import publish as files

    table = config_of(config)
    net = ColourNet(table.width, table.layers)
    net.load_state_dict(torch.load(out / "colours.pt", map_location="cpu", weights_only=True)["average"])
    examples = {"evidence": torch.rand(1, PLANES, 32, 64, generator=torch.Generator().manual_seed(0))}
    path = out / f"{table.net}.onnx"
    note = f"{config.stem}, scripts/train/colours.py"
    export.report(path, export.export(PublishedColours(net), examples, path, outputs=("change",), note=note))
    section = files.Section(f"our net {table.net}", "colours")
    source = f"trained here: scripts/train/configs/{config.name}"
    files.publish(section, out, models, {table.net: export.facts(path)}, source, files.Described())


def config_of(path: Path) -> ColourConfig:
    return ColourConfig(**tomllib.loads(path.read_text(encoding="utf-8"))["colours"])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.train.colours",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True)
    every = argparse.ArgumentParser(add_help=False)
    every.add_argument("--config", type=Path, required=True, help="TOML file with a [colours] table")
    every.add_argument("--out", type=Path, required=True, help="folder of the pieces, the checkpoint and the log")
    one: Any = commands.add_parser("gather", parents=[every], help="make mattes and keep what the colours say")
    one.add_argument("--data", type=Path, required=True, help="folder with photos/SET/NAME.jpg and fused/")
    one.add_argument("--labels", type=Path, required=True, help="folder of scripts.train.keying, SET/NAME.png")
    one.add_argument("--pack", type=Path, nargs="+", required=True, help="files of scripts.train.build_pack")
    one.set_defaults(run=lambda it: gather(config_of(it.config), it.data, it.labels, it.pack, it.out))
    one = commands.add_parser("train", parents=[every], help="train, or continue")
    one.set_defaults(run=lambda it: train(config_of(it.config), it.out))
    one = commands.add_parser("publish", parents=[every], help="write the net to models/ and its manifest")
    one.add_argument("--models", type=Path, default=MODELS, help="folder of the published ONNX files")
    one.set_defaults(run=lambda it: publish(it.config, it.out, it.models))
    given = parser.parse_args(arguments)
    given.run(given)


if __name__ == "__main__":
    main()

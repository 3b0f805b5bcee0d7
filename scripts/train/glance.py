"""Trains the glance net, which makes the low-resolution matte, from the published coarse net.

    python -m scripts.train.glance train --config scripts/train/configs/glance-2.toml --pack a.pack b.pack --out OUT
    python -m scripts.train.glance finish --config scripts/train/configs/glance-2.toml --pack a.pack --out OUT
    python -m scripts.train.glance publish --config scripts/train/configs/glance-2.toml --out OUT

The glance net decides what is person and what is background; it need not draw strands. So it is the coarse net without
its layers at stride 2, it sees small pictures only, and an hour or two on two cores train it. Run ``train`` with the
same OUT again to continue. ``average`` writes the mean of several checkpoints, from which ``finish`` goes on.
"""

# torch and onnx are not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from scripts.train import joint, loop
from scripts.train.accelerator import MODELS
from scripts.train.losses import coarse_loss
from scripts.train.nets import CoarseNet, published_alpha
from scripts.train.pack import open_pack
from scripts.train.pool import Material, Pool
from scripts.train.published import published_weights
from scripts.train.scene.batches import PackBatches
from scripts.train.scene.compose import Shares
from scripts.train.scene.store import Store

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NAME = "portrait-glance"
LONGEST = 640
"""Longer side of the material in memory, px: twice the longer side of the pictures."""
_KEPT = 1500
"""Number of composed pictures of each size in memory."""
_CALIBRATION_SEED = 100_000


@dataclass(frozen=True)
class GlanceConfig:
    """The [glance] table of a config file."""

    shapes: list[list[int]]  # (width, height) px, multiples of 32; half of the batches have the first
    batch: int  # pictures per step
    steps: int
    minutes: float  # the schedule ends after the steps or the minutes, whichever comes first
    rate: float  # peak learning rate of the decoder
    encoder_rate: float  # peak learning rate of the encoder
    head_rate: float  # peak learning rate of the last layer
    frozen: int  # number of first encoder blocks that are not trained (nor is the stem)
    weight_decay: float
    average: float  # decay of the averaged weights
    seed: int
    size: list[int]  # (width, height) px of the published net's input
    shares: dict[str, float]  # see `scene.compose.Shares`
    workers: int = 0


class GlanceNet(nn.Module):
    """The coarse net without its layers at stride 2: (N, 3, H, W) normalised RGB to alpha logits (N, 1, H, W).

    H and W are multiples of 32. The layers are those of ``coarse``; only the last one is new.
    """

    def __init__(self, coarse: CoarseNet) -> None:
        super().__init__()
        self.encoder, self.bottom, self.context = coarse.encoder, coarse.bottom, coarse.context
        self.up16, self.up8, self.up4 = coarse.up16, coarse.up8, coarse.up4
        self.deeper = nn.ModuleList(list(coarse.deeper)[:3])
        self.head = nn.Conv2d(40, 16, 3, padding=1)
        self.shuffle = nn.PixelShuffle(4)

    def forward(self, x: Tensor) -> Tensor:
        _, s4, s8, s16, s32 = self.encoder(x)
        y = self.context(self.bottom(s32))
        for block, deeper, skip in zip((self.up16, self.up8, self.up4), self.deeper, (s16, s8, s4), strict=True):
            y = functional.interpolate(y, scale_factor=2.0, mode="bilinear", align_corners=False)
            y = deeper(block(torch.cat((y, skip), dim=1)))
        logits: Tensor = self.shuffle(self.head(y))
        return logits


class PublishedGlance(nn.Module):
    """The glance net as published: returns alpha (N, 1, H, W) instead of logits."""

    def __init__(self, net: GlanceNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, rgb: Tensor) -> Tensor:
        return published_alpha(self.net(rgb))


def untrained(models: Path) -> GlanceNet:
    """A glance net with the layers of the published coarse net in a folder, and a random last layer."""
    return GlanceNet(joint.pair_of(published_weights(models)).coarse)


def averaged_net(checkpoint: Path, models: Path) -> GlanceNet:
    """The averaged weights of a checkpoint, ready to predict."""
    net = untrained(models)
    net.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True)["average"])
    return net.eval()


def groups(net: GlanceNet, config: GlanceConfig) -> list[dict[str, Any]]:
    """Parameter groups with their peak learning rates; the first encoder blocks are in no group."""
    encoder_net: Any = net.encoder
    for module in (encoder_net._conv_stem, *encoder_net._blocks[: config.frozen]):
        module.requires_grad_(False)
    encoder = [p for p in encoder_net.parameters() if p.requires_grad]
    decoder = [p for name, p in net.named_parameters() if not name.startswith(("encoder.", "head."))]
    head = list(net.head.parameters())
    rates = ((encoder, config.encoder_rate), (decoder, config.rate), (head, config.head_rate))
    return [{"params": parameters, "peak": peak} for parameters, peak in rates]


def train(net: GlanceNet, config: GlanceConfig, material: Material, checkpoint: Path) -> list[dict[str, float]]:
    """Train ``net`` in place, or continue from the checkpoint; returns the log. Pictures come from the material."""
    torch.manual_seed(config.seed)
    net.train()
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss_of(batch: joint.Batch) -> Tensor:
        rgb, alpha, trust = batch
        target, trusted = (plane[:, None].float() / 255.0 for plane in (alpha, trust))
        return coarse_loss(net(joint.normalised(rgb)), target, trusted, gradient=0.3, square=2.0)

    shapes = [(width, height) for width, height in config.shapes]
    with Pool(material, shapes, [_KEPT] * len(shapes), config.seed) as pool:
        batches = partial(pool.batches, config.batch)
        lesson = loop.Lesson(lambda step: batches(config.seed + step), loss_of)
        return loop.fit(net, groups(net, config), config, checkpoint, lesson)


def config_of(path: Path) -> GlanceConfig:
    return GlanceConfig(**tomllib.loads(path.read_text(encoding="utf-8"))["glance"])


def run_train(given: argparse.Namespace) -> None:
    config = config_of(given.config)
    given.out.mkdir(parents=True, exist_ok=True)
    net = averaged_net(given.start, given.models) if given.start else untrained(given.models)
    store = partial(open_pack, given.pack, longest=LONGEST)
    train(net, config, Material(store, torch.device("cpu"), Shares(**config.shares)), given.out / "glance.pt")


def average(checkpoints: Sequence[Path], out: Path) -> None:
    """Write a checkpoint whose averaged weights are the mean of those of several checkpoints.

    Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better Generalization" (SWA).
    """
    states = [torch.load(path, map_location="cpu", weights_only=True)["average"] for path in checkpoints]
    mean = {name: torch.stack([state[name].float() for state in states]).mean(dim=0) for name in states[0]}
    out.mkdir(parents=True, exist_ok=True)
    torch.save({"average": mean}, out / "glance.pt")


def finish(store: Store, config: Path, out: Path, models: Path, pictures: int) -> None:
    """Write the trained net as ONNX files: with floats, and in 8-bit integers, which is published.

    Args:
        store: material for the pictures that give the integers' ranges.
        config: TOML file; its name is stored in the files.
        out: folder of the checkpoint and of the files.
        models: folder of the published coarse net.
        pictures: number of pictures.
    """
    from scripts.train import export, quantize  # needs onnx

    table, net = config_of(config), averaged_net(out / "glance.pt", models)
    width, height = table.size
    examples = {"rgb": torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(0))}
    floats, integers = out / f"{NAME}-float.onnx", out / f"{NAME}.onnx"
    note = f"{config.stem}, scripts/train/glance.py"
    export.report(floats, export.export(PublishedGlance(net), examples, floats, note=note))
    composed = islice(PackBatches(store, [(width, height)], 1, _CALIBRATION_SEED, Shares(**table.shares)), pictures)
    quantize.quantize(floats, integers, ({"rgb": joint.normalised(rgb).numpy()} for rgb, _, _ in composed))
    export.report(integers)


def publish(config: Path, out: Path, models: Path) -> None:
    """Copy the file of :func:`finish` to the folder of the models and describe it in the manifest."""
    from scripts.train import export  # needs onnx
    from scripts.train import publish as files

    width, height = config_of(config).size
    source = f"trained here: scripts/train/configs/{config.name}"
    facts = {NAME: export.facts(out / f"{NAME}.onnx")}
    files.publish(files.GLANCE, out, models, facts, source, files.Described((width, height)))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.train.glance",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True)
    every = argparse.ArgumentParser(add_help=False)
    every.add_argument("--config", type=Path, required=True, help="TOML file with a [glance] table")
    every.add_argument("--models", type=Path, default=MODELS, help="folder of the published ONNX files")
    every.add_argument("--out", type=Path, required=True, help="folder of the checkpoint, the log and the files")
    packed = argparse.ArgumentParser(add_help=False)
    packed.add_argument("--pack", type=Path, nargs="+", required=True, help="files of scripts.train.build_pack")
    one = commands.add_parser("train", parents=[every, packed], help="train, or continue")
    one.add_argument("--start", type=Path, help="start from the averaged weights of this checkpoint")
    one.set_defaults(run=run_train)
    one = commands.add_parser("average", help="write the mean of several checkpoints")
    one.add_argument("--checkpoint", type=Path, nargs="+", required=True, help="copies of OUT/glance.pt")
    one.add_argument("--out", type=Path, required=True, help="folder of the new checkpoint")
    one.set_defaults(run=lambda given: average(given.checkpoint, given.out))
    one = commands.add_parser("finish", parents=[every, packed], help="write the trained net as ONNX files")
    one.add_argument("--pictures", type=int, default=64, help="number of pictures for quantisation (default: 64)")
    one.set_defaults(
        run=lambda given: finish(
            open_pack(given.pack, torch.device("cpu"), longest=LONGEST),
            given.config,
            given.out,
            given.models,
            given.pictures,
        )
    )
    one = commands.add_parser("publish", parents=[every], help="copy the file of finish to models/ and its manifest")
    one.set_defaults(run=lambda given: publish(given.config, given.out, given.models))
    given = parser.parse_args(arguments)
    given.run(given)


if __name__ == "__main__":
    main()

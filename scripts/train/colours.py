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
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import IterableDataset

from idseg.imaging.colourlines import PLANES
from scripts.train import loop, losses
from scripts.train.accelerator import MODELS
from scripts.train.colour_pieces import ColourConfig, gather

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


def train(config: ColourConfig, out: Path, start: Path | None = None) -> list[dict[str, float]]:
    """Train on the pieces in a folder, from the averaged weights of the checkpoint ``start``, or continue from the
    folder's own; returns the log."""
    torch.manual_seed(config.seed)
    net = ColourNet(config.width, config.layers)
    first = torch.cat(list(islice(Pieces(out, config, config.steps), 30)))[:, :PLANES]
    net.mean.copy_(first.mean(dim=(0, 2, 3), keepdim=True))
    net.deviation.copy_(first.std(dim=(0, 2, 3), keepdim=True) + 1e-3)
    if start is not None:
        net.load_state_dict(torch.load(start, map_location="cpu", weights_only=True)["average"])
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    lesson = loop.Lesson(lambda step: Pieces(out, config, step), lambda batch: loss_of(net, batch), log_every=250)
    groups = [{"params": list(net.parameters()), "peak": config.rate}]
    return loop.fit(net.train(), groups, config, out / "colours.pt", lesson)


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
    one.add_argument("--start", type=Path, help="start from the averaged weights of this checkpoint")
    one.set_defaults(run=lambda it: train(config_of(it.config), it.out, it.start))
    one = commands.add_parser("publish", parents=[every], help="write the net to models/ and its manifest")
    one.add_argument("--models", type=Path, default=MODELS, help="folder of the published ONNX files")
    one.set_defaults(run=lambda it: publish(it.config, it.out, it.models))
    given = parser.parse_args(arguments)
    given.run(given)


if __name__ == "__main__":
    main()

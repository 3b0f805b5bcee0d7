"""python -m scripts.train.edge --bank DIR --refiner models/portrait-refine.onnx --out FILE.pt --minutes 60

Trains an edge net on crops from stored pictures (`scripts.train.bank`), with the coarse net frozen. The edge net is the
published refiner with the coarse net's features as a further input and two further outputs: how much of the refined
alpha is used at each pixel, and an affine map of the pixel's colour (Wu et al. 2018, arXiv 1803.05619). Both start at
zero, so an untrained edge net returns the coarse alpha unchanged. Give the same command again to continue.
"""

# torch and onnx are not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import IterableDataset

from scripts.train import joint, loop
from scripts.train.bank import Record, hard
from scripts.train.detail import detail_loss
from scripts.train.nets import FEATURES, RefineNet, fold_batchnorm, stretched_alpha, zeroed
from scripts.train.published import convolution_weights

STEP = 0.3
"""Factor of the new outputs; it keeps the first training steps small."""
_JITTER = 0.06
"""Standard deviation of the change of a crop's light and colour. The stored features do not change with it, so it is
small; the stored pictures already have strong changes."""
_RESCAN = 100
"""Number of batches after which new records of the bank are read."""


class EdgeNet(nn.Module):
    """Refines alpha around the edge: (N, 1, H, W), not clamped.

    ``forward`` takes normalised RGB (N, 3, H, W), the coarse alpha in 0..1 at that size (N, 1, H, W) and the coarse
    net's features at half of that size (N, FEATURES, H / 2, W / 2); H and W are multiples of 16. Export it with
    :func:`scripts.train.export.export_detail`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.body = RefineNet()
        fold_batchnorm(self.body)
        widened: Any = self.body.up2[0]
        widened[0] = nn.Conv2d(widened[0].in_channels + FEATURES, 32, 1)
        self.look = nn.Conv2d(16, 32, 3, padding=1)
        self.choice = zeroed(nn.Conv2d(32, 20, 1))
        self.unfold = nn.PixelShuffle(2)

    def forward(self, rgb: Tensor, coarse: Tensor, features: Tensor) -> Tensor:
        body = self.body
        x = torch.cat((rgb, coarse), dim=1)
        s2 = body.down2(body.fold(x))
        s4 = body.down4(s2)
        s8 = body.down8(s4)
        y = body.down16(s8)
        for block, skip in ((body.up8, s8), (body.up4, s4), (body.up2, torch.cat((s2, features), dim=1))):
            y = functional.interpolate(y, scale_factor=2.0, mode="bilinear", align_corners=False)
            y = block(torch.cat((y, skip), dim=1))
        refined = stretched_alpha(body.full(torch.cat((body.unfold(y), x), dim=1)))
        chosen = STEP * self.unfold(self.choice(functional.leaky_relu(self.look(y), 0.1)))
        share, slopes, offset = chosen[:, :1], chosen[:, 1:4], chosen[:, 4:]
        return coarse + share * (refined - coarse) + (slopes * rgb).sum(dim=1, keepdim=True) + offset


def from_refiner(path: Path) -> EdgeNet:
    """An edge net with the body of a published refiner; it returns the coarse alpha unchanged."""
    net = EdgeNet()
    state = net.body.state_dict()
    for name, value in convolution_weights(path).items():
        if name == "up2.0.0.weight":
            state[name].zero_()
            state[name][:, : value.shape[1]] = value
        else:
            state[name] = value
    net.body.load_state_dict(state)
    return net


@dataclass(frozen=True)
class EdgeConfig:
    """Parameters of the training."""

    steps: int = 100_000
    minutes: float = 60.0
    batch: int = 12
    crop: int = 160  # px, side of a crop, a multiple of 16
    edge_share: float = 0.85  # share of the crops around a difficult pixel
    rate: float = 1.5e-3  # peak learning rate of the new layers
    body_rate: float = 3e-4  # peak learning rate of the refiner's own layers
    weight_decay: float = 0.01
    average: float = 0.998
    seed: int = 0
    workers: int = 0


@dataclass(frozen=True)
class _Kept:
    """A record in memory, and the corners of its 4x4 squares that contain a difficult pixel."""

    record: Record
    places: NDArray[np.int64]  # (N, 2): row and column, px


def kept(record: Record) -> _Kept:
    """Prepare a record for the training."""
    difficult = hard(record.alpha, record.coarse, record.trust)
    height, width = (side // 4 * 4 for side in difficult.shape)
    squares = difficult[:height, :width].reshape(height // 4, 4, width // 4, 4).any(axis=(1, 3))
    return _Kept(record, np.argwhere(squares) * 4)


class BankBatches(IterableDataset[tuple[Tensor, ...]]):
    """Endless batches of crops: RGB (N, H, W, 3), alpha, trust and coarse alpha (N, H, W), all uint8, and features
    float16 (N, C, H / 2, W / 2). Records that another program adds to the folder are used too."""

    def __init__(self, folder: Path, config: EdgeConfig, seed: int) -> None:
        self.folder, self.config, self.seed = folder, config, seed
        self._kept: dict[str, _Kept] = {}

    def refresh(self) -> None:
        """Read new records.

        Raises:
            FileNotFoundError: the folder has no record that is at least as large as a crop.
        """
        for path in sorted(self.folder.glob("*.npz")):
            if path.name not in self._kept:
                record = Record.load(path)
                if min(record.alpha.shape) >= self.config.crop:
                    self._kept[path.name] = kept(record)
        if not self._kept:
            raise FileNotFoundError(f"{self.folder}: no record of at least {self.config.crop} px")

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        rng = np.random.default_rng(self.seed)
        count = 0
        while True:
            if count % _RESCAN == 0:
                self.refresh()
                all_kept = list(self._kept.values())
            count += 1
            crops = [self.crop(all_kept[int(rng.integers(len(all_kept)))], rng) for _ in range(self.config.batch)]
            yield tuple(torch.from_numpy(np.stack(values)) for values in zip(*crops, strict=True))

    def crop(self, one: _Kept, rng: np.random.Generator) -> tuple[NDArray[Any], ...]:
        """A random crop, mirrored half of the time."""
        side = self.config.crop
        height, width = one.record.alpha.shape
        top, left = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
        if len(one.places) and rng.random() < self.config.edge_share:
            row, column = one.places[int(rng.integers(len(one.places)))]
            top = np.clip(row - rng.integers(0, side), 0, height - side)
            left = np.clip(column - rng.integers(0, side), 0, width - side)
        top, left = int(top) // 4 * 4, int(left) // 4 * 4
        window = np.s_[top : top + side, left : left + side]
        half = np.s_[:, top // 2 : (top + side) // 2, left // 2 : (left + side) // 2]
        r = one.record
        values: tuple[NDArray[Any], ...] = (
            r.rgb[window],
            r.alpha[window],
            r.trust[window],
            r.coarse[window],
            r.features[half],
        )
        if rng.random() < 0.5:
            axes = (1, 1, 1, 1, 2)
            return tuple(np.ascontiguousarray(np.flip(v, axis)) for v, axis in zip(values, axes, strict=True))
        return values


def jittered(rgb: Tensor) -> Tensor:
    """Slightly change light, colour and noise of normalised crops (N, 3, H, W)."""
    count = len(rgb)
    gain = 1.0 + _JITTER * (torch.randn(count, 1, 1, 1) + 0.4 * torch.randn(count, 3, 1, 1))
    shift = _JITTER * torch.randn(count, 3, 1, 1)
    grain = torch.rand(count, 1, 1, 1) * (torch.rand(count, 1, 1, 1) < 0.3) * 0.08
    return rgb * gain + shift + grain * torch.randn_like(rgb)


def batch_loss(net: EdgeNet, batch: tuple[Tensor, ...]) -> Tensor:
    """The loss of a batch of :class:`BankBatches`."""
    rgb, alpha, trust, coarse, features = batch
    target, trusted, seen = (v[:, None].float() / 255.0 for v in (alpha, trust, coarse))
    picture = jittered(joint.normalised(rgb)).contiguous(memory_format=torch.channels_last)
    return detail_loss(net(picture, seen, features.float()), target, trusted)


def groups(net: EdgeNet, config: EdgeConfig) -> list[dict[str, Any]]:
    """Parameter groups with their peak learning rates."""
    body: list[nn.Parameter] = []
    new: list[nn.Parameter] = []
    for name, parameter in net.named_parameters():
        (body if name.startswith("body.") else new).append(parameter)
    return [{"params": new, "peak": config.rate}, {"params": body, "peak": config.body_rate}]


def train(net: EdgeNet, folder: Path, config: EdgeConfig, checkpoint: Path, *, log_every: int = 20) -> None:
    """Train ``net`` in place on the records in ``folder``, or continue from the checkpoint."""
    torch.manual_seed(config.seed)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    net.train()
    lesson = loop.Lesson(
        lambda step: BankBatches(folder, config, config.seed + step),
        lambda batch: batch_loss(net, batch),
        log_every=log_every,
    )
    loop.fit(net, groups(net, config), config, checkpoint, lesson)


def averaged_edge(checkpoint: Path) -> EdgeNet:
    """The averaged weights of a checkpoint, ready to predict."""
    net = EdgeNet()
    net.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True)["average"])
    return net.eval()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.train.edge", description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("--bank", type=Path, required=True, help="folder of `scripts.train.bank`")
    parser.add_argument("--refiner", type=Path, required=True, help="published refiner to start from")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint")
    parser.add_argument("--minutes", type=float, default=EdgeConfig.minutes, help="length of the schedule")
    parser.add_argument("--threads", type=int, default=1, help="number of threads (default: 1)")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    train(from_refiner(given.refiner), given.bank, EdgeConfig(minutes=given.minutes), given.out)


if __name__ == "__main__":
    main()

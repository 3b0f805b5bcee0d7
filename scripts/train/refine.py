"""Stage "refine": train the net that refines the edge at the picture's own resolution."""

# torch and onnx are not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset

from idseg.models.form import into_frame, out_of_frame
from idseg.types import Size
from scripts.train import data, loop, losses
from scripts.train.coarse import form
from scripts.train.nets import RefineNet


@dataclass(frozen=True)
class RefineConfig:
    """The [refine] table of a config file."""

    crop: int  # px, side of a training crop, a multiple of 16
    crops: int  # number taken from each composed picture
    pictures: int  # in a batch
    steps: int
    minutes: float  # the schedule ends after the steps or the minutes, whichever comes first
    rate: float
    weight_decay: float
    average: float  # decay of the averaged weights
    coarse_area: int  # px of the coarse net's input
    seed: int
    workers: int
    shares: dict[str, float]
    photo_share: float = 0.05  # probability that a labelled photo keeps its backdrop
    strand_share: float = 0.5  # probability that hair is drawn
    strength: float = 1.0  # strength of random changes of light and colour
    as_it_is: float = 0.0  # probability that a studio person is neither scaled nor turned
    least_share: float = 0.0  # the coarse net's input has between this share of the pixels and all; 0: coarse_area
    disturbed: float = 1.0  # share of the pictures whose coarse matte may be disturbed
    kept: int = 0  # pictures kept for more crops; each batch adds one new picture. 0: all are new


def coarse_alpha(session: onnxruntime.InferenceSession, rgb: data.U8, area: float) -> NDArray[np.float32]:
    """The coarse matte, computed as in idseg."""
    framed, inner = into_frame(rgb, form(area))
    alpha = session.run(None, {"rgb": data.normalise(framed)[None]})[0][0, 0]
    return out_of_frame(alpha, inner, Size(rgb.shape[1], rgb.shape[0]))


def disturb(alpha: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Add errors that a coarse matte has on unfamiliar pictures: shifts, dilation, holes, islands."""
    height, width = alpha.shape
    if rng.random() < 0.25:
        alpha = np.asarray(cv2.GaussianBlur(alpha, (0, 0), rng.uniform(0.8, 4.0)), np.float32)
    if rng.random() < 0.15:
        side = int(rng.integers(2, 7))
        kernel = np.ones((side, side), np.uint8)
        alpha = (cv2.dilate if rng.random() < 0.5 else cv2.erode)(alpha, kernel).astype(np.float32)
    if rng.random() < 0.15:
        move = np.array(((1, 0, rng.normal(0, 2)), (0, 1, rng.normal(0, 2))))
        alpha = cv2.warpAffine(alpha, move, (width, height), borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    if rng.random() < 0.12:  # a soft hole or island
        spot = np.zeros((height, width), np.float32)
        centre = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        axes = (int(rng.integers(4, 40)), int(rng.integers(4, 40)))
        cv2.ellipse(spot, centre, axes, rng.uniform(0, 180), 0, 360, 1.0, -1)
        spot = np.asarray(cv2.GaussianBlur(spot, (0, 0), rng.uniform(2, 8)), np.float32)
        towards = 1.0 if rng.random() < 0.5 else 0.0
        alpha = alpha + spot * rng.uniform(0.3, 0.9) * (towards - alpha)
    return np.clip(alpha, 0.0, 1.0).astype(np.float32)


@dataclass(frozen=True)
class Prepared:
    """A picture from which crops are taken."""

    packed: data.U8  # (H, W, 4): RGB and coarse alpha
    alpha: data.U8
    weight: data.U8


class RefineBatches(IterableDataset[data.Batch]):
    """Endless batches (rgb and coarse alpha as 4 channels, alpha, weight), all uint8."""

    def __init__(self, pool: data.Material, coarse: Path, config: RefineConfig, seed: int) -> None:
        self.pool, self.coarse, self.config, self.seed = pool, coarse, config, seed

    def __iter__(self) -> Iterator[data.Batch]:
        cv2.setNumThreads(1)
        info = torch.utils.data.get_worker_info()
        rng = np.random.default_rng((self.seed, info.id if info else 0))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(self.coarse), options, providers=["CPUExecutionProvider"])
        side = self.config.crop
        kept: list[Prepared] = []
        while True:
            inputs, targets, weights = [], [], []
            for prepared in self.pictures(session, kept, rng):
                for left, top in corners(prepared.alpha, prepared.packed[..., 3], side, self.config.crops, rng):
                    window = np.s_[top : top + side, left : left + side]
                    inputs.append(prepared.packed[window])
                    targets.append(prepared.alpha[window])
                    weights.append(prepared.weight[window])
            yield (
                torch.from_numpy(np.stack(inputs)),
                torch.from_numpy(np.stack(targets)),
                torch.from_numpy(np.stack(weights)),
            )

    def pictures(
        self, session: onnxruntime.InferenceSession, kept: list[Prepared], rng: np.random.Generator
    ) -> list[Prepared]:
        """The pictures of one batch. If pictures are kept, one is new and the others are chosen from the kept ones."""
        if not self.config.kept:
            return [self.prepare(session, rng) for _ in range(self.config.pictures)]
        new = self.prepare(session, rng)
        while len(kept) < self.config.pictures - 1:
            kept.append(self.prepare(session, rng))
        chosen = rng.choice(len(kept), self.config.pictures - 1, replace=False)
        batch = [new, *(kept[index] for index in chosen)]
        if len(kept) < self.config.kept:
            kept.append(new)
        else:
            kept[int(rng.integers(0, len(kept)))] = new
        return batch

    def prepare(self, session: onnxruntime.InferenceSession, rng: np.random.Generator) -> Prepared:
        """A composed picture with its coarse matte, which may be disturbed."""
        rgb, alpha, weight = self.picture(rng)
        area = self.config.coarse_area * np.exp(rng.normal(0.0, 0.25))
        if self.config.least_share:  # as if the picture were larger
            area = min(area, rgb.shape[0] * rgb.shape[1] * rng.uniform(self.config.least_share, 1.0))
        coarse = coarse_alpha(session, rgb, area)
        if rng.random() < self.config.disturbed:
            coarse = disturb(coarse, rng)
        return Prepared(np.dstack((rgb, (coarse * 255.0 + 0.5).astype(np.uint8))), alpha, weight)

    def picture(self, rng: np.random.Generator) -> tuple[data.U8, data.U8, data.U8]:
        """A composed picture in which people have about the same size in px as in their source."""
        person = data.draw_person(self.pool, rng)
        width = person.alpha.shape[1] * rng.uniform(0.75, 1.2)
        height = width * rng.uniform(1.0, 1.4)
        size = (max(int(width), self.config.crop), max(int(height), self.config.crop))
        as_it_is = person.photo is None and rng.random() < self.config.as_it_is
        if as_it_is:
            size = (person.alpha.shape[1], person.alpha.shape[0])
        mix = data.Mix(self.config.photo_share, self.config.strand_share, self.config.strength, float(as_it_is))
        return data.compose(self.pool, person, size, rng, mix)


def corners(alpha: data.U8, coarse: data.U8, side: int, count: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """(left, top) of crops. Four in five contain a pixel where the true or the coarse alpha is between 0 and 1."""
    height, width = alpha.shape
    between = ((alpha > 5) & (alpha < 250)) | (cv2.absdiff(coarse, alpha) > 50)
    rows, columns = np.nonzero(between)
    found = []
    for _ in range(count):
        left = int(rng.integers(0, width - side + 1))
        top = int(rng.integers(0, height - side + 1))
        if rows.size and rng.random() < 0.8:
            index = int(rng.integers(0, rows.size))
            left = int(np.clip(columns[index] - rng.integers(0, side), 0, width - side))
            top = int(np.clip(rows[index] - rng.integers(0, side), 0, height - side))
        found.append((left, top))
    return found


def refine_loss(unclamped: torch.Tensor, target: torch.Tensor, trusted: torch.Tensor) -> torch.Tensor:
    """L1 (x5 near the edge) + Laplacian + gradient, on alpha clamped to 0..1."""
    alpha = losses.clamped(unclamped)
    weight = trusted * (1.0 + 4.0 * losses.transition(target, 4))
    return (
        losses.weighted_l1(alpha, target, weight)
        + 0.5 * losses.laplacian_l1(alpha, target, weight, 4)
        + 0.5 * losses.gradient_l1(alpha, target, weight)
    )


def tensor_input(packed: torch.Tensor) -> torch.Tensor:
    """(N, H, W, 4) uint8 to (N, 4, H, W) float32: normalised RGB, then coarse alpha in 0..1."""
    mean = torch.tensor((*data.MEAN.tolist(), 0.0)).view(1, 4, 1, 1)
    std = torch.tensor((*data.STD.tolist(), 255.0)).view(1, 4, 1, 1)
    return (packed.permute(0, 3, 1, 2).float() - mean) / std


def averaged_net(checkpoint: Path) -> RefineNet:
    """The averaged weights of a checkpoint, ready to predict."""
    net = RefineNet()
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    net.load_state_dict(state["average"])
    net.eval()
    return net


def check(net: RefineNet, coarse: Path, root: Path, area: int, limit: int) -> dict[str, float]:
    """MAD and MSE of coarse + refiner on ``limit`` pictures of val."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(str(coarse), options, providers=["CPUExecutionProvider"])
    first, mads, squares = [], [], []
    for path in sorted((root / "val").glob("*.png"))[:limit]:
        rgb = data.read_rgb(path.with_suffix(".jpg"))
        height, width = (side // 16 * 16 for side in rgb.shape[:2])
        truth = data.read_alpha(path)[:height, :width].astype(np.float32) / 255.0
        alpha = coarse_alpha(session, rgb, area)
        packed = np.dstack((rgb, (alpha * 255.0 + 0.5).astype(np.uint8)))[:height, :width]
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            found = net(tensor_input(torch.from_numpy(packed.copy())[None])).float()[0, 0].clamp(0, 1).numpy()
        first.append(np.abs(alpha[:height, :width] - truth).mean())
        mads.append(np.abs(found - truth).mean())
        squares.append(np.square(found - truth).mean())
    return {
        "mad_coarse": float(np.mean(first)),
        "mad_val": float(np.mean(mads)),
        "mse_val": float(np.mean(squares)),
    }


def train(config: RefineConfig, coarse: Path, job: loop.Job) -> list[dict[str, float]]:
    """Train on the outputs of the coarse ONNX file, from random weights, the job's start, or its checkpoint; returns
    the log."""
    torch.manual_seed(config.seed)
    net = RefineNet() if job.start is None else averaged_net(job.start)
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    net.train()
    people = data.load_people(job.root, sorted(config.shares), set(job.exclude), None, job.limit)
    pool = data.make_pool(people, data.load_backgrounds(job.root, None, job.limit), config.shares)
    print(f"{len(pool.people)} people, {len(pool.backgrounds)} backgrounds", flush=True)

    def loss_of(batch: data.Batch) -> torch.Tensor:
        packed, alpha, weight = batch
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = net(tensor_input(packed).contiguous(memory_format=torch.channels_last))
        return refine_loss(found.float(), alpha[:, None].float() / 255.0, weight[:, None].float() / 255.0)

    return loop.fit(
        net,
        [{"params": list(net.parameters()), "peak": config.rate}],
        config,
        job.checkpoint,
        loop.Lesson(
            lambda step: RefineBatches(pool, coarse, config, config.seed + step),
            loss_of,
            lambda: check(net, coarse, job.root, config.coarse_area, 30),
            log_every=50 if job.limit is None else 2,
        ),
    )

"""Shared by all trainings: the loop, the schedule, averaged weights, checkpoints and the log."""

# torch and onnx are not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from scripts.train.averages import Average
from scripts.train.stability import Clip, Guard


class Float32Depthwise(nn.Conv2d):
    """Depthwise convolution that stays float32 under bfloat16 autocast.

    In oneDNN, the bfloat16 backward pass of depthwise convolutions is several times slower than the float32 one, while
    all other layers are faster in bfloat16.
    """

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float()).to(x.dtype)


def keep_depthwise_float32(net: nn.Module) -> None:
    """Change the class of every depthwise convolution in place; names and weights stay."""
    for module in net.modules():
        if type(module) is nn.Conv2d and module.groups > 1:
            module.__class__ = Float32Depthwise


@dataclass
class Progress:
    """State of a training. ``elapsed_s`` is the training time over all restarts."""

    step: int = 0
    elapsed_s: float = 0.0
    log: list[dict[str, float]] = field(default_factory=list)

    def fraction(self, steps: int, minutes: float) -> float:
        """Completed share of the schedule: by steps or by minutes, whichever is larger."""
        return min(max(self.step / steps, self.elapsed_s / (60.0 * minutes)), 1.0)


def learning_rate(fraction: float) -> float:
    """Factor of the peak rate: linear warm-up over 4 % of the training, then cosine to 1 %."""
    if fraction < 0.04:
        return 0.05 + 0.95 * fraction / 0.04
    return 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * (fraction - 0.04) / 0.96))


PARTS = ("", ".net", ".adam")
"""Suffixes of the three files of a checkpoint NAME.pt, so that none exceeds 16 MiB: NAME.pt (averaged weights, step,
log), NAME.net.pt (weights of the last step), NAME.adam.pt (Adam's moments rounded to bfloat16)."""


def save_checkpoint(
    path: Path,
    net: nn.Module,
    average: Average,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
) -> None:
    """Write to temporary files, then rename them: a killed training leaves no partial file."""
    moments = optimizer.state_dict()
    moments["state"] = {key: _rounded(values) for key, values in moments["state"].items()}
    counted = {"step": progress.step, "elapsed_s": progress.elapsed_s, "log": progress.log}
    contents: list[dict[str, Any]] = [{"average": average.state, **counted}, {"net": net.state_dict()}]
    contents.append({"optimizer": moments})
    files = [path.with_suffix(part + path.suffix) for part in PARTS]
    for file, content in zip(files, contents, strict=True):
        torch.save(content | {"step": progress.step}, file.with_suffix(".part"))
    for file in files:
        file.with_suffix(".part").replace(file)


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    """Adam's state of one parameter with its moments in bfloat16."""
    return {key: value.bfloat16() if value.ndim else value for key, value in values.items()}


def load_checkpoint(path: Path, net: nn.Module, average: Average, optimizer: torch.optim.Optimizer) -> Progress:
    """Read the three files of a checkpoint.

    Raises:
        ValueError: the files belong to different steps, because the training was killed while renaming them.
    """
    state: dict[str, Any] = {}
    steps = set()
    device = next(net.parameters()).device
    for part in PARTS:
        content = torch.load(path.with_suffix(part + path.suffix), map_location="cpu", weights_only=True)
        steps.add(content["step"])
        state |= content
    if len(steps) != 1:
        raise ValueError(f"the files of {path} belong to the steps {sorted(steps)}: start anew from {path.name}")
    net.load_state_dict(state["net"])
    average.state = {name: value.to(device) for name, value in state["average"].items()}
    optimizer.load_state_dict(state["optimizer"])  # brings the moments to the weights' own type and device
    return Progress(state["step"], state["elapsed_s"], state["log"])


def kept_path(checkpoint: Path, share: float) -> Path:
    """File of the averaged weights after a share of the schedule: NAME-60.pt for .6."""
    return checkpoint.with_name(f"{checkpoint.stem}-{round(100 * share)}{checkpoint.suffix}")


def save_average(path: Path, average: Average, step: int) -> None:
    """Write the averaged weights in float16."""
    weights = {name: value.half() if value.is_floating_point() else value for name, value in average.state.items()}
    torch.save({"average": weights, "step": step}, path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)


class Schedule(Protocol):
    """The fields that the loop reads from a stage's table."""

    @property
    def steps(self) -> int: ...
    @property
    def minutes(self) -> float: ...
    @property
    def average(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def workers(self) -> int: ...


@dataclass(frozen=True)
class Job:
    """Input and output of one training."""

    root: Path
    """The data folder."""
    runs: Path
    """Folder of checkpoints and logs."""
    name: str
    """Name of the checkpoint and the log."""
    exclude: frozenset[str] = frozenset()
    """Names of labelled photos to leave out."""
    limit: int | None = None
    """Maximum number of people and backgrounds of each set (trial run)."""
    start: Path | None = None
    """Checkpoint whose averaged weights are the starting point."""

    @property
    def checkpoint(self) -> Path:
        return self.runs / f"{self.name}.pt"


@dataclass(frozen=True)
class Lesson:
    """Batches, loss and checks of one training."""

    batches: Callable[[int], IterableDataset[Any]]
    """Returns endless batches, given the current step."""
    loss_of: Callable[[Any], Tensor]
    """Loss of one batch."""
    check: Callable[[], dict[str, float]] | None = None
    """Figures for the log, every five minutes; called while the net has the averaged weights."""
    log_every: int = 50
    """Number of steps per row of the log."""


_BETAS = (0.9, 0.99)
"""Adam's decays. With the usual .999, a sudden large gradient moves a weight by up to 30 times the learning rate."""
CHECK_S = 300.0
SAVE_S = 120.0


def fit(
    net: nn.Module,
    groups: list[dict[str, Any]],
    schedule: Schedule,
    checkpoint: Path,
    lesson: Lesson,
    keep: Sequence[float] = (),
) -> list[dict[str, float]]:
    """Train ``net`` in place, or continue from the checkpoint. Returns the log, which is also saved as CSV.

    Args:
        net: in training mode.
        groups: parameter groups with their ``peak`` learning rates.
        schedule: the stage's table.
        checkpoint: written every two minutes and at the end.
        lesson: batches, loss and check.
        keep: shares of the schedule, 0..1, after which the averaged weights are kept, see :func:`kept_path`.
    """
    optimizer = torch.optim.AdamW(groups, lr=groups[0]["peak"], betas=_BETAS, weight_decay=schedule.weight_decay)
    average = Average(net, schedule.average)
    progress = Progress()
    if checkpoint.exists():
        progress = load_checkpoint(checkpoint, net, average, optimizer)
        print(f"continuing from step {progress.step}", flush=True)
    loader = DataLoader(
        lesson.batches(progress.step),
        batch_size=None,
        num_workers=schedule.workers,
        prefetch_factor=4 if schedule.workers else None,
    )
    guard, clip = Guard(net, average), Clip(groups)
    clock, counted = Clock(), 0
    running = torch.zeros((), device=next(net.parameters()).device)  # read only for the log: reading waits
    last_save = last_check = progress.elapsed_s
    for batch in loader:
        fraction = progress.fraction(schedule.steps, schedule.minutes)
        if fraction >= 1.0:
            break
        for group in optimizer.param_groups:
            group["lr"] = guard.factor * group["peak"] * learning_rate(fraction)
        loss = lesson.loss_of(batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        clip()
        optimizer.step()
        progress.step += 1
        average.update(net, progress.step)
        progress.elapsed_s += clock.lap()
        after = progress.fraction(schedule.steps, schedule.minutes)
        for share in keep:
            if fraction < share <= after:
                save_average(kept_path(checkpoint, share), average, progress.step)
        running += loss.detach()
        counted += 1
        if counted == lesson.log_every:
            row = {
                "step": float(progress.step),
                "minutes": progress.elapsed_s / 60.0,
                "loss": float(running) / counted,
                "rate": guard.factor * learning_rate(fraction),
            }
            if lesson.check is not None and progress.elapsed_s - last_check > CHECK_S:
                state = {name: value.clone() for name, value in net.state_dict().items()}
                net.load_state_dict(average.state)
                net.eval()
                row |= lesson.check()
                net.train()
                net.load_state_dict(state)
                last_check = progress.elapsed_s
            progress.log.append(row)
            print({name: round(value, 5) for name, value in row.items()}, flush=True)
            if guard.diverged(row["loss"]):
                print("the training diverged: restored the last good weights, halved the learning rates", flush=True)
                optimizer.state.clear()
            counted = 0
            running.zero_()
        if progress.elapsed_s - last_save > SAVE_S:
            save_checkpoint(checkpoint, net, average, optimizer, progress)
            write_log(checkpoint.with_suffix(".csv"), progress.log)
            last_save = progress.elapsed_s
    save_checkpoint(checkpoint, net, average, optimizer, progress)
    write_log(checkpoint.with_suffix(".csv"), progress.log)
    return progress.log


def write_log(path: Path, log: list[dict[str, float]]) -> None:
    if not log:
        return
    names = list(dict.fromkeys(name for row in log for name in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(log)


class Clock:
    """Seconds since the last call, for ``Progress.elapsed_s``."""

    def __init__(self) -> None:
        self.last = time.monotonic()

    def lap(self) -> float:
        now = time.monotonic()
        seconds, self.last = now - self.last, now
        return seconds

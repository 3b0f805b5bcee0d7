"""What both trainings share: schedule, averaged weights, checkpoints, the log."""

# torch and onnx are not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

import csv
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


class Float32Depthwise(nn.Conv2d):
    """Depthwise convolution that stays float32 under bfloat16 autocast.

    oneDNN's bfloat16 backward pass of depthwise convolutions is several times slower than the
    float32 one, while all other layers gain from bfloat16 (measured: .078 s a sample in float32,
    .065 in bfloat16, .053 with this mixture).
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
    """Where a training stands. ``elapsed_s`` counts training time over all restarts."""

    step: int = 0
    elapsed_s: float = 0.0
    log: list[dict[str, float]] = field(default_factory=list)

    def fraction(self, steps: int, minutes: float) -> float:
        """Part of the schedule that is over: by steps or by minutes, whichever is further."""
        return min(max(self.step / steps, self.elapsed_s / (60.0 * minutes)), 1.0)


def learning_rate(fraction: float) -> float:
    """Factor of the peak rate: linear warm-up over 4 % of the training, then cosine to 1 %."""
    if fraction < 0.04:
        return 0.05 + 0.95 * fraction / 0.04
    return 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * (fraction - 0.04) / 0.96))


class Average:
    """Exponential moving average of all float weights and buffers of a net."""

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in net.state_dict().items()}

    def update(self, net: nn.Module, step: int) -> None:
        decay = min(self.decay, (1.0 + step) / (10.0 + step))
        with torch.no_grad():
            for name, value in net.state_dict().items():
                if value.dtype.is_floating_point:
                    self.state[name].lerp_(value, 1.0 - decay)
                else:
                    self.state[name].copy_(value)


def save_checkpoint(
    path: Path,
    net: nn.Module,
    average: Average,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
) -> None:
    """Write beside, then move: a killed training never leaves half a file."""
    state = {
        "net": net.state_dict(),
        "average": average.state,
        "optimizer": optimizer.state_dict(),
        "step": progress.step,
        "elapsed_s": progress.elapsed_s,
        "log": progress.log,
    }
    beside = path.with_suffix(".part")
    torch.save(state, beside)
    beside.replace(path)


def load_checkpoint(path: Path, net: nn.Module, average: Average, optimizer: torch.optim.Optimizer) -> Progress:
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    net.load_state_dict(state["net"])
    average.state = state["average"]
    optimizer.load_state_dict(state["optimizer"])
    return Progress(state["step"], state["elapsed_s"], state["log"])


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

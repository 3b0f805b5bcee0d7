"""Keeps a training from diverging: limits unusual gradients, and restores the last good weights."""

# torch is not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from scripts.train.averages import Average

_BLOWN = 1.5
"""The training has diverged if the mean loss of a log row is more than this times the lowest mean of five rows."""
_ROWS = 5


class Guard:
    """Restores the net's weights of some rows ago when the training diverges, and halves the learning rates.

    The nets have no normalisation layers, so a diverging training does not return by itself, and it can happen after
    thousands of good steps.
    """

    def __init__(self, net: nn.Module, average: Average) -> None:
        self.factor = 1.0
        """Factor of all learning rates."""
        self._net, self._average = net, average
        self._losses: list[float] = []
        self._lowest = math.inf
        self._good = self._snapshot()

    def _snapshot(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        weights = {name: value.detach().clone() for name, value in self._net.state_dict().items()}
        return weights, {name: value.clone() for name, value in self._average.state.items()}

    def diverged(self, loss: float) -> bool:
        """Note the mean loss of a row; True if the weights were restored, so that the optimizer must start anew."""
        if not loss < _BLOWN * self._lowest:  # also if it is not a number
            weights, average = self._good
            self._net.load_state_dict(weights)
            self._average.state = {name: value.clone() for name, value in average.items()}
            self.factor *= 0.5
            self._losses.clear()
            return True
        self._losses.append(loss)
        if len(self._losses) == _ROWS:
            self._lowest = min(self._lowest, sum(self._losses) / _ROWS)
            self._losses.clear()
            self._good = self._snapshot()
        return False


class Clip:
    """Scales down the gradients of a parameter group where their norm is unusual: more than ``most`` times its running
    geometric mean (a simple form of Seetharaman et al. 2020, "AutoClip", arXiv 2007.14469). Gradients that are not
    numbers stay (:class:`Guard` restores the weights) and do not count in the mean.

    One norm for all groups would not do: the encoder's gradients are ten times as large as the detail net's, and the
    rare pictures that multiply them by ten would still move it by more than all others.
    """

    def __init__(self, groups: list[dict[str, Any]], most: float = 2.0) -> None:
        self._groups, self._most = groups, most
        self._logs: list[Tensor | None] = [None] * len(groups)

    def __call__(self) -> None:
        """Change the gradients in place. Nothing is read from the device."""
        for number, group in enumerate(self._groups):
            gradients = [p.grad for p in group["params"] if p.grad is not None]
            if not gradients:
                continue
            norm = torch.stack(torch._foreach_norm(gradients)).norm().clamp(min=1e-9)
            usual = self._logs[number]
            usual = norm.log() if usual is None else usual
            torch._foreach_mul_(gradients, (self._most * usual.exp() / norm).clamp(max=1.0))
            measured = torch.where(norm.isfinite(), torch.minimum(norm.log(), usual + 1.0), usual)
            self._logs[number] = usual + 0.02 * (measured - usual)

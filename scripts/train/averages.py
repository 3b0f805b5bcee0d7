"""The running average of a net's weights."""

# torch is not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

import torch
from torch import Tensor, nn


class Average:
    """Exponential moving average of all float weights and buffers of a net."""

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in net.state_dict().items()}

    def update(self, net: nn.Module, step: int) -> None:
        decay = min(self.decay, (1.0 + step) / (10.0 + step))
        floats: tuple[list[Tensor], list[Tensor]] = ([], [])
        for name, value in net.state_dict().items():
            if value.dtype.is_floating_point:
                floats[0].append(self.state[name])
                floats[1].append(value.detach())
            else:
                self.state[name].copy_(value)
        with torch.no_grad():
            torch._foreach_lerp_(floats[0], floats[1], 1.0 - decay)

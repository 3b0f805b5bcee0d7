"""The detail net: refines hair using the picture's own pixels and the coarse net's features.

A U-Net, of the shape of the refiner of portrait-4, sees the pixels and the coarse alpha at the picture's own size. The
coarse net's features join it at stride 2: the pixels show the strands, the features tell person from background. Its
output is a refined alpha, the share of it that is used at each pixel, and an affine map of the pixel's colour, similar
to the deep guided filter (Wu et al. 2018, "Fast End-to-End Trainable Guided Filter", arXiv 1803.05619; Lin et al. 2021,
arXiv 2108.11515, use it for portraits). The change is not limited to the unknown band of the coarse matte, so the net
can open a gap that the coarse net filled.
"""

# torch and onnx are not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from scripts.train import losses
from scripts.train.nets import FEATURES, Mixing, RefineNet, fold_batchnorm, stretched_alpha, zeroed

_LEAK = 0.1
"""Slope of the new activations below zero. The coarse matte is right almost everywhere, so the best change is mostly
zero; with plain ReLUs all units stop responding within a hundred steps."""
STEP = 0.3
"""Factor of the outputs; it keeps the first training steps small."""
_NEAR = 24
"""Channels of the layer that sees the pixels at stride 2 without anything between."""


def _leaky_relu(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, _LEAK)


class DetailNet(nn.Module):
    """Refines the alpha of a picture or a tile: (N, 1, H, W), not clamped.

    ``forward`` takes normalised RGB (N, 3, H, W), the coarse alpha in 0..1 at that size (N, 1, H, W) and the coarse
    net's features at half of that size (N, FEATURES, H / 2, W / 2); H and W are multiples of 16. An untrained net
    returns the coarse alpha unchanged.
    """

    def __init__(self) -> None:
        super().__init__()
        self.body = RefineNet()
        fold_batchnorm(self.body)
        widened: Any = self.body.up2[0]
        widened[0] = nn.Conv2d(widened[0].in_channels + FEATURES, 32, 1)
        self.deeper = nn.ModuleList((Mixing(64, 192), Mixing(96, 288), Mixing(64, 192), Mixing(48, 144)))
        self.near = nn.Conv2d(16, _NEAR, 3, padding=1)
        self.join = nn.Conv2d(32 + _NEAR + FEATURES, 48, 1)
        self.look = nn.Conv2d(48, 32, 3, padding=1)
        self.choice = zeroed(nn.Conv2d(32, 20, 1))
        for layer in (self.near, self.join, self.look):
            nn.init.kaiming_normal_(layer.weight, a=_LEAK)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        self.unfold = nn.PixelShuffle(2)

    def forward(self, rgb: Tensor, coarse: Tensor, features: Tensor) -> Tensor:
        body = self.body
        x = torch.cat((rgb, coarse), dim=1)
        folded = body.fold(x)
        s2 = body.down2(folded)
        s4 = body.down4(s2)
        s8 = self.deeper[0](body.down8(s4))
        y = self.deeper[1](body.down16(s8))
        y = self.deeper[2](body.up8(torch.cat((_doubled(y), s8), dim=1)))
        y = self.deeper[3](body.up4(torch.cat((_doubled(y), s4), dim=1)))
        y = body.up2[0](torch.cat((_doubled(y), s2, features), dim=1))
        refined = stretched_alpha(body.full(torch.cat((body.unfold(body.up2[1](y)), x), dim=1)).float())
        near = _leaky_relu(self.near(folded))
        joined = _leaky_relu(self.join(torch.cat((y, near, features), dim=1)))
        chosen = STEP * self.unfold(self.choice(_leaky_relu(self.look(joined)))).float()
        share, slopes, offset = chosen[:, :1], chosen[:, 1:4], chosen[:, 4:]
        return coarse + share * (refined - coarse) + (slopes * rgb).sum(dim=1, keepdim=True) + offset


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def from_refiner(weights: dict[str, Tensor]) -> DetailNet:
    """A detail net with the body of a refiner, given the weights of its convolutions by name; it is untrained."""
    net = DetailNet()
    state = net.body.state_dict()
    for name, value in weights.items():
        if name == "up2.0.0.weight":
            state[name].zero_()
            state[name][:, : value.shape[1]] = value
        else:
            state[name] = value
    net.body.load_state_dict(state)
    return net


class PublishedDetail(nn.Module):
    """The detail net as published: alpha clamped to 0..1."""

    def __init__(self, net: DetailNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, rgb: Tensor, coarse: Tensor, features: Tensor) -> Tensor:
        alpha: Tensor = self.net(rgb, coarse, features)
        return alpha.clamp(0.0, 1.0)


def detail_loss(unclamped: Tensor, target: Tensor, trusted: Tensor) -> Tensor:
    """L1 (x5 near the edge) + Laplacian + gradient, on alpha clamped to 0..1; all tensors (N, 1, H, W) float32."""
    alpha = losses.clamped(unclamped)
    weight = trusted * (1.0 + 4.0 * losses.transition(target, 4))
    return (
        losses.weighted_l1(alpha, target, weight)
        + 0.5 * losses.laplacian_l1(alpha, target, weight, 4)
        + 0.5 * losses.gradient_l1(alpha, target, weight)
    )

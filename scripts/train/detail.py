"""The detail net: refines hair using the picture's own pixels and the coarse net's features.

The net is a learnt affine map of each pixel's colour, similar to the deep guided filter (Wu et al. 2018, "Fast
End-to-End Trainable Guided Filter", arXiv 1803.05619; Lin et al. 2021, arXiv 2108.11515, use it for portraits). The
matte is the coarse matte plus a . rgb + b. Convolutions predict a and b from the pixels at stride 2 and 4 and from the
coarse net's features. The pixels show the strands; the features tell person from background. The change is not limited
to the unknown band of the coarse matte, so the net can open a gap that the coarse net filled.
"""

# torch and onnx are not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from scripts.train import losses
from scripts.train.nets import FEATURES, zeroed

_LEAK = 0.1
"""Slope of the activations below zero. The coarse matte is right almost everywhere, so the best change is mostly zero;
with plain ReLUs all units stop responding within a hundred steps."""
_STEP = 0.1
"""Factor of the map; it keeps the first training steps small."""


def _leaky_relu(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, _LEAK)


class DetailNet(nn.Module):
    """Refines the alpha of a picture or a tile: (N, 1, H, W), not clamped.

    ``forward`` takes normalised RGB (N, 3, H, W), the coarse alpha in 0..1 at that size (N, 1, H, W) and the coarse
    net's features at half of that size (N, FEATURES, H / 2, W / 2); H and W are multiples of 4. Each output pixel
    depends on 16 px to each side. An untrained net returns the coarse alpha unchanged.

    Args:
        width: channels at stride 2.
        deep: channels at stride 4.
    """

    def __init__(self, *, width: int = 24, deep: int = 48) -> None:
        super().__init__()
        self.fold = nn.PixelUnshuffle(2)
        self.near = nn.Conv2d(16, width, 3, padding=1)
        self.join = nn.Conv2d(width + FEATURES, width, 1)
        self.down = nn.Conv2d(width, deep, 3, 2, 1)
        self.deep = nn.Conv2d(deep, deep, 3, padding=1)
        self.up = nn.Conv2d(width + deep, width, 1)
        self.last = nn.Conv2d(width, width, 3, padding=1)
        self.map = nn.Conv2d(width, 16, 3, padding=1)
        for layer in (self.near, self.join, self.down, self.deep, self.up, self.last):
            # Torch's default initialisation shrinks the signal at each layer: six layers without norms leave nothing.
            nn.init.kaiming_normal_(layer.weight, a=_LEAK)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        zeroed(self.map)
        self.unfold = nn.PixelShuffle(2)

    def forward(self, rgb: Tensor, alpha: Tensor, features: Tensor) -> Tensor:
        near = _leaky_relu(self.near(self.fold(torch.cat((rgb, alpha), dim=1))))
        near = _leaky_relu(self.join(torch.cat((near, features), dim=1)))
        deep = _leaky_relu(self.deep(_leaky_relu(self.down(near))))
        deep = functional.interpolate(deep, scale_factor=2.0, mode="bilinear", align_corners=False)
        both = _leaky_relu(self.up(torch.cat((near, deep), dim=1)))
        slopes = _STEP * self.unfold(self.map(_leaky_relu(self.last(both))))
        return alpha + (slopes[:, :3] * rgb).sum(dim=1, keepdim=True) + slopes[:, 3:]


class PublishedDetail(nn.Module):
    """A net with the detail net's inputs, as published: alpha clamped to 0..1."""

    def __init__(self, net: nn.Module) -> None:
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

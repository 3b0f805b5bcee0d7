"""Losses on alpha, weighted per pixel and averaged over trusted pixels."""

# torch and onnx are not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from scripts.train.nets import stretched_alpha


def transition(alpha: Tensor, radius: int) -> Tensor:
    """1 within ``radius`` px (square window) of a half-transparent pixel or an edge of alpha (N, 1, H, W), else 0."""
    return ((_largest(alpha, radius) + _largest(-alpha, radius)) > 0.05).float()


def _largest(values: Tensor, radius: int) -> Tensor:
    """Maximum over a square window, first over rows, then over columns (2 n comparisons instead of n squared)."""
    side = 2 * radius + 1
    rows = functional.max_pool2d(values, (1, side), 1, (0, radius))
    return functional.max_pool2d(rows, (side, 1), 1, (radius, 0))


def weighted_l1(prediction: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    return (weight * (prediction - target).abs()).sum() / weight.sum().clamp(min=1.0)


def laplacian_l1(prediction: Tensor, target: Tensor, weight: Tensor, levels: int) -> Tensor:
    """L1 of the Laplacian pyramid's bands, level i times 2^i (Hou & Liu 2019, Context-Aware)."""
    difference = prediction - target
    total = difference.new_zeros(())
    for level in range(levels):
        smaller = functional.avg_pool2d(difference, 2)
        band = difference - functional.interpolate(
            smaller, size=difference.shape[-2:], mode="bilinear", align_corners=False
        )
        total = total + 2.0**level * (weight * band.abs()).sum() / weight.sum().clamp(min=1.0)
        difference = smaller
        weight = functional.avg_pool2d(weight, 2)
    return total


def gradient_l1(prediction: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """L1 of horizontal and vertical differences."""
    difference = prediction - target
    across = (difference[..., :, 1:] - difference[..., :, :-1]).abs() * weight[..., :, 1:]
    down = (difference[..., 1:, :] - difference[..., :-1, :]).abs() * weight[..., 1:, :]
    return (across.sum() + down.sum()) / weight.sum().clamp(min=1.0)


def clamped(unclamped: Tensor) -> Tensor:
    """Clamp alpha to 0..1, but let gradients pass as if it were not clamped.

    So a value beyond the correct limit costs nothing, and a value beyond the wrong limit can still return. (Without
    clamping, the net wastes capacity on reaching exactly 0 and 1.)
    """
    return unclamped + (unclamped.clamp(0.0, 1.0) - unclamped).detach()


def coarse_loss(logits: Tensor, target: Tensor, trusted: Tensor, gradient: float = 0.0, square: float = 0.0) -> Tensor:
    """L1 (x4 in the transition) + 0.3 BCE + 0.5 Laplacian + gradient + square; all tensors (N, 1, H, W) float32."""
    alpha = clamped(stretched_alpha(logits))
    edges = transition(target, 3)
    weight = trusted * (1.0 + 3.0 * edges)
    cross = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    entropy = (trusted * cross).sum() / trusted.sum().clamp(min=1.0)
    total = 2.0 * weighted_l1(alpha, target, weight) + 0.3 * entropy + 0.5 * laplacian_l1(alpha, target, weight, 4)
    if gradient:
        total = total + gradient * gradient_l1(alpha, target, weight)
    if square:
        total = total + square * (weight * (alpha - target).square()).sum() / weight.sum().clamp(min=1.0)
    return total

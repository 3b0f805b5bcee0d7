"""Averages the coarse nets of two folders, of which the second was trained further from the first, and strengthens the
detail net.

    python -m scripts.train.blend --config scripts/train/configs/portrait-7b.toml --first models \
        --second OUT/joint-60.pt OUT/joint-80.pt --out BLENDED

The mean of both nets' weights keeps what the first knew of backgrounds and what the second learnt of hair (Wortsman et
al. 2022, "Robust fine-tuning of zero-shot models", arXiv 2109.01903). It costs nothing when the net runs. Each net is a
folder of published ONNX files or a file of averaged weights; several second nets are averaged first (Izmailov et al.
2018, "Averaging Weights Leads to Wider Optima", arXiv 1803.05407). BLENDED/joint.pt is like a checkpoint of
``scripts.train.accelerator``, whose ``finish`` and ``publish`` do the rest. The detail net is the second's; its change
of the coarse matte is multiplied by a factor.
"""

# torch is not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from scripts.train.published import published_weights

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_ENCODER = "coarse.encoder."
_BLOCKS = "_blocks."
_CHANGE = "detail.choice."
"""The last layer of the detail net: the share of the refined alpha, and the affine map."""


@dataclass(frozen=True)
class BlendConfig:
    """The [blend] table of a config file."""

    early_blocks: int  # number of first encoder blocks that are averaged, together with the stem
    second: float  # share of the second net's weights in their mean, 0..1; all other layers are the second's
    detail: float  # factor of the detail net's change of the coarse matte


def blend(first: dict[str, Tensor], second: dict[str, Tensor], config: BlendConfig) -> dict[str, Tensor]:
    """The averaged weights, named as by :func:`published_weights`.

    Raises:
        ValueError: the nets have different layers.
    """
    found = {}
    for name, value in second.items():
        if is_early(name, config.early_blocks):
            if name not in first or first[name].shape != value.shape:
                raise ValueError(f"{name} of the second net is not in the first, or has another shape there")
            value = torch.lerp(first[name], value, config.second)
        if name.startswith(_CHANGE):
            value = config.detail * value
        found[name] = value
    return found


def weights_of(path: Path) -> dict[str, Tensor]:
    """The weights of a folder of ONNX files, or the averaged ones of a checkpoint, float32."""
    if path.is_dir():
        return published_weights(path)
    state = torch.load(path, map_location="cpu", weights_only=True)["average"]
    return {name: value.float() for name, value in state.items()}


def mean_of(paths: Sequence[Path]) -> dict[str, Tensor]:
    """The mean of several nets' weights."""
    nets = [weights_of(path) for path in paths]
    return {name: torch.stack([net[name] for net in nets]).mean(dim=0) for name in nets[0]}


def is_early(name: str, blocks: int) -> bool:
    """Whether a weight belongs to the encoder's stem or to its first blocks."""
    if not name.startswith(_ENCODER):
        return False
    rest = name.removeprefix(_ENCODER)
    return not rest.startswith(_BLOCKS) or int(rest.removeprefix(_BLOCKS).partition(".")[0]) < blocks


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.train.blend",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, required=True, help="TOML file with a [blend] table")
    parser.add_argument("--first", type=Path, required=True, help="folder of the ONNX files before the training")
    parser.add_argument(
        "--second", type=Path, required=True, nargs="+", help="folders of ONNX files, or checkpoints, after it"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for joint.pt")
    given = parser.parse_args(arguments)
    config = BlendConfig(**tomllib.loads(given.config.read_text(encoding="utf-8"))["blend"])
    weights = blend(weights_of(given.first), mean_of(given.second), config)
    given.out.mkdir(parents=True, exist_ok=True)
    torch.save({"average": weights, "step": 0, "elapsed_s": 0.0, "log": []}, given.out / "joint.pt")
    print(f"{given.out / 'joint.pt'}: {len(weights)} weights")


if __name__ == "__main__":
    main()

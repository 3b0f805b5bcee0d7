"""Errors of exported nets on the sets with exact alpha, compared with mattes of peers, in one table.

    python -m scripts.train.measure --data ../shared/data --nets OUT [--peer RVM=FOLDER] [--every 6]

Use it before publishing: it measures the nets in a folder, not those in models/. FOLDER holds a peer's mattes at the
pictures' own size, SET/NAME.png. The sets (val, val-hr, val-hair) are only for measuring. The unknown band is that of
benchmarks.sets: half-transparent pixels and the edge, plus 1 % of the longer side.
"""

# torch and onnx are not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks.matting_sections import errors_of
from benchmarks.sets import Sample
from idseg.models.onnx import OnnxNet
from idseg.types import Alpha, Rgb
from scripts.train import joint

_SETS = ("val", "val-hr", "val-hair")
_TITLES = ("pictures", "MAD", "MSE", "Grad", "Conn", "band MAD", "band Grad")
_AREA = 512_000
"""Input of the coarse net for a larger picture, px; the same as in the manifest."""
_AS_IT_IS = 1.25
"""A picture up to this many times larger than that is not resampled."""


@dataclass(frozen=True)
class Nets:
    """The exported nets of a folder. Without a detail net, the coarse matte is the result."""

    coarse: OnnxNet
    detail: OnnxNet | None

    def mattes(self, rgb: Rgb) -> dict[str, Alpha]:
        """``coarse`` and, with a detail net, ``coarse + detail``, at the picture's own size."""
        height, width = rgb.shape[:2]
        multiple = 32 if height * width <= _AREA * _AS_IT_IS else 16
        rows, columns = (-(-side // multiple) * multiple for side in (height, width))
        padded = cv2.copyMakeBorder(rgb, 0, rows - height, 0, columns - width, cv2.BORDER_REPLICATE)
        picture = joint.normalised(torch.from_numpy(padded)[None])
        seen = padded
        if multiple == 16:
            size = joint.coarse_size(rows, columns, _AREA)
            seen = np.asarray(cv2.resize(padded, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)
        found = self.coarse({"rgb": joint.normalised(torch.from_numpy(seen)[None]).numpy()})
        if self.detail is None:
            alpha = cv2.resize(found["alpha"][0, 0], (columns, rows), interpolation=cv2.INTER_CUBIC)
            return {"coarse": np.clip(alpha[:height, :width], 0.0, 1.0).astype(np.float32)}
        coarse, features = joint.enlarged(
            torch.from_numpy(found["alpha"]), torch.from_numpy(found["features"]), rows, columns
        )
        feeds = {"rgb": picture.numpy(), "coarse": coarse.numpy(), "features": features.numpy()}
        refined = self.detail(feeds)["alpha"]
        return {
            "coarse": coarse.numpy()[0, 0, :height, :width],
            "coarse + detail": refined[0, 0, :height, :width],
        }


def load_nets(folder: Path, threads: int) -> Nets:
    """The float coarse net and the detail net of a folder."""
    detail = folder / "portrait-detail.onnx"
    coarse = OnnxNet(folder / "portrait-coarse.onnx", provider="cpu", threads=threads)
    return Nets(coarse, OnnxNet(detail, provider="cpu", threads=threads) if detail.exists() else None)


def samples(data: Path, name: str, every: int) -> Iterator[Sample]:
    """Every n-th picture of a set (``every``), ordered by name."""
    for matte in sorted((data / name).glob("*.png"))[::every]:
        yield Sample(matte.stem, matte.with_suffix(".jpg"), matte)


def measure(data: Path, nets: Nets, peers: dict[str, Path], every: int) -> dict[str, dict[str, tuple[float, ...]]]:
    """Mean errors of every method on every set; the number of pictures comes first."""
    table: dict[str, dict[str, tuple[float, ...]]] = {}
    for name in _SETS:
        rows: dict[str, list[tuple[float, ...]]] = {}
        for sample in samples(data, name, every):
            rgb, truth = sample.rgb(), sample.truth()
            band = sample.band(truth)
            mattes = nets.mattes(rgb)
            for peer, folder in peers.items():
                kept = cv2.imread(str(folder / name / f"{sample.name}.png"), cv2.IMREAD_GRAYSCALE)
                if kept is not None and kept.shape == truth.shape:
                    mattes[peer] = kept.astype(np.float32) / np.float32(255)
            for method, alpha in mattes.items():
                rows.setdefault(method, []).append(tuple(errors_of(alpha, truth, band).values()))
        table[name] = {method: (len(found), *np.mean(found, axis=0)) for method, found in rows.items()}
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.train.measure",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="folder as in scripts/train/README.md")
    parser.add_argument("--nets", type=Path, required=True, help="folder of the exported ONNX files")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=FOLDER", help="mattes of a peer")
    parser.add_argument("--every", type=int, default=1, help="use every Nth picture (default: 1, all)")
    parser.add_argument("--threads", type=int, default=2, help="number of threads (default: 2)")
    given = parser.parse_args()
    peers = {name: Path(folder) for name, _, folder in (peer.partition("=") for peer in given.peer)}
    table = measure(given.data, load_nets(given.nets, given.threads), peers, given.every)
    for name, rows in table.items():
        print("\n" + f"{name:20s}" + "".join(f"{title:>10s}" for title in _TITLES))
        for method, (count, *errors) in rows.items():
            print(f"{method:20s}{count:10.0f}" + "".join(f"{error:10.4f}" for error in errors))


if __name__ == "__main__":
    main()

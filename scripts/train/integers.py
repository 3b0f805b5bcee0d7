"""Writes the nets of a folder in 8-bit integers, with ranges from composed pictures."""

# torch and onnx are not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from torch import Tensor

from idseg.models.edge import EdgeNet
from idseg.models.form import form_of
from idseg.models.manifest import load_manifest
from idseg.models.onnx import Net, load_net
from idseg.stages.matte import Matte
from idseg.stages.refine import DetailNet
from idseg.types import Levels
from scripts.train import ends, joint
from scripts.train.accelerator import EDGE, MODELS, NETS, SIZE
from scripts.train.export import report
from scripts.train.quantize import DETAIL_FLOAT, Feeds, quantize
from scripts.train.scene.batches import PackBatches
from scripts.train.scene.compose import Shares
from scripts.train.scene.store import Store

_FIRST_SEED = 100_000
"""Seed of the pictures."""
_ENLARGED = (1024, 1280)
"""Width and height, px, of half of the pictures for the detail net: the coarse net sees them shrunk."""
_TILES = 4
"""Maximum number of a picture's tiles that the detail net's ranges come from."""


def write_integers(store: Store, out: Path, pictures: int, nets: Sequence[str] = NETS) -> None:
    """Write NAME-int8.onnx for the float ``nets`` in ``out``.

    Args:
        store: material for the pictures.
        out: folder of the files. The detail net's inputs come from the coarse net in integers, whose two files must be
            there or be made before.
        pictures: number of pictures that give the activations' ranges.
        nets: names of the nets.
    """

    def composed(sizes: list[tuple[int, int]]) -> Iterator[Tensor]:
        for rgb, _, _ in islice(PackBatches(store, sizes, 1, _FIRST_SEED, Shares()), pictures):
            yield rgb

    for name in nets:
        source, path = out / f"{name}.onnx", out / f"{name}-int8.onnx"
        if name == NETS[0]:
            ends.write(source, path, out / f"{EDGE}.onnx", [_feeds(rgb) for rgb in composed([SIZE])])
            report(out / f"{EDGE}.onnx")
        else:
            levels = ends.levels_of(onnx.load(str(out / f"{EDGE}.onnx")))
            quantize(source, path, _tiles(composed([SIZE, _ENLARGED]), out, source, levels), DETAIL_FLOAT)
            onnx.save(ends.from_bytes(onnx.load(str(path)), levels), str(path))
        report(path)


def _feeds(rgb: Tensor) -> Feeds:
    return {"rgb": joint.normalised(rgb).numpy()}


def _tiles(pictures: Iterator[Tensor], out: Path, detail: Path, levels: Levels) -> Iterator[Feeds]:
    """The detail net's inputs for some tiles of each picture (1, H, W, 3), as idseg makes them; ``levels`` of the edge
    net's features."""
    manifest, coarse = load_manifest(MODELS), f"{NETS[0]}-int8"
    entry = replace(manifest[EDGE], output={**manifest[EDGE].output, "levels": [*levels]})
    edge = EdgeNet(load_net(out / f"{EDGE}.onnx", provider="cpu"), entry)
    matte = Matte(load_net(out / f"{coarse}.onnx", provider="cpu"), form_of(manifest[coarse]), edge=edge)
    net = _Recorder(load_net(detail, provider="cpu"))
    refiner = DetailNet(net, manifest["portrait-detail"])
    for rgb in pictures:
        picture = np.ascontiguousarray(rgb[0].numpy())
        refiner(picture, matte.look(picture))
        yield from net.recorded[:: max(len(net.recorded) // _TILES, 1)][:_TILES]
        net.recorded.clear()


class _Recorder:
    """A net that keeps copies of its inputs."""

    def __init__(self, net: Net) -> None:
        self._net, self.recorded = net, list[Any]()
        self.path, self.inputs, self.outputs, self.provider = net.path, net.inputs, net.outputs, net.provider

    def __call__(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        self.recorded.append({name: value.copy() for name, value in feeds.items()})
        return self._net(feeds)

"""Runs the last layers of idseg's coarse matting net only where they find something: on tiles along the person's edge.

In 8-bit integers the net is two files. The first ends at a quarter of the picture's size, with a guess of the matte at
half size. The second continues from there at half size, which takes two fifths of the whole net's time, but where the
guess is certain it finds nothing new.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from idseg.errors import ModelDamagedError
from idseg.imaging.tiles import tiles
from idseg.models.levels import levels_of
from idseg.models.manifest import ModelEntry
from idseg.models.onnx import Net, check_names
from idseg.system import share_out
from idseg.types import Window

_SURE = 0.02
"""A guess below it is certainly background; above 1 minus it, certainly person."""
_ROWS = 96
"""Height of a tile without its margins, px."""
_GRAIN = 16
"""A tile's left and right sides are multiples of it, px."""
_JOINED = 2
"""Tiles with at most this many columns of :data:`_GRAIN` px between them become one, because their margins meet."""
_MARGIN = 8
"""Border of a tile that only provides context, px. With 12, a tile's result is exactly the whole net's."""

_Floats = npt.NDArray[np.float32]
_Features = npt.NDArray[Any]
"""float32 or uint8."""


class Seen(NamedTuple):
    """What the whole net would return, (H, W) and (C, H / 2, W / 2). Away from the edge alpha is 0 or 1, and the
    nearest computed features are repeated."""

    alpha: _Floats
    features: _Features


class EdgeNet:
    """The last layers of the coarse net; thread-safe.

    Raises:
        ModelDamagedError: the file's inputs or outputs are not those of its block in the manifest.
    """

    def __init__(self, net: Net, entry: ModelEntry) -> None:
        self._net = net
        try:
            self._rgb, self._deep, self._early = (str(entry.input[name]) for name in ("rgb", "deep", "early"))
            self._alpha, self._features = str(entry.output["name"]), str(entry.output["features"])
            self._channels = int(entry.output["channels"])
            self.levels = levels_of(entry.output)
            """What the features stand for; None: they are floats."""
        except (KeyError, TypeError, ValueError) as error:
            raise ModelDamagedError(f"block {entry.name!r} of the manifest: {error!r}", name=entry.name) from None
        check_names(net, (self._rgb, self._deep, self._early), (self._alpha, self._features))

    @property
    def needs(self) -> frozenset[str]:
        """Names of the first file's outputs that this one continues from."""
        return frozenset((self._deep, self._early))

    def __call__(
        self, rgb: _Floats, first: Mapping[str, npt.NDArray[Any]], guess: _Floats, pool: Executor | None = None
    ) -> Seen:
        """Continue after the first file.

        Args:
            rgb: the net's input (1, 3, H, W).
            first: the first file's outputs.
            guess: (H / 2, W / 2), 0..1.
            pool: one of its threads may take half of the tiles.
        """
        height, width = rgb.shape[2:]
        inputs = ((self._rgb, rgb, 1), (self._deep, first[self._deep], 4), (self._early, first[self._early], 2))
        person = (guess > 0.5).astype(np.float32)
        alpha = np.asarray(cv2.resize(person, (width, height), interpolation=cv2.INTER_NEAREST), np.float32)
        kind = np.float32 if self.levels is None else np.uint8
        features: _Features = np.zeros((self._channels, height // 2, width // 2), kind)
        cores = list(unsure_tiles(guess))

        def compute(core: Window) -> None:
            rows = slice(max(core.top - _MARGIN, 0), min(core.bottom + _MARGIN, height))
            columns = slice(max(core.left - _MARGIN, 0), min(core.right + _MARGIN, width))
            found = self._net({name: _part(value, rows, columns, n) for name, value, n in inputs})
            inner = core._replace(left=core.left - columns.start, top=core.top - rows.start)
            _put(alpha[None], core, found[self._alpha][0], inner, 1)
            _put(features, core, found[self._features][0], inner, 2)

        share_out(pool, sorted(cores, key=lambda core: -core.width), compute)
        repeat_nearest(features, cores)
        return Seen(alpha, features)


def _part(values: npt.NDArray[Any], rows: slice, columns: slice, share: int) -> npt.NDArray[Any]:
    """A part, given in pixels, of values at 1 / ``share`` of the size."""
    down = slice(rows.start // share, rows.stop // share)
    across = slice(columns.start // share, columns.stop // share)
    return np.ascontiguousarray(values[:, :, down, across])


def _put(whole: _Features, core: Window, found: npt.NDArray[Any], inner: Window, share: int) -> None:
    """Copy the window ``inner`` of a tile's result to the window ``core`` of the whole, both at 1 / ``share``."""
    at, source = (
        np.s_[:, w.top // share : w.bottom // share, w.left // share : w.right // share] for w in (core, inner)
    )
    whole[at] = found[source]


def repeat_nearest(features: _Features, cores: Sequence[Window]) -> None:
    """Fill the features (C, H / 2, W / 2) outside the tiles, in place, with the nearest column of the same row; in rows
    without a tile, with the nearest row that has one."""
    rows = features.shape[1]
    filled = []
    for top in sorted({core.top for core in cores}):
        tiles = sorted((core for core in cores if core.top == top), key=lambda core: core.left)
        band = features[:, top // 2 : tiles[0].bottom // 2]
        first = tiles[0].left // 2
        band[:, :, :first] = band[:, :, first : first + 1]
        for tile, after in zip(tiles, (*tiles[1:], None), strict=True):
            end = tile.right // 2
            band[:, :, end : None if after is None else after.left // 2] = band[:, :, end - 1 : end]
        filled.append((top // 2, tiles[0].bottom // 2))
    for (_, before), (after, _) in zip([(0, 0), *filled], [*filled, (rows, rows)], strict=True):
        if before < after and filled:
            source = before - 1 if before else after
            features[:, before:after] = features[:, source : source + 1]


def unsure_tiles(guess: _Floats) -> Iterator[Window]:
    """Tiles without margins, in pixels of the net's input, that contain every place where the guess (H / 2, W / 2) is
    not certain or changes."""
    around = np.ones((3, 3), np.uint8)
    unsure = (guess > _SURE) & (guess < 1.0 - _SURE)
    person = (guess > 0.5).astype(np.uint8)
    near_unsure = cv2.dilate(unsure.astype(np.uint8), around)
    places = np.asarray(np.maximum(near_unsure, cv2.morphologyEx(person, cv2.MORPH_GRADIENT, around)), np.uint8)
    for tile in tiles(places, _ROWS // 2, _GRAIN // 2, joined=_JOINED):
        yield Window(*(2 * side for side in tile))

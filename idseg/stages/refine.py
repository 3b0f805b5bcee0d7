"""Refines hair around the edge of a coarse matte, from the picture at its own resolution.

A refiner is a callable ``(rgb, coarse, pool) -> alpha``. ``net`` is idseg's own; ``closed-form`` is PyMatting's,
imported only on request, because its first import compiles for many seconds; ``none`` returns the coarse matte.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, get_args

import cv2
import numpy as np
import numpy.typing as npt

from idseg.errors import ModelDamagedError, OptionError
from idseg.imaging.planes import FAINT, half_side, uncertain
from idseg.imaging.resize import of_area, resize, shrunk, unit
from idseg.imaging.tiles import tiles
from idseg.models.levels import levels_of, stored_as
from idseg.models.manifest import Manifest, ModelEntry
from idseg.models.onnx import Net, check_names, load_net, suits_integers
from idseg.system import share_out, threads_of_half
from idseg.types import Alpha, Coarse, Features, Rgb, Size, Window


class Refiner(Protocol):
    """What :func:`load_refiner` returns."""

    def __call__(self, rgb: Rgb, coarse: Coarse, pool: Executor | None = None) -> Alpha:
        """The refined alpha of a picture. With a pool, one of its threads may take half of the work."""


_Bytes: TypeAlias = npt.NDArray[np.uint8]
RefinerName: TypeAlias = Literal["net", "closed-form", "none"]

REFINE_FLOAT, REFINE_INT8 = "portrait-detail", "portrait-detail-int8"
"""Names of the refiner's blocks in the manifest: with floats, and with 8-bit integers for CPUs."""

_LARGEST_AREA = 2_000_000
"""Maximum pixels of a picture for refining, four times the coarse net's input. A larger picture is shrunk first, and
its matte enlarged bicubically. The net was trained on heads 200 to 700 px wide; here they are about 600 px wide."""
_ROWS = 80
"""Height of a tile without its margins, px. With 112, the gradient error on composites is .1 to .3 % lower, and
refining takes a tenth longer."""
_GRAIN = 16
"""A tile's width is a multiple of it, px: the net's sides are multiples of 16."""
_REACH = 16
"""Distance of a doubtful pixel, in columns, within which the net looks for strands, px; a multiple of the grain."""
_AROUND = (17, 17)
"""Neighbourhood in which the share of uncertain pixels is counted, px."""
_DOUBT, _DOUBT_OF_LARGE = 0.4, 0.8
"""Share of uncertain pixels around an uncertain pixel from which it is doubtful, and the same in large pictures. With
.3, the gradient error of composites is up to 2 % lower, and refining takes half longer at .5 MP."""
_LARGE = 1_000_000
"""Pixels from which a picture is large. There, .75 instead of .3 saves a third of the time, and the gradient error is
1 % higher."""
_FEWEST = 60
"""Doubtful pixels in a column of a tile (its rows by the grain) from which the net looks there. With 1 instead, up
to a third more pixels are computed, and no error is lower."""
_FREEDOM = 8
"""The most by which the net may change a certain pixel: this times the share of uncertain pixels around it. Otherwise
it lays a faint haze over the background beside hair."""
_WIDEST_BAND = 0.4
"""Maximum share of the unknown band in a picture for the closed form. Beyond, it often does not converge."""
_MOST_ITERATIONS = 100
"""Maximum number of iterations of its solver. It converges in some ten, or not at all; one takes up to .5 s at 2 MP."""
_MARGIN = 8
"""Border of a tile that only provides context, px; a multiple of half the grain. With 16 px, the gradient error on
composites is .2 to .5 % lower, and refining takes a quarter longer."""


def load_refiner(manifest: Manifest, name: str = "net", provider: str = "auto", threads: int | None = None) -> Refiner:
    """Load the refiner of that name.

    Raises:
        OptionError: there is no such refiner.
        ModelNameError, ModelMissingError, ModelDamagedError: the net's block or file.
        ProviderError: the forced provider is not available.
    """
    if name == "none":
        return refine_none
    if name == "closed-form":
        return refine_closed_form
    if name == "net":
        entry = manifest[REFINE_INT8 if suits_integers(provider) else REFINE_FLOAT]
        return DetailNet(
            load_net(entry.check(), provider=provider, threads=threads_of_half(threads), arena=True), entry
        )
    known = get_args(RefinerName)
    raise OptionError(f"no refiner is called {name!r}; there are: {', '.join(known)}", refine=name, known=list(known))


def refine_none(rgb: Rgb, coarse: Coarse, pool: Executor | None = None) -> Alpha:
    """Return the coarse matte unchanged."""
    return coarse.alpha


class DetailNet:
    """idseg's refiner, run only on tiles in which the coarse matte is in doubt; thread-safe. It needs the features of
    idseg's coarse net, and returns the mattes of other nets unchanged."""

    def __init__(self, net: Net, entry: ModelEntry) -> None:
        self._net = net
        try:
            levels = np.arange(256, dtype=np.float32)[:, None]
            scale = (1.0 / np.array(entry.input["std"])).astype(np.float32)
            tables = (levels - np.array(entry.input["mean"], np.float32)) * scale
            self._tables = [np.ascontiguousarray(table) for table in tables.T]
            self._rgb, self._coarse, self._features = (str(entry.input[name]) for name in ("rgb", "coarse", "features"))
            self._output = str(entry.output["name"])
            self._levels = levels_of(entry.input)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelDamagedError(f"block {entry.name!r} of the manifest: {error!r}", name=entry.name) from None
        check_names(net, (self._rgb, self._coarse, self._features), (self._output,))

    def __call__(self, rgb: Rgb, coarse: Coarse, pool: Executor | None = None) -> Alpha:
        """Refined alpha, same size. Outside the tiles it is the coarse matte, rounded where that is certain."""
        alpha, features = coarse
        if features is None:
            return alpha
        height, width = alpha.shape
        features = stored_as(features, self._levels)
        if not _aligned(features, Size(width, height)):
            features = features._replace(values=np.ascontiguousarray(features.values))
        if height * width <= _LARGEST_AREA:
            return self._refined(rgb, alpha, features, pool)
        small = of_area(Size(width, height), _LARGEST_AREA)
        small_rgb, small_alpha = np.asarray(shrunk(rgb, small), np.uint8), np.asarray(shrunk(alpha, small), np.float32)
        return unit(resize(self._refined(small_rgb, small_alpha, features, pool), Size(width, height)))

    def _refined(self, rgb: Rgb, alpha: Alpha, features: Features, pool: Executor | None) -> Alpha:
        height, width = alpha.shape
        person, doubt = np.round(alpha), doubts(alpha)
        refined = np.where(doubt.uncertain, alpha, person)
        # Edge pixels are repeated around the picture, so that every tile is whole; core (x, y) starts at padded (x, y).
        border = (_MARGIN, _MARGIN + -height % _ROWS, _MARGIN, _MARGIN + -width % _GRAIN)
        padded_rgb = np.asarray(cv2.copyMakeBorder(rgb, *border, cv2.BORDER_REPLICATE), np.uint8)
        padded_alpha = np.asarray(cv2.copyMakeBorder(alpha, *border, cv2.BORDER_REPLICATE), np.float32)

        def compute(core: Window) -> None:
            rows, columns = _ROWS + 2 * _MARGIN, core.width + 2 * _MARGIN + -core.width % _GRAIN
            at = np.s_[core.top : core.top + rows, core.left : core.left + columns]
            tile = Window(core.left - _MARGIN, core.top - _MARGIN, columns, rows)
            seen = tile_features(features, tile, Size(width, height))
            found = self._tile(padded_rgb[at], padded_alpha[at], seen)
            inner = found[_MARGIN : _MARGIN + core.height, _MARGIN : _MARGIN + core.width]
            here = np.s_[core.top : core.bottom, core.left : core.right]
            limited = _limited(inner, person[here], doubt.share[here])
            refined[here] = np.where(limited < FAINT, np.float32(0), limited)

        least = _DOUBT if height * width < _LARGE else _DOUBT_OF_LARGE
        share_out(pool, sorted(doubtful_tiles(doubt, least), key=lambda core: -core.width), compute)
        return refined

    def _tile(self, rgb: Rgb, alpha: Alpha, features: npt.NDArray[Any]) -> Alpha:
        """The net's alpha of one tile."""
        planes = np.empty((1, 3, *alpha.shape), np.float32)
        for plane, table, target in zip(cv2.split(rgb), self._tables, planes[0], strict=True):
            cv2.LUT(plane, table, target)
        coarse = np.ascontiguousarray(alpha)[None, None]
        feeds = {self._rgb: planes, self._coarse: coarse, self._features: features[None]}
        return np.asarray(self._net(feeds)[self._output][0, 0], np.float32)


def tile_features(features: Features, tile: Window, picture: Size) -> npt.NDArray[Any]:
    """The features (C, h / 2, w / 2) of a tile of a picture; ``tile`` (with even sides) may reach beyond the picture,
    where the outermost features are repeated. Bilinear."""
    if _aligned(features, picture):
        inner, (height, width, _) = features.inner, features.values.shape
        left, top = (inner.left + tile.left) // 2, (inner.top + tile.top) // 2
        bottom, right = top + tile.height // 2, left + tile.width // 2
        there = features.values[max(top, 0) : bottom, max(left, 0) : right]
        if there.shape[:2] != (tile.height // 2, tile.width // 2):
            rows, columns = (np.arange(first, last) for first, last in ((top, bottom), (left, right)))
            rows, columns = rows.clip(0, height - 1), columns.clip(0, width - 1)
            there = features.values.take(rows, axis=0).take(columns, axis=1)
        return np.ascontiguousarray(there.transpose(2, 0, 1))
    across, down = features.inner.width / picture.width, features.inner.height / picture.height
    # The centre of the tile's feature (i, j) lies at picture pixel (left + 2 i + 1, top + 2 j + 1).
    map_back = np.array(
        (
            (across, 0.0, (features.inner.left + (tile.left + 1) * across) / 2 - 0.5),
            (0.0, down, (features.inner.top + (tile.top + 1) * down) / 2 - 0.5),
        )
    )
    size = (tile.width // 2, tile.height // 2)
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    found = cv2.warpAffine(features.values, map_back, size, flags=how, borderMode=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(found.transpose(2, 0, 1))


def _aligned(features: Features, picture: Size) -> bool:
    """Whether the coarse net saw the picture at its own size, so that each tile's features are a part of the array."""
    inner = features.inner
    return (inner.width, inner.height) == picture and inner.left % 2 == 0 and inner.top % 2 == 0


class Doubts(NamedTuple):
    """Where a coarse matte is in doubt."""

    uncertain: npt.NDArray[np.bool_]
    """(H, W): the uncertain pixels."""
    share: _Bytes
    """(H, W): the share of them around each pixel, of 255."""


def doubts(alpha: Alpha) -> Doubts:
    """Where a coarse matte (H, W) is in doubt."""
    unsure = uncertain(alpha)
    share = cv2.blur(255 * unsure.astype(np.uint8), _AROUND, borderType=cv2.BORDER_REPLICATE)
    return Doubts(unsure, np.asarray(share, np.uint8))


def doubtful_tiles(doubt: Doubts, least: float = _DOUBT) -> Iterator[Window]:
    """The tile cores (clipped to the picture): in rows of a fixed height, the columns near a wide band of uncertain
    pixels. Their left sides are multiples of the grain. ``least``: see :data:`_DOUBT`."""
    doubtful = np.asarray(doubt.uncertain & (doubt.share > 255 * least), np.uint8)
    yield from tiles(doubtful, _ROWS, _GRAIN, reach=_REACH // _GRAIN, fewest=_FEWEST)


def _limited(alpha: Alpha, person: Alpha, share: _Bytes) -> Alpha:
    """The net's alpha, which differs from ``person`` (0 or 1) only near uncertain pixels; see :data:`_FREEDOM`."""
    free = np.minimum(share * np.float32(_FREEDOM / 255), np.float32(1))
    return np.asarray(np.clip(alpha, np.minimum(person, 1 - free), np.maximum(person, free)), np.float32)


def unknown_band(alpha: Alpha) -> npt.NDArray[np.bool_]:
    """The unknown band of a coarse matte: its uncertain pixels, widened by 0.8 % of the picture's longer side."""
    unsure = uncertain(alpha) | (cv2.morphologyEx(alpha, cv2.MORPH_GRADIENT, np.ones((3, 3))) > 0.5)
    radius = half_side(0.008, alpha.shape)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate(unsure.astype(np.uint8), kernel).astype(bool)


def refine_closed_form(rgb: Rgb, coarse: Coarse, pool: Executor | None = None) -> Alpha:
    """Levin, Lischinski & Weiss 2008, solved by PyMatting in the unknown band around the coarse matte's edge.

    The coarse matte is returned if it is uncertain nearly everywhere, or if the system does not converge.
    """
    alpha = coarse.alpha
    unknown = unknown_band(alpha)
    rows, columns = np.flatnonzero(unknown.any(axis=1)), np.flatnonzero(unknown.any(axis=0))
    if rows.size == 0 or unknown.mean() > _WIDEST_BAND:
        return alpha
    # Three pixels around the band, because the Laplacian's 3 x 3 windows need known neighbours.
    window = np.s_[max(rows[0] - 3, 0) : rows[-1] + 4, max(columns[0] - 3, 0) : columns[-1] + 4]
    sure = (alpha > 0.5).astype(np.float64)
    trimap = np.where(unknown, 0.5, sure)[window]
    if trimap.min() > 0.0 or trimap.max() < 1.0:
        return alpha  # only person or only background: the system would have no boundary
    solved = _estimate_alpha_cf(rgb[window] / 255.0, trimap)
    if solved is None:
        return alpha
    refined = sure.astype(np.float32)
    refined[window] = np.where(unknown[window], np.clip(solved, 0.0, 1.0), refined[window])
    return refined


def _estimate_alpha_cf(image: npt.NDArray[np.float64], trimap: npt.NDArray[np.float64]) -> npt.NDArray[Any] | None:
    """The solution; None if it does not converge."""
    from pymatting import estimate_alpha_cf  # compiles with numba on first import

    try:
        solved: npt.NDArray[Any] = estimate_alpha_cf(image, trimap, cg_kwargs={"maxiter": _MOST_ITERATIONS})
    except ValueError:
        return None
    return solved

"""Finds the place of a cut in its photo, if the reply does not give it, by template matching to the pixel.

The template is the middle of the cut, without filled sides (a cut may extend beyond the photo). A cut is usually an
unresampled part of the photo; then it is found at scale 1 and placed at whole pixels. Otherwise the scale is searched,
and offset and scale are fitted (least squares) to the places of a grid of patches of the cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from idseg.imaging import cutting
from idseg.imaging.resize import resize
from idseg.types import Alpha, Box, Rgb, Size, Window

_COARSE_PX = 360
"""Longest side of the reduced photo for the search over scales, px."""
_FINE_PX = 1400
"""Longest side of the photo for fitting offset and scale, px (patches are found to 0.1 px at this size)."""
_MIDDLE = 0.62
"""Share of the cut's width and height that forms the template."""
_SCALES = np.geomspace(0.2, 5.0, 73)  # steps of 4.6 %; a face still correlates at half a step
_SEARCH_PX = 6
"""Maximum distance of a patch from its expected place, px."""
_PATCHES = 5
"""Number of patches per side of the grid."""
_LEAST_CONTRAST = 4.0
"""Standard deviation (levels) below which a patch is too uniform to be found."""
_LEAST_PATCH_SCORE = 0.7
_FILL_NOISE = 3.0
"""Maximum noise (levels) that JPEG adds to a uniform line."""
_LEAST_REST = 0.3
_PLAIN = 0.5
"""Standard deviation (levels) below which a template counts as uniform."""
_GRAIN = 0.5
"""Standard deviation (levels) of the noise that is added so that uniform areas match nothing."""
_SAME_SCALE_PX = 0.5
"""Maximum growth across the whole cut that counts as scale 1, px."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """Pixel (x, y) of the cut lies at (left + x * scale, top + y * scale) of the photo."""

    left: float
    top: float
    scale: float
    """Photo pixels per cut pixel."""
    score: float
    """Normalised cross-correlation of the cut with the photo, -1..1; 1 if the reply gives the place."""
    source: Literal["cut_location", "registered"]

    def window(self, cut: Size) -> Box:
        """The rectangle in the photo that a cut of this size covers."""
        return Box(self.left, self.top, cut.width * self.scale, cut.height * self.scale)

    @property
    def whole(self) -> bool:
        """Whether the cut's pixels are the photo's pixels, not resampled."""
        return self.scale == 1.0 and self.left == round(self.left) and self.top == round(self.top)


def told(window: Window, cut: Size) -> Alignment:
    """The placement given by ``cut_location``."""
    return Alignment(float(window.left), float(window.top), window.width / cut.width, 1.0, "cut_location")


def register(photo: Rgb, cut: Rgb) -> Alignment:
    """Find the cut (h, w, 3) in the photo (H, W, 3).

    Always returns the best place. A ``score`` below about 0.9 means that the cut is not from this photo, or was
    rotated, mirrored or heavily retouched.
    """
    grey, whole = _grey(photo), _grey(cut)
    left, top, template = _unfilled(whole)
    found = _registered(grey, template)
    return Alignment(
        found.left - left * found.scale, found.top - top * found.scale, found.scale, found.score, "registered"
    )


def _registered(grey: npt.NDArray[np.float32], template: npt.NDArray[np.float32]) -> Alignment:
    placement = _exact(grey, template, _at_scale(grey, template, 1.0))
    if placement is not None:
        return placement
    guess = max((_at_scale(grey, template, float(scale)) for scale in _SCALES), key=lambda found: found.score)
    fitted = _fitted(grey, template, guess)
    if abs(fitted.scale - 1.0) * max(template.shape) > _SAME_SCALE_PX:
        return fitted
    snapped = Alignment(float(round(fitted.left)), float(round(fitted.top)), 1.0, 0.0, "registered")
    return _scored(grey, template, snapped)


def bring(alpha: Alpha, placement: Alignment, cut_size: Size, window: Window) -> Alpha:
    """Resample a cut's matte to the photo's pixels under ``window``; 0 outside the cut.

    Args:
        alpha: (h, w); if its size differs from the cut's, it is stretched.
        placement: the place of the cut.
        cut_size: size of the cut, px.
        window: the wanted rectangle of photo pixels.
    """
    height, width = alpha.shape
    across, down = placement.scale * cut_size.width / width, placement.scale * cut_size.height / height
    if across == 1.0 and down == 1.0 and placement.whole:
        shift = Window(window.left - round(placement.left), window.top - round(placement.top), *window.size)
        return cutting.take(alpha, shift)
    # Pixel centres: photo x + 0.5 = left + (matte x + 0.5) * across.
    matrix = np.array(
        [
            [across, 0.0, placement.left - window.left + 0.5 * across - 0.5],
            [0.0, down, placement.top - window.top + 0.5 * down - 0.5],
        ]
    )
    blurred = (
        cv2.GaussianBlur(alpha, (0, 0), 0.45 / across) if across < 0.75 else alpha
    )  # prevents aliasing when shrinking
    brought = cv2.warpAffine(blurred, matrix, window.size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT)
    return np.clip(brought, 0.0, 1.0).astype(np.float32, copy=False)


def _grey(rgb: Rgb) -> npt.NDArray[np.float32]:
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)


def _unfilled(grey: npt.NDArray[np.float32]) -> tuple[int, int, npt.NDArray[np.float32]]:
    """(left, top, rest): the cut without uniform lines at its sides, which fill the part of a window outside the photo.

    A uniform wall may be removed too, which does no harm. If less than 30 % would remain, the cut is returned whole.
    """
    height, width = grey.shape
    top, bottom = _plain_lines(grey), height - _plain_lines(grey[::-1])
    left, right = _plain_lines(grey.T), width - _plain_lines(grey.T[::-1])
    if bottom - top < _LEAST_REST * height or right - left < _LEAST_REST * width:
        return 0, 0, grey
    return left, top, np.ascontiguousarray(grey[top:bottom, left:right])


def _plain_lines(grey: npt.NDArray[np.float32]) -> int:
    """Number of first rows that are uniform and have the same colour (up to JPEG noise)."""
    plain = (grey.std(axis=1) < _FILL_NOISE) & (np.abs(grey.mean(axis=1) - grey[0].mean()) < _FILL_NOISE)
    return int(np.argmin(plain)) if not plain.all() else grey.shape[0]


def _resized(grey: npt.NDArray[np.float32], scale: float) -> npt.NDArray[np.float32]:
    size = Size(max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    return np.asarray(resize(grey, size), np.float32)


def _middle(template: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], int, int]:
    """The middle of the cut, and its left and top in the cut."""
    height, width = template.shape
    x, y = round(width * (1 - _MIDDLE) / 2), round(height * (1 - _MIDDLE) / 2)
    return template[y : height - y, x : width - x], x, y


def _at_scale(grey: npt.NDArray[np.float32], template: npt.NDArray[np.float32], scale: float) -> Alignment:
    """The best place of the cut at one scale, from the reduced photo; accurate to a few pixels."""
    reduce = min(1.0, _COARSE_PX / max(grey.shape))
    inner, x, y = _middle(template)
    small = _resized(inner, scale * reduce)
    photo = _resized(grey, reduce)
    if min(small.shape) < 8 or small.shape[0] > photo.shape[0] * 1.5 or small.shape[1] > photo.shape[1] * 1.5:
        return Alignment(0.0, 0.0, scale, -1.0, "registered")
    pad_x = max(0, small.shape[1] - photo.shape[1]) + 8
    pad_y = max(0, small.shape[0] - photo.shape[0]) + 8
    padded = cv2.copyMakeBorder(photo, pad_y, pad_y, pad_x, pad_x, cv2.BORDER_REPLICATE)
    found = _match(np.asarray(padded, np.float32), small)
    _, score, _, (left, top) = cv2.minMaxLoc(found)
    return Alignment(
        (left - pad_x) / reduce - x * scale, (top - pad_y) / reduce - y * scale, scale, score, "registered"
    )


def _exact(grey: npt.NDArray[np.float32], template: npt.NDArray[np.float32], guess: Alignment) -> Alignment | None:
    """The whole-pixel place of an unresampled cut; None if the cut's patches show that the scale is not 1."""
    if guess.score < 0.5:
        return None
    inner, x, y = _middle(template)
    reach = _SEARCH_PX + int(np.ceil(2 * max(1.0, max(grey.shape) / _COARSE_PX)))
    left, top = round(guess.left) + x, round(guess.top) + y
    area = _padded(grey, left - reach, top - reach, inner.shape[1] + 2 * reach, inner.shape[0] + 2 * reach)
    _, score, _, (dx, dy) = cv2.minMaxLoc(_match(area, inner))
    if score < 0.9:
        return None
    placement = Alignment(float(left - reach + dx - x), float(top - reach + dy - y), 1.0, float(score), "registered")
    rows = _offsets(grey, template, placement)
    if len(rows) >= 4:
        grown = _fit(rows)[0]
        if abs(grown - 1.0) * max(template.shape) > _SAME_SCALE_PX:
            return None
    return placement


def _fitted(grey: npt.NDArray[np.float32], template: npt.NDArray[np.float32], guess: Alignment) -> Alignment:
    """Offset and scale by least squares over the patches, in two passes; the second starts from the first's result."""
    reduce = min(1.0, _FINE_PX / max(grey.shape))
    photo = _resized(grey, reduce)
    at = Alignment(guess.left * reduce, guess.top * reduce, guess.scale * reduce, guess.score, "registered")
    for search in (3 * _SEARCH_PX, _SEARCH_PX, _SEARCH_PX):
        rows = _offsets(photo, template, at, search)
        if len(rows) < 4:
            break
        scale, left, top = _fit(rows)
        at = Alignment(left, top, scale, at.score, "registered")
    return _scored(grey, template, Alignment(at.left / reduce, at.top / reduce, at.scale / reduce, 0.0, "registered"))


def _offsets(
    grey: npt.NDArray[np.float32], template: npt.NDArray[np.float32], at: Alignment, search: int = _SEARCH_PX
) -> list[tuple[float, float, float, float]]:
    """For each patch with contrast: its centre in the cut (x, y) and the centre's place in the photo (x, y)."""
    scaled = _resized(template, at.scale)
    ratio_x, ratio_y = template.shape[1] / scaled.shape[1], template.shape[0] / scaled.shape[0]
    height, width = scaled.shape
    side_x, side_y = width // (_PATCHES + 1), height // (_PATCHES + 1)
    rows = []
    for row in range(_PATCHES):
        for column in range(_PATCHES):
            x, y = (width - side_x) * column // (_PATCHES - 1), (height - side_y) * row // (_PATCHES - 1)
            patch = np.asarray(scaled[y : y + side_y, x : x + side_x], np.float32)
            if min(patch.shape) < 8 or float(patch.std()) < _LEAST_CONTRAST:
                continue
            left, top = round(at.left) + x, round(at.top) + y
            if left < 0 or top < 0 or left + side_x > grey.shape[1] or top + side_y > grey.shape[0]:
                continue
            area = _padded(grey, left - search, top - search, side_x + 2 * search, side_y + 2 * search)
            found = _match(area, patch)
            _, score, _, (dx, dy) = cv2.minMaxLoc(found)
            if score < _LEAST_PATCH_SCORE or not (0 < dx < 2 * search and 0 < dy < 2 * search):
                continue
            off_x = dx + _peak(found[dy, dx - 1], found[dy, dx], found[dy, dx + 1])
            off_y = dy + _peak(found[dy - 1, dx], found[dy, dx], found[dy + 1, dx])
            center_x, center_y = x + side_x / 2, y + side_y / 2
            rows.append(
                (
                    center_x * ratio_x,
                    center_y * ratio_y,
                    left - search + off_x + side_x / 2,
                    top - search + off_y + side_y / 2,
                )
            )
    return rows


def _peak(before: float, middle: float, after: float) -> float:
    """Vertex of the parabola through three equidistant values, as an offset from the middle one (-0.5..0.5)."""
    bend = float(before) - 2 * float(middle) + float(after)
    return 0.0 if bend >= 0 else max(-0.5, min(0.5, 0.5 * (float(before) - float(after)) / bend))


def _fit(rows: list[tuple[float, float, float, float]]) -> tuple[float, float, float]:
    """(scale, left, top) with photo = offset + scale * cut. Residuals over three times the median are left out."""
    table = np.array(rows)
    keep = np.ones(len(table), bool)
    solution = np.zeros(3)
    for _ in range(3):
        cut, photo = table[keep, :2], table[keep, 2:]
        ones, zeros = np.ones(len(cut)), np.zeros(len(cut))
        system = np.concatenate([np.stack([cut[:, 0], ones, zeros], 1), np.stack([cut[:, 1], zeros, ones], 1)])
        solution = np.linalg.lstsq(system, np.concatenate([photo[:, 0], photo[:, 1]]), rcond=None)[0]
        off = np.hypot(*(solution[1:] + solution[0] * table[:, :2] - table[:, 2:]).T)
        keep = off <= max(3 * float(np.median(off)), 0.25)
    return float(solution[0]), float(solution[1]), float(solution[2])


def _scored(grey: npt.NDArray[np.float32], template: npt.NDArray[np.float32], at: Alignment) -> Alignment:
    """The same placement, scored by the correlation of the cut's middle with the photo."""
    inner, x, y = _middle(template)
    scaled = _resized(inner, at.scale)
    area = _padded(grey, round(at.left + x * at.scale), round(at.top + y * at.scale), scaled.shape[1], scaled.shape[0])
    score = float(_match(area, scaled)[0, 0])
    return Alignment(at.left, at.top, at.scale, score, at.source)


def _match(area: npt.NDArray[np.float32], template: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Normalised cross-correlation of a template with every place in an area, -1..1; 0 for a uniform template.

    In a uniform area the formula gives 0 / 0, which comes out as any value up to 1; a little noise makes it 0.
    """
    if float(template.std()) < _PLAIN:
        return np.zeros((area.shape[0] - template.shape[0] + 1, area.shape[1] - template.shape[1] + 1), np.float32)
    grain = np.resize(_grain(), area.shape)
    return np.asarray(cv2.matchTemplate(area + grain, template, cv2.TM_CCOEFF_NORMED), np.float32)


@lru_cache(maxsize=1)
def _grain() -> npt.NDArray[np.float32]:
    """A strip of noise. Its odd length keeps its repetitions from aligning."""
    return np.random.default_rng(0).normal(0.0, _GRAIN, 99_991).astype(np.float32)


def _padded(grey: npt.NDArray[np.float32], left: int, top: int, width: int, height: int) -> npt.NDArray[np.float32]:
    """The part of the picture; outside it, edge pixels are repeated."""
    rows = np.clip(np.arange(top, top + height), 0, grey.shape[0] - 1)
    columns = np.clip(np.arange(left, left + width), 0, grey.shape[1] - 1)
    return np.ascontiguousarray(grey[np.ix_(rows, columns)])

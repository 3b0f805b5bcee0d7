"""Where the head-and-shoulders window lies, and cutting it out.

The window is an integer rectangle that may leave the photo. Cutting is indexing: no pixel is resampled, so pasting a
cut back at its window is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from idseg.errors import OptionError
from idseg.types import Alpha, BodyParts, Box, Size, Window

_Pixel = TypeVar("_Pixel", bound=np.generic)


@dataclass(frozen=True, slots=True)
class CropOptions:
    """ID-photo proportions. The defaults reproduce the published example (face box 173x226 at (80, 116) in a cut
    about 355 wide); what the example does not show (the height) is ours."""

    aspect: float = 5 / 7
    """Width / height of the window: 5:7 is the shape of China's 1 inch (25x35 mm) and 2 inch (35x49 mm) photos."""
    head_room: float = 116 / 226
    """Window top above the face box's top, in face heights (example: 116/226)."""
    face_share: float = 173 / 355
    """Face box width / window width, at most (example: 173/355). Broad shoulders make the window wider."""
    shoulder_share: float = 334 / 355
    """Shoulder width / window width, at most (example: 334/355)."""
    most_faces_wide: float = 2.75
    """Widest window in face widths: a body turned or arms spread do not make the head small."""
    hair_gap: float = 0.04
    """Least gap between the top of the hair or hat and the window's top, as a share of the window's height."""
    keep_inside: bool = True
    """Shrink the window (never below ``least_faces_wide``) rather than leave the photo at the bottom: a chest cut off
    in mid-air looks torn."""
    least_faces_wide: float = 1.75
    """Narrowest window in face widths: both ears and the hair beside them."""

    def __post_init__(self) -> None:
        if not 0.2 <= self.aspect <= 5:
            raise OptionError(f"aspect {self.aspect:g} is outside 0.2 .. 5 (width / height)", aspect=self.aspect)
        if not 0 <= self.head_room <= 3:
            raise OptionError(f"head_room {self.head_room:g} is outside 0 .. 3 face heights", head_room=self.head_room)
        for name in ("face_share", "shoulder_share"):
            value = getattr(self, name)
            if not 0.1 <= value <= 1:
                raise OptionError(f"{name} {value:g} is outside 0.1 .. 1", **{name: value})


def window(
    face_box: Box, parts: BodyParts, photo: Size, options: CropOptions | None = None, hair_top: float | None = None
) -> Window:
    """The head-and-shoulders window of a person.

    Args:
        face_box: face box, photo pixels.
        parts: the ten points, photo pixels.
        photo: the photo's size; the window may leave it, but is kept inside at the bottom where that costs nothing
        needed. options: the proportions. hair_top: row of the highest pixel of hair or hat, where the matte has shown
        it.
    """
    options = CropOptions() if options is None else options
    left, right = parts.left_shoulder, parts.right_shoulder
    width = min(
        max(face_box.width / options.face_share, abs(right.x - left.x) / options.shoulder_share),
        face_box.width * options.most_faces_wide,
    )
    top = face_box.top - options.head_room * face_box.height
    bottom = top + width / options.aspect
    if hair_top is not None:
        # (hair_top - top) / (bottom - top) >= gap, the bottom staying where it is.
        top = min(top, (hair_top - options.hair_gap * bottom) / (1 - options.hair_gap))
        width = max(width, (bottom - top) * options.aspect)
    if options.keep_inside and bottom > photo.height:
        least = max(face_box.width * options.least_faces_wide, 1.0)
        shrunk = max((photo.height - top) * options.aspect, least)
        width = min(width, shrunk)
        bottom = top + width / options.aspect
    center = (left.x + right.x) / 2
    # The face stays inside with a sixth of its width to spare, however the body is turned.
    spare = face_box.width / 6
    reach = width / 2 - spare
    face_left, face_right = face_box.left, face_box.right
    center = (
        min(max(center, face_right - reach), face_left + reach)
        if face_right - face_left < 2 * reach
        else (face_box.center[0])
    )
    size = Size(max(1, round(width)), max(1, round(bottom - top)))
    return Window(round(center - size.width / 2), round(top), size.width, size.height)


def take(picture: npt.NDArray[_Pixel], window: Window, fill: int = 0) -> npt.NDArray[_Pixel]:
    """The pixels of ``picture`` (H, W) or (H, W, C) under ``window``; ``fill`` where it leaves the picture. A copy."""
    shape = (window.height, window.width, *picture.shape[2:])
    cut = np.full(shape, fill, dtype=picture.dtype)
    source, target = _overlap(picture.shape, window)
    cut[target] = picture[source]
    return cut


def paste(cut: npt.NDArray[_Pixel], window: Window, picture: npt.NDArray[_Pixel]) -> npt.NDArray[_Pixel]:
    """A copy of ``picture`` with ``cut`` laid over it at ``window``; what leaves the picture is dropped."""
    result = picture.copy()
    target, source = _overlap(picture.shape, window)
    result[target] = cut[source]
    return result


def inside(photo: Size, window: Window) -> npt.NDArray[np.bool_]:
    """Mask (H, W) of the window's pixels that lie inside the photo."""
    mask = np.zeros((window.height, window.width), dtype=np.bool_)
    mask[_overlap((photo.height, photo.width), window)[1]] = True
    return mask


def hair_top(alpha: Alpha, threshold: float = 0.5, least_share: float = 0.01) -> int | None:
    """First row of a head-and-shoulders matte (H, W) in which at least ``least_share`` of the width (at least 2 px)
    is person.

    None where no row is: single stray pixels are no hair.
    """
    rows = np.flatnonzero((alpha >= threshold).sum(axis=1) >= max(2, least_share * alpha.shape[1]))
    return int(rows[0]) if rows.size else None


def _overlap(shape: tuple[int, ...], window: Window) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Slices of the picture and of the cut that hold the same pixels."""
    top, bottom = max(window.top, 0), min(window.bottom, shape[0])
    left, right = max(window.left, 0), min(window.right, shape[1])
    bottom, right = max(bottom, top), max(right, left)
    if bottom == top or right == left:
        return (slice(0, 0), slice(0, 0)), (slice(0, 0), slice(0, 0))
    return (
        (slice(top, bottom), slice(left, right)),
        (slice(top - window.top, bottom - window.top), slice(left - window.left, right - window.left)),
    )

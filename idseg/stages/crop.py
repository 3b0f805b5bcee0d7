"""Places the head-and-shoulders window.

The window is an integer rectangle inside the photo, because the cloud API cuts the original, without black bars. A
window that would extend beyond the photo is moved, then made smaller, and finally changes its aspect. Hair, ears and
chin stay inside. An option lets the window extend beyond the photo.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np

from idseg.errors import OptionError
from idseg.types import Alpha, BodyParts, Box, Size, Window

_SPARE = 1 / 6
"""Minimum space beside the face box for ear and hair, in face widths."""


@dataclass(frozen=True, slots=True)
class CropOptions:
    """Proportions of the window. The defaults reproduce the published example (face box 173x226 at (80, 116) in a cut
    about 355 wide). The example does not give the height; that default is ours."""

    aspect: float = 5 / 7
    """Width / height of the window: 5:7 is the shape of China's 1 inch (25x35 mm) and 2 inch (35x49 mm) photos."""
    head_room: float = 116 / 226
    """Window top above the face box's top, in face heights (example: 116/226)."""
    face_share: float = 173 / 355
    """Maximum of face box width / window width (example: 173/355). Broad shoulders make the window wider."""
    shoulder_share: float = 334 / 355
    """Maximum of shoulder width / window width (example: 334/355)."""
    most_faces_wide: float = 2.75
    """Maximum window width in face widths, so that a turned body or spread arms do not make the head small."""
    hair_gap: float = 0.04
    """Minimum gap between the top of the hair or hat and the window's top, as a share of the window's height."""
    side_gap: float = 0.03
    """Minimum gap between hair or hat brim and the window's sides, as a share of the window's width."""
    may_leave: bool = False
    """Whether the window may extend beyond the left and right of the photo (black there, alpha 0), so that the head
    stays centred. It never extends beyond the top or bottom, where a black band would look like a torn picture: it
    gives up head room, then width (down to ``least_faces_wide``), finally its aspect."""
    keep_inside: bool = True
    """False: the window may extend beyond every side, whatever ``may_leave`` says, for a caller that fills the rest."""
    least_faces_wide: float = 1.75
    """Minimum window width in face widths, enough for both ears and the hair beside them."""

    def __post_init__(self) -> None:
        if not 0.2 <= self.aspect <= 5:
            raise OptionError(f"aspect {self.aspect:g} is outside 0.2 .. 5 (width / height)", aspect=self.aspect)
        if not 0 <= self.head_room <= 3:
            raise OptionError(f"head_room {self.head_room:g} is outside 0 .. 3 face heights", head_room=self.head_room)
        for name in ("face_share", "shoulder_share"):
            value = getattr(self, name)
            if not 0.1 <= value <= 1:
                raise OptionError(f"{name} {value:g} is outside 0.1 .. 1", **{name: value})


class HeadExtent(NamedTuple):
    """Extent of head, hair and hat above the chin: first row, first column, and one past the last column."""

    top: float
    left: float
    right: float


def head_and_shoulders(
    face_box: Box, parts: BodyParts, photo: Size, options: CropOptions | None = None, head: HeadExtent | None = None
) -> Window:
    """Place the head-and-shoulders window of a person.

    Args:
        face_box: face box, photo pixels.
        parts: the ten body parts, photo pixels.
        photo: size of the photo.
        options: proportions of the window.
        head: extent of head, hair and hat in photo pixels, if a matte is known; the window contains all of it.
    """
    options = CropOptions() if options is None else options
    if options.keep_inside and not options.may_leave:
        free = head_and_shoulders(face_box, parts, photo, replace(options, keep_inside=False), head)
        return _moved_inside(free, _needed(face_box, photo, head), photo, face_box.width * options.least_faces_wide)
    left, right = parts.left_shoulder, parts.right_shoulder
    width = max(face_box.width / options.face_share, abs(right.x - left.x) / options.shoulder_share)
    inner_left, inner_right = face_box.left - _SPARE * face_box.width, face_box.right + _SPARE * face_box.width
    if head is not None:
        inner_left, inner_right = min(inner_left, head.left), max(inner_right, head.right)
        width = max(width, (inner_right - inner_left) / (1 - 2 * options.side_gap))
    width = min(width, face_box.width * options.most_faces_wide)
    top = face_box.top - options.head_room * face_box.height
    bottom = top + width / options.aspect
    if head is not None:
        if options.keep_inside and top < 0:
            # The photo ends above: lower the window's top to the photo's edge, as far as the minimum gap allows.
            lower = min(0.0, max(top, head.top - options.hair_gap * (bottom - top)))
            top, bottom = lower, bottom + lower - top
        # Solves (head.top - top) / (bottom - top) >= gap for top, with a fixed bottom.
        top = min(top, (head.top - options.hair_gap * bottom) / (1 - options.hair_gap))
        width = max(width, (bottom - top) * options.aspect)
    if options.keep_inside and bottom > photo.height:
        least = max(face_box.width * options.least_faces_wide, inner_right - inner_left, 1.0)
        width = min(width, max((photo.height - top) * options.aspect, least))
        bottom = top + width / options.aspect
    if options.keep_inside:
        top = max(top, min(0.0, face_box.top))
        bottom = min(bottom, max(float(photo.height), face_box.bottom))
    center = (left.x + right.x) / 2
    if inner_right - inner_left < width:
        center = min(max(center, inner_right - width / 2), inner_left + width / 2)
    else:
        center = (inner_left + inner_right) / 2
    size = Size(max(1, round(width)), max(1, round(bottom - top)))
    return Window(round(center - size.width / 2), round(top), size.width, size.height)


def _needed(face_box: Box, photo: Size, head: HeadExtent | None) -> Box:
    """The area that the window must contain, clipped to the photo: the face with both ears, and the whole head."""
    left, right = face_box.left - _SPARE * face_box.width, face_box.right + _SPARE * face_box.width
    top = face_box.top
    if head is not None:
        left, right, top = min(left, head.left), max(right, head.right), min(top, head.top)
    left, top = max(0.0, min(left, photo.width - 1)), max(0.0, min(top, photo.height - 1))
    right, bottom = min(float(photo.width), right), min(float(photo.height), face_box.bottom)
    return Box(left, top, max(1.0, right - left), max(1.0, bottom - top))


def _moved_inside(free: Window, needed: Box, photo: Size, least_width: float) -> Window:
    """Fit the window into the photo: move it, then make it smaller. If it would become narrower than ``least_width`` or
    lose a part of ``needed``, change its aspect instead."""
    scale = min(1.0, photo.width / free.width, photo.height / free.height)
    width, height = free.size
    if scale < 1:
        width = round(min(photo.width, max(width * scale, needed.width, least_width)))
        height = round(min(photo.height, max(height * scale, needed.height)))
    # The head keeps its relative place in the window.
    center, head_room = free.left + free.width / 2, max(0.0, needed.top - free.top)
    left = _moved(center - width / 2, width, (needed.left, needed.right), photo.width)
    top = _moved(needed.top - head_room * scale, height, (needed.top, needed.bottom), photo.height)
    return Window(left, top, width, height)


def _moved(start: float, length: int, needed: tuple[float, float], room: int) -> int:
    """Start of a span in 0..room that contains what is needed, if it is long enough."""
    held = min(max(start, needed[1] - length), needed[0])
    return int(min(max(round(held), 0), room - length))


def head_extent(alpha: Alpha, chin_row: float, threshold: float = 0.5, least_share: float = 0.01) -> HeadExtent | None:
    """Find hair, hat and head in a head-and-shoulders matte (H, W): the extent of the largest connected piece of person
    above the row of the chin. None if there is none.

    Args:
        threshold: minimum alpha of a person pixel.
        least_share: rows (columns) in which person pixels have less than this share of the width (height) are ignored
            as stray hairs.
    """
    above = np.ascontiguousarray((alpha[: max(1, int(chin_row))] >= threshold).astype(np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
    if count < 2:
        return None
    piece = (labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))).view(np.uint8)
    in_rows, in_columns = (cv2.reduce(piece, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel() for axis in (1, 0))
    rows = np.flatnonzero(in_rows >= max(2, least_share * alpha.shape[1]))
    columns = np.flatnonzero(in_columns >= max(2, least_share * alpha.shape[0]))
    if not rows.size or not columns.size:
        return None
    return HeadExtent(float(rows[0]), float(columns[0]), float(columns[-1] + 1))

"""The window of a photo that the finished photos of some sizes need."""

from __future__ import annotations

from idseg.photo import head as heads
from idseg.photo.place import place
from idseg.photo.size import PhotoSize
from idseg.stages.crop import CropOptions
from idseg.types import Box


def crop_options(*sizes: PhotoSize) -> CropOptions:
    """A window that contains what the finished photos of these sizes show of an average head, with a margin."""
    shown = []
    for size in sizes:
        placement = place(_ORDINARY, heads.Reach(), size)
        half = size.px.width / 2 / placement.scale
        below = placement.mm["eyes"] * size.px_per_mm / placement.scale
        shown.append((half, size.px.height / placement.scale - below, below))
    half, above, below = (max(values) for values in zip(*shown, strict=True))
    width, height = 2 * half * _SPARE / _BOX.width, (above + below) * _SPARE / _BOX.height
    top = above * (1 + _SPARE) / 2 + (below * (_SPARE - 1) / 2)
    return CropOptions(
        aspect=min(5.0, max(0.2, width * _BOX.width / (height * _BOX.height))),
        head_room=min(3.0, max(0.0, (top + _BOX.top) / _BOX.height)),
        face_share=min(1.0, max(0.1, 1 / width)),
        shoulder_share=1.0,
        most_faces_wide=width,
        keep_inside=False,
    )


_SPARE = 1.15
"""Enlargement of the window relative to the finished photo, because heads differ."""
# An average head in units of the distance from eyes to chin, and its face box relative to the eyes: medians of 84
# frontal photos.
_ORDINARY = heads.Head(
    origin=(0.0, 0.0),
    roll_deg=0.0,
    chin_y=1.0,
    hair_y=-1.11,
    crown_y=-0.93,
    crown_doubt=0.1,
    forehead_y=-0.46,
    center_x=0.0,
    face_width=1.28,
    head_width=1.35,
    eyes_apart=0.57,
    exact=True,
)
_BOX = Box(left=-0.684, top=-0.776, width=1.368, height=1.776)

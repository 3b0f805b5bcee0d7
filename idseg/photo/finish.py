"""A Result and a size in, the finished photo and the tale of what was done to the pixels out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from idseg.photo import head as heads
from idseg.photo import render
from idseg.photo.background import Background, parse_background
from idseg.photo.output import Encoded, Format, encode
from idseg.photo.place import Placement, place
from idseg.photo.size import Band, PhotoSize
from idseg.result import Result
from idseg.stages.crop import CropOptions
from idseg.types import Box

_ENLARGED = 1.05
"""Finished pixels per photo pixel above which the photo has too few pixels; 5 % more cannot be seen."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished photo."""

    pixels: npt.NDArray[np.uint8] = field(repr=False)
    """(H, W, 3) RGB, or (H, W, 4) RGBA for a transparent background."""
    size: PhotoSize
    placement: Placement
    background: str
    head: heads.Head

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is not as it should be, in words."""
        return tuple(_warnings(self))

    def encode(self, format: Format | None = None, kb: Band | None = None) -> Encoded:
        """The file, by default in the document's format (JPEG where it has none) and range of kilobytes.

        Raises:
            OptionError: the range cannot be met, or the format has no transparency.
        """
        chosen: Format = format or ("PNG" if self.pixels.shape[2] == 4 else "JPEG")
        size_mm = (self.size.width_mm, self.size.height_mm)
        return encode(self.pixels, chosen, self.size.dpi, self.size.kb if kb is None else kb, size_mm)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON: where the head came to lie and what was done to the pixels."""
        placement = self.placement
        return {
            "size": self.size.name,
            "px": [self.pixels.shape[1], self.pixels.shape[0]],
            "mm": [self.size.width_mm, self.size.height_mm],
            "dpi": self.size.dpi,
            "head_mm": {name: round(value, 3) for name, value in placement.mm.items()},
            "rules": [
                {
                    "rule": rule.rule,
                    "value_mm": round(rule.value_mm, 3),
                    "allowed_mm": [round(rule.allowed_mm.low, 3), round(rule.allowed_mm.high, 3)],
                    "ok": rule.off == 0,
                }
                for rule in placement.rules
            ],
            "rules_from": "document" if self.size.framing_is_rule else "default composition",
            "lacks_mm": {side: round(value, 2) for side, value in placement.lacks_mm.items()},
            "warnings": list(self.warnings),
            **self.pixels_done,
        }

    @property
    def pixels_done(self) -> Mapping[str, Any]:
        """What was done to the pixels. ``unretouched``: nobody's features, skin, hair or clothes were changed; edges
        had the old background's colour taken out."""
        return {
            "unretouched": True,
            "turned_deg": round(self.placement.turned_deg, 3),
            "scaled": round(self.placement.scale, 5),
            "resamplings": 1,
            "background_replaced": self.background,
            "stretched": False,
        }


def finish(result: Result, size: PhotoSize, background: Background | None = None) -> Finished:
    """The finished photo of a person.

    Args:
        result: of a photo, best cut with :func:`crop_options`.
        size: what is asked for.
        background: None: the document's usual one, white where it names none.
    """
    if background is None:
        background = parse_background(size.backgrounds[0] if size.backgrounds else "white")
    head = heads.measure(result.person, result.person.mesh, result.alpha, result.window)
    reach = heads.reach(result.alpha, result.window, result.photo_size, head)
    placement = place(head, reach, size)
    colors, alpha = render.draw(result.foreground, result.alpha, result.window, placement, size.px)
    backdrop = background.paint(size.px)
    pixels = render.rgba(colors, alpha) if backdrop is None else render.over(colors, alpha, backdrop)
    return Finished(pixels, size, placement, background.text, head)


def crop_options(*sizes: PhotoSize) -> CropOptions:
    """A window that holds what the finished photos of these sizes show of an ordinary head, and something to spare."""
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
"""Window over finished photo: heads are not all alike."""
# An ordinary head in chin distances (eyes to chin = 1) and its face box about the eyes: medians of 84 frontal photos.
_ORDINARY = heads.Head(
    origin=(0.0, 0.0),
    roll_deg=0.0,
    chin_y=1.0,
    hair_y=-1.11,
    skull_y=-1.0,
    center_x=0.0,
    face_width=1.28,
    head_width=1.35,
    eyes_apart=0.57,
    exact=True,
)
_BOX = Box(left=-0.684, top=-0.776, width=1.368, height=1.776)


_SIDES = {"left": "left edge", "right": "right edge", "top": "upper edge", "bottom": "lower edge"}


def _warnings(finished: Finished) -> list[str]:
    words = []
    for rule in finished.placement.rules:
        if rule.off > 0:
            low, high = rule.allowed_mm
            words.append(
                f"{rule.rule} {rule.value_mm:.1f} mm is outside {low:.1f} .. {high:.1f} mm: the photo gives no better"
            )
    for side, value in finished.placement.lacks_mm.items():
        words.append(
            f"the photo ends {value:.1f} mm before the {_SIDES[side]}: the person is cut off, only the backdrop goes on"
        )
    if finished.placement.scale > _ENLARGED:
        words.append(
            f"the photo was enlarged {finished.placement.scale:.2f} times: it has too few pixels for "
            f"{finished.size.px.width} x {finished.size.px.height} px"
        )
    if not finished.head.exact:
        words.append("no face mesh: the chin and the turn of the head are estimates")
    return words

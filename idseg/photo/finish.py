"""Makes the finished photo from a Result and a size, with a record of what was done to the pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from idseg.photo import head as heads
from idseg.photo import render
from idseg.photo.adjust import Adjustment, adjusted
from idseg.photo.background import KEEP, Background, parse_background
from idseg.photo.conflicts import conflicts
from idseg.photo.light import check_stops, lit
from idseg.photo.output import Encoded, Format, encode
from idseg.photo.place import Measured, Placement, place
from idseg.photo.size import Band, PhotoSize, RuleName
from idseg.photo.turn import MOST_LEFT_DEG, sure_slope_deg, upright_deg
from idseg.photo.verdict import CHECK_YOURSELF
from idseg.result import Result
from idseg.types import Person, Window

ENLARGED = 1.05
"""Finished pixels per photo pixel above which the photo has too few pixels; 5 % enlargement is not visible."""
_TURN_SEEN_DEG = 0.05
_HAIR_CUT_MM = 0.2
"""Maximum height of cut-off hair that is not visible."""
_SMALLER_TURNS = 4
_LEFT_COST = 0.02
"""Cost per degree of roll that remains, relative to the other costs of a placement."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished photo."""

    pixels: npt.NDArray[np.uint8] = field(repr=False)
    """(H, W, 3) RGB, or (H, W, 4) RGBA for a transparent background."""
    size: PhotoSize
    placement: Placement
    background: Background
    head: heads.Head
    lacks_room_mm: Mapping[heads.Side, float] = field(default_factory=dict)
    """If the wall is kept and the photo is too small around the head: millimetres by which a photo that obeys the rules
    would extend beyond it."""
    conflicts: tuple[str, ...] = ()
    """Descriptions of rules and photo edges that cannot all be met."""
    passed_over: tuple[str, ...] = ()
    """Other faces in the photo, in whole sentences."""
    light_stops: float = 0.0
    """Manual change of brightness in stops; negative: darker."""
    head_cut: tuple[heads.Side, ...] = ()
    """Sides of the finished photo on which an edge of the original photo, inside the finished photo, cuts the head
    off."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Descriptions of everything that does not meet the requirements."""
        return tuple(_warnings(self))

    @property
    def done(self) -> tuple[str, ...]:
        """Descriptions of the processing steps."""
        return tuple(_done(self))

    def encode(self, format: Format | None = None, kb: Band | None = None) -> Encoded:
        """Encode the photo, by default in the document's format (or JPEG) and range of kilobytes.

        Raises:
            OptionError: the range cannot be met, or the format does not support transparency.
        """
        chosen: Format = format or ("PNG" if self.pixels.shape[2] == 4 else "JPEG")
        size_mm = (self.size.width_mm, self.size.height_mm)
        return encode(self.pixels, chosen, self.size.dpi, self.size.file_kb if kb is None else kb, size_mm)

    def to_dict(self) -> dict[str, Any]:
        """Place of the head and processing of the pixels, ready for JSON."""
        placement, mm_per_px = self.placement, self.placement.scale / self.size.px_per_mm
        return {
            "size": self.size.name,
            "px": [self.pixels.shape[1], self.pixels.shape[0]],
            "mm": [self.size.width_mm, self.size.height_mm],
            "dpi": self.size.dpi,
            "head_mm": {name: round(value, 3) for name, value in placement.mm.items()},
            "to_crown_mm": round(self.head.to_crown * mm_per_px, 3),
            "crown_doubt_mm": round(self.head.crown_doubt * mm_per_px, 3),
            "to_hair_mm": round(self.head.to_hair * mm_per_px, 3),
            "rules": [_rule(rule, self.size) for rule in placement.rules],
            "rules_from": "document" if self.size.framing_is_rule else "default composition",
            "conflicts": list(self.conflicts),
            "lacks_mm": {side: round(value, 2) for side, value in placement.lacks_mm.items()},
            "lacks_room_mm": {side: round(value, 2) for side, value in self.lacks_room_mm.items()},
            "warnings": list(self.warnings),
            **self.pixels_done,
        }

    @property
    def pixels_done(self) -> Mapping[str, Any]:
        """Processing of the pixels. ``unretouched``: features, skin, hair, clothes and the light on them were not
        changed. If the background was replaced, its colour was removed from the person's edges."""
        kind = {"keep": "kept", "transparent": "removed"}.get(self.background.kind, "replaced")
        return {
            "unretouched": self.light_stops == 0,
            "light_stops": self.light_stops,
            "done": list(self.done),
            "turned_deg": round(self.placement.turned_deg, 3),
            "mirrored": self.placement.mirrored,
            "scaled": round(self.placement.scale, 5),
            "resamplings": 1,
            "background": {"kind": kind, "text": self.background.text},
            "edits": self.size.edits,
            "stretched": False,
        }


def finish(
    result: Result,
    size: PhotoSize,
    background: Background | None = None,
    by_hand: Adjustment | None = None,
    light_stops: float = 0.0,
) -> Finished:
    """Make the finished photo of a person.

    Args:
        result: result for the photo, ideally cut with :func:`idseg.photo.window.crop_options`.
        size: the document.
        background: None: the photo's own if the document allows only cropping; otherwise the document's usual
            background, or white if it names none.
        by_hand: manual change of the placement; None: no change.
        light_stops: manual change of brightness, -1 to 1; it is an edit, and the record says so.

    Raises:
        OptionError: ``light_stops`` is outside its range.
    """
    check_stops(light_stops)
    if background is None:
        plain = size.backgrounds[0] if size.backgrounds else "white"
        background = KEEP if size.edits == "crop only" else parse_background(plain)
    keep = background.kind == "keep"
    head, placement = placed(result, size, keep=keep)
    if by_hand is not None and not by_hand.is_none:
        placement = adjusted(placement, head, _reach(result, head), size, by_hand)
    room: Mapping[heads.Side, float] = {}
    against: tuple[str, ...] = ()
    others = tuple(passed_over_faces(result.person))
    photo = result.photo_size
    if any(rule.off > 0 for rule in placement.rules):
        against = tuple(_in_words(name, size) for name in conflicts(head, size, photo if keep else None))
    if keep and _is_poor(head, placement, size):
        room = place(head, _reach(result, head), size, photo).leaves_mm
    head_cut = _head_cut(_reach(result, head), placement)
    if light_stops:
        result = replace(result, photo=lit(result.photo, light_stops), foreground=lit(result.foreground, light_stops))
    pixels = _painted(result, placement, size, background)
    return Finished(pixels, size, placement, background, head, room, against, others, light_stops, head_cut)


def passed_over_faces(person: Person) -> Iterator[str]:
    """Sentences about other faces in the photo. A larger one may belong to the intended person."""
    x, _ = person.face_box.center
    for box in person.others:
        times = box.height / person.face_box.height
        side = "left" if box.center[0] < x else "right"
        larger = "larger" if times > 1 else "smaller"
        yield f"another, {larger} face ({times:.1f} times as high) to the {side} was passed over: a person or a poster"


def placed(result: Result, size: PhotoSize, *, keep: bool) -> tuple[heads.Head, Placement]:
    """The head in the frame of the finished photo, and the best placement.

    Args:
        result: result for the photo.
        size: the document.
        keep: never extend beyond the photo; if that breaks a rule or cuts hair off, smaller rotations are tried too,
            because a rotated frame needs more of the photo.
    """
    person = result.person
    roll = person.head.roll_deg
    slope = sure_slope_deg(result.alpha, result.window, person.face_box)
    wanted = upright_deg(roll, slope, size.turn_deg)
    best = _turned(result, size, wanted, keep=keep)
    if keep and _is_poor(best[0], best[1], size):
        for less in np.linspace(0, min(MOST_LEFT_DEG, abs(wanted)), _SMALLER_TURNS + 1)[1:]:
            turn = wanted - math.copysign(float(less), wanted)
            if abs(roll + turn) <= MOST_LEFT_DEG:
                best = min(best, _turned(result, size, turn, keep=keep), key=lambda found: found[2])
    return best[0], best[1]


def _is_poor(head: heads.Head, placement: Placement, size: PhotoSize) -> bool:
    """Whether the placement breaks a rule or cuts hair off."""
    return placement.hair_cut_mm(head, size) > _HAIR_CUT_MM or any(rule.off > 0 for rule in placement.rules)


def _turned(result: Result, size: PhotoSize, turn_deg: float, *, keep: bool) -> tuple[heads.Head, Placement, float]:
    """The head, its placement and the cost, if the photo is rotated by ``turn_deg``."""
    person = result.person
    head = heads.measure(person, person.mesh, result.alpha, result.window, -turn_deg)
    placement = place(head, _reach(result, head), size, result.photo_size, keep=keep)
    return head, placement, placement.cost + _LEFT_COST * abs(person.head.roll_deg + turn_deg)


def _head_cut(reach: heads.Reach, placement: Placement) -> tuple[heads.Side, ...]:
    """Sides on which the photo's edge cuts the head off inside the finished photo."""
    other: Mapping[heads.Side, heads.Side] = {"left": "right", "right": "left"} if placement.mirrored else {}
    cut = (other.get(side, side) for side in reach.head_cut)
    return tuple(side for side in cut if side in placement.lacks_mm)


def _reach(result: Result, head: heads.Head) -> heads.Reach:
    return heads.reach(result.alpha, result.window, result.photo_size, head)


def _painted(result: Result, placement: Placement, size: PhotoSize, background: Background) -> npt.NDArray[np.uint8]:
    """The finished pixels: those of the photo, or the person over a background."""
    if background.kind == "keep":
        photo = result.photo_size
        colors, _ = render.draw(result.photo, None, Window(0, 0, photo.width, photo.height), placement, size.px)
        return np.asarray(np.rint(colors), dtype=np.uint8)
    colors, alpha = render.draw(result.foreground, result.alpha, result.window, placement, size.px)
    backdrop = background.paint(size.px)
    return render.rgba(colors, alpha) if backdrop is None else render.over(colors, alpha, backdrop)


_SIDES: Mapping[str, str] = {"left": "left edge", "top": "upper edge", "right": "right edge", "bottom": "lower edge"}
TERMS: Mapping[str, str] = {
    "head": "head height",
    "eyes": "eye line above the lower edge",
    "top": "gap above the head",
    "chin": "gap below the chin",
    "face": "face width",
    "width": "head width",
}
"""Terms for the rules of a placement."""
_TOPS: Mapping[str, str] = {"crown": "crown to chin", "hair": "top of the hair to chin", "forehead": "hairline to chin"}


def term_of(rule: RuleName, size: PhotoSize) -> str:
    """The term for a rule; for the head's height it includes the upper end."""
    return f"{TERMS[rule]} ({_TOPS[size.framing.head_top]})" if rule == "head" else TERMS[rule]


def _in_words(name: str, size: PhotoSize) -> str:
    """A rule with its range, or an edge of the photo, as text."""
    if name.startswith("edge:"):
        return f"the photo's {_SIDES[name.removeprefix('edge:')]}"
    band = size.framing.bands()[cast(RuleName, name)]
    return f"{term_of(cast(RuleName, name), size)} {band.low:.1f} .. {band.high:.1f} mm"


def _rule(rule: Measured, size: PhotoSize) -> dict[str, Any]:
    return {
        "rule": rule.rule,
        "term": term_of(rule.rule, size),
        "value_mm": round(rule.value_mm, 3),
        "allowed_mm": [round(end, 3) for end in rule.allowed_mm],
        "doubt_mm": round(rule.doubt_mm, 3),
        "status": rule.status,
    }


def _warnings(finished: Finished) -> Iterator[str]:
    size, placement = finished.size, finished.placement
    for rule in placement.rules:
        low, high = rule.allowed_mm
        shown = f"{term_of(rule.rule, size)} {rule.value_mm:.1f} mm"
        if rule.off > 0:
            yield f"{shown} is outside {low:.1f} .. {high:.1f} mm: the photo allows no better placement"
        elif rule.status == CHECK_YOURSELF:
            yield (
                f"{shown} lies inside {low:.1f} .. {high:.1f} mm, but the crown under the hair is an estimate, good to "
                f"{rule.doubt_mm:.1f} mm: check it yourself"
            )
    if finished.conflicts:
        yield f"no place meets all rules; these conflict: {', '.join(finished.conflicts)}"
    for side, value in finished.lacks_room_mm.items():
        yield (
            f"the photo is too small around the head: it ends {value:.1f} mm before the {_SIDES[side]} of a photo that "
            "obeys the rules; the wall is not extended"
        )
    if (cut := placement.hair_cut_mm(finished.head, size)) > _HAIR_CUT_MM:
        yield f"the upper edge cuts {cut:.1f} mm of hair off"
    for side, value in placement.lacks_mm.items():
        yield (f"the photo ends {value:.1f} mm before the {_SIDES[side]}: the person is cut off there")
    if finished.background.kind != "keep" and size.edits == "crop only":
        yield (
            f"{size.name} allows no change but cropping ({size.edits_source or 'see its guide'}); the background was "
            "replaced all the same: the photo may be refused"
        )
    if finished.light_stops and size.edits == "crop only":
        yield f"{size.name} allows no change but cropping; the light was changed all the same: it may be refused"
    if placement.scale > ENLARGED:
        yield (
            f"the photo was enlarged {placement.scale:.2f} times: it has too few pixels for "
            f"{size.px.width} x {size.px.height} px"
        )
    yield from finished.passed_over
    if not finished.head.exact:
        yield "no face mesh: the chin and the turn of the head are estimates"


def _done(finished: Finished) -> Iterator[str]:
    """Descriptions of the processing steps, in order."""
    placement, turned = finished.placement, finished.placement.turned_deg
    yield "cropped"
    if abs(turned) >= _TURN_SEEN_DEG:
        yield f"turned by {abs(turned):.1f} degrees {'clockwise' if turned > 0 else 'counter-clockwise'}"
    yield f"scaled to {100 * placement.scale:.3g} % ({'enlarged' if placement.scale > 1 else 'reduced'})"
    if placement.mirrored:
        yield "mirrored"
    if finished.light_stops:
        change = "brightened" if finished.light_stops > 0 else "darkened"
        yield f"{change} by {abs(finished.light_stops):.2g} stops (an edit)"
    kind = finished.background.kind
    if kind == "keep":
        yield "background kept: the photo's own pixels"
    elif kind == "transparent":
        yield "background removed"
    else:
        yield f"background replaced by {finished.background.text}"

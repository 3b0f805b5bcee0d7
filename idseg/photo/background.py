"""The background behind the person: the photo's own wall, a colour, a gradient, a picture, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from idseg.errors import OptionError
from idseg.imaging.colours import Color, parse_color
from idseg.imaging.resize import resize
from idseg.types import Rgb, Size

Kind = Literal["keep", "plain", "vertical", "radial", "picture", "transparent"]


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """One background. ``keep``: the photo's own; ``plain``: ``colors[0]``; ``vertical``: gradient from top to bottom;
    ``radial``: from the centre to the corners; ``picture``: centred, covers the photo, not stretched;
    ``transparent``: none."""

    kind: Kind
    colors: tuple[tuple[int, int, int], ...] = ()
    picture: Rgb | None = None
    text: str = ""
    """The text that the user gave."""

    def paint(self, size: Size) -> Rgb | None:
        """The background (H, W, 3); None for ``transparent`` and ``keep``."""
        if self.kind in ("transparent", "keep"):
            return None
        if self.kind == "picture":
            assert self.picture is not None  # noqa: S101 - made so below
            return _cover(self.picture, size)
        if self.kind == "plain":
            return np.full((size.height, size.width, 3), self.colors[0], dtype=np.uint8)
        return _gradient(self.kind, self.colors[0], self.colors[1], size)


KEEP = Background("keep", text="keep")
"""The photo's own wall."""


def parse_background(text: Color) -> Background:
    """Parse ``keep``, ``white``, ``#438edb``, ``(67, 142, 219)``, ``vertical:#438edb,white``,
    ``radial:white,#438edb``, ``transparent``, or ``@picture.jpg``.

    Raises:
        OptionError: the text is none of these.
        InputError: the picture cannot be read.
    """
    if not isinstance(text, str):
        return Background("plain", (parse_color(text),), text=str(text))
    plain = text.strip()
    if plain.lower() in {"transparent", "none"}:
        return Background("transparent", text=plain)
    if plain.lower() == "keep":
        return KEEP
    if plain.startswith("@"):
        from idseg.stages.decode import decode

        return Background("picture", picture=decode(Path(plain[1:])).rgb, text=plain)
    kind, colon, rest = plain.partition(":")
    if colon:
        colors = tuple(parse_color(part) for part in rest.split(","))
        if kind not in ("vertical", "radial") or len(colors) != 2:
            raise OptionError(
                f"{text!r} is not a background; a gradient is vertical:COLOR,COLOR or radial:COLOR,COLOR",
                background=text,
            )
        return Background("vertical" if kind == "vertical" else "radial", colors, text=plain)
    return Background("plain", (parse_color(plain),), text=plain)


def _gradient(kind: Kind, first: tuple[int, int, int], second: tuple[int, int, int], size: Size) -> Rgb:
    """Gradient from ``first`` to ``second`` in sRGB values. The outermost pixel centres are half a pixel inside the
    full colours."""
    rows = (np.arange(size.height, dtype=np.float64) + 0.5) / size.height
    columns = (np.arange(size.width, dtype=np.float64) + 0.5) / size.width
    if kind == "vertical":
        share = np.broadcast_to(rows[:, None], (size.height, size.width))
    else:
        share = np.hypot(2 * columns[None, :] - 1, 2 * rows[:, None] - 1) / np.sqrt(2)
    low, high = np.array(first, dtype=np.float64), np.array(second, dtype=np.float64)
    return np.asarray(np.rint(low + (high - low) * share[..., None]), dtype=np.uint8)


def _cover(picture: Rgb, size: Size) -> Rgb:
    """The centre of ``picture``, scaled uniformly until it covers ``size``."""
    height, width = picture.shape[:2]
    factor = max(size.width / width, size.height / height)
    wide, high = max(size.width, round(width * factor)), max(size.height, round(height * factor))
    scaled = resize(picture, Size(wide, high))
    left, top = (wide - size.width) // 2, (high - size.height) // 2
    return np.ascontiguousarray(scaled[top : top + size.height, left : left + size.width], dtype=np.uint8)

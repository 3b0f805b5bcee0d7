"""One size of an ID photo: what a document asks for, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias, cast

from idseg.types import Size

MM_PER_INCH = 25.4
DEFAULT_DPI = 300.0
"""Print resolution where a rule names none: what photo laboratories print at."""

HeadTop: TypeAlias = Literal["hair", "skull"]
Basis: TypeAlias = Literal["authority", "cited", "reported", "icao", "standard", "trade", "number"]
RuleName: TypeAlias = Literal["head", "eyes", "top", "chin", "face", "width"]


class Band(NamedTuple):
    """An allowed range, both ends included."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2

    @property
    def half(self) -> float:
        """Half of the width."""
        return (self.high - self.low) / 2

    def holds(self, value: float, slack: float = 0.0) -> bool:
        """Whether ``value`` is inside, or outside by at most ``slack``."""
        return self.low - slack <= value <= self.high + slack


@dataclass(frozen=True, slots=True)
class Framing:
    """Where the head has to be, in millimetres of the finished photo. None: there is no such rule."""

    head: Band | None = None
    """Chin to the top of the head."""
    head_top: HeadTop = "hair"
    """Which top ``head`` is measured to: the highest hair, or the crown without the hair."""
    eyes: Band | None = None
    """Line of the eyes above the lower edge."""
    top: Band | None = None
    """Gap between the hair and the upper edge."""
    chin: Band | None = None
    """Gap between the chin and the lower edge."""
    face: Band | None = None
    """Width of the face between the roots of the ears."""
    width: Band | None = None
    """Width of the head, ear to ear."""

    def bands(self) -> Mapping[RuleName, Band]:
        """The rules there are, by name."""
        named = {
            "head": self.head,
            "eyes": self.eyes,
            "top": self.top,
            "chin": self.chin,
            "face": self.face,
            "width": self.width,
        }
        return {cast(RuleName, name): band for name, band in named.items() if band is not None}


@dataclass(frozen=True, slots=True)
class PhotoSize:
    """One document's photo."""

    name: str
    width_mm: float
    height_mm: float
    px: Size
    """Pixels of the finished photo."""
    framing: Framing
    framing_is_rule: bool
    """False: the document has no rule for the head; ``framing`` is the default composition."""
    dpi: float = DEFAULT_DPI
    en: str = ""
    zh: str = ""
    country: str = ""
    """ISO 3166-1 alpha-2, or ``EU``, ``ICAO``, or nothing for a size by number."""
    document: str = ""
    kb: Band | None = None
    """Least and most kilobytes of the file; a least of 0 means none."""
    format: str | None = None
    backgrounds: tuple[str, ...] = ()
    """Colours that are allowed, the usual one first; empty: the rule names none."""
    basis: Basis = "number"
    source: str = ""
    url: str = ""
    note: str = ""
    aka: tuple[str, ...] = ()

    @property
    def px_per_mm(self) -> float:
        """Pixels of the finished photo to the millimetre, down the height."""
        return self.px.height / self.height_mm

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        rules = {name: [band.low, band.high] for name, band in self.framing.bands().items()}
        return {
            "name": self.name,
            "en": self.en,
            "zh": self.zh,
            "aka": list(self.aka),
            "country": self.country,
            "document": self.document,
            "mm": [self.width_mm, self.height_mm],
            "px": list(self.px),
            "dpi": self.dpi,
            "kb": None if self.kb is None else list(self.kb),
            "format": self.format,
            "rules_mm": rules,
            "rules_from": "document" if self.framing_is_rule else "default composition",
            "head_top": self.framing.head_top,
            "background": list(self.backgrounds),
            "basis": self.basis,
            "source": self.source,
            "url": self.url,
            "note": self.note,
        }

"""The requirements of one document for its ID photo, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, NamedTuple, TypeAlias, cast

from idseg.types import Size

MM_PER_INCH = 25.4
DEFAULT_DPI = 300.0
"""Print resolution if a rule names none: the usual resolution of photo laboratories."""

HeadTop: TypeAlias = Literal["crown", "hair", "forehead"]
"""Upper end of the head in a rule: the crown of the skull without hair, the highest hair, or the hairline."""
Basis: TypeAlias = Literal["authority", "cited", "reported", "icao", "standard", "trade", "number"]
RuleName: TypeAlias = Literal["head", "eyes", "top", "chin", "face", "width"]
Edits: TypeAlias = Literal["allowed", "crop only", "unknown"]
Channel: TypeAlias = Literal["print", "upload", "on site"]
Glasses: TypeAlias = Literal["no", "clear", "unknown"]
HeadCovering: TypeAlias = Literal["no", "religious", "religious or medical", "unknown"]
Expression: TypeAlias = Literal["neutral", "slight smile", "any", "unknown"]

COLOR_NAMES: Mapping[str, str] = {
    "white": "#ffffff",
    "off-white": "#f5f5f5",
    "light grey": "#e6e6e6",
    "grey": "#bebebe",
    "cream": "#fffdd0",
    "beige": "#f5f0dc",
    "pale blue": "#cfe2f3",
    "light blue": "#a0c8f0",
    "blue": "#438edb",
    "red": "#d9001b",
}
"""Background colour names of the table → sRGB value. If an authority gives its own value, the table has it as
#rrggbb."""


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
    """Required place of the head, in millimetres of the finished photo. None: there is no such rule."""

    head: Band | None = None
    """Distance from the chin to the top of the head."""
    head_top: HeadTop = "hair"
    """Upper end of ``head``."""
    eyes: Band | None = None
    """Height of the line of the eyes above the lower edge."""
    top: Band | None = None
    """Gap between the top of the head and the upper edge."""
    gap_top: HeadTop = "hair"
    """Lower end of ``top``: ``hair``, or ``crown`` if the rule measures the gap from the crown."""
    chin: Band | None = None
    """Gap between the chin and the lower edge."""
    face: Band | None = None
    """Width of the face between the roots of the ears."""
    width: Band | None = None
    """Width of the head from ear to ear."""

    def bands(self) -> Mapping[RuleName, Band]:
        """The existing rules, by name."""
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
    """The photo of one document."""

    name: str
    width_mm: float
    height_mm: float
    px: Size
    """Pixels of the finished photo that idseg makes."""
    framing: Framing
    framing_is_rule: bool
    """False: the document has no rule for the head, and ``framing`` is the default composition."""
    dpi: float = DEFAULT_DPI
    en: str = ""
    zh: str = ""
    country: str = ""
    """ISO 3166-1 alpha-2, ``EU`` or ``ICAO``; empty for a size given as numbers."""
    document: str = ""

    kb: Band | None = None
    """Minimum and maximum kilobytes of the file; a minimum of 0 means none. See ``file_kb``."""
    px_min: Size | None = None
    """Minimum pixels of an uploaded file, (width, height)."""
    px_max: Size | None = None
    """Maximum pixels of an uploaded file, (width, height)."""
    compression: float | None = None
    """Maximum ratio of the uncompressed 24-bit picture to the file: 20 allows a file of at least 1/20."""
    formats: tuple[str, ...] = ()
    """Accepted file formats, the usual one first; empty: none named."""
    site_crops: bool = False
    """The authority's site crops the photo itself and requires head and upper body with space around them; the default
    composition then shows the upper body."""
    channels: tuple[Channel, ...] = ()
    """How the photo reaches the authority: a print, an upload, or taken on site. Empty: unknown."""
    prints: int | None = None
    """Number of prints to hand in; None: unknown."""

    backgrounds: tuple[str, ...] = ()
    """Allowed colours as #rrggbb, the usual one first; empty: the rule names none."""
    any_light: bool = False
    """Any plain light colour is allowed; ``backgrounds`` are the usual ones."""
    edits: Edits = "unknown"
    """Allowed processing. ``crop only`` forbids a replaced background and every change of pixels except cropping,
    rotating and scaling."""
    edits_source: str = ""
    turn_deg: float | None = None
    """Maximum rotation of the photo in degrees; None: the rule names none."""
    glasses: Glasses = "unknown"
    """``clear``: allowed with fully visible eyes, without tint and glare."""
    head_covering: HeadCovering = "unknown"
    """Reasons for which a head covering is allowed."""
    expression: Expression = "unknown"
    """``slight smile``: with closed lips; ``any``: small children."""
    age_months: int | None = None
    """Maximum age of the photo in months (of 30 days); None: unknown."""

    basis: Basis = "number"
    source: str = ""
    """Title of the page, and a summary of its content."""
    guide: str = ""
    """Address of the authority's page about the photo."""
    checked: date | None = None
    """Date of the last comparison of the row with its source."""
    unsure: str = ""
    """What could not be confirmed; empty: everything was."""
    note: str = ""
    aka: tuple[str, ...] = ()

    @property
    def px_per_mm(self) -> float:
        """Pixels of the finished photo per millimetre of its height."""
        return self.px.height / self.height_mm

    @property
    def file_kb(self) -> Band | None:
        """Range of kilobytes of the finished file: ``kb``, with the minimum that ``compression`` implies for ``px``;
        None if neither is given."""
        if self.compression is None:
            return self.kb
        least = self.px.width * self.px.height * 3 / self.compression / 1000
        return Band(least, float("inf")) if self.kb is None else Band(max(least, self.kb.low), self.kb.high)

    def to_dict(self) -> dict[str, Any]:
        """The values ready for JSON."""
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
            "px_min": None if self.px_min is None else list(self.px_min),
            "px_max": None if self.px_max is None else list(self.px_max),
            "dpi": self.dpi,
            "kb": None if self.kb is None else list(self.kb),
            "compression": self.compression,
            "formats": list(self.formats),
            "site_crops": self.site_crops,
            "channels": list(self.channels),
            "prints": self.prints,
            "rules_mm": rules,
            "rules_from": "document" if self.framing_is_rule else "default composition",
            "head_top": self.framing.head_top,
            "gap_top": self.framing.gap_top,
            "background": list(self.backgrounds),
            "background_any_light": self.any_light,
            "edits": self.edits,
            "edits_source": self.edits_source,
            "turn_deg": self.turn_deg,
            "glasses": self.glasses,
            "head_covering": self.head_covering,
            "expression": self.expression,
            "age_months": self.age_months,
            "basis": self.basis,
            "source": self.source,
            "guide": self.guide,
            "checked": None if self.checked is None else self.checked.isoformat(),
            "unsure": self.unsure,
            "note": self.note,
        }

"""One measured (or published) figure, and the file of one run: the seam between measuring and showing.

``results.schema.json`` beside this file says the same in JSON Schema; tests check every file of ``results/`` by it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

HERE = Path(__file__).parent
RESULTS = HERE / "results"
SCHEMA = HERE / "results.schema.json"
FORMAT = 1

Statistic: TypeAlias = Literal["mean", "median", "p95", "least", "most", "share", "count", "value"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One number and what it is."""

    subject: str
    """What was measured: ``"idseg"``, ``"ISNet"``, ``"stage: detect"``."""
    on: str
    """On what: a set of pictures, a size."""
    measure: str
    """``"MAD"``, ``"time"``, ``"agreement"``."""
    statistic: Statistic
    value: float
    unit: str
    count: int
    """How many measurements (pictures, runs) it stands on; 0 where a publication does not say."""
    origin: Literal["measured", "published"] = "measured"
    source: str = ""
    """Where a published figure stands."""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes it the same figure in another run."""
        return self.subject, self.on, self.measure, self.statistic


@dataclass(frozen=True, slots=True)
class Result:
    """One run of one benchmark."""

    benchmark: str
    date: str
    """UTC, ISO 8601."""
    commit: str
    changed: bool
    """Whether files of the project differed from that commit."""
    seconds: float
    environment: Mapping[str, Any]
    settings: Mapping[str, Any]
    figures: tuple[Figure, ...]
    matrices: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What was left out and why; what the figures do not show."""

    def named(self, subject: str, on: str, measure: str, statistic: Statistic) -> float | None:
        """One figure's value; None where it was not measured."""
        wanted = (subject, on, measure, statistic)
        return next((figure.value for figure in self.figures if figure.key == wanted), None)


def write(result: Result, folder: Path = RESULTS) -> Path:
    """Save as ``<benchmark>.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result.benchmark}.json"
    path.write_text(json.dumps({"format": FORMAT, **asdict(result)}, indent=1, ensure_ascii=False) + "\n")
    return path


def read(path: Path) -> Result:
    """A saved run.

    Raises ValueError where the file has another format.
    """
    saved = json.loads(path.read_text())
    if saved.pop("format", None) != FORMAT:
        raise ValueError(f"{path} is no result file of format {FORMAT}")
    figures = tuple(Figure(**figure) for figure in saved.pop("figures"))
    return Result(figures=figures, notes=tuple(saved.pop("notes")), **saved)


def read_all(folder: Path = RESULTS) -> dict[str, Result]:
    """All saved runs by benchmark; files of other formats (benchmarks with their own) are left out."""
    results = {}
    for path in sorted(folder.glob("*.json")):
        if json.loads(path.read_text()).get("format") == FORMAT:
            result = read(path)
            results[result.benchmark] = result
    return results

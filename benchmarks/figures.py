"""The data model: one figure (measured or published), and the file with all figures of one run.

``results.schema.json`` beside this file is the same format as JSON Schema; the tests validate ``results/`` with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
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
    """One number with its description."""

    subject: str
    """The measured method or stage: ``"idseg"``, ``"ISNet"``, ``"stage: detect"``."""
    on: str
    """The input: a set of pictures or a size."""
    measure: str
    """``"MAD"``, ``"time"``, ``"agreement"``."""
    statistic: Statistic
    value: float
    unit: str
    count: int
    """Number of measurements (pictures or runs); 0 if a publication does not give it."""
    origin: Literal["measured", "published"] = "measured"
    source: str = ""
    """Where a published figure was published; empty for a measured one."""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Identifies the same figure in different runs."""
        return self.subject, self.on, self.measure, self.statistic


@dataclass(frozen=True, slots=True)
class Result:
    """One run of one benchmark."""

    benchmark: str
    date: str
    """UTC, ISO 8601."""
    commit: str
    changed: bool
    """Whether project files differed from that commit."""
    seconds: float
    environment: Mapping[str, Any]
    settings: Mapping[str, Any]
    figures: tuple[Figure, ...]
    matrices: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What was left out and why, and what the figures do not show."""

    def named(self, subject: str, on: str, measure: str, statistic: Statistic) -> float | None:
        """Value of one figure; None if it was not measured."""
        wanted = (subject, on, measure, statistic)
        return next((figure.value for figure in self.figures if figure.key == wanted), None)


def write(result: Result, folder: Path = RESULTS) -> Path:
    """Save the run as ``<benchmark>.json`` and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result.benchmark}.json"
    path.write_text(json.dumps({"format": FORMAT, **asdict(result)}, indent=1, ensure_ascii=False) + "\n")
    return path


def read(path: Path) -> Result:
    """Read a saved run.

    Raises ValueError if the file has another format.
    """
    saved = json.loads(path.read_text())
    if saved.pop("format", None) != FORMAT:
        raise ValueError(f"{path} is not a result file of format {FORMAT}")
    figures = tuple(Figure(**figure) for figure in saved.pop("figures"))
    return Result(figures=figures, notes=tuple(saved.pop("notes")), **saved)


def read_all(folder: Path = RESULTS) -> dict[str, Result]:
    """All saved runs by benchmark. Skips files of other formats, which some benchmarks write."""
    results = {}
    for path in sorted(folder.glob("*.json")):
        if json.loads(path.read_text()).get("format") == FORMAT:
            result = read(path)
            results[result.benchmark] = result
    return results


def ordered(figures: Iterable[Figure], key: str) -> list[str]:
    """The distinct values of a field, in the order of first appearance."""
    return list(dict.fromkeys(str(getattr(figure, key)) for figure in figures))

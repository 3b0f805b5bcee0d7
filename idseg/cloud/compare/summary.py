"""Summarises a comparison: distributions, matrices, and findings in words where most photos differ in the same way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from idseg._version import __version__
from idseg.cloud.compare.measure import LEAST_SCORE, Difference, MatteDifference, Pair
from idseg.cloud.compare.read import PART_NAMES
from idseg.cloud.compare.run import Comparison
from idseg.types import BodyPose, FacePose

_MOST = 0.8
"""Minimum share of photos with the same difference for a finding."""
_SAME_PX = 0.75
"""Maximum distance of a photo's shift from the median shift to count as the same, px."""
_LEAST_SHIFT_PX = 0.75
"""Minimum shift for a finding, px; smaller shifts are rounding."""
_LEAST_BLUR_PX = 0.5
_FACEPOSES = tuple(int(value) for value in FacePose)
_BODYPOSES = tuple(int(value) for value in BodyPose)


@dataclass(frozen=True, slots=True)
class Spread:
    """Distribution of a figure over the photos."""

    name: str
    unit: str
    count: int
    mean: float
    median: float
    p5: float
    p95: float
    least: float
    most: float
    values: tuple[float, ...]
    """One value per photo, in the order of the photos."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """Number of photos for each pair of our class and their class."""

    name: str
    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    """Rows: ours; columns: theirs."""

    @property
    def total(self) -> int:
        return sum(map(sum, self.counts))

    @property
    def agreement(self) -> float:
        """Share of photos on the diagonal; 1 if there are no photos."""
        return sum(row[at] for at, row in enumerate(self.counts)) / self.total if self.total else 1.0


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference that most photos share, so it comes from a convention and not from noise."""

    kind: str
    text: str
    photos: int
    of: int


@dataclass(frozen=True, slots=True)
class ComparisonSummary:
    """The content of the report and of the JSON."""

    photos: int
    answered_by_both: int
    spreads: tuple[Spread, ...]
    matrices: tuple[Matrix, ...]
    findings: tuple[Finding, ...]
    not_found: int
    """Number of photos in which their cut was not found."""


def summarise(comparison: Comparison) -> ComparisonSummary:
    """Compute the figures of a comparison."""
    both = [pair.difference for pair in comparison.pairs if pair.difference is not None]
    return ComparisonSummary(
        photos=len(comparison.pairs),
        answered_by_both=len(both),
        spreads=tuple(_spreads(both)),
        matrices=tuple(_matrices(comparison.pairs, both)),
        findings=tuple(_findings(both)),
        not_found=sum(1 for found in both if found.placement is not None and found.placement.score < LEAST_SCORE),
    )


def to_json(comparison: Comparison, summary: ComparisonSummary) -> dict[str, Any]:
    """The summary and one row per photo as JSON, without pictures."""
    return {
        "idseg": __version__,
        "frame": {"theirs": comparison.frame, "source": comparison.frame_source},
        "photos": summary.photos,
        "answered_by_both": summary.answered_by_both,
        "without_reply": comparison.without_reply,
        "unreadable": list(comparison.unreadable),
        "cut_not_found": summary.not_found,
        "findings": [asdict(finding) for finding in summary.findings],
        "matrices": {
            matrix.name: {
                "labels": list(matrix.labels),
                "ours_by_theirs": [list(row) for row in matrix.counts],
                "agreement": matrix.agreement,
            }
            for matrix in summary.matrices
        },
        "measures": {
            spread.name: {key: value for key, value in asdict(spread).items() if key not in ("name", "values")}
            for spread in summary.spreads
        },
        "rows": [asdict(pair) for pair in comparison.pairs],
    }


def spread(name: str, unit: str, values: Iterable[float]) -> Spread | None:
    """The distribution of some values; None if there are none."""
    numbers = np.array(list(values), dtype=np.float64)
    if numbers.size == 0:
        return None
    p5, median, p95 = (float(value) for value in np.percentile(numbers, (5, 50, 95)))
    return Spread(
        name=name,
        unit=unit,
        count=int(numbers.size),
        mean=float(numbers.mean()),
        median=median,
        p5=p5,
        p95=p95,
        least=float(numbers.min()),
        most=float(numbers.max()),
        values=tuple(float(value) for value in numbers),
    )


_MATTE: tuple[tuple[str, str, Callable[[MatteDifference], float | None]], ...] = (
    ("matte SAD", "thousand px", lambda matte: matte.errors.sad),
    ("matte MAD", "of 1", lambda matte: matte.errors.mad),
    ("matte MSE", "of 1", lambda matte: matte.errors.mse),
    ("matte Grad", "thousand", lambda matte: matte.errors.grad),
    ("matte Conn", "thousand", lambda matte: matte.errors.conn),
    (
        "matte MAD in our unsure band",
        "of 1",
        lambda matte: None if matte.errors_band is None else matte.errors_band.mad,
    ),
    ("matte IoU at 0.5", "of 1", lambda matte: matte.iou),
    ("matte shift right", "px", lambda matte: matte.shift[0]),
    ("matte shift down", "px", lambda matte: matte.shift[1]),
    ("matte softer by (sigma)", "px", lambda matte: matte.blur_px),
)
_EDGES = ("left", "top", "right", "bottom")


def _spreads(both: Sequence[Difference]) -> Iterable[Spread]:
    """All distributions that have at least one value."""
    return (row for row in _all_spreads(both) if row is not None)


def _all_spreads(both: Sequence[Difference]) -> Iterable[Spread | None]:
    mattes = [found.matte for found in both if found.matte is not None]
    for name, unit, take in _MATTE:
        yield spread(name, unit, (value for matte in mattes if (value := take(matte)) is not None))
    yield spread("window IoU", "of 1", (found.window_iou for found in both if found.window_iou is not None))
    for at, edge in enumerate(_EDGES):
        shifts = (found.window_shift for found in both)
        yield spread(f"window {edge} edge", "px", (shift[at] for shift in shifts if shift is not None))
    places = [found.placement for found in both if found.placement is not None]
    yield spread("cut scale", "photo px per px", (placement.scale for placement in places))
    yield spread("cut found with score", "of 1", (placement.score for placement in places))
    yield spread("face box IoU", "of 1", (found.face_iou for found in both if found.face_iou is not None))
    for at, edge in enumerate(_EDGES):
        shifts = (found.face_shift for found in both)
        yield spread(f"face box {edge} edge", "px", (shift[at] for shift in shifts if shift is not None))
    for part in PART_NAMES:
        shares = [found.parts[part].share for found in both if part in found.parts]
        yield spread(f"{part} distance", "of the eyes' distance", shares)


def _matrices(pairs: Sequence[Pair], both: Sequence[Difference]) -> Iterable[Matrix]:
    outcomes = sorted(
        {pair.ours for pair in pairs} | {pair.theirs for pair in pairs}, key=lambda name: (name != "answer", name)
    )
    yield _matrix("outcome", outcomes, ((pair.ours, pair.theirs) for pair in pairs))
    for name, labels, met in (
        ("facepose", _FACEPOSES, [found.facepose for found in both]),
        ("bodypose", _BODYPOSES, [found.bodypose for found in both]),
    ):
        poses = [pose for pose in met if pose is not None]
        seen = {value for pose in poses for value in pose}
        order = [str(value) for value in (*labels, *sorted(seen - set(labels))) if value in seen]
        yield _matrix(name, order, ((str(ours), str(theirs)) for ours, theirs in poses))


def _matrix(name: str, labels: Sequence[str], met: Iterable[tuple[str, str]]) -> Matrix:
    counts = Counter(met)
    return Matrix(name, tuple(labels), tuple(tuple(counts[(row, column)] for column in labels) for row in labels))


def _findings(both: Sequence[Difference]) -> Iterable[Finding]:
    """Find the differences that most photos share."""
    mirrored = [found.mirrored for found in both if found.mirrored is not None]
    if mirrored and sum(mirrored) >= _MOST * len(mirrored):
        yield Finding("mirrored", "their left and right are exchanged", sum(mirrored), len(mirrored))
    yield from _shift_finding(both, "window", "their window", lambda found: found.window_shift)
    yield from _shift_finding(both, "face box", "their face box", lambda found: found.face_shift)
    yield from _matte_findings(both)
    yield from _class_findings(both, "facepose", lambda found: found.facepose)
    yield from _class_findings(both, "bodypose", lambda found: found.bodypose)


def _shift_finding(
    both: Sequence[Difference],
    kind: str,
    subject: str,
    take: Callable[[Difference], tuple[float, float, float, float] | None],
) -> Iterable[Finding]:
    shifts = np.array([shift for found in both if (shift := take(found)) is not None])
    if shifts.size == 0:
        return
    middle = np.median(shifts, axis=0)
    same = (np.abs(shifts - middle) <= _SAME_PX).all(axis=1)
    if same.sum() < _MOST * len(shifts) or np.abs(middle).max() < _LEAST_SHIFT_PX:
        return
    left, top, right, bottom = middle
    if max(abs(left - right), abs(top - bottom)) <= 2 * _SAME_PX:
        text = f"{subject} lies {_direction((left + right) / 2, (top + bottom) / 2)}"
    else:
        edges = ", ".join(f"{value:+.3g} ({edge})" for value, edge in zip(middle, _EDGES, strict=True))
        text = f"{subject}'s edges lie off by {edges} px"
    yield Finding(f"{kind} shift", text, int(same.sum()), len(shifts))


def _matte_findings(both: Sequence[Difference]) -> Iterable[Finding]:
    mattes = [found.matte for found in both if found.matte is not None]
    if not mattes:
        return
    shifts = np.array([matte.shift for matte in mattes])
    middle = np.median(shifts, axis=0)
    same = (np.abs(shifts - middle) <= _SAME_PX).all(axis=1)
    if same.sum() >= _MOST * len(shifts) and np.abs(middle).max() >= _LEAST_SHIFT_PX:
        yield Finding("matte shift", f"their matte lies {_direction(*middle)}", int(same.sum()), len(shifts))
    blurs = np.array([matte.blur_px for matte in mattes])
    for sign, word in ((1, "softer"), (-1, "sharper")):
        alike = blurs * sign >= _LEAST_BLUR_PX
        if alike.sum() >= _MOST * len(blurs):
            sigma = abs(float(np.median(blurs[alike])))
            text = (
                f"their matte is {word}: like {'ours' if sign > 0 else 'theirs'} blurred with a sigma of {sigma:.2g} px"
            )
            yield Finding("matte blur", text, int(alike.sum()), len(blurs))


def _class_findings(
    both: Sequence[Difference], name: str, take: Callable[[Difference], tuple[int, int] | None]
) -> Iterable[Finding]:
    """For each class of ours, the different class that they most often give instead."""
    poses = [pose for found in both if (pose := take(found)) is not None]
    for ours in sorted({pose[0] for pose in poses}):
        met = Counter(theirs for mine, theirs in poses if mine == ours)
        theirs, count = met.most_common(1)[0]
        if theirs != ours and count >= 2 and count >= _MOST * met.total():
            text = f"what we call {name} {ours}, they call {theirs}"
            yield Finding(f"{name} class", text, count, met.total())


def _direction(dx: float, dy: float) -> str:
    """``3 px further right, 2 px further up``"""
    words = []
    for value, more, less in ((dx, "right", "left"), (dy, "down", "up")):
        if abs(value) >= _LEAST_SHIFT_PX:
            words.append(f"{abs(value):.2g} px further {more if value > 0 else less}")
    return " and ".join(words)

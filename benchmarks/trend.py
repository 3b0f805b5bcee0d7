"""The trend file: one line for every figure of idseg at every measured commit.

It leaves out the peers' figures, which do not change with our commits (the result files have them). Times depend on the
machine: compare only lines with the same ``machine``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.figures import RESULTS, Figure, Result

TREND = RESULTS / "trend.csv"
COLUMNS = ("commit", "date", "machine", "benchmark", "subject", "on", "measure", "statistic", "value", "unit", "count")
_PEERS = ("ISNet", "rembg", "MediaPipe", "PyMatting", "the picture's own")

Row = tuple[str, ...]


def update(results: Mapping[str, Result], path: Path = TREND) -> int:
    """Replace the lines of the same commit and benchmark by the results' figures; returns the number of new lines."""
    fresh = {(short(result), name) for name, result in results.items()}
    kept = [row for row in read(path) if (row[0], row[3]) not in fresh]
    added = [row for result in results.values() for row in rows(result)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_text([*kept, *added]))
    return len(added)


def read(path: Path = TREND) -> list[Row]:
    """The lines of the file without its header; empty if there is no file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        lines = [tuple(row) for row in csv.reader(file)]
    if lines[0] != COLUMNS:
        raise ValueError(f"{path} has the columns {lines[0]}")
    return lines[1:]


def rows(result: Result) -> list[Row]:
    """The lines of one run."""
    machine = f"{result.environment['machine']}, {result.environment['threads']} threads"
    return [
        (
            short(result),
            result.date,
            machine,
            result.benchmark,
            figure.subject,
            figure.on,
            figure.measure,
            figure.statistic,
            f"{figure.value:.6g}",
            figure.unit,
            str(figure.count),
        )
        for figure in result.figures
        if _ours(figure)
    ]


def short(result: Result) -> str:
    """The first twelve characters of the commit, followed by ``+`` if project files differed from it."""
    return result.commit[:12] + ("+" if result.changed else "")


def _ours(figure: Figure) -> bool:
    return figure.origin == "measured" and not any(peer in figure.subject for peer in _PEERS)


def _text(lines: Sequence[Row]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(lines)
    return stream.getvalue()

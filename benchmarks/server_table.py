"""The figures of the server's benchmark as a table in the server's README."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import RESULTS, Result, Statistic, read

README = Path(__file__).parent.parent / "idseg" / "server" / "README.md"


def saved(results: Path = RESULTS) -> tuple[Result, Result | None]:
    """The saved result of the load parts, and that of the soak part (None if there is none)."""
    second = results / "serversoak.json"
    return read(results / "server.json"), read(second) if second.exists() else None


def markdown(result: Result, soaked: Result | None = None) -> str:
    """The run as a Markdown table, with a description of the machine, then the figures of the soak part."""
    columns: tuple[tuple[str, Statistic, str], ...] = (
        ("throughput", "value", "photos/s"),
        ("CPU", "mean", "CPU s a photo"),
        ("time", "median", "median, s"),
        ("time", "p95", "p95, s"),
        ("p99 time", "value", "p99, s"),
        ("answered", "count", "answered"),
        ("refused with 4", "count", "refused, 4"),
        ("refused with 18", "count", "refused, 18"),
        ("lost", "count", "lost"),
        ("mixed up", "count", "mixed up"),
        ("memory", "most", "most memory, MiB"),
    )
    parts = list(dict.fromkeys(figure.on for figure in result.figures if figure.measure == "throughput"))
    rows = [[part, *(_cell(result, part, measure, statistic) for measure, statistic, _ in columns)] for part in parts]
    lines = [
        "",
        *(_line(row) for row in ([" ", *(head for _, _, head in columns)], ["---"] * (1 + len(columns)), *rows)),
        "",
    ]
    others = [figure for figure in result.figures if figure.on not in parts or figure.measure.startswith("worker")]
    lines += [f"* {figure.on}, {figure.measure}: {figure.value:g} {figure.unit}" for figure in others]
    if soaked is not None:
        figures = [f"{figure.measure} {figure.value:g} {figure.unit}" for figure in soaked.figures]
        lines.append(f"* {soaked.figures[0].on} by 4 clients ({soaked.date[:10]}): {', '.join(figures)}")
    machine, chosen = result.environment, result.settings
    about = (
        f"Measured {result.date[:10]} at {result.commit[:10]}{' (changed)' if result.changed else ''} "
        f"on {machine['machine']}, "
        f"{machine['threads']} cores, load average {machine['load_average'][0]:g} when it began; {chosen['photo']}, "
        f"{chosen['seconds']:g} s a part, {chosen['workers']} workers, a queue of {chosen['queue']}."
    )
    return "\n".join([about, *lines, "", *(f"{note[0].upper()}{note[1:]}." for note in result.notes)])


def _cell(result: Result, part: str, measure: str, statistic: Statistic) -> str:
    value = result.named("server", part, measure, statistic)
    return "–" if value is None else f"{value:.0f}" if statistic in ("count", "most") else f"{value:.2f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def into_readme(result: Result, soaked: Result | None = None, readme: Path = README) -> None:
    """Write the table between its two marks in the README."""
    begin, end = "<!-- begin server -->\n", "\n<!-- end server -->"
    head, _, rest = readme.read_text(encoding="utf-8").partition(begin)
    readme.write_text(f"{head}{begin}{markdown(result, soaked)}{end}{rest.partition(end)[2]}", encoding="utf-8")

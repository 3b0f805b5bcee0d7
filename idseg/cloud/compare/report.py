"""The report: one self-contained HTML page (no scripts, fonts or network), light and dark."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from idseg._version import __version__
from idseg.cloud.compare.run import Comparison
from idseg.cloud.compare.summary import ComparisonSummary, Matrix, Spread
from idseg.cloud.compare.views import OURS, THEIRS, View

_BINS = 24
_CHART = (300, 96)
"""Width and height of a histogram, px."""

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1a; --soft: #63635e; --page: #fbfbf9; --card: #fff; --line: #deded8;
  --ours: OURS; --theirs: THEIRS; --bar: #4b6c9e; --hit: 27,158,119; --miss: 217,95,2; }
@media (prefers-color-scheme: dark) { :root { --ink: #ecece7; --soft: #a3a39b; --page: #171716; --card: #201f1e;
  --line: #3b3a37; --bar: #86a7da; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 72rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2.5rem 0 .75rem; }
h3 { font-size: .95rem; margin: 1.25rem 0 .4rem; }
p, li { max-width: 46rem; } .soft { color: var(--soft); }
.ours { color: var(--ours); font-weight: 600; } .theirs { color: var(--theirs); font-weight: 600; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .6rem; text-align: right; border-bottom: 1px solid var(--line); }
th { font-weight: 600; } th:first-child, td:first-child { text-align: left; }
.scroll { overflow-x: auto; }
.matrix td { min-width: 2.6rem; text-align: center; } .matrix th { text-align: center; }
.row { display: flex; flex-wrap: wrap; gap: 1.5rem 2.5rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 1rem; }
.chart { background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: .6rem .7rem; }
.chart b { font-size: .85rem; } svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--soft); font-size: 10px; }
.finding { border-left: 4px solid var(--theirs); background: var(--card); padding: .5rem .8rem; margin: .4rem 0;
  max-width: 46rem; }
figure { margin: 0 0 1.5rem; } figcaption { font-size: .85rem; color: var(--soft); overflow-wrap: anywhere; }
.pictures { display: flex; gap: 4px; overflow-x: auto; }
.pictures div { flex: none; font-size: .75rem; color: var(--soft); }
.pictures img { display: block; height: 220px; width: auto; border: 1px solid var(--line); }
""".replace("OURS", f"rgb{OURS}").replace("THEIRS", f"rgb{THEIRS}")


def html(comparison: Comparison, summary: ComparisonSummary, title: str) -> str:
    """The whole page as HTML."""
    parts = [
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        # The page loads and runs nothing, because names and texts of replies are untrusted.
        f'<meta http-equiv=Content-Security-Policy content="{_POLICY}">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
        _head(comparison, summary),
        _findings(summary),
        "<h2>Outcomes and classes</h2>"
        "<p class=soft>Rows: <span class=ours>ours</span>; columns: <span class=theirs>theirs</span>.</p>"
        "<div class=row>",
        *(_matrix(matrix) for matrix in summary.matrices),
        "</div>",
        _table(summary.spreads),
        _charts(summary.spreads),
        *(_worst(kind, views) for kind, views in comparison.worst),
        _rest(comparison),
        "</body></html>",
    ]
    return "\n".join(parts)


def _head(comparison: Comparison, summary: ComparisonSummary) -> str:
    frame = "in the cut" if comparison.frame == "cut" else "in the photo"
    how = "as measured" if comparison.frame_source == "measured" else "as told"
    lost = f" In {summary.not_found} photos their cut was not found." if summary.not_found else ""
    return (
        f"<p>{summary.photos} photos with a saved reply, {summary.answered_by_both} answered by both sides. "
        f"<span class=ours>Ours</span> is idseg {escape(__version__)} and the reference; "
        f"<span class=theirs>theirs</span> is the saved reply. Their box and points are taken to lie {frame} ({how}). "
        f"A shift is theirs minus ours, in pixels of the photo, right and down positive.{lost}</p>"
    )


def _findings(summary: ComparisonSummary) -> str:
    if not summary.findings:
        return "<h2>Findings</h2><p class=soft>No difference is the same on most photos.</p>"
    rows = "".join(
        f"<p class=finding>{escape(finding.text)} <span class=soft>({finding.photos} of {finding.of} photos)</span></p>"
        for finding in summary.findings
    )
    return f"<h2>Findings</h2><p class=soft>Differences that most photos share.</p>{rows}"


def _matrix(matrix: Matrix) -> str:
    if not matrix.total:
        return ""
    head = "".join(f"<th class=theirs>{escape(label)}</th>" for label in matrix.labels)
    body = ""
    for at, (label, row) in enumerate(zip(matrix.labels, matrix.counts, strict=True)):
        most = max(sum(row), 1)
        cells = "".join(
            f"<td style='background:rgba(var(--{'hit' if at == to else 'miss'}),{0.55 * count / most:.2f})'>"
            f"{count or '·'}</td>"
            for to, count in enumerate(row)
        )
        body += f"<tr><th class=ours>{escape(label)}</th>{cells}</tr>"
    return (
        f"<div class=scroll><h3>{escape(matrix.name)}: {matrix.agreement:.1%} of {matrix.total} agree</h3>"
        f"<table class=matrix><tr><th></th>{head}</tr>{body}</table></div>"
    )


def _table(spreads: Sequence[Spread]) -> str:
    rows = "".join(
        f"<tr><td>{escape(row.name)}</td><td class=soft>{escape(row.unit)}</td><td>{row.count}</td>"
        + "".join(
            f"<td>{_number(value)}</td>" for value in (row.mean, row.median, row.p5, row.p95, row.least, row.most)
        )
        + "</tr>"
        for row in spreads
    )
    return (
        "<h2>Measures</h2><div class=scroll><table><tr><th>measure</th><th>unit</th><th>photos</th><th>mean</th>"
        f"<th>median</th><th>5 %</th><th>95 %</th><th>least</th><th>most</th></tr>{rows}</table></div>"
    )


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) >= 1e-4 or value == 0 else f"{value:.1e}"


def _charts(spreads: Sequence[Spread]) -> str:
    charts = "".join(
        f"<div class=chart><b>{escape(row.name)}</b> <span class=soft>{escape(row.unit)}</span>"
        f"{_histogram(row.values)}</div>"
        for row in spreads
        if row.most > row.least
    )
    return f"<h2>Histograms</h2><div class=charts>{charts}</div>" if charts else ""


def _histogram(values: Iterable[float]) -> str:
    """SVG histogram of the values over the photos, with a mark at the median."""
    numbers = np.array(list(values))
    counts, edges = np.histogram(numbers, bins=_BINS)
    width, height = _CHART
    base, step = height - 16, width / _BINS
    bars = "".join(
        f"<rect x='{at * step + 0.5:.1f}' y='{base - (base - 4) * count / counts.max():.1f}' width='{step - 1:.1f}' "
        f"height='{(base - 4) * count / counts.max():.1f}' fill='var(--bar)'/>"
        for at, count in enumerate(counts)
        if count
    )
    low, high = float(edges[0]), float(edges[-1])
    middle = (float(np.median(numbers)) - low) / (high - low) * width
    return (
        f"<svg viewBox='0 0 {width} {height}' role=img>{bars}"
        f"<line x1='{middle:.1f}' x2='{middle:.1f}' y1='0' y2='{base}' stroke='var(--theirs)' stroke-width='1.5'/>"
        f"<text x='0' y='{height - 3}'>{_number(low)}</text>"
        f"<text x='{width}' y='{height - 3}' text-anchor='end'>{_number(high)}</text></svg>"
    )


def _worst(kind: str, views: Sequence[View]) -> str:
    figures = "".join(_figure(looked) for looked in views)
    return f"<h2>Furthest apart by {escape(kind)}</h2>{figures}"


def _figure(looked: View) -> str:
    pictures = "".join(
        f"<div><img alt='{escape(label)}' src='data:image/jpeg;base64,{base64.b64encode(content).decode()}'>"
        f"{escape(label)}</div>"
        for label, content in (
            ("photo: both windows, boxes, points", looked.photo),
            ("their matte", looked.theirs),
            ("our matte", looked.ours),
            ("orange: theirs has more person, green: ours", looked.difference),
        )
        if content is not None
    )
    caption = f"<b>{escape(looked.name)}</b> {escape(looked.caption)}"
    return f"<figure><div class=pictures>{pictures}</div><figcaption>{caption}</figcaption></figure>"


def _rest(comparison: Comparison) -> str:
    """The photos and files that could not be compared."""
    lines = [f"{comparison.without_reply} photos have no saved reply beside them"] if comparison.without_reply else []
    lines += list(comparison.unreadable)
    lines += [f"{pair.name}: {', '.join(pair.notes)}" for pair in comparison.pairs if pair.notes]
    lines += [
        f"{pair.name}: ours {pair.ours}, theirs {pair.theirs}" for pair in comparison.pairs if pair.ours != pair.theirs
    ]
    if not lines:
        return ""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<h2>Not compared, mended, or answered by one side only</h2><ul>{items}</ul>"

"""Draws the plots of README.md from the result files, as SVG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.figures import Result, ordered

GROWN = "photo to result, "
"""Beginning of the subjects of figures by the photo's size."""


def speed(result: Result, path: Path) -> None:
    """Time by megapixels: one line per stage, both axes logarithmic."""
    with _figure(path, (7.2, 4.4)) as axes:
        sizes = list(result.settings["sizes_mp"])
        for subject in ordered(
            (f for f in result.figures if f.measure == "time" and f.on == f"{sizes[0]:g} MP"), "subject"
        ):
            values = [result.named(subject, f"{size:g} MP", "time", "median") for size in sizes]
            if all(value is not None and value > 0.05 for value in values):
                whole = not subject.startswith("stage")
                axes.plot(sizes, values, marker="o", markersize=3, label=subject, linewidth=2.2 if whole else 1.1)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
        axes.set_xlabel("megapixels of the photo")
        axes.set_ylabel("ms, median, warm")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


_COLORS = {"time": "#4b6c9e", "CPU time": "#c0504d", "peak memory": "#6a9e4b"}
"""The measures that :func:`growth` draws, and their colours."""


def growth(result: Result, path: Path) -> None:
    """Time, CPU time and peak memory by megapixels, of each checkout, both axes logarithmic; no file without them."""
    lines: dict[tuple[str, str], list[tuple[float, float]]] = {}
    units: dict[str, str] = {}
    for figure in result.figures:
        if figure.subject.startswith(GROWN) and figure.measure in _COLORS:
            size = float(figure.subject.removeprefix(GROWN).removesuffix(" MP"))
            lines.setdefault((figure.measure, figure.on), []).append((size, figure.value))
            units[figure.measure] = figure.unit
    if not lines:
        path.unlink(missing_ok=True)
        return
    with _figure(path, (7.2, 4.4)) as axes:
        trees = dict.fromkeys(tree for _, tree in lines)
        styles = dict(zip(trees, (("-", "o"), ("--", "s"), (":", "^"), ("-.", "D"), ((0, (1, 3)), "x")), strict=False))
        for (measure, tree), points in lines.items():
            style, marker = styles[tree]
            label = f"{measure}, {units[measure]}, {tree}"
            drawn = {"linestyle": style, "color": _COLORS[measure], "label": label}
            axes.plot(*zip(*points, strict=True), marker=marker, markersize=4, **drawn)
        sizes = sorted({size for points in lines.values() for size, _ in points})
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
        axes.set_xlabel("megapixels of the photo")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, handlelength=4)


def counts(result: Result, path: Path) -> None:
    """Photos a second by the number of clients (solid) and of photos of a batch (dotted)."""
    with _figure(path, (7.2, 3.6)) as axes:
        colors = ("#4b6c9e", "#c0504d", "#6a9e4b", "#8064a2", "#e0a030")
        for subject, color in zip(ordered(result.figures, "subject"), colors, strict=False):
            for kind, style in (("clients", "-"), ("photos", ":")):
                points = [
                    (int(figure.on.split()[0]), figure.value)
                    for figure in result.figures
                    if (figure.subject, figure.measure) == (subject, "throughput") and figure.on.endswith(kind)
                ]
                if points:
                    drawn = {"linestyle": style, "color": color, "label": f"{subject}, {kind}"}
                    axes.plot(*zip(*points, strict=True), marker="o", markersize=3, **drawn)
        counts = sorted({int(figure.on.split()[0]) for figure in result.figures if figure.measure == "throughput"})
        axes.set_xscale("log")
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.minorticks_off()
        axes.set_ylim(bottom=0)
        axes.set_xlabel("clients, or photos of a batch")
        axes.set_ylabel("photos a second")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def quality(result: Result, path: Path) -> None:
    """Mean and median MAD on val by method."""
    names = [f.subject for f in result.figures if (f.on, f.measure, f.statistic) == ("val", "MAD", "mean")]
    with _figure(path, (7.2, 0.45 * len(names) + 1.0)) as axes:
        for statistic, shift, color in (("mean", -0.19, "#4b6c9e"), ("median", 0.19, "#a9bedd")):
            values = [result.named(name, "val", "MAD", statistic) or 0.0 for name in names]  # type: ignore[arg-type]
            axes.barh([at + shift for at in range(len(names))], values, height=0.36, label=statistic, color=color)
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.invert_yaxis()
        axes.set_xlabel("MAD on val (less is better)")
        axes.legend(fontsize=8, frameon=False)
        axes.grid(axis="x", alpha=0.3)


class _figure:
    """A matplotlib figure, saved as SVG; the same numbers give the same bytes."""

    def __init__(self, path: Path, inches: tuple[float, float]) -> None:
        self._path = path
        self._inches = inches

    def __enter__(self) -> Any:
        import matplotlib as mpl

        mpl.use("Agg")
        mpl.rcParams["svg.hashsalt"] = "idseg"
        from matplotlib import pyplot

        self._figure, axes = pyplot.subplots(figsize=self._inches)
        return axes

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        from matplotlib import pyplot

        if kind is None:
            self._figure.savefig(self._path, bbox_inches="tight", metadata={"Date": None})
        pyplot.close(self._figure)

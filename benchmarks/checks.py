"""Accuracy of the checks and of the placement.

    python -m benchmarks.checks --data ../shared/data

Two tables. *Alarms*: 77 portraits from ``photos``, picked by eye as good ID photos (frontal, eyes open, mouth closed,
no hat), are put on a plain background. The checks judge each portrait as it is, and again with one fault added
(``spoil.py``). *Placement*: 12 photos in 6 sizes run through the whole pipeline; the finished files are then read back
and measured.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import click
import cv2
import numpy as np
from PIL import Image

from benchmarks import figures
from benchmarks.environment import Run, pin
from benchmarks.figures import Figure
from benchmarks.spoil import SPOILERS, Portrait
from idseg.check import Report, check
from idseg.errors import IdsegError, MultiplePersonsError
from idseg.imaging.compose import over
from idseg.photo import head as heads
from idseg.photo import render
from idseg.photo.finish import Finished, finish
from idseg.photo.place import as_it_is
from idseg.photo.size import PhotoSize
from idseg.photo.sizes import find_size
from idseg.photo.window import crop_options
from idseg.result import Result
from idseg.segmenter import Options, Segmenter
from idseg.stages import pose
from idseg.stages.decode import decode
from idseg.stages.foreground import estimate_foreground
from idseg.types import Alpha, Rgb, Size, Window

_DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
_GOOD = Path(__file__).parent / "labels" / "good_id_photos.txt"
_FOUND = Path(__file__).parent / "labels" / "found.txt"
_WALL = (222, 224, 226)
_SIZES = ("cn-1inch", "cn-id-card", "cn-passport", "us-visa", "de-passport", "jp-passport")
_LEAST_EYES_PX = 92
"""Minimum distance between the eyes in a good photo; with less, the photo would already break `resolution`."""
_STATUSES = ("not met", "check yourself", "met", "refused")
_Counts = dict[str, Counter[str]]


@click.command()
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), default=_DATA, show_default=True)
@click.option("--results", type=click.Path(file_okay=False, path_type=Path), default=figures.RESULTS, show_default=True)
@click.option("--limit", type=int, default=1000, help="Maximum number of good photos.")
@click.option("--refine", default="net", show_default=True, help="Refiner of the hair for the placement table.")
@click.option("--found", is_flag=True, help="Only real photos that break a rule; writes checksfound.json.")
@click.option(
    "--pictures", type=click.Path(file_okay=False, path_type=Path), help="Folder to keep the finished photos in."
)
def main(data: Path, results: Path, limit: int, refine: str, found: bool, pictures: Path | None) -> None:
    """Measure the checks and write ``results/checks.json``."""
    if not (data / "photos").is_dir():
        raise click.UsageError(f"no folder {data / 'photos'}; see --data and labels/good_id_photos.txt")
    pin(2)
    run = Run("checksfound" if found else "checks", 2, {"limit": limit, "refine": refine, "sizes": list(_SIZES)})
    with Segmenter(Options(refine=refine)) as segmenter:  # type: ignore[arg-type]
        if found:
            run.add(*_alarm_figures("found", _judge_found(segmenter, data / "photos")))
        else:
            _measure(run, segmenter, data / "photos", limit, pictures)
    run.notes += [
        "`good` was picked by eye from AI-made portraits: alarms there are false as far as an eye can tell.",
        "The limits of the rules were set while looking at photos of the same folders; `found` was among them.",
    ]
    result = run.result()
    click.echo(figures.write(result, results))
    click.echo(_table(result))


def _measure(run: Run, segmenter: Segmenter, photos: Path, limit: int, pictures: Path | None) -> None:
    good = list(_good_portraits(segmenter, photos, limit))
    run.add(*_alarm_figures("good", _judge_good(segmenter, good)))
    run.add(*_alarm_figures("made to fail", _judge_spoiled(segmenter, good)))
    run.add(*_placement_figures(segmenter, [photos / name for name in _names()[::5][:12]], pictures))


def _judge_found(segmenter: Segmenter, photos: Path) -> _Counts:
    """Judge real photos that break a rule."""
    counts: _Counts = {}
    for line in _FOUND.read_text().splitlines():
        if not line.startswith("#"):
            rule, name = line.split()
            rgb = decode(photos / f"{name}.jpg").rgb
            alpha = np.ones(rgb.shape[:2], dtype=np.float32)  # these two rules do not use the matte
            _count(counts, check(_result(segmenter, rgb, alpha), find_size("35x45mm")), (rule,))
    return counts


def _names() -> list[str]:
    return [f"{line}.jpg" for line in _GOOD.read_text().split() if not line.startswith("#")]


def _good_portraits(segmenter: Segmenter, photos: Path, limit: int) -> Iterator[Portrait]:
    """The good photos on a plain background, with their mattes."""
    count = 0
    for name in _names():
        path = photos / name
        rgb = decode(path).rgb
        alpha = np.asarray(Image.open(path.with_suffix(".png")).convert("L"), dtype=np.float32) / np.float32(255)
        wall = np.broadcast_to(np.array(_WALL, dtype=np.uint8), rgb.shape)
        plain = over(estimate_foreground(rgb, alpha), alpha, wall)
        person = segmenter.find(plain)
        portrait = Portrait(plain, alpha, person)
        whole = alpha[0].max() < 0.5  # the hair is not cut off
        if person.mesh is not None and whole and portrait.unit >= _LEAST_EYES_PX and count < limit:
            count += 1
            yield portrait


def _result(segmenter: Segmenter, rgb: Rgb, alpha: Alpha) -> Result:
    """The pipeline's result for a photo whose matte is known."""
    person = segmenter.find(rgb)
    return Result(
        photo=rgb,
        person=person,
        pose=pose.classify(person.parts, person.face_box, person.head, segmenter.options.pose),
        window=Window(0, 0, rgb.shape[1], rgb.shape[0]),
        cut=rgb,
        alpha=alpha,
        foreground=rgb,
    )


def _judge_good(segmenter: Segmenter, good: Sequence[Portrait]) -> _Counts:
    counts: _Counts = {}
    size = find_size("35x45mm")
    for portrait in good:
        result = _result(segmenter, portrait.rgb, portrait.alpha)
        _count(counts, check(result, size), None)
        _count(counts, _as_finished(segmenter, result, find_size("icao"), 1.0, 0.0), ("head_height", "eye_line"))
    return counts


def _judge_spoiled(segmenter: Segmenter, good: Sequence[Portrait]) -> _Counts:
    counts: _Counts = {}
    size, icao = find_size("35x45mm"), find_size("icao")
    for index, portrait in enumerate(good):
        for rule, spoilers in SPOILERS.items():
            for spoiler in spoilers:
                try:
                    # A photo is turned until the head is upright, so only a finished photo can break the roll rule.
                    report = check(_result(segmenter, *spoiler(portrait)), size, finished=rule == "roll")
                except IdsegError:
                    counts.setdefault(rule, Counter())["refused"] += 1
                    continue
                _count(counts, report, (rule,))
        result = _result(segmenter, portrait.rgb, portrait.alpha)
        _count(counts, _as_finished(segmenter, result, icao, 1.3 if index % 2 else 0.75, 0.0), ("head_height",))
        _count(counts, _as_finished(segmenter, result, icao, 1.0, 0.2 if index % 2 else -0.22), ("eye_line",))
        counts.setdefault("one_person", Counter())[_two_people(segmenter, portrait, good[index - 1])] += 1
    return counts


def _as_finished(segmenter: Segmenter, result: Result, size: PhotoSize, zoom: float, shift: float) -> Report:
    """Zoom a finished photo about its centre, shift it down by a share of its height, and judge it as it is."""
    done = finish(result, replace(size, px=Size(700, 900), dpi=508))
    height, width = done.pixels.shape[:2]
    (a, b, c), (d, e, f) = done.placement.matrix
    matrix = np.array([[a, b, c], [d, e, f]]) * zoom
    matrix[:, 2] += (1 - zoom) * np.array([width, height]) / 2 + (0, shift * height)
    rows = tuple(tuple(float(value) for value in row) for row in matrix)
    placement = replace(done.placement, matrix=rows, scale=done.placement.scale * zoom)  # type: ignore[arg-type]
    colors, alpha = render.draw(result.foreground, result.alpha, result.window, placement, Size(width, height))
    wall = np.full((height, width, 3), _WALL, dtype=np.uint8)
    return check(_result(segmenter, render.over(colors, alpha, wall), alpha), size, finished=True)


def _two_people(segmenter: Segmenter, one: Portrait, other: Portrait) -> str:
    scale = one.rgb.shape[0] / other.rgb.shape[0]
    beside = cv2.resize(other.rgb, (round(other.rgb.shape[1] * scale), one.rgb.shape[0]))
    try:
        segmenter.find(np.ascontiguousarray(np.hstack((one.rgb, np.asarray(beside, dtype=np.uint8)))))
    except MultiplePersonsError:
        return "not met"
    return "met"


def _count(counts: _Counts, report: Report, only: Sequence[str] | None) -> None:
    for rule in report.rules:
        if only is None or rule.rule in only:
            counts.setdefault(rule.rule, Counter())[rule.status] += 1


def _alarm_figures(title: str, counts: _Counts) -> Iterator[Figure]:
    for rule, found in counts.items():
        total = found.total()
        for status in _STATUSES:
            yield Figure(rule, title, status, "share", found[status] / total, "share", total)


def _placement_figures(segmenter: Segmenter, photos: Sequence[Path], pictures: Path | None) -> Iterator[Figure]:
    """Read every finished file back, measure it, and compare with the placement's promise and the rule's value."""
    off: dict[str, list[float]] = {"head": [], "eyes": [], "top": []}
    broken = kept = in_range = with_range = 0
    for path in photos:
        for name in _SIZES:
            size = find_size(name)
            done = finish(segmenter(path, crop=crop_options(size)), size)
            encoded = done.encode()
            if pictures is not None:
                pictures.mkdir(parents=True, exist_ok=True)
                (pictures / f"{path.stem}-{name}.jpg").write_bytes(encoded.content)
            if size.kb is not None:
                with_range += 1
                in_range += size.kb.low * 1000 <= len(encoded.content) <= size.kb.high * 1000
            again = _measured_again(segmenter, encoded.content, done)
            shown = _visible(done)
            for rule, value in again.items():
                off[rule].append(abs(value - shown[rule]) / size.height_mm)
            for measured in done.placement.rules:
                if measured.rule in again:
                    kept += 1
                    broken += replace(measured, value_mm=again[measured.rule]).off > 0.015
    title = "off, of the photo's height"
    for rule, values in off.items():
        yield Figure(rule, "finished files", title, "mean", float(np.mean(values)), "share", len(values))
        yield Figure(rule, "finished files", title, "p95", float(np.percentile(values, 95)), "share", len(values))
        yield Figure(rule, "finished files", title, "most", float(np.max(values)), "share", len(values))
    yield Figure(
        "rules", "finished files", "outside the rule by more than 1.5 %", "share", broken / max(kept, 1), "share", kept
    )
    yield Figure(
        "kilobytes", "finished files", "inside the range", "share", in_range / max(with_range, 1), "share", with_range
    )


def _visible(done: Finished) -> dict[str, float]:
    """Head, eyes and gap of a finished photo in millimetres, as far as its file can show them: if the upper edge cuts
    hair off (a warning says so), the head ends at that edge."""
    mm, cut = done.placement.mm, max(done.placement.hair_cut_mm(done.head, done.size), 0.0)
    framing = done.size.framing
    return {
        "head": mm["head"] - (cut if framing.head_top == "hair" else 0.0),
        "eyes": mm["eyes"],
        "top": mm["top"] + (cut if framing.gap_top == "hair" else 0.0),
    }


def _measured_again(segmenter: Segmenter, content: bytes, done: Finished) -> dict[str, float]:
    """Head, eyes and gap of a finished file in millimetres, from a second detection in that file."""
    size = done.size
    result = segmenter(io.BytesIO(content))
    head = heads.measure(result.person, result.person.mesh, result.alpha, result.window)
    mm = as_it_is(head, size, Size(*size.px)).mm
    return {"head": mm["head"], "eyes": mm["eyes"], "top": mm["top"]}


def _table(result: figures.Result) -> str:
    """Text for the terminal: a row for each rule and set of photos, then the measurements of the finished files."""
    shares = {(figure.subject, figure.on, figure.measure): figure for figure in result.figures}
    lines = [f"{'rule':<18} {'photos':<13} {'not met':>8} {'check':>6} {'met':>6} {'refused':>8}     n"]
    for rule, on in dict.fromkeys(
        (figure.subject, figure.on) for figure in result.figures if figure.measure == "not met"
    ):
        fail, unknown, passed, refused = (shares[rule, on, name] for name in _STATUSES)
        cells = (
            f"{100 * fail.value:6.1f} {100 * unknown.value:8.1f} {100 * passed.value:6.1f} {100 * refused.value:8.1f}"
        )
        lines.append(f"{rule:<18} {on:<13} {cells} {fail.count:5d}")
    lines += [
        f"{figure.subject}: {figure.measure}, {figure.statistic}: {100 * figure.value:.2f} % of {figure.count}"
        for figure in result.figures
        if figure.on == "finished files"
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()

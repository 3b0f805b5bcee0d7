"""Test ``idseg compare``: does it find differences that are known?

The benchmark makes saved replies from idseg's own answers, changes them by known amounts, and compares them. The report
must find every change, to the pixel and per class. The replies look like those that a client of the cloud API saves: no
``cut_location``, the cut as JPEG, line breaks in some base64, numbers as strings in others. If ISNet's file is given,
the replies contain ISNet's mattes, which differ as much as those of another product.
"""

from __future__ import annotations

import base64
import copy
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.environment import Run
from benchmarks.figures import Figure, Result
from benchmarks.peers import Files, Method
from idseg.cloud import wire
from idseg.cloud.compare import ComparisonSummary, compare, own_responder, summarise, to_json
from idseg.cloud.compare.report import html
from idseg.cloud.compare.run import Comparison
from idseg.cloud.errors import ERROR_TEXTS
from idseg.errors import PersonError
from idseg.imaging import cutting, encode
from idseg.models.manifest import load_manifest
from idseg.result import Result as PhotoResult
from idseg.segmenter import Options, Segmenter
from idseg.stages.matte import load_matte
from idseg.types import Alpha, Window

PHOTOS = 30
FOLDERS = ("faker", "facechain", "sfhq")
"""Generated portraits only, because the report shows the photos."""


@dataclass(frozen=True, slots=True)
class Change:
    """How one saved reply differs from idseg's answer."""

    window: tuple[int, int] = (0, 0)
    """Shift of the window right and down, px."""
    matte: tuple[int, int] = (0, 0)
    """Shift of the matte in its cut, right and down, px."""
    blur_px: float = 0.0
    """Sigma of the Gaussian blur of the matte, px."""
    scale: float = 1.0
    """Size of the saved cut divided by the size of the window."""
    points: tuple[int, int] = (0, 0)
    """Shift of the face box and the points, right and down, px of the cut."""
    mirrored: bool = False
    """Swap left and right in the names of the points."""
    facepose: int | None = None
    """The saved reply's class where idseg's class is 1; None: no change."""
    refused: int | None = None
    """Error code that replaces the answer; None: no error."""


def mixed(index: int) -> Change:
    """Change number ``index`` of 30. Windows, scales and mattes vary; 6 classes and 2 outcomes differ."""
    if index in (7, 19):
        return Change(refused=216634)
    window = ((index * 5) % 23 - 11, (index * 3) % 17 - 8)
    scale = (1.0, 1.0, 0.75, 1.0, 0.5)[index % 5]
    matte = (index % 4 - 1, 0) if scale == 1.0 else (0, 0)
    return Change(window=window, matte=matte, scale=scale, facepose=2 if index % 5 == 3 else None)


MUTATIONS: dict[str, Callable[[int], Change]] = {
    "no change": lambda index: Change(),
    "left and right exchanged": lambda index: Change(mirrored=True),
    "window 3 px to the right": lambda index: Change(window=(3, 0)),
    "matte blurred by 1 px": lambda index: Change(blur_px=1.0),
    "box and points 2 px down": lambda index: Change(points=(0, 2)),
    "every frontal face called tilted": lambda index: Change(facepose=2),
}
"""Wrong implementations. The report must find each error and must report nothing else."""
EXPECTED: dict[str, set[str]] = {
    "no change": set(),
    "left and right exchanged": {"mirrored"},
    "window 3 px to the right": {"window shift"},
    "matte blurred by 1 px": {"matte blur"},
    "box and points 2 px down": {"face box shift"},
    "every frontal face called tilted": {"facepose class"},
}


def measure(data: Path, files: Files, threads: int, report: Path | None = None) -> Result:
    """Run the benchmark. Writes the HTML report of the mixed comparison to ``report`` if given (it shows photos)."""
    run = Run("known", threads, {"photos": PHOTOS, "matte": "ISNet" if files.isnet else "idseg"})
    photos = [
        path
        for folder in FOLDERS
        for path in sorted((data / "photos" / folder).glob("*.jpg"))[: PHOTOS // len(FOLDERS)]
    ]
    if not photos:
        run.notes.append("no photos on this disk")
        return run.result()
    with Segmenter(Options(threads=threads)) as segmenter, tempfile.TemporaryDirectory() as folder:
        answers = _answers(segmenter, photos)
        matte = (
            None
            if files.isnet is None
            else load_matte(load_manifest(), str(files.isnet), "cpu", threads, preset="isnet")
        )
        replies = Path(folder) / "mixed"
        save_replies(replies, answers, mixed, matte)
        comparison = compare(replies, own_responder(segmenter))
        if report is not None:
            report.write_text(
                html(comparison, summarise(comparison), "idseg compare: 30 photos with known differences")
            )
            report.with_suffix(".json").write_text(json.dumps(to_json(comparison, summarise(comparison)), indent=1))
        run.add(*mixed_figures(comparison, [photo.name for photo, _ in answers]))
        for name, change in MUTATIONS.items():
            changed = Path(folder) / name.replace(" ", "-")
            save_replies(changed, answers[:10], change, None)
            found = summarise(compare(changed, own_responder(segmenter)))
            run.add(_mutation_figure(name, found))
    return run.result()


def _answers(segmenter: Segmenter, photos: Sequence[Path]) -> list[tuple[Path, PhotoResult]]:
    answers = []
    for photo in photos:
        with suppress(PersonError):
            answers.append((photo, segmenter(photo)))
    return answers


def save_replies(
    folder: Path, answers: Sequence[tuple[Path, PhotoResult]], change: Callable[[int], Change], matte: Method | None
) -> None:
    """Write photos and changed replies to a folder that ``idseg compare`` can read."""
    folder.mkdir(parents=True)
    for index, (photo, answer) in enumerate(answers):
        shutil.copy(photo, folder / photo.name)
        reply = changed_reply(answer, change(index), matte)
        (folder / f"{photo.stem}.json").write_text(_as_written_by_hand(reply, index))


def changed_reply(answer: PhotoResult, change: Change, matte: Method | None) -> dict[str, Any]:
    """The reply that a service with this change would have sent."""
    if change.refused is not None:
        return {"log_id": 1, "error_code": change.refused, "error_msg": ERROR_TEXTS[change.refused]}
    reply = copy.deepcopy(wire.render(answer, 1))
    del reply["cut_location"]
    window = _moved(answer.window, *change.window)
    cut = cutting.take(answer.photo, window)
    whole = cutting.paste(answer.alpha, answer.window, np.zeros(answer.photo.shape[:2], np.float32))
    alpha = matte(cut) if matte is not None else cutting.take(whole, window)
    alpha = _shifted(alpha, *change.matte)
    if change.blur_px:
        alpha = _f32(cv2.GaussianBlur(alpha, (0, 0), change.blur_px, borderType=cv2.BORDER_REPLICATE))
    size = (round(window.width * change.scale), round(window.height * change.scale))
    if change.scale != 1.0:
        cut = np.asarray(cv2.resize(cut, size, interpolation=cv2.INTER_AREA), np.uint8)
        alpha = _f32(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA))
    reply["seg_info"]["cut"] = base64.b64encode(encode.jpeg(cut, quality=92)).decode()
    reply["seg_info"]["scoremap"] = base64.b64encode(encode.png(encode.scoremap(alpha))).decode()
    _move_places(reply, answer, change)
    if change.facepose is not None and reply["pose_info"]["facepose"] == 1:
        reply["pose_info"]["facepose"] = change.facepose
    return reply


def _f32(alpha: npt.NDArray[Any]) -> Alpha:
    return np.asarray(alpha, np.float32)


def _moved(window: Window, dx: int, dy: int) -> Window:
    return Window(window.left + dx, window.top + dy, window.width, window.height)


def _shifted(alpha: Alpha, dx: int, dy: int) -> Alpha:
    matrix = np.array([[1.0, 0.0, dx], [0.0, 1.0, dy]])
    size = (alpha.shape[1], alpha.shape[0])
    return cv2.warpAffine(alpha, matrix, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE).astype(
        np.float32
    )


def _move_places(reply: dict[str, Any], answer: PhotoResult, change: Change) -> None:
    """Move the face box and the points from our window's frame to the changed window's frame."""
    dx, dy = (change.points[at] - change.window[at] for at in (0, 1))
    face = reply["face_location"]
    face["left"], face["top"] = round((face["left"] + dx) * change.scale), round((face["top"] + dy) * change.scale)
    face["width"], face["height"] = round(face["width"] * change.scale), round(face["height"] * change.scale)
    parts = {}
    for name, point in answer.cut_parts.items():
        wanted = name
        if change.mirrored and name.startswith(("left_", "right_")):
            wanted = name.replace("left_", "right_") if name.startswith("left_") else name.replace("right_", "left_")  # type: ignore[assignment]
        x, y = (
            min(max(int(np.floor((value + off) * change.scale)), 0), round(side * change.scale) - 1)
            for value, off, side in ((point.x, dx, answer.window.width), (point.y, dy, answer.window.height))
        )
        parts[wanted] = {"x": x, "y": y, "score": point.score}
    reply["pose_info"]["body_parts"] = [{name: parts[name]} for name in parts]


def _as_written_by_hand(reply: dict[str, Any], index: int) -> str:
    """The reply as JSON with variations of real clients: wrapped base64, strings for numbers, envelope, extra keys."""
    if "seg_info" not in reply:
        return json.dumps(reply)
    if index % 3 == 1:
        cut = reply["seg_info"]["cut"]
        reply["seg_info"]["cut"] = "data:image/jpeg;base64," + "\n".join(
            cut[at : at + 76] for at in range(0, len(cut), 76)
        )
    if index % 3 == 2:
        reply["face_location"] = {key: str(value) for key, value in reply["face_location"].items()}
        return json.dumps({"status": 200, "result": reply, "elapsed": "0.4s"})
    return json.dumps(reply)


def mixed_figures(comparison: Comparison, names: Sequence[str]) -> Iterator[Figure]:
    """The share of known changes that were found. ``names``: the photos in the order of their changes."""
    exact_windows, windows, exact_mattes, classes, outcomes = [], [], [], [], []
    scales, off_by = [], []
    for pair in comparison.pairs:
        change = mixed(names.index(pair.name))
        outcomes.append((pair.theirs == "answer") == (change.refused is None))
        found = pair.difference
        if found is None or found.window_shift is None or found.placement is None:
            continue
        error = max(abs(found.window_shift[at] - change.window[at]) for at in (0, 1))
        scales.append(abs(found.placement.scale * change.scale - 1.0))
        if change.scale == 1.0:
            exact_windows.append(error == 0.0)
            if found.matte is not None:
                # Registration aligns the two cuts, so the matte is off by exactly the shift in the changed cut.
                exact_mattes.append(max(abs(found.matte.shift[at] - change.matte[at]) for at in (0, 1)) <= 1.0)
        else:
            windows.append(error <= 1.0)
            off_by.append(error)
        if found.facepose is not None:
            wanted = change.facepose if change.facepose is not None and found.facepose[0] == 1 else found.facepose[0]
            classes.append(found.facepose[1] == wanted)
    on = "30 known changes"
    for name, right in (
        ("window found to the pixel, cut unscaled", exact_windows),
        ("window found within 1 px, cut scaled", windows),
        ("matte's shift found within 1 px", exact_mattes),
        ("class found", classes),
        ("outcome found", outcomes),
    ):
        if right:
            yield Figure("idseg compare", on, name, "share", float(np.mean(right)), "of 1", len(right))
    if off_by:
        yield Figure("idseg compare", on, "window error, cut scaled", "most", float(np.max(off_by)), "px", len(off_by))
        yield Figure("idseg compare", on, "scale error", "most", float(np.max(scales)), "of 1", len(scales))


def _mutation_figure(name: str, summary: ComparisonSummary) -> Figure:
    """Value 1 if the report has exactly the expected kinds of findings, else 0."""
    kinds = {finding.kind for finding in summary.findings}
    return Figure(
        "idseg compare",
        f"wrong implementation: {name}",
        "found, and nothing else",
        "share",
        float(kinds == EXPECTED[name]),
        "of 1",
        summary.photos,
    )

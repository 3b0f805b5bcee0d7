"""Accuracy of facepose, bodypose, angles and points.

* ``labelled``: classes compared with a person's labels (labels/pose.csv). The rules were calibrated on these photos.
* ``second set``: the same for labels/pose_second.csv. Nothing was calibrated on these photos.
* ``turned``, ``mirrored``, ``scaled``: frontal photos of the labelled set, changed by known amounts, so that geometry
  gives the right answer. Turning a photo by t degrees adds t to the roll and keeps the yaw. Mirroring swaps left and
  right and the signs of yaw and roll. Scaling keeps all angles and scales every point.
* ``example``: the points in the API documentation's example must give the classes of that example.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np

from benchmarks.environment import Run
from benchmarks.figures import Figure, Result
from benchmarks.pose_labels import (
    EXAMPLE_BOX,
    EXAMPLE_CLASSES,
    EXAMPLE_PARTS,
    SECOND_LABELS,
    Label,
    read_labels,
    read_points,
)
from idseg.errors import PersonError
from idseg.imaging.geometry import midpoint
from idseg.imaging.resize import scaled
from idseg.segmenter import Options, Segmenter
from idseg.stages import pose
from idseg.stages.decode import decode
from idseg.types import BodyParts, BodyPose, FacePose, PartName, Person, Point, Pose, Rgb

TURNS_DEG = (-20.0, -12.0, -5.0, 5.0, 12.0, 20.0)
"""Known turns: two clearly level, two clearly tilted, two in between."""
SCALES = (0.35, 0.6, 1.8)
LABELLED, SECOND_SET = "labelled", "second set"
_GEOMETRY_PHOTOS = 24
_REFUSED = "refused"
_EYES = "of the eyes' distance"


def measure(data: Path, threads: int, limit: int | None = None) -> Result:
    """Run the benchmark; ``data`` is the folder that contains ``photos/``."""
    run = Run("pose", threads, {"limit": limit, "turns_deg": list(TURNS_DEG), "scales": list(SCALES)})
    run.add(*example_figures())
    labels, second = (
        [label for label in some if (data / "photos" / label.photo).exists()][:limit]
        for some in (read_labels(), read_labels(SECOND_LABELS))
    )
    if not labels:
        run.notes.append("the labelled photos are not on this disk: only the published example was measured")
        return run.result()
    with Segmenter(Options(threads=threads)) as segmenter:
        found, found_second = (
            [(label, _find(segmenter, decode(data / "photos" / label.photo).rgb)) for label in some]
            for some in (labels, second)
        )
        run.add(*labelled_figures(found, run.matrices))
        if found_second:
            run.add(*labelled_figures(found_second, run.matrices, SECOND_SET))
        run.add(*point_figures(read_points(), {label.photo: person for label, person in found if person is not None}))
        frontal = [
            label
            for label, person in found
            if person is not None and label.facepose == 1 and label.sure("face", "roll")
        ]
        step = max(1, len(frontal) // _GEOMETRY_PHOTOS)
        photos = [decode(data / "photos" / label.photo).rgb for label in frontal[::step][:_GEOMETRY_PHOTOS]]
        run.add(*geometry_figures(segmenter, photos))
    return run.result()


def _find(segmenter: Segmenter, rgb: Rgb) -> Person | None:
    try:
        return segmenter.find(rgb)
    except PersonError:
        return None


def _classes(person: Person) -> Pose:
    return pose.classify(person.parts, person.face_box, person.head)


def labelled_figures(
    found: Sequence[tuple[Label, Person | None]], matrices: dict[str, Any], on: str = LABELLED
) -> Iterator[Figure]:
    """Compare the classes with the labels of one set; adds the confusion matrices to ``matrices``."""
    yield _share("idseg", on, "answered", [person is not None for _, person in found])
    face_rows, body_rows = [], []
    for label, person in found:
        classes = None if person is None else _classes(person)
        wanted_face, wanted_body = label.facepose, label.bodypose
        row = _three_quarter(label) if wanted_face is None else str(int(wanted_face))
        face_rows.append((row, _REFUSED if classes is None else str(int(classes.facepose)), label.sure("face", "roll")))
        if wanted_body is not None:
            got = _REFUSED if classes is None else _turn_name(classes.bodypose)
            body_rows.append((wanted_body, got, label.sure("body")))
    judged = [row for row in face_rows if row[0].isdigit()]
    yield from _agreement("facepose", judged, on)
    yield from _agreement("bodypose, turn only", body_rows, on)
    face_columns = [str(int(value)) for value in FacePose] + [_REFUSED]
    prefix = "" if on == LABELLED else f"{on}: "
    matrices[f"{prefix}facepose, all labels"] = _matrix(
        face_rows, ["1", "2", "3", "4", "three-quarter, level", "three-quarter, tilted"], face_columns
    )
    matrices[f"{prefix}facepose, sure labels"] = _matrix(
        [row for row in judged if row[2]], ["1", "2", "3", "4"], face_columns
    )
    turns = ["frontal", "turned", "side"]
    matrices[f"{prefix}bodypose, all labels"] = _matrix(body_rows, turns, [*turns, "unknown", _REFUSED])
    matrices[f"{prefix}bodypose, sure labels"] = _matrix(
        [row for row in body_rows if row[2]], turns, [*turns, "unknown", _REFUSED]
    )
    yield from _angle_figures([(label, person) for label, person in found if person is not None], on)


def _three_quarter(label: Label) -> str:
    return "three-quarter, level" if label.roll.startswith("0") else "three-quarter, tilted"


def _turn_name(bodypose: BodyPose) -> str:
    if bodypose is BodyPose.UNKNOWN:
        return "unknown"
    return ("frontal", "turned", "side")[(int(bodypose) - 1) % 3]


def _agreement(measure_name: str, rows: Sequence[tuple[str, str, bool]], labelled: str) -> Iterator[Figure]:
    """Share of right answers, and the mean of the classes' shares (every class has the same weight)."""
    for on, some in ((f"{labelled}, sure", [row for row in rows if row[2]]), (f"{labelled}, all", list(rows))):
        if not some:
            continue
        yield _share("idseg", on, measure_name, [want == got for want, got, _ in some])
        by_class = {want: [w == got for w, got, _ in some if w == want] for want, _, _ in some}
        balanced = float(np.mean([np.mean(right) for right in by_class.values()]))
        yield Figure("idseg", on, f"{measure_name}, mean of the classes", "share", balanced, "of 1", len(some))


def _angle_figures(found: Sequence[tuple[Label, Person]], labelled: str) -> Iterator[Figure]:
    """Do the signs of yaw and roll agree with the labels? Do hidden parts have lower scores?"""
    turned = [(label, person) for label, person in found if label.face[0] in "QP"]
    if turned:
        yield _share(
            "idseg",
            f"{labelled}, all",
            "sign of yaw",
            [(person.head.yaw_deg > 0) == ("R" in label.face) for label, person in turned],
        )
    tilted = [(label, person) for label, person in found if label.roll in ("+", "-")]
    if tilted:
        yield _share(
            "idseg",
            f"{labelled}, sure",
            "sign of roll",
            [(person.head.roll_deg > 0) == (label.roll == "+") for label, person in tilted],
        )
    level = [(label, person) for label, person in found if label.tilt == "0"]
    if level:
        tilts = [abs(_classes(person).shoulders.tilt_deg) for _, person in level]
        on = f"{labelled}, sure level shoulders"
        yield Figure("idseg", on, "|shoulder tilt|", "median", float(np.median(tilts)), "degrees", len(level))
        yield Figure("idseg", on, "|shoulder tilt|", "p95", float(np.percentile(tilts, 95)), "degrees", len(level))
    for part, column in (("ear", "ears"), ("shoulder", "shoulders")):
        scores = [
            (getattr(person.parts, f"{side}_{part}").score, side[0] in getattr(label, column))
            for label, person in found
            for side in ("left", "right")
        ]
        seen, hidden = [score for score, sight in scores if sight], [score for score, sight in scores if not sight]
        if seen and hidden:
            above = float(np.mean([(a > b) + 0.5 * (a == b) for a in seen for b in hidden]))
            yield Figure(
                "idseg",
                f"{labelled}, all",
                f"a visible {part} scores above a hidden one",
                "share",
                above,
                "of 1",
                len(scores),
            )


def point_figures(
    points: Mapping[str, Mapping[PartName, tuple[float, float]]], people: Mapping[str, Person]
) -> Iterator[Figure]:
    """Distance between idseg's points and hand-set points, relative to the eyes' distance; and left-right agreement."""
    apart: dict[str, list[float]] = {}
    sides = []
    for photo, wanted in points.items():
        if photo not in people:
            continue
        found = {name: (point.x, point.y) for name, point in people[photo].parts.items()}
        yardstick = _unit_px(people[photo])
        for name, xy in wanted.items():
            apart.setdefault(name, []).append(math.dist(found[name], xy) / yardstick)
            other = cast("PartName", _other(name))
            if other != name and other in wanted:
                sides.append(math.dist(found[name], xy) < math.dist(found[other], xy))
    for part, shares in apart.items():
        yield Figure("idseg", "points set by hand", part, "median", float(np.median(shares)), _EYES, len(shares))
        yield Figure("idseg", "points set by hand", part, "p95", float(np.percentile(shares, 95)), _EYES, len(shares))
    if sides:
        yield _share("idseg", "points set by hand", "left is left, right is right", sides)


def _unit_px(person: Person) -> float:
    """Distance between the eyes, or from the midpoint of the eyes to that of the mouth if longer (profiles)."""
    parts = person.parts
    eyes = midpoint(parts.left_eye[:2], parts.right_eye[:2])
    mouth = midpoint(parts.left_mouth[:2], parts.right_mouth[:2])
    return max(math.dist(parts.left_eye[:2], parts.right_eye[:2]), math.dist(eyes, mouth), 1.0)


def geometry_figures(segmenter: Segmenter, photos: Sequence[Rgb]) -> Iterator[Figure]:
    """Errors compared with the known geometry, on frontal photos that were turned, mirrored and scaled."""
    roll, yaw, tilt, turned_points, kept = [], [], [], [], []
    mirror_yaw, mirror_roll, mirror_points, mirror_classes = [], [], [], []
    scale_yaw, scale_points = [], []
    for rgb in photos:
        before = _find(segmenter, rgb)
        if before is None:
            continue
        height, width = rgb.shape[:2]
        for degrees in TURNS_DEG:
            after = _find(segmenter, turned(rgb, degrees))
            kept.append(after is not None)
            if after is None:
                continue
            roll.append(abs(after.head.roll_deg - before.head.roll_deg - degrees))
            yaw.append(abs(after.head.yaw_deg - before.head.yaw_deg))
            tilt.append(abs(_classes(after).shoulders.tilt_deg - _classes(before).shoulders.tilt_deg - degrees))
            turned_points += _point_shares(before, after, _turn(width, height, degrees))
        after = _find(segmenter, np.ascontiguousarray(rgb[:, ::-1]))
        if after is not None:
            mirror_yaw.append(abs(after.head.yaw_deg + before.head.yaw_deg))
            mirror_roll.append(abs(after.head.roll_deg + before.head.roll_deg))
            mirror_points += _point_shares(_swapped(before), after, np.array([[-1.0, 0.0, width], [0.0, 1.0, 0.0]]))
            a, b = _classes(before), _classes(after)
            mirror_classes.append(a.facepose == b.facepose and a.bodypose == b.bodypose)
        for scale in SCALES:
            small = scaled(rgb, scale)
            after = _find(segmenter, np.ascontiguousarray(small))
            if after is not None:
                scale_yaw.append(abs(after.head.yaw_deg - before.head.yaw_deg))
                factor = np.array([[small.shape[1] / width, 0.0, 0.0], [0.0, small.shape[0] / height, 0.0]])
                scale_points += _point_shares(before, after, factor)
    yield _share("idseg", "turned", "answered", kept)
    for on, name, values, unit in (
        ("turned", "roll error", roll, "degrees"),
        ("turned", "yaw change", yaw, "degrees"),
        ("turned", "shoulder tilt error", tilt, "degrees"),
        ("turned", "point error", turned_points, _EYES),
        ("mirrored", "yaw error", mirror_yaw, "degrees"),
        ("mirrored", "roll error", mirror_roll, "degrees"),
        ("mirrored", "point error", mirror_points, _EYES),
        ("scaled", "yaw change", scale_yaw, "degrees"),
        ("scaled", "point error", scale_points, _EYES),
    ):
        if values:
            yield Figure("idseg", on, name, "median", float(np.median(values)), unit, len(values))
            yield Figure("idseg", on, name, "p95", float(np.percentile(values, 95)), unit, len(values))
    if mirror_classes:
        yield _share("idseg", "mirrored", "same classes", mirror_classes)


def turned(rgb: Rgb, degrees: float) -> Rgb:
    """The photo turned clockwise about its centre; same size, edge pixels repeated."""
    height, width = rgb.shape[:2]
    return np.ascontiguousarray(
        cv2.warpAffine(
            rgb,
            _turn(width, height, degrees, centers=True),
            (width, height),
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )


def _turn(width: int, height: int, degrees: float, centers: bool = False) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(2, 3) matrix of a clockwise turn about the centre. ``centers``: for pixel numbers, else for points (0.5 is the
    centre of the first pixel)."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = (width - 1) / 2 if centers else width / 2, (height - 1) / 2 if centers else height / 2
    return np.array([[cos, -sin, x - cos * x + sin * y], [sin, cos, y - sin * x - cos * y]])


def _swapped(person: Person) -> Person:
    """The person with left and right swapped, as in a mirrored photo."""
    points: dict[str, Point] = {}
    for name, point in person.parts.items():
        points[_other(name)] = point
    return Person(person.face_box, person.face_score, BodyParts(**points), person.head)


def _other(name: PartName) -> str:
    if name.startswith("left_"):
        return name.replace("left_", "right_")
    return name.replace("right_", "left_")


def _point_shares(before: Person, after: Person, matrix: np.ndarray[Any, np.dtype[np.float64]]) -> list[float]:
    """Distance of each point from its expected place (``matrix`` applied), as a share of the eyes' distance."""
    eyes = _unit_px(after)
    shares = []
    for (_, a), (_, b) in zip(before.parts.items(), after.parts.items(), strict=True):
        x, y = matrix @ np.array([a.x, a.y, 1.0])
        shares.append(math.hypot(b.x - x, b.y - y) / eyes)
    return shares


def example_figures() -> Iterator[Figure]:
    """The API documentation's example: both classes from its ten points."""
    classes = pose.classify(EXAMPLE_PARTS, EXAMPLE_BOX)
    for name, got, wanted in (
        ("facepose", classes.facepose, EXAMPLE_CLASSES[0]),
        ("bodypose", classes.bodypose, EXAMPLE_CLASSES[1]),
    ):
        yield _share("idseg", "the API's example", name, [got == wanted])


def _share(subject: str, on: str, measure_name: str, right: Sequence[bool]) -> Figure:
    return Figure(subject, on, measure_name, "share", float(np.mean(right)), "of 1", len(right))


def _matrix(rows: Iterable[tuple[str, str, bool]], labels: Sequence[str], columns: Sequence[str]) -> dict[str, Any]:
    counts = Counter((want, got) for want, got, _ in rows)
    used = [column for column in columns if any(counts[(label, column)] for label in labels)]
    return {
        "rows": "label",
        "columns": "idseg",
        "row_labels": list(labels),
        "column_labels": used,
        "counts": [[counts[(label, column)] for column in used] for label in labels],
    }

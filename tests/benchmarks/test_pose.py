"""Pose: labels, classes against labels, and geometry against turned pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest

from benchmarks import figures, pose, pose_labels
from idseg.types import BodyParts, BodyPose, FacePose, HeadAngles, PartName, Person, Point, Rgb

SCHEMA = json.loads(figures.SCHEMA.read_text())


@pytest.mark.parametrize("path", [pose_labels.LABELS, pose_labels.SECOND_LABELS])
def test_the_labels_are_whole(path: Path) -> None:
    labels = pose_labels.read_labels(path)
    assert len(labels) >= 120
    assert len({label.photo for label in labels}) == len(labels)
    for label in labels:
        assert label.face.rstrip("~") in ("F", "QL", "QR", "PL", "PR"), label
        assert label.roll.rstrip("~") in ("0", "+", "-"), label
        assert label.body.rstrip("~") in ("F", "S", "X", "?"), label
        assert label.tilt.rstrip("~") in ("0", "+", "-", "?"), label
        assert label.ears in ("l", "r", "lr", "-"), label
        assert label.shoulders in ("l", "r", "lr", "-"), label
    kinds = {label.facepose for label in labels}
    absent = set() if path == pose_labels.LABELS else {FacePose.TILTED_PROFILE}  # no such photo was left
    assert kinds == {*FacePose} - {FacePose.UNKNOWN} - absent | {None}
    assert {label.bodypose for label in labels} == {"frontal", "turned", "side", None}


def test_the_second_set_has_no_photo_of_the_first() -> None:
    first, second = pose_labels.read_labels(), pose_labels.read_labels(pose_labels.SECOND_LABELS)
    assert not {label.photo for label in first} & {label.photo for label in second}


def test_points_set_by_hand_are_of_labelled_photos() -> None:
    points = pose_labels.read_points()
    assert len(points) >= 16
    assert points.keys() <= {label.photo for label in pose_labels.read_labels()}
    assert sum(map(len, points.values())) > 70
    for parts in points.values():  # left is the picture's
        assert parts["left_eye"][0] < parts["right_eye"][0]


def test_points_are_compared_with_those_set_by_hand(astronaut: Rgb) -> None:
    seen = person(astronaut)
    wanted: dict[PartName, tuple[float, float]] = {name: (point.x + 7.4, point.y) for name, point in seen.parts.items()}
    made = {figure.key: figure.value for figure in pose.point_figures({"x": wanted, "absent": wanted}, {"x": seen})}
    eyes_to_mouth = 85.5  # the example's: longer than from eye to eye
    assert made[("idseg", "points set by hand", "nose_tip", "median")] == pytest.approx(7.4 / eyes_to_mouth, rel=0.01)
    assert made[("idseg", "points set by hand", "left is left, right is right", "share")] == 1.0
    swapped = {cast("PartName", pose._other(name)): xy for name, xy in wanted.items()}
    made = {figure.key: figure.value for figure in pose.point_figures({"x": swapped}, {"x": seen})}
    assert made[("idseg", "points set by hand", "left is left, right is right", "share")] == 0.0


def person(rgb: Rgb, head: HeadAngles = HeadAngles(0, 0, 0)) -> Person:  # noqa: B008 - frozen
    return Person(pose_labels.EXAMPLE_BOX, 1.0, pose_labels.EXAMPLE_PARTS, head)


def test_the_pages_example_is_right() -> None:
    assert [figure.value for figure in pose.example_figures()] == [1.0, 1.0]
    assert pose_labels.EXAMPLE_CLASSES == (1, 2)


def label(**values: str) -> pose_labels.Label:
    defaults = {"photo": "x", "face": "F", "roll": "0", "body": "F", "tilt": "0", "ears": "lr", "shoulders": "lr"}
    return pose_labels.Label(**{**defaults, **values})


def test_classes_are_counted_where_they_belong(astronaut: Rgb) -> None:
    level, profile = person(astronaut), person(astronaut, HeadAngles(50, 0, 0))
    found = [
        (label(), level),
        (label(face="PR"), level),  # wrong: called frontal
        (label(face="PR~"), profile),
        (label(face="QL"), profile),  # three-quarter: not judged
        (label(roll="+"), None),  # refused
    ]
    matrices: dict[str, Any] = {}
    made = {figure.key: figure for figure in pose.labelled_figures(found, matrices)}
    assert made[("idseg", "labelled, all", "facepose", "share")].value == pytest.approx(2 / 4)
    assert made[("idseg", "labelled, sure", "facepose", "share")].value == pytest.approx(1 / 3)
    assert made[("idseg", "labelled", "answered", "share")].value == pytest.approx(4 / 5)
    table = matrices["facepose, all labels"]
    counts = {
        (row, column): table["counts"][at][to]
        for at, row in enumerate(table["row_labels"])
        for to, column in enumerate(table["column_labels"])
    }
    assert counts[("3", "1")] == 1
    assert counts[("3", "3")] == 1
    assert counts[("2", "refused")] == 1
    assert counts[("three-quarter, level", "3")] == 1
    assert sum(counts.values()) == 5


def test_the_second_set_is_reported_apart(astronaut: Rgb) -> None:
    matrices: dict[str, Any] = {}
    made = [
        *pose.labelled_figures([(label(), person(astronaut))], matrices),
        *pose.labelled_figures([(label(face="PR"), person(astronaut))], matrices, pose.SECOND_SET),
    ]
    assert len({figure.key for figure in made}) == len(made)
    values = {figure.key: figure.value for figure in made}
    assert values[("idseg", "labelled, sure", "facepose", "share")] == 1.0
    assert values[("idseg", "second set, sure", "facepose", "share")] == 0.0
    assert matrices["facepose, all labels"]["counts"][0] == [1]
    assert matrices["second set: facepose, all labels"]["counts"][2] == [1]
    assert len(matrices) == 8


def test_exchanged_sides_are_seen_by_the_sign_of_yaw(astronaut: Rgb) -> None:
    found = [(label(face="PR"), person(astronaut, HeadAngles(50, 0, 0)))]
    swapped = [(label(face="PR"), person(astronaut, HeadAngles(-50, 0, 0)))]
    shares = [
        next(f.value for f in pose.labelled_figures(some, {}) if f.measure == "sign of yaw")
        for some in (found, swapped)
    ]
    assert shares == [1.0, 0.0]


class Finder:
    """Finds a person whose points sit at known marks of the picture: without error, or with a known one."""

    def __init__(self, error_px: float = 0.0, swap: bool = False) -> None:
        self.error_px = error_px
        self.swap = swap

    def find(self, rgb: Rgb) -> Person:
        grey = rgb[:, :, 0]
        kernel = np.ones((3, 3), np.uint8)
        even = cv2.dilate(grey, kernel) - cv2.erode(grey, kernel) < 10  # the soft rims look like other marks
        points: dict[PartName, Point] = {}
        for name, level in MARKS.items():
            rows, columns = np.nonzero(even & (np.abs(grey.astype(int) - level) < 10))
            points[name] = Point(float(columns.mean() + 0.5 + self.error_px), float(rows.mean() + 0.5), 1.0)
        if self.swap:
            points = {cast("PartName", pose._other(name)): point for name, point in points.items()}
        left, right = points["left_eye"], points["right_eye"]
        roll = float(np.degrees(np.arctan2(right.y - left.y, right.x - left.x)))
        return Person(pose_labels.EXAMPLE_BOX, 1.0, BodyParts(**points), HeadAngles(0.0, 0.0, roll))


MARKS = {name: 30 + 22 * at for at, (name, _) in enumerate(pose_labels.EXAMPLE_PARTS.items())}


def marked() -> Rgb:
    """A black picture with a disc of another grey at each of the example's points."""
    picture = np.zeros((440, 440, 3), np.uint8)
    for name, point in pose_labels.EXAMPLE_PARTS.items():
        center = (round(point.x / 1.4 + 93), round(point.y / 1.4 + 14))
        cv2.circle(picture, center, 9, (MARKS[name],) * 3, -1)
    return picture


def geometry(finder: Finder) -> dict[tuple[str, str], float]:
    made = pose.geometry_figures(finder, [marked()])  # type: ignore[arg-type]
    return {(figure.on, figure.measure): figure.value for figure in made if figure.statistic in ("median", "share")}


def test_geometry_is_right_for_a_finder_without_error() -> None:
    values = geometry(Finder())
    assert values[("turned", "roll error")] < 0.3
    assert values[("turned", "point error")] < 0.03
    # It names points by the marks, as a finder would that calls the person's left left: the mirror shows that at once.
    assert values[("mirrored", "point error")] > 0.5
    assert values[("scaled", "point error")] < 0.03
    assert values[("turned", "answered")] == 1.0


def test_a_finder_that_lies_off_is_seen() -> None:
    """Off to the picture's right by 14 px whichever way the photo is turned or mirrored."""
    assert geometry(Finder(error_px=14.0))[("scaled", "point error")] > 0.05
    assert geometry(Finder(error_px=14.0))[("turned", "point error")] > geometry(Finder())[("turned", "point error")]


def test_a_turned_picture_is_where_its_matrix_says(astronaut: Rgb) -> None:
    picture = marked()
    before = Finder().find(picture).parts.nose_tip
    after = Finder().find(pose.turned(picture, 12.0)).parts.nose_tip
    x, y = pose._turn(440, 440, 12.0) @ np.array([before.x, before.y, 1.0])
    assert (after.x, after.y) == pytest.approx((x, y), abs=0.3)


def test_body_classes_by_turn_alone() -> None:
    names = [pose._turn_name(BodyPose(value)) for value in (-1, 1, 2, 3, 4, 5, 6)]
    assert names == ["unknown", "frontal", "turned", "side", "frontal", "turned", "side"]

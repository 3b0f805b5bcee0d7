"""Ground truth of the pose benchmark: labels by hand (labels/README.md) and the API documentation's example."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from benchmarks.figures import HERE
from idseg.types import BodyParts, BodyPose, Box, FacePose, PartName, Point

LABELS = HERE / "labels" / "pose.csv"
SECOND_LABELS = HERE / "labels" / "pose_second.csv"
"""Photos that were not used for choosing thresholds."""
POINT_LABELS = HERE / "labels" / "points.csv"


@dataclass(frozen=True, slots=True)
class Label:
    """One line of the label file. ``~`` in the file marks an unsure value; it is not part of the values here."""

    photo: str
    face: str
    roll: str
    body: str
    tilt: str
    ears: str
    shoulders: str

    @property
    def facepose(self) -> FacePose | None:
        """The API's class; None for a three-quarter face."""
        if self.face.startswith("Q"):
            return None
        base = FacePose.LEVEL_FRONTAL if self.face.startswith("F") else FacePose.LEVEL_PROFILE
        return base if self.roll.startswith("0") else FacePose(base + 1)

    @property
    def bodypose(self) -> str | None:
        """``"frontal"``, ``"turned"`` or ``"side"``; None if the photo does not show it."""
        return {"F": "frontal", "S": "turned", "X": "side"}.get(self.body[0])

    def sure(self, *columns: str) -> bool:
        """Whether the labeller was sure about all of these columns."""
        return not any(getattr(self, column).endswith("~") for column in columns)


def read_labels(path: Path = LABELS) -> list[Label]:
    """Read all labels of one file."""
    with path.open(newline="") as file:
        return [Label(**row) for row in csv.DictReader(file)]


def read_points(path: Path = POINT_LABELS) -> dict[str, dict[PartName, tuple[float, float]]]:
    """Read the hand-set points: photo → part → (x, y), pixels of the photo."""
    points: dict[str, dict[PartName, tuple[float, float]]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            points.setdefault(row["photo"], {})[cast("PartName", row["part"])] = float(row["x"]), float(row["y"])
    return points


EXAMPLE_BOX = Box(80, 116, 173, 226)
EXAMPLE_PARTS = BodyParts(
    left_ear=Point(80, 202, 0.8760631),
    right_ear=Point(252, 206, 0.64241165),
    left_eye=Point(125, 214, 0.95858794),
    right_eye=Point(199, 216, 0.9648065),
    nose_tip=Point(160, 265, 0.88654065),
    left_mouth=Point(135, 300, 0.92905945),
    right_mouth=Point(189, 301, 0.96665746),
    right_shoulder=Point(344, 432, 0.25711855),
    left_shoulder=Point(10, 431, 0.4777191),
    neck=Point(173, 369, 0.7303297),
)
"""The example of the API documentation, in the frame of its cut."""
EXAMPLE_CLASSES = (FacePose.LEVEL_FRONTAL, BodyPose.LEVEL_TURNED)

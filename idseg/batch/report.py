"""``report.csv``: one row for each photo that has an outcome in the output folder.

UTF-8 with a byte order mark, which Excel needs to recognise UTF-8. A name that starts like a formula (``=``, ``+``,
``-``, ``@``) is written as ``./=…``, which is the same path but not a formula for a spreadsheet.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from idseg.batch.items import Outcome
from idseg.batch.storage import replacing

_FACTS = (
    *("width", "height", "window_left", "window_top", "window_width", "window_height"),
    *("face_left", "face_top", "face_width", "face_height"),
    *("facepose", "bodypose", "yaw_deg", "pitch_deg", "roll_deg"),
)
COLUMNS = ("photo", "status", "reason", "message", "seconds", "tries", *_FACTS, "files")


def write_csv(path: Path, outcomes: Iterable[Outcome]) -> int:
    """Write the report and return its number of rows. Names that are not UTF-8 keep their bytes."""
    rows = 0
    with replacing(path) as file:
        file.write("\ufeff")
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for outcome in outcomes:
            values = [
                _plain(outcome.key),
                outcome.status,
                outcome.reason,
                outcome.message,
                outcome.seconds,
                outcome.tries,
            ]
            table.writerow(
                [*values, *(outcome.facts.get(name, "") for name in _FACTS), _plain(" ".join(outcome.files))]
            )
            rows += 1
    return rows


def _plain(text: str) -> str:
    return f"./{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text

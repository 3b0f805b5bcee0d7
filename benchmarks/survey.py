"""Outcomes over all photos: how many are answered, how many are refused and why; also for photos that break a rule.

    python -m benchmarks.survey ../shared/data [--every 5] [--sheet sheet.png] [--save]

The test cases: two people side by side, upside down, turned to either side, rooms without people, crops without
shoulders, sides of 50 px and 4096 px and one pixel beyond, and all eight EXIF orientations. Each case states what the
documentation promises, and the table says how often the outcome was as promised. No photo is written to disk, except
on the contact sheet if you ask for one.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks.environment import Run
from benchmarks.figures import Figure, write
from idseg import Segmenter
from idseg.errors import IdsegError
from idseg.stages.decode import decode
from idseg.types import Rgb

SEED = 20261123
MADE = 100
"""Number of photos for each test case."""


def outcome(segmenter: Segmenter, photo: Rgb | bytes) -> str:
    """``answered``, or the reason for the refusal."""
    try:
        segmenter(photo)
    except IdsegError as error:
        return error.reason
    return "answered"


def turned(photo: Rgb, quarter_turns: int) -> Rgb:
    return np.ascontiguousarray(np.rot90(photo, quarter_turns))


def side_by_side(left: Rgb, right: Rgb) -> Rgb:
    height = 480
    return np.hstack(
        [np.asarray(Image.fromarray(p).resize((p.shape[1] * height // p.shape[0], height))) for p in (left, right)]
    )


def without_shoulders(segmenter: Segmenter, photo: Rgb) -> Rgb:
    """The photo cropped just below the chin."""
    box = segmenter.find(photo).face_box
    return np.ascontiguousarray(photo[: max(60, int(box.bottom + 0.05 * box.height))])


def resized(photo: Rgb, side: int, shortest: bool) -> Rgb:
    height, width = photo.shape[:2]
    scale = side / (min(width, height) if shortest else max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.BICUBIC))


def with_exif(photo: Rgb, orientation: int) -> bytes:
    """A JPEG whose stored pixels need this EXIF orientation to appear upright."""
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = Image.fromarray(photo)
    if orientation in undo:
        stored = stored.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    stored.save(file, "JPEG", quality=95, subsampling=0, exif=exif)
    return file.getvalue()


class Case(NamedTuple):
    """A photo that breaks or just keeps a rule, and the promised outcome."""

    name: str
    promised: str
    make: Callable[[], Rgb | bytes]


def cases(photos: list[Rgb], rooms: list[Rgb], segmenter: Segmenter) -> Iterator[Case]:
    """All test cases; ``photos`` must be photos that idseg answers."""
    for index, photo in enumerate(photos):
        other = photos[(index + 1) % len(photos)]
        yield Case("two side by side", "multiple_persons", partial(side_by_side, photo, other))
        yield Case("upside down", "upside_down", partial(turned, photo, 2))
        yield Case("on its left side", "sideways", partial(turned, photo, 1))
        yield Case("on its right side", "sideways", partial(turned, photo, 3))
        yield Case("no shoulders", "answered", partial(without_shoulders, segmenter, photo))
        yield Case("shortest side 49 px", "photo_size", partial(resized, photo, 49, True))
    for photo in photos[:12]:
        yield Case("shortest side 50 px", "answered", partial(resized, photo, 50, True))
        yield Case("longest side 4096 px", "answered", partial(resized, photo, 4096, False))
        yield Case("longest side 4097 px", "photo_size", partial(resized, photo, 4097, False))
        for orientation in range(1, 9):
            yield Case(f"EXIF orientation {orientation}", "answered", partial(with_exif, photo, orientation))
    for room in rooms:
        yield Case("room without people", "no_person", partial(np.copy, room))


def sheet(segmenter: Segmenter, photos: list[Path], path: Path) -> None:
    """Draw one row per photo: overlay, cut, scoremap, and the cut-out on black, white and red."""
    rows = []
    for photo in tqdm(photos, desc="sheet", unit="photo"):
        try:
            result = segmenter(photo)
            grey = np.repeat(result.scoremap[..., None], 3, axis=2)
            pictures = [result.overlay(), result.cut, grey, *(result.on(color) for color in ("black", "white", "red"))]
        except IdsegError as error:
            refused = decode(photo).rgb
            cv2.putText(refused, error.reason, (8, 40), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (255, 0, 0), 3)
            pictures = [refused]
        row = np.full((300, 1420, 3), 60, dtype=np.uint8)
        for column, picture in enumerate(pictures):
            left, width = (0, 300) if column == 0 else (305 + 223 * (column - 1), 220)
            scale = min(width / picture.shape[1], 300 / picture.shape[0])
            size = int(picture.shape[1] * scale), int(picture.shape[0] * scale)
            row[: size[1], left : left + size[0]] = np.asarray(Image.fromarray(picture).resize(size))
        rows.append(row)
    Image.fromarray(np.vstack(rows)).save(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that contains photos/ and backgrounds/")
    parser.add_argument("--every", type=int, default=1, help="use every Nth photo")
    parser.add_argument("--sheet", type=Path, help="also draw a contact sheet of 24 photos, as PNG")
    parser.add_argument("--seed", type=int, default=SEED, help="seed for choosing the photos")
    parser.add_argument("--save", action="store_true", help="write results/survey.json")
    options = parser.parse_args()
    paths = sorted(options.data.glob("photos/*/*.jpg"))[:: options.every]
    if not paths:
        print(f"no photos in {options.data}/photos", file=sys.stderr)
        return 1
    dice = random.Random(options.seed)  # noqa: S311 - a draw of photos, not a secret
    with Segmenter() as segmenter:
        if options.sheet:
            sheet(segmenter, dice.sample(paths, min(24, len(paths))), options.sheet)
        found: dict[str, Counter[str]] = {}
        answered = []
        refused: dict[str, str] = {}
        for path in tqdm(paths, desc="photos", unit="photo"):
            said = outcome(segmenter, path.read_bytes())
            found.setdefault(path.parent.name, Counter())[said] += 1
            if said == "answered":
                answered.append(path)
            else:
                refused[f"{path.parent.name}/{path.stem}"] = said
        photos = [decode(path).rgb for path in dice.sample(answered, min(MADE, len(answered)))]
        rooms = [decode(path).rgb for path in sorted(options.data.glob("backgrounds/*.jpg"))[:: options.every]]
        made: dict[tuple[str, str], Counter[str]] = {}
        for case in tqdm(list(cases(photos, rooms, segmenter)), desc="made", unit="photo"):
            made.setdefault((case.name, case.promised), Counter())[outcome(segmenter, case.make())] += 1
    run = Run("survey", os.cpu_count() or 1, {"every": options.every, "seed": options.seed, "made": MADE})
    for name, counts in found.items():
        print(f"{name:<22} {dict(counts)}")
        for said, count in sorted(counts.items()):
            run.add(Figure("idseg", name, said, "count", count, "photos", counts.total()))
    for (name, promise), counts in made.items():
        kept = counts[promise] / counts.total()
        print(f"{name:<22} promised {promise:<17} {kept:6.1%}  {dict(counts)}")
        run.add(Figure("idseg", name, f"promised: {promise}", "share", round(kept, 4), "", counts.total()))
    run.notes.extend(f"refused: {name}: {said}" for name, said in refused.items())
    if options.save:
        print(write(run.result()))
    return 0


if __name__ == "__main__":
    sys.exit(main())

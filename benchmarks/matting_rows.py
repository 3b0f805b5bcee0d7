"""The rows of the hair table: each is a method whose mattes are 8-bit files, FOLDER/SET/NAME.png at full size.

idseg's own mattes, and those of an earlier commit, are made by a new process that imports idseg from the given
checkout. The mattes of other programs must exist; this module runs none of them. All rows are read from files, so all
have the same rounding to 8 bits.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from benchmarks.environment import ROOT
from benchmarks.sets import Sample, read_grey
from idseg.stages.refine import refine_closed_form
from idseg.types import Alpha, Coarse

_FLOAT = "portrait-coarse"
"""Name of the coarse net with floats in the manifest."""

_WORKER = """
import json, os, sys
import cv2
import numpy as np
from idseg.segmenter import Options, Segmenter
from idseg.stages.decode import DecodeLimits, decode
from idseg.stages.foreground import estimate_foreground

def write(target, pixels):
    cv2.imwrite(target + ".part.png", pixels)
    os.replace(target + ".part.png", target)

options, threads, jobs = json.load(sys.stdin)
cv2.setNumThreads(threads)
segmenter = Segmenter(Options(threads=threads, provider="cpu", **options))
for source, target, colours in jobs:
    rgb = decode(source, DecodeLimits(max_side=20_000)).rgb
    grey = np.asarray(segmenter.matte(rgb) * 255 + 0.5, np.uint8)
    if colours is not None:
        write(colours, estimate_foreground(rgb, grey.astype(np.float32) / np.float32(255))[..., ::-1])
    write(target, grey)
    print(flush=True)
"""
"""What the new process runs: it prints a line for each finished picture."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a set, with its truth. ``colours``: whether the foreground colours are wanted too."""

    on: str
    """Name of the set, which is also the name of its folder of mattes."""
    sample: Sample
    colours: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A method, and the folder of its mattes."""

    name: str
    folder: Path
    tree: Path | None = None
    """The checkout of idseg that makes the mattes; None: another program made them."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Keywords of that checkout's ``Options``."""
    closed_form_of: Path | None = None
    """The folder of mattes that closed-form matting refines to make this row."""
    errors_only: bool = False
    """The row is measured only in the section of errors."""

    @property
    def is_peer(self) -> bool:
        """Whether the row needs mattes of another program."""
        return self.tree is None

    def matte(self, picture: Picture) -> Path:
        """The file of a matte, which may not exist."""
        return self.folder / picture.on / f"{picture.sample.name}.png"

    def colours(self, picture: Picture) -> Path:
        """The file of the estimated foreground colours, which may not exist."""
        return self.folder / picture.on / f"{picture.sample.name}.colours.png"

    def read(self, picture: Picture) -> Alpha:
        """The matte, (H, W). Raises FileNotFoundError where it cannot be read."""
        return read_alpha(self.matte(picture))


def own_rows(work: Path, before: Path | None) -> list[Row]:
    """idseg's rows; with a checkout of an earlier commit, also ``before``."""
    rows = [
        Row("idseg best", work / "best", ROOT, {"quality": "best"}),
        Row("idseg fast", work / "fast", ROOT, {"quality": "fast"}, errors_only=True),
        Row("idseg best, float coarse net", work / "float", ROOT, {"matting_model": _FLOAT}, errors_only=True),
    ]
    return rows if before is None else [*rows, Row("before", work / "before", before.resolve())]


def peer_rows(mattes: Mapping[str, Path], closed_form: Sequence[str], work: Path) -> Iterator[Row]:
    """Rows of other programs, and of their mattes refined in closed form."""
    for name, folder in mattes.items():
        yield Row(name, folder)
        if name in closed_form:
            yield Row(f"{name} + closed form", work / f"{name}-closed-form", closed_form_of=folder, errors_only=True)


def complete(row: Row, pictures: Sequence[Picture], threads: int) -> bool:
    """Make the row's missing mattes of these pictures, with a progress bar.

    Returns whether all exist: a mean over a part of a set could not be compared with the other rows.
    """
    source = row.closed_form_of or row.folder
    if row.is_peer:
        found = sum((source / picture.on / f"{picture.sample.name}.png").exists() for picture in pictures)
        if found < len(pictures):
            print(f"{row.name}: {found} of {len(pictures)} mattes of {pictures[0].on}; left out", file=sys.stderr)
            return False
    missing = [picture for picture in pictures if not row.matte(picture).exists()]
    if not missing:
        return True
    for picture in missing:
        row.matte(picture).parent.mkdir(parents=True, exist_ok=True)
    with tqdm(total=len(missing), desc=f"mattes of {missing[0].on}: {row.name}", unit="picture") as bar:
        for _ in _refined(row, missing) if row.tree is None else _made(row, missing, threads):
            bar.update()
    return True


def read_alpha(path: Path) -> Alpha:
    """An 8-bit matte as float32 (H, W), 0..1. Raises FileNotFoundError where it cannot be read."""
    return read_grey(path).astype(np.float32) / np.float32(255)


def _made(row: Row, pictures: Sequence[Picture], threads: int) -> Iterator[None]:
    """Make mattes in a new process that imports idseg from the row's checkout."""
    assert row.tree is not None
    jobs = [
        (
            str(picture.sample.picture.resolve()),
            str(row.matte(picture).resolve()),
            str(row.colours(picture).resolve()) if picture.colours else None,
        )
        for picture in pictures
    ]
    environment = {**os.environ, "PYTHONPATH": str(row.tree)}
    # "-c" puts the current folder in front of all others, so that has to be the checkout.
    with subprocess.Popen(
        [sys.executable, "-c", _WORKER],
        cwd=row.tree,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if row.tree != ROOT else None,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        json.dump((dict(row.options), threads, jobs), process.stdin)
        process.stdin.close()
        for _ in process.stdout:
            yield
    if process.returncode:
        raise RuntimeError(f"{row.name}: idseg in {row.tree} ended with status {process.returncode}")


def _refined(row: Row, pictures: Sequence[Picture]) -> Iterator[None]:
    """Refine another program's mattes in closed form (Levin et al. 2008)."""
    assert row.closed_form_of is not None
    for picture in pictures:
        target = row.matte(picture)
        alpha = read_alpha(row.closed_form_of / picture.on / target.name)
        refined = refine_closed_form(picture.sample.rgb(), Coarse(alpha, None))
        beside = target.with_suffix(".part.png")
        cv2.imwrite(str(beside), np.asarray(refined * 255 + 0.5, np.uint8))
        beside.replace(target)
        yield

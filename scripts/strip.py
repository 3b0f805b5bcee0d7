"""Draw the picture at the top of README.md with the models that ship: ``python -m scripts.strip``.

The portrait shows the astronaut Eileen Collins (NASA, public domain, in scikit-image's wheel): photo with box, points
and window; cut; scoremap; demo; on blue.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import skimage

import idseg
from idseg.imaging import overlay

OUT = Path(__file__).resolve().parent.parent / ".assets" / "astronaut.jpg"
_HEIGHT = 300
_GAP = 6

_Picture = npt.NDArray[np.uint8]


def strip() -> _Picture:
    """The cells side by side on white, (H, W, 3) RGB uint8."""
    result = idseg.segment(Path(skimage.__file__).parent / "data" / "astronaut.png")
    grey = np.repeat((result.alpha[..., None] * 255 + 0.5).astype(np.uint8), 3, axis=2)
    cells = [
        overlay.draw(result.photo, result.person, result.pose, result.window),
        result.cut,
        grey,
        result.on("black"),
        result.on("#438edb"),
    ]
    white = np.full((_HEIGHT, _GAP, 3), 255, np.uint8)
    line: list[npt.NDArray[np.uint8]] = []
    for cell in cells:
        width = round(_HEIGHT * cell.shape[1] / cell.shape[0])
        how = cv2.INTER_AREA if cell.shape[0] > _HEIGHT else cv2.INTER_CUBIC
        line += [np.asarray(cv2.resize(cell, (width, _HEIGHT), interpolation=how), np.uint8), white]
    return np.asarray(np.hstack(line[:-1]), np.uint8)


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m scripts.strip", description=__doc__).parse_args()
    OUT.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(OUT), strip()[..., ::-1], [int(cv2.IMWRITE_JPEG_QUALITY), 88])
    print(OUT, OUT.stat().st_size, "bytes")

"""python -m scripts.train.labels --data ../shared/data --teacher DIR --out DIR [--sets official faker ...]

Improves labels of photos by merging two: the fused label in data/fused (our net for the person's outline, ISNet for
hair) and a teacher's matte of the same photo, DIR/SET/NAME.png (8-bit grey, the photo's size). Where the two agree
about the person, the teacher's hair is used; where they disagree, the trust is 0. Writes SET/NAME.png, 8-bit LA: alpha
and trust.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

SMOOTH = 0.012
"""Sigma of the blur before the comparison, as a share of the longer side: it hides hairs but not a missing hat."""
AGREE = (0.15, 0.35)
"""Smoothed difference up to which the teacher's hair is used fully, and from which it is not used."""
DOUBT = 0.4
"""Smoothed difference from which a pixel is not trusted."""
STRAND = 0.005
"""Half the maximum width of a strand, or of a gap between strands, as a share of the longer side."""
FINE = (0.08, 0.25)
"""Strength of strands in the teacher's alpha from which they count partly, and from which they count fully."""


def merge(label: F32, trust: U8, teacher: F32) -> tuple[F32, U8]:
    """Merge a label and a teacher's matte, all (H, W); returns alpha (float32 0..1) and trust (0 or 255).

    The teacher is used where it has strands: where its alpha differs from its opening or closing with radius STRAND,
    the operations that remove strands and gaps. The label is used on plain edges, where it is sharper.
    """
    longest = max(label.shape)
    sigma = SMOOTH * longest
    far = np.abs(cv2.GaussianBlur(label, (0, 0), sigma) - cv2.GaussianBlur(teacher, (0, 0), sigma))
    kernel = disc(STRAND * longest)
    strands = teacher - cv2.morphologyEx(teacher, cv2.MORPH_OPEN, kernel)
    gaps = cv2.morphologyEx(teacher, cv2.MORPH_CLOSE, kernel) - teacher
    fine = cv2.dilate(np.maximum(strands, gaps), disc(2 * STRAND * longest))
    fine = cv2.GaussianBlur(fine, (0, 0), STRAND * longest)
    share = rising(fine, *FINE) * (1.0 - rising(far, *AGREE))
    alpha = label + (teacher - label) * share
    sure = (trust > 200) & (cv2.dilate(far.astype(np.float32), disc(sigma)) < DOUBT)
    return alpha.astype(np.float32), np.where(sure, 255, 0).astype(np.uint8)


def disc(radius: float) -> U8:
    """A round structuring element of at least one pixel's radius."""
    reach = max(1, round(radius))
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)), np.uint8)


def rising(values: NDArray[Any], low: float, high: float) -> F32:
    """0 below ``low``, 1 above ``high``, smooth between (3 t^2 - 2 t^3)."""
    t = np.clip((values - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), np.float32)


def read(path: Path) -> U8:
    """A picture's pixels as they are stored.

    Raises:
        ValueError: the file is not a picture.
    """
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError(f"{path}: not a picture")
    return np.asarray(pixels, np.uint8)


def label_one(fused: Path, teacher: Path, out: Path) -> None:
    """Merge two files into a third, which is written completely or not at all.

    Raises:
        ValueError: a file is not a picture, or the sizes differ.
    """
    old, new = read(fused), read(teacher)
    if old.shape[:2] != new.shape[:2]:
        raise ValueError(f"{teacher}: {new.shape[1]}x{new.shape[0]}, the label has {old.shape[1]}x{old.shape[0]}")
    # OpenCV reads grey with alpha as four channels: the last is the trust.
    grey, trust = (old[..., 0], old[..., -1]) if old.ndim == 3 else (old, np.full_like(old, 255))
    matte = new if new.ndim == 2 else new[..., 0]
    alpha, sure = merge(grey.astype(np.float32) / 255.0, trust, matte.astype(np.float32) / 255.0)
    write_label(out, alpha, sure)


def write_label(path: Path, alpha: F32, trust: U8) -> None:
    """Write alpha (H, W), 0..1, and trust (H, W) as an LA picture, completely or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part.png")  # Pillow writes grey with alpha, OpenCV does not
    Image.fromarray(np.dstack((np.asarray(alpha * 255.0 + 0.5, np.uint8), trust)), "LA").save(beside)
    beside.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.train.labels", description=(__doc__ or "").split("\n\n")[1]
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with fused/SET/NAME.png")
    parser.add_argument("--teacher", type=Path, required=True, help="folder with SET/NAME.png")
    parser.add_argument("--out", type=Path, required=True, help="folder for SET/NAME.png")
    parser.add_argument("--sets", nargs="+", default=["official", "faker", "facechain", "sfhq"])
    given = parser.parse_args()
    for kind in given.sets:
        for teacher in tqdm(sorted((given.teacher / kind).glob("*.png")), kind):
            fused = given.data / "fused" / kind / teacher.name
            if fused.exists():
                label_one(fused, teacher, given.out / kind / teacher.name)


if __name__ == "__main__":
    main()

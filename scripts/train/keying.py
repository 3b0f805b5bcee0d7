"""python -m scripts.train.keying --data ../shared/data --labels DIR --out DIR [--sets official faker ...]

Improves the hair of labels of photos by keying: where the wall behind a head is smooth, its colour behind each pixel is
known, and the alpha follows from the pixel's colour, also of strands and curls that no net draws. Reads labels
SET/NAME.png (8-bit LA: alpha and trust) from --labels, or from data/fused where there is none, and writes them anew,
with keyed hair where that is possible; ``keyed.txt`` names the photos whose hair was keyed for the most part.

Keying is the exact solution of the compositing equation I = a F + (1 - a) B for known B and F (Smith & Blinn 1996,
"Blue Screen Matting"). F comes from sure pixels of the person nearby.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from idseg import IdsegError, Segmenter
from scripts.train.labels import disc, write_label

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Face = tuple[float, float, float, float]
"""Face box: left, top, width, height, px."""

_WALL = (0.3, 0.08, 0.03)
"""Widths of the Gaussian windows in which the wall's colour is averaged, wide to narrow, as shares of the longer side.
"""
_PERSON = (0.06, 0.02, 0.008)
"""The same for the person's colour."""
_SUPPORT = 0.05
"""Share of a window that must be known for its mean to count fully."""
_LEAST_WALL = 0.03
"""Minimum share of the picture that is surely wall."""
_NOISE = (0.05, 0.09)
"""Standard deviation of the keyed alpha up to which it is used fully, and from which it is not used."""
_CONTRAST = (0.22, 0.32)
"""Distance between the colours of wall and person (RGB 0..1) from which keying is used, and used fully."""
_OFF = (0.07, 0.16)
"""Distance of a pixel's colour from the line between wall and person from which it is the person's, of another colour.
"""
_SEEN = 0.15
"""A gap counts if its alpha is lower than this at some pixel; else it is light on the hair."""
_DEEP = 0.18
"""Keying is used up to this distance from the edge, in widths of the face box."""
_MOSTLY = 0.6
"""Share of the uncertain pixels around the head that must be keyed for a photo to be in ``keyed.txt``."""


@dataclass(frozen=True)
class Keyed:
    """Alpha (H, W), 0..1, and how far it can be used (H, W), 0..1."""

    alpha: F32
    usable: F32


def filled(values: F32, known: F32, windows: tuple[float, ...]) -> F32:
    """Fill values (H, W, C) where ``known`` (H, W), 0..1, is 0 with means of known pixels nearby (normalised
    convolution, Knutsson & Westin 1993). ``windows``: sigmas in px, wide to narrow; a narrow one is used where enough
    pixels are known."""
    height, width = known.shape
    found = np.zeros_like(values)
    for number, sigma in enumerate(windows):
        share = max(1, int(sigma / 3.0))
        size = (max(width // share, 2), max(height // share, 2))
        total = _blurred(_resized(values * known[..., None], size, cv2.INTER_AREA), sigma / share)
        weight = _blurred(_resized(known, size, cv2.INTER_AREA), sigma / share)
        mean = _resized(total.reshape(size[1], size[0], -1) / np.maximum(weight, 1e-6)[..., None], (width, height))
        support = _resized(np.clip(weight / _SUPPORT, 0.0, 1.0), (width, height))
        found += (mean.reshape(values.shape) - found) * (support[..., None] if number else 1.0)
    return found


def _resized(values: NDArray[np.floating], size: tuple[int, int], interpolation: int = cv2.INTER_LINEAR) -> F32:
    return np.asarray(cv2.resize(values, size, interpolation=interpolation), np.float32)


def _blurred(values: NDArray[np.float32], sigma: float) -> F32:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REFLECT), np.float32)


def key(rgb: U8, label: F32) -> Keyed | None:
    """Key a photo (H, W, 3), given a label's alpha (H, W), 0..1; None if too little wall is visible."""
    image = rgb.astype(np.float32) / 255.0
    longest = max(label.shape)
    wall_windows, person_windows = (tuple(longest * w for w in part) for part in (_WALL, _PERSON))
    smooth = _blurred(image, 0.6)
    far = cv2.erode((label < 0.02).astype(np.uint8), disc(0.012 * longest)).astype(np.float32)
    if far.mean() < _LEAST_WALL:
        return None
    wall = far
    for last in (False, False, True):
        colour = filled(image, wall, wall_windows)
        off = np.abs(smooth - colour).max(axis=-1)
        noise = np.sqrt(filled((off * off)[..., None], wall, wall_windows[:2])[..., 0]) + 0.004
        if not last:  # also wall close to the person
            alike = ((off < 2.0 * noise) & (label < 0.5)).astype(np.float32)
            wall = np.maximum(far, cv2.erode(alike, np.ones((3, 3))))
    distance = np.linalg.norm(image - colour, axis=-1).astype(np.float32)
    inside = cv2.erode((label > 0.97).astype(np.uint8), disc(2)).astype(np.float32)
    least = cv2.erode(_blurred(distance, 0.7), np.ones((3, 3)))
    person = filled(image, inside * (least > 4.0 * noise), person_windows)
    usual = np.linalg.norm(person - colour, axis=-1)
    person = filled(image, inside * (least > 0.6 * usual), person_windows)
    step = person - colour
    contrast = np.linalg.norm(step, axis=-1)
    alpha = ((image - colour) * step).sum(axis=-1) / np.maximum(contrast**2, 1e-4)
    beside = np.linalg.norm(image - colour - alpha[..., None] * step, axis=-1)
    error = noise / np.maximum(contrast, 1e-3)
    low = np.clip(1.2 * error, 0.02, 0.15)
    alpha = np.clip((alpha - low) / (0.92 - low), 0.0, 1.0)
    alpha = np.maximum(alpha, _ramp(beside - 2.0 * noise, *_OFF) * (distance > 4.0 * noise))
    usable = (1.0 - _ramp(error, *_NOISE)) * _ramp(contrast, *_CONTRAST)
    usable = np.asarray(cv2.erode(usable, np.ones((5, 5))), np.float32)
    return Keyed(np.asarray(alpha, np.float32), usable)


def _ramp(values: NDArray[np.floating], low: float, high: float) -> F32:
    """0 up to ``low``, 1 from ``high``, linear between."""
    return np.asarray(np.clip((values - low) / (high - low), 0.0, 1.0), np.float32)


def without_lights(alpha: F32, label: F32) -> F32:
    """Alpha with those gaps closed, inside what the label calls person, that nowhere show the wall itself."""
    gap = (alpha < 0.97).astype(np.uint8)
    _, number = cv2.connectedComponents(gap, connectivity=4)
    seen = np.zeros(number.max() + 1, bool)
    seen[np.unique(number[(alpha < _SEEN) & (gap > 0)])] = True
    # A gap's soft rim is narrow: farther from what is surely wall, it is light on the hair again.
    rim = cv2.dilate((alpha < _SEEN).astype(np.uint8), disc(3))
    closed = (label > 0.97) & (~seen[number] | (rim == 0))
    return np.where(closed, np.float32(1.0), alpha)


def merged(label: F32, trust: U8, keyed: Keyed, face: Face) -> tuple[F32, U8, float]:
    """Alpha (H, W), trust (H, W) 0 or 255, and the share of the uncertain pixels around the head that were keyed.

    The label stays inside the face and away from the edge. Below the chin, where clothes may have the wall's colour,
    only strands are added.
    """
    height, width = label.shape
    left, top, face_width, face_height = face
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    person = (label > 0.5).astype(np.uint8)
    edge = cv2.distanceTransform(person, cv2.DIST_L2, 5) + cv2.distanceTransform(1 - person, cv2.DIST_L2, 5)
    near = 1.0 - _ramp(edge, _DEEP * face_width, 1.33 * _DEEP * face_width)
    middle = (left + face_width / 2, top + 0.5 * face_height)
    round_face = ((columns - middle[0]) / (0.5 * face_width)) ** 2 + ((rows - middle[1]) / (0.58 * face_height)) ** 2
    share = near * _ramp(round_face, 1.0, 1.15) * keyed.usable
    hair = without_lights(keyed.alpha, label)
    below = rows > top + 1.02 * face_height
    size = face_width / 100.0
    clothes = below & (label > 0.9) & (hair < label)
    share = np.where(clothes, np.float32(0.0), share)
    alpha = label + (hair - label) * share
    opened = cv2.morphologyEx(hair, cv2.MORPH_OPEN, disc(4.0 * size))  # without strands
    closed = cv2.morphologyEx(hair, cv2.MORPH_CLOSE, disc(7.0 * size))  # without small gaps
    doubt = (trust < 200) & (share < 0.7)
    doubt |= (share > 0.02) & (share < 0.7) & (np.abs(hair - label) > 0.2)
    doubt |= (share > 0.3) & (opened > 0.5) & (label < 0.05)  # a thing behind, or a lock of hair that the label misses
    doubt |= (share > 0.3) & (closed < 0.4) & (label > 0.95)  # a large gap, or a part with the wall's colour
    doubt |= clothes & (label - keyed.alpha > 0.3) & (keyed.usable > 0.1)
    sure = cv2.erode(1 - doubt.astype(np.uint8), np.ones((3, 3)))
    ring = cv2.dilate(((label > 0.05) & (label < 0.95)).astype(np.uint8), disc(4)) > 0
    ring &= ~below & (near > 0.5) & (round_face > 1.15)
    return (
        np.asarray(alpha, np.float32),
        np.asarray(sure * 255, np.uint8),
        float(share[ring].mean()) if ring.any() else 0.0,
    )


def read_label(path: Path) -> tuple[F32, U8]:
    """Alpha (H, W), 0..1, and trust (H, W), of an LA picture."""
    pixels = np.asarray(Image.open(path).convert("LA"), np.uint8)
    return pixels[..., 0].astype(np.float32) / 255.0, pixels[..., 1]


def key_one(picture: Path, label: Path, out: Path, segmenter: Segmenter) -> float:
    """Write the improved label of one photo; returns the keyed share of uncertain pixels around the head."""
    alpha, trust = read_label(label)
    rgb = np.asarray(Image.open(picture).convert("RGB"), np.uint8)
    share = 0.0
    try:
        box = segmenter.find(rgb).face_box
    except IdsegError:
        box = None
    keyed = key(rgb, alpha) if box is not None else None
    if box is not None and keyed is not None:
        alpha, trust, share = merged(alpha, trust, keyed, (box.left, box.top, box.width, box.height))
    write_label(out, alpha, trust)
    return share


def labels_of(data: Path, labels: Path, kind: str) -> Iterator[tuple[Path, Path]]:
    """All photos of a set that have a label, with the label."""
    for picture in sorted((data / "photos" / kind).glob("*.jpg")):
        for folder in (labels, data / "fused"):
            label = folder / kind / f"{picture.stem}.png"
            if label.exists():
                yield picture, label
                break


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.train.keying", description=(__doc__ or "").split("\n\n")[1]
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with photos/SET/NAME.jpg and fused/")
    parser.add_argument("--labels", type=Path, default=Path("none"), help="folder with better labels, SET/NAME.png")
    parser.add_argument("--out", type=Path, required=True, help="folder for SET/NAME.png and keyed.txt")
    parser.add_argument("--sets", nargs="+", default=["official", "faker", "facechain", "sfhq"])
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    names: list[str] = []
    with Segmenter() as segmenter:
        for kind in given.sets:
            for picture, label in tqdm(list(labels_of(given.data, given.labels, kind)), kind):
                if key_one(picture, label, given.out / kind / f"{picture.stem}.png", segmenter) > _MOSTLY:
                    names.append(f"{kind}/{picture.stem}")
    (given.out / "keyed.txt").write_text("".join(f"{name}\n" for name in names))
    print(f"{len(names)} photos whose hair was keyed")


if __name__ == "__main__":
    main()

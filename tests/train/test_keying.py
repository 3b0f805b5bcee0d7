"""Hair of labels by keying: strands and gaps that the label lacks come from the colours; doubtful places lose trust."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from idseg import Segmenter
from scripts.train import keying, labels

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
SIDE = 400
FACE = (140.0, 150.0, 120.0, 120.0)
"""Left, top, width and height of the drawn face."""


def head() -> F32:
    """A disc of dark hair around the face, (SIDE, SIDE), with a soft edge."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    return np.asarray(np.clip((95 - np.hypot(x - 200, y - 205)) / 3 + 0.5, 0, 1), np.float32)


def haired() -> F32:
    """The head with strands that leave it at its top, and a round gap at its side."""
    alpha = head()
    for x in range(160, 245, 8):
        cv2.line(alpha, (x, 130), (x + 4, 95), 1.0, 1, cv2.LINE_AA)
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    gap = np.clip((6 - np.hypot(x - 118, y - 190)) / 2 + 0.5, 0, 1).astype(np.float32)
    return np.asarray(alpha * (1 - gap), np.float32)


def photo(alpha: F32, noise: float = 1.0) -> U8:
    """Dark hair with lighter stripes before a wall that gets darker to the right."""
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    wall = np.stack((230 - 0.15 * x, 225 - 0.15 * x, 215 - 0.1 * y), axis=-1)
    hair = np.stack([40.0 + 12.0 * np.sin(0.9 * x + 0.2 * y)] * 3, axis=-1) * (1.1, 0.9, 0.7)
    rgb = hair * alpha[..., None] + wall * (1 - alpha[..., None])
    return np.clip(rgb + np.random.default_rng(1).normal(0, noise, rgb.shape) + 0.5, 0, 255).astype(np.uint8)


def merged(rgb: U8, label: F32) -> tuple[F32, U8, float]:
    keyed = keying.key(rgb, label)
    assert keyed is not None
    return keying.merged(label, np.full(label.shape, 255, np.uint8), keyed, FACE)


def test_strands_and_a_gap_come_from_the_colours() -> None:
    truth, label = haired(), np.asarray(cv2.GaussianBlur(head(), (0, 0), 3), np.float32)
    alpha, trust, share = merged(photo(truth), label)
    for place in (np.s_[93:130, 150:260], np.s_[175:205, 105:135]):
        assert np.abs(alpha - truth)[place].mean() < 0.25 * np.abs(label - truth)[place].mean()
    assert np.abs(alpha - truth).mean() < 0.3 * np.abs(label - truth).mean()
    assert share > keying._MOSTLY
    assert (trust == 255).mean() > 0.98


def test_light_on_the_hair_is_no_gap() -> None:
    rgb = photo(head())
    cv2.line(rgb, (130, 190), (150, 140), (150, 140, 120), 3)  # grey; the wall is nearly white
    alpha, _, _ = merged(rgb, head())
    assert alpha[head() > 0.99].min() > 0.9


@pytest.mark.parametrize("alike", [True, False])
def test_a_wall_of_the_hairs_colour_or_a_rough_one_leaves_the_label(alike: bool) -> None:
    truth, label = haired(), head()
    rgb = photo(truth, 1.0 if alike else 60.0)
    if alike:
        rgb = (rgb // 8 + 40).astype(np.uint8)
    alpha, _, share = merged(rgb, label)
    assert np.abs(alpha - label).max() < 0.05
    assert share < 0.1


def test_a_thing_behind_the_head_does_not_become_hair() -> None:
    rgb = photo(head())
    cv2.rectangle(rgb, (306, 150), (340, 210), (30, 60, 120), -1)
    alpha, trust, _ = merged(rgb, head())
    place = np.s_[155:205, 308:338]
    assert (alpha * (trust > 0))[place].mean() < 0.1


def test_no_wall_means_no_key() -> None:
    assert keying.key(photo(head()), np.ones((SIDE, SIDE), np.float32)) is None


def test_filled_values_are_means_of_near_known_ones() -> None:
    values = np.dstack([np.tile(np.linspace(0, 1, 90, dtype=np.float32), (60, 1))] * 2)
    known = np.ones((60, 90), np.float32)
    known[20:40, 40:50] = 0.0
    found = keying.filled(np.where(known[..., None] > 0, values, 9.0).astype(np.float32), known, (20.0, 4.0))
    assert np.abs(found - values)[20:40, 40:50].max() < 0.05


def test_a_photo_without_a_face_keeps_its_label(tmp_path: Path) -> None:
    picture, label, out = tmp_path / "a.png", tmp_path / "label.png", tmp_path / "out" / "a.png"
    cv2.imwrite(str(picture), photo(head()))
    pixels = np.asarray(head() * 255 + 0.5, np.uint8)
    Image.fromarray(np.dstack((pixels, np.full_like(pixels, 255))), "LA").save(label)
    with Segmenter() as segmenter:
        assert keying.key_one(picture, label, out, segmenter) == 0.0
    assert np.array_equal(keying.read_label(out)[0], keying.read_label(label)[0])
    assert labels.read(out).shape[:2] == (SIDE, SIDE)

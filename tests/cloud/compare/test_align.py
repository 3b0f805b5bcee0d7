"""Cuts are found in their photos: to the pixel where they are parts of it, within one where they were scaled."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from idseg.cloud.compare import align
from idseg.imaging import cutting, encode
from idseg.stages.decode import decode
from idseg.types import Alpha, Rgb, Size, Window
from tests.cloud.compare.scene import matte

WINDOWS = [
    Window(110, 20, 300, 420),
    Window(0, 0, 200, 280),
    Window(211, 190, 250, 322),
    Window(100, 250, 300, 420),  # leaves the photo at the bottom
    Window(-40, -30, 350, 490),  # leaves it on three sides
]


def jpeg(rgb: Rgb, quality: int) -> Rgb:
    return decode(encode.jpeg(rgb, quality=quality)).rgb


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("quality", [95, 40])
def test_an_unscaled_cut_is_found_to_the_pixel(astronaut: Rgb, window: Window, quality: int) -> None:
    found = align.register(astronaut, jpeg(cutting.take(astronaut, window), quality))
    assert (found.left, found.top, found.scale) == (window.left, window.top, 1.0)
    assert found.whole
    assert found.score > 0.95


@pytest.mark.parametrize("scale", [0.4, 0.62, 0.93, 1.3, 1.9])
def test_a_scaled_cut_is_found_within_half_a_pixel(astronaut: Rgb, scale: float) -> None:
    window = Window(110, 20, 300, 420)
    size = (round(window.width * scale), round(window.height * scale))
    method = Image.Resampling.LANCZOS
    cut = np.asarray(Image.fromarray(cutting.take(astronaut, window)).resize(size, method))
    found = align.register(astronaut, jpeg(cut, 90))
    assert found.left == pytest.approx(window.left, abs=0.5)
    assert found.top == pytest.approx(window.top, abs=0.5)
    right, bottom = found.window(Size(*size)).right, found.window(Size(*size)).bottom
    assert right == pytest.approx(window.right, abs=0.8)
    assert bottom == pytest.approx(window.bottom, abs=0.8)


def test_large_photos_are_found_in_to_the_pixel_too(astronaut: Rgb) -> None:
    photo = np.asarray(cv2.resize(astronaut, (2400, 2400), interpolation=cv2.INTER_CUBIC), np.uint8)
    window = Window(617, 101, 1203, 1684)
    found = align.register(photo, jpeg(cutting.take(photo, window), 90))
    assert (found.left, found.top, found.scale) == (617.0, 101.0, 1.0)


def test_a_foreign_or_mirrored_cut_scores_low(astronaut: Rgb) -> None:
    from idseg.cloud.compare.measure import LEAST_SCORE

    cut = cutting.take(astronaut, WINDOWS[0])
    noise = np.random.default_rng(0).integers(0, 256, cut.shape, dtype=np.uint8)
    for other in (noise, np.ascontiguousarray(cut[::-1]), np.full_like(cut, 90)):
        assert align.register(astronaut, other).score < LEAST_SCORE


def test_a_whole_placement_brings_pixels_as_they_are() -> None:
    alpha = matte(90, 120)
    placement = align.Alignment(10, 20, 1.0, 1.0, "registered")
    brought = align.bring(alpha, placement, Size(90, 120), Window(15, 30, 40, 50))
    assert np.array_equal(brought, alpha[10:60, 5:45])


def test_outside_the_cut_there_is_nothing() -> None:
    alpha = np.ones((20, 10), np.float32)
    placement = align.Alignment(0, 0, 2.0, 1.0, "registered")
    brought = align.bring(alpha, placement, Size(10, 20), Window(30, 0, 10, 10))
    assert float(brought.max()) == 0.0


@pytest.mark.parametrize("scale", [0.5, 2.0, 1.7])
def test_a_scaled_matte_comes_back_in_its_place(scale: float) -> None:
    alpha = matte(240, 320)
    size = Size(round(240 / scale), round(320 / scale))
    small: Alpha = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC))
    placement = align.Alignment(7, 9, 240 / size.width, 1.0, "registered")
    brought = align.bring(small, placement, size, Window(7, 9, 240, 320))
    assert float(np.abs(brought - alpha).mean()) < 0.004


def test_a_scoremap_smaller_than_its_cut_is_stretched_over_it() -> None:
    alpha = matte(240, 320)
    half = np.asarray(cv2.resize(alpha, (120, 160), interpolation=cv2.INTER_AREA), np.float32)
    placement = align.Alignment(0, 0, 1.0, 1.0, "registered")
    brought = align.bring(half, placement, Size(240, 320), Window(0, 0, 240, 320))
    assert float(np.abs(brought - alpha).mean()) < 0.004


def test_told_places_are_taken_as_told() -> None:
    placement = align.told(Window(-5, 7, 200, 300), Size(100, 150))
    assert (placement.left, placement.top, placement.scale, placement.source) == (-5.0, 7.0, 2.0, "cut_location")

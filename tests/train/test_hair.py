"""The hair generator: reproducible, exact in its coverage, and where hair belongs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("numba")

from scripts.train.hair.groom import flatten, groom, layer
from scripts.train.hair.head import body_depth, draw_head, jaw, push_out, scalp
from scripts.train.hair.raster import Ribbons, paint
from scripts.train.hair.styles import STYLES
from scripts.train.hair.view import FACE_MIDDLE, FACE_WIDTH, MIDDLE, VIEW

SMALL = (160, 200)
NEAR = np.full((40, 48), np.inf, np.float32)
"""A split that puts everything before the body."""


def ribbons(points: NDArray[np.float64], width: float, samples: int) -> Ribbons:
    """White strands through ``points`` (n, k, 2 or 3), in pixels."""
    n, k, axes = points.shape
    deep = points if axes == 3 else np.concatenate((points, np.zeros((n, k, 1))), axis=-1)
    scaled = (deep * (samples, samples, 1)).astype(np.float32)
    return Ribbons(scaled, np.full((n, 2, 3), 255, np.float32), np.full((n, k), width * samples, np.float32))


def supersampled(points: NDArray[np.float64], width: float, fine: int = 8) -> NDArray[np.float64]:
    """Share of ``fine`` x ``fine`` places of each pixel that lie within half a width of a strand."""
    y, x = (np.mgrid[0 : 40 * fine, 0 : 48 * fine] + 0.5) / fine
    covered = np.zeros(x.shape, bool)
    for strand in points:
        for p, q in itertools.pairwise(strand):
            d = q - p
            t = np.clip(((x - p[0]) * d[0] + (y - p[1]) * d[1]) / (d @ d), 0, 1)
            covered |= np.hypot(x - p[0] - t * d[0], y - p[1] - t * d[1]) < width / 2
    return np.asarray(covered.reshape(40, fine, 48, fine).mean(axis=(1, 3)))


def curves(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Gentle curves (n, 24, 2) inside 48x40 px."""
    u = np.linspace(0, 1, 24)[None, :, None]
    start, end = rng.uniform(4, 36, (2, n, 1, 2))
    return np.asarray(start + (end - start) * u + rng.normal(0, 4, (n, 1, 2)) * np.sin(np.pi * u))


@pytest.mark.parametrize(("width", "samples"), [(0.25, 3), (0.6, 2), (1.4, 3), (3.0, 2)])
def test_coverage_is_that_of_fine_supersampling(width: float, samples: int) -> None:
    points = curves(np.random.default_rng(3), 7)
    front, back = paint([ribbons(points, width, samples)], NEAR, samples)
    expected = supersampled(points, width)
    y, x = np.mgrid[0:40, 0:48] + 0.5
    ends = points[:, (0, -1)].reshape(-1, 2)  # a ribbon's ends are cut straight
    far = np.hypot(x[..., None] - ends[:, 0], y[..., None] - ends[:, 1]).min(axis=-1) > width / 2 + 1
    error = np.abs(front[..., 3] - expected)[far]
    assert error.mean() < 0.01
    assert np.quantile(error, 0.99) < 0.1
    assert front[far, 3].sum() == pytest.approx(expected[far].sum(), rel=0.03)
    assert back.max() == 0


def test_a_strand_thinner_than_a_pixel_keeps_its_area() -> None:
    for width in (0.02, 0.1, 0.4):
        for end in ((40.0, 20.0), (40.0, 33.0), (14.0, 36.0)):
            line = np.array([[(6.3, 7.7), end]])
            front, _ = paint([ribbons(line, width, 2)], NEAR, 2)
            length = np.hypot(*(line[0, 1] - line[0, 0]))
            assert front[..., 3].sum() == pytest.approx(length * width, rel=0.03)


def test_the_nearer_strand_covers_and_the_split_parts_the_layers() -> None:
    red = ribbons(np.array([[(4, 20, 1.0), (44, 20, 1.0)]]), 4.0, 2)
    green = ribbons(np.array([[(24, 4, 0.0), (24, 36, 0.0)]]), 4.0, 2)
    red.colours[:] = (255, 0, 0)
    green.colours[:] = (0, 255, 0)
    front, _ = paint([green, red], NEAR, 2)
    assert tuple(front[20, 24]) == pytest.approx((0, 255, 0, 1))
    front, back = paint([green, red], np.full((40, 48), 0.5, np.float32), 2)
    assert tuple(front[20, 24]) == pytest.approx((0, 255, 0, 1))
    assert tuple(back[20, 24]) == pytest.approx((255, 0, 0, 1))
    assert front[20, 10].max() == 0


def test_a_seed_gives_the_same_hair_again_and_another_seed_other_hair() -> None:
    assert np.array_equal(layer(5, SMALL, "fine"), layer(5, SMALL, "fine"))
    assert not np.array_equal(layer(5, SMALL, "fine"), layer(6, SMALL, "fine"))


def test_each_style_has_hair_and_leaves_the_face_and_the_frame_free() -> None:
    unit = SMALL[0] / VIEW
    y, x = np.mgrid[0 : SMALL[1], 0 : SMALL[0]]
    up = MIDDLE - (y - SMALL[1] / 2) / unit
    face = np.hypot((x - SMALL[0] / 2) / unit / (0.22 * FACE_WIDTH), (up - FACE_MIDDLE - 0.1) / 0.3) < 1
    covers = []
    for style in sorted(STYLES):
        hair = groom(11, SMALL, style, strands=0.25)
        rgba = flatten(hair.front, hair.back, hair.hidden)
        alpha = rgba[..., 3] / 255.0
        assert alpha.mean() > 0.003, style
        assert rgba[..., :3][alpha > 0.6].std() > 2, style
        assert alpha[face].mean() < 0.25, style  # a fringe may hang into it
        assert max(alpha[0].max(), alpha[:150, 0].max(), alpha[:150, -1].max()) < 0.3, style
        covers.append(float(alpha[face].mean()))
    assert np.median(covers) < 0.03, "most faces are free"


def test_flattened_hair_hides_what_is_behind_the_body() -> None:
    front = np.zeros((2, 2, 4), np.uint8)
    back = np.full((2, 2, 4), (10, 20, 30, 255), np.uint8)
    front[0, 0] = (200, 100, 0, 128)
    hidden = np.array(((1, 1), (0, 0)), np.float32)
    flat = flatten(front, back, hidden)
    assert flat[0, 0].tolist() == [200, 100, 0, 128]
    assert flat[0, 1, 3] == 0
    assert flat[1, 1].tolist() == [10, 20, 30, 255]


def test_hair_stays_out_of_the_body() -> None:
    rng = np.random.default_rng(0)
    head = draw_head(rng)
    points = rng.uniform(-1.5, 1.5, (4000, 3)).astype(np.float32)
    moved = push_out(points.copy(), head, 1.05, 0.0)
    assert np.linalg.norm(head.inside(moved), axis=1).min() > 1.0
    again = push_out(moved.copy(), head, 1.05, 0.0)
    assert np.abs(again - moved).max() < 0.1
    assert np.isfinite(body_depth(head, np.zeros(1, np.float32), np.zeros(1, np.float32))).all()
    assert np.isinf(body_depth(head, np.full(1, 1.9, np.float32), np.zeros(1, np.float32))).all()
    roots = scalp(rng, 3000, 0.5, 0.1)
    assert not ((roots[:, 1] < -0.6) & (roots[:, 2] < 0.2)).any()  # none on the face
    assert (jaw(rng, 500, 0.5)[:, 2] < 0.1).all()

"""Tiles around marked places, against a slow search."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from idseg.imaging.tiles import tiles
from idseg.types import Window


def slowly(marked: npt.NDArray[np.uint8], rows: int, grain: int, reach: int, joined: int, fewest: int) -> list[Window]:
    height, width = marked.shape
    found = []
    for top in range(0, height, rows):
        band = marked[top : top + rows]
        parts = [band[:, left : left + grain] for left in range(0, width, grain)]
        chosen = [part.sum() * rows * grain >= fewest * part.size for part in parts]
        near = [any(chosen[max(at - reach, 0) : at + reach + 1]) for at in range(len(parts))]
        ends = [at for at, here in enumerate(near) if here]
        for one, other in pairwise(ends):
            if other - one - 1 <= joined:
                near[one:other] = [True] * (other - one)
        starts = [at for at, here in enumerate(near) if here and (at == 0 or not near[at - 1])]
        for start in starts:
            end = next((at for at in range(start, len(near)) if not near[at]), len(near))
            right = min(end * grain, width)
            found.append(Window(start * grain, top, right - start * grain, band.shape[0]))
    return found


@pytest.mark.parametrize("seed", range(40))
def test_tiles_are_those_of_a_slow_search(seed: int) -> None:
    random = np.random.default_rng(seed)
    height, width, rows, grain = (int(most) for most in random.integers(1, (150, 150, 40, 20)))
    marked = (random.random((height, width)) < random.choice((0.0, 0.003, 0.03, 0.3))).astype(np.uint8)
    reach, joined, fewest = int(random.integers(0, 3)), 2 * int(random.integers(0, 3)), int(random.integers(1, 9))
    found = list(tiles(marked, rows, grain, reach=reach, joined=joined, fewest=fewest))
    assert found == slowly(marked, rows, grain, reach, joined, fewest)

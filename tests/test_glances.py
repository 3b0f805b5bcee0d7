"""Low-resolution mattes of parts of a photo."""

from typing import cast

import numpy as np
import numpy.typing as npt

from idseg.glances import Glances
from idseg.stages.matte import Glance, Matte
from idseg.types import Rgb, Window

HEIGHT, WIDTH = 400, 300


class Stub:
    """In place of a coarse net: red is alpha. It notes what it was shown."""

    def __init__(self, whole: bool) -> None:
        self.glances_are_whole = whole
        self.shown: list[tuple[int, int]] = []

    def glance(self, rgb: Rgb) -> Glance:
        self.shown.append(rgb.shape[:2])
        alpha = np.asarray(rgb[..., 0], np.float32) / np.float32(255)
        return Glance(alpha, alpha)


def photo(top: int = 100) -> npt.NDArray[np.uint8]:
    """A person whose head begins in the given row."""
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    rgb[top:, 100:200] = 255
    return rgb


def glances(rgb: npt.NDArray[np.uint8], whole: bool = False) -> tuple[Glances, Stub]:
    stub = Stub(whole)
    return Glances(rgb, cast(Matte, stub)), stub


def test_a_window_is_seen_with_its_surroundings_and_windows_in_them_need_no_other_look() -> None:
    made, stub = glances(photo())
    first = made.of(Window(100, 100, 100, 200))
    assert not first.whole
    assert first.alpha.shape == (200, 100)
    assert stub.shown == [(230, 116)]
    assert made.of(Window(95, 90, 110, 215)).alpha.shape == (215, 110)
    assert len(stub.shown) == 1
    made.of(Window(0, 0, 100, 100))
    assert len(stub.shown) == 2


def test_surroundings_end_with_the_photo_and_a_window_beyond_it_is_filled() -> None:
    made, stub = glances(photo())
    assert made.of(Window(0, 0, WIDTH, HEIGHT)).whole
    assert made.of(Window(-20, -40, 100, 140)).alpha.shape == (140, 100)
    assert stub.shown == [(HEIGHT, WIDTH), (150, 108)]


def test_a_net_whose_glance_is_its_matte_sees_the_window_alone() -> None:
    made, stub = glances(photo(), whole=True)
    for _ in range(2):
        assert made.of(Window(100, 100, 100, 200)).whole
    made.of(Window(110, 110, 50, 50))
    assert stub.shown == [(200, 100), (50, 50)]


def test_the_window_grows_until_it_contains_the_head() -> None:
    made, _ = glances(photo(top=60))
    head = made.head(Window(50, 150, 200, 200), chin=250.0)
    assert head is not None
    assert head.top == 60
    empty, _ = glances(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    assert empty.head(Window(50, 150, 200, 200), chin=250.0) is None

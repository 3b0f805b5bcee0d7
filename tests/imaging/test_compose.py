import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idseg.errors import OptionError
from idseg.imaging.colours import NAMED_COLORS, parse_color
from idseg.imaging.compose import on_color, over, rgba


@pytest.mark.parametrize(
    ("text", "expected"),
    [("white", (255, 255, 255)), ("#438edb", (67, 142, 219)), ("438EDB", (67, 142, 219)), ("#fff", (255, 255, 255))],
)
def test_colors(text: str, expected: tuple[int, int, int]) -> None:
    assert parse_color(text) == expected


@pytest.mark.parametrize("color", ["", "#12345", "whiteish", (0, 0, 256), (-1, 0, 0)])
def test_no_colors(color: str | tuple[int, int, int]) -> None:
    with pytest.raises(OptionError, match="not a colour"):
        parse_color(color)


@given(value=st.integers(0, 255), alpha=st.floats(0, 1, width=32), name=st.sampled_from(sorted(NAMED_COLORS)))
def test_over_is_the_compositing_equation(value: int, alpha: float, name: str) -> None:
    foreground = np.full((2, 3, 3), value, dtype=np.uint8)
    mixed = on_color(foreground, np.full((2, 3), alpha, dtype=np.float32), name)
    expected = alpha * value + (1 - alpha) * np.array(NAMED_COLORS[name])
    assert np.abs(mixed - expected).max() <= 0.5 + 1e-3


def test_over_keeps_both_ends_exactly_and_changes_nothing_it_was_given() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 256, (2, 8, 9, 3), dtype=np.uint8)
    a.setflags(write=False)
    b.setflags(write=False)
    assert np.array_equal(over(a, np.ones((8, 9), np.float32), b), a)
    assert np.array_equal(over(a, np.zeros((8, 9), np.float32), b), b)


def test_black_is_no_special_case() -> None:
    rng = np.random.default_rng(2)
    foreground = rng.integers(0, 256, (300, 40, 3), dtype=np.uint8)
    alpha = rng.choice(np.linspace(0, 1, 511), (300, 40)).astype(np.float32)
    assert np.array_equal(on_color(foreground, alpha, "black"), over(foreground, alpha, np.zeros_like(foreground)))


def test_nothing_of_the_background_hides_in_a_cutout() -> None:
    secret = np.full((4, 4, 3), 77, dtype=np.uint8)
    alpha = np.zeros((4, 4), dtype=np.float32)
    alpha[1, 1] = 1
    cutout = rgba(secret, alpha)
    assert cutout[1, 1].tolist() == [77, 77, 77, 255]
    assert not cutout[alpha == 0].any()

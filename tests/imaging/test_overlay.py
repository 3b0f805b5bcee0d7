"""The drawing of a result over the photo."""

import numpy as np
import pytest

from idseg.imaging.overlay import _text


@pytest.mark.parametrize("scale", [0.38, 0.55, 1.1])
def test_the_dark_rim_lies_around_the_letters(scale: float) -> None:
    """Also where a thicker font is wider, as OpenCV 5's is."""
    canvas = np.full((80, 900, 3), 128, np.uint8)
    _text(canvas, "left_shoulder 1.00  yaw +1", (20, 50), scale)
    grey = canvas[..., 0]
    letters, rim = (np.argwhere(where) for where in (grey > 160, grey < 96))
    assert len(letters) > 100
    assert (letters.min(axis=0) >= rim.min(axis=0)).all()
    assert (letters.max(axis=0) <= rim.max(axis=0)).all()
    assert (letters.min(axis=0) - rim.min(axis=0)).max() <= 2
    assert (rim.max(axis=0) - letters.max(axis=0)).max() <= 2


def test_a_label_beyond_the_picture_changes_nothing() -> None:
    canvas = np.full((40, 40, 3), 128, np.uint8)
    _text(canvas, "neck 0.97", (500, 20), 0.5)
    assert (canvas == 128).all()

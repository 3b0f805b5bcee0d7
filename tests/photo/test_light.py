"""Brighter by hand: black and white stay, nothing clips, and it is told."""

from __future__ import annotations

import numpy as np
import pytest

from idseg.errors import OptionError
from idseg.photo.finish import finish
from idseg.photo.light import check_stops, lit
from idseg.photo.sizes import find_size
from tests.server.fakes import fake_result


def test_the_curve_keeps_black_white_and_order() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    assert lit(ramp, 0.0) is ramp
    for stops in (-1.0, -0.3, 0.3, 1.0):
        levels = lit(ramp, stops)[0, :, 0].astype(int)
        assert (levels[0], levels[255]) == (0, 255)
        assert (np.diff(levels) >= 0).all()
        assert ((levels - np.arange(256)) * np.sign(stops) >= 0).all()
    there_and_back = lit(lit(ramp, 0.5), -0.5).astype(int) - ramp
    assert np.abs(there_and_back).max() <= 2


@pytest.mark.parametrize("stops", [1.01, -2.0, float("nan")])
def test_more_is_no_correction(stops: float) -> None:
    with pytest.raises(OptionError):
        check_stops(stops)


def test_a_brighter_photo_says_so() -> None:
    result = fake_result(np.full((400, 320, 3), 90, np.uint8))
    plain, brighter = (finish(result, find_size("us-visa"), light_stops=stops) for stops in (0.0, 0.5))
    assert plain.pixels_done["unretouched"] is True
    assert brighter.pixels_done["unretouched"] is False
    assert "brightened by 0.5 stops (an edit)" in brighter.done
    assert any("no change but cropping; the light" in warning for warning in brighter.warnings)
    assert brighter.pixels.mean() > plain.pixels.mean() + 5
    assert (result.photo == 90).all(), "the photo itself stays"

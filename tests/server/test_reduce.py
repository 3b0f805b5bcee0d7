"""Large photos are reduced once, before the models see them; the cloud API's photos never."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import numpy as np
import pytest
from PIL import Image

from idseg.result import Result
from idseg.server.reduce import REDUCED, Reducing
from idseg.server.routes import photo_api
from idseg.stages.crop import CropOptions
from idseg.stages.decode import API_LIMITS, DecodeLimits, decode
from idseg.types import Rgb
from tests.server.fakes import fake_result, picture


@dataclass
class Seeing:
    """In place of a Segmenter: notes what it is given."""

    photos: list[object] = field(default_factory=list)

    def __call__(
        self, photo: bytes | Rgb, /, *, crop: CropOptions | None = None, limits: DecodeLimits | None = None
    ) -> Result:
        self.photos.append(photo)
        return fake_result(decode(photo, limits or DecodeLimits()).rgb)

    def whole(self, photo: bytes | Rgb, /) -> Result:
        return self(photo)


@pytest.mark.parametrize(
    ("size", "becomes"), [((400, 300), (400, 300)), ((800, 600), (400, 300)), ((2000, 60), (2000, 60))]
)
def test_the_models_see_a_bounded_number_of_pixels(size: tuple[int, int], becomes: tuple[int, int]) -> None:
    photos: list[object] = []
    result = Reducing(Seeing(photos), most_px=120_000)(picture(size=size))
    assert result.photo_size == becomes
    assert Reducing(Seeing(), most_px=120_000).whole(picture(size=size)).photo_size == becomes
    assert [note for note in result.notes if note.startswith(REDUCED)] == (
        [] if size == becomes else [f"{REDUCED}: 800 x 600 px to 400 x 300 px"]
    )
    assert result.timings_ms["decode"] > 0


def test_a_photo_of_the_api_stays_as_it_is() -> None:
    photos: list[object] = []
    file = picture(size=(800, 600))
    assert Reducing(Seeing(photos), most_px=120_000)(file, limits=API_LIMITS).photo_size == (800, 600)
    assert photos == [file]


def test_notes_of_the_decoder_stay() -> None:
    stream = io.BytesIO()
    Image.fromarray(np.zeros((60, 60, 3), np.uint8)).save(stream, "PNG", icc_profile=b"no profile")
    (note,) = Reducing(Seeing())(stream.getvalue()).notes
    assert "profile" in note


def test_a_finished_photo_tells_that_its_photo_was_reduced() -> None:
    file = picture(size=(800, 600))
    plain, _ = photo_api.only_photo(Reducing(Seeing()), file, "size=cn-1inch")
    made, _ = photo_api.only_photo(Reducing(Seeing(), most_px=120_000), file, "size=cn-1inch")
    assert (plain.facts["resamplings"], made.facts["resamplings"]) == (1, 2)
    assert (plain.facts["notes"], len(made.facts["notes"])) == ([], 1)

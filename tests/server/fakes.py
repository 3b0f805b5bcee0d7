"""A stand-in for the models, for tests of everything around them: real decoding, real encoding, invented geometry.

The photo's first pixel steers it, so that a test can ask for any outcome over HTTP; the cut shows the photo's own
pixels, so that a client can tell its answer from another's.
"""

from __future__ import annotations

import ctypes
import io
import os
import signal
import time
from dataclasses import dataclass

import numpy as np
from PIL import Image

from idseg.errors import (
    IdsegError,
    ModelDamagedError,
    ModelMissingError,
    MultiplePersonsError,
    NoPersonError,
    ProviderError,
    SidewaysError,
    UpsideDownError,
)
from idseg.result import Result
from idseg.stages.crop import CropOptions
from idseg.stages.decode import DecodeLimits, decode
from idseg.types import BodyParts, BodyPose, Box, FacePose, HeadAngles, Person, Point, Pose, Rgb, ShoulderAngles, Window

SECONDS_VARIABLE = "IDSEG_FAKE_SECONDS"
"""How long the fake takes for a photo."""

NOBODY = (250, 0, 0)
TWO_PEOPLE = (0, 250, 0)
ON_THE_HEAD = (0, 0, 250)
ON_THE_SIDE = (250, 250, 0)
NO_WEIGHTS = (250, 0, 250)
A_BUG = (0, 250, 250)
NO_PROVIDER = (128, 0, 250)

HANGS = (10, 20, 30)
"""The worker works for ever, with the interpreter locked, as native code does that hangs."""
DIES = (30, 20, 10)
"""The worker is gone, as after a fault in native code."""
DIES_ONCE = (30, 10, 20)
"""The same, but only the first time; see :attr:`FakeSegmenter.once`."""
WAITS = (20, 10, 30)
"""Is answered once there is a file; see :attr:`FakeSegmenter.gate`."""

_OUTCOMES: dict[tuple[int, int, int], Exception] = {
    NOBODY: NoPersonError("nobody is in the photo", persons=0),
    TWO_PEOPLE: MultiplePersonsError(
        "2 people are in the photo; one is wanted",
        persons=2,
        boxes=[[0.1, 0.2, 0.2, 0.3], [0.6, 0.2, 0.2, 0.3]],
    ),
    ON_THE_HEAD: UpsideDownError("the person stands on the head; turn the photo", persons=1),
    ON_THE_SIDE: SidewaysError("the photo lies on its side", persons=1, turn_deg=90),
    NO_WEIGHTS: ModelDamagedError("the weights /secret/path are damaged", path="/secret/path"),
    NO_PROVIDER: ProviderError("no CUDA here"),
    A_BUG: ZeroDivisionError("a bug that says secret-of-the-user"),
}


def picture(
    color: tuple[int, int, int] = (90, 120, 150), size: tuple[int, int] = (120, 160), kind: str = "PNG"
) -> bytes:
    """A plain picture file."""
    stream = io.BytesIO()
    Image.new("RGB", size, color).save(stream, kind)
    return stream.getvalue()


def fake_result(rgb: Rgb) -> Result:
    """A person in the middle of any picture; the window leaves it at the bottom."""
    height, width = rgb.shape[:2]
    window = Window(width // 8, height // 10, width * 3 // 4, height)
    cut = np.zeros((window.height, window.width, 3), np.uint8)
    seen = rgb[window.top :, window.left : window.right]
    cut[: seen.shape[0]] = seen
    y, x = np.mgrid[0 : window.height, 0 : window.width]
    ellipse = ((x - window.width / 2) / (window.width * 0.4)) ** 2 + (
        (y - window.height / 2) / (window.height * 0.4)
    ) ** 2
    alpha = np.clip(2.0 - 2 * ellipse, 0.0, 1.0).astype(np.float32)
    face = Box(width * 0.35, height * 0.3, width * 0.3, height * 0.3)
    parts = BodyParts(
        left_ear=Point(width * 0.34, height * 0.45, 0.8760631),
        right_ear=Point(width * 0.66, height * 0.45, 0.64241165),
        left_eye=Point(width * 0.43, height * 0.42, 0.95858794),
        right_eye=Point(width * 0.57, height * 0.42, 0.9648065),
        nose_tip=Point(width * 0.5, height * 0.48, 0.88654065),
        left_mouth=Point(width * 0.46, height * 0.54, 0.92905945),
        right_mouth=Point(width * 0.54, height * 0.54, 0.96665746),
        right_shoulder=Point(width * 0.95, height * 0.8, 0.25711855),
        left_shoulder=Point(width * 0.05, height * 0.8, 0.4777191),
        neck=Point(width * 0.5, height * 0.66, 0.7303297),
    )
    head = HeadAngles(2.0, -1.0, 0.5)
    return Result(
        photo=rgb,
        person=Person(face, 0.9999945, parts, head),
        pose=Pose(FacePose.LEVEL_FRONTAL, BodyPose.LEVEL_TURNED, head, ShoulderAngles(0.2, 0.05, 1.93)),
        window=window,
        cut=cut,
        alpha=alpha,
        foreground=cut,
        timings_ms={"decode": 1.0, "matte": 2.0},
        provider="fake",
    )


def hang_in_native_code() -> None:
    """C code that never ends and never lets another thread run: PyDLL keeps the interpreter locked."""
    ctypes.PyDLL(None).pause()


@dataclass(frozen=True)
class FakeSegmenter:
    """Called as the Segmenter is."""

    seconds: float = 0.0
    """For each photo."""
    gate: str = ""
    """A file that photos of the colour WAITS wait for."""
    once: str = ""
    """A file that the first photo of the colour DIES_ONCE makes."""

    def __call__(
        self, photo: bytes, /, *, crop: CropOptions | None = None, limits: DecodeLimits | None = None
    ) -> Result:
        rgb = decode(photo, limits or DecodeLimits()).rgb
        color = tuple(int(level) for level in rgb[0, 0])
        if color == HANGS:
            hang_in_native_code()
        if color == DIES or (color == DIES_ONCE and not os.path.exists(self.once)):
            if color == DIES_ONCE:
                open(self.once, "wb").close()
            os.kill(os.getpid(), signal.SIGSEGV)
        while color == WAITS and not os.path.exists(self.gate):
            time.sleep(0.01)
        outcome = _OUTCOMES.get(color)  # type: ignore[arg-type]
        if outcome is not None:
            raise outcome if not isinstance(outcome, IdsegError) else type(outcome)(outcome.message, **outcome.facts)
        time.sleep(self.seconds)
        return fake_result(rgb)

    def whole(self, photo: bytes | Rgb, /) -> Result:
        """A finished photo, looked at as it is."""
        return fake_result(decode(photo).rgb)


def load_fake() -> FakeSegmenter:
    """In a worker."""
    return FakeSegmenter(float(os.environ.get(SECONDS_VARIABLE, "0")))


def load_behind(gate: str) -> FakeSegmenter:
    """Loads once there is a file."""
    while not os.path.exists(gate):
        time.sleep(0.01)
    return FakeSegmenter()


def load_nothing() -> FakeSegmenter:
    raise ModelMissingError("the weights are missing")

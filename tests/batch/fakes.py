"""A stand-in for the models in a batch's workers: real decoding, real encoding, an invented matte.

The photo's first pixel steers it, so that a test can ask for any outcome, the death of the process included.
"""

from __future__ import annotations

import io
import os
import signal
import tempfile
import time
from collections.abc import Callable
from multiprocessing import parent_process
from pathlib import Path

import numpy as np
from PIL import Image

from idseg.errors import ModelDamagedError, MultiplePersonsError, NoPersonError, OptionError
from idseg.result import Result
from idseg.segmenter import Options
from idseg.stages.decode import decode
from idseg.types import BodyParts, BodyPose, Box, FacePose, HeadAngles, Person, Point, Pose, Rgb, ShoulderAngles, Window

NOBODY = (250, 0, 0)
TWO_PEOPLE = (0, 250, 0)
KILLS = (0, 0, 250)
"""The photo takes the worker with it, as the kernel's out-of-memory killer would."""
NOT_THAT_MANY = (128, 250, 0)
"""Of several people one was picked who is not there."""
HANGS = (250, 250, 0)
A_BUG = (0, 250, 250)
NO_WEIGHTS = (250, 0, 250)
NO_MEMORY = (128, 0, 250)
SLOW = (10, 0, 0)
"""Takes 30 ms, so that a test can kill a batch in the middle."""
KILLS_ONCE = (0, 10, 0)
"""Takes the first worker with it, and no second one."""
MARK = Path(tempfile.gettempdir()) / f"idseg-test-mark-{getattr(os, 'getuid', lambda: 0)()}"
"""Exists once KILLS_ONCE has killed. No variable of the environment names it, because a worker has the environment of
the template process, which may be older than the test."""


def picture(color: tuple[int, int, int] = (90, 120, 150), size: tuple[int, int] = (60, 80), kind: str = "PNG") -> bytes:
    """A plain picture file."""
    stream = io.BytesIO()
    Image.new("RGB", size, color).save(stream, kind)
    return stream.getvalue()


def fake_result(rgb: Rgb) -> Result:
    """A person in the middle; the matte hangs on the photo's pixels."""
    height, width = rgb.shape[:2]
    alpha = (rgb.astype(np.float32).mean(axis=2) / 255).astype(np.float32)
    point = Point(width / 2, height / 2, 0.9)
    parts = BodyParts(point, point, point, point, point, point, point, point, point, point)
    head = HeadAngles(2.0, -1.0, 0.5)
    return Result(
        photo=rgb,
        person=Person(Box(10.0, 10.0, 20.0, 20.0), 0.99, parts, head),
        pose=Pose(FacePose.LEVEL_FRONTAL, BodyPose.LEVEL_TURNED, head, ShoulderAngles(0.2, 0.05, 1.93)),
        window=Window(0, 0, width, height),
        cut=rgb,
        alpha=alpha,
        foreground=rgb,
        provider="fake",
    )


def answer(content: bytes) -> Result:
    """Called as the Segmenter is."""
    rgb = decode(content).rgb
    first = tuple(int(level) for level in rgb[0, 0])
    if first == NOBODY:
        raise NoPersonError("nobody is in the photo", persons=0)
    if first == TWO_PEOPLE:
        raise MultiplePersonsError("2 people are in the photo; one is wanted", persons=2)
    if first == NOT_THAT_MANY:
        raise OptionError("pick 3: there are only 2 people in the photo")
    if first == KILLS:
        os.kill(os.getpid(), signal.SIGKILL)
    if first == KILLS_ONCE and not MARK.exists():
        MARK.touch()
        os.kill(os.getpid(), signal.SIGSEGV)
    if first == HANGS:
        time.sleep(600)
    if first == A_BUG:
        raise ZeroDivisionError("a bug")
    if first == NO_WEIGHTS:
        raise ModelDamagedError("the weights are damaged")
    if first == NO_MEMORY:
        raise MemoryError
    if first == SLOW:
        time.sleep(0.03)
    return fake_result(rgb)


def load(options: Options) -> Callable[[bytes], Result]:
    """In place of :func:`idseg.batch.work.load`; tells who started this process where a test wants to kill that one."""
    folder, parent = os.environ.get("IDSEG_TEST_PARENTS"), parent_process()
    if folder and parent is not None:
        (Path(folder) / str(parent.pid)).touch()
    return answer


def load_and_die(options: Options) -> Callable[[bytes], Result]:
    """A worker that never gets its models loaded."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def load_nothing(options: Options) -> Callable[[bytes], Result]:
    """Weights that are not there."""
    raise ModelDamagedError("the weights are damaged")

"""What a program may do with the library: pickle, fork, close, call it from threads, choose wrong options."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import idseg
from idseg import loaded
from idseg import segmenter as library
from idseg.errors import OptionError, ProviderError
from idseg.imaging.colours import parse_color
from idseg.segmenter import CropOptions, DecodeLimits, DetectOptions, Options, Segmenter, default_segmenter
from idseg.stages import matte
from idseg.types import Rgb

QUICK = Options(refine="none", threads=1)
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_a_segmenter_pickles_as_its_options() -> None:
    options = Options(refine="none", crop=CropOptions(aspect=1), limits=DecodeLimits(max_side=900))
    with Segmenter(options) as first:
        copy = pickle.loads(pickle.dumps(first))  # noqa: S301 - our own
    assert copy.options == options
    assert copy is not first


def test_close_during_calls_lets_them_come_to_their_end(astronaut: Rgb) -> None:
    failed: list[BaseException] = []
    done: list[tuple[int, ...]] = []

    def work() -> None:
        try:
            done.extend(tuple(segmenter(astronaut).window) for _ in range(3))
        except Exception as error:  # noqa: BLE001 - any would be wrong
            failed.append(error)

    with Segmenter(QUICK) as segmenter:
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            segmenter.close()
            threads[0].join(0.05)
        for thread in threads:
            thread.join()
    assert not failed
    assert len(done) == 6
    assert len(set(done)) == 1


FORK = """
import os, sys
import numpy as np
from PIL import Image
from idseg import Segmenter, Options
photo = np.asarray(Image.open(sys.argv[1]))
segmenter = Segmenter(Options(refine="none", threads=2))
here = tuple(segmenter(photo).window)
child = os.fork()
if child == 0:
    there = tuple(segmenter(photo).window)
    os._exit(0 if there == here else 9)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
assert tuple(segmenter(photo).window) == here
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_segmenter_that_worked_before_a_fork_works_in_parent_and_child(astronaut: Rgb, tmp_path: Path) -> None:
    Image.fromarray(astronaut).save(tmp_path / "photo.png")
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK, str(tmp_path / "photo.png")]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=240)
    assert (done.returncode, done.stderr) == (0, "")


def test_segment_loads_the_models_once_for_the_same_options(astronaut: Rgb, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[Options] = []
    real = matte.load_matte

    def counted(*arguments: Any, **options: Any) -> Any:
        loads.append(QUICK)
        return real(*arguments, **options)

    monkeypatch.setattr(loaded, "load_matte", counted)
    monkeypatch.setattr(library, "_defaults", {})
    results = [idseg.segment(astronaut, QUICK), idseg.segment(astronaut, Options(refine="none", threads=1))]
    assert len(loads) == 1
    assert np.array_equal(results[0].alpha, results[1].alpha)
    assert "red, green, blue" in results[0].notes[0]
    default_segmenter(QUICK).close()


def test_default_segmenters_are_kept_by_options_and_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_defaults", {})
    first = default_segmenter()
    assert default_segmenter(Options()) is first
    second = default_segmenter(QUICK)
    assert default_segmenter() is first  # used last, so the next to go is the other one
    default_segmenter(Options(refine="none", threads=2))
    assert default_segmenter() is first
    assert default_segmenter(QUICK) is not second


def test_default_segmenters_from_many_threads_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_defaults", {})
    found: list[Segmenter] = []
    threads = [threading.Thread(target=lambda: found.append(default_segmenter())) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(segmenter) for segmenter in found}) == 1


def test_a_script_that_closes_nothing_ends_in_silence(astronaut: Rgb, tmp_path: Path) -> None:
    Image.fromarray(astronaut).save(tmp_path / "photo.png")
    code = (
        "import sys, idseg; idseg.segment(sys.argv[1], idseg.Options(refine='none'))\n"
        "dropped = idseg.Segmenter(); dropped.find(sys.argv[1]); del dropped"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "photo.png")]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=240)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"refine": "magicc"}, "refine 'magicc' is none of net, closed-form, none"),
        ({"quality": "superb"}, "quality 'superb' is none of best, fast"),
        ({"preset": "modnett"}, "preset 'modnett' is none of modnet"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"parallel": 0}, "parallel must be at least 1"),
        ({"crop": 5 / 7}, "crop must be CropOptions, not 0.7"),
        ({"limits": None}, "limits must be DecodeLimits"),
        ({"detect": CropOptions()}, "detect must be DetectOptions"),
    ],
)
def test_wrong_options_fail_at_once_by_name(options: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        Options(**options)


def test_a_provider_that_nobody_knows_fails_at_once() -> None:
    with pytest.raises(ProviderError, match="no provider is called 'cdua'; there are auto, cuda"):
        Options(provider="cdua")


@pytest.mark.parametrize("color", [(256, 0, 0), (-1, 0, 0), (1, 2), (1, 2, 3, 4), ("a", 0, 0), 7, "#12", "reddish"])
def test_wrong_colours_fail_at_once_by_name(color: Any) -> None:
    with pytest.raises(OptionError, match="colour"):
        parse_color(color)


def test_what_a_user_needs_is_where_the_documentation_says() -> None:
    assert idseg.Options is Options
    assert DetectOptions().second_face_ratio == Options().detect.second_face_ratio
    assert set(library.__all__) >= {"API_LIMITS", "CropOptions", "DecodeLimits", "DetectOptions"}
    assert idseg.__doc__ is not None
    assert "idseg.segmenter" in idseg.__doc__
    assert "idseg.errors" in idseg.__doc__

"""Photos kept under a handle: for whom, for how long, how many; and what is remembered of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from idseg.result import Result
from idseg.server.handles import Handles, UnknownHandleError
from idseg.server.remember import Remembering
from idseg.stages.crop import CropOptions
from idseg.stages.decode import DecodeLimits
from idseg.types import Rgb
from tests.server.fakes import FakeSegmenter, picture


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_photo_is_kept_for_its_caller_only() -> None:
    handles = Handles()
    handle = handles.keep("one", b"photo")
    assert handles.find("one", handle) == b"photo"
    for caller, name in (("two", handle), ("one", handle[:-1]), ("one", ""), ("one", "x" * 100_000)):
        with pytest.raises(UnknownHandleError):
            handles.find(caller, name)
    assert not handles.forget("two", handle)
    assert handles.forget("one", handle)
    assert handles.held_bytes == 0


def test_handles_cannot_be_guessed() -> None:
    handles = Handles(most_of_caller=500)
    made = {handles.keep("one", b"p") for _ in range(300)}
    assert len(made) == 300
    assert min(map(len, made)) >= 32


def test_a_photo_is_forgotten_after_its_life() -> None:
    clock = Clock()
    handles = Handles(clock, life_s=10)
    handle = handles.keep("one", b"photo")
    clock.now = 9
    handles.find("one", handle)
    clock.now = 18
    handles.find("one", handle)
    clock.now = 28.5
    with pytest.raises(UnknownHandleError):
        handles.find("one", handle)
    assert handles.count == 0


def test_the_longest_unused_go_first() -> None:
    handles = Handles(most_bytes=30, most_of_caller=2)
    first, second = handles.keep("one", b"a" * 10), handles.keep("one", b"b" * 10)
    handles.find("one", first)
    third = handles.keep("one", b"c" * 10)
    with pytest.raises(UnknownHandleError):
        handles.find("one", second)
    handles.keep("two", b"d" * 15)
    assert handles.held_bytes <= 30
    assert handles.find("one", third)
    handles.keep("two", b"e" * 1000)
    assert handles.count == 1, "one photo of any size is kept"


def test_who_keeps_much_pushes_out_nobody_else() -> None:
    handles = Handles(most_bytes=100)
    mine = handles.keep("good", b"a" * 30)
    for _ in range(20):
        last = handles.keep("greedy", b"b" * 24)
    assert handles.find("good", mine)
    assert handles.find("greedy", last)
    assert handles.held_bytes <= 100


@dataclass
class Counting:
    calls: list[bytes] = field(default_factory=list)

    def __call__(
        self, photo: bytes, /, *, crop: CropOptions | None = None, limits: DecodeLimits | None = None
    ) -> Result:
        self.calls.append(photo)
        return FakeSegmenter()(photo, crop=crop, limits=limits)

    def whole(self, photo: bytes | Rgb, /) -> Result:
        return FakeSegmenter().whole(photo)


def test_a_photo_is_looked_at_once_for_each_window() -> None:
    counting, clock = Counting(), Clock()
    remembering = Remembering(counting, clock)
    one, two = picture(), picture((1, 2, 3))
    assert remembering.kept(one) is remembering.kept(one)
    remembering.kept(one, crop=CropOptions(aspect=1.0))
    remembering.kept(two)
    assert counting.calls == [one, one, two]
    clock.now = 1e6
    remembering.forget_old()
    remembering.kept(one)
    assert len(counting.calls) == 4
    remembering(one), remembering(one)
    assert len(counting.calls) == 6, "whoever did not ask to be kept is not remembered"


def test_results_are_bounded_in_bytes() -> None:
    counting = Counting()
    size = sum(part.nbytes for part in _arrays(FakeSegmenter()(picture())))
    remembering = Remembering(counting, most_bytes=int(size * 1.5))
    for _ in range(2):
        remembering.kept(picture())
        remembering.kept(picture((1, 2, 3)))
    assert len(counting.calls) == 4


def _arrays(result: Result) -> list[memoryview]:
    return [memoryview(part) for part in (result.photo, result.cut, result.alpha, result.foreground)]  # type: ignore[arg-type]

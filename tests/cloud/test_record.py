"""Recording a service's replies: resumable, rate-limited, patient with a busy service and not with refused keys."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from idseg.cloud.client import AuthorizationError, LimitError, PhotoError, TransportError
from idseg.cloud.compare import Refusal, read_file
from idseg.cloud.record import Recorded, Timing, record
from idseg.errors import OptionError

ANSWER = {"log_id": 1, "face_location": {"left": 1, "top": 2, "width": 3, "height": 4, "score": 1.0}}


class Clock:
    """Time that passes only when somebody waits."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


class Service:
    """Answers from a list, one for each call; remembers when it was called."""

    def __init__(self, clock: Clock, *outcomes: Mapping[str, Any] | Exception) -> None:
        self.clock = clock
        self.outcomes = list(outcomes)
        self.calls: list[tuple[float, str]] = []

    def body_seg_photo(self, photo: Path) -> Mapping[str, Any]:
        self.calls.append((self.clock.now, photo.name))
        outcome = self.outcomes.pop(0) if self.outcomes else ANSWER
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "photos"
    folder.mkdir()
    paths = [folder / f"{name}.jpg" for name in "abc"]
    for path in paths:
        path.write_bytes(path.name.encode())
    return paths


def run(photos: list[Path], service: Service, folder: Path | None = None, **options: Any) -> list[Recorded]:
    return list(record(photos, service, folder, clock=Timing(service.clock, service.clock.wait), **options))


def test_replies_are_saved_beside_the_photos(photos: list[Path]) -> None:
    service = Service(Clock())
    assert [result.state for result in run(photos, service)] == ["answer"] * 3
    for photo in photos:
        assert json.loads(photo.with_suffix(".json").read_text()) == ANSWER


def test_another_folder_gets_the_photos_too(photos: list[Path], tmp_path: Path) -> None:
    run(photos, Service(Clock()), tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        name for letter in "abc" for name in (f"{letter}.jpg", f"{letter}.json")
    ]
    assert (tmp_path / "out" / "a.jpg").read_bytes() == photos[0].read_bytes()


def test_calls_keep_their_distance(photos: list[Path]) -> None:
    service = Service(Clock())
    run(photos, service, per_second=4)
    times = [time for time, _ in service.calls]
    assert [later - earlier for earlier, later in pairwise(times)] == [0.25, 0.25]


def test_a_second_run_sends_only_what_is_missing(photos: list[Path]) -> None:
    broken = TransportError("gone")
    first = Service(Clock(), ANSWER, broken, PhotoError("216634", code=216634, text="detect error", log_id=5))
    assert [result.state for result in run(photos, first, tries=1)] == ["answer", "failed", "refused"]
    assert not photos[1].with_suffix(".json").exists()
    second = Service(Clock())
    assert [result.state for result in run(photos, second)] == ["kept", "answer", "kept"]
    assert [name for _, name in second.calls] == ["b.jpg"]


def test_a_reply_that_is_not_final_is_asked_for_again(photos: list[Path]) -> None:
    photos[0].with_suffix(".json").write_text('{"error_code": 18, "error_msg": "Open api qps request limit reached"}')
    photos[1].with_suffix(".json").write_text("{ half a fil")
    service = Service(Clock())
    assert [result.state for result in run(photos, service)] == ["answer"] * 3


def test_an_error_of_the_photo_is_a_reply(photos: list[Path]) -> None:
    error = PhotoError("no", code=216634, text="detect error", log_id=9, detail='{"reason": "no_person"}')
    run(photos[:1], Service(Clock(), error))
    assert read_file(photos[0].with_suffix(".json")) == Refusal(216634, "detect error", "no_person")


def test_a_busy_service_is_given_time(photos: list[Path]) -> None:
    busy = LimitError("18", code=18, text="Open api qps request limit reached")
    service = Service(Clock(), busy, busy, busy)
    (result,) = run(photos[:1], service, per_second=100)
    assert result.state == "answer"
    times = [time for time, _ in service.calls]
    assert [later - earlier for earlier, later in pairwise(times)] == [1.0, 2.0, 4.0]


def test_a_service_that_stays_away_fails_the_photo_and_says_why(photos: list[Path]) -> None:
    service = Service(Clock(), *[TransportError("no answer from host")] * 6)
    first, second, third = run(photos, service, tries=2)
    assert {result.state for result in (first, second, third)} == {"failed"}
    assert first.message == "no answer from host (asked 2 times)"
    assert len(service.calls) == 6


def test_refused_keys_end_the_run(photos: list[Path]) -> None:
    service = Service(Clock(), AuthorizationError("110", code=110, text="Access token invalid"))
    with pytest.raises(AuthorizationError):
        run(photos, service)
    assert len(service.calls) == 1


def test_two_photos_of_one_name_are_refused_before_the_first_call(photos: list[Path], tmp_path: Path) -> None:
    other = tmp_path / "photos" / "a.png"
    other.write_bytes(b"x")
    service = Service(Clock())
    with pytest.raises(OptionError, match="would both be saved as"):
        run([*photos, other], service)
    assert service.calls == []


def test_photos_of_one_name_get_names_of_their_own_and_keep_them(photos: list[Path], tmp_path: Path) -> None:
    """Of one run or of several: a reply that lies there is another photo's, unless this one's copy lies beside it."""
    namesake = tmp_path / "other" / "a.jpg"
    namesake.parent.mkdir()
    namesake.write_bytes(b"another a")
    upper = tmp_path / "other" / "A.png"
    upper.write_bytes(b"a third")
    out = tmp_path / "out"
    run(photos, Service(Clock()), out)
    second = Service(Clock())
    assert [result.state for result in run([namesake, upper, photos[0]], second, out)] == ["answer", "answer", "kept"]
    assert [name for _, name in second.calls] == ["a.jpg", "A.png"]
    copies = {path.name: path.read_bytes() for path in out.iterdir() if path.suffix != ".json"}
    assert copies == {
        "a.jpg": b"a.jpg", "b.jpg": b"b.jpg", "c.jpg": b"c.jpg", "a-2.jpg": b"another a", "A-3.png": b"a third"
    }  # fmt: skip
    again = Service(Clock())
    assert {result.state for result in run([upper, namesake, *photos], again, out)} == {"kept"}


def test_a_photo_that_changed_after_its_reply_is_asked_about_again(photos: list[Path]) -> None:
    run(photos, Service(Clock()))
    photos[1].write_bytes(b"a new one")
    later = photos[1].with_suffix(".json").stat().st_mtime_ns + 10**9
    os.utime(photos[1], ns=(later, later))
    second = Service(Clock())
    assert [result.state for result in run(photos, second)] == ["kept", "answer", "kept"]


def test_a_reply_that_cannot_be_saved_is_told_and_the_rest_goes_on(photos: list[Path], tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"a file, no folder")
    results = run(photos, Service(Clock()), tmp_path / "out")
    assert {result.state for result in results} == {"failed"}
    assert "cannot be saved" in results[0].message


def test_the_rate_must_be_a_rate(photos: list[Path]) -> None:
    with pytest.raises(OptionError):
        run(photos, Service(Clock()), per_second=0)

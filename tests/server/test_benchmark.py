"""The load benchmark, on a small scale: what it counts and what it writes."""

from __future__ import annotations

import json
import time
from pathlib import Path

import jsonschema
import pytest

from benchmarks import callers, figures, server, server_table
from benchmarks.callers import Caller, Tally
from benchmarks.environment import Run
from benchmarks.figures import Figure, Result
from benchmarks.serving import Server
from tests.server.fakes import picture
from tests.server.live import API_KEY, SECRET_KEY, Live


def target(live: Live) -> Server:
    return Server(live.own_process, live.settings.port, API_KEY, SECRET_KEY)


def test_clients_check_that_they_get_their_own_answer(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callers, "own_picture", lambda number, _: picture((20 * number, 90, 60)))
    one, two = callers.callers_of(target(live), 2, 100)
    tally = callers.load(target(live), [one, two], 0.5)
    assert tally.codes[0] == len(tally.times_s) > 2
    assert (tally.lost, tally.mixed_up) == (0, 0)
    assert tally.peak_bytes > 10e6
    assert tally.cpu_s > 0
    two.expected = one.expected
    assert callers.load(target(live), [one, two], 0.3).mixed_up > 0, "an answer for another client must show"


def test_equal_pictures_are_no_test(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callers, "own_picture", lambda _, side: picture(size=(side, side)))
    with pytest.raises(Exception, match="would go unnoticed"):
        callers.callers_of(target(live), 2, 100)


def test_a_server_that_is_gone_is_counted_as_lost(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callers, "own_picture", lambda *_: picture())
    monkeypatch.setattr(callers, "BACK_OFF_S", 0.01)
    nowhere = Caller(Server(live.own_process, 1, API_KEY, SECRET_KEY), "token", 0, 100)
    tally = nowhere.run(time.perf_counter() + 0.1)
    assert tally.lost > 0
    assert tally.times_s == []


def test_every_client_has_another_picture() -> None:
    assert len({callers.own_picture(number, 60) for number in range(64)}) == 64


def made_up() -> Result:
    run = Run("server", 2, {"photo": "1 px", "seconds": 1, "workers": 2, "queue": 16})
    tally = Tally(times_s=[0.1, 0.2, 0.3], seconds=2.0, peak_bytes=2**20, cpu_s=1.5)
    tally.codes.update({0: 3, 4: 7})
    run.add(*server.figures_of("4 clients", tally), Figure("server", "soak", "memory at the end", "value", 5, "MiB", 9))
    run.notes.append("made up")
    return run.result()


def test_figures_fit_the_format(tmp_path: Path) -> None:
    path = figures.write(made_up(), tmp_path)
    jsonschema.validate(json.loads(path.read_text()), json.loads(figures.SCHEMA.read_text()))


def test_the_readme_shows_the_run(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("a\n<!-- begin server -->\nold\n<!-- end server -->\nb\n")
    for _ in range(2):
        server_table.into_readme(made_up(), readme=readme)
    text = readme.read_text()
    assert text.startswith("a\n<!-- begin server -->\nMeasured 20")
    assert text.endswith("<!-- end server -->\nb\n")
    assert "old" not in text
    assert "| 4 clients | 1.50 | 0.50 | 0.20 | 0.30 | 0.30 | 3 | 7 | 0 | 0 | 0 | 1 |" in text
    assert "* soak, memory at the end: 5 MiB" in text


def test_the_readme_is_made_from_the_saved_run(tmp_path: Path) -> None:
    copy = tmp_path / "README.md"
    copy.write_text(server_table.README.read_text(encoding="utf-8"), encoding="utf-8")
    server_table.into_readme(*server_table.saved(), readme=copy)
    assert copy.read_text(encoding="utf-8") == server_table.README.read_text(encoding="utf-8")

"""A batch from its photos to its report, with invented models: every outcome, deaths of processes, kill -9."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from idseg.batch import (
    BatchError,
    BatchOptions,
    BatchSummary,
    Item,
    Outcome,
    Work,
    contact,
    products,
    report,
    run,
    storage,
)
from idseg.batch.journal import noted
from idseg.batch.local import LocalOptions, WorkerPool
from idseg.batch.run import Engine, local_engine
from idseg.batch.walk import Skip
from idseg.batch.work import do
from idseg.errors import ModelDamagedError, OptionError
from idseg.segmenter import Options
from tests.batch import fakes as fakes

ROOT = Path(__file__).resolve().parents[2]


def put(folder: Path, **colors: tuple[int, int, int]) -> None:
    """Plain pictures; ``__`` in a name stands for the folder's ``/``."""
    for name, color in colors.items():
        path = folder / (name.replace("__", "/") + ".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(fakes.picture(color))


def in_this_process(items: Iterator[Item], work: Work, stop: Callable[[], bool]) -> Iterator[Outcome]:
    """An engine without processes."""
    for item in items:
        yield do(item, fakes.answer, work)


def rows(out: Path) -> dict[str, dict[str, str]]:
    with open(out / "report.csv", encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        return {row["photo"]: row for row in csv.DictReader(file)}


def small_run(folder: Path, out: Path, engine: Engine = in_this_process, **options: Any) -> BatchSummary:
    work = Work(str(out), loader=fakes.load)
    return run([str(folder)], work, engine, BatchOptions(**options))


# --- one photo --------------------------------------------------------------------------------------------------------


def test_no_two_photos_files_have_one_name() -> None:
    for one, other in combinations(products.ENDINGS.values(), 2):
        assert not one.endswith(other)
        assert not other.endswith(one)


def test_each_product_is_the_results(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (80, 60, 3), np.uint8)
    result = fakes.fake_result(rgb)
    files = products.render(result, "x/a.jpg", tuple(products.ENDINGS), "white")
    pictures = {name: tmp_path / name.replace("/", "_") for name in files if not name.endswith("json")}
    for name, path in pictures.items():
        path.write_bytes(files[name])
    read = {name.removeprefix("x/a.jpg."): np.asarray(Image.open(path)) for name, path in pictures.items()}
    np.testing.assert_array_equal(read["cut.png"], rgb)
    np.testing.assert_array_equal(read["scoremap.png"], result.scoremap)
    np.testing.assert_array_equal(read["cutout.png"], result.rgba)
    np.testing.assert_array_equal(read["demo.png"], result.on("black"))
    assert read["background.jpg"].shape == rgb.shape
    assert read["overlay.jpg"].shape[2] == 3
    assert json.loads(files["x/a.jpg.result.json"])["photo"] == {"width": 60, "height": 80}
    assert 0 < json.loads(files["x/a.jpg.reply.json"])["log_id"] < 2**63


@pytest.mark.parametrize(
    ("chosen", "background"), [((), None), (("cut", "matte"), None), (("cut",), "white"), (("background",), None)]
)
def test_wrong_products_are_told_before_the_first_photo(
    tmp_path: Path, chosen: tuple[str, ...], background: str | None
) -> None:
    with pytest.raises(OptionError):
        run([str(tmp_path)], Work(str(tmp_path / "out"), products=chosen, background=background), in_this_process)
    assert not (tmp_path / "out").exists()


def test_the_signature_changes_with_what_changes_answers_and_with_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def signature(**changes: Any) -> str:
        return Work("out", Options(**changes)).signature()

    assert signature(provider="cpu") == signature(threads=3, provider="cpu", parallel=2)
    # A GPU runs our net with floats, a CPU in integers, which is more than rounding; another net is the same on both.
    monkeypatch.setattr("idseg.models.onnx.available_providers", lambda: ("cuda", "cpu"))
    assert signature() == signature(provider="cuda") != signature(provider="cpu")
    net = "portrait-coarse"
    assert signature(matting_model=net) == signature(matting_model=net, provider="cpu")
    assert signature() != signature(refine="closed-form")
    assert Work("out").signature() == Work("elsewhere", thumbnails="x").signature()
    assert Work("out").signature() != Work("out", products=("cut",)).signature()
    model = tmp_path / "net.onnx"
    model.write_bytes(b"one")
    before = signature(matting_model=str(model))
    model.write_bytes(b"two")
    assert signature(matting_model=str(model)) != before


def test_a_full_disk_stops_the_batch_and_another_fault_of_writing_only_the_photo(tmp_path: Path) -> None:
    put(tmp_path, a=(1, 2, 3))
    item = Item("a.png", str(tmp_path / "a.png"), "1")

    def writer(number: int) -> Callable[[str, bytes], None]:
        def write(target: str, content: bytes) -> None:
            raise OSError(number, os.strerror(number))

        return write

    with pytest.raises(BatchError, match="No space left"):
        do(item, fakes.answer, Work(str(tmp_path / "out")), write=writer(28))
    outcome = do(item, fakes.answer, Work(str(tmp_path / "out")), write=writer(36))
    assert (outcome.status, outcome.reason) == ("failed", "write")


# --- a whole batch ----------------------------------------------------------------------------------------------------


def test_every_photo_has_one_outcome_and_the_same_tree_comes_out(tmp_path: Path) -> None:
    put(tmp_path / "in", a=(9, 9, 9), sub__a=(8, 8, 8), sub__nobody=fakes.NOBODY, two=fakes.TWO_PEOPLE, bug=fakes.A_BUG)
    put(tmp_path / "in", memory=fakes.NO_MEMORY, three=fakes.NOT_THAT_MANY)
    (tmp_path / "in/a.jpg").write_bytes(fakes.picture(kind="JPEG"))
    (tmp_path / "in/broken.jpg").write_bytes(fakes.picture(kind="JPEG")[:200])
    (tmp_path / "in/gone.jpg").symlink_to("nowhere")
    out = tmp_path / "out"
    summary = small_run(tmp_path / "in", out)
    told = {key: (row["status"], row["reason"]) for key, row in rows(out).items()}
    assert told == {
        "a.jpg": ("ok", ""),
        "a.png": ("ok", ""),
        "sub/a.png": ("ok", ""),
        "sub/nobody.png": ("refused", "no_person"),
        "two.png": ("refused", "multiple_persons"),
        "three.png": ("refused", "option"),
        "broken.jpg": ("refused", "photo_damaged"),
        "bug.png": ("failed", "fault"),
        "memory.png": ("failed", "memory"),
        "gone.jpg": ("failed", "photo_read"),
    }
    assert summary.counts == Counter(status for status, _ in told.values())
    assert (summary.total, summary.done, summary.before) == (10, 10, 0)
    for name, row in rows(out).items():
        assert all((out / file).is_file() for file in row["files"].split())
        assert bool(row["files"]) == (row["status"] == "ok"), name
    answers = [path for path in out.rglob("*.png") if ".idseg-batch" not in path.parts]
    assert len(answers) == 3 * 2  # scoremap and cutout
    assert not list(out.rglob("*.part"))


def test_only_what_is_new_or_changed_is_done_again(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    put(folder, a=(1, 1, 1), b=(2, 2, 2), c=fakes.NOBODY, d=(3, 3, 3))
    begun: list[str] = []

    def spying(items: Iterator[Item], work: Work, stop: Callable[[], bool]) -> Iterator[Outcome]:
        for item in items:
            begun.append(item.key)
            yield do(item, fakes.answer, work)

    small_run(folder, out, spying)
    put(folder, b=fakes.TWO_PEOPLE, e=(5, 5, 5))
    (out / "d.png.result.json").unlink()
    begun.clear()
    summary = small_run(folder, out, spying)
    assert begun == ["b.png", "d.png", "e.png"]
    assert (summary.total, summary.done, summary.before) == (5, 5, 2)
    assert summary.counts == {"ok": 3, "refused": 2}
    assert not list(out.glob("b.png.*"))  # its answer is no more


def test_a_refused_photo_that_was_put_right_leaves_no_picture_behind(tmp_path: Path) -> None:
    put(tmp_path / "in", a=fakes.NOBODY, b=fakes.NOBODY)
    small_run(tmp_path / "in", tmp_path / "out")
    thumbnails = tmp_path / "out/.idseg-batch/thumbnails"
    assert len(list(thumbnails.rglob("*.jpg"))) == 2
    put(tmp_path / "in", a=(9, 9, 9))
    small_run(tmp_path / "in", tmp_path / "out")
    assert len(list(thumbnails.rglob("*.jpg"))) == 1


def test_the_watcher_sees_the_counts_grow_and_stop_ends_in_good_order(tmp_path: Path) -> None:
    put(tmp_path / "in", **{f"p{number}": (number, 0, 0) for number in range(20)})
    seen: list[int] = []
    work = Work(str(tmp_path / "out"), loader=fakes.load)
    summary = run(
        [str(tmp_path / "in")],
        work,
        in_this_process,
        stop=lambda: len(seen) > 5,
        watch=lambda summary: seen.append(summary.done),
    )
    assert summary.stopped
    assert 5 <= summary.done < 20
    assert len(rows(tmp_path / "out")) == summary.done
    again = small_run(tmp_path / "in", tmp_path / "out")
    assert (again.done, again.before, again.stopped) == (20, summary.done, False)
    assert seen == sorted(seen)


def test_no_photos_at_all_is_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/notes.txt").touch()
    with pytest.raises(OptionError, match=r"no photos in .* \(1 other files\)"):
        small_run(tmp_path / "in", tmp_path / "out")


# --- reports ----------------------------------------------------------------------------------------------------------


def test_the_contact_sheet_shows_refusals_with_their_reasons_and_loads_nothing(tmp_path: Path) -> None:
    put(tmp_path / "in", a=(9, 9, 9), nobody=fakes.NOBODY)
    odd = os.fsdecode(b"<script>alert(1)</script>".replace(b"/", b"_") + b"\xe9&.png")
    (tmp_path / "in" / odd).write_bytes(fakes.picture(fakes.TWO_PEOPLE))
    (tmp_path / "in/bad.jpg").write_bytes(b"\xff\xd8\xff")
    small_run(tmp_path / "in", tmp_path / "out")
    page = (tmp_path / "out/refusals.html").read_text(encoding="utf-8")
    assert page.count("<li ") == 3
    assert page.count('src="data:image/jpeg;base64,') == 2
    assert page.count("no picture") == 1
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "http" not in page
    for told in ("nobody is in the photo", "2 people are in the photo", "no person", "photo damaged"):
        assert told in page
    assert odd in rows(tmp_path / "out")


def test_without_thumbnails_no_pixel_of_a_refused_photo_is_kept(tmp_path: Path) -> None:
    put(tmp_path / "in", nobody=fakes.NOBODY)
    small_run(tmp_path / "in", tmp_path / "out", thumbnails=False)
    assert not list((tmp_path / "out").rglob("*.jpg"))
    assert "no picture" in (tmp_path / "out/refusals.html").read_text(encoding="utf-8")


def test_many_refusals_are_split_into_pages(tmp_path: Path) -> None:
    def refusals(count: int) -> Callable[[], list[Outcome]]:
        return lambda: [Outcome(f"{number}.jpg", "1", "refused", "no_person", "nobody") for number in range(count)]

    assert contact.write_pages(tmp_path, "refusals", refusals(1201), str(tmp_path)) == 3
    pages = [(tmp_path / name).read_text() for name in ("refusals.html", "refusals-2.html", "refusals-3.html")]
    assert [page.count("<li ") for page in pages] == [500, 500, 201]
    assert 'href="refusals-3.html"' in pages[1]
    assert 'href="refusals.html"' in pages[1]
    assert contact.write_pages(tmp_path, "refusals", refusals(0), str(tmp_path)) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["refusals.html"]


def test_a_report_that_fails_leaves_the_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    report.write_csv(path, [Outcome("a.jpg", "1", "ok")])
    before = path.read_bytes()

    def failing() -> Iterator[Outcome]:
        yield Outcome("b.jpg", "1", "ok")
        raise BatchError("the journal is gone")

    with pytest.raises(BatchError):
        report.write_csv(path, failing())
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


# --- processes --------------------------------------------------------------------------------------------------------


def test_a_photo_that_kills_or_hangs_its_process_is_failed_and_the_others_are_done(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    fakes.MARK.unlink(missing_ok=True)
    put(folder, **{f"p{number}": (number, 1, 1) for number in range(12)})
    put(folder, p3k=fakes.KILLS, p5h=fakes.HANGS, p7once=fakes.KILLS_ONCE)
    options = LocalOptions(workers=2, tries=2, timeout_s=2.0)
    summary = small_run(folder, out, local_engine(options))
    bad = {key: row for key, row in rows(out).items() if row["status"] != "ok"}
    assert {key: (row["reason"], row["tries"]) for key, row in bad.items()} == {
        "p3k.png": ("worker_died", "2"),
        "p5h.png": ("timeout", "2"),
    }
    assert "SIGKILL" in bad["p3k.png"]["message"]
    assert rows(out)["p7once.png"]["tries"] == "2"
    assert summary.counts == {"ok": 13, "failed": 2}
    assert small_run(folder, out, local_engine(options)).before == 15


def test_processes_give_what_one_process_gives_and_take_no_more_photos_than_they_hold(tmp_path: Path) -> None:
    put(tmp_path / "in", **{f"p{number:02}": (number, 7, 9) for number in range(30)})
    taken = 0
    most = 0

    def counting(items: Iterator[Item], work: Work, stop: Callable[[], bool]) -> Iterator[Outcome]:
        nonlocal taken, most

        def counted() -> Iterator[Item]:
            nonlocal taken
            for item in items:
                taken += 1
                yield item

        with WorkerPool(work, LocalOptions(workers=2)) as pool:
            for given, outcome in enumerate(pool.run(counted())):
                most = max(most, taken - given)
                yield outcome

    small_run(tmp_path / "in", tmp_path / "many", counting)
    small_run(tmp_path / "in", tmp_path / "one")
    assert most <= 2 * 2
    names = {path.name for path in (tmp_path / "one").glob("*.png")}
    assert len(names) == 60
    for name in names:
        assert (tmp_path / "many" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()


def test_weights_that_are_not_there_end_the_batch(tmp_path: Path) -> None:
    put(tmp_path / "in", a=(1, 1, 1), b=(2, 2, 2))
    work = Work(str(tmp_path / "out"), loader=fakes.load_nothing)
    with pytest.raises(ModelDamagedError):
        run([str(tmp_path / "in")], work, local_engine(LocalOptions(workers=1)))


def test_workers_that_die_while_loading_end_the_batch(tmp_path: Path) -> None:
    put(tmp_path / "in", a=(1, 1, 1))
    work = Work(str(tmp_path / "out"), loader=fakes.load_and_die)
    with pytest.raises(BatchError, match="died while loading"):
        run([str(tmp_path / "in")], work, local_engine(LocalOptions(workers=1)))
    assert rows(tmp_path / "out") == {}  # no photo is blamed


@pytest.mark.parametrize("wrong", [{"workers": -1}, {"threads": 0}, {"tries": 0}, {"timeout_s": 0.0}])
def test_options_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        LocalOptions(**wrong)


KILLABLE = """
import sys
from idseg.batch import Work, run
from idseg.batch.local import LocalOptions
from idseg.batch.run import Engine, local_engine
from idseg.batch.walk import Skip
from tests.batch import fakes as batch_fakes

if __name__ == "__main__":
    work = Work(sys.argv[2], loader=batch_fakes.load)
    summary = run([sys.argv[1]], work, local_engine(LocalOptions(workers=2)))
    print(summary.done, summary.before, summary.swept)
"""


def test_killed_twice_it_goes_on_and_nothing_is_lost_or_done_twice(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    put(folder, **{f"p{number:03}": fakes.SLOW for number in range(100)})
    put(folder, **{f"x{number}": fakes.NOBODY for number in range(10)})
    script = tmp_path / "killable.py"
    script.write_text(KILLABLE, encoding="utf-8")
    command = [sys.executable, str(script), str(folder), str(out)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    reached = []
    for wanted in (20, 45):
        process = subprocess.Popen(command, env=environment, start_new_session=True)
        deadline = time.monotonic() + 60
        while len(list(out.glob("*.result.json"))) < wanted + 4:  # an outcome is noted after its files are there
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)  # the parent alone: its workers must follow by themselves
        process.wait()
        reached.append(sum(times for _, times in noted(out / ".idseg-batch")))
    (out / ".p000.png.json.0123456789abcdef.part").write_bytes(b"half")  # as a kill within a write leaves it
    last = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=True)
    total, before, swept = (int(word) for word in last.stdout.split())
    assert total == 110
    assert reached[0] >= 20
    assert reached[1] >= 45
    assert before >= reached[1]
    assert swept >= 1
    times = {outcome.key: times for outcome, times in noted(out / ".idseg-batch")}
    assert len(times) == 110
    assert set(times.values()) == {1}, "a photo was done twice"
    assert Counter(row["status"] for row in rows(out).values()) == {"ok": 100, "refused": 10}
    assert len(list(out.glob("*.scoremap.png"))) == 100
    assert not list(out.rglob("*.part"))
    first = (out / "p000.png.scoremap.png").read_bytes()
    assert all((out / f"p{number:03}.png.scoremap.png").read_bytes() == first for number in range(100))


def test_trouble_is_looked_at_anew_each_time(tmp_path: Path) -> None:
    put(tmp_path / "in", a=(1, 1, 1))
    (tmp_path / "in/late.png").symlink_to(tmp_path / "late.png")
    assert small_run(tmp_path / "in", tmp_path / "out").counts == {"ok": 1, "failed": 1}
    put(tmp_path, late=(2, 2, 2))
    assert small_run(tmp_path / "in", tmp_path / "out").counts == {"ok": 2}


def test_the_report_opens_in_excel_with_names_intact_and_computes_no_name(tmp_path: Path) -> None:
    put(tmp_path / "in", **{"张三": (1, 1, 1), "=1+1": fakes.NOBODY})
    small_run(tmp_path / "in", tmp_path / "out")
    content = (tmp_path / "out/report.csv").read_bytes()
    assert content.startswith("\ufeffphoto,status".encode())  # without the mark Excel takes UTF-8 for its own code page
    assert set(rows(tmp_path / "out")) == {"张三.png", "./=1+1.png"}


def test_what_a_glob_excludes_is_passed_over(tmp_path: Path) -> None:
    put(tmp_path / "in", a=(1, 1, 1), a_small=(1, 1, 1), old__b=(1, 1, 1))
    summary = small_run(tmp_path / "in", tmp_path / "out", exclude=("*_small.*", "old"))
    assert (summary.total, summary.skipped) == (1, {Skip.EXCLUDED: 2})
    with pytest.raises(OptionError, match=r"'\[z-a\]' is not a glob: bad character range"):
        small_run(tmp_path / "in", tmp_path / "out", exclude=("[z-a]",))


def test_a_url_in_a_manifest_that_changed_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And only that one: not one that did not change, nor one whose server says nothing now."""
    (tmp_path / "list.csv").write_text("photo\nhttps://x.example/a.png\nhttps://x.example/b.png\n", encoding="utf-8")
    tags = {"https://x.example/a.png": "1-aa", "https://x.example/b.png": "1-bb"}
    read: list[str] = []

    def fetch(source: str, most_bytes: int) -> bytes:
        read.append(source[-5])
        return fakes.picture()

    def engine(items: Iterator[Item], work: Work, stop: Callable[[], bool]) -> Iterator[Outcome]:
        for item in items:
            yield do(item, fakes.answer, work, read=fetch)

    monkeypatch.setattr(storage, "version", lambda url: tags[url])
    done = []
    for change in ({}, {}, {"https://x.example/a.png": "1-cc"}, {"https://x.example/b.png": ""}):
        tags.update(change)
        read.clear()
        small_run(tmp_path / "list.csv", tmp_path / "out", engine)
        done.append("".join(read))
    assert done == ["ab", "", "a", ""]


def test_the_signature_is_the_same_in_every_process(tmp_path: Path) -> None:
    """Else a second run would do all photos again."""
    code = "from idseg.batch import Work; print(Work('out').signature())"
    found = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(found) == 1

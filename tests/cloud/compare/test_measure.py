"""Differences of known size are measured as that size."""

from __future__ import annotations

import json
import math
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import known
from benchmarks.known import Change, changed_reply
from idseg.cloud import wire
from idseg.cloud.compare import (
    Comparison,
    Refusal,
    SavedResult,
    compare,
    measure,
    parse,
    saved_responder,
    summarise,
    to_json,
)
from idseg.cloud.compare.mattes import mask_iou, matte_blur, matte_shift
from idseg.cloud.compare.measure import difference
from idseg.cloud.compare.read import SavedReply
from idseg.cloud.compare.report import html
from idseg.errors import OptionError
from idseg.result import Result
from idseg.types import Box, Rgb, Window
from tests.cloud.compare.scene import WINDOW, matte, photos, result

UNCHANGED = Change()


def answered(reply: object) -> SavedResult:
    """A reply that must be an answer."""
    outcome = parse(reply)
    if not isinstance(outcome, SavedResult):
        raise AssertionError(outcome)
    return outcome


def answers(made: Result, change: Change) -> tuple[SavedResult, SavedResult]:
    """(ours, theirs) as replies."""
    return answered(wire.render(made, 1)), answered(changed_reply(made, change, None))


def measured(astronaut: Rgb, change: Change) -> measure.Difference:
    return difference(astronaut, *answers(result(astronaut), change))


def test_equal_answers_have_no_difference(astronaut: Rgb) -> None:
    found = measured(astronaut, UNCHANGED)
    assert found.placement is not None
    assert found.placement.source == "registered"
    assert found.window_shift == pytest.approx((0, 0, 0, 0))
    assert found.window_iou == found.face_iou == 1.0
    assert all(shift.share == 0 for shift in found.parts.values())
    assert len(found.parts) == 10
    assert found.mirrored is False
    assert found.matte is not None
    assert found.matte.errors.sad == found.matte.errors.conn == 0.0
    assert found.matte.iou == 1.0
    assert found.matte.shift == pytest.approx((0, 0), abs=1e-3)
    assert found.matte.blur_px == 0.0


@pytest.mark.parametrize("shift", [(3, 0), (-7, 4), (0, -11), (12, 9)])
def test_a_moved_window_is_seen_to_the_pixel(astronaut: Rgb, shift: tuple[int, int]) -> None:
    found = measured(astronaut, Change(window=shift))
    assert found.window_shift == pytest.approx((*shift, *shift))
    inter = (WINDOW.width - abs(shift[0])) * (WINDOW.height - abs(shift[1]))
    assert found.window_iou == pytest.approx(inter / (2 * WINDOW.width * WINDOW.height - inter))
    assert found.matte is not None
    assert found.matte.errors.mad == 0.0  # the same matte, seen through another window
    assert all(part.share < 0.02 for part in found.parts.values())


def test_moved_points_are_measured_in_eye_distances(astronaut: Rgb) -> None:
    found = measured(astronaut, Change(points=(4, 3)))
    assert found.eyes_px == pytest.approx(0.44 * 0.46 * WINDOW.width, abs=1.0)
    for shift in found.parts.values():
        assert (shift.dx, shift.dy) == (4, 3)
        assert shift.share == pytest.approx(5 / (found.eyes_px or math.nan))
    assert found.face_shift == pytest.approx((4, 3, 4, 3))


def test_a_smaller_cut_gives_the_same_places(astronaut: Rgb) -> None:
    found = measured(astronaut, Change(scale=0.6))
    assert found.window_iou is not None
    assert found.window_iou > 0.99
    assert found.matte is not None
    assert found.matte.errors.mad < 0.005
    assert all(part.share < 0.05 for part in found.parts.values())


def test_a_cut_of_another_photo_is_not_measured(astronaut: Rgb) -> None:
    ours, theirs = answers(result(astronaut), UNCHANGED)
    other = np.ascontiguousarray(
        np.random.default_rng(1).permutation(astronaut.reshape(-1, 3)).reshape(astronaut.shape)
    )
    found = difference(other, ours, theirs)
    assert found.placement is not None
    assert found.placement.score < measure.LEAST_SCORE
    assert (found.window_iou, found.matte, found.face_iou) == (None, None, None)


@pytest.mark.parametrize("shift", [(0, 0), (3, -2), (-8, 5)])
def test_the_mattes_shift(shift: tuple[int, int]) -> None:
    alpha = matte(200, 280)
    moved = np.roll(alpha, (shift[1], shift[0]), (0, 1))
    assert matte_shift(alpha, moved) == pytest.approx(shift, abs=0.1)


def test_half_a_pixel_is_seen() -> None:
    alpha = matte(200, 280)
    half = np.asarray(cv2.warpAffine(alpha, np.array([[1, 0, 0.5], [0, 1, 0.0]]), (200, 280)), np.float32)
    assert matte_shift(alpha, half) == pytest.approx((0.5, 0), abs=0.15)


def test_the_shift_is_told_by_what_both_show() -> None:
    alpha = matte(200, 280)
    armless = np.roll(alpha, 4, 1)
    armless[200:, :90] = 0
    assert matte_shift(alpha, armless) == pytest.approx((4, 0), abs=0.5)


def test_a_plain_matte_has_no_shift() -> None:
    assert matte_shift(np.ones((80, 80), np.float32), np.ones((80, 80), np.float32)) == (0.0, 0.0)


@pytest.mark.parametrize("sigma", [0.71, 1.0, 2.0])
def test_the_softer_one_is_named(sigma: float) -> None:
    alpha = np.round(matte(200, 280))
    soft = cv2.GaussianBlur(alpha, (0, 0), sigma)
    assert matte_blur(alpha, np.asarray(soft, np.float32)) == pytest.approx(sigma)
    assert matte_blur(np.asarray(soft, np.float32), alpha) == pytest.approx(-sigma)
    assert matte_blur(alpha, alpha) == 0.0


def test_mask_overlap_by_hand() -> None:
    a, b = np.zeros((10, 10), np.float32), np.zeros((10, 10), np.float32)
    assert mask_iou(a, b) == 1.0
    a[:, :6], b[:, 4:] = 0.9, 0.6
    assert mask_iou(a, b) == pytest.approx(20 / 100)


# --- a folder --------------------------------------------------------------------------------------------------------


def compared(astronaut: Rgb, folder: Path, change: object, count: int = 5) -> tuple[Comparison, dict[str, set[str]]]:
    """A folder with changed replies, compared with the unchanged ones."""
    made = photos(astronaut, folder / "photos", count)
    by_name = {path.name: answer for path, answer in made}
    known.save_replies(folder / "replies", made, change, None)  # type: ignore[arg-type]

    def respond(photo: Path) -> SavedReply:
        return parse(wire.render(by_name[photo.name], 0))

    comparison = compare(folder / "replies", respond)
    return comparison, {"kinds": {finding.kind for finding in summarise(comparison).findings}}


@pytest.mark.parametrize("name", known.MUTATIONS)
def test_a_wrong_implementation_is_found_and_a_right_one_is_not(astronaut: Rgb, tmp_path: Path, name: str) -> None:
    _, found = compared(astronaut, tmp_path, known.MUTATIONS[name])
    assert found["kinds"] == known.EXPECTED[name]


def test_findings_say_how_much(astronaut: Rgb, tmp_path: Path) -> None:
    comparison, _ = compared(astronaut, tmp_path, lambda index: Change(window=(3, -5)))
    (finding,) = summarise(comparison).findings
    assert finding.text == "their window lies 3 px further right and 5 px further up"
    assert (finding.photos, finding.of) == (5, 5)


def test_a_matte_that_lies_off_is_found(astronaut: Rgb, tmp_path: Path) -> None:
    comparison, found = compared(astronaut, tmp_path, lambda index: Change(matte=(0, 2)))
    assert found["kinds"] == {"matte shift"}
    assert summarise(comparison).findings[0].text == "their matte lies 2 px further down"


def test_outcomes_meet_in_a_matrix(astronaut: Rgb, tmp_path: Path) -> None:
    comparison, _ = compared(astronaut, tmp_path, lambda index: Change(refused=216634 if index < 2 else None))
    outcome = summarise(comparison).matrices[0]
    assert outcome.labels == ("answer", "216634")
    assert outcome.counts == ((3, 2), (0, 0))
    assert outcome.agreement == pytest.approx(0.6)


def test_what_cannot_be_read_is_told_and_the_rest_compared(astronaut: Rgb, tmp_path: Path) -> None:
    made = photos(astronaut, tmp_path / "photos", 3)
    known.save_replies(tmp_path / "replies", made, lambda index: UNCHANGED, None)
    (tmp_path / "replies" / "photo01.json").write_text("{ not a reply")
    (tmp_path / "replies" / "alone.png").write_bytes(made[0][0].read_bytes())
    ours = tmp_path / "ours"
    ours.mkdir()
    for path, answer in made:
        (ours / f"{path.stem}.json").write_bytes(wire.dumps(wire.render(answer, 1)))
    comparison = compare(tmp_path / "replies", saved_responder(ours))
    assert len(comparison.pairs) == 2
    assert comparison.without_reply == 1
    (line,) = comparison.unreadable
    assert "photo01.json" in line


def test_the_frame_of_their_points_is_measured(astronaut: Rgb, tmp_path: Path) -> None:
    made = photos(astronaut, tmp_path / "photos", 4)
    known.save_replies(tmp_path / "replies", made, lambda index: UNCHANGED, None)
    for path, answer in made:  # a service that counts from the photo's corner
        file = tmp_path / "replies" / f"{path.stem}.json"
        box = answered(json.loads(file.read_text())).face_box or Box(0, 0, 0, 0)
        moved = box.moved(answer.window.left, answer.window.top)
        raw = wire.render(answer, 1)
        del raw["cut_location"]
        raw["face_location"].update(left=moved.left, top=moved.top)
        for (name, point), entry in zip(answer.person.parts.items(), raw["pose_info"]["body_parts"], strict=True):
            entry[name].update(x=math.floor(point.x), y=math.floor(point.y))
        file.write_text(json.dumps(raw))
    by_name = {path.name: answer for path, answer in made}
    comparison = compare(tmp_path / "replies", lambda photo: parse(wire.render(by_name[photo.name], 0)))
    assert comparison.frame == "photo"
    summary = {spread.name: spread for spread in summarise(comparison).spreads}
    assert summary["face box IoU"].least == 1.0
    assert summary["nose_tip distance"].most == 0.0


def test_a_folder_without_replies_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    with pytest.raises(OptionError, match="1 photos, none with a saved reply"):
        compare(tmp_path, lambda photo: Refusal(1))
    with pytest.raises(OptionError, match="is not a folder"):
        compare(tmp_path / "absent", lambda photo: Refusal(1))


class Page(HTMLParser):
    """What a page loads and runs, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "data", "action")]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


def page(comparison: Comparison) -> Page:
    parser = Page()
    parser.feed(html(comparison, summarise(comparison), "A <title> & more"))
    return parser


def test_the_report_needs_nothing_else(astronaut: Rgb, tmp_path: Path) -> None:
    comparison, _ = compared(astronaut, tmp_path, known.mixed)
    read = page(comparison)
    assert read.loads
    assert all(load.startswith("data:image/jpeg;base64,/9j/") for load in read.loads)
    assert not {"script", "link", "iframe", "object"} & set(read.tags)
    assert "A <title> & more" in read.text
    assert "facepose: " in read.text
    assert "their matte" in read.text


def test_the_report_keeps_strangers_words_as_words(astronaut: Rgb, tmp_path: Path) -> None:
    made = photos(astronaut, tmp_path / "photos", 1)
    evil = made[0][0].with_name("<img src=x onerror=alert(1)>.png")
    made[0][0].rename(evil)
    known.save_replies(tmp_path / "replies", [(evil, made[0][1])], lambda index: Change(window=(3, 1)), None)
    (tmp_path / "replies" / "b.png").write_bytes(evil.read_bytes())
    (tmp_path / "replies" / "b.json").write_text('{"<script>alert(1)</script>": 1}')
    comparison = compare(tmp_path / "replies", lambda photo: parse(wire.render(made[0][1], 0)))
    read = page(comparison)
    assert evil.name in read.text
    assert "script" not in read.tags
    assert all(load.startswith("data:image/jpeg") for load in read.loads)


def test_the_figures_are_json_with_a_row_for_each_photo(astronaut: Rgb, tmp_path: Path) -> None:
    comparison, _ = compared(astronaut, tmp_path, lambda index: Change(window=(3, 0)))
    saved = json.loads(json.dumps(to_json(comparison, summarise(comparison))))
    assert saved["photos"] == saved["answered_by_both"] == len(saved["rows"]) == 5
    assert saved["rows"][0]["difference"]["window_shift"] == [3.0, 0.0, 3.0, 0.0]
    assert saved["measures"]["window left edge"]["median"] == 3.0
    assert saved["findings"][0]["kind"] == "window shift"


def test_the_worst_come_first_and_only_so_many(astronaut: Rgb, tmp_path: Path) -> None:
    made = photos(astronaut, tmp_path / "photos", 5)
    by_name = {path.name: answer for path, answer in made}
    known.save_replies(tmp_path / "replies", made, lambda index: Change(window=(2 * index, 0)), None)
    comparison = compare(tmp_path / "replies", lambda photo: parse(wire.render(by_name[photo.name], 0)), worst=2)
    worst = dict(comparison.worst)
    assert [looked.name for looked in worst["window"]] == ["photo04.png", "photo03.png"]


def test_a_window_that_leaves_the_photo_is_compared_inside_it(astronaut: Rgb) -> None:
    made = result(astronaut, Window(150, 200, 300, 420))
    found = difference(astronaut, *answers(made, Change(window=(5, 0))))
    assert found.window_shift == pytest.approx((5, 0, 5, 0))
    assert found.matte is not None
    assert found.matte.pixels == 295 * (512 - 200)
    assert found.matte.errors.mad == 0.0

"""The rules applied: what passes, what fails, what we honestly do not know."""

from __future__ import annotations

import dataclasses
import io
import json

import cv2
import numpy as np
import pytest
from PIL import Image

from idseg.check import Report, check, check_file, delivered, refused
from idseg.check.framing import shoulders
from idseg.check.report import summary
from idseg.check.rules import RULES, Rule
from idseg.errors import MultiplePersonsError, NoPersonError
from idseg.photo.background import parse_background
from idseg.photo.finish import finish
from idseg.photo.sizes import find_size
from idseg.photo.turn import Slope
from idseg.photo.verdict import Status
from idseg.result import Result
from idseg.types import FaceMesh, HeadAngles, Point, Window
from tests.photo import person as drawn

SIZE = find_size("icao")


def status(report: Report, rule: str) -> Status:
    return next(found.status for found in report.rules if found.rule == rule)


def value(report: Report, rule: str) -> float:
    found = next(found.value for found in report.rules if found.rule == rule)
    assert found is not None
    return found


def good(roll_deg: float = 0.0) -> Result:
    return drawn.result(roll_deg)


def changed(**fields: object) -> Result:
    return dataclasses.replace(good(), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "expected"),
    [(-8, "met"), (8, "met"), (8.5, "check yourself"), (-9, "check yourself"), (9.01, "not met"), (-40, "not met")],
)
def test_judge_at_the_borders(found: float, expected: Status) -> None:
    assert Rule("", "", -8, 8, 1).judge(found) == expected


def test_every_rule_says_what_to_do_on_each_side_it_has() -> None:
    for rule in RULES.values():
        assert rule.term
        assert rule.unit
        if rule.low > float("-inf"):
            assert rule.advice(rule.low - 1)
        if rule.high < float("inf"):
            assert rule.advice(rule.high + 1)
        inside = max(rule.low, min(rule.high, 0.0))
        assert rule.advice(inside) == ""


def test_a_good_drawing_breaks_nothing_but_what_drawings_lack() -> None:
    report = check(good(), SIZE)
    broken = {rule.rule for rule in report.rules if rule.status == "not met"}
    # 56 px between its eyes, few tones, and a green wall
    assert broken <= {"resolution", "enough_pixels", "contrast", "background_color"}
    assert status(report, "one_person") == "met"
    assert status(report, "background_even") == "met"


def test_rules_come_once_and_all_are_there() -> None:
    names = [rule.rule for rule in check(good(), SIZE).rules]
    assert len(names) == len(set(names))
    assert set(RULES) <= set(names)
    assert {"one_person", "head_height", "eye_line", "head_uncovered"} <= set(names)


def test_a_document_without_a_rule_for_the_head_is_not_given_one() -> None:
    names = {rule.rule for rule in check(good(), find_size("cn-1inch")).rules}
    assert not names & {"head_height", "eye_line", "gap_above"}


def test_head_cover_is_honestly_unknown() -> None:
    assert status(check(good(), SIZE), "head_uncovered") == "check yourself"


@pytest.mark.parametrize(("axis", "rule"), [("yaw_deg", "yaw"), ("pitch_deg", "pitch"), ("roll_deg", "roll")])
def test_pose(axis: str, rule: str) -> None:
    person = good().person
    for angle, expected in ((0.0, "met"), (30.0, "not met"), (-30.0, "not met")):
        head = dataclasses.replace(HeadAngles(0, 0, 0), **{axis: angle})
        report = check(changed(person=dataclasses.replace(person, head=head)), SIZE, finished=True)
        assert status(report, rule) == expected


def test_no_mesh_means_unknown_not_pass() -> None:
    report = check(changed(person=dataclasses.replace(good().person, mesh=None)), SIZE)
    for rule in ("eyes_open", "mouth_closed", "eyes_clear", "sharp", "even_light", "resolution", "head_height"):
        assert status(report, rule) == "check yourself"


def test_shoulders_that_are_not_seen_are_not_called_level() -> None:
    """The drawing is cut at the chin's sides: no outline, and the points alone are not believed when they lie level."""
    report = check(drawn.result(cut=Window(200, 0, 200, 800)), SIZE)
    assert status(report, "shoulders_level") == "check yourself"
    parts = good().person.parts
    low = dataclasses.replace(parts, right_shoulder=Point(470, 560, 0.95))
    person = dataclasses.replace(good().person, parts=low)
    shoulders = dataclasses.replace(good().pose.shoulders, tilt_deg=15.0)
    pose = dataclasses.replace(good().pose, shoulders=shoulders)
    cut = drawn.result(cut=Window(200, 0, 200, 800))
    crooked = dataclasses.replace(cut, person=person, pose=pose)
    assert status(check(crooked, SIZE), "shoulders_level") == "not met"


@pytest.mark.parametrize(
    ("deg", "spread_deg", "expected"),
    [(9.0, 1.0, "not met"), (18.0, 5.6, "not met"), (6.7, 5.9, "check yourself"), (1.0, 5.0, "met")],
)
def test_an_uneven_outline_is_crooked_only_by_more_than_it_is_uneven(
    deg: float, spread_deg: float, expected: Status, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chair's back beside one shoulder makes it uneven; then the pose's points, level here, find no fault."""
    monkeypatch.setattr("idseg.check.framing.shoulder_slope", lambda *_: Slope(deg, spread_deg))
    assert shoulders(good(), 0.0).status == expected


def test_eyes_of_a_head_that_is_turned_far_are_never_called_shut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idseg.check.measures.eyes_shut", lambda _: 0.2)
    for pitch_deg, expected in ((0.0, "not met"), (21.0, "check yourself")):
        person = dataclasses.replace(good().person, head=HeadAngles(0.0, pitch_deg, 0.0))
        assert status(check(changed(person=person), SIZE), "eyes_open") == expected


def test_covered_eyes_are_not_called_open() -> None:
    photo = good().photo.copy()
    cv2.ellipse(photo, (300, 260), (70, 20), 0, 0, 360, (20, 20, 24), -1)
    report = check(changed(photo=photo, cut=photo), SIZE)
    assert status(report, "eyes_clear") == "not met"
    assert status(report, "eyes_open") == "check yourself"


def test_one_sided_light_blur_and_darkness_fail() -> None:
    photo = good().photo
    shaded = photo.copy()
    shaded[:, 300:] = shaded[:, 300:] // 4
    assert status(check(changed(photo=shaded, cut=shaded), SIZE), "even_light") == "not met"
    dark = photo // 25
    assert status(check(changed(photo=dark, cut=dark), SIZE), "not_dark") == "not met"
    blurred = cv2.GaussianBlur(photo, (0, 0), 4)
    assert status(check(changed(photo=blurred, cut=blurred), SIZE), "sharp") == "not met"


def test_an_uneven_wall_fails_and_points_at_the_mend() -> None:
    photo = good().photo.copy()
    photo[::40] = 255
    photo[:, :90] = 30
    report = check(changed(photo=photo, cut=photo), SIZE)
    found = next(rule for rule in report.rules if rule.rule == "background_even")
    assert found.status == "not met"
    assert "replace" in found.advice
    only_cropped = dataclasses.replace(SIZE, edits="crop only")
    kept = check(changed(photo=photo, cut=photo), only_cropped)
    advice = [rule.advice for rule in kept.rules if rule.rule.startswith("background")]
    assert "replace" not in " ".join(advice)  # the document forbids it


def test_a_cut_through_the_chest_fails_shoulders_inside() -> None:
    report = check(drawn.result(cut=Window(0, 0, 600, 385)), find_size("us-visa"))
    assert status(report, "shoulders_inside") == "not met"


def test_a_finished_photo_is_judged_as_it_is() -> None:
    size = dataclasses.replace(SIZE)
    done = finish(good(), size, parse_background("white"))
    (a, b, c), (d, e, f) = done.placement.matrix
    mesh = good().person.mesh
    assert mesh is not None
    points = mesh.points.copy()
    x, y = points[:, 0].copy(), points[:, 1].copy()
    points[:, 0], points[:, 1] = a * x + b * y + c, d * x + e * y + f
    person = dataclasses.replace(good().person, mesh=dataclasses.replace(mesh, points=points))
    alpha = (np.abs(done.pixels.astype(int) - 255).sum(axis=2) > 30).astype(np.float32)
    height, width = alpha.shape
    finished = changed(
        photo=done.pixels, cut=done.pixels, alpha=alpha, window=Window(0, 0, width, height), person=person
    )
    report = check(finished, size, finished=True)
    assert status(report, "head_height") != "not met"
    assert value(report, "head_height") == pytest.approx(done.placement.mm["head"], rel=0.015)
    assert value(report, "eye_line") == pytest.approx(done.placement.mm["eyes"], rel=0.015)
    taller = dataclasses.replace(size, height_mm=60.0)
    assert status(check(finished, taller, finished=True), "head_height") == "not met"


def test_nobody_and_two_people() -> None:
    report = refused(MultiplePersonsError("2 people are in the photo", persons=2), SIZE)
    assert status(report, "one_person") == "not met"
    assert value(report, "one_person") == 2
    assert report.verdict == "not met"
    assert {rule.status for rule in report.rules[1:]} == {"check yourself"}
    assert refused(NoPersonError("nobody is in the photo"), SIZE).rules[0].value is None


def test_the_report_is_json_and_says_that_nothing_was_retouched() -> None:
    told = json.loads(json.dumps(check(good(), SIZE).to_dict(), allow_nan=False))
    assert told["unretouched"] is True
    assert sum(told["counts"].values()) == len(told["rules"])
    assert all(
        set(rule) == {"rule", "term", "status", "value", "unit", "allowed", "doubt", "advice"} for rule in told["rules"]
    )


def test_verdicts() -> None:
    rules = check(good(), SIZE).rules
    passed = tuple(rule for rule in rules if rule.status == "met")
    assert Report(SIZE, False, passed).verdict == "met"
    doubtful = next(rule for rule in rules if rule.status == "check yourself")
    assert Report(SIZE, False, (*passed, doubtful)).verdict == "check yourself"


def test_a_check_changes_nothing() -> None:
    result = good()
    before = result.photo.copy(), result.alpha.copy()
    check(result, SIZE)
    np.testing.assert_array_equal(result.photo, before[0])
    np.testing.assert_array_equal(result.alpha, before[1])


def test_summary_has_a_line_a_rule() -> None:
    report = check(good(), SIZE)
    assert len(summary(report).splitlines()) == len(report.rules) + len(report.confirm) + 1


def jpeg(width: int, height: int, dpi: int | None = 300) -> bytes:
    stream = io.BytesIO()
    options = {} if dpi is None else {"dpi": (dpi, dpi)}
    Image.new("RGB", (width, height), "white").save(stream, "JPEG", **options)
    return stream.getvalue()


def test_a_file_is_judged_by_pixels_dpi_kilobytes_and_format() -> None:
    size = find_size("kz-passport")
    assert {rule.rule: rule.status for rule in check_file(jpeg(413, 531), size)} == {
        "pixels": "met",
        "dpi": "met",
        "file_size": "met",
        "compression": "not applicable",
        "format": "met",
    }
    wrong = {rule.rule: rule.status for rule in check_file(jpeg(531, 413, 72), find_size("us-visa"))}
    assert wrong["pixels"] == "not met"
    assert wrong["dpi"] == "not met"
    png = io.BytesIO()
    Image.new("RGB", (600, 600)).save(png, "PNG")
    told = {rule.rule: rule.status for rule in check_file(png.getvalue(), find_size("us-visa"))}
    assert told["format"] == "not met"
    assert told["dpi"] == "check yourself"


@pytest.mark.parametrize("side", ["top", "right"])
def test_a_head_that_the_photo_cuts_off_stays_cut_off_before_a_new_background(side: str) -> None:
    """The backdrop above the cut hides it from a check of the finished file; the finished photo remembers."""
    whole = drawn.result()
    window = {"top": Window(0, 190, 600, 610), "right": Window(0, 0, 340, 800)}[side]
    names = ("photo", "cut", "foreground", "alpha")
    rows, columns = slice(window.top, window.bottom), slice(window.left, window.right)
    part = {name: np.ascontiguousarray(getattr(whole, name)[rows, columns]) for name in names}
    person = whole.person
    assert person.mesh is not None
    moved = dataclasses.replace(
        person,
        face_box=person.face_box.moved(-window.left, -window.top),
        parts=person.parts.moved(-window.left, -window.top),
        mesh=FaceMesh(person.mesh.points - np.array([window.left, window.top, 0.0]), 1.0),
    )
    place = Window(0, 0, window.width, window.height)
    result = dataclasses.replace(whole, **part, window=place, person=moved)  # type: ignore[arg-type]
    done = finish(result, find_size("cn-1inch"), parse_background("white"))
    assert done.head_cut == (side,)
    report = delivered(_Sees(), done.encode().content, done.size, done)
    assert status(report, "head_inside") == "not met"
    assert status(delivered(_Sees(), done.encode().content, done.size), "head_inside") == "met"


def test_the_report_of_a_brightened_photo_does_not_call_it_unretouched() -> None:
    size = find_size("cn-1inch")
    for stops in (0.0, 0.5):
        done = finish(good(), size, light_stops=stops)
        report = delivered(_Sees(), done.encode().content, size, done)
        assert report.to_dict()["unretouched"] is (stops == 0)
        assert ("unretouched" in summary(report)) is (stops == 0)


class _Sees:
    """Sees a whole, good head in every photo."""

    def whole(self, photo: object, /) -> Result:
        return good()

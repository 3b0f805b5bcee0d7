"""Result files, the trend over commits, and the README's tables made from them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from benchmarks import environment, figures, markdown, tables, trend
from benchmarks.figures import Figure, Result
from benchmarks.published import PUBLISHED

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
    assert [markdown.number(value) for value in (None, 0.0, 0.00421, 1.234, 12.34, 123.4, 12345.6)] == [
        "–", "0", "0.0042", "1.23", "12.3", "123", "12346",
    ]  # fmt: skip


def test_a_published_row_is_marked() -> None:
    run = environment.Run("quality", 2, {})
    run.add(*(figure for figure in PUBLISHED if figure.on == "P3M-500-P"))
    text = "\n".join(tables.quality_tables(run.result()))
    assert "*P3M-Net (ResNet-34), published*" in text
    assert "Published: https://github.com/JizhiziLi/P3M" in text

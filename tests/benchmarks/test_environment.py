"""What a result says of its machine; options and timings of the benchmarks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import environment, figures, peers
from benchmarks.figures import Figure
from idseg.types import Size

SCHEMA = json.loads(figures.SCHEMA.read_text())


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

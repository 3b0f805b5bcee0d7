"""Do two checkouts of idseg find the same? Classes, face box and body parts of every photo in a folder.

``python -m benchmarks.answers --before PATH --photos ../shared/data/photos --scratch FOLDER`` asks the checkout
``PATH`` ("before") and this one ("now") in turn, 100 photos each, and writes ``results/answers.json``. The answers are
kept in the scratch folder, so that the same command goes on where it was stopped. Mattes are not computed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.answering import commit_of
from benchmarks.environment import ROOT, Run
from benchmarks.figures import RESULTS, Figure, write

_AT_ONCE = 100
"""Photos of one process."""
_CLASSES = ("error", "facepose", "bodypose")
"""Facts that are equal or not, in contrast to positions."""

_WORK = """
import dataclasses, json, sys
import idseg
try:
    from idseg.stages import pose
except ImportError:  # before the folder stages
    from idseg import pose
with idseg.Segmenter(idseg.Options(threads=1)) as segmenter:
    for line in sys.stdin:
        path = json.loads(line)
        try:
            person = segmenter.find(path)
        except idseg.IdsegError as error:
            print(json.dumps({"error": type(error).__name__}), flush=True)
            continue
        classes = pose.classify(person.parts, person.face_box, person.head, segmenter.options.pose)
        box = person.face_box
        parts = {f.name: getattr(person.parts, f.name) for f in dataclasses.fields(person.parts)}
        print(json.dumps({
            "facepose": str(classes.facepose), "bodypose": str(classes.bodypose),
            "box": [box.left, box.top, box.width, box.height],
            "points": {name: [float(p.x), float(p.y), float(p.score)] for name, p in parts.items()},
        }), flush=True)
"""
"""What a process of a checkout runs: it reads paths, one a line, and prints an answer for each."""


def ask(tree: Path, photos: list[Path]) -> Iterator[dict[str, Any]]:
    """The answers of the checkout ``tree``, in the order of the photos."""
    command = [sys.executable, "-W", "ignore", "-c", _WORK]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    asked = "".join(json.dumps(str(photo.resolve())) + "\n" for photo in photos)
    done = subprocess.run(
        command, cwd=tree, env=environment, input=asked, stdout=subprocess.PIPE, text=True, check=True
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    if len(answers) != len(photos):
        raise click.ClickException(f"idseg of {tree} answered {len(answers)} of {len(photos)} photos; see above")
    yield from answers


def kept(file: Path) -> dict[str, Any]:
    """The answers in a scratch file, by photo."""
    return dict(json.loads(line) for line in file.read_text("utf-8").splitlines()) if file.exists() else {}


def compare(before: dict[str, Any], now: dict[str, Any]) -> Iterator[Figure]:
    """How many answers differ, and by how much the points and boxes moved."""
    both = [(before[name], now[name]) for name in before]
    for fact in _CLASSES:
        different = sum(old.get(fact) != new.get(fact) for old, new in both)
        yield Figure(fact, "photos", "different", "count", different, "", len(both))
    answered = [(old, new) for old, new in both if "box" in old and "box" in new]
    boxes = np.array([np.abs(np.subtract(old["box"], new["box"])).max() for old, new in answered])
    moved = np.array(
        [
            max(np.abs(np.subtract(new["points"][k], p)[:2]).max() for k, p in old["points"].items())
            for old, new in answered
        ]
    )
    scores = np.array([max(abs(new["points"][k][2] - p[2]) for k, p in old["points"].items()) for old, new in answered])
    for subject, values, unit in (("face box", boxes, "px"), ("body parts", moved, "px"), ("scores", scores, "")):
        yield Figure(subject, "photos", "different", "count", int((values > 0).sum()), "", len(answered))
        yield Figure(
            subject, "photos", "difference", "most", round(float(values.max(initial=0.0)), 4), unit, len(answered)
        )


@click.command(help=__doc__)
@click.option("--before", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--photos", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--scratch", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--results", type=click.Path(file_okay=False, path_type=Path), default=RESULTS, show_default=True)
def main(before: Path, photos: Path, scratch: Path, results: Path) -> None:
    scratch.mkdir(parents=True, exist_ok=True)
    trees = {"before": before.resolve(), "now": ROOT}
    found = sorted(photos.rglob("*.jpg"))
    run = Run("answers", 1, {"photos": len(found), "before": commit_of(before)})
    files = {name: scratch / f"{name}-{commit_of(tree)[:12]}.jsonl" for name, tree in trees.items()}
    for start in range(0, len(found), _AT_ONCE):
        for name, tree in trees.items():
            file = files[name]
            done = kept(file)
            left = [path for path in found[start : start + _AT_ONCE] if path.relative_to(photos).as_posix() not in done]
            if left:
                with file.open("a", encoding="utf-8") as out:
                    for path, answer in zip(left, ask(tree, left), strict=True):
                        out.write(json.dumps([path.relative_to(photos).as_posix(), answer]) + "\n")
        click.echo(f"{min(start + _AT_ONCE, len(found))} of {len(found)} photos", err=True)
    before_answers, now_answers = (kept(file) for file in files.values())
    run.add(*compare(before_answers, now_answers))
    click.echo(write(run.result(), results))
    for name, old in before_answers.items():
        if any(old.get(fact) != now_answers[name].get(fact) for fact in _CLASSES):
            click.echo(f"{name}: {old} {now_answers[name]}")


if __name__ == "__main__":
    main()

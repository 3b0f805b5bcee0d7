"""The hair table: errors of idseg's mattes, beside an earlier commit and other programs.

    python -m benchmarks.matting --data ../shared/data --before ../before --mattes RVM=rvm --mattes ISNet=isnet
    python -m benchmarks.matting --data ../shared/data --sections speed --isnet ISNET.onnx     # on a quiet machine

Sections:

errors    val, val-hr and val-hair (exact alpha, pictures at their own size): MAD, MSE, Grad and Conn of the whole
          picture, MAD and Grad in the unknown band (half-transparent pixels and the edge, plus 1 % of the longer side).
held_out  MAD to the fused labels of photos that no net was trained on, by set and by group of people
          (matting_groups.toml). Pixels without trust do not count. Only idseg's rows and "before": the labels come
          from an earlier net of idseg (who is person) and from ISNet (hair).
islands   connected pieces of background with alpha above .5, on val-hr and on the held-out photos (trusted pixels): the
          largest piece as a share of the picture, and the share of pictures without a piece above .05 %.
halo      colour error (0..255) of results on white and on black, in half-covered pixels (true alpha .1 to .9), on
          composites of people with known colours. The people are those of the training set.
speed     time by the clock, CPU time and peak memory, for a cut of 600x840 and for one of 2.4 MP, in turn with ISNet.

Each run replaces its own rows of the result file and keeps the others, so that sections and programs can be measured
one after the other. Delete the file to begin again. val-hr and val-hair are only for measuring; no picture is named.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import cv2

from benchmarks import matting_speed, matting_tables
from benchmarks.environment import ROOT, pin
from benchmarks.figures import RESULTS
from benchmarks.matting_rows import own_rows, peer_rows
from benchmarks.matting_sections import (
    Measured,
    Plan,
    measure_errors,
    measure_halo,
    measure_held_out,
    measure_islands,
)

RESULT = RESULTS / "matting.json"
SECTIONS = ("errors", "held_out", "islands", "halo", "speed")


def merged(stored: dict[str, Any], section: str, new: Measured, when: str) -> dict[str, Any]:
    """The stored result with the new rows of a section; each row says when, and at which commit, it was measured."""
    kept = stored.get(section, {})
    for on, rows in new.items():
        kept[on] = kept.get(on, {}) | {row: figures | {"measured": when} for row, figures in rows.items()}
    return stored | {section: kept}


def now() -> str:
    """The date (UTC) and the commit of this checkout."""
    done = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC, commit {done.stdout.strip() or 'unknown'}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.matting", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder with val/, val-hr/, val-hair/, fused/, photos/, studio/, …")
    add("--sections", nargs="+", choices=SECTIONS, default=SECTIONS, help="what to measure (default: everything)")
    add("--before", type=Path, metavar="TREE", help='a checkout of an earlier commit: the row "before"')
    add("--mattes", action="append", default=[], metavar="NAME=FOLDER", help="mattes FOLDER/SET/NAME.png of a program")
    add("--closed-form", action="append", default=[], metavar="NAME", help="also refine NAME's mattes in closed form")
    add("--peers-only", action="store_true", help="measure only the rows of --mattes; idseg's rows stay as stored")
    add("--isnet", type=Path, metavar="ONNX", help="ISNet's file, for speed (benchmarks/peers.py says where to get it)")
    add("--threads", type=int, default=2, help="threads of every method (default: 2)")
    add("--rounds", type=int, default=10, help="rounds of the speed section (default: 10)")
    add("--limit", type=int, metavar="N", help="a trial with N pictures of each set, which writes no result")
    add("--work", type=Path, metavar="FOLDER", help="keep idseg's mattes here, and use those that are here already")
    add("--result", type=Path, default=RESULT, metavar="JSON", help="result file (default: results/matting.json)")
    return parser


def main() -> None:
    parser = _parser()
    given = parser.parse_args()
    mattes = {name: Path(folder) for name, _, folder in (text.partition("=") for text in given.mattes)}
    for name, folder in mattes.items():
        if not folder.is_dir():
            parser.error(f"--mattes {name}={folder}: no such folder")
    if unknown := set(given.closed_form) - set(mattes):
        parser.error(f"--closed-form {', '.join(sorted(unknown))}: give its mattes with --mattes")
    if not (given.data / "val").is_dir():
        parser.error(f"no folder {given.data / 'val'}; `python -m benchmarks quality` measures other sets too")
    if given.before is not None and not (given.before / "idseg" / "segmenter.py").exists():
        parser.error(f"--before {given.before} is not a checkout of idseg")
    if "speed" in given.sections:
        pin(given.threads)
    else:
        cv2.setNumThreads(given.threads)
    measures = {
        "errors": measure_errors,
        "held_out": measure_held_out,
        "islands": measure_islands,
        "halo": measure_halo,
    }
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work or Path(temporary)
        own = [] if given.peers_only else own_rows(work, given.before)
        rows = [*own, *peer_rows(mattes, given.closed_form, work)]
        plan = Plan(given.data, rows, work, given.threads, given.limit)
        result: dict[str, Any] = json.loads(given.result.read_text()) if given.result.exists() else {}
        for section in given.sections:
            if section == "speed":
                new = matting_speed.measure(given.data, given.threads, given.isnet, given.rounds)
                result["speed"] = new | {"measured": now()}
            else:
                result = merged(result, section, measures[section](plan), now())
            print("\n".join(matting_tables.section_tables(section, result[section])) + "\n", flush=True)
            if given.limit is None:
                given.result.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

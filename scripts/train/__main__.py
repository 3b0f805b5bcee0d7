"""python -m scripts.train --config scripts/train/configs/NAME.toml [--stage coarse coarse-tune ...]"""

# torch and onnx are not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import tomllib
import torch

from scripts.train import coarse, export, quantize, refine
from scripts.train.loop import Job
from scripts.train.nets import PublishedRefine

COARSE_STAGES = ("coarse", "coarse-tune", "coarse-fine", "coarse-sharp", "coarse-full", "coarse-deep")
REFINE_STAGES = ("refine", "refine-fine")
"""Each stage continues from the averaged weights of the stage before. A config may omit all but the first."""
STAGES = (*COARSE_STAGES, "export-coarse", "quantize", *REFINE_STAGES, "export-refine")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.train", description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--stage", choices=STAGES, nargs="+", default=list(STAGES))
    parser.add_argument("--data", type=Path, help="folder as in scripts/train/README.md")
    parser.add_argument("--runs", type=Path, help="folder of checkpoints, logs and exported files")
    parser.add_argument("--limit", type=int, help="use only this many people and backgrounds of each set (trial run)")
    given = parser.parse_args(arguments)
    config: dict[str, Any] = tomllib.loads(given.config.read_text())
    cv2.setNumThreads(1)  # before the workers fork, which breaks OpenCV's thread pool
    run(config, given.data or Path(config["root"]), given.runs or Path(config["runs"]), given.stage, given.limit)


def run(config: dict[str, Any], root: Path, runs: Path, stages: list[str], limit: int | None) -> None:
    """Run the stages in the given order; each reads the files that the stage before wrote to ``runs``."""
    runs.mkdir(parents=True, exist_ok=True)
    exclude = frozenset(config["exclude"])
    coarse_file, refine_file = runs / "portrait-coarse.onnx", runs / "portrait-refine.onnx"
    int8_file = runs / "portrait-coarse-int8.onnx"
    for stage in stages:
        if stage in COARSE_STAGES and stage in config:
            start = before(config, COARSE_STAGES, stage, runs)
            table = coarse.CoarseConfig(**config[stage])
            coarse.train(table, Job(root, runs, stage, exclude, limit, start))
        elif stage in REFINE_STAGES and stage in config:
            start = before(config, REFINE_STAGES, stage, runs)
            finer = refine.RefineConfig(**config[stage])
            refine.train(finer, coarse_file, Job(root, runs, stage, exclude, limit, start))
        elif stage == "export-coarse":
            last = present(config, COARSE_STAGES)[-1]
            coarse_net = coarse.averaged_net(runs / f"{last}.pt")
            width, height = config[last]["shapes"][0]
            export.report(coarse_file, export.export_coarse(coarse_net, (width, height), coarse_file, config["name"]))
        elif stage == "quantize":
            table = coarse.CoarseConfig(**config[present(config, COARSE_STAGES)[-1]])
            pool = coarse.load_pool(table, Job(root, runs, stage, exclude, limit))
            quantize.quantize(coarse_file, int8_file, quantize.pictures(pool, table, config["quantize"]["pictures"]))
            export.report(int8_file)
        elif stage == "export-refine":
            last = present(config, REFINE_STAGES)[-1]
            refine_net = PublishedRefine(refine.averaged_net(runs / f"{last}.pt"))
            examples = {"rgba": torch.randn(1, 4, 192, 192, generator=torch.Generator().manual_seed(0))}
            export.report(refine_file, export.export(refine_net, examples, refine_file, note=config["name"]))


def present(config: dict[str, Any], stages: tuple[str, ...]) -> list[str]:
    """The stages that have a table in the config."""
    return [stage for stage in stages if stage in config]


def before(config: dict[str, Any], stages: tuple[str, ...], stage: str, runs: Path) -> Path | None:
    """Checkpoint of the previous stage; None for the first stage."""
    index = present(config, stages).index(stage)
    return runs / f"{present(config, stages)[index - 1]}.pt" if index else None


if __name__ == "__main__":
    main()

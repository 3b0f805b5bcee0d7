"""Train both nets from a pack on a borrowed accelerator for some minutes. That machine needs only torch.

On your own machine, which has onnx and the data:

    python -m scripts.train.accelerator prepare --config scripts/train/configs/portrait-8.toml --out start.pt

On the accelerator, with this folder, the packs (``scripts.train.build_pack``) and start.pt:

    python -m scripts.train.accelerator train --pack a.pack b.pack --start start.pt --out OUT --minutes 9

That machine needs Python 3.10, torch 2.5 and NumPy, and Pillow or OpenCV to read the pack, but no network. Run the same
command with the same OUT again to continue from the last checkpoint (three files under 16 MiB each, written every two
minutes). OUT/joint.csv is the log.

Then on your own machine, with the files of OUT:

    python -m scripts.train.accelerator finish --config scripts/train/configs/portrait-8.toml --pack a.pack --out OUT
    python -m scripts.train.measure --data ../shared/data --nets OUT

``finish`` writes the ONNX files, also in 8-bit integers, whose value ranges come from pictures of the pack; ``publish``
copies them to models/. ``integers`` writes only those in 8-bit integers again, from the float files in OUT.
"""

# torch and onnx are not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import torch

from scripts.train import joint
from scripts.train.pack import open_pack
from scripts.train.pool import Material, Pool
from scripts.train.scene.compose import Shares
from scripts.train.scene.store import Store

MODELS = Path(__file__).parents[2] / "models"
_MEMORY = 24e9
"""Memory for composed pictures, bytes."""
_SWITCH_S = 5e-4
"""Seconds after which a thread that runs Python lets another one run. The default, ten times as long, delays the
training's thread, which starts hundreds of small operations."""
_LOOK_S = 0.3
"""Interval for looking whether the packs are complete, seconds."""
SIZE = (640, 800)
"""Width and height, px, of the coarse net's usual input: the size of a finished cut."""
NETS = ("portrait-coarse", "portrait-detail")
"""Names of the float nets; those in 8-bit integers end in ``-int8``."""
EDGE = "portrait-edge-int8"
"""Name of the second file of the coarse net in 8-bit integers."""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.train.accelerator",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True)
    prepare_command = commands.add_parser(
        "prepare", help="write the starting point: published weights and the config's table"
    )
    prepare_command.add_argument("--config", type=Path, required=True, help="TOML file with a [joint] table")
    prepare_command.add_argument("--models", type=Path, default=MODELS, help="folder of the published ONNX files")
    prepare_command.add_argument("--out", type=Path, required=True, help="output file")
    prepare_command.set_defaults(run=lambda given: prepare(given.config, given.models, given.out))
    train_command = commands.add_parser("train", help="train for some minutes, or continue")
    train_command.add_argument("--pack", type=Path, nargs="+", required=True, help="files of scripts.train.build_pack")
    train_command.add_argument(
        "--marked",
        action="store_true",
        help="wait until NAME.ok exists for each NAME.pack, so that the copying of packs "
        "and the preparation go on at the same time",
    )
    train_command.add_argument("--start", type=Path, required=True, help="output file of prepare")
    train_command.add_argument("--out", type=Path, required=True, help="folder of the checkpoint and the log")
    train_command.add_argument(
        "--minutes", type=float, required=True, help="minutes for this call, with all its preparation"
    )
    train_command.add_argument("--device", help="cuda, cpu, … (default: cuda if available)")
    train_command.add_argument(
        "--composing", type=int, default=1, help="number of processes that compose pictures (default: 1)"
    )
    train_command.add_argument(
        "--drawing", type=int, default=0, help="number of processes that draw more hair for each of those (default: 0)"
    )
    train_command.set_defaults(run=run_train)
    finish_command = commands.add_parser("finish", help="write the trained nets as ONNX files")
    finish_command.add_argument(
        "--config", type=Path, required=True, help="TOML file, whose name is stored in the nets' files"
    )
    finish_command.add_argument(
        "--pack", type=Path, nargs="+", required=True, help="packs with pictures for quantisation"
    )
    finish_command.add_argument("--out", type=Path, required=True, help="folder of the checkpoint and of the files")
    finish_command.add_argument(
        "--pictures", type=int, default=64, help="number of pictures for quantisation (default: 64)"
    )
    integers_command = commands.add_parser("integers", help="write only the files in 8-bit integers")
    integers_command.add_argument(
        "--pack", type=Path, nargs="+", required=True, help="packs with pictures for quantisation"
    )
    integers_command.add_argument("--out", type=Path, required=True, help="folder of the float files")
    integers_command.add_argument(
        "--net", choices=NETS, action="append", help="which net; may be repeated (default: both)"
    )
    integers_command.add_argument("--pictures", type=int, default=64, help="number of pictures (default: 64)")
    integers_command.set_defaults(run=run_integers)
    finish_command.set_defaults(
        run=lambda given: finish(open_pack(given.pack, torch.device("cpu")), given.out, given.pictures, given.config)
    )
    publish_command = commands.add_parser("publish", help="copy the files of finish to models/ and its manifest")
    publish_command.add_argument(
        "--config", type=Path, required=True, help="TOML file, which the manifest names as the source"
    )
    publish_command.add_argument("--out", type=Path, required=True, help="folder of the files")
    publish_command.add_argument("--models", type=Path, default=MODELS, help="folder of the published files")
    publish_command.set_defaults(run=lambda given: publish(given.out, given.models, given.config))
    given = parser.parse_args(arguments)
    given.run(given)


def run_train(given: argparse.Namespace) -> None:
    device = torch.device(given.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    open_store = partial(open_marked if given.marked else open_pack, given.pack)
    shares = load_start(given.start)[1].shares
    material = Material(open_store, device, Shares(**shares), given.composing, given.drawing)
    train(material, given.start, given.out, given.minutes, _MEMORY if device.type == "cuda" else _MEMORY / 20)


def open_marked(paths: Sequence[Path], device: torch.device) -> Store:
    """Wait until a file NAME.ok lies beside each pack NAME.pack, then load them."""
    while not all(path.with_suffix(".ok").exists() for path in paths):
        time.sleep(_LOOK_S)
    return open_pack(paths, device)


def run_integers(given: argparse.Namespace) -> None:
    from scripts.train.integers import write_integers  # needs onnx

    write_integers(open_pack(given.pack, torch.device("cpu")), given.out, given.pictures, given.net or NETS)


def prepare(config: Path, models: Path, out: Path) -> None:
    """Write the published nets' weights (float16) and the config's table to ``out``, about 8 MB."""
    import tomllib

    from scripts.train.published import published_weights  # needs onnx

    table = joint.JointConfig(**tomllib.loads(config.read_text())["joint"])
    weights = {name: value.half() for name, value in published_weights(models).items()}
    beside = out.with_suffix(".part")
    torch.save({"config": asdict(table), "weights": weights}, beside)
    beside.replace(out)
    print(f"{out}: {out.stat().st_size} bytes")


def load_start(path: Path) -> tuple[joint.Pair, joint.JointConfig]:
    """The nets and the table of a file that :func:`prepare` wrote."""
    start = torch.load(path, map_location="cpu", weights_only=True)
    config = joint.JointConfig(**start["config"])
    return joint.pair_of(start["weights"]), config


def train(
    material: Material, start: Path, out: Path, minutes: float, memory: float = _MEMORY
) -> list[dict[str, float]]:
    """Train from ``start``, or continue from ``out/joint.pt``, on the device of the material; returns the log.

    Args:
        material: for the pictures.
        start: file of :func:`prepare`.
        out: folder of the checkpoint and the log.
        minutes: for all of this call; the learning rate falls to its end within them.
        memory: bytes for composed pictures.
    """
    began = time.monotonic()
    sys.setswitchinterval(_SWITCH_S)
    out.mkdir(parents=True, exist_ok=True)
    pair, config = load_start(start)
    shapes = [(width, height) for width, height in config.shapes]
    with Pool(material, shapes, room(shapes, memory), config.seed) as pool:
        joint.warm_up(pair, config, material.device)  # meanwhile, the processes load the material
        pool.wait(config.batch)
        checkpoint = out / "joint.pt"
        earlier = torch.load(checkpoint, weights_only=True)["elapsed_s"] if checkpoint.exists() else 0.0
        left = earlier / 60.0 + minutes - (time.monotonic() - began) / 60.0
        print(f"the preparation is done; training until {left:.1f} min in all calls", flush=True)
        config = replace(config, minutes=max(left, 0.1), workers=0)  # the pictures are composed in other processes
        log = joint.train(
            pair,
            config,
            checkpoint,
            lambda step: pool.batches(config.batch, config.seed + step),
            device=material.device,
        )
        print(f"{pool.made} pictures composed, {pool.taken} used, {pool.layers} layers of hair", flush=True)
    return log


def room(shapes: list[tuple[int, int]], memory: float) -> list[int]:
    """Number of pictures of each shape that fit into ``memory`` bytes, half of which is for the first shape."""
    shares = [0.5 if number == 0 else 0.5 / max(len(shapes) - 1, 1) for number in range(len(shapes))]
    return [max(int(memory * s / (5 * w * h)), 8) for s, (w, h) in zip(shares, shapes, strict=True)]


def finish(store: Store, out: Path, pictures: int, config: Path) -> None:
    """Write ``portrait-coarse.onnx`` and ``portrait-detail.onnx`` into ``out``, and both in 8-bit integers; the name of
    the config's file is stored in them."""
    from scripts.train import export  # needs onnx
    from scripts.train.integers import write_integers

    note = f"{config.stem}, scripts/train/accelerator.py"
    pair = joint.averaged_pair(out / "joint.pt")
    coarse, detail = (out / f"{name}.onnx" for name in NETS)
    export.report(coarse, export.export_coarse(pair.coarse, SIZE, coarse, note))
    export.report(detail, export.export_detail(pair.detail, detail, note))
    write_integers(store, out, pictures)


def publish(out: Path, models: Path, config: Path) -> None:
    """Copy the files of :func:`finish` to ``models`` and describe them in its manifest."""
    import onnx

    from scripts.train import ends, export  # they need onnx
    from scripts.train import publish as files

    source = f"trained here: scripts/train/configs/{config.name}"
    names = (*NETS, f"{NETS[0]}-int8", EDGE, f"{NETS[1]}-int8")
    facts = {name: export.facts(out / f"{name}.onnx") for name in names}
    levels = ends.levels_of(onnx.load(str(out / f"{EDGE}.onnx")))
    files.publish(files.NETS, out, models, facts, source, files.Described(SIZE, levels))


if __name__ == "__main__":
    main()

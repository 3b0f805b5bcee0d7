"""Find the small files that cost the most CPU time: ``python -m benchmarks.hostile``.

A bounded search per format looks for the file of at most 4 MB whose decoding or refusal costs the most CPU time. It
starts from files built to be costly (:mod:`benchmarks.hostile_files`) and keeps each change that makes a file costlier.
Files are decoded in a separate process, which is killed at a limit.

``--tree PATH`` also measures another checkout of idseg on the same files, to compare before and after. The result is
written to ``results/hostile.json``, where other formats' figures stay; ``python -m benchmarks tables`` shows it in
README.md.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Final

import click

from benchmarks.environment import ROOT, Run
from benchmarks.figures import RESULTS, Figure, read, write
from benchmarks.hostile_files import FORMATS, MOST_BYTES, changed

LIMIT_CPU_S: Final = 20
"""CPU seconds after which a process is killed."""
LIMIT_S: Final = 900.0
"""Wall seconds; stops a process that waits without using CPU time."""
PROMISED_S: Final = 3.0
"""Maximum CPU seconds that a file may cost."""
_ROUNDS: Final = 2
"""Rounds of changes; each round changes the costliest files found so far."""

_DECODE = """
import resource, sys, time
from pathlib import Path
try:
    from idseg.stages.decode import decode
except ImportError:
    from idseg.decode import decode
resource.setrlimit(resource.RLIMIT_AS, (8 * 2**30, 8 * 2**30))
resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv.pop(1)), -1))
for name in sys.argv[1:]:
    content = Path(name).read_bytes()
    started = time.process_time()
    try:
        decode(content)
        outcome = "decoded"
    except ValueError as error:
        outcome = type(error).__name__
    except MemoryError:
        outcome = "MemoryError"
    print(name, outcome, time.process_time() - started, flush=True)
"""


@dataclass(frozen=True)
class Cost:
    """What decoding or refusing one file cost."""

    seconds: float
    """CPU time."""
    outcome: str
    content: bytes = field(repr=False)


def costs(files: Iterable[bytes], tree: Path) -> list[Cost]:
    """The cost of each file with the idseg of the checkout ``tree``, the costliest first."""
    found: list[Cost] = []
    with tempfile.TemporaryDirectory(prefix="idseg-hostile-") as folder:
        left: dict[str, bytes] = {}
        for number, content in enumerate(files):
            if 0 < len(content) <= MOST_BYTES:
                path = Path(folder) / str(number)
                path.write_bytes(content)
                left[str(path)] = content
        while left:
            lines, ending = _decoded(list(left), tree)
            for name, outcome, seconds in lines:
                found.append(Cost(float(seconds), outcome, left.pop(name)))
            if ending:  # due to the next file, or to all files together
                name = next(iter(left))
                alone, ending = _decoded([name], tree)
                cost_s = float(alone[0][2]) if alone else float(LIMIT_CPU_S)
                found.append(Cost(cost_s, alone[0][1] if alone else ending, left.pop(name)))
    return sorted(found, key=lambda cost: cost.seconds, reverse=True)


def _decoded(names: list[str], tree: Path) -> tuple[list[list[str]], str]:
    """(file, outcome, CPU seconds) of the files decoded, and how the process ended if that was too early."""
    command = [sys.executable, "-W", "ignore", "-c", _DECODE, str(LIMIT_CPU_S), *names]
    process = subprocess.Popen(command, cwd=tree, env={"PYTHONPATH": str(tree)}, stdout=PIPE, stderr=DEVNULL)
    hangs = False
    try:
        output, _ = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        hangs = True
        output, _ = process.communicate()
    lines = [line.split() for line in output.decode().splitlines()]
    if len(lines) == len(names):
        return lines, ""
    return lines, "hangs" if hangs else "killed" if process.returncode == -signal.SIGXCPU else "died"


def search(name: str, tree: Path, tries: int, seed: int) -> list[Cost]:
    """All files tried, the costliest first; empty if nothing here writes the format."""
    rng = random.Random(f"{name} {seed}")  # noqa: S311
    found = costs(FORMATS[name](), tree)
    for _ in range(_ROUNDS if found else 0):
        mutants = [changed(rng, rng.choice(found[:4]).content) for _ in range(tries // _ROUNDS)]
        found = sorted([*found, *costs(mutants, tree)], key=lambda cost: cost.seconds, reverse=True)
    return found


@click.command(help=__doc__)
@click.option("--formats", default=";".join(FORMATS), show_default=True, help="Names, separated by semicolons.")
@click.option("--tries", default=8, show_default=True, help="Changed files to try for each format.")
@click.option("--seed", default=1, show_default=True)
@click.option("--tree", "before", type=click.Path(exists=True, path_type=Path), help="Another checkout.")
@click.option("--results", type=click.Path(file_okay=False, path_type=Path), default=RESULTS, show_default=True)
def main(formats: str, tries: int, seed: int, before: Path | None, results: Path) -> None:
    run, worst = Run("hostile", 1, {"tries": tries, "seed": seed, "most_bytes": MOST_BYTES}), 0.0
    if (results / "hostile.json").exists():
        run.add(*(one for one in read(results / "hostile.json").figures if one.subject not in formats.split(";")))
    for name in formats.split(";"):
        found = search(name, ROOT, tries, seed)
        if not found:
            run.notes.append(f"no library here writes {name}")
            continue
        worst = max(worst, found[0].seconds)
        shown = [("now", found[0])]
        if before is not None:
            shown.append(("before", costs([cost.content for cost in found], before)[0]))
        for when, cost in shown:
            run.add(Figure(name, f"{when}, {cost.outcome}", "CPU", "most", round(cost.seconds, 2), "s", len(found)))
            click.echo(f"{name} {when}: {cost.seconds:.2f} CPU s, {cost.outcome}, {len(cost.content)} bytes")
        write(run.result(), results)  # after each format: a run may be stopped
    if worst > PROMISED_S:
        raise click.ClickException(f"a file costs {worst:.1f} CPU seconds; {PROMISED_S:g} are promised")


if __name__ == "__main__":
    main()

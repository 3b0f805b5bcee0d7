"""Batch benchmark: speed compared with a plain loop, recovery after two kills, and a Ray cluster that loses a worker.

    python -m benchmarks.batch --photos ../shared/data/photos --scratch /tmp/idseg-batch [--ray 2000]

The scratch folder gets hard links to the photos under new names; every twentieth photo is a broken file. A rate counts
the time from the first answer to the last, so it excludes loading the models. Memory is the resident memory of each
process, sampled every half second. An inconsistent result stops the benchmark with an assertion.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import numpy as np

from benchmarks import figures
from benchmarks.environment import ROOT, Run
from benchmarks.figures import Figure
from idseg.batch import Work, products, storage
from idseg.batch.journal import noted
from idseg.batch.local import LocalOptions, WorkerPool
from idseg.batch.work import load
from idseg.errors import InputError, PersonError
from idseg.segmenter import Options
from idseg.stages.refine import RefinerName

_BROKEN_EVERY = 20
_SAMPLE_EVERY_S = 0.5
_SHAPES = ((1, 1), (1, 2), (2, 1), (2, 2))
"""(processes, threads per process) of each measured pool."""
_ON = "photos"


@click.command()
@click.option("--photos", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True)
@click.option("--scratch", type=click.Path(file_okay=False, path_type=Path), required=True, help="Emptied first.")
@click.option("--count", default=2000, show_default=True, help="Number of photos in the batch that is killed twice.")
@click.option("--speed-count", default=200, show_default=True, help="Number of photos for comparing speeds.")
@click.option("--refine", type=click.Choice(["net", "closed-form", "none"]), default="net", show_default=True)
@click.option("--ray", default=0, metavar="N", help="Also run N photos on Ray with two workers and kill one.")
@click.option("--only", type=click.Choice(["speed", "killed"]), help="Run one part only; 'killed' includes Ray.")
@click.option("--results", type=click.Path(file_okay=False, path_type=Path), default=figures.RESULTS, show_default=True)
def main(  # noqa: PLR0913 - an option each
    photos: Path,
    scratch: Path,
    count: int,
    speed_count: int,
    refine: RefinerName,
    ray: int,
    only: str | None,
    results: Path,
) -> None:
    """Measure batch processing."""
    shutil.rmtree(scratch, ignore_errors=True)
    settings = {
        "photos": count,
        "broken": count // _BROKEN_EVERY,
        "refine": refine,
        "speed_photos": speed_count,
        "ray_photos": ray,
    }
    run = Run("batch", 1, settings)
    found = sorted(path for path in photos.rglob("*.jpg"))
    if only != "killed":
        run.add(*_speed(found, speed_count, scratch / "speed", refine))
    if only != "speed":
        link(found, count, scratch / "in")
        run.add(*_killed(scratch / "in", scratch / "out", count, refine))
        if ray:
            link(found, ray, scratch / "in-ray")
            run.add(*_on_ray(scratch / "in-ray", scratch / "out", scratch / "ray", ray, refine))
    click.echo(figures.write(run.result(), results))


def link(photos: Sequence[Path], count: int, folder: Path) -> None:
    """Create ``count`` links to ``photos``, reused in turn, in four folders. Every twentieth file is broken."""
    for number in range(count):
        source = photos[number % len(photos)]
        path = folder / f"part{number % 4}" / f"{number:05}-{source.stem}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number % _BROKEN_EVERY:
            os.link(source, path)
            continue
        content = source.read_bytes()
        broken = (content[: len(content) // 3], b"", b"no photo at all\n", content[:2] + os.urandom(500))
        path.write_bytes(broken[number // _BROKEN_EVERY % 4])


# --- speed ------------------------------------------------------------------------------------------------------------


def _speed(photos: Sequence[Path], count: int, scratch: Path, refine: RefinerName) -> Iterator[Figure]:
    """Time a plain loop and every pool shape twice, interleaved; report the faster run of each."""
    rates: dict[str, list[float]] = defaultdict(list)
    link([photos[place] for place in np.linspace(0, len(photos) - 1, count).astype(int)], count, scratch / "in")
    sources = sorted(scratch.rglob("*.jpg"))
    for attempt in range(2):
        for threads in (1, 2):
            rates[f"plain loop, {threads} threads"].append(
                _plain_loop(sources, scratch / f"loop{threads}{attempt}", refine, threads)
            )
        for workers, threads in _SHAPES:
            out = scratch / f"pool{workers}{threads}{attempt}"
            rates[f"batch, {workers} processes x {threads} threads"].append(
                _pool(scratch / "in", sources, out, refine, workers, threads)
            )
        so_far = {name: [round(rate, 2) for rate in tried] for name, tried in rates.items()}
        click.echo(json.dumps(so_far, indent=1), err=True)
    for name, tried in rates.items():
        yield Figure(name, _ON, "rate", "most", round(max(tried), 2), "photos/s", count)
    mattes = {folder.name: _mattes(folder) for folder in scratch.iterdir() if folder.name.startswith("pool")}
    first = mattes["pool110"]
    assert first
    for name, other in mattes.items():
        differing = sum(other[key] != digest for key, digest in first.items())
        assert other.keys() == first.keys()
        yield Figure(f"mattes of {name} against pool110", _ON, "different files", "count", differing, "", len(first))


def _plain_loop(sources: Sequence[Path], out: Path, refine: RefinerName, threads: int) -> float:
    """Process one photo after the other without idseg.batch, and write the same files."""
    answer = load(Options(refine=refine, threads=threads))
    begun = 0.0
    for source in sources:
        try:
            result = answer(source.read_bytes())
            for name, content in products.render(result, source.name, products.DEFAULT, None).items():
                storage.write(str(out / name), content)
        except (InputError, PersonError):
            pass
        begun = begun or time.perf_counter()
    return (len(sources) - 1) / (time.perf_counter() - begun)


def _pool(folder: Path, sources: Sequence[Path], out: Path, refine: RefinerName, workers: int, threads: int) -> float:
    from idseg.batch.walk import item

    items = [item(str(source), source.relative_to(folder).as_posix()) for source in sources]
    with WorkerPool(Work(str(out), Options(refine=refine)), LocalOptions(workers=workers, threads=threads)) as pool:
        times = [time.perf_counter() for _ in pool.run(items)]
    assert len(times) == len(sources)
    return (len(times) - workers) / (times[-1] - times[workers - 1])  # starts when each worker has loaded its models


# --- two thousand, killed twice ---------------------------------------------------------------------------------------


def _command(folder: Path, out: Path, refine: str, *words: str) -> list[str]:
    return [sys.executable, "-m", "idseg", "batch", str(folder), str(out), "--refine", refine, "--workers", "2", *words]


def _killed(folder: Path, out: Path, count: int, refine: str) -> Iterator[Figure]:
    """Kill the batch with SIGKILL after one third and after two thirds of the photos, then let it finish."""
    memory: dict[str, list[tuple[float, float]]] = {}
    reached = []
    for share in (1 / 3, 2 / 3, 1.0):
        process = subprocess.Popen(_command(folder, out, refine), cwd=ROOT)
        while process.poll() is None:
            time.sleep(_SAMPLE_EVERY_S)
            done = _answered(out)
            if share == 1.0:
                _sample_memory(process.pid, done / count, memory)
            elif done >= share * count:
                process.send_signal(signal.SIGKILL)
                process.wait()
                reached.append(sum(_journalled(out).values()))
        click.echo(f"ended with {process.returncode}, {len(_journalled(out))} done", err=True)
    times = _journalled(out)
    statuses = _statuses(out)
    counts = Counter(statuses.values())
    broken = [key for key in statuses if int(Path(key).name[:5]) % _BROKEN_EVERY == 0]
    assert process.returncode == 1
    assert len(statuses) == len(times) == count == sum(counts.values())
    assert set(times.values()) == {1}, "a photo was processed twice"
    assert len(broken) == count // _BROKEN_EVERY
    assert {statuses[key] for key in broken} == {"refused"}
    mattes = _mattes(out)
    assert mattes.keys() == {f"{key}.scoremap.png" for key, status in statuses.items() if status == "ok"}
    assert not list(out.rglob("*.part"))
    yield Figure("done when killed first", _ON, "photos", "count", reached[0], "", count)
    yield Figure("done when killed again", _ON, "photos", "count", reached[1], "", count)
    for status in ("ok", "refused", "failed"):
        yield Figure(status, _ON, "photos", "count", counts[status], "", count)
    yield Figure("done twice", _ON, "photos", "count", sum(each > 1 for each in times.values()), "", count)
    yield Figure(
        "copies of a photo with another matte", _ON, "photos", "count", _differing_copies(mattes), "", len(mattes)
    )
    yield from _memory_figures(memory)


def _journalled(out: Path) -> Counter[str]:
    """How often the journal lists each photo. Call this only when the batch has ended or was killed."""
    return Counter({outcome.key: times for outcome, times in noted(out / ".idseg-batch")})


def _answered(out: Path) -> int:
    """Number of photos whose result is saved. This may be called while the batch runs."""
    return sum(1 for _ in out.rglob("*.result.json"))


def _statuses(out: Path) -> dict[str, str]:
    with open(out / "report.csv", encoding="utf-8-sig", newline="") as file:
        return {row["photo"]: row["status"] for row in csv.DictReader(file)}


def _mattes(out: Path) -> dict[str, str]:
    """SHA-256 of every matte, by its path in ``out``."""
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in out.rglob("*.scoremap.png")
    }


def _differing_copies(mattes: dict[str, str]) -> int:
    """Number of photos whose copies (same photo, several names) did not all get the same matte."""
    by_photo: dict[str, set[str]] = defaultdict(set)
    for name, digest in mattes.items():
        by_photo[Path(name).name.partition("-")[2]].add(digest)
    return sum(len(digests) > 1 for digests in by_photo.values())


def _sample_memory(parent: int, share: float, memory: dict[str, list[tuple[float, float]]]) -> None:
    """Sample the resident memory (MiB) of the parent and its workers."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()
    for name, pid in [("parent", str(parent)), *((f"worker {pid}", pid) for pid in children)]:
        try:
            status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        except OSError:
            continue
        lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        if "VmRSS" in lines and int(lines["VmRSS"].split()[0]) > 50_000:  # skips Python's resource tracker
            memory.setdefault(name, []).append((share, int(lines["VmRSS"].split()[0]) / 1024))


def _memory_figures(memory: dict[str, list[tuple[float, float]]]) -> Iterator[Figure]:
    """Median memory in the second and in the last fifth of the last run, and the maximum."""
    for place, (_, looks) in enumerate(memory.items()):
        name = "parent" if place == 0 else f"worker {place}"
        sizes = [size for _, size in looks]
        fifth = max(1, len(sizes) // 5)
        for when, some in (("second fifth", sizes[fifth : 2 * fifth] or sizes), ("last fifth", sizes[-fifth:])):
            yield Figure(
                f"{name}, {when}", _ON, "memory", "median", round(statistics.median(some), 1), "MiB", len(some)
            )
        yield Figure(name, _ON, "memory", "most", round(max(sizes), 1), "MiB", len(sizes))


# --- Ray --------------------------------------------------------------------------------------------------------------


def _on_ray(folder: Path, local: Path, out: Path, count: int, refine: str) -> Iterator[Figure]:
    """Run two Ray workers on this machine, kill one after a third, and compare with the local run."""
    start = time.perf_counter()
    process = subprocess.Popen(_command(folder, out, refine, "--engine", "ray"), cwd=ROOT)
    killed = 0
    while process.poll() is None:
        time.sleep(_SAMPLE_EVERY_S)
        if not killed and _answered(out) >= count / 3:
            killed = _ray_worker_pid()
            os.kill(killed, signal.SIGKILL)
            click.echo(f"killed the Ray worker {killed}", err=True)
    seconds = time.perf_counter() - start
    assert killed
    assert process.returncode == 1
    statuses = _statuses(out)
    assert len(statuses) == count
    assert statuses == {key: status for key, status in _statuses(local).items() if key in statuses}
    theirs = _mattes(out)
    ours = {name: digest for name, digest in _mattes(local).items() if name.removesuffix(".scoremap.png") in statuses}
    assert ours.keys() == theirs.keys()
    differing = sum(ours[name] != theirs[name] for name in ours)
    yield Figure(
        "Ray, two workers, one killed: mattes unlike the local engine's",
        _ON,
        "photos",
        "count",
        differing,
        "",
        len(ours),
    )
    yield Figure("Ray, two workers, one killed", _ON, "rate", "mean", round(count / seconds, 2), "photos/s", count)


def _ray_worker_pid() -> int:
    """Process id of one of our workers on this machine's cluster."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                title = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if title.startswith(b"ray::MapWorker(MapBatches(_Segmenting))"):
                return int(folder.name)
    raise AssertionError("no Ray worker is at work")


if __name__ == "__main__":
    main()

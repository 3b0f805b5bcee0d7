"""Peak resident memory of new processes (VmHWM of Linux)."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.environment import Run
from benchmarks.figures import Figure, Result
from benchmarks.peers import Files
from benchmarks.speed import SIZES_MP, portrait_jpeg

_PEAK = """
def peak():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            print("PEAK", int(line.split()[1]) / 1024)
"""
"""The measured process prints its own peak: getrusage of the parent would include the parent's own memory."""

_COMMAND = (
    _PEAK
    + """
import atexit, sys
atexit.register(peak)
from idseg.cli.main import main
main(sys.argv[1:])
"""
)
_LIBRARY = (
    _PEAK
    + """
import sys
from idseg.segmenter import Options, Segmenter
with Segmenter(Options(threads=int(sys.argv[2]))) as segmenter:
    for _ in range(int(sys.argv[3])):
        segmenter(sys.argv[1])
    peak()
"""
)
_REMBG = (
    _PEAK
    + """
import os, sys
os.environ["U2NET_HOME"] = os.path.dirname(sys.argv[2])
import numpy, rembg
from PIL import Image
session = rembg.new_session("dis_custom", providers=["CPUExecutionProvider"], model_path=sys.argv[2])
rembg.remove(numpy.asarray(Image.open(sys.argv[1]).convert("RGB")), session=session, only_mask=True)
peak()
"""
)


def measure(files: Files, threads: int, quick: bool = False) -> Result:
    """Run the benchmark."""
    sizes = SIZES_MP[:2] if quick else SIZES_MP
    run = Run(
        "memory", threads, {"sizes_mp": list(sizes), "quick": quick, "photo": "astronaut of scikit-image, enlarged"}
    )
    if not Path("/proc/self/status").exists():
        run.notes.append("no /proc on this system: only Linux is measured")
        return run.result()
    with tempfile.TemporaryDirectory() as folder:
        for megapixels in sizes:
            photo = Path(folder) / f"{megapixels:g}.jpg"
            photo.write_bytes(portrait_jpeg(megapixels))
            run.add(*_figures(photo, f"{megapixels:g} MP", Path(folder) / "out", files, threads))
    return run.result()


def _figures(photo: Path, on: str, out: Path, files: Files, threads: int) -> Iterator[Figure]:
    measured = {
        "idseg segment": _peak_mib(_COMMAND, "segment", photo, "-o", out, "--threads", threads),
        "idseg, ten photos in a row": _peak_mib(_LIBRARY, photo, threads, 10),
    }
    if files.isnet is not None and _has("rembg"):
        measured["rembg with ISNet"] = _peak_mib(_REMBG, photo, files.isnet.resolve())
    for name, mib in measured.items():
        yield Figure(name, on, "peak memory", "value", mib, "MiB", 1)


def _has(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None


def _peak_mib(code: str, *words: object) -> float:
    """Peak memory in MiB of a new Python process that runs ``code`` with these arguments."""
    done = subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("PEAK"))
    return float(line.split()[1])

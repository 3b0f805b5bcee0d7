"""Find the small files that cost the most CPU time: ``python -m benchmarks.hostile``.

A bounded search per format looks for the file of at most 3 MiB (4 MiB of base64) whose decoding or refusal costs the
most CPU time. It starts from files built to be costly (many pixels, passes, segments or tables) and keeps each change
that makes a file costlier. Each file is decoded in its own process, which is killed at a limit.

``--tree PATH`` also measures another checkout of idseg on the same files, to compare before and after.
"""

from __future__ import annotations

import io
import json
import random
import signal
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
from PIL import Image

MOST_BYTES: Final = 3 * 2**20
SIDE: Final = 4096
LIMIT_CPU_S: Final = 60
"""CPU seconds after which a file's process is killed."""
LIMIT_S: Final = 900.0
"""Wall seconds; stops a process that waits without using CPU time."""
PROMISED_S: Final = 3.0
"""Maximum CPU seconds that a file may cost."""

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


def cost(content: bytes, tree: Path) -> tuple[float, str]:
    """CPU seconds and outcome of decoding one file with the idseg of the checkout ``tree``."""
    with tempfile.TemporaryDirectory(prefix="idseg-hostile-") as folder:
        path = Path(folder) / "file"
        path.write_bytes(content)
        command = [sys.executable, "-W", "ignore", "-c", _DECODE, str(LIMIT_CPU_S), str(path)]
        try:
            done = subprocess.run(
                command, cwd=tree, env={"PYTHONPATH": str(tree)}, capture_output=True, timeout=LIMIT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return LIMIT_S, "hangs"
        if done.returncode == -signal.SIGXCPU:
            return float(LIMIT_CPU_S), "killed"
        fields = done.stdout.decode().split()
        return (float(fields[2]), fields[1]) if len(fields) == 3 else (0.0, f"died ({done.returncode})")


# --- files that are built to be costly --------------------------------------------------------------------------------


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def flat() -> Image.Image:
    return Image.new("RGB", (SIDE, SIDE), (120, 90, 60))


def waves() -> Image.Image:
    small = np.random.default_rng(1).integers(0, 256, (SIDE // 8, SIDE // 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((SIDE, SIDE))


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_of(rows: bytes, depth: int, color: int, interlaced: int = 0, *extra: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, depth, color, 0, 0, interlaced))
    body = header + b"".join(extra) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def profile_of_elements(count: int) -> bytes:
    """An ICC profile whose look-up tag refers to one element ``count`` times."""
    matrix = b"matf\0\0\0\0" + struct.pack(">HH12f", 3, 3, *([1, 0, 0, 0, 1, 0, 0, 0, 1] + [0] * 3))
    mpet = b"mpet\0\0\0\0" + struct.pack(">HHI", 3, 3, count)
    mpet += struct.pack(">II", 16 + 8 * count, len(matrix)) * count + matrix
    table = struct.pack(">I", 2)
    for name in (b"A2B0", b"D2B0"):
        table += name + struct.pack(">II", 128 + 28, len(mpet))
    header = struct.pack(">I4sI4s4s4s", 128 + 28 + len(mpet), b"none", 0x04300000, b"mntr", b"RGB ", b"XYZ ")
    return (header + bytes(12) + b"acsp").ljust(128, b"\0") + table + mpet


def jpegs() -> Iterator[bytes]:
    for picture in (flat(), waves()):
        for quality in (5, 40):
            plain = saved(picture, "JPEG", quality=quality, progressive=True, subsampling=0)
            last = plain[plain.rindex(b"\xff\xda") : -2]
            for scans in (0, 19, 90):
                room = max(0, min(scans, (MOST_BYTES - len(plain)) // max(1, len(last))))
                yield plain[:-2] + last * room + b"\xff\xd9"
            yield saved(picture, "JPEG", quality=quality, subsampling=0)
    plain = saved(flat(), "JPEG")
    yield plain.replace(b"\xff\xc0", b"\xff\xc9", 1)
    yield plain[:2] + b"\xff\xfe\x00\x02" * 700_000 + plain[2:]
    yield plain[:2] + b"\xff\xd0" * 1_400_000 + plain[2:]
    yield plain[:2] + (b"\xff\xe2\xff\xffICC_PROFILE\0\x01\x2f" + bytes(65519)) * 40 + plain[2:]
    yield saved(flat(), "JPEG", icc_profile=profile_of_elements(8000))


def pngs() -> Iterator[bytes]:
    for depth, color, samples in ((8, 2, 3), (16, 6, 8), (8, 6, 4), (16, 4, 4), (1, 0, 1 / 8), (8, 3, 1)):
        row = round(SIDE * samples)
        palette = (chunk(b"PLTE", bytes(768)), chunk(b"tRNS", bytes(range(256))))
        for kind in (0, 4):  # filter types: none, Paeth
            rows = (bytes((kind,)) + bytes(row)) * SIDE
            yield png_of(rows, depth, color, 0, *(palette if color == 3 else ()))
    yield png_of((b"\0" + bytes(SIDE * 3)) * SIDE * 2, 8, 2, 1)
    icc = b"x\0\0" + zlib.compress(profile_of_elements(10_000), 9)
    yield png_of((b"\0" + bytes(SIDE * 3)) * SIDE, 8, 2, 0, chunk(b"iCCP", icc))
    yield png_of(b"", 8, 2, 0, *[chunk(b"tEXt", b"")] * 200_000)
    yield png_of(b"", 8, 2, 0, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(60_000_000), 9)))


def bmps() -> Iterator[bytes]:
    def header(bits: int, compression: int, colors: int, side: int = SIDE) -> bytes:
        start = 54 + 4 * colors
        return struct.pack("<2sIHHI", b"BM", 0, 0, 0, start) + struct.pack(
            "<IiiHHIIiiII", 40, side, side, 1, bits, compression, 0, 0, 0, colors, 0
        )

    palette = bytes(range(256)) * 4
    yield header(1, 0, 2) + bytes(8) + bytes(SIDE * SIDE // 8)
    for run in (b"\x01\x05", b"\xff\x05", b"\x00\x03abc\0", b"\x00\x02\x00\x00", b"\x00\x02\x01\x00"):
        yield header(8, 1, 256) + palette + run * ((MOST_BYTES - 2000) // len(run))
    yield header(4, 2, 16) + palette[:64] + (b"\x00\xfe" + bytes(128)) * ((MOST_BYTES - 2000) // 130)


def others(kind: str, *options: dict[str, Any]) -> Callable[[], Iterator[bytes]]:
    def files() -> Iterator[bytes]:
        for picture in (flat(), waves()):
            for chosen in options:
                try:
                    content = saved(picture, kind, **chosen)
                except (OSError, ValueError, KeyError):  # this Pillow cannot write the format
                    continue
                if len(content) <= MOST_BYTES:
                    yield content

    return files


FORMATS: Final[dict[str, Callable[[], Iterator[bytes]]]] = {
    "JPEG": jpegs,
    "PNG": pngs,
    "BMP": bmps,
    "WEBP": others("WEBP", {"quality": 20, "method": 0}, {"lossless": True, "method": 0}),
    "GIF": others("GIF", {}),
    "TIFF": others("TIFF", {"compression": "tiff_lzw"}, {"compression": "tiff_adobe_deflate"}, {"compression": "jpeg"}),
    "AVIF": others("AVIF", {"quality": 20, "speed": 10}),
}


def changed(rng: random.Random, content: bytes) -> bytes:
    """Flip, repeat or remove a few bytes; the length stays within the limit."""
    broken = bytearray(content)
    for _ in range(rng.choice((1, 2, 8))):
        place = rng.randrange(len(broken))
        match rng.randrange(4):
            case 0:
                broken[place] = rng.randrange(256)
            case 1:
                broken[place : place + 2] = rng.choice((b"\xff\xff", b"\0\0", b"\xff\xda", b"\xff\xc2"))
            case 2:
                length = rng.choice((8, 100, 5000))
                broken[place:place] = broken[place : place + length] * rng.choice((1, 4))
            case _:
                del broken[place : place + rng.randrange(1, 100)]
    return bytes(broken[:MOST_BYTES])


def search(name: str, tree: Path, tries: int, seed: int) -> tuple[float, bytes, str]:
    """The costliest file that the search found: CPU seconds, the file, the outcome."""
    rng = random.Random(f"{name} {seed}")  # noqa: S311
    found = [(*cost(content, tree), content) for content in FORMATS[name]() if len(content) <= MOST_BYTES]
    if not found:
        return 0.0, b"", "this Pillow cannot write such a file"
    found.sort(key=lambda one: one[0], reverse=True)
    for _ in range(tries):
        content = changed(rng, rng.choice(found[:4])[2])
        found.append((*cost(content, tree), content))
        found.sort(key=lambda one: one[0], reverse=True)
    seconds, outcome, content = found[0]
    return seconds, content, outcome


@click.command(help=__doc__)
@click.option("--formats", default=",".join(FORMATS), show_default=True)
@click.option("--tries", default=20, show_default=True, help="Changed files to try for each format.")
@click.option("--seed", default=1, show_default=True)
@click.option("--tree", "before", type=click.Path(exists=True, path_type=Path), help="Another checkout.")
@click.option("--json", "as_json", is_flag=True)
def main(formats: str, tries: int, seed: int, before: Path | None, as_json: bool) -> None:
    here = Path(__file__).resolve().parent.parent
    worst = 0.0
    for name in formats.split(","):
        seconds, content, outcome = search(name, here, tries, seed)
        worst = max(worst, seconds)
        row: dict[str, Any] = {"format": name, "cpu_s": round(seconds, 2), "outcome": outcome, "bytes": len(content)}
        if before is not None:
            costliest_before = max(
                cost(built, before) for built in [content, *FORMATS[name]()] if 0 < len(built) <= MOST_BYTES
            )
            row["before_cpu_s"], row["before_outcome"] = round(costliest_before[0], 2), costliest_before[1]
        click.echo(json.dumps(row) if as_json else "  ".join(f"{key} {value}" for key, value in row.items()))
    if worst > PROMISED_S:
        raise click.ClickException(f"a file costs {worst:.1f} CPU seconds; {PROMISED_S:g} are promised")


if __name__ == "__main__":
    main()

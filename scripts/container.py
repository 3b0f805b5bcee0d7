"""Run the steps of the Dockerfile without Docker, in Debian trees on this machine, and check the result.

    python -m scripts.container FOLDER

Needs root, Debian's ``debootstrap`` and about 2 GB in FOLDER. Every stage of ``scripts/Dockerfile`` becomes a tree:
debootstrap makes the ``debian:SUITE-slim`` of its ``FROM`` line, and its ``RUN`` and ``COPY`` lines run in that tree.
So a system library that slim Debian lacks is noticed. pip and apt in the trees use this machine's settings.

Then the last tree runs as the image would: not as root, with a read-only root, without network. The script runs ``idseg
doctor`` and ``idseg segment`` on a photo, and asks the server for its health.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from scripts._setup import ROOT

DOCKERFILE = ROOT / "scripts" / "Dockerfile"
LENT = ("/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf", "/etc/xdg/pip")
"""Files of this machine that pip needs to reach its index; mounted read-only into a tree while it is built."""
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
"""This machine's certificate authorities. The tree gets a copy, because its packages write to ``/etc/ssl/certs``."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One ``FROM`` line of a Dockerfile and its instructions."""

    base: str
    name: str
    steps: tuple[tuple[str, str], ...]
    """(instruction, rest of the line), in the order of the file."""


@dataclass
class Image:
    """A tree with the settings from the instructions."""

    tree: Path
    environment: dict[str, str] = field(default_factory=dict)
    user: str = "0:0"
    healthcheck: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    lent: tuple[str, ...] = LENT
    """Paths of this machine that are mounted while a step runs."""


def parse(text: str) -> tuple[Stage, ...]:
    """Parse the stages of a Dockerfile (only the instructions that ours uses). A final backslash continues a line."""
    stages: list[Stage] = []
    joined = re.sub(r"\\\n\s*", "", text)
    for line in joined.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append(Stage(base, name or str(len(stages)), ()))
        else:
            last = stages[-1]
            stages[-1] = Stage(last.base, last.name, (*last.steps, (instruction, rest)))
    return tuple(stages)


def build(stage: Stage, tree: Path, built: dict[str, Image], lend: tuple[str, ...] = ()) -> Image:
    """Make the stage's base with debootstrap and run its steps."""
    suite = re.fullmatch(r"debian:(\w+)-slim", stage.base)
    if suite is None:
        raise SystemExit(f"container: FROM {stage.base} is not debian:SUITE-slim")
    print(f"FROM {stage.base}: debootstrap", flush=True)
    if not tree.exists():
        _run(["debootstrap", "--variant=minbase", suite[1], str(tree)], quiet=True)
    image = Image(tree, {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, lent=(*LENT, *lend))
    for instruction, rest in stage.steps:
        print(f"{instruction} {rest}", flush=True)
        _step(instruction, rest, image, built)
    return image


def _step(instruction: str, rest: str, image: Image, built: dict[str, Image]) -> None:
    if instruction == "RUN":
        with _lend(image):
            environment = {**_pip_settings(), **image.environment, "DEBIAN_FRONTEND": "noninteractive"}
            _run(["chroot", str(image.tree), "/bin/sh", "-ec", rest], environment=environment, quiet=True)
    elif instruction == "COPY":
        words = shlex.split(rest)
        source = ROOT
        if words[0].startswith("--from="):
            source = built[words.pop(0).removeprefix("--from=")].tree
        *origins, target = words
        for origin in origins:
            _copy(source / origin.lstrip("/"), image.tree / target.lstrip("/"), into=target.endswith("/"))
    elif instruction == "ENV":
        for word in shlex.split(rest):
            name, _, value = word.partition("=")
            image.environment[name] = value.replace("$PATH", image.environment["PATH"])
    elif instruction == "USER":
        line = next(row for row in (image.tree / "etc/passwd").read_text().splitlines() if row.startswith(f"{rest}:"))
        image.user = ":".join(line.split(":")[2:4])
    elif instruction == "HEALTHCHECK":
        image.healthcheck = json.loads(rest.partition("CMD ")[2])
    elif instruction in ("ENTRYPOINT", "CMD"):
        image.command += json.loads(rest)
    elif instruction not in ("EXPOSE", "VOLUME"):
        raise SystemExit(f"container: {instruction} is not supported here")


def _copy(origin: Path, target: Path, *, into: bool) -> None:
    if into:
        target = target / origin.name
    target.parent.mkdir(parents=True, exist_ok=True)
    if origin.is_dir():
        shutil.copytree(origin, target, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy2(origin, target)


def _pip_settings() -> dict[str, str]:
    settings = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    return {**settings, "PIP_CERT": f"/run/{CERTIFICATES.name}"} if CERTIFICATES.exists() else settings


@contextmanager
def _lend(image: Image) -> Iterator[None]:
    """Mount /proc, /dev/null and this machine's network settings in the tree."""
    bound = []
    certificates = image.tree / "run" / CERTIFICATES.name
    if CERTIFICATES.exists():
        shutil.copy2(CERTIFICATES, certificates)
    for name in ("/proc", "/dev", *image.lent):
        if not os.path.exists(name):
            continue
        inside = image.tree / name.lstrip("/")
        if os.path.isdir(name):
            inside.mkdir(parents=True, exist_ok=True)
        elif not inside.exists():
            inside.parent.mkdir(parents=True, exist_ok=True)
            inside.touch()
        _run(["mount", "--bind", name, str(inside)])
        bound.append(str(inside))
        if name in image.lent:
            _run(["mount", "-o", "remount,ro,bind", str(inside)])
    try:
        yield
    finally:
        for inside_name in reversed(bound):
            subprocess.run(["umount", "--lazy", inside_name], check=False)
        certificates.unlink(missing_ok=True)


def check(image: Image, photo: Path) -> bool:
    """Run the image as ``docker run --read-only --network none`` would; returns whether all checks passed."""
    environment = " ".join(f"{name}={shlex.quote(value)}" for name, value in image.environment.items())
    tree = shlex.quote(str(image.tree))
    inside = f"chroot --userspec={image.user} {tree} /usr/bin/env -i {environment}"
    shutil.copy2(photo, image.tree / "photo.png")
    script = f"""
set -e
ip link set lo up
mount --bind {tree} {tree}
mount -o remount,ro,bind {tree}
mount -t proc proc {tree}/proc
mount --bind /sys {tree}/sys
mount -t tmpfs tmpfs {tree}/tmp
mount -t tmpfs -o uid={image.user.split(":")[0]},mode=700 tmpfs {tree}/state
mount --bind /dev {tree}/dev
echo '$ idseg doctor'
{inside} idseg doctor
echo '$ idseg segment'
{inside} idseg segment /photo.png -o /tmp/out
ls -l {tree}/tmp/out/*
echo '$ idseg keys add'
{inside} idseg keys add > /dev/null
echo '$ {" ".join(image.command)}'
{inside} {shlex.join([*image.command, "--workers", "1"])} & server=$!
for second in $(seq 60); do
  if {inside} {shlex.join(image.healthcheck)} 2>/dev/null; then echo "healthy after $second s"; healthy=1; break; fi
  sleep 1
done
kill -TERM $server && wait $server || true
test "$healthy" = 1
"""  # noqa: S108 - the temporary folder of the tree, not of this machine
    return subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "bash", "-c", script]).returncode == 0


def megabytes(tree: Path) -> float:
    """Size of a tree's files, MB."""
    return sum(path.lstat().st_size for path in tree.rglob("*") if not path.is_symlink() and path.is_file()) / 1e6


def _run(command: list[str], *, environment: dict[str, str] | None = None, quiet: bool = False) -> None:
    done = subprocess.run(command, env=environment, capture_output=quiet, text=True)
    if done.returncode != 0:
        raise SystemExit(f"container: {shlex.join(command)} failed:\n{done.stdout or ''}{done.stderr or ''}"[-4000:])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path, help="folder for the trees; this command does not remove it")
    parser.add_argument("--photo", type=Path, required=True, help="a photo of one person, for idseg segment")
    parser.add_argument(
        "--lend", action="append", default=[], metavar="PATH", help="what pip needs here too (repeatable)"
    )
    arguments = parser.parse_args()
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        raise SystemExit("container: needs root and debootstrap (apt-get install debootstrap)")
    built: dict[str, Image] = {}
    started = time.monotonic()
    for stage in parse(DOCKERFILE.read_text(encoding="utf-8")):
        built[stage.name] = build(stage, arguments.folder / stage.name, built, tuple(arguments.lend))
    last = list(built.values())[-1]
    print(f"image: {megabytes(last.tree):.0f} MB, built in {time.monotonic() - started:.0f} s", flush=True)
    well = check(last, arguments.photo.resolve())
    print("container: well" if well else "container: FAILED")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())

"""The first command of the README: process an example portrait with the models that ship.

    python3 scripts/demo.py [PHOTO ...]

Creates a virtual environment in .venv-demo. Then it cuts the person out of the given PHOTOs, or of an example portrait
(the astronaut Eileen Collins, NASA, public domain, from scikit-image's wheel), and writes pictures to out/.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts._setup import ROOT, environment

_FIND = "import pathlib, skimage; print(pathlib.Path(skimage.__file__).parent / 'data' / 'astronaut.png')"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="*", metavar="PHOTO", help="photos of one person each (default: the astronaut)")
    photos = parser.parse_args().photos
    python = environment("demo")
    if not photos:
        photos = [subprocess.run([str(python), "-c", _FIND], check=True, capture_output=True, text=True).stdout.strip()]
    out = ROOT / "out"
    print("Cutting out …", flush=True)
    command = [str(python), "-m", "idseg", "segment", *photos, "-o", str(out), "--overlay", "--background", "white"]
    return subprocess.run(command).returncode


if __name__ == "__main__":
    sys.exit(main())

"""python -m scripts.train.hair --out DIR [--first 2000] [--count 100] [--style NAME]

Draws layers into DIR: SEED.webp (the hair visible around a mean body), SEED.front.webp and SEED.back.webp (the hair in
front of the body and behind it). Two of three layers have 640x800 px, the third 1024x1280. Seeds that exist already are
skipped, so run the command again to continue.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from PIL import Image

from scripts.train.hair.groom import flatten, groom
from scripts.train.hair.styles import STYLES

SMALL, LARGE = (640, 800), (1024, 1280)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.train.hair", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the layers")
    parser.add_argument("--first", type=int, default=2000, help="first seed")
    parser.add_argument("--count", type=int, default=100, help="number of layers")
    parser.add_argument("--style", choices=STYLES, help="one style (default: drawn by the seed)")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for seed in range(given.first, given.first + given.count):
        if (given.out / f"{seed}.webp").exists():
            continue
        start = time.process_time()
        hair = groom(seed, LARGE if seed % 3 == 0 else SMALL, given.style)
        pictures = {"front.webp": hair.front, "back.webp": hair.back}
        pictures["webp"] = flatten(hair.front, hair.back, hair.hidden)  # last: marks the seed as done
        for ending, rgba in pictures.items():
            beside = given.out / f".{seed}.part"
            Image.fromarray(rgba).save(beside, "WEBP", quality=90, alpha_quality=100, method=2)
            beside.replace(given.out / f"{seed}.{ending}")
        print(f"{seed} {hair.style}: {time.process_time() - start:.1f} s", flush=True)


if __name__ == "__main__":
    main()

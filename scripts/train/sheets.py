"""Contact sheets for visual checks: our matte and a peer's, on white, black and green, with hair at 200 %.

    python -m scripts.train.sheets --data ../shared/data --out SHEETS [--isnet ISNET.onnx]

Each strip shows: the picture; our alpha and our cut-out on white, black and green; the peer's alpha and cut-out on
green. Then, at 200 %, the part of the edge with the most half-transparent pixels: picture, ours on black and white, the
peer's on black. The sheets show real people of the data folder: never commit them.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from idseg.models.manifest import load_manifest
from idseg.segmenter import Options, Segmenter
from idseg.stages.foreground import estimate_foreground
from idseg.stages.matte import Matte, load_matte
from idseg.types import Alpha, Rgb

_HEIGHT = 260  # height of a strip, px
_CROP = 120  # px of the picture shown at 200 %
_STRIPS = 5  # strips per sheet


def shown(picture: npt.NDArray[np.uint8], width: int) -> npt.NDArray[np.uint8]:
    small = cv2.resize(picture, (width, _HEIGHT), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def grey(alpha: Alpha) -> npt.NDArray[np.uint8]:
    return np.repeat(np.asarray(alpha * 255 + 0.5, np.uint8)[..., None], 3, axis=2)


def on(colour: tuple[int, int, int], foreground: Rgb, alpha: Alpha) -> npt.NDArray[np.uint8]:
    weight = alpha[..., None]
    return np.asarray(foreground * weight + np.array(colour) * (1 - weight) + 0.5, np.uint8)


def hairiest(alpha: Alpha) -> tuple[int, int]:
    """(left, top) of the crop with the most half-transparent pixels in the upper 70 %."""
    between = ((alpha > 0.05) & (alpha < 0.95)).astype(np.float32)
    between[int(0.7 * alpha.shape[0]) :] = 0
    sums = cv2.boxFilter(between, -1, (_CROP, _CROP), normalize=False, borderType=cv2.BORDER_CONSTANT)
    row, column = np.unravel_index(int(np.argmax(sums)), sums.shape)
    return (
        int(np.clip(column - _CROP // 2, 0, max(alpha.shape[1] - _CROP, 0))),
        int(np.clip(row - _CROP // 2, 0, max(alpha.shape[0] - _CROP, 0))),
    )


def strip(path: Path, ours: Segmenter, peer: Matte | None, cache: Path) -> npt.NDArray[np.uint8]:
    picture = cv2.imread(str(path))
    if picture is None:
        raise FileNotFoundError(path)
    rgb = np.ascontiguousarray(picture[..., ::-1], np.uint8)
    alpha = ours.matte(rgb)
    colours = estimate_foreground(rgb, alpha)
    width = round(_HEIGHT * rgb.shape[1] / rgb.shape[0])
    made = [grey(alpha), *(on(colour, colours, alpha) for colour in ((255,) * 3, (0,) * 3, (0, 255, 0)))]
    cells = [shown(cell, width) for cell in (rgb, *made)]
    left, top = hairiest(alpha)
    window = np.s_[top : top + _CROP, left : left + _CROP]
    details = [rgb[window], made[2][window], made[1][window]]
    if peer is not None:
        kept = cache / f"{path.parent.name}_{path.stem}.png"
        if not kept.exists():
            cv2.imwrite(str(kept), np.asarray(peer(rgb) * 255 + 0.5, np.uint8))
        loaded = cv2.imread(str(kept), cv2.IMREAD_GRAYSCALE)
        assert loaded is not None
        other = loaded.astype(np.float32) / np.float32(255)
        other_colours = estimate_foreground(rgb, other)
        cells += [shown(grey(other), width), shown(on((0, 255, 0), other_colours, other), width)]
        details.append(on((0, 0, 0), other_colours, other)[window])
    cells += [np.asarray(cv2.resize(d, (_HEIGHT, _HEIGHT), interpolation=cv2.INTER_CUBIC), np.uint8) for d in details]
    line = np.hstack(cells)
    cv2.putText(line, f"{path.parent.name}/{path.stem}", (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 0, 0), 1)
    return np.asarray(line, np.uint8)


def chosen(root: Path) -> list[Path]:
    """40 pictures of val, then 60 photos: 36 held-out labelled ones, 12 of house, 8 of senate, 4 without a label."""
    val = sorted((root / "val").glob("*.jpg"))[:40]
    labelled = [
        path
        for kind in ("faker", "sfhq", "facechain")
        for path in sorted((root / "photos" / kind).glob("*.jpg"))
        if hashlib.md5(path.stem.encode(), usedforsecurity=False).digest()[0] % 8 == 0
    ]
    known = [path for path in labelled if path.with_suffix(".png").exists()]
    unknown = [path for path in labelled if not path.with_suffix(".png").exists()]
    house = sorted((root / "photos/house").glob("*.jpg"))
    senate = sorted((root / "photos/senate").glob("*.jpg"))
    return [*val, *known[:: max(len(known) // 36, 1)][:36], *house[::4][:12], *senate[::3][:8], *unknown[:4]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--isnet", type=Path)
    parser.add_argument("--refine", default="net", choices=("net", "closed-form", "none"))
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    cv2.setNumThreads(given.threads)
    manifest = load_manifest()
    ours = Segmenter(Options(refine=given.refine, provider="cpu", threads=given.threads))
    peer = load_matte(manifest, str(given.isnet), "cpu", given.threads, preset="isnet") if given.isnet else None
    cache = given.out / "peer"
    cache.mkdir(parents=True, exist_ok=True)
    paths = chosen(given.data)
    for start in range(0, len(paths), _STRIPS):
        lines = [strip(path, ours, peer, cache) for path in paths[start : start + _STRIPS]]
        width = max(line.shape[1] for line in lines)
        sheet = np.vstack([np.pad(line, ((0, 4), (0, width - line.shape[1]), (0, 0))) for line in lines])
        cv2.imwrite(str(given.out / f"sheet{start // _STRIPS:02d}.png"), np.ascontiguousarray(sheet[..., ::-1]))
        print(start + len(lines), flush=True)


if __name__ == "__main__":
    main()

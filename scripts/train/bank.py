"""python -m scripts.train.bank --data ../shared/data --coarse FILE --layers DIR --out DIR --count 400 [--seed S]

Composes training pictures once and stores them with the coarse net's alpha and features, so that a refiner can train
on crops of them without composing pictures or running the coarse net again (see `scripts.train.edge`). FILE is the
coarse net with the output "features"; if it is missing, it is written from the published one. DIR has layers of drawn
hair, NAME.front.webp and NAME.back.webp. Held-out photos, excluded photos and the validation sets are never used.
"""

# torch and onnx are not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import tomllib
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from idseg import Segmenter
from scripts.train import export, joint
from scripts.train.build_pack import Source, find_face, hair_colour, sources
from scripts.train.nets import CoarseNet, fold_batchnorm
from scripts.train.pack import SHARES, decoded, make_layer, on_device
from scripts.train.published import stored_weights
from scripts.train.scene.compose import PackBatches, Shares
from scripts.train.scene.store import Layer, Person, Store, foreground
from scripts.train.split import body_rows

U8 = NDArray[np.uint8]

SHAPES = ((640, 800), (640, 800), (640, 800), (832, 1024), (1024, 1280))
"""Sizes of the pictures (width, height), px, all equally likely."""
LARGEST_INPUT = 512_000
"""Input of the coarse net for larger pictures, px; the same as in the manifest."""
AS_IT_IS = 1.25
"""A picture up to this many times larger than that is not resampled."""
SMALLER = 0.35
"""Probability that the coarse net sees a picture smaller than idseg shows it, as if the picture had more pixels."""
LEAST_SHARE = 0.3
"""Smallest share of a picture's pixels that the coarse net then sees."""
MARGIN = 96
"""Border around the person's edge that is stored too, px."""
AT_ONCE = 12
"""People in memory at one time; as many pictures are composed of them."""
CPU = torch.device("cpu")
MODELS = Path(__file__).parents[2] / "models"


@dataclass(frozen=True)
class Record:
    """One stored picture, cut to the surroundings of the person's edge; the sides are multiples of 4.

    ``rgb`` (H, W, 3), ``alpha``, ``trust`` and ``coarse`` (the coarse net's alpha) (H, W), all uint8; ``features``
    float16 (C, H / 2, W / 2).
    """

    rgb: U8
    alpha: U8
    trust: U8
    coarse: U8
    features: NDArray[np.float16]

    def save(self, path: Path) -> None:
        """Write the record as a NumPy archive; a killed program leaves no partial file."""
        beside = path.with_suffix(".part")
        with beside.open("wb") as file:
            np.savez(file, **{name: getattr(self, name) for name in self.__dataclass_fields__})
        beside.replace(path)

    @classmethod
    def load(cls, path: Path) -> Record:
        """Read a record."""
        with np.load(path) as arrays:
            return cls(**{name: arrays[name] for name in cls.__dataclass_fields__})


def as_person(source: Source, face: list[float] | None) -> Person:
    """A person with the pixels of the files themselves, not recompressed as in a pack."""
    rgb = np.asarray(cv2.cvtColor(_read(source.picture), cv2.COLOR_BGR2RGB), np.uint8)
    label = _read(source.label)
    alpha = label if label.ndim == 2 else label[..., 0]
    figure, photo, trust = on_device(np.dstack((rgb, alpha)), CPU), None, None
    if source.kind != "studio":
        photo = figure[:3]
        figure = torch.cat((foreground(photo, figure[3]), figure[3:]))
        trust = on_device(np.ascontiguousarray(label[..., -1]), CPU) if label.ndim == 3 else None
    top, shoulders = body_rows(alpha)
    colour = hair_colour(rgb, alpha, face)
    box = (face[0], face[1], face[2], face[3]) if face else None
    hair = (colour[0], colour[1], colour[2])
    return Person(source.picture.stem, source.kind, figure, photo, trust, box, top, shoulders, hair)


def _read(path: Path) -> U8:
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError(f"{path}: not a picture")
    return np.asarray(pixels, np.uint8)


@dataclass(frozen=True)
class Material:
    """The files that pictures are composed of."""

    people: list[Source]
    backdrops: list[Path]
    layers: list[Path]  # NAME.front.webp

    def store(self, rng: np.random.Generator, segmenter: Segmenter) -> Store:
        """A random selection of all kinds, in memory."""
        counts: dict[str, int] = {}
        for one in self.people:
            counts[one.kind] = counts.get(one.kind, 0) + 1
        chances = np.array([SHARES[one.kind] / counts[one.kind] for one in self.people])
        some = min(AT_ONCE, len(self.people))
        chosen = rng.choice(len(self.people), some, replace=False, p=chances / chances.sum())
        people = [as_person(self.people[n], find_face(segmenter, self.people[n])) for n in chosen]
        backdrops = [on_device(_rgb(path), CPU) for path in _some(self.backdrops, AT_ONCE, rng)]
        layers = [_layer(path) for path in _some(self.layers, AT_ONCE, rng)]
        # The kinds are already selected by their shares, so all people of the selection have the same probability.
        shares = {kind: float(sum(person.kind == kind for person in people)) for kind in counts}
        return Store(people, backdrops, layers, shares)


def _layer(front: Path) -> Layer:
    back = front.with_name(front.name.replace(".front.", ".back."))
    return make_layer(decoded(front.read_bytes()), decoded(back.read_bytes()), CPU)


def _rgb(path: Path) -> U8:
    return np.asarray(cv2.cvtColor(_read(path), cv2.COLOR_BGR2RGB), np.uint8)


def _some(paths: list[Path], count: int, rng: np.random.Generator) -> list[Path]:
    return [paths[n] for n in rng.choice(len(paths), min(count, len(paths)), replace=False)] if paths else []


@dataclass(frozen=True)
class Coarse:
    """The coarse net as idseg runs it."""

    session: onnxruntime.InferenceSession

    def see(self, rgb: U8, area: float) -> tuple[U8, NDArray[np.float16]]:
        """Alpha (H, W) uint8 and features (C, H / 2, W / 2) of a picture whose sides are multiples of 32.

        ``area``: the net's input, px; the whole picture if it has about as many pixels.
        """
        height, width = rgb.shape[:2]
        size = (height, width)
        if height * width > area * AS_IT_IS:
            size = joint.coarse_size(height, width, area)
        small = cv2.resize(rgb, size[::-1], interpolation=cv2.INTER_AREA) if size != (height, width) else rgb
        feed = joint.normalised(torch.from_numpy(np.asarray(small, np.uint8))[None]).contiguous()
        alpha, features = self.session.run(["alpha", "features"], {"rgb": feed.numpy()})
        seen, known = joint.enlarged(torch.from_numpy(alpha), torch.from_numpy(features), height, width)
        return np.asarray(seen[0, 0].numpy() * 255 + 0.5, np.uint8), known[0].numpy().astype(np.float16)


def load_coarse(path: Path) -> Coarse:
    """The net on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return Coarse(onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]))


def write_coarse(path: Path) -> None:
    """Write the published coarse net with its features as a second output."""
    net = CoarseNet(grown=True, deep=True)
    fold_batchnorm(net)
    net.load_state_dict(stored_weights(MODELS / "portrait-coarse.onnx"))
    export.export_coarse(net, SHAPES[0], path, "the published coarse net, with features")


def record(batch: joint.Batch, coarse: Coarse, rng: np.random.Generator) -> Record | None:
    """The first picture of a batch as a record; None if it has no edge."""
    rgb, alpha, trust = (values[0].numpy() for values in batch)
    height, width = alpha.shape
    area = float(LARGEST_INPUT)
    if rng.random() < SMALLER:
        area = min(area, height * width * rng.uniform(LEAST_SHARE, 0.7))
    seen, features = coarse.see(rgb, area)
    target, found = (torch.from_numpy(v)[None, None].float() / 255.0 for v in (alpha, seen))
    trust = trust * joint.mendable(target, found)[0, 0].numpy().astype(np.uint8)
    rows, columns = np.nonzero(hard(alpha, seen, trust))
    if rows.size == 0:
        return None
    top, left = (max(int(v.min()) - MARGIN, 0) // 4 * 4 for v in (rows, columns))
    bottom, right = (min(int(v.max()) + MARGIN, side) // 4 * 4 for v, side in ((rows, height), (columns, width)))
    window, half = np.s_[top:bottom, left:right], np.s_[:, top // 2 : bottom // 2, left // 2 : right // 2]
    return Record(rgb[window], alpha[window], trust[window], seen[window], features[half])


def hard(alpha: U8, coarse: U8, trust: U8) -> NDArray[np.bool_]:
    """The trusted pixels where alpha is between 0 and 1, or where the coarse net is wrong."""
    between = ((alpha > 5) & (alpha < 250)) | (cv2.absdiff(alpha, coarse) > 25)
    return np.asarray(between & (trust > 127), np.bool_)


def records(material: Material, coarse: Coarse, shares: Shares, seed: int) -> Iterator[Record]:
    """Endless records."""
    rng = np.random.default_rng(seed)
    with Segmenter() as segmenter:
        while True:
            store = material.store(rng, segmenter)
            batches = iter(PackBatches(store, list(SHAPES), 1, int(rng.integers(1 << 31)), shares))
            for _ in range(AT_ONCE):
                made = record(next(batches), coarse, rng)
                if made is not None:
                    yield made


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.train.bank", description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("--data", type=Path, required=True, help="folder with studio/, photos/, fused/, backgrounds/")
    parser.add_argument("--labels", type=Path, default=Path(), help="better labels, SET/NAME.png")
    parser.add_argument(
        "--coarse", type=Path, required=True, help='coarse net with the output "features"; written if missing'
    )
    parser.add_argument("--layers", type=Path, default=Path(), help="layers of drawn hair (default: no hair)")
    parser.add_argument("--out", type=Path, required=True, help="folder for the records")
    parser.add_argument("--count", type=int, default=400, help="number of pictures")
    parser.add_argument("--seed", type=int, default=0, help="another seed continues a bank with other pictures")
    given = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    exclude = set(tomllib.loads((Path(__file__).parent / "configs/portrait-4.toml").read_text())["exclude"])
    material = Material(
        list(sources(given.data, given.labels, exclude, None)),
        sorted((given.data / "backgrounds").glob("*.jpg")),
        sorted(given.layers.glob("*.front.webp")),
    )
    if not given.coarse.exists():
        write_coarse(given.coarse)
    given.out.mkdir(parents=True, exist_ok=True)
    shares = replace(Shares(), photo=0.35, hair=0.35, sharp=0.6)
    stream = records(material, load_coarse(given.coarse), shares, given.seed)
    for number in tqdm(range(given.count), "pictures"):
        next(stream).save(given.out / f"{given.seed:03d}-{number:05d}.npz")


if __name__ == "__main__":
    main()

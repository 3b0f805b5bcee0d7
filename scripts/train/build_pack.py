"""python -m scripts.train.build_pack --data ../shared/data --out FILE.pack [--labels DIR] [--layers 16] [--limit N]

Packs people, backdrops and some hair layers, for training on a machine without the data folder (see
`scripts.train.pack`). People come from the cut-outs of studio/ and from photos/SET, with the labels in --labels or
fused/. Held-out photos (one in eight), photos that the config excludes, and the validation sets are never packed.
A build that was stopped continues when the same command is given again: finished items are in FILE.parts until the end.

With --backdrops or --textures instead of --data, the pack contains only the pictures of these folders.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tomllib
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from idseg import IdsegError, Segmenter
from scripts.train.hair.groom import groom
from scripts.train.pack import write_pack
from scripts.train.split import body_rows, held_out

U8 = NDArray[np.uint8]

PHOTO_SETS = ("official", "faker", "facechain", "sfhq")
QUALITY = {
    "studio": 88,
    "keyed": 84,
    "official": 82,
    "faker": 82,
    "facechain": 85,
    "sfhq": 80,
    "backdrop": 70,
    "layer": 75,
}
"""WebP quality of each set's colours, chosen so that everything fits into two packs of 58 MiB."""
LONGEST_BACKDROP = 1024
"""Maximum longer side of a backdrop, px."""
LAYER_SEED = 50_000
_ENTRY = "entry.json"
MOST_MIB = 58
"""Size limit of one pack, MiB: what can be copied to the accelerator at a time besides the program."""


Item = tuple[dict[str, Any], dict[str, bytes]]
"""Index entry and pictures, by their names in the pack."""


@dataclass(frozen=True)
class Source:
    """A person to pack: a cut-out (``label`` is its alpha), or a photo with a label (alpha and trust)."""

    kind: str
    picture: Path
    label: Path


def sources(data: Path, labels: Path, exclude: set[str], limit: int | None) -> Iterator[Source]:
    """All people that may be used for training; at most ``limit`` of each set. Those in ``labels/keyed.txt`` (see
    `scripts.train.keying`) are a kind of their own."""
    list_of_keyed = labels / "keyed.txt"
    keyed = set(list_of_keyed.read_text().split()) if list_of_keyed.exists() else set()
    for path in sorted((data / "studio").glob("*.jpg"))[:limit]:
        yield Source("studio", path, path.with_suffix(".png"))
    for kind in PHOTO_SETS:
        count = 0
        for path in sorted((data / "photos" / kind).glob("*.jpg")):
            better, usual = labels / kind / f"{path.stem}.png", data / "fused" / kind / f"{path.stem}.png"
            label = better if better.exists() else usual
            if held_out(path.stem) or path.stem in exclude or not label.exists() or count == limit:
                continue
            count += 1
            yield Source("keyed" if f"{kind}/{path.stem}" in keyed else kind, path, label)


def webp(pixels: U8, quality: int, **options: Any) -> bytes:
    """Encode pixels as WebP. Alpha is lossless unless ``options`` say otherwise."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", quality=quality, method=4, **options)
    return buffer.getvalue()


def packed_person(source: Source, number: int, face: list[float] | None) -> Item:
    """Index entry and pictures of one person."""
    rgb = np.asarray(Image.open(source.picture).convert("RGB"))
    label = Image.open(source.label)
    alpha = np.asarray(label.getchannel(0) if label.mode == "LA" else label.convert("L"))
    is_photo = source.kind != "studio"
    name = f"people/{number:05d}.webp"
    rgba = np.dstack((rgb, alpha))
    how: dict[str, Any] = {"exact": True, "alpha_quality": 85} if is_photo else {"alpha_quality": 100}
    pictures = {name: webp(rgba, QUALITY[source.kind], **how)}
    trust = None
    if label.mode == "LA" and np.asarray(label.getchannel(1)).min() < 255:
        trust = f"people/{number:05d}.trust.webp"
        small = doubtless(np.asarray(label.getchannel(1)))
        pictures[trust] = webp(np.repeat(small[..., None], 3, axis=-1), 80, lossless=True)
    top, shoulders = body_rows(alpha)
    entry = {
        "name": source.picture.stem,
        "kind": source.kind,
        "picture": name,
        "photo": is_photo,
        "trust": trust,
        "face": face,
        "top": top,
        "shoulders": shoulders,
        "hair": hair_colour(rgb, alpha, face),
    }
    return entry, pictures


def doubtless(trust: U8) -> U8:
    """Trust at a quarter of the size: a 4x4 square with one untrusted pixel is untrusted."""
    height, width = trust.shape
    padded = np.pad(trust, ((0, -height % 4), (0, -width % 4)), mode="edge")
    return np.asarray(padded.reshape(padded.shape[0] // 4, 4, padded.shape[1] // 4, 4).min(axis=(1, 3)), np.uint8)


def find_face(segmenter: Segmenter, source: Source) -> list[float] | None:
    """Face box (left, top, width, height) in px; None unless exactly one face is found."""
    rgb = np.asarray(Image.open(source.picture).convert("RGB"))
    if source.kind == "studio":  # colours without a backdrop
        alpha = np.asarray(Image.open(source.label).convert("L"))[..., None] / 255.0
        rgb = np.asarray(rgb * alpha + 128 * (1 - alpha), np.uint8)
    try:
        box = segmenter.find(rgb).face_box
    except IdsegError:
        return None
    return [float(box.left), float(box.top), float(box.width), float(box.height)]


def hair_colour(rgb: U8, alpha: U8, face: list[float] | None) -> list[float]:
    """Mean colour (0..255) of the person above the face box; grey if there is no such pixel."""
    rows = slice(0, int(max(face[1] if face else 0.15 * len(rgb), 1)))
    inside = alpha[rows] > 240
    return [float(v) for v in rgb[rows][inside].mean(axis=0)] if inside.sum() > 50 else [90.0, 80.0, 75.0]


def packed_backdrop(path: Path) -> bytes:
    """A backdrop or a texture, shrunk and encoded."""
    picture = Image.open(path).convert("RGB")
    picture.thumbnail((LONGEST_BACKDROP, LONGEST_BACKDROP))
    return webp(np.asarray(picture), QUALITY["backdrop"])


def build_pictures(backdrops: list[Path], textures: list[Path], out: Path) -> int:
    """Write a pack without people: only backdrops and textures; returns its size in bytes."""
    index: dict[str, Any] = {"people": [], "backdrops": [], "textures": [], "layers": []}
    work = [("backdrop", path) for path in backdrops] + [("texture", path) for path in textures]
    pictures: dict[str, bytes] = {}
    with ThreadPoolExecutor(2) as threads:
        blobs = threads.map(lambda item: packed_backdrop(item[1]), work)
        for number, ((kind, _), blob) in enumerate(tqdm(zip(work, blobs, strict=True), "pictures", len(work))):
            name = f"{kind}s/{out.stem}-{number:04d}.webp"
            index[f"{kind}s"].append(name)
            pictures[name] = blob
    return write_pack(out, index, pictures.items())


def pictures_in(folders: list[Path]) -> list[Path]:
    """All JPEG and PNG files of the folders, in the order of their paths."""
    return sorted(path for folder in folders for path in folder.iterdir() if path.suffix in {".jpg", ".png"})


@dataclass(frozen=True)
class Parts:
    """Finished items in a folder, so that a build that was stopped continues where it was."""

    folder: Path

    def get(self, key: tuple[object, ...], make: Callable[[], Item]) -> Item:
        """The item made before with the same key, or a new one."""
        path = self.folder / f"{hashlib.sha256(repr(key).encode()).hexdigest()[:24]}.zip"
        try:
            with zipfile.ZipFile(path) as file:
                pictures = {name: file.read(name) for name in file.namelist() if name != _ENTRY}
                return json.loads(file.read(_ENTRY)), pictures
        except FileNotFoundError:
            pass
        entry, pictures = make()
        beside = path.with_suffix(".part")
        with zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED) as file:
            for name, blob in pictures.items():
                file.writestr(name, blob)
            file.writestr(_ENTRY, json.dumps(entry))
        beside.replace(path)
        return entry, pictures


def stamp(path: Path) -> tuple[str, int, int]:
    """Name, size and time of a file; they change when its content does."""
    facts = path.stat()
    return path.name, facts.st_size, facts.st_mtime_ns


def build(
    material: tuple[list[Source], list[Path]], layers: list[Path | int], out: list[Path], parts: Parts
) -> list[int]:
    """Write the packs ``out``, distributing the material among them; returns the sizes in bytes.

    Args:
        material: people and backdrops.
        layers: layers of hair: files SEED.front.webp with SEED.back.webp beside them, or seeds of layers to draw.
        out: the packs.
        parts: finished items; a build that was stopped continues with them.
    """
    people, backdrops = material
    parts.folder.mkdir(parents=True, exist_ok=True)
    indices: list[dict[str, Any]] = [{"people": [], "backdrops": [], "layers": []} for _ in out]
    pictures: list[dict[str, bytes]] = [{} for _ in out]

    def add(group: str, number: int, item: Item) -> None:
        entry, files = item
        indices[number % len(out)][group].append(entry["picture"] if group == "backdrops" else entry)
        pictures[number % len(out)].update(files)

    with Segmenter() as segmenter, ThreadPoolExecutor(2) as threads:

        def person(number: int) -> Item:
            source = people[number]
            key = ("person", number, source.kind, QUALITY[source.kind], stamp(source.picture), stamp(source.label))
            return parts.get(key, lambda: packed_person(source, number, find_face(segmenter, source)))

        def backdrop(number: int) -> Item:
            path, name = backdrops[number], f"backdrops/{number:04d}.webp"
            key = ("backdrop", number, QUALITY["backdrop"], LONGEST_BACKDROP, stamp(path))
            return parts.get(key, lambda: ({"picture": name}, {name: packed_backdrop(path)}))

        for group, make, count in (("people", person, len(people)), ("backdrops", backdrop, len(backdrops))):
            for number, item in enumerate(tqdm(threads.map(make, range(count)), group, count)):
                add(group, number, item)
    for number, layer in enumerate(tqdm(layers, "layers")):
        key = ("layer", number, stamp(layer) if isinstance(layer, Path) else layer, QUALITY["layer"])
        add("layers", number, parts.get(key, partial(packed_layer, number, layer)))
    sizes = [write_pack(p, i, f.items()) for p, i, f in zip(out, indices, pictures, strict=True)]
    shutil.rmtree(parts.folder)
    return sizes


def packed_layer(number: int, layer: Path | int) -> Item:
    """Layer of hair ``number``, read from files or drawn from a seed."""
    if isinstance(layer, Path):
        files = {"front": layer, "back": layer.with_name(layer.name.replace(".front.", ".back."))}
        planes = {part: np.asarray(Image.open(file).convert("RGBA")) for part, file in files.items()}
    else:
        hair = groom(layer, (640, 800))
        planes = {"front": hair.front, "back": hair.back}
    entry = {part: f"layers/{number:03d}.{part}.webp" for part in planes}
    return entry, {entry[part]: webp(rgba, QUALITY["layer"], alpha_quality=85) for part, rgba in planes.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.train.build_pack", description=(__doc__ or "").split("\n\n")[1]
    )
    parser.add_argument("--data", type=Path, help="folder with studio/, photos/, fused/, backgrounds/")
    parser.add_argument(
        "--backdrops", type=Path, nargs="+", default=[], help="instead of --data: folders of pictures without people"
    )
    parser.add_argument(
        "--textures",
        type=Path,
        nargs="+",
        default=[],
        help="instead of --data: folders of textures, which the training repeats to cover a picture",
    )
    parser.add_argument(
        "--labels", type=Path, default=Path(), help="better labels, SET/NAME.png (default: fused/ only)"
    )
    parser.add_argument(
        "--config",
        type=Path,
        default=Path(__file__).parent / "configs/portrait-4.toml",
        help="config whose list of excluded photos to use",
    )
    parser.add_argument("--layers", type=int, default=16, help="layers of hair to draw; the training draws more")
    parser.add_argument("--drawn", type=Path, help="folder of `scripts.train.hair`, whose layers are packed too")
    parser.add_argument("--limit", type=int, help="use at most this many of each set (trial run)")
    parser.add_argument(
        "--out", type=Path, nargs="+", required=True, help="one file, or several that share the material"
    )
    given = parser.parse_args()
    pictures = pictures_in(given.backdrops), pictures_in(given.textures)
    if (given.data is None) == (not any(pictures)):
        parser.error("give --data, or --backdrops and --textures with pictures in them")
    if given.data is None:
        if len(given.out) > 1:
            parser.error("--backdrops and --textures write one pack")
        report(given.out, [build_pictures(*pictures, given.out[0])])
        return
    exclude = set(tomllib.loads(given.config.read_text())["exclude"])
    material = (
        list(sources(given.data, given.labels, exclude, given.limit)),
        sorted((given.data / "backgrounds").glob("*.jpg"))[: given.limit],
    )
    layers: list[Path | int] = list(range(LAYER_SEED, LAYER_SEED + given.layers))
    if given.drawn is not None:
        layers += sorted(given.drawn.glob("*.front.webp"))
    sizes = build(material, layers, given.out, Parts(given.out[0].with_suffix(".parts")))
    report(given.out, sizes)


def report(paths: list[Path], sizes: list[int]) -> None:
    """Print the sizes of the packs; end the program with an error if one is too large."""
    for path, size in zip(paths, sizes, strict=True):
        print(f"{path}: {size / 2**20:.1f} MiB")
    if max(sizes) > MOST_MIB * 2**20:
        raise SystemExit(f"a pack has {max(sizes) / 2**20:.1f} MiB; the limit is {MOST_MIB}: lower QUALITY")


if __name__ == "__main__":
    main()

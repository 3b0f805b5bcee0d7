"""The result for one photo: pictures, points and classes, and methods to draw and save them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from idseg import system
from idseg._version import __version__
from idseg.imaging import colours, compose, encode, overlay
from idseg.types import Alpha, BodyParts, Box, Person, Pose, Rgb, Size, Window

if TYPE_CHECKING:
    from idseg.stages.crop import CropOptions
    from idseg.stages.decode import DecodeLimits


@dataclass(frozen=True, slots=True)
class Result:
    """The complete answer for one photo. Coordinates refer to the photo; ``cut_…`` coordinates refer to the cut."""

    photo: Rgb = field(repr=False)
    """The upright photo, (H, W, 3)."""
    person: Person
    pose: Pose
    window: Window
    """The cut's rectangle in the photo; it may extend beyond the photo."""
    cut: Rgb = field(repr=False)
    """The photo under the window; black outside the photo."""
    alpha: Alpha = field(repr=False)
    """The matte of the cut; 0 outside the photo."""
    foreground: Rgb = field(repr=False)
    """The person's own colours, without the old background in hair and edges; same size as the cut."""
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    """Milliseconds per stage."""
    provider: str = ""
    """The ONNX execution provider that ran the matting."""
    notes: tuple[str, ...] = ()
    """Sentences about parts of the file that were not used; see :class:`idseg.types.Photo`."""

    @property
    def photo_size(self) -> Size:
        return Size(self.photo.shape[1], self.photo.shape[0])

    @property
    def cut_face_box(self) -> Box:
        """The face box in coordinates of the cut."""
        return self.person.face_box.moved(-self.window.left, -self.window.top)

    @property
    def cut_parts(self) -> BodyParts:
        """The ten points in coordinates of the cut."""
        return self.person.parts.moved(-self.window.left, -self.window.top)

    @property
    def scoremap(self) -> npt.NDArray[np.uint8]:
        """The matte as in the API: uint8 (H, W), 0..255."""
        return encode.scoremap(self.alpha)

    @property
    def rgba(self) -> npt.NDArray[np.uint8]:
        """The cut-out, uint8 (H, W, 4), straight alpha."""
        return compose.rgba(self.foreground, self.alpha)

    def on(self, color: colours.Color) -> Rgb:
        """The person on a plain colour: ``"white"``, ``"#438edb"``, ``(255, 0, 0)``."""
        return compose.on_color(self.foreground, self.alpha, color)

    def overlay(self) -> Rgb:
        """The photo with window, face box, points and classes drawn on it."""
        return overlay.draw(self.photo, self.person, self.pose, self.window)

    def to_dict(self) -> dict[str, Any]:
        """All values except the pictures, ready for JSON: the content of ``result.json``, in photo coordinates."""
        return {
            "idseg": __version__,
            "photo": self.photo_size._asdict(),
            "window": self.window._asdict(),
            "face_box": {**self.person.face_box._asdict(), "score": self.person.face_score},
            "body_parts": {name: point._asdict() for name, point in self.person.parts.items()},
            "facepose": {"class": int(self.pose.facepose), "name": self.pose.facepose.name.lower()},
            "bodypose": {"class": int(self.pose.bodypose), "name": self.pose.bodypose.name.lower()},
            "head": asdict(self.pose.head),
            "shoulders": asdict(self.pose.shoulders),
            "timings_ms": {name: round(ms, 2) for name, ms in self.timings_ms.items()},
            "provider": self.provider,
            "notes": list(self.notes),
        }

    def save(self, folder: str | Path, *, background: colours.Color | None = None, overlay: bool = False) -> list[Path]:
        """Write ``cut.png``, ``scoremap.png``, ``demo.png`` (on black), ``cutout.png`` (RGBA) and ``result.json``.

        Args:
            folder: created if missing. Files of these names are replaced, each atomically.
            background: also write ``on_background.png``, the person on this colour.
            overlay: also write ``overlay.jpg``.

        Returns:
            the paths written.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        pngs: dict[str, Callable[[], npt.NDArray[np.uint8]]] = {
            "cut.png": lambda: self.cut,
            "scoremap.png": lambda: self.scoremap,
            "demo.png": lambda: self.on("black"),
            "cutout.png": lambda: self.rgba,
        }
        if background is not None:
            pngs["on_background.png"] = lambda: self.on(background)
        with ThreadPoolExecutor(2, "idseg-encode") as pool:
            encoded = pool.map(lambda draw: encode.png(draw()), pngs.values())
            files = dict(zip(pngs, encoded, strict=True))
        if overlay:
            files["overlay.jpg"] = encode.jpeg(self.overlay())
        files["result.json"] = (json.dumps(self.to_dict(), indent=2) + "\n").encode()
        for name, content in files.items():
            system.write(folder / name, content)
        return [folder / name for name in files]


class SegmentPhoto(Protocol):
    """The interface of :class:`idseg.segmenter.Segmenter` for answering a photo."""

    def __call__(
        self, photo: bytes, /, *, crop: CropOptions | None = None, limits: DecodeLimits | None = None
    ) -> Result: ...

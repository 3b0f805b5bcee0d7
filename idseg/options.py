"""All choices of a :class:`idseg.segmenter.Segmenter`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from idseg.errors import OptionError, ProviderError
from idseg.models.form import PRESETS
from idseg.models.onnx import PROVIDERS
from idseg.stages import find, landmarks, pose
from idseg.stages.crop import CropOptions
from idseg.stages.decode import DecodeLimits
from idseg.stages.matte import AUTO
from idseg.stages.refine import RefinerName
from idseg.types import Quality


@dataclass(frozen=True, slots=True)
class Options:
    """All choices; fixed for the life of a Segmenter."""

    limits: DecodeLimits = field(default_factory=DecodeLimits)
    detect: find.DetectOptions = field(default_factory=find.DetectOptions)
    landmarks: landmarks.LandmarkOptions = field(default_factory=landmarks.LandmarkOptions)
    pose: pose.PoseRules = field(default_factory=pose.PoseRules)
    crop: CropOptions = field(default_factory=CropOptions)
    matting_model: str = AUTO
    """Name of a ``matting`` entry of the manifest; ``auto``: idseg's own net, in 8-bit integers on a CPU."""
    preset: str | None = None
    """Kind of net if ``matting_model`` is an ONNX file: ``modnet``, ``isnet``, ``u2net`` or ``birefnet``."""
    quality: Quality = "best"
    """``best``: cuts from 0.4 MP on are seen twice, and a net refines their hair. ``fast``: it refines hair only on
    cuts above about 2 MP, and every cut is seen once. With both, hair then follows the picture's colours."""
    refine: RefinerName = "net"
    """``net``: idseg's, then the picture's colours, for mattes of idseg's own net. ``closed-form``: PyMatting's, slow.
    ``none``: no refiner."""
    provider: str = "auto"
    """``auto``, ``cpu``, ``cuda``, …: if a forced one is not available, that is an error."""
    threads: int | None = None
    """Threads of the matting nets; None: one per core."""
    parallel: int = 1
    """Number of calls that may run MediaPipe's models at the same time; each has its own copy of the models."""
    second_pose: bool = True
    """Whether each thread that helps a call has its own copy of the pose model: about 60 MB, for 7 % of a photo's
    time. It only matters with several threads."""
    models: Path | None = None
    """Folder with another ``manifest.toml``."""

    def __post_init__(self) -> None:
        for name, (kind, said) in _GROUPS.items():
            if not isinstance(getattr(self, name), kind):
                raise OptionError(f"{name} must be {said}, not {getattr(self, name)!r}", option=name)
        if self.quality not in get_args(Quality):
            raise OptionError(
                f"quality {self.quality!r} is none of {', '.join(get_args(Quality))}", quality=str(self.quality)
            )
        if self.refine not in get_args(RefinerName):
            raise OptionError(
                f"refine {self.refine!r} is none of {', '.join(get_args(RefinerName))}", refine=str(self.refine)
            )
        if self.provider != "auto" and self.provider not in PROVIDERS:
            raise ProviderError(
                f"no provider is called {self.provider!r}; there are auto, {', '.join(PROVIDERS)}",
                provider=self.provider,
            )
        if self.preset is not None and self.preset not in PRESETS:
            raise OptionError(f"preset {self.preset!r} is none of {', '.join(PRESETS)}", preset=str(self.preset))
        if self.threads is not None and self.threads < 1:
            raise OptionError(f"threads must be at least 1, not {self.threads}", threads=self.threads)
        if self.parallel < 1:
            raise OptionError(f"parallel must be at least 1, not {self.parallel}", parallel=self.parallel)


_GROUPS: Mapping[str, tuple[type, str]] = {
    "limits": (DecodeLimits, "DecodeLimits"),
    "detect": (find.DetectOptions, "DetectOptions"),
    "landmarks": (landmarks.LandmarkOptions, "LandmarkOptions"),
    "pose": (pose.PoseRules, "PoseRules"),
    "crop": (CropOptions, "CropOptions"),
}

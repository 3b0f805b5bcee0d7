"""The models that a :class:`idseg.segmenter.Segmenter` holds."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

from idseg.models.manifest import Manifest
from idseg.models.mediapipe import FaceDetector, FaceLandmarker, PoseLandmarker
from idseg.options import Options
from idseg.stages.follow import Follower, load_follower
from idseg.stages.matte import Matte, load_matte
from idseg.stages.refine import Refiner, load_refiner
from idseg.system import side_by_side
from idseg.types import Alpha, Coarse, Rgb, Size

FAST_UPSCALE = 4.0
"""With quality "fast": minimum picture pixels per pixel of the coarse net's input for refining. Below, the coarse matte
is nearly as sharp as the picture."""
REFINED_FROM = 410_000
"""Pixels of a picture from which it is refined if its matte follows the colours afterwards. Below, both together have a
little less error than the colours alone, and take twice the time."""


@dataclass(slots=True)
class PersonModels:
    """MediaPipe's models: the two face detectors, the face mesh and the pose."""

    short: FaceDetector
    full: FaceDetector
    mesh: FaceLandmarker
    pose: PoseLandmarker
    users: int = 0
    """Number of calls that use the models now; guarded by the Segmenter's lock."""
    photos: int = 0
    """Number of photos that the models have seen; guarded by the Segmenter's lock. After the first, a second pose model
    is worth the time to load it."""

    @classmethod
    def load(cls, manifest: Manifest, parallel: int, second_poses: int) -> PersonModels:
        """Load them for ``parallel`` calls at the same time, and the pose ``second_poses`` times more."""
        short = FaceDetector(manifest, "short", parallel=parallel)
        return cls(
            short=short,
            full=FaceDetector(manifest, "full", parallel=parallel),
            mesh=FaceLandmarker(manifest, parallel=parallel, detector=short),
            pose=PoseLandmarker(manifest, parallel=parallel + second_poses),
        )

    def warm(self, rgb: Rgb, pool: Executor | None) -> None:
        for model in (self.short, self.full, self.mesh):
            model(rgb)
        side_by_side(pool, lambda: self.pose(rgb), lambda: self.pose(rgb))
        self.photos = 1

    def close(self) -> None:
        for model in (self.short, self.full, self.mesh, self.pose):
            model.close()


@dataclass(frozen=True, slots=True)
class MattingModels:
    """The coarse matting net, the refiner, and when to use it."""

    coarse: Matte
    refine: Refiner
    min_upscale: float
    """Minimum :meth:`Matte.enlargement` of a picture for refining."""
    colours: Follower | None = None
    """Lets the matte of idseg's own net follow the picture's colours in the end; None: it does not."""
    again: bool = False
    """Whether it does so twice in large pictures."""

    @classmethod
    def load(cls, manifest: Manifest, options: Options) -> MattingModels:
        """Load the nets that the options name."""
        fast = options.quality == "fast"
        coarse = load_matte(
            manifest, options.matting_model, options.provider, options.threads, preset=options.preset, twice=not fast
        )
        refine = load_refiner(manifest, options.refine, options.provider, options.threads)
        colours = load_follower(manifest, options.threads) if options.refine == "net" else None
        return cls(coarse, refine, FAST_UPSCALE if fast else 0.0, colours, again=not fast)

    @property
    def provider(self) -> str:
        return self.coarse.provider

    def refined(self, rgb: Rgb, coarse: Coarse, pool: Executor | None = None) -> Alpha:
        """The finished matte."""
        alpha = self.without_colours(rgb, coarse, pool)
        if self.colours is None or coarse.features is None:
            return alpha
        return self.colours(rgb, alpha, again=self.again and alpha.size >= REFINED_FROM)

    def without_colours(self, rgb: Rgb, coarse: Coarse, pool: Executor | None = None) -> Alpha:
        """The matte after the refiner, which leaves pictures with too few pixels as they are."""
        size = Size(rgb.shape[1], rgb.shape[0])
        followed = self.colours is not None and coarse.features is not None
        if followed and size.width * size.height < REFINED_FROM:
            return coarse.alpha
        return coarse.alpha if self.coarse.enlargement(size) < self.min_upscale else self.refine(rgb, coarse, pool)

"""Runs all stages on one photo, in the order in which the data flows.

decode → detect → landmarks → pose → crop → matte → refine → foreground → Result. Every stage is a function of values. A
:class:`Segmenter` holds the models that they call, and keeps nothing of a photo. Import from this module what users can
choose: Options, CropOptions, DetectOptions, DecodeLimits, API_LIMITS. The errors are in :mod:`idseg.errors`.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace

import numpy as np

from idseg.errors import SidewaysError, UpsideDownError
from idseg.glances import Glances
from idseg.imaging import cutting
from idseg.loaded import MattingModels, PersonModels
from idseg.models.manifest import load_manifest
from idseg.options import Options
from idseg.result import Result
from idseg.stages import find, landmarks, pose
from idseg.stages.crop import CropOptions, head_and_shoulders
from idseg.stages.decode import API_LIMITS, DecodeLimits, PhotoLike, decode
from idseg.stages.foreground import estimate_foreground
from idseg.system import trim, usable_cores
from idseg.types import Alpha, Person, Rgb, Size, Window

__all__ = ["API_LIMITS", "CropOptions", "DecodeLimits", "DetectOptions", "Options", "Segmenter", "default_segmenter"]

DetectOptions = find.DetectOptions

_LOADED = 2
"""Number of photos after which all models are loaded. Loading leaves some 25 MB of freed memory, which is returned."""


class Segmenter:
    """Loads the models once and answers any number of photos. Thread-safe.

    Pickling stores only the options; the copy loads its own models. The child of a fork drops the models, because their
    threads do not exist there, and loads new ones. ``close()`` during a call lets the call finish.

    >>> segmenter = Segmenter()
    >>> result = segmenter("selfie.jpg")  # doctest: +SKIP
    >>> result.save("out")  # doctest: +SKIP
    """

    def __init__(self, options: Options | None = None) -> None:
        self.options = Options() if options is None else options
        self._manifest = load_manifest(self.options.models)
        self._lock = threading.Lock()
        self._matting_lock = threading.Lock()
        self._finding: PersonModels | None = None
        self._matting_models: MattingModels | None = None
        self._pool: ThreadPoolExecutor | None = None
        _alive.add(self)

    def __reduce__(self) -> tuple[type[Segmenter], tuple[Options]]:
        return type(self), (self.options,)

    def warm(self) -> None:
        """Load all models and run each once, so that the first photo is as fast as the others."""
        grey = np.full((256, 256, 3), 128, dtype=np.uint8)
        with self._person_models() as finding:
            finding.warm(grey, self._helpers())
        models = self._matting()
        models.coarse.glance(grey)
        models.refine(grey, models.coarse.look(grey))

    def close(self) -> None:
        """End the threads, and free MediaPipe's models when the calls that use them have ended. The next use of the
        Segmenter starts threads and loads models again."""
        with self._lock:
            models, self._finding = self._finding, None
            pool, self._pool = self._pool, None
            unused = models is not None and models.users == 0
        if pool is not None:
            pool.shutdown(wait=False)  # a call that uses the pool goes on without it
        if models is not None and unused:
            models.close()

    def __enter__(self) -> Segmenter:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __call__(
        self, photo: PhotoLike, *, crop: CropOptions | None = None, limits: DecodeLimits | None = None
    ) -> Result:
        """Answer one photo.

        Args:
            photo: a path, bytes, a binary file, an array or a PIL image.
            crop: proportions of the cut for this photo; None: those of the options.
            limits: limits for this photo; None: those of the options.

        Raises:
            InputError: the photo cannot be decoded or breaks the limits.
            PersonError: the photo does not show exactly one upright person.
        """
        clock = _Clock()
        self._begin_loading()
        with clock("decode"):
            decoded = decode(photo, self.options.limits if limits is None else limits)
        rgb, person = self._find_turning(decoded.rgb, clock)
        with clock("pose"):
            classes = pose.classify(person.parts, person.face_box, person.head, self.options.pose)
        at, cut, alpha = self._cut_out(rgb, person, crop or self.options.crop, clock)
        with clock("foreground"):
            foreground = estimate_foreground(cut, alpha, self._helpers())
        return Result(
            photo=rgb,
            person=person,
            pose=classes,
            window=at,
            cut=cut,
            alpha=alpha,
            foreground=foreground,
            timings_ms=clock.ms,
            provider=self._matting().provider,
            notes=decoded.notes,
        )

    def find(self, photo: PhotoLike) -> Person:
        """Find the person, without window and matte. Raises the same errors as a call."""
        return self._find_turning(decode(photo, self.options.limits).rgb, _Clock())[1]

    def whole(self, photo: PhotoLike) -> Result:
        """Answer a photo whose cut is the whole photo, for example a finished ID photo. Raises the same errors as a
        call."""
        clock = _Clock()
        with clock("decode"):
            rgb = decode(photo, self.options.limits).rgb
        rgb, person = self._find_turning(rgb, clock)
        with clock("pose"):
            classes = pose.classify(person.parts, person.face_box, person.head, self.options.pose)
        with clock("matte"):
            alpha = self.matte(rgb)
        return Result(
            photo=rgb,
            person=person,
            pose=classes,
            window=Window(0, 0, rgb.shape[1], rgb.shape[0]),
            cut=rgb,
            alpha=alpha,
            foreground=rgb,
            timings_ms=clock.ms,
            provider=self._matting().provider,
        )

    def matte(self, rgb: Rgb) -> Alpha:
        """The refined matte (H, W) of a whole picture, without detection or crop."""
        models = self._matting()
        return models.refined(rgb, models.coarse.look(rgb, pool=self._helpers()), self._helpers())

    def _find_turning(self, rgb: Rgb, clock: _Clock) -> tuple[Rgb, Person]:
        """The person, and the photo, which is first rotated upright if the options allow it."""
        try:
            return rgb, self._find(rgb, clock)
        except (UpsideDownError, SidewaysError) as error:
            if not self.options.detect.turn:
                raise
            quarter_turns = int(str(error.facts["turn_deg"])) // 90
        turned = np.ascontiguousarray(np.rot90(rgb, -quarter_turns))
        return turned, self._find(turned, clock)

    def _find(self, rgb: Rgb, clock: _Clock) -> Person:
        with self._person_models() as models:
            with clock("detect"):
                both = find.FindModels((models.short, models.full), models.pose)
                face, others = find.face_and_others(rgb, both, self.options.detect, self._helpers())
            with clock("landmarks"):
                pair, chosen = (models.mesh, models.pose), self.options.landmarks
                two_poses = models.photos > 0 and self.options.second_pose
                mesh, body = landmarks.look(rgb, face, pair, chosen, self._helpers(), two_poses)
                with self._lock:
                    models.photos += 1
                    loaded = models.photos == _LOADED
                if loaded:
                    trim()
                size = Size(rgb.shape[1], rgb.shape[0])
                person = landmarks.person(face, mesh, body, size, self.options.landmarks)
                as_found = person.face_box.height / face.box.height  # a detector's box has no forehead
                return replace(person, others=tuple(other.box.grown(as_found) for other in others))

    def _cut_out(self, rgb: Rgb, person: Person, options: CropOptions, clock: _Clock) -> tuple[Window, Rgb, Alpha]:
        """Window, cut and matte. The window grows until it contains the top of the hair."""
        models = self._matting()
        photo = Size(rgb.shape[1], rgb.shape[0])
        window = head_and_shoulders(person.face_box, person.parts, photo, options)
        with clock("matte"):
            glances = Glances(rgb, models.coarse)
            head = glances.head(window, person.face_box.bottom)
            fitted = head_and_shoulders(person.face_box, person.parts, photo, options, head)
            coarse = models.coarse.look(cutting.filled(rgb, fitted), glances.of(fitted), self._helpers())
        with clock("refine"):
            alpha = models.refined(cutting.filled(rgb, fitted), coarse, self._helpers())
            if not cutting.lies_inside(photo, fitted):
                alpha = np.where(cutting.inside(photo, fitted), alpha, np.float32(0))
        return fitted, cutting.take(rgb, fitted), alpha

    def _forget_after_fork(self) -> None:
        """In the child of a fork: drop the models without freeing them, which would wait for the parent's threads."""
        _abandoned_models.extend((self._finding, self._matting_models, self._pool))
        self._lock, self._matting_lock = threading.Lock(), threading.Lock()
        self._finding = self._matting_models = self._pool = None

    def _helper_count(self) -> int:
        return 0 if self.options.threads == 1 else min(self.options.parallel, usable_cores() - 1)

    def _helpers(self) -> ThreadPoolExecutor | None:
        """One thread beside each of the parallel calls; None if there is only one core, or one thread is wanted."""
        helpers = self._helper_count()
        if helpers < 1:
            return None
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(helpers, "idseg-helper")
            return self._pool

    @contextmanager
    def _person_models(self) -> Iterator[PersonModels]:
        """The models for one photo. If ``close()`` is called in the block, they are freed at its end."""
        models = self._loaded_person_models()
        try:
            yield models
        finally:
            with self._lock:
                models.users -= 1
                unused = models.users == 0 and models is not self._finding
            if unused:
                models.close()

    def _loaded_person_models(self) -> PersonModels:
        """The loaded models, with their number of users increased by one."""
        with self._lock:
            if self._finding is None:
                second_poses = self._helper_count() if self.options.second_pose else 0
                self._finding = PersonModels.load(self._manifest, self.options.parallel, second_poses)
            self._finding.users += 1
            return self._finding

    def _begin_loading(self) -> None:
        """Before the first photo: load the matting nets while the person is searched for. An error is raised when the
        nets are used."""
        pool = self._helpers() if self._matting_models is None else None
        if pool is not None:
            with suppress(RuntimeError):  # closed meanwhile
                pool.submit(self._matting)

    def _matting(self) -> MattingModels:
        with self._matting_lock:
            if self._matting_models is None:
                self._matting_models = MattingModels.load(self._manifest, self.options)
            return self._matting_models


_alive: weakref.WeakSet[Segmenter] = weakref.WeakSet()
_abandoned_models: list[object] = []
"""The parent's models after a fork, kept so that they are not freed; see :meth:`Segmenter._forget_after_fork`."""


def _after_fork() -> None:
    global _default_lock
    _default_lock = threading.Lock()  # another thread may have held it
    for segmenter in list(_alive):
        segmenter._forget_after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)


_default_lock = threading.Lock()
_defaults: dict[Options, Segmenter] = {}
_MOST_DEFAULTS = 2


def default_segmenter(options: Options | None = None) -> Segmenter:
    """The process's shared Segmenter for some options, used by :func:`idseg.segment` and :func:`idseg.body_seg_photo`.

    The models of the last two sets of options stay loaded (about 0.3 GB each). Thread-safe.
    """
    chosen = Options() if options is None else options
    with _default_lock:
        kept = _defaults.pop(chosen, None)
        _defaults[chosen] = Segmenter(chosen) if kept is None else kept  # moves it to the end of the dict
        old = [_defaults.pop(name) for name in list(_defaults)[:-_MOST_DEFAULTS]]
        segmenter = _defaults[chosen]
    for each in old:
        each.close()
    return segmenter


class _Clock:
    """Measures milliseconds per stage; times of a repeated stage add up."""

    def __init__(self) -> None:
        self.ms: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.ms[stage] = self.ms.get(stage, 0.0) + (time.perf_counter() - start) * 1e3

"""Faces, face meshes and body poses with MediaPipe's Tasks API, which :mod:`idseg.models.mediapipe_library` imports.

MediaPipe 1.2 has these properties, which this file handles:

* A task object processes one picture at a time, so each :class:`TaskPool` keeps up to ``parallel`` of them.
* MediaPipe prints to stderr and reports usage, so all its threads start inside :mod:`idseg.models.sandbox`.
* A graph that failed can hang when it is closed, so it is not closed.
* A task object that the garbage collector finds in a cycle hangs in its ``__del__``: it waits for a thread that was
  collected with it. At the interpreter's exit ``__del__`` prints a traceback, because that thread is gone. So task
  objects have no ``__del__`` here: a pool closes them, and a thread of this file closes those of dropped pools.
* MediaPipe's left and right are the person's. This file returns faces with the picture's left and right; meshes and
  poses keep MediaPipe's numbering.
"""

from __future__ import annotations

import atexit
import queue
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from types import TracebackType
from typing import Any, Literal

import numpy as np

from idseg.errors import ModelDamagedError, OptionError, PhotoTypeError
from idseg.models.manifest import Manifest, ModelEntry
from idseg.models.mediapipe_library import mediapipe_tasks
from idseg.models.sandbox import call_confined
from idseg.types import Box, FaceDetection, FaceMesh, PosePoints, Rgb

_MESH_POINTS = 468
"""Points of the face mesh. The Tasks API returns 478; the last ten (irises) are zeros, because our net lacks them."""

_FACE_POINTS = ("left_eye", "right_eye", "nose_tip", "mouth", "left_ear", "right_ear")
"""idseg's names (the picture's left and right) in BlazeFace's order (the person's): right eye, left eye, nose tip, …"""


_dropped: queue.SimpleQueue[list[Any] | None] = queue.SimpleQueue()
"""Task objects of pools that nobody closed, or None at the end of the process. A SimpleQueue may be filled from within
the garbage collector."""
_reaper: threading.Thread | None = None
_LEAVE_S = 5.0
"""Seconds that the end of the process waits for the reaper."""


def _start_reaper() -> None:
    """Start the thread that closes dropped task objects, unless it runs (after a fork it does not)."""
    global _reaper
    if _reaper is None or not _reaper.is_alive():
        _reaper = threading.Thread(target=_close_dropped, name="idseg-reaper", daemon=True)
        _reaper.start()
        atexit.register(_end, _reaper)


def _close_dropped() -> None:
    while (tasks := _dropped.get()) is not None:
        for task in tasks:
            with suppress(Exception):  # nobody waits for the outcome
                task.close()


def _end(reaper: threading.Thread) -> None:
    """Let the reaper finish, so that it is not inside MediaPipe when the process ends."""
    _dropped.put(None)
    reaper.join(_LEAVE_S)


@cache
def _without_del(kind: type) -> type:
    """A subclass whose objects are closed by ``close()`` only."""
    return type(kind.__name__, (kind,), {"__del__": lambda self: None})


class TaskPool:
    """Task objects of one kind; thread-safe. They are made when first needed and closed at the end of ``with``."""

    def __init__(self, entry: ModelEntry, make: Callable[[Any, str], Any], min_score: float, parallel: int) -> None:
        if not 0 < min_score < 1:
            raise OptionError(f"min_score {min_score:g} is outside 0 .. 1", min_score=min_score)
        if parallel < 1:
            raise OptionError(f"parallel {parallel} is less than 1", parallel=parallel)
        self._entry = entry
        self._make = make
        self._free_slots = threading.BoundedSemaphore(parallel)
        self._idle: list[Any] = []
        self._closed = threading.Event()
        weakref.finalize(self, _dropped.put, self._idle).atexit = False

    def close(self) -> None:
        """Free the native objects. An object in use is freed after its picture."""
        self._closed.set()
        while self._idle:
            with suppress(IndexError):  # another thread took the last one
                self._idle.pop().close()

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _detect(self, rgb: Rgb) -> Any:
        """MediaPipe's own result for a picture."""
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
            raise PhotoTypeError(
                f"a picture is uint8 (H, W, 3), not {rgb.dtype} {rgb.shape}",
                dtype=str(rgb.dtype),
                shape=list(rgb.shape),
            )
        with self._borrowed_task() as task:
            tasks = mediapipe_tasks()
            return task.detect(tasks.Image(tasks.ImageFormat.SRGB, np.ascontiguousarray(rgb)))

    @contextmanager
    def _borrowed_task(self) -> Iterator[Any]:
        """Lend one task object for one picture."""
        with self._free_slots:
            if self._closed.is_set():
                raise RuntimeError(f"this {type(self).__name__} is closed")
            task = self._idle_or_new()
            try:
                yield task
            except BaseException:
                task._handle = None  # disables MediaPipe's close(), which can hang after a failure
                raise
            self._idle.append(task)
            if self._closed.is_set():
                self.close()

    def _idle_or_new(self) -> Any:
        with suppress(IndexError):
            return self._idle.pop()
        path = str(self._entry.check())
        tasks = mediapipe_tasks()
        _start_reaper()
        try:
            task = call_confined(partial(self._make, tasks, path))
        except (RuntimeError, ValueError) as error:
            raise ModelDamagedError(f"MediaPipe does not load {path}: {error}", path=path) from error
        kind: Any = type(task)
        task.__class__ = _without_del(kind)
        return task


class FaceDetector(TaskPool):
    """Detects the faces in a picture with BlazeFace.

    ``"short"`` is for selfies (128x128 input), ``"full"`` for people up to a few metres away (192x192). Faces with a
    score (0..1) below ``min_score`` are dropped.

    Raises:
        OptionError, ModelMissingError, ModelDamagedError, DependencyError
    """

    def __init__(
        self, manifest: Manifest, range: Literal["short", "full"], min_score: float = 0.5, parallel: int = 1
    ) -> None:
        def make(tasks: Any, path: str) -> Any:
            options = tasks.FaceDetectorOptions(
                base_options=tasks.BaseOptions(model_asset_path=path), min_detection_confidence=min_score
            )
            return tasks.FaceDetector.create_from_options(options)

        super().__init__(manifest[f"face-{range}"], make, min_score, parallel)

    def __call__(self, rgb: Rgb) -> tuple[FaceDetection, ...]:
        """The faces in ``rgb`` (H, W, 3), best score first. Boxes may extend beyond the picture."""
        height, width = rgb.shape[:2]
        faces = (_face(detection, width, height) for detection in self._detect(rgb).detections)
        return tuple(sorted(faces, key=lambda face: -face.score))


class FaceLandmarker(TaskPool):
    """Finds the mesh of the best face with MediaPipe Face Mesh.

    It starts with the short-range detector, so give it a crop a few face widths wide around a known face. The Tasks API
    does not return the mesh net's own score, so the mesh has the score of the detection by ``detector``, a short-range
    one; None: one of its own.
    """

    def __init__(
        self, manifest: Manifest, min_score: float = 0.5, parallel: int = 1, detector: FaceDetector | None = None
    ) -> None:
        def make(tasks: Any, path: str) -> Any:
            options = tasks.FaceLandmarkerOptions(
                base_options=tasks.BaseOptions(model_asset_path=path),
                num_faces=1,
                min_face_detection_confidence=min_score,
                min_face_presence_confidence=min_score,
            )
            return tasks.FaceLandmarker.create_from_options(options)

        super().__init__(manifest["face-mesh"], make, min_score, parallel)
        self._owns_detector = detector is None
        self._detector = FaceDetector(manifest, "short", min_score, parallel) if detector is None else detector

    def __call__(self, rgb: Rgb) -> FaceMesh | None:
        """The mesh of the best face in ``rgb`` (H, W, 3); None if there is no face."""
        faces = self._detector(rgb)
        if not faces:
            return None
        meshes = self._detect(rgb).face_landmarks
        if not meshes:
            return None
        height, width = rgb.shape[:2]
        points = _points(meshes[0][:_MESH_POINTS], width, height)
        x, y = points[:, :2].mean(axis=0)
        nearest = min(faces, key=lambda face: float(np.hypot(face.box.center[0] - x, face.box.center[1] - y)))
        return FaceMesh(points, nearest.score)

    def close(self) -> None:
        super().close()
        if self._owns_detector:
            self._detector.close()


class PoseLandmarker(TaskPool):
    """Finds at most ``most`` bodies in a picture with BlazePose GHUM (full)."""

    def __init__(self, manifest: Manifest, most: int = 2, min_score: float = 0.5, parallel: int = 1) -> None:
        if most < 1:
            raise OptionError(f"most {most} is less than 1", most=most)

        def make(tasks: Any, path: str) -> Any:
            options = tasks.PoseLandmarkerOptions(
                base_options=tasks.BaseOptions(model_asset_path=path),
                num_poses=most,
                min_pose_detection_confidence=min_score,
                min_pose_presence_confidence=min_score,
            )
            return tasks.PoseLandmarker.create_from_options(options)

        super().__init__(manifest["pose-full"], make, min_score, parallel)

    def __call__(self, rgb: Rgb) -> tuple[PosePoints, ...]:
        """The bodies in ``rgb`` (H, W, 3), in MediaPipe's order. Points may lie outside the picture."""
        height, width = rgb.shape[:2]
        return tuple(
            PosePoints(
                points=_points(body, width, height),
                visibility=np.array([point.visibility for point in body], np.float64),
                presence=np.array([point.presence for point in body], np.float64),
            )
            for body in self._detect(rgb).pose_landmarks
        )


def _face(detection: Any, width: int, height: int) -> FaceDetection:
    box = detection.bounding_box
    points = [(point.x * width, point.y * height) for point in detection.keypoints]
    return FaceDetection(
        box=Box(float(box.origin_x), float(box.origin_y), float(box.width), float(box.height)),
        score=float(detection.categories[0].score),
        **dict(zip(_FACE_POINTS, points, strict=True)),
    )


def _points(landmarks: Any, width: int, height: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(N, 3) px, from MediaPipe's fractions of width and height; z is a fraction of the width too."""
    shares = np.array([(point.x, point.y, point.z) for point in landmarks], np.float64)
    return shares * (width, height, width)

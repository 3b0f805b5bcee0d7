"""Pixels in, pixels out; no models.

This checks once that OpenCV (cv2) loads. MediaPipe depends on OpenCV, so idseg does not list it (``pyproject.toml``).
"""

from __future__ import annotations

import os
import threading

from idseg.errors import DependencyError

# By default, OpenCV's threads wait busily after each operation, which takes 3 % of a photo's CPU time for nothing.
# OpenCV reads this when it is loaded.
os.environ.setdefault("OPENCV_THREAD_POOL_ACTIVE_WAIT_WORKER", "0")
try:
    import cv2
except ImportError as error:
    raise DependencyError(
        f"OpenCV (cv2) does not load: {error}. MediaPipe needs it: pip install --force-reinstall --no-deps "
        "opencv-contrib-python; 'idseg doctor' names missing system libraries",
        missing="cv2",
    ) from error


class _OpenCvThreads:
    """Ends OpenCV's threads before a fork, because a child process lacks them but would wait for them."""

    def __init__(self) -> None:
        self._number = 1
        self._forking = threading.Lock()

    def before(self) -> None:
        self._forking.acquire()
        self._number = cv2.getNumThreads()
        cv2.setNumThreads(1)

    def in_parent(self) -> None:
        cv2.setNumThreads(self._number)
        self._forking.release()

    def in_child(self) -> None:
        """Keep one thread in the child: a program that forks works in several processes."""
        self._forking = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows
    _threads = _OpenCvThreads()
    os.register_at_fork(before=_threads.before, after_in_parent=_threads.in_parent, after_in_child=_threads.in_child)

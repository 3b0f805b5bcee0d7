"""Imports MediaPipe: only the parts that idseg uses, and without its usage reports. Only this file imports MediaPipe.

* MediaPipe 1.2 prints dozens of lines to stderr and reports usage to play.googleapis.com. It has no option to stop
  either. On Linux, all its threads therefore start inside :mod:`idseg.models.sandbox`, without network or stderr. On
  every system it also gets ``no_certificates.pem`` as its list of trusted authorities. The list is empty, so MediaPipe
  trusts no server and ends the connection before it sends a report.
* ``import mediapipe`` loads matplotlib, OpenCV and sounddevice for drawing and microphones, which takes a second. This
  file imports only the three task modules, which is ten times faster.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from idseg import system
from idseg.errors import DependencyError
from idseg.models.sandbox import call_confined

_NO_CERTIFICATES = Path(__file__).with_name("no_certificates.pem")
"""An empty list of certificate authorities; see the module docstring."""

_loading = threading.Lock()
_loaded: list[types.SimpleNamespace] = []


def mediapipe_tasks() -> Any:
    """The parts of the Tasks API that idseg uses; imported once per process, at the first call.

    Raises:
        DependencyError: MediaPipe, a system library that it is linked to, or ``/sys`` is missing.
    """
    with _loading:
        if not _loaded:
            if sys.platform == "linux" and not system.CORES.exists():
                raise DependencyError(
                    f"MediaPipe needs {system.CORES}: mount /sys here (a chroot lacks it)", missing="/sys"
                )
            try:
                _loaded.append(call_confined(_import_tasks))
            except ModuleNotFoundError as error:
                raise DependencyError(
                    f"the package {error.name} is missing; install it: pip install 'mediapipe>=1.2,<1.3'",
                    missing=str(error.name),
                ) from error
            except OSError as error:
                raise _missing_library(error) from error
        return _loaded[0]


def _missing_library(error: OSError) -> DependencyError:
    library = str(error).partition(":")[0]
    return DependencyError(
        f"MediaPipe does not load: {error}; on Debian and Ubuntu, install its libraries: "
        "apt-get install -y libegl1 libgles2 libgl1",
        missing=library,
    )


_PACKAGES = ("mediapipe", "mediapipe.tasks.python", "mediapipe.tasks.python.vision")
"""Packages whose ``__init__`` imports every task, and with them matplotlib, OpenCV and sounddevice."""


def _import_tasks() -> types.SimpleNamespace:
    """Import the three task modules and open the native library. Uses ``mediapipe`` if it is already imported."""
    if "mediapipe" in sys.modules:
        return _names()
    with _stub_packages():
        return _names()


@contextmanager
def _stub_packages() -> Iterator[None]:
    """Replace ``_PACKAGES`` by empty packages during the block, so that their ``__init__`` does not run.

    Afterwards ``sys.modules`` has no part of MediaPipe, as before, so an ``import mediapipe`` elsewhere gets the real
    package. The modules imported in the block stay alive through references to their contents.
    """
    spec = importlib.util.find_spec("mediapipe")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("No module named 'mediapipe'", name="mediapipe")
    site = os.path.dirname(os.path.dirname(spec.origin))
    try:
        for name in _PACKAGES:
            package = types.ModuleType(name)
            package.__path__ = [os.path.join(site, *name.split("."))]
            sys.modules[name] = package
        yield
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "mediapipe"]:
            del sys.modules[name]


def _names() -> types.SimpleNamespace:
    vision = "mediapipe.tasks.python.vision"
    face, mesh, pose, image, options, native = (
        importlib.import_module(name)
        for name in (
            f"{vision}.face_detector",
            f"{vision}.face_landmarker",
            f"{vision}.pose_landmarker",
            f"{vision}.core.image",
            "mediapipe.tasks.python.core.base_options",
            "mediapipe.tasks.python.core.mediapipe_c_bindings",
        )
    )
    native.load_raw_library()
    return types.SimpleNamespace(
        BaseOptions=_without_authorities(options.BaseOptions),
        FaceDetector=face.FaceDetector,
        FaceDetectorOptions=face.FaceDetectorOptions,
        FaceLandmarker=mesh.FaceLandmarker,
        FaceLandmarkerOptions=mesh.FaceLandmarkerOptions,
        Image=image.Image,
        ImageFormat=image.ImageFormat,
        PoseLandmarker=pose.PoseLandmarker,
        PoseLandmarkerOptions=pose.PoseLandmarkerOptions,
    )


def _without_authorities(base_options: Any) -> Any:
    """A subclass of MediaPipe's ``BaseOptions`` with an empty list of certificate authorities for usage reports."""

    class BaseOptions(base_options):  # type: ignore[misc]
        def to_ctypes(self) -> Any:
            options = super().to_ctypes()
            options.ca_bundle_path = str(_NO_CERTIFICATES).encode()
            return options

    return BaseOptions

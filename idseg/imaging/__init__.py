"""Pixels in, pixels out; no models.

cv2 is checked here, once: MediaPipe brings it (see ``pyproject.toml``), and idseg does not name it among its packages.
"""

from idseg.errors import DependencyError

try:
    import cv2  # noqa: F401
except ImportError as error:
    raise DependencyError(
        f"OpenCV (cv2) does not load: {error}. MediaPipe brings it: pip install --force-reinstall --no-deps "
        "opencv-contrib-python; idseg doctor says whether a system library is missing",
        missing="cv2",
    ) from error

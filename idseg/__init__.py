"""idseg: local portrait segmentation for ID photos.

>>> import idseg
>>> result = idseg.segment("selfie.jpg")  # doctest: +SKIP
>>> result.save("out")  # doctest: +SKIP

:func:`segment` answers one photo; a :class:`Segmenter` keeps the models for many. :func:`body_seg_photo` takes what
the cloud API takes and gives what it gives. Importing this package is cheap: the models' libraries load with the
first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["IdsegError", "Options", "Result", "Segmenter", "__version__", "body_seg_photo", "segment"]

if TYPE_CHECKING:
    from idseg.api import body_seg_photo
    from idseg.decode import PhotoLike
    from idseg.errors import IdsegError
    from idseg.pipeline import Options, Segmenter
    from idseg.result import Result

_HOME = {
    "IdsegError": "idseg.errors",
    "Options": "idseg.pipeline",
    "Result": "idseg.result",
    "Segmenter": "idseg.pipeline",
    "body_seg_photo": "idseg.api",
}


def segment(photo: PhotoLike, options: Options | None = None) -> Result:
    """The answer to one photo: a path, bytes, a binary file object, a NumPy array (RGB) or a PIL image.

    Loads the models for this one photo; for more, keep a :class:`Segmenter`.

    Raises:
        InputError: the photo cannot be decoded or breaks the limits.
        PersonError: it does not show exactly one upright person.
    """
    from idseg.pipeline import Segmenter

    with Segmenter(options) as segmenter:
        return segmenter(photo)


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'idseg' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

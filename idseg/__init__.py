"""idseg: local portrait segmentation for ID photos.

>>> import idseg
>>> result = idseg.segment("selfie.jpg")  # doctest: +SKIP
>>> result.save("out")  # doctest: +SKIP

:func:`segment` answers a photo; a :class:`Segmenter` is the same as an object of one's own. :func:`body_seg_photo`
takes what the cloud API takes and gives what it gives. What can be chosen is in :mod:`idseg.segmenter` (Options,
CropOptions, DetectOptions, DecodeLimits), what can be raised in :mod:`idseg.errors`. Importing this package is cheap:
the models' libraries load with the first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idseg._version import __version__

__all__ = ["IdsegError", "Options", "Result", "Segmenter", "__version__", "body_seg_photo", "segment", "to_api"]

if TYPE_CHECKING:
    from idseg.cloud.wire import body_seg_photo
    from idseg.errors import IdsegError
    from idseg.result import Result
    from idseg.segmenter import Options, Segmenter
    from idseg.stages.decode import PhotoLike

_HOME = {
    "IdsegError": "idseg.errors",
    "Options": "idseg.segmenter",
    "Result": "idseg.result",
    "Segmenter": "idseg.segmenter",
    "body_seg_photo": "idseg.cloud.wire",
}


def segment(photo: PhotoLike, options: Options | None = None) -> Result:
    """The answer to one photo: a path, bytes, a binary file object, a NumPy array or a PIL image.

    The channels of an array are red, green, blue (OpenCV's are blue, green, red: turn them with ``array[..., ::-1]``);
    ``Result.notes`` says so. The first call loads the models, later ones with the same options find them loaded; any
    thread may call (:func:`idseg.segmenter.default_segmenter`).

    Raises:
        OptionError, ProviderError: an option is wrong.
        InputError: the photo cannot be decoded or breaks the limits.
        PersonError: it does not show exactly one upright person.
    """
    from idseg.segmenter import default_segmenter

    return default_segmenter(options)(photo)


def to_api(result: Result, log_id: int | None = None) -> dict[str, Any]:
    """The cloud API's JSON of a result as a dictionary; images are base64, coordinates the cut's.

    Args:
        result: what :func:`segment` gave.
        log_id: the reply's id; None: a fresh one.
    """
    from idseg.cloud import wire

    return wire.render(result, wire.new_log_id() if log_id is None else log_id)


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'idseg' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

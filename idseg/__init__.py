"""idseg: local portrait segmentation for ID photos.

>>> import idseg
>>> result = idseg.segment("selfie.jpg")  # doctest: +SKIP
>>> result.save("out")  # doctest: +SKIP

:func:`segment` answers one photo; use a :class:`Segmenter` to hold the models yourself. :func:`body_seg_photo` takes
and returns the same as the cloud API. :mod:`idseg.segmenter` has the options (Options, CropOptions, DetectOptions,
DecodeLimits), :mod:`idseg.errors` the errors. Importing this package is cheap: the models' libraries load on first use.
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
    """Answer one photo: a path, bytes, a binary file object, a NumPy array or a PIL image.

    The channels of an array are red, green, blue (``Result.notes`` says so). OpenCV's are blue, green, red: reverse
    them with ``array[..., ::-1]``. The first call loads the models, and later calls with the same options use them
    again. Thread-safe. See :func:`idseg.segmenter.default_segmenter`.

    Raises:
        OptionError, ProviderError: an option is invalid.
        InputError: the photo cannot be decoded or breaks the limits.
        PersonError: the photo does not show exactly one upright person.
    """
    from idseg.segmenter import default_segmenter

    return default_segmenter(options)(photo)


def to_api(result: Result, log_id: int | None = None) -> dict[str, Any]:
    """The cloud API's JSON for a result, as a dictionary. Images are base64; coordinates refer to the cut.

    Args:
        result: a result of :func:`segment`.
        log_id: id of the reply; None: a new one.
    """
    from idseg.cloud import wire

    return wire.render(result, wire.new_log_id() if log_id is None else log_id)


def __getattr__(name: str) -> object:
    """Import a public name on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'idseg' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

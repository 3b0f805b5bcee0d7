"""All errors that idseg raises on purpose.

::

    IdsegError
    ├── OptionError (ValueError)             an option outside its range
    ├── InputError (ValueError)              the photo itself cannot be used
    │   ├── PhotoTypeError (TypeError)       not a path, bytes, file object, array or PIL image
    │   ├── PhotoReadError (OSError)         the file does not exist or cannot be read
    │   ├── EmptyPhotoError                  the photo is empty
    │   ├── PhotoFormatError                 the format is not supported
    │   ├── PhotoDamagedError                the format is known, but the file does not decode to its end
    │   ├── PhotoSizeError                   too small, too large, too many pixels or bytes
    │   └── Base64Error                      not base64
    ├── PersonError (ValueError)             not exactly one upright person
    │   ├── NoPersonError
    │   ├── MultiplePersonsError
    │   ├── UpsideDownError
    │   └── SidewaysError
    ├── ModelError (RuntimeError)            the model files
    │   ├── ModelMissingError (FileNotFoundError)
    │   ├── ModelDamagedError
    │   └── ModelNameError (KeyError)        the manifest has no such entry
    ├── ProviderError (RuntimeError)         a forced execution provider is not available
    └── DependencyError (ImportError)        a package or system library is missing

Each error has a stable ``reason`` (snake_case, for machines), a message that says what was found and what is allowed
(for people), and ``facts``: the numbers in the message. No error contains pixels or bytes of a photo.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, TypeAlias

Fact: TypeAlias = "str | int | float | list[str] | list[int] | list[list[float]]"


class IdsegError(Exception):
    """Base class of all errors of idseg."""

    reason: ClassVar[str] = "error"

    def __init__(self, message: str, **facts: Fact) -> None:
        super().__init__(message)
        self.message = message
        self.facts: Mapping[str, Fact] = facts

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, dict(self.facts))

    def to_dict(self) -> dict[str, Fact]:
        """``{"reason": …, **facts, "message": …}``, ready for JSON."""
        return {"reason": self.reason, **self.facts, "message": self.message}


def _rebuild(kind: type[IdsegError], message: str, facts: dict[str, Fact]) -> IdsegError:
    return kind(message, **facts)


class OptionError(IdsegError, ValueError):
    """An option is outside its range."""

    reason = "option"


class InputError(IdsegError, ValueError):
    """The photo itself cannot be used."""

    reason = "input"


class PhotoTypeError(InputError, TypeError):
    """The input is not a path, bytes, a binary file object, a NumPy array or a PIL image."""

    reason = "photo_type"


class PhotoReadError(InputError, OSError):
    """The file does not exist or cannot be read."""

    reason = "photo_read"


class EmptyPhotoError(InputError):
    """The photo is empty."""

    reason = "empty_photo"


class PhotoFormatError(InputError):
    """The format is not supported; ``facts["found"]`` describes what was found."""

    reason = "photo_format"


class PhotoDamagedError(InputError):
    """The file starts like a photo but does not decode to its end."""

    reason = "photo_damaged"


class PhotoSizeError(InputError):
    """The photo is too small, too large, or has too many pixels or bytes."""

    reason = "photo_size"


class Base64Error(InputError):
    """The text is not base64."""

    reason = "base64"


class PersonError(IdsegError, ValueError):
    """The photo does not show exactly one upright person; ``facts`` has the number of ``persons`` and other counts."""

    reason = "person"


class NoPersonError(PersonError):
    """The photo shows nobody."""

    reason = "no_person"


class MultiplePersonsError(PersonError):
    """The photo shows two or more people."""

    reason = "multiple_persons"


class UpsideDownError(PersonError):
    """The person is upside down; ``facts["turn_deg"]`` is 180."""

    reason = "upside_down"


class SidewaysError(PersonError):
    """The photo lies on its side; rotating it by ``facts["turn_deg"]`` (90 or -90, clockwise) makes it upright."""

    reason = "sideways"


def turned_error(turn_deg: int) -> PersonError:
    """The error for a photo that a rotation by ``turn_deg`` (90, -90 or 180; > 0 clockwise) makes upright."""
    if turn_deg == 180:
        return UpsideDownError("the person is upside down; turn the photo by 180 degrees", persons=1, turn_deg=180)
    way = "clockwise" if turn_deg > 0 else "counter-clockwise"
    return SidewaysError(f"the photo lies on its side; turn it by 90 degrees {way}", persons=1, turn_deg=turn_deg)


class ModelError(IdsegError, RuntimeError):
    """The model files cannot be used."""

    reason = "model"


class ModelMissingError(ModelError, FileNotFoundError):
    """A file of the manifest is missing."""

    reason = "model_missing"


class ModelDamagedError(ModelError):
    """A file does not have the manifest's SHA-256, or does not load."""

    reason = "model_damaged"


class ModelNameError(ModelError, KeyError):
    """The manifest has no such entry."""

    reason = "model_name"


class ProviderError(IdsegError, RuntimeError):
    """A forced execution provider is not available. idseg never falls back silently."""

    reason = "provider"


class DependencyError(IdsegError, ImportError):
    """A package or a system library is missing; the message has the command that installs it."""

    reason = "dependency"

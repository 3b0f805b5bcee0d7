"""Processes one photo: read, segment, write. Local workers and clusters call the same function."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np

from idseg._version import __version__
from idseg.batch import inputs, products, storage
from idseg.batch.items import LISTED, BatchError, Item, Outcome, number64
from idseg.errors import IdsegError, InputError, OptionError, PersonError, PhotoReadError
from idseg.imaging import encode
from idseg.imaging.colours import Color
from idseg.imaging.resize import scaled
from idseg.models.manifest import MANIFEST, models_folder
from idseg.result import Result
from idseg.segmenter import Options, Segmenter
from idseg.stages.decode import decode
from idseg.stages.matte import resolved
from idseg.types import Size

SegmentBytes: TypeAlias = Callable[[bytes], Result]
Loader: TypeAlias = Callable[[Options], SegmentBytes]
"""Loads the models in a worker. It must be a module-level function, so that it can be pickled."""
Reader: TypeAlias = Callable[[str, int], bytes]
Writer: TypeAlias = Callable[[str, bytes], None]

_THUMBNAIL = Size(200, 240)
"""Maximum size of a thumbnail, px: about 9 KB each, 6 MB for a page of 500."""
_NO_MORE_WRITING = frozenset({errno.ENOSPC, errno.EROFS, errno.EDQUOT})
"""Errors that every later photo would have too. The batch stops, and can be continued when there is space."""
_OPTIONS_WITHOUT_EFFECT = ("threads", "parallel", "provider", "models")
"""Options that do not change the answer. (Another provider changes it by rounding, less than one grey level.)"""


def load(options: Options) -> SegmentBytes:
    """Load the real models and run them once."""
    cv2.setNumThreads(options.threads or 0)
    segmenter = Segmenter(options)
    segmenter.warm()
    return segmenter


@dataclass(frozen=True, slots=True)
class Work:
    """What to do with each photo, and where to write the answers. Can be pickled."""

    out: str
    """Output folder: a local path or an fsspec URL."""
    options: Options = field(default_factory=Options)
    products: tuple[str, ...] = products.DEFAULT
    background: Color | None = None
    thumbnails: str = ""
    """Folder for thumbnails of refused photos; empty: none."""
    shards: bool = False
    """Write the answers of many photos to one Parquet file, instead of a few files per photo."""
    loader: Loader = load

    def signature(self) -> str:
        """Changes when the answers would change: depends on options, products, model files and idseg's version."""
        chosen = {name: value for name, value in asdict(self.options).items() if name not in _OPTIONS_WITHOUT_EFFECT}
        # The two forms of idseg's net differ by more than rounding, so a batch does not mix them.
        chosen["matting_model"] = resolved(self.options.matting_model, self.options.provider)
        folder = self.options.models or models_folder()
        loader = f"{self.loader.__module__}:{self.loader.__qualname__}"
        weights = [_sha256(folder / MANIFEST), _sha256(Path(self.options.matting_model))]
        parts = [__version__, chosen, list(self.products), self.background, loader, weights, self.shards]
        text = json.dumps(parts, sort_keys=True, default=str)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def do(
    item: Item, segment: SegmentBytes, work: Work, read: Reader = inputs.read, write: Writer = storage.write
) -> Outcome:
    """Process one photo and return its outcome, also for any fault of the photo.

    Raises:
        IdsegError: the photo is not the cause (model files, provider).
        BatchError: nothing can be written any more.
    """
    start = time.perf_counter()
    content = b""
    if item.version == LISTED:  # requested before reading, so that the next run notices a change in between
        item = replace(item, version=storage.version(item.source) or LISTED)
    try:
        content = read(item.source, work.options.limits.max_bytes)
        result = segment(content)
        files = products.render(result, item.key, work.products, work.background)
        _write_all(work.out, files, write)
        lengths = {name: len(file) for name, file in files.items()}
        return Outcome(item.key, item.version, "ok", files=lengths, facts=products.facts(result), seconds=_since(start))
    except PhotoReadError as error:
        return Outcome(item.key, item.version, "failed", error.reason, error.message, seconds=_since(start))
    except (InputError, PersonError, OptionError) as error:  # an option that fits no photo was refused before
        _write_thumbnail(content, item, work, error)
        facts = error.to_dict()
        kept_facts = {name: value for name, value in facts.items() if name not in ("reason", "message", "path")}
        return Outcome(
            item.key, item.version, "refused", error.reason, error.message, facts=kept_facts, seconds=_since(start)
        )
    except IdsegError:
        raise
    except OSError as error:
        if error.errno in _NO_MORE_WRITING:
            raise BatchError(f"cannot write to {work.out}: {error.strerror}", path=work.out) from error
        message = f"Cannot write the answer: {error.strerror or error}."
        return Outcome(item.key, item.version, "failed", "write", message, seconds=_since(start))
    except MemoryError:
        message = "Not enough memory for this photo."
        return Outcome(item.key, item.version, "failed", "memory", message, seconds=_since(start))
    except Exception as error:  # noqa: BLE001 - a fault of ours in one photo of a million must not stop the others
        message = f"An error in idseg: {type(error).__name__}: {error}"[:300]
        return Outcome(item.key, item.version, "failed", "fault", message, seconds=_since(start))


def thumbnail_name(key: str) -> str:
    """Name of a photo's thumbnail in the thumbnail folder; spread over 256 subfolders."""
    digits = f"{number64(key):016x}"
    return f"{digits[:2]}/{digits}.jpg"


def _write_all(out: str, files: Mapping[str, bytes], write: Writer) -> None:
    for name, file in files.items():
        write(storage.join(out, name), file)


def _write_thumbnail(content: bytes, item: Item, work: Work, error: IdsegError) -> None:
    """Write a small copy of a refused photo, if it can be decoded and written; otherwise the report has a blank."""
    if not work.thumbnails or not isinstance(error, PersonError):
        return
    with suppress(InputError, OSError):
        rgb = decode(content, work.options.limits).rgb
        height, width = rgb.shape[:2]
        scale = min(1.0, _THUMBNAIL.width / width, _THUMBNAIL.height / height)
        small = np.asarray(scaled(rgb, scale), np.uint8)
        storage.write(storage.join(work.thumbnails, thumbnail_name(item.key)), encode.jpeg(small, quality=75))


def _since(start: float) -> float:
    return round(time.perf_counter() - start, 4)


def _sha256(path: Path) -> str:
    """SHA-256 of a file; empty if the path is not a file."""
    if not os.path.isfile(path):
        return ""
    with open(path, "rb") as file:
        return (
            hashlib.file_digest(file, "sha256").hexdigest()
            if hasattr(hashlib, "file_digest")
            else _sha256_in_chunks(file)
        )


def _sha256_in_chunks(file: Any) -> str:
    """Hash a file without hashlib.file_digest, which Python 3.10 lacks."""
    digest = hashlib.sha256()
    while block := file.read(2**20):
        digest.update(block)
    return digest.hexdigest()

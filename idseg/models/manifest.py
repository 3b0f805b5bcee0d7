"""The model files: one manifest (``models/manifest.toml``) and checked files. Nothing is downloaded.

Every file in ``models/`` has one ``[[model]]`` block with ``name``, ``file``, ``sha256``, ``bytes``, ``task``,
``source`` and ``licence``, and the tables ``input`` and ``output``, which the backends read. A wheel contains the files
as ``idseg/_models``; a checkout has them in ``models/``.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from idseg.errors import ModelDamagedError, ModelMissingError, ModelNameError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MANIFEST = "manifest.toml"
_MEND = "reinstall idseg, or in a checkout run: git checkout -- models"


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One block of the manifest."""

    name: str
    task: str
    """``face-detection``, ``face-landmarks``, ``pose-landmarks``, ``matting``, ``matting-edge``, ``refine``
    or ``colours``."""
    path: Path
    sha256: str
    bytes: int
    source: str
    licence: str
    input: Mapping[str, Any] = field(default_factory=dict)
    """Input tensor facts for the backend: name, size, mean, std, …"""
    output: Mapping[str, Any] = field(default_factory=dict)
    """Output tensor facts for the backend: name, activation, …"""

    def check(self) -> Path:
        """Return the file's path after checking its size and SHA-256 (once per process).

        Raises:
            ModelMissingError: the file does not exist.
            ModelDamagedError: its size or SHA-256 differs from the manifest.
        """
        _check(self.path, self.bytes, self.sha256)
        return self.path


@dataclass(frozen=True, slots=True)
class Manifest:
    """All entries of one ``manifest.toml``."""

    folder: Path
    entries: tuple[ModelEntry, ...]

    def __iter__(self) -> Iterator[ModelEntry]:
        return iter(self.entries)

    def __getitem__(self, name: str) -> ModelEntry:
        for entry in self.entries:
            if entry.name == name:
                return entry
        known = ", ".join(entry.name for entry in self.entries)
        raise ModelNameError(f"no model is called {name!r}; there are: {known}", name=name)


def models_folder() -> Path:
    """The folder of the model files: inside the installed package, or at the top of a checkout."""
    package = Path(__file__).parent.parent
    installed = package / "_models"
    return installed if installed.is_dir() else package.parent / "models"


def load_manifest(folder: Path | None = None) -> Manifest:
    """Read ``manifest.toml`` in ``folder`` (default: :func:`models_folder`).

    Raises:
        ModelMissingError: there is no such file.
        ModelDamagedError: it is not TOML, or a block lacks a key.
    """
    folder = models_folder() if folder is None else folder
    path = folder / MANIFEST
    try:
        blocks = tomllib.loads(path.read_text(encoding="utf-8")).get("model", [])
    except FileNotFoundError:
        raise ModelMissingError(f"no manifest of models at {path}; {_MEND}", path=str(path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelDamagedError(f"{path} is not TOML: {error}", path=str(path)) from None
    return Manifest(folder, tuple(_entry(folder, block) for block in blocks))


def _entry(folder: Path, block: Mapping[str, Any]) -> ModelEntry:
    try:
        return ModelEntry(
            name=block["name"],
            task=block["task"],
            path=folder / block["file"],
            sha256=block["sha256"],
            bytes=block["bytes"],
            source=block["source"],
            licence=block["licence"],
            input=block.get("input", {}),
            output=block.get("output", {}),
        )
    except KeyError as error:
        name = block.get("name", "?")
        raise ModelDamagedError(f"block {name!r} of {folder / MANIFEST} lacks {error}", name=str(name)) from None


@lru_cache(maxsize=64)
def _check(path: Path, size: int, sha256: str) -> None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ModelMissingError(f"the weights {path} are missing; {_MEND}", path=str(path)) from None
    found = hashlib.sha256(content).hexdigest()
    if len(content) != size or found != sha256:
        raise ModelDamagedError(
            f"the weights {path} are damaged: {len(content)} bytes with sha256 {found[:12]}…, "
            f"expected {size} bytes with {sha256[:12]}…; {_MEND}. If you put this file there yourself, its block in "
            f'{MANIFEST} needs: sha256 = "{found}" and bytes = {len(content)}',
            path=str(path),
        )

"""Runs networks with OpenVINO's own runtime, an optional package. Only this file imports it.

``pip install 'idseg[openvino]'``, then choose the provider ``openvino``. It is meant for processors with bfloat16
(AMX, AVX512_BF16), which OpenVINO uses for the nets with floats; elsewhere onnxruntime with 8-bit integers is faster.
The package onnxruntime-openvino is not needed, and would replace onnxruntime's files.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from idseg.errors import ModelDamagedError, ModelMissingError, ProviderError


def installed() -> bool:
    """Whether the package openvino is installed."""
    return find_spec("openvino") is not None


class OpenVinoNet:
    """A loaded network on the CPU; see :class:`idseg.models.onnx.Net`. Thread-safe.

    Args:
        path: the .onnx file.
        threads: threads per run; 0: OpenVINO's choice.

    Raises:
        ModelMissingError: the file does not exist.
        ModelDamagedError: OpenVINO cannot compile the file.
        ProviderError: OpenVINO does not start.
    """

    provider = "openvino"

    def __init__(self, path: Path, *, threads: int = 0) -> None:
        if not path.is_file():
            raise ModelMissingError(f"the weights {path} are missing", path=str(path))
        options: dict[str, Any] = {"NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False}
        if threads:
            options["INFERENCE_NUM_THREADS"] = threads
        core = _core()
        try:
            self._compiled = core.compile_model(str(path), "CPU", options)
        except RuntimeError as error:
            raise ModelDamagedError(f"OpenVINO does not compile {path}: {str(error)[:200]}", path=str(path)) from None
        self.path = path
        self.inputs: tuple[str, ...] = tuple(map(_name, self._compiled.inputs))
        self.outputs: tuple[str, ...] = tuple(map(_name, self._compiled.outputs))
        self._idle: list[Any] = []
        """Requests that no thread uses; each holds the memory of one run."""

    def __call__(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Run once."""
        request = None
        with suppress(IndexError):
            request = self._idle.pop()
        if request is None:
            request = self._compiled.create_infer_request()
        found = request.infer({name: np.asarray(value, np.float32) for name, value in feeds.items()})
        values = {name: np.array(found[name]) for name in self.outputs}
        self._idle.append(request)
        return values


def _name(port: Any) -> str:
    """The port's name in the file. OpenVINO adds those of inner nodes, which begin with a slash."""
    names: set[str] = port.get_names()
    return min(names, key=lambda name: (name.startswith("/"), name))


@cache
def _core() -> Any:
    try:
        return importlib.import_module("openvino").Core()
    except (ImportError, OSError, RuntimeError) as error:
        raise ProviderError(f"OpenVINO does not start: {error}", asked="openvino") from error

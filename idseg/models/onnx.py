"""Runs networks with ONNX Runtime, which only this file imports, or with OpenVINO.

A session is thread-safe, so all threads of a process share one. ONNX Runtime's busy waiting is off, because it makes a
run several times slower when another process uses the CPU.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as _state

from idseg.errors import ModelDamagedError, ModelMissingError, ProviderError
from idseg.models import openvino
from idseg.system import usable_cores

# Our short names of the execution providers, in the order in which "auto" prefers them.
PROVIDERS: Mapping[str, str] = {
    "cuda": "CUDAExecutionProvider",
    "rocm": "ROCMExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
# Providers that "auto" may choose. The others convert the graph on every start, or change results beyond rounding.
_AUTO = ("cuda", "cpu")
_LOG_FATAL = 4  # ORT_LOGGING_LEVEL_FATAL: failures are raised, not printed

# Errors that onnxruntime raises for a file that is not a usable model (they share no base class below Exception).
_BROKEN: tuple[type[Exception], ...] = (
    _state.Fail,
    _state.InvalidArgument,
    _state.InvalidGraph,
    _state.InvalidProtobuf,
    _state.NotImplemented,
    _state.RuntimeException,
)
_PROCESS = os.getpid()
"""The process that imported this file. The child of a fork does not use its parent's arena, because another thread may
have held its lock."""
_DTYPES: Mapping[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
}


class Net(Protocol):
    """A loaded network. ``net({"rgb": array})`` returns all outputs by name."""

    path: Path
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def provider(self) -> str:
        """Short name of the provider that actually runs the net."""

    def __call__(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Run once. Each array is cast to the element type of its input."""


def load_net(path: Path, *, provider: str = "auto", threads: int = 0, arena: bool = False) -> Net:
    """Load a network: with OpenVINO's own runtime if it was chosen and onnxruntime lacks it, else with onnxruntime.

    Arguments and errors are those of :class:`OnnxNet`.
    """
    if provider == "openvino" and openvino.installed() and PROVIDERS[provider] not in _present():
        return openvino.OpenVinoNet(path, threads=threads)
    return OnnxNet(path, provider=provider, threads=threads, arena=arena)


def check_names(net: Net, inputs: Collection[str], outputs: Collection[str]) -> None:
    """Compare a net's inputs and outputs with those that its block in the manifest names.

    Raises:
        ModelDamagedError: its inputs are others, or an output is missing.
    """
    if set(net.inputs) != set(inputs) or not set(outputs) <= set(net.outputs):
        raise ModelDamagedError(
            f"{net.path.name} has inputs {net.inputs} and outputs {net.outputs}", path=str(net.path)
        )


class OnnxNet:
    """A network that onnxruntime runs; see :class:`Net`.

    Args:
        path: the .onnx file.
        provider: a key of ``PROVIDERS`` to force one, or ``"auto"``.
        threads: threads per run; 0: one per core that this process may use.
        arena: keep the memory of a run for the next one, of this or another net. Without it the kernel clears new
            memory for each run, which takes 3 % of the time of our nets; large nets would keep a gigabyte.

    Raises:
        ModelMissingError: the file does not exist.
        ModelDamagedError: ONNX Runtime cannot load the file.
        ProviderError: the forced provider is not available or did not start.
    """

    def __init__(self, path: Path, *, provider: str = "auto", threads: int = 0, arena: bool = False) -> None:
        if not path.is_file():
            raise ModelMissingError(f"the weights {path} are missing", path=str(path))
        names = _provider_names(provider)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _LOG_FATAL
        options.intra_op_num_threads = threads or _fewer_cores()
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Photos differ in size, so a pattern, which plans the memory for one size of input, saves nothing.
        options.enable_mem_pattern, options.enable_cpu_mem_arena = False, arena
        if arena and os.getpid() == _PROCESS:
            _make_shared_arena()
            options.add_session_config_entry("session.use_env_allocators", "1")
        onnxruntime.disable_telemetry_events()
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=names)
        except _BROKEN as error:
            raise ModelDamagedError(
                f"{path} does not load as an ONNX model: {str(error)[:200]}", path=str(path)
            ) from None
        self.path = path
        self.inputs: tuple[str, ...] = tuple(node.name for node in self._session.get_inputs())
        self.outputs: tuple[str, ...] = tuple(node.name for node in self._session.get_outputs())
        if provider != "auto" and self.provider != provider:
            raise ProviderError(
                f"the execution provider {provider!r} was asked for, but {path.name} runs on {self.provider!r}",
                asked=provider,
                found=self.provider,
            )

    @cached_property
    def provider(self) -> str:
        """Short name of the provider that actually runs the net."""
        return _short(str(self._session.get_providers()[0]))

    @cached_property
    def _dtypes(self) -> dict[str, type[np.generic]]:
        return {node.name: _DTYPES.get(node.type, np.float32) for node in self._session.get_inputs()}

    def __call__(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Run once. Each array is cast to the element type of its input (float16 nets accept float32)."""
        cast = {name: np.asarray(value, self._dtypes[name]) for name, value in feeds.items()}
        return dict(zip(self.outputs, self._session.run(None, cast), strict=True))


@cache
def _make_shared_arena() -> None:
    """Make one arena for all nets of the process. Two arenas, of the coarse net and the refiner, take 20 MB more."""
    kind, where = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, onnxruntime.OrtMemType.DEFAULT
    onnxruntime.create_and_register_allocator(onnxruntime.OrtMemoryInfo("Cpu", kind, 0, where), None)


def _fewer_cores() -> int:
    """Number of usable cores if an affinity or a container's quota limits them, because ONNX Runtime ignores these
    limits; else 0, with which it uses one thread per physical core."""
    cores = usable_cores()
    return cores if cores < (os.cpu_count() or 1) else 0


def available_providers() -> tuple[str, ...]:
    """Short names of the execution providers of the installed onnxruntime, and of OpenVINO's own runtime."""
    present = _present() | ({PROVIDERS["openvino"]} if openvino.installed() else set())
    return tuple(short for short, name in PROVIDERS.items() if name in present)


def _present() -> set[str]:
    return set(onnxruntime.get_available_providers())


def first_provider(provider: str = "auto") -> str:
    """Short name of the execution provider that is tried first.

    Raises:
        ProviderError: the forced provider is not available.
    """
    return _short(_provider_names(provider)[0])


def suits_integers(provider: str = "auto") -> bool:
    """Whether nets in 8-bit integers suit the provider that is tried first: on CPUs they take 54 to 80 % of the time.

    Raises:
        ProviderError: the forced provider is not available.
    """
    return first_provider(provider) == "cpu"


def _short(name: str) -> str:
    """Our name for an ONNX Runtime provider; its own name if we have none."""
    return next((short for short, full in PROVIDERS.items() if full == name), name)


def _provider_names(provider: str) -> list[str]:
    """ONNX Runtime's names for one of ours, followed by the CPU, which runs the operators that a GPU lacks."""
    available = available_providers()
    if provider == "auto":
        return [PROVIDERS[short] for short in _AUTO if short in available]
    if provider not in available:
        raise ProviderError(
            f"the execution provider {provider!r} is not available; there are {', '.join(available)}",
            asked=provider,
            available=list(available),
        )
    return [PROVIDERS[provider]] if provider == "cpu" else [PROVIDERS[provider], PROVIDERS["cpu"]]

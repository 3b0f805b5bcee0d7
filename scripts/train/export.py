"""Stage "export": write ONNX files with half-precision weights and compare them with torch."""

# torch and onnx are not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from scripts.train.detail import DetailNet, PublishedDetail
from scripts.train.layout import rewrite
from scripts.train.nets import FEATURES, CoarseNet, PublishedCoarse

OPSET = 17
_SMALLEST_HALVED = 256  # elements; scales and biases stay float32


def halve_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store large float32 weights as float16 with a Cast each; ONNX Runtime folds the casts when it loads the file.

    All arithmetic stays float32. Only the stored values are rounded (relative error below 2**-11).
    """
    casts = []
    for index, tensor in enumerate(model.graph.initializer):
        if tensor.data_type != TensorProto.FLOAT or int(np.prod(tensor.dims)) < _SMALLEST_HALVED:
            continue
        stored = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name + "_half")
        casts.append(helper.make_node("Cast", [stored.name], [tensor.name], to=TensorProto.FLOAT))
        model.graph.initializer[index].CopyFrom(stored)
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def export(
    net: nn.Module, examples: dict[str, torch.Tensor], path: Path, *, outputs: tuple[str, ...] = ("alpha",), note: str
) -> float:
    """Write ``path``; returns the largest difference between torch and ONNX Runtime on the examples.

    Args:
        net: inputs and outputs are NCHW with free height and width.
        examples: the inputs by name, in order.
        path: the file to write.
        outputs: names of the outputs; only the first is compared.
        note: text to store in the file.
    """
    net.eval()
    beside = path.with_suffix(".part")
    names = (*examples, *outputs)
    # Axes of the same size share a name; axes of half the size have other names.
    free = {name: {0: "n", 2: f"{_scale(name)}height", 3: f"{_scale(name)}width"} for name in names}
    with warnings.catch_warnings():
        # The tracing exporter is deprecated, but the new one needs onnxscript and fixes the free axes.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            net,
            tuple(examples.values()),
            str(beside),
            input_names=list(examples),
            output_names=list(outputs),
            dynamic_axes=free,
            opset_version=OPSET,
            dynamo=False,
        )
    model = rewrite(halve_weights(onnx.load(str(beside))))
    helper.set_model_props(model, {"licence": "Apache-2.0", "note": note})
    onnx.checker.check_model(model)
    onnx.save(model, str(beside))
    beside.replace(path)
    with torch.no_grad():
        found = net(*examples.values())
    expected = (found[0] if isinstance(found, tuple) else found).numpy()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    first = session.run([outputs[0]], {name: example.numpy() for name, example in examples.items()})[0]
    return float(np.abs(first - expected).max())


def export_coarse(net: CoarseNet, size: tuple[int, int], path: Path, note: str) -> float:
    """Call :func:`export` for a coarse net with its features; ``size``: width and height of the example."""
    examples = {"rgb": torch.randn(1, 3, size[1], size[0], generator=torch.Generator().manual_seed(0))}
    return export(PublishedCoarse(net), examples, path, outputs=("alpha", "features"), note=note)


def export_detail(net: DetailNet, path: Path, note: str) -> float:
    """Call :func:`export` for a detail net."""
    chance = torch.Generator().manual_seed(0)
    examples = {
        "rgb": torch.randn(1, 3, 64, 64, generator=chance),
        "coarse": torch.rand(1, 1, 64, 64, generator=chance),
        "features": torch.randn(1, FEATURES, 32, 32, generator=chance),
    }
    return export(PublishedDetail(net), examples, path, note=note)


def _scale(name: str) -> str:
    return "half_" if name == "features" else ""


def facts(path: Path) -> tuple[int, str]:
    """Size in bytes and SHA-256 of a file, as in the manifest."""
    content = path.read_bytes()
    return len(content), hashlib.sha256(content).hexdigest()


def report(path: Path, difference: float | None = None) -> None:
    """Print a file's manifest values, and the difference between torch and ONNX Runtime."""
    size, sha256 = facts(path)
    print(f"{path.name}: {size} bytes, sha256 {sha256}")
    if difference is not None:
        print(f"torch and ONNX Runtime differ by at most {difference:.2g}")

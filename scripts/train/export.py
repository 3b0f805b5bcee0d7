"""Stage "export": ONNX files with half-precision weights, checked against torch."""

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

OPSET = 17
_SMALLEST_HALVED = 256  # elements; scales and biases stay float32


def halve_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store large float32 weights as float16 with a Cast each; ONNX Runtime folds the casts when it loads.

    All arithmetic stays float32: only the stored values are rounded (relative error below 2**-11).
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


def export(net: nn.Module, example: torch.Tensor, path: Path, *, name: str, note: str) -> float:
    """Write ``path``; returns the largest difference between torch and ONNX Runtime on the example.

    The net has one input and one output, NCHW, with free height and width.
    """
    net.eval()
    beside = path.with_suffix(".part")
    free = {0: "n", 2: "height", 3: "width"}
    with warnings.catch_warnings():
        # The tracing exporter is deprecated, but the other needs onnxscript and unrolls the free axes.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            net,
            (example,),
            str(beside),
            input_names=[name],
            output_names=["alpha"],
            dynamic_axes={name: free, "alpha": free},
            opset_version=OPSET,
            dynamo=False,
        )
    model = halve_weights(onnx.load(str(beside)))
    helper.set_model_props(model, {"licence": "Apache-2.0", "note": note})
    onnx.checker.check_model(model)
    onnx.save(model, str(beside))
    beside.replace(path)
    with torch.no_grad():
        expected = net(example).numpy()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run(None, {name: example.numpy()})[0]
    return float(np.abs(found - expected).max())


def facts(path: Path) -> tuple[int, str]:
    """Bytes and sha256, as the manifest wants them."""
    content = path.read_bytes()
    return len(content), hashlib.sha256(content).hexdigest()

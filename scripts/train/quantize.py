"""Writes nets in 8-bit integers for CPUs, which take less time and about half the size; the stage "quantize".

Static quantisation after training (Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference"): uint8 activations, int8 weights with a scale per output channel, and ranges from
training pictures. Weights use 7 bits, because the 16-bit sums of CPUs without VNNI saturate on 8 (ONNX Runtime's
documentation, "Quantize ONNX models", "When to use reduce-range"). Some layers stay float32, because quantising them
causes most of the error: the stem, the first two blocks, the last convolution and the arithmetic of the outputs of the
coarse net and the glance net; the layers at full size, the last convolution and the arithmetic of the outputs of the
detail net. Before, ``balance`` gives joined tensors equal ranges.
"""

# torch and onnx are not in the environment that checks types.
# mypy: disable-error-code="import-not-found,import-untyped,misc,no-any-return,unused-ignore"

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from scripts.train import data
from scripts.train.balance import balance
from scripts.train.coarse import CoarseConfig, batches

Feeds = dict[str, NDArray[np.float32]]
"""A net's inputs by name."""

_COARSE_FLOAT = ("/_conv_stem/", "/_blocks.0/", "/_blocks.1/", "/fold/", "/head/", "/shuffle/", "/Sigmoid", "/Mul")
"""Name parts of the nodes of the coarse net and the glance net that stay float32."""
DETAIL_FLOAT = (
    *("/net/full/", "/net/choice/", "/net/unfold"),
    *("/net/Concat", "/net/Slice", "/net/Mul", "/net/Add", "/net/Sub", "/net/Sigmoid", "/Clip"),
)
"""The same of the detail net."""


class _Samples(CalibrationDataReader):
    """Gives samples to ONNX Runtime's calibration: one per call, then None."""

    def __init__(self, samples: Iterator[Feeds]) -> None:
        self._samples = samples

    def get_next(self) -> Feeds | None:
        return next(self._samples, None)


def pictures(pool: data.Material, config: CoarseConfig, count: int) -> Iterator[Feeds]:
    """Training pictures of the stage ``config``, normalised (1, 3, H, W), in its first shape."""
    rng = np.random.default_rng(config.seed)
    stream = batches(config, pool, 0)
    for _ in range(count):
        rgb, _, _ = stream.sample(stream.shapes[0], rng)
        yield {"rgb": data.normalise(rgb)[None]}


def quantize(source: Path, path: Path, samples: Iterator[Feeds], floats: tuple[str, ...] = _COARSE_FLOAT) -> None:
    """Quantise a net.

    Args:
        source: the float net.
        path: the file to write.
        samples: inputs that give the ranges of the activations.
        floats: name parts of the nodes that stay float32.
    """
    beside = path.with_suffix(".part")
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.onnx"
        options = onnxruntime.SessionOptions()
        # This level folds the casts of the weights.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.log_severity_level = 3  # errors; it would warn of unused constants
        options.optimized_model_filepath = str(plain)
        onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
        model = onnx.load(str(plain))
        kept = list(samples)
        onnx.save(balance(model, kept), str(plain))
        logging.disable(logging.WARNING)  # hides the advice to run shape inference, which is not needed here
        try:
            quantize_static(
                str(plain),
                str(beside),
                _Samples(iter(kept)),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=[node.name for node in model.graph.node if any(part in node.name for part in floats)],
            )
        finally:
            logging.disable(logging.NOTSET)
    quantized = onnx.load(str(beside))
    props = {prop.key: prop.value for prop in onnx.load(str(source)).metadata_props}
    del quantized.metadata_props[:]
    helper.set_model_props(quantized, props)
    onnx.checker.check_model(quantized)
    onnx.save(quantized, str(beside))
    beside.replace(path)

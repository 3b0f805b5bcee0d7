"""Build the MediaPipe files in ``models/`` and their manifest blocks from one pinned wheel.

    python -m scripts.build_models            # downloads mediapipe 0.10.21 with pip and unpacks the networks
    python -m scripts.build_models --wheel W  # uses a local wheel
    python -m scripts.build_models --check    # builds, compares with models/, writes nothing

mediapipe >= 1.2 ships no models; the last wheels of the old series contain them under Apache-2.0. The Tasks API accepts
the face detectors unchanged, and two-stage models as one ``.task`` zip file. Two networks must be adapted first:

* The pose landmark net has no TFLite metadata (its input normalisation). The script adds them.
* The face mesh net returns 468 points. The Tasks API expects 478 (the last ten are irises), and reads a shorter output
  as two-dimensional points. A PAD operation appends zeros for the ten points, which the backend drops.
* The pose landmark net also computes a mask of the body, which idseg does not use. The script removes the operations
  that only the mask needs, a fifth of the time. The Tasks API counts the outputs, so the heatmap takes its place.

No weight is changed, and the points and scores are the same to the bit.

The same wheel and flatbuffers version give the same bytes: zip entries are stored, 4-byte aligned (MediaPipe maps them
into memory) and dated 1980-01-01.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import re
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import numpy as np

MEDIAPIPE = "0.10.21"
"""The last release whose wheel contains the full-range face detector and the pose models."""
PYTHON, PLATFORM = "3.11", "manylinux_2_28_x86_64"
"""The wheel to download. All wheels contain the same models; a fixed one can be downloaded by every Python."""
SOURCE_SHA256 = {
    "face_detection/face_detection_full_range_sparse.tflite": (
        "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1"
    ),
    "face_detection/face_detection_short_range.tflite": (
        "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8"
    ),
    "face_landmark/face_landmark.tflite": ("1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814"),
    "pose_detection/pose_detection.tflite": ("9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c"),
    "pose_landmark/pose_landmark_full.tflite": ("e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f"),
}
"""The networks in the wheel, below ``mediapipe/modules/``, with their SHA-256."""
SCHEMAS = ("schema_py_generated", "metadata_schema_py_generated")
"""Pure Python modules that read and write the TFLite and metadata flatbuffers (``mediapipe/tasks/metadata/``)."""

METADATA = b"TFLITE_METADATA"
"""Name of the buffer in which the Tasks API expects the metadata."""

MODELS = Path(__file__).parent.parent / "models"
BEGIN = "# --- MediaPipe: written by scripts/build_models.py ---"
END = "# --- end of MediaPipe ---"


@dataclass(frozen=True)
class Net:
    """One network and the normalisation of its input: (uint8 - mean) / std."""

    source: str
    size: tuple[int, int]
    """Input (width, height)."""
    mean: float
    std: float
    has_metadata: bool = True
    """Whether the file already states the normalisation (the script then checks that it equals ours)."""
    padding: int = 0
    """Number of zeros to append to the last axis of the first output."""
    unused: tuple[int, int] | None = None
    """Index of an output to remove, and that of the output that takes its place."""


@dataclass(frozen=True)
class Target:
    """One output file: a single network (``.tflite``) or a bundle of several (``.task``)."""

    name: str
    task: str
    file: str
    nets: Mapping[str, Net]
    """Entry name in the bundle (defined by the Tasks API) → network. A ``.tflite`` has one network."""
    output: Mapping[str, object]
    """The manifest's ``output`` table: values that the backend or a reader needs."""


# Mean and std come from the networks' own metadata. pose_landmark_full has none; the legacy graph scaled its input to
# 0..1 (pose_landmark_by_roi_cpu.pbtxt of the same release: output_tensor_float_range { min: 0.0 max: 1.0 }).
SHORT = Net("face_detection/face_detection_short_range.tflite", (128, 128), 127.5, 127.5)
FULL = Net("face_detection/face_detection_full_range_sparse.tflite", (192, 192), 127.5, 127.5)
MESH = Net("face_landmark/face_landmark.tflite", (192, 192), 0.0, 255.0, padding=(478 - 468) * 3)
POSE_DETECTOR = Net("pose_detection/pose_detection.tflite", (224, 224), 127.5, 127.5)
# Outputs: points, presence of a body, mask, heatmap, points in metres (pose_landmark_by_roi_cpu.pbtxt).
POSE_FULL = Net("pose_landmark/pose_landmark_full.tflite", (256, 256), 0.0, 255.0, has_metadata=False, unused=(2, 3))

TARGETS = (
    Target("face-short", "face-detection", "face_short.tflite", {"": SHORT}, {"points": 6, "range_m": 2.0}),
    Target("face-full", "face-detection", "face_full.tflite", {"": FULL}, {"points": 6, "range_m": 5.0}),
    Target(
        "face-mesh",
        "face-landmarks",
        "face_mesh.task",
        {"face_detector.tflite": SHORT, "face_landmarks_detector.tflite": MESH},
        {"points": 478, "used": 468},
    ),
    Target(
        "pose-full",
        "pose-landmarks",
        "pose_full.task",
        {"pose_detector.tflite": POSE_DETECTOR, "pose_landmarks_detector.tflite": POSE_FULL},
        {"points": 33},
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--wheel", type=Path, help=f"local wheel of mediapipe {MEDIAPIPE}; downloaded with pip if not given"
    )
    parser.add_argument("--models", type=Path, default=MODELS, help="folder to write to (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="compare with the files in that folder, write nothing")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wheel = options.wheel or download(Path(folder))
        files = build(wheel)
    manifest = options.models / "manifest.toml"
    files["manifest.toml"] = with_section(manifest.read_text("utf-8"), manifest_section(files)).encode()
    if options.check:
        changed = [name for name, content in files.items() if _read(options.models / name) != content]
        sys.exit(f"differs from a fresh build: {', '.join(changed)}" if changed else None)
    for name, content in files.items():
        (options.models / name).write_bytes(content)
        print(f"{options.models / name}: {len(content)} bytes")


def download(folder: Path) -> Path:
    """Download the pinned wheel with pip into ``folder``."""
    pip = [sys.executable, "-m", "pip", "download", f"mediapipe=={MEDIAPIPE}", "--no-deps", "--dest", str(folder)]
    fixed = ["--only-binary=:all:", f"--python-version={PYTHON}", f"--platform={PLATFORM}"]
    subprocess.run([*pip, *fixed], check=True)
    return next(folder.glob("mediapipe-*.whl"))


def build(wheel: Path) -> dict[str, bytes]:
    """File name → content of all output files.

    Raises:
        SystemExit: a network in the wheel does not have the pinned SHA-256.
    """
    with zipfile.ZipFile(wheel) as archive:
        nets = {source: archive.read(f"mediapipe/modules/{source}") for source in SOURCE_SHA256}
        tflite, metadata = (_module(name, archive.read(f"mediapipe/tasks/metadata/{name}.py")) for name in SCHEMAS)
    for source, content in nets.items():
        found = hashlib.sha256(content).hexdigest()
        if found != SOURCE_SHA256[source]:
            sys.exit(f"{wheel}: {source} has sha256 {found}, expected {SOURCE_SHA256[source]}")
    files = {}
    for target in TARGETS:
        described = {
            entry: described_net(nets[net.source], net, tflite, metadata) for entry, net in target.nets.items()
        }
        files[target.file] = described[""] if "" in described else bundle(described)
    return files


def described_net(content: bytes, net: Net, tflite: ModuleType, metadata: ModuleType) -> bytes:
    """The network with its normalisation in its metadata: unchanged if the metadata exist, else with ours added.

    Raises:
        SystemExit: the existing metadata differ from ``net``.
    """
    model = tflite.ModelT.InitFromObj(tflite.Model.GetRootAsModel(content, 0))
    own = [bytes(model.buffers[entry.buffer].data) for entry in model.metadata or [] if entry.name == METADATA]
    if net.unused is not None:
        model = without_output(model, *net.unused)
    if not net.has_metadata and not own:
        return packed(with_metadata(model, metadata_buffer(metadata, net), tflite))
    root = metadata.ModelMetadataT.InitFromObj(metadata.ModelMetadata.GetRootAsModelMetadata(own[0], 0))
    options = root.subgraphMetadata[0].inputTensorMetadata[0].processUnits[0].options
    if (*options.mean, *options.std) != (net.mean, net.std):
        sys.exit(f"{net.source} says mean {options.mean}, std {options.std}; expected {net.mean} and {net.std}")
    return packed(with_padding(model, net.padding, tflite)) if net.padding else content


def metadata_buffer(schema: ModuleType, net: Net) -> bytes:
    """TFLite metadata flatbuffer for a network whose input is one RGB picture."""
    normalisation = schema.NormalizationOptionsT()
    normalisation.mean, normalisation.std = [net.mean], [net.std]
    unit = schema.ProcessUnitT()
    unit.optionsType, unit.options = schema.ProcessUnitOptions.NormalizationOptions, normalisation
    picture = schema.ImagePropertiesT()
    picture.colorSpace = schema.ColorSpaceType.RGB
    content = schema.ContentT()
    content.contentPropertiesType, content.contentProperties = schema.ContentProperties.ImageProperties, picture
    tensor = schema.TensorMetadataT()
    tensor.name, tensor.content, tensor.processUnits = "image", content, [unit]
    graph = schema.SubGraphMetadataT()
    graph.inputTensorMetadata = [tensor]
    model = schema.ModelMetadataT()
    model.name, model.subgraphMetadata = Path(net.source).stem, [graph]
    model.license, model.minParserVersion = "Apache-2.0", "1.0.0"
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"M001")
    return bytes(builder.Output())


def with_metadata(model: Any, metadata: bytes, schema: ModuleType) -> Any:
    """The model with ``metadata`` as its TFLITE_METADATA buffer; nothing else changes."""
    entry = schema.MetadataT()
    entry.name, entry.buffer = METADATA, _add_buffer(model, metadata, schema)
    model.metadata = [*(model.metadata or []), entry]
    return model


def with_padding(model: Any, zeros: int, schema: ModuleType) -> Any:
    """The model with ``zeros`` zeros appended to the last axis of its first output; nothing else changes."""
    graph = model.subgraphs[0]
    output = graph.tensors[graph.outputs[0]]
    before_after = np.zeros((len(output.shape), 2), np.int32)
    before_after[-1, 1] = zeros
    amounts, padded = schema.TensorT(), schema.TensorT()
    amounts.name, amounts.type, amounts.shape = "padding", schema.TensorType.INT32, list(before_after.shape)
    amounts.buffer = _add_buffer(model, before_after.astype("<i4").tobytes(), schema)
    padded.name, padded.type, padded.shape = "padded", output.type, [*output.shape[:-1], output.shape[-1] + zeros]
    graph.tensors += [amounts, padded]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.PAD
    code.version = 1
    model.operatorCodes.append(code)
    pad = schema.OperatorT()
    pad.opcodeIndex = len(model.operatorCodes) - 1
    pad.inputs, pad.outputs = [graph.outputs[0], len(graph.tensors) - 2], [len(graph.tensors) - 1]
    pad.builtinOptionsType, pad.builtinOptions = schema.BuiltinOptions.PadOptions, schema.PadOptionsT()
    graph.operators.append(pad)
    graph.outputs = [len(graph.tensors) - 1, *graph.outputs[1:]]
    return model


def without_output(model: Any, output: int, instead: int) -> Any:
    """The model without the operations that only one output needs; another output takes its place in the list.

    The weights of those operations stay in the file.
    """
    graph = model.subgraphs[0]
    outputs = list(graph.outputs)
    outputs[output] = outputs[instead]
    makers = {tensor: number for number, operator in enumerate(graph.operators) for tensor in operator.outputs}
    needed, left = set(), [makers[tensor] for tensor in outputs]
    while left:
        number = left.pop()
        if number not in needed:
            needed.add(number)
            left += [makers[tensor] for tensor in graph.operators[number].inputs if tensor in makers]
    graph.operators = [operator for number, operator in enumerate(graph.operators) if number in needed]
    graph.outputs = outputs
    return model


def packed(model: Any) -> bytes:
    """The bytes of a ``.tflite`` file."""
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _add_buffer(model: Any, content: bytes, schema: ModuleType) -> int:
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(content, np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def bundle(entries: Mapping[str, bytes]) -> bytes:
    """A ``.task`` file: a zip of stored entries whose contents start at multiples of 4 bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, content in entries.items():
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3  # always Unix, for equal bytes on all systems
            begin = out.tell() + 30 + len(name)  # 30: the local header's fixed part, APPNOTE.TXT 4.3.7
            # The padding is a zip extra field: id 0xD935 (as Android's zipalign), size, alignment, zeros.
            padding = 2 + (-begin - 6) % 4
            info.extra = struct.pack("<HHH", 0xD935, padding, 4) + bytes(padding - 2)
            archive.writestr(info, content)
    return out.getvalue()


def manifest_section(files: Mapping[str, bytes]) -> str:
    """The ``[[model]]`` blocks of all targets, between BEGIN and END."""
    blocks = [_block(target, files[target.file]) for target in TARGETS]
    return "\n".join([BEGIN, "", *blocks, END])


def with_section(manifest: str, section: str) -> str:
    """The manifest with its MediaPipe section replaced, or appended if there is none."""
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    if pattern.search(manifest):
        return pattern.sub(lambda _: section, manifest)
    return f"{manifest.rstrip()}\n\n{section}\n"


def _block(target: Target, content: bytes) -> str:
    nets = [
        f'{{ net = "{Path(net.source).name}", size = [{net.size[0]}, {net.size[1]}], '
        f'colour = "RGB", mean = {net.mean}, std = {net.std} }}'
        for net in target.nets.values()
    ]
    output = ", ".join(f"{key} = {value}" for key, value in target.output.items())
    lines = [
        "[[model]]",
        f'name = "{target.name}"',
        f'task = "{target.task}"',
        f'file = "{target.file}"',
        f'sha256 = "{hashlib.sha256(content).hexdigest()}"',
        f"bytes = {len(content)}",
        f'source = "mediapipe {MEDIAPIPE} (PyPI), mediapipe/modules"',
        'licence = "Apache-2.0"',
        "input = { nets = [",
        *(f"    {net}," for net in nets),
        "] }",
        f"output = {{ {output} }}",
    ]
    return "\n".join(lines) + "\n"


def _module(name: str, source: bytes) -> ModuleType:
    """Load a pure Python module from the wheel, without installing the wheel."""
    module = ModuleType(name)
    exec(compile(source, f"{name}.py", "exec"), module.__dict__)  # noqa: S102 - out of the pinned wheel
    return module


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


if __name__ == "__main__":
    main()

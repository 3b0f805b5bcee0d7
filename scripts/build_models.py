"""Make the MediaPipe files in ``models/`` and their manifest blocks, from one pinned wheel.

    python -m scripts.build_models            # pip downloads mediapipe 0.10.21 and unpacks what is needed
    python -m scripts.build_models --wheel W  # the same from a wheel that is already here
    python -m scripts.build_models --check    # build, compare with models/, write nothing

mediapipe >= 1.2 ships no models; the last wheels of the old series hold them under Apache-2.0. The Tasks API takes the
face detectors as they are and two-stage models as one ``.task`` zip. Two networks need a word before it takes them:

* the pose landmark net lacks TFLite metadata (its input normalisation): it gets some;
* the face mesh net gives 468 points, and the Tasks API reads any output as 478 (ten of them irises), in two dimensions
  where there are too few numbers for three: a PAD operation appends zeros for the ten, which the backend drops.

No weight changes.

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
"""The last release whose wheel has the full-range face detector and the pose models inside."""
PYTHON, PLATFORM = "3.11", "manylinux_2_28_x86_64"
"""Which of its wheels: the models are the same bytes in all; a fixed one downloads under every Python."""
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
"""The networks inside the wheel, below ``mediapipe/modules/``."""
SCHEMAS = ("schema_py_generated", "metadata_schema_py_generated")
"""Pure Python readers and writers of the TFLite and metadata flatbuffers, below ``mediapipe/tasks/metadata/``."""

METADATA = b"TFLITE_METADATA"
"""Name of the buffer that the Tasks API looks for."""

MODELS = Path(__file__).parent.parent / "models"
BEGIN = "# --- MediaPipe: written by scripts/build_models.py ---"
END = "# --- end of MediaPipe ---"


@dataclass(frozen=True)
class Net:
    """One network and how its input is normalised: (uint8 - mean) / std."""

    source: str
    size: tuple[int, int]
    """Input (width, height)."""
    mean: float
    std: float
    has_metadata: bool = True
    """Whether Google wrote the normalisation into the file (then it is checked against ours)."""
    padding: int = 0
    """Zeros to append to the first output's last axis."""


@dataclass(frozen=True)
class Target:
    """One file to make: a single network (``.tflite``) or several in a bundle (``.task``)."""

    name: str
    task: str
    file: str
    nets: Mapping[str, Net]
    """Entry name in the bundle (fixed by the Tasks API) → network; one net for a ``.tflite``."""
    output: Mapping[str, object]
    """What the backend reads or a person wants to know; goes to the manifest's ``output`` table."""


# Mean and std: what the networks' own metadata say. pose_landmark_full has none: the legacy graph fed it 0..1
# (pose_landmark_by_roi_cpu.pbtxt of the same release: output_tensor_float_range { min: 0.0 max: 1.0 }).
SHORT = Net("face_detection/face_detection_short_range.tflite", (128, 128), 127.5, 127.5)
FULL = Net("face_detection/face_detection_full_range_sparse.tflite", (192, 192), 127.5, 127.5)
MESH = Net("face_landmark/face_landmark.tflite", (192, 192), 0.0, 255.0, padding=(478 - 468) * 3)
POSE_DETECTOR = Net("pose_detection/pose_detection.tflite", (224, 224), 127.5, 127.5)
POSE_FULL = Net("pose_landmark/pose_landmark_full.tflite", (256, 256), 0.0, 255.0, has_metadata=False)

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
        "--wheel", type=Path, help=f"a wheel of mediapipe {MEDIAPIPE}; downloaded with pip if not given"
    )
    parser.add_argument("--models", type=Path, default=MODELS, help="folder to write to (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="compare with what is there, write nothing")
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
    """The pinned wheel, fetched with pip into ``folder``."""
    pip = [sys.executable, "-m", "pip", "download", f"mediapipe=={MEDIAPIPE}", "--no-deps", "--dest", str(folder)]
    fixed = ["--only-binary=:all:", f"--python-version={PYTHON}", f"--platform={PLATFORM}"]
    subprocess.run([*pip, *fixed], check=True)
    return next(folder.glob("mediapipe-*.whl"))


def build(wheel: Path) -> dict[str, bytes]:
    """File name → content for all targets.

    Raises:
        SystemExit: a network in the wheel has not the pinned sha256.
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
    """The network with its normalisation in its metadata: as it is where Google wrote it, else with ours added.

    Raises:
        SystemExit: its own metadata say something else than ``net``.
    """
    model = tflite.ModelT.InitFromObj(tflite.Model.GetRootAsModel(content, 0))
    own = [bytes(model.buffers[entry.buffer].data) for entry in model.metadata or [] if entry.name == METADATA]
    if not net.has_metadata and not own:
        return packed(with_metadata(model, metadata_buffer(metadata, net), tflite))
    root = metadata.ModelMetadataT.InitFromObj(metadata.ModelMetadata.GetRootAsModelMetadata(own[0], 0))
    options = root.subgraphMetadata[0].inputTensorMetadata[0].processUnits[0].options
    if (*options.mean, *options.std) != (net.mean, net.std):
        sys.exit(f"{net.source} says mean {options.mean}, std {options.std}; expected {net.mean} and {net.std}")
    return packed(with_padding(model, net.padding, tflite)) if net.padding else content


def metadata_buffer(schema: ModuleType, net: Net) -> bytes:
    """The TFLite metadata flatbuffer of a network with one RGB picture as input."""
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
    """The model with ``metadata`` as its TFLITE_METADATA buffer; everything else as it was."""
    entry = schema.MetadataT()
    entry.name, entry.buffer = METADATA, _add_buffer(model, metadata, schema)
    model.metadata = [*(model.metadata or []), entry]
    return model


def with_padding(model: Any, zeros: int, schema: ModuleType) -> Any:
    """The model with ``zeros`` zeros appended to the last axis of its first output; everything else as it was."""
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
    """A ``.task`` file: a zip of stored entries whose contents begin at multiples of 4 bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, content in entries.items():
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3  # Unix, whatever this runs on
            begin = out.tell() + 30 + len(name)  # 30: the local header's fixed part, APPNOTE.TXT 4.3.7
            # Padding as a zip extra field of its own: id 0xD935 (Android's zipalign), size, alignment, zeros.
            padding = 2 + (-begin - 6) % 4
            info.extra = struct.pack("<HHH", 0xD935, padding, 4) + bytes(padding - 2)
            archive.writestr(info, content)
    return out.getvalue()


def manifest_section(files: Mapping[str, bytes]) -> str:
    """The ``[[model]]`` blocks of all targets, between BEGIN and END."""
    blocks = [_block(target, files[target.file]) for target in TARGETS]
    return "\n".join([BEGIN, "", *blocks, END])


def with_section(manifest: str, section: str) -> str:
    """The manifest with its MediaPipe section replaced, or appended where there is none."""
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
    """A pure Python module of the wheel, without installing the wheel."""
    module = ModuleType(name)
    exec(compile(source, f"{name}.py", "exec"), module.__dict__)  # noqa: S102 - out of the pinned wheel
    return module


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


if __name__ == "__main__":
    main()

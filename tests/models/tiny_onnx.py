"""Writes ONNX files of one node without the onnx package: just enough of protobuf for tests."""

from __future__ import annotations

from pathlib import Path


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while True:
        out.append((value & 0x7F) | (0x80 if value > 0x7F else 0))
        value >>= 7
        if not value:
            return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _nested(field: int, content: bytes | str) -> bytes:
    raw = content.encode() if isinstance(content, str) else content
    return _varint(field << 3 | 2) + _varint(len(raw)) + raw


def _tensor(name: str) -> bytes:
    """ValueInfoProto: float32 with four free axes."""
    shape = b"".join(_nested(1, _nested(2, f"{name}_{axis}")) for axis in "nchw")
    return _nested(1, name) + _nested(2, _nested(1, _number(1, 1) + _nested(2, shape)))


def _integers(name: str, values: list[int]) -> bytes:
    """AttributeProto of type INTS."""
    return _nested(1, name) + b"".join(_number(8, value) for value in values) + _number(20, 7)


def write_net(path: Path, operator: str, source: str, result: str, **attributes: list[int]) -> Path:
    """A network ``result = operator(source)`` on (N, C, H, W) float32, opset 9."""
    return _write(path, operator, (source,), source, result, **attributes)


def write_chosen(path: Path, sources: tuple[str, ...], chosen: str, result: str, channel: int) -> Path:
    """A network with several inputs that gives one channel of the input ``chosen`` back."""
    return _write(path, "Slice", sources, chosen, result, axes=[1], starts=[channel], ends=[channel + 1])


def _write(
    path: Path, operator: str, sources: tuple[str, ...], source: str, result: str, **attributes: list[int]
) -> Path:
    node = _nested(1, source) + _nested(2, result) + _nested(4, operator)
    node += b"".join(_nested(5, _integers(name, values)) for name, values in attributes.items())
    inputs = b"".join(_nested(11, _tensor(name)) for name in sources)
    graph = _nested(1, node) + _nested(2, "tiny") + inputs + _nested(12, _tensor(result))
    path.write_bytes(_number(1, 8) + _nested(7, graph) + _nested(8, _nested(1, "") + _number(2, 9)))
    return path


def write_channel(path: Path, source: str, result: str, channel: int) -> Path:
    """A network that gives one channel of its input back."""
    return write_net(path, "Slice", source, result, axes=[1], starts=[channel], ends=[channel + 1])

"""Writing small ONNX files, without the package `onnx`: a network is a few nested fields of Protocol Buffers.

Field numbers are those of onnx.proto (ir_version 8).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FLOAT, INT = 1, 2  # TensorProto.DataType, AttributeProto.AttributeType
Node = tuple[str, Sequence[str], str, Mapping[str, int]]  # operation, inputs, output, whole-number attributes


def save(
    path: Path,
    nodes: Sequence[Node],
    constants: Mapping[str, NDArray[np.float32]],
    inputs: Mapping[str, Sequence[int | str]],
    outputs: Sequence[str],
) -> Path:
    """A network of float32 inputs (by name and shape; a side by name is free) and outputs, opset 13."""
    graph = b"".join(_field(1, _node(*node)) for node in nodes) + _field(2, b"graph")
    graph += b"".join(_field(5, _tensor(name, value)) for name, value in constants.items())
    graph += b"".join(_field(11, _value(name, shape)) for name, shape in inputs.items())
    graph += b"".join(_field(12, _value(name, None)) for name in outputs)
    path.write_bytes(_field(1, 8) + _field(8, _field(1, b"") + _field(2, 13)) + _field(7, graph))
    return path


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + _varint(value >> 7)


def _node(operation: str, inputs: Sequence[str], output: str, attributes: Mapping[str, int]) -> bytes:
    texts = [(1, name) for name in inputs] + [(2, output), (4, operation)]
    given = [_field(1, name.encode()) + _field(3, i) + _field(20, INT) for name, i in attributes.items()]
    return b"".join(_field(n, text.encode()) for n, text in texts) + b"".join(_field(5, one) for one in given)


def _tensor(name: str, value: NDArray[np.float32]) -> bytes:
    sides = b"".join(_field(1, side) for side in value.shape)
    return sides + _field(2, FLOAT) + _field(8, name.encode()) + _field(9, value.astype("<f4").tobytes())


def _value(name: str, shape: Sequence[int | str] | None) -> bytes:
    kind = _field(1, FLOAT)
    if shape is not None:
        sides = (_field(1, side) if isinstance(side, int) else _field(2, side.encode()) for side in shape)
        kind += _field(2, b"".join(_field(1, side) for side in sides))
    return _field(1, name.encode()) + _field(2, _field(1, kind))

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

WriteTflite = Callable[..., Path]


@pytest.fixture
def write_tflite(tmp_path: Path) -> WriteTflite:
    """A real TFLite file, made by hand: its output is the red channel of its input, negated on request."""

    def write(
        type: str = "UINT8",
        scale: float = 1 / 255,
        zero_point: int = 0,
        shape: tuple[int, ...] = (1, 4, 6, 3),
        channels: int = 1,
        negate: bool = False,
        outputs: int = 1,
    ) -> Path:
        model = schema.ModelT()
        model.version = 3
        model.operatorCodes = [_code(schema.BuiltinOperator.SLICE), _code(schema.BuiltinOperator.NEG)]
        model.buffers = [schema.BufferT() for _ in range(3)]
        for buffer, values in zip(model.buffers[1:], ([0] * len(shape), [*shape[:-1], channels]), strict=True):
            buffer.data = np.array(values, np.int32).view(np.uint8)
        source = _tensor("image", shape, type, scale, zero_point)
        red = _tensor("red", (*shape[:-1], channels), type, scale, zero_point)
        begin, size = (_tensor(name, (len(shape),), "INT32") for name in ("begin", "size"))
        begin.buffer, size.buffer = 1, 2
        graph = schema.SubGraphT()
        graph.tensors, graph.operators = [source, begin, size, red], [_operator(0, [0, 1, 2], [3])]
        graph.inputs, graph.outputs = [0], [3] * outputs
        if negate:
            graph.tensors.append(_tensor("negative", (*shape[:-1], channels), type, scale, zero_point))
            graph.operators.append(_operator(1, [3], [4]))
            graph.outputs = [4]
        model.subgraphs = [graph]
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        path = tmp_path / f"red-{len(list(tmp_path.iterdir()))}.tflite"
        path.write_bytes(bytes(builder.Output()))
        return path

    return write


def _code(builtin: int) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = builtin
    code.version = 2 if builtin == schema.BuiltinOperator.SLICE else 1
    return code


def _operator(code: int, inputs: list[int], outputs: list[int]) -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = code, inputs, outputs
    return operator


def _tensor(name: str, shape: tuple[int, ...], type_: str, scale: float | None = None, zero_point: int = 0) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type = name, list(shape), getattr(schema.TensorType, type_)
    if scale is not None and type_ in ("UINT8", "INT8"):
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [zero_point]
    return tensor

"""The shipped int8 file, changed by hand into what users meet: floats at the ends or inside, foreign operators."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as schema

from converters.tflite_schema import op_index, op_name, read_model, write_model
from edge_deeplab.weights import shipped_model

Edit = Callable[[Any], None]


@pytest.fixture
def edited(tmp_path: Path) -> Callable[[Edit], Path]:
    """A copy of the shipped file after ``edit(ModelT)``."""

    def write(edit: Edit) -> Path:
        model = read_model(shipped_model().read_bytes())
        edit(model)
        path = tmp_path / f"{edit.__name__}.tflite"
        path.write_bytes(write_model(model))
        return path

    return write


def float_ends(model: Any) -> None:
    """Float input and output, as ``--io float`` writes them."""
    graph = model.subgraphs[0]
    for index in (graph.inputs[0], graph.outputs[0]):
        graph.tensors[index].type, graph.tensors[index].quantization = schema.TensorType.FLOAT32, None
    graph.operators[-1].opcodeIndex = op_index(model, "DEQUANTIZE", 2)


def float_island(model: Any) -> None:
    """The sigmoid computes in floats, between a DEQUANTIZE and a QUANTIZE."""
    graph = model.subgraphs[0]
    place, sigmoid = next((i, op) for i, op in enumerate(graph.operators) if op_name(model, op) == "LOGISTIC")
    before, after = int(sigmoid.inputs[0]), int(sigmoid.outputs[0])
    sigmoid.inputs[0], sigmoid.outputs[0] = _float_twin(graph, before), _float_twin(graph, after)
    enter = _operator(op_index(model, "DEQUANTIZE", 2), before, int(sigmoid.inputs[0]))
    leave = _operator(op_index(model, "QUANTIZE", 1), int(sigmoid.outputs[0]), after)
    graph.operators[place : place + 1] = [enter, sigmoid, leave]


def flex_sigmoid(model: Any) -> None:
    """The sigmoid is one of TensorFlow's own operators."""
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM, schema.BuiltinOperator.CUSTOM
    code.customCode, code.version = b"FlexSigmoid", 1
    model.operatorCodes.append(code)
    sigmoid = next(op for op in model.subgraphs[0].operators if op_name(model, op) == "LOGISTIC")
    sigmoid.opcodeIndex = len(model.operatorCodes) - 1


def wrong_zero_point(model: Any) -> None:
    """A zero point that uint8 does not have: LiteRT 2.1.0 does not refuse such a file, it crashes."""
    graph = model.subgraphs[0]
    graph.tensors[graph.inputs[0]].quantization.zeroPoint = [-1]


def second_graph(model: Any) -> None:
    """A further subgraph, as bodies of WHILE are."""
    model.subgraphs.append(model.subgraphs[0])


def _float_twin(graph: Any, index: int) -> int:
    twin = schema.TensorT()
    twin.name, twin.shape = graph.tensors[index].name + b"_float", graph.tensors[index].shape
    twin.type = schema.TensorType.FLOAT32
    graph.tensors.append(twin)
    return len(graph.tensors) - 1


def _operator(code: int, source: int, target: int) -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = code, [source], [target]
    return operator

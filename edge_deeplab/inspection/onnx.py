"""What is inside an .onnx file, ours or anybody's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_deeplab.errors import MissingExtraError, ModelFileError
from edge_deeplab.inspection.describe import summarize
from edge_deeplab.inspection.graph import (
    Graph,
    Node,
    Parameters,
    Shape,
    Value,
    affine_parameters,
    derived_from_constants,
    multiply_adds,
    product_multiply_adds,
    tensor_bytes,
)
from edge_deeplab.inspection.onnx_arithmetic import FROM_INTEGER, TO_INTEGER, QdqReading
from edge_deeplab.inspection.summary import ModelSummary

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

_STANDARD_DOMAINS = frozenset({"", "ai.onnx"})

# Operators on integers that carry the parameters themselves: the places of (data, scale, zero point) of what they read,
# and of (scale, zero point) of what they give.
_QLINEAR_READS = ((0, 1, 2), (3, 4, 5))
_QLINEAR_GIVES = (6, 7)
_QLINEAR = frozenset({"QLinearConv", "QLinearMatMul"})

# Convolutions: places of the weights among the inputs, and of the output's channels in them (OIHW); a transposed one
# has IOHW and meets each element of its input.
_CONVOLUTIONS = {"Conv": 1, "ConvInteger": 1, "FusedConv": 1, "QLinearConv": 3}
_PRODUCTS = {"MatMul": 0, "MatMulInteger": 0, "QLinearMatMul": 0, "DynamicQuantizeMatMul": 0, "MatMulIntegerToFloat": 0}
_UNCOUNTED = frozenset({"Attention", "Einsum", "GRU", "LSTM", "RNN"})


def summarize_onnx(path: Path) -> ModelSummary:
    """Look into an .onnx file. Weights that lie in files of their own need not be there.

    Raises:
        ModelFileError: missing, not an ONNX file, or truncated.
        MissingExtraError: onnx is not installed.
    """
    model = load_onnx(path)
    facts: dict[str, Any] = {"opset": {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}}
    if model.producer_name:
        facts["producer"] = f"{model.producer_name} {model.producer_version}".strip()
    notes = []
    bodies = sorted({node.op_type for node in model.graph.node if any(a.HasField("g") for a in node.attribute)})
    if bodies:
        notes.append(f"the operators in the bodies of {', '.join(bodies)} are not in the table")
    if model.functions:
        notes.append(f"{len(model.functions)} functions of the model's own stand in the table by their names")
    graph = onnx_graph(model)
    unknown = sum(value.shape is None for value in graph.values)
    if unknown:
        notes.append(f"the shapes of {unknown} tensors are not known before the model runs")
    return summarize(path, "ONNX", graph, picture_layout="NCHW", facts=facts, notes=notes)


def load_onnx(path: Path) -> ModelProto:
    """The model with the shapes of its tensors inferred."""
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("onnx", "convert", f"inspecting {path.name}") from error
    try:
        model = onnx.shape_inference.infer_shapes(onnx.load_model(path, load_external_data=False))
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}") from error
    except Exception as error:  # protobuf's, onnx's and its C++ part's have no common base
        reason = " ".join(str(error).split())[:200]
        raise ModelFileError(f"{path} is no ONNX file, or is truncated ({reason}): get a fresh copy") from error
    if not model.graph.node or not model.opset_import:
        raise ModelFileError(f"{path} is no ONNX file, or holds no operator: get a fresh copy")
    if not all(isinstance(word, str) for word in _words(model)):  # protobuf gives bytes for what is no UTF-8
        raise ModelFileError(f"{path} is a damaged ONNX file (a name is no text): get a fresh copy")
    return model


def _words(model: ModelProto) -> Iterator[str]:
    """Everything that is shown as text."""
    yield from (model.producer_name, model.producer_version)
    yield from (entry.domain for entry in model.opset_import)
    for node in model.graph.node:
        yield from (node.op_type, node.domain, *node.input, *node.output)
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        yield value.name
        yield from (dim.dim_param for dim in value.type.tensor_type.shape.dim)
    yield from (tensor.name for tensor in model.graph.initializer)


def onnx_graph(model: ModelProto) -> Graph:
    """A model in the common terms. Constant operators are constants, not operators."""
    graph = model.graph
    nodes = [node for node in graph.node if node.op_type != "Constant"]
    constants = _constants(graph)
    tensors = _tensors(graph, nodes, constants)
    places = {name: place for place, name in enumerate(tensors)}
    parameters = _quantization(nodes, constants)
    derived = derived_from_constants(
        [([places[n] for n in node.input if n], [places[n] for n in node.output if n]) for node in nodes],
        {places[name] for name in constants},
    )
    reading = QdqReading(
        nodes,
        types={name: tensor.type for name, tensor in tensors.items()},
        derived={name for name, place in places.items() if place in derived},
        outputs={value.name for value in graph.output},
    )
    return Graph(
        values=tuple(
            Value(
                name=name,
                type=tensor.type,
                shape=tensor.shape,
                constant=name in constants,
                stored=(tensor_bytes(tensor.type, tensor.shape) or 0) if name in constants else 0,
                parameters=parameters.get(name),
            )
            for name, tensor in tensors.items()
        ),
        inputs=tuple(places[value.name] for value in graph.input if value.name not in constants),
        outputs=tuple(places[value.name] for value in graph.output),
        nodes=tuple(
            Node(
                operator=_kind(node, tensors),
                inputs=tuple(places[name] for name in node.input if name),
                outputs=tuple(places[name] for name in node.output if name),
                arithmetic=reading.arithmetic(node),
                multiply_adds=_multiply_adds(node, tensors),
                custom=node.domain not in _STANDARD_DOMAINS,
            )
            for node in nodes
        ),
        simulated=any(node.op_type == FROM_INTEGER for node in nodes),
    )


@dataclass(frozen=True)
class _Tensor:
    type: str
    shape: Shape | None


def _constants(graph: GraphProto) -> dict[str, TensorProto]:
    """Name to value of what lies in the file: initializers, and the outputs of Constant operators."""
    from onnx import helper, numpy_helper

    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        for attribute in node.attribute if node.op_type == "Constant" else ():
            value = helper.get_attribute_value(attribute)
            match attribute.name:
                case "value":
                    found[node.output[0]] = value
                case "value_float" | "value_floats":
                    found[node.output[0]] = numpy_helper.from_array(np.asarray(value, np.float32))
                case "value_int" | "value_ints":
                    found[node.output[0]] = numpy_helper.from_array(np.asarray(value, np.int64))
    return found


def _tensors(graph: GraphProto, nodes: list[NodeProto], constants: dict[str, TensorProto]) -> dict[str, _Tensor]:
    """Every tensor by its name, the model's inputs first."""
    described = {value.name: value for value in (*graph.input, *graph.value_info, *graph.output)}
    names = [value.name for value in (*graph.input, *graph.output)]
    names += [name for node in nodes for name in (*node.input, *node.output) if name]
    tensors = {}
    for name in dict.fromkeys([*names, *constants]):
        if name in constants:
            tensors[name] = _Tensor(_type(constants[name].data_type), tuple(constants[name].dims))
        elif name in described and described[name].type.HasField("tensor_type"):
            tensors[name] = _described(described[name].type.tensor_type)
        else:
            tensors[name] = _Tensor("unknown", None)
    return tensors


def _described(type_: Any) -> _Tensor:
    if not type_.HasField("shape"):
        return _Tensor(_type(type_.elem_type), None)
    sizes = [dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in type_.shape.dim]
    return _Tensor(_type(type_.elem_type), tuple(sizes))


def _type(code: int) -> str:
    """numpy's word for an element type of ONNX."""
    from onnx import helper

    try:
        return str(helper.tensor_dtype_to_np_dtype(code).name)
    except (KeyError, ValueError):
        return "unknown"


def _quantization(nodes: list[NodeProto], constants: dict[str, TensorProto]) -> dict[str, Parameters]:
    """Name of an integer tensor to its parameters, as the operators that read and write it have them."""
    found: dict[str, Parameters] = {}

    def note(tensor: str, scale: str, zero_point: str, axis: int) -> None:
        if tensor and tensor not in found and scale in constants and not constants[scale].external_data:
            points = [int(point) for point in _array(constants[zero_point])] if zero_point in constants else []
            found[tensor] = affine_parameters(_array(constants[scale]), points, axis)

    for node in nodes:
        names = [*node.input, *("",) * 8]
        axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
        if node.op_type == FROM_INTEGER:
            note(names[0], names[1], names[2], axis)
        elif node.op_type == TO_INTEGER:
            note(node.output[0], names[1], names[2], axis)
        elif node.op_type in _QLINEAR:
            for data, scale, zero_point in _QLINEAR_READS:
                note(names[data], names[scale], names[zero_point], 0)
            note(node.output[0], names[_QLINEAR_GIVES[0]], names[_QLINEAR_GIVES[1]], 0)
    return found


def _array(tensor: TensorProto) -> tuple[float, ...]:
    from onnx import numpy_helper

    return tuple(numpy_helper.to_array(tensor).reshape(-1).tolist())


def _kind(node: NodeProto, tensors: dict[str, _Tensor]) -> str:
    """An operator's word in ONNX; a depthwise convolution is told from a dense one, as other formats do."""
    if node.op_type not in _CONVOLUTIONS:
        return str(node.op_type)
    weights = tensors[node.input[_CONVOLUTIONS[node.op_type]]].shape
    groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
    depthwise = groups > 1 and weights is not None and len(weights) > 1 and weights[1] == 1
    return f"{node.op_type} (depthwise)" if depthwise else str(node.op_type)


def _multiply_adds(node: NodeProto, tensors: dict[str, _Tensor]) -> int | None:
    shapes = [tensors[name].shape if name else None for name in node.input]
    output = tensors[node.output[0]].shape if node.output and node.output[0] else None
    if node.op_type in _CONVOLUTIONS:
        return multiply_adds(output, shapes[_CONVOLUTIONS[node.op_type]], 0)
    if node.op_type == "ConvTranspose":
        return multiply_adds(shapes[0], shapes[1], 0)
    if node.op_type == "Gemm":
        flipped = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
        left = None if shapes[0] is None else shapes[0][::-1] if flipped else shapes[0]
        return product_multiply_adds(left, output)
    if node.op_type in _PRODUCTS:
        return product_multiply_adds(shapes[0], output)
    custom = node.domain not in _STANDARD_DOMAINS
    return None if custom or node.op_type in _UNCOUNTED else 0

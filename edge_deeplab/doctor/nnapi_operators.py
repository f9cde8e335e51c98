"""Which operators LiteRT's NNAPI delegate takes, and from which Android on.

The source is the function that the delegate asks of each operator, ``NNAPIDelegateKernel::Validate`` in TensorFlow's
tensorflow/lite/delegates/nnapi/nnapi_delegate.cc (commit 002e5f47). Read of it are the operators and the settings that
occur in networks for pictures. Taken for supported are the recurrent ones, the look-ups, FILL's and TOPK_V2's operands,
and a convolution's scales before Android 10.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from edge_deeplab.runtime.tflite_file import Operator, Tensor

FIRST_LEVEL = 27
"""The API level that came with NNAPI: Android 8.1 (kMinSdkVersionForNNAPI)."""

_PIE, _TEN, _ELEVEN = 28, 29, 30  # kMinSdkVersionForNNAPI11, 12 and 13
_NEVER = 1 << 16


@dataclass(frozen=True)
class Need:
    """What an operator needs.

    Attributes:
        level: the least Android API level; None where the delegate takes it under none.
        reason: what about it needs that; "" where it is the operator as such.
    """

    level: int | None
    reason: str = ""

    @property
    def order(self) -> int:
        """Greater where more is needed."""
        return _NEVER if self.level is None else self.level


@dataclass(frozen=True)
class _Row:
    """An operator: its greatest version, and the least API level for what it reads; None: never."""

    version: int
    float32: int | None
    uint8: int | None
    int8: int | None
    int32: int | None = None

    def level(self, type_: str) -> int | None:
        """For a type of elements; for another than the four, which are not judged, the least of all."""
        levels = {"FLOAT32": self.float32, "UINT8": self.uint8, "INT8": self.int8, "INT32": self.int32}
        return levels[type_] if type_ in levels else min(level for level in levels.values() if level is not None)


_ANY_VERSION = 1 << 16
_FLOATS_FROM_TEN = _Row(1, 29, None, None)
_COMPARISON = _Row(2, 28, 28, 28, 28)
_ROWS: Mapping[str, _Row] = {
    # operator: version, float32, uint8, int8, int32
    "ABS": _FLOATS_FROM_TEN,
    "ADD": _Row(2, 27, 27, 27, 30),
    "ARG_MAX": _Row(2, 29, 29, 29, 29),
    "ARG_MIN": _Row(2, 29, 29, 29, 29),
    "AVERAGE_POOL_2D": _Row(2, 27, 27, 27),
    "BATCH_TO_SPACE_ND": _Row(2, 28, 28, 28, 28),
    "CAST": _Row(1, 29, 29, 30, 29),
    "CONCATENATION": _Row(2, 27, 27, 27),
    "CONV_2D": _Row(3, 27, 27, 29),
    "DEPTHWISE_CONV_2D": _Row(3, 27, 27, 29),
    "DEPTH_TO_SPACE": _Row(_ANY_VERSION, 27, 27, 27),
    "DEQUANTIZE": _Row(3, None, 27, 29),  # version 3 is that of float16, which has no limit of versions
    "DIV": _Row(1, 28, None, None),
    "ELU": _Row(1, 30, None, None),
    "EQUAL": _COMPARISON,
    "EXP": _FLOATS_FROM_TEN,
    "EXPAND_DIMS": _Row(1, 29, 29, 29, 29),
    "FILL": _Row(1, 30, 30, 30, 30),
    "FLOOR": _Row(1, 27, 27, 27, 27),
    "FULLY_CONNECTED": _Row(5, 27, 27, 29),
    "GATHER": _Row(2, 29, 29, 29, 29),
    "GREATER": _COMPARISON,
    "GREATER_EQUAL": _COMPARISON,
    "HARD_SWISH": _Row(_ANY_VERSION, 27, 27, 27),
    "L2_NORMALIZATION": _Row(2, 27, 29, 29),
    "L2_POOL_2D": _Row(1, 27, None, None),
    "LEAKY_RELU": _Row(1, 29, 29, 29),
    "LESS": _COMPARISON,
    "LESS_EQUAL": _COMPARISON,
    "LOCAL_RESPONSE_NORMALIZATION": _Row(1, 27, 27, 27),
    "LOG": _FLOATS_FROM_TEN,
    "LOGICAL_AND": _Row(1, 29, 29, 29, 29),
    "LOGICAL_NOT": _Row(1, 29, 29, 29, 29),
    "LOGICAL_OR": _Row(1, 29, 29, 29, 29),
    "LOGISTIC": _Row(2, 27, 27, 27),
    "LOG_SOFTMAX": _FLOATS_FROM_TEN,
    "MAXIMUM": _Row(3, 29, 29, 29, 29),
    "MAX_POOL_2D": _Row(2, 27, 27, 27),
    "MEAN": _Row(2, 28, 29, 29),
    "MINIMUM": _Row(3, 29, 29, 29, 29),
    "MUL": _Row(2, 27, 27, 27, 30),
    "NEG": _Row(2, 28, None, None, 28),
    "NOT_EQUAL": _COMPARISON,
    "PACK": _Row(2, 30, None, 30, 30),
    "PAD": _Row(2, 28, 29, 29),
    "PADV2": _Row(2, 28, 29, 29),
    "POW": _FLOATS_FROM_TEN,
    "PRELU": _Row(1, 29, 29, 29),
    "QUANTIZE": _Row(2, 29, 29, 29),
    "REDUCE_ANY": _Row(2, 29, 29, 29, 29),
    "REDUCE_MAX": _Row(2, 29, 29, 29),
    "REDUCE_MIN": _Row(2, 29, 29, 29),
    "REDUCE_PROD": _FLOATS_FROM_TEN,
    "RELU": _Row(2, 27, 27, 27),
    "RELU6": _Row(2, 27, 27, 27),
    "RELU_N1_TO_1": _Row(2, 27, 27, 27),
    "RESHAPE": _Row(1, 27, 27, 27),
    "RESIZE_BILINEAR": _Row(3, 27, 29, 29),
    "RESIZE_NEAREST_NEIGHBOR": _Row(3, 29, 29, 29),
    "RSQRT": _FLOATS_FROM_TEN,
    "SELECT": _Row(2, 28, 28, 28, 28),
    "SIN": _FLOATS_FROM_TEN,
    "SLICE": _Row(2, 29, 29, 29, 29),
    "SOFTMAX": _Row(2, 27, 27, 27),
    "SPACE_TO_BATCH_ND": _Row(2, 28, 28, 28, 28),
    "SPACE_TO_DEPTH": _Row(2, 27, 27, 27),
    "SPLIT": _Row(3, 29, 29, 30, 29),
    "SQRT": _FLOATS_FROM_TEN,
    "SQUEEZE": _Row(1, 28, 28, 28, 28),
    "STRIDED_SLICE": _Row(2, 28, 28, 28, 28),
    "SUB": _Row(3, 28, 29, 29, 30),
    "SUM": _FLOATS_FROM_TEN,
    "TANH": _Row(2, 27, 29, 29),
    "TILE": _Row(1, 29, 29, 29, 29),
    "TOPK_V2": _Row(2, 29, 29, 29, 29),
    "TRANSPOSE": _Row(2, 28, 28, 28, 28),
    "TRANSPOSE_CONV": _Row(3, 29, 29, 29),
}
_UNREAD = frozenset(
    {
        "BIDIRECTIONAL_SEQUENCE_LSTM", "EMBEDDING_LOOKUP", "HASHTABLE_LOOKUP", "LSH_PROJECTION", "LSTM", "RNN", "SVDF",
        "UNIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN",
    }
)  # fmt: skip
# Which input's type counts where it is not the first.
_DATA: Mapping[str, int] = {"SELECT": 1, "SPLIT": 1, "TRANSPOSE_CONV": 2}
# Inputs that must be constants: sizes, shapes, axes, orders, and the weights of TRANSPOSE_CONV.
_CONSTANTS: Mapping[str, Sequence[int]] = {
    "EXPAND_DIMS": (1,),
    "RESHAPE": (1,),
    "RESIZE_BILINEAR": (1,),
    "RESIZE_NEAREST_NEIGHBOR": (1,),
    "SPLIT": (0,),
    "TRANSPOSE": (1,),
    "TRANSPOSE_CONV": (0, 1),
}
_BYTES = ("UINT8", "INT8")
_POOLED = 256  # pixels that NNAPI's own 8-bit average bears


def need(operator: Operator) -> Need:
    """What an operator of a .tflite file needs for the delegate to take it: the most that any of its settings does."""
    if operator.custom:
        return Need(None, "a custom operator")
    if operator.name in _UNREAD:
        return Need(FIRST_LEVEL)
    row = _ROWS.get(operator.name)
    if row is None:
        return Need(None, "not in its list")
    if operator.version > row.version:
        return Need(None, f"of version {operator.version}")
    place = _DATA.get(operator.name, 0)
    if len(operator.inputs) <= place or not operator.outputs:
        return Need(None, "without inputs or outputs")
    rule = _RULES.get(operator.name)
    needs: list[Need] = [*_constants(operator), _type(row, operator.inputs[place].type)]
    if rule is not None:
        needs = [*rule(operator), *needs]
    return max(needs, key=lambda each: each.order)


def _type(row: _Row, type_: str) -> Need:
    level = row.level(type_)
    return Need(level, "" if level == row.level("FLOAT32") else f"of {type_.lower()}")


def _constants(operator: Operator) -> Iterator[Need]:
    places = _CONSTANTS.get(operator.name, ())
    if any(place < len(operator.inputs) and not operator.inputs[place].constant for place in places):
        yield Need(None, "with a computed size, shape or axis")


def _convolution(operator: Operator) -> Iterator[Need]:
    if len(operator.inputs) != 3:
        yield Need(None, "without a bias")
        return
    yield from _hybrid(operator)
    if len(operator.inputs[1].scales) > 1:
        yield Need(_TEN, "with a scale for each channel")
    yield from _dilation(operator)


def _dilation(operator: Operator) -> Iterator[Need]:
    if operator.options.get("dilationWFactor", 1) != 1 or operator.options.get("dilationHFactor", 1) != 1:
        yield Need(_TEN, "dilated")


def _hybrid(operator: Operator) -> Iterator[Need]:
    if operator.inputs[0].type == "FLOAT32" and any(tensor.type in _BYTES for tensor in operator.inputs[1:2]):
        yield Need(_TEN, "with 8-bit weights and float32 input")


def _fully_connected(operator: Operator) -> Iterator[Need]:
    yield from _hybrid(operator)
    if operator.options.get("keepNumDims"):
        yield Need(_ELEVEN, "that keeps its dimensions")


def _resize(operator: Operator) -> Iterator[Need]:
    if operator.options.get("halfPixelCenters"):
        yield Need(_ELEVEN, "with half-pixel centres")
    if operator.options.get("alignCorners"):
        yield Need(_ELEVEN, "with aligned corners")


def _bilinear(operator: Operator) -> Iterator[Need]:
    yield from _resize(operator)
    shape = operator.outputs[0].shape
    if len(shape) != 4:
        yield Need(None, f"of {len(shape)} axes")
    elif shape[1] != shape[2]:
        yield Need(_TEN, "to a size that is not square")


def _average(operator: Operator) -> Iterator[Need]:
    area = operator.options.get("filterWidth", 1) * operator.options.get("filterHeight", 1)
    if operator.inputs[0].type in _BYTES and area > _POOLED:
        yield Need(None, f"over {area:.0f} pixels, unless the app names an accelerator")


def _mean(operator: Operator) -> Iterator[Need]:
    if not operator.outputs[0].shape:
        yield Need(None, "to a single number")
    if _parameters(operator.inputs[0]) != _parameters(operator.outputs[0]):
        yield Need(None, "whose output has another scale or zero point than its input")


def _quantize(operator: Operator) -> Iterator[Need]:
    if operator.outputs[0].type == "INT8":
        yield Need(_ELEVEN, "to int8")
    elif operator.outputs[0].type != "UINT8":
        yield Need(None, f"to {operator.outputs[0].type.lower()}")


def _dequantize(operator: Operator) -> Iterator[Need]:
    if operator.inputs[0].type == "INT8" and any(operator.inputs[0].zero_points):
        yield Need(_ELEVEN, "of int8 with a zero point")
    if operator.inputs[0].type == "FLOAT16":
        yield Need(_ELEVEN, "of float16")
    elif operator.inputs[0].type not in _BYTES:
        yield Need(None, f"of {operator.inputs[0].type.lower()}")


def _cast(operator: Operator) -> Iterator[Need]:
    type_ = operator.outputs[0].type
    if type_ == "INT8":
        yield Need(_ELEVEN, "to int8")
    elif type_ not in ("FLOAT32", "INT32", "UINT8"):
        yield Need(None, f"to {type_.lower()}")


def _arguments(operator: Operator) -> Iterator[Need]:
    if operator.outputs[0].type != "INT32":
        yield Need(None, f"to {operator.outputs[0].type.lower()}")


def _activation(operator: Operator) -> Iterator[Need]:
    if operator.options.get("fusedActivationFunction"):
        yield Need(None, "with an activation")


def _integer_activation(operator: Operator) -> Iterator[Need]:
    if operator.inputs[0].type == "INT32":
        yield from _activation(operator)


def _concatenation(operator: Operator) -> Iterator[Need]:
    yield from _activation(operator)
    yield from _four_axes(operator)


def _four_axes(operator: Operator) -> Iterator[Need]:
    axes = max(len(tensor.shape) for tensor in operator.inputs)
    if axes > 4:
        yield Need(None, f"of {axes} axes")


def _difference(operator: Operator) -> Iterator[Need]:
    yield from _integer_activation(operator)
    yield from _four_axes(operator)


def _softmax(operator: Operator) -> Iterator[Need]:
    yield from _four_axes(operator)
    if len(operator.inputs[0].shape) not in (2, 4):
        yield Need(_TEN, f"of {len(operator.inputs[0].shape)} axes")


def _padding(operator: Operator) -> Iterator[Need]:
    if len(operator.inputs) == 3:
        yield Need(_TEN, "with a value of its own")


def _l2_pool(operator: Operator) -> Iterator[Need]:
    if operator.options.get("fusedActivationFunction"):
        yield Need(_TEN, "with an activation")


def _l2_normalization(operator: Operator) -> Iterator[Need]:
    yield from _activation(operator)
    if len(operator.inputs[0].shape) != 4:
        yield Need(_TEN, f"of {len(operator.inputs[0].shape)} axes")


def _pack(operator: Operator) -> Iterator[Need]:
    if operator.options.get("axis", 0) in (-1, len(operator.inputs[0].shape)):
        yield Need(None, "along a new last axis")


def _indices(operator: Operator) -> Iterator[Need]:
    for tensor in operator.inputs[1:]:
        if tensor.type != "INT32":
            yield Need(None, f"by {tensor.type.lower()}")


def _select(operator: Operator) -> Iterator[Need]:
    if operator.inputs[0].shape != operator.inputs[1].shape:
        yield Need(None, "whose condition has another shape")


def _parameters(tensor: Tensor) -> tuple[tuple[float, ...], tuple[int, ...]]:
    return tensor.scales, tensor.zero_points


_RULES: Mapping[str, Callable[[Operator], Iterator[Need]]] = {
    "ADD": _integer_activation,
    "ARG_MAX": _arguments,
    "ARG_MIN": _arguments,
    "AVERAGE_POOL_2D": _average,
    "CAST": _cast,
    "CONCATENATION": _concatenation,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _dilation,
    "DEQUANTIZE": _dequantize,
    "FULLY_CONNECTED": _fully_connected,
    "GATHER": _indices,
    "L2_NORMALIZATION": _l2_normalization,
    "L2_POOL_2D": _l2_pool,
    "MEAN": _mean,
    "MUL": _integer_activation,
    "PACK": _pack,
    "PADV2": _padding,
    "QUANTIZE": _quantize,
    "RESIZE_BILINEAR": _bilinear,
    "RESIZE_NEAREST_NEIGHBOR": _resize,
    "SELECT": _select,
    "SLICE": _indices,
    "SOFTMAX": _softmax,
    "SUB": _difference,
}

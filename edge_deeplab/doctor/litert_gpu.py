"""LiteRT's GPU delegate: which operators it takes.

The source is TensorFlow's own statement of it, ``CheckGpuDelegateCompatibility`` in
tensorflow/lite/tools/versioning/gpu_compatibility.cc, which the delegate asks. Read of it are the operators, and
the settings that occur in networks for pictures; left out are those of LSTM, ONE_HOT, EMBEDDING_LOOKUP,
DYNAMIC_UPDATE_SLICE, CUMSUM and STABLEHLO_CLAMP, which are taken for supported. ``tf.lite.experimental.Analyzer`` of
TensorFlow 2.19.0 is no help: it calls every file compatible, even one with RANK.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set

from edge_deeplab.doctor.finding import Client, Effect, Finding
from edge_deeplab.doctor.tflite_facts import TfliteFacts
from edge_deeplab.inspection.graph import Arithmetic
from edge_deeplab.runtime.tflite_file import Operator, Tensor

_ONE_OPERAND = frozenset(
    {
        "ABS", "CEIL", "COS", "ELU", "EXP", "FLOOR", "GELU", "LOG", "LOGISTIC", "NEG", "RSQRT", "SIGN", "SIN", "SQRT",
        "SQUARE", "TANH",
    }
)  # fmt: skip
_TWO_OPERANDS = frozenset(
    {
        "ATAN2", "DIV", "EQUAL", "FLOOR_DIV", "FLOOR_MOD", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL",
        "LOGICAL_AND", "MAXIMUM", "MINIMUM", "NOT_EQUAL", "POW", "SQUARED_DIFFERENCE", "SUB",
    }
)  # fmt: skip
_ONE_COMPUTED_INPUT = frozenset(
    {
        "AVERAGE_POOL_2D", "CAST", "DEPTH_TO_SPACE", "HARD_SWISH", "MAX_POOL_2D", "MEAN", "MIRROR_PAD", "PAD", "PADV2",
        "QUANTIZE", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR",
        "SPACE_TO_DEPTH", "SUM", "TILE", "TRANSPOSE",
    }
)  # fmt: skip
_OTHERS = frozenset(
    {
        "ADD", "ADD_N", "BATCH_MATMUL", "CONCATENATION", "CONV_2D", "CUMSUM", "DENSIFY", "DEPTHWISE_CONV_2D",
        "DEQUANTIZE", "DYNAMIC_UPDATE_SLICE", "EMBEDDING_LOOKUP", "FULLY_CONNECTED", "GATHER", "LEAKY_RELU", "LSTM",
        "MUL", "ONE_HOT", "PACK", "PRELU", "RELU", "RELU6", "RELU_N1_TO_1", "SELECT", "SELECT_V2", "SLICE", "SOFTMAX",
        "SPLIT", "SPLIT_V", "STABLEHLO_CLAMP", "STRIDED_SLICE", "TRANSPOSE_CONV",
    }
)  # fmt: skip
_CUSTOM = frozenset({"Convolution2DTransposeBias", "MaxPoolingWithArgmax2D", "MaxUnpooling2D", "Resampler"})
_SUPPORTED = _ONE_OPERAND | _TWO_OPERANDS | _ONE_COMPUTED_INPUT | _OTHERS
_REFLECT = 0  # MirrorPadMode in the schema
_CASTS = frozenset({"FLOAT32", "INT32"})


def unsupported(facts: TfliteFacts) -> Iterator[Finding]:
    """Operators that go back to the CPU. gpu.md: "a split execution mode like this will often result in slower"."""
    fixed = facts.fixed
    reasons: dict[str, list[str]] = {}
    for operator in facts.computing:  # the delegate unpacks float16 weights itself
        reason = objection(operator, fixed)
        if reason:
            reasons.setdefault(f"{operator.name} ({reason})", []).append(operator.outputs[0].name)
    for words, names in reasons.items():
        yield Finding(
            "operator",
            Client.LITERT_GPU,
            Effect.SLOWER,
            tuple(names),
            f"{len(names)} {words} {'goes' if len(names) == 1 else 'go'} back to the CPU, and the picture with it",
            "replace the operator in the network, or run this file on the CPU",
        )


def integers(facts: TfliteFacts) -> Iterator[Finding]:
    """gpu.md: it "does accept 8-bit quantized models, but the calculation will be performed in floating point"."""
    if any(node.arithmetic is Arithmetic.INTEGER for node in facts.graph.nodes):
        yield Finding(
            "integers",
            Client.LITERT_GPU,
            Effect.NOTE,
            (),
            "it computes an integer file in floating point, so that its masks differ from the CPU's by some steps",
            "give the GPU the float16 file, which is made for it",
        )


def objection(operator: Operator, fixed: Set[int]) -> str:
    """Why the delegate leaves an operator to the CPU; "" if it takes it.

    Args:
        operator: of a .tflite file.
        fixed: places of the tensors that depend on constants alone.
    """
    if operator.custom:
        return "" if operator.name in _CUSTOM else "a custom operator"
    if operator.name not in _SUPPORTED:
        return "not in its list"
    computed = [tensor for tensor in operator.inputs if tensor.index not in fixed]
    if operator.name in _ONE_OPERAND | _ONE_COMPUTED_INPUT and len(computed) != 1:
        return f"with {len(computed)} computed inputs"
    if operator.name in _TWO_OPERANDS and not (len(operator.inputs) == 2 and computed):
        return f"with {len(operator.inputs)} operands"
    rule = _RULES.get(operator.name)
    return "" if rule is None else rule(operator, computed)


def _convolution(operator: Operator, computed: list[Tensor]) -> str:
    return "" if len(computed) <= 2 else f"with {len(computed)} computed inputs"


def _depthwise(operator: Operator, computed: list[Tensor]) -> str:
    multiplier = operator.options.get("depthMultiplier", 1)
    if multiplier != 1 and operator.inputs[0].shape[-1] != 1:
        return f"with depth multiplier {multiplier}"
    return _convolution(operator, computed)


def _cast(operator: Operator, computed: list[Tensor]) -> str:
    types = {operator.inputs[0].type, operator.outputs[0].type}
    to_truth = "BOOL" in types and any(tensor.is_float for tensor in (*operator.inputs, *operator.outputs))
    return "" if to_truth or types <= _CASTS else f"from {operator.inputs[0].type} to {operator.outputs[0].type}"


def _axes(operator: Operator, computed: list[Tensor]) -> str:
    """The axes are constants here: a second computed input is seen before."""
    if len(operator.inputs) < 2:
        return "without axes"
    return "" if operator.inputs[1].type == "INT32" else f"with axes of {operator.inputs[1].type}"


def _padding(operator: Operator, computed: list[Tensor]) -> str:
    if operator.name == "MIRROR_PAD" and operator.options.get("mode", _REFLECT) != _REFLECT:
        return "symmetric"
    shape = operator.inputs[1].shape
    return "" if shape in ((3, 2), (4, 2)) else f"of {shape[0] if shape else 0} axes"


def _resize(operator: Operator, computed: list[Tensor]) -> str:
    both = operator.options.get("alignCorners") and operator.options.get("halfPixelCenters")
    return "with aligned corners and half-pixel centres" if both else ""


def _softmax(operator: Operator, computed: list[Tensor]) -> str:
    beta = operator.options.get("beta", 1)
    return "" if beta == 1 else f"with beta {beta:g}"


def _slice(operator: Operator, computed: list[Tensor]) -> str:
    axes = len(operator.inputs[0].shape)
    return "" if axes in (3, 4) else f"of {axes} axes"


def _strided_slice(operator: Operator, computed: list[Tensor]) -> str:
    masks = [name for name in ("ellipsisMask", "newAxisMask", "shrinkAxisMask") if operator.options.get(name)]
    return f"with {masks[0]}" if masks else _slice(operator, computed)


def _blocks(operator: Operator, computed: list[Tensor]) -> str:
    return "" if operator.options.get("blockSize", 0) > 1 else "with blocks of 1"


def _two(operator: Operator, computed: list[Tensor]) -> str:
    return "" if len(operator.inputs) == 2 else f"of {len(operator.inputs)} tensors"


def _sum_or_product(operator: Operator, computed: list[Tensor]) -> str:
    """Two tensors that can be spread over each other; of a product with as many axes, only one over the other."""
    if len(operator.inputs) != 2:
        return f"of {len(operator.inputs)} tensors"
    left, right = (tensor.shape for tensor in operator.inputs)
    if len(left) == len(right):
        crossed = any(a < b for a, b in zip(left, right, strict=True)) and any(
            a > b for a, b in zip(left, right, strict=True)
        )
        return "of two tensors that both must be spread" if operator.name == "MUL" and crossed else ""
    if len(left) <= 1 or len(right) <= 1:
        return ""
    pairs = zip(reversed(left), reversed(right), strict=False)
    return "" if all(a == b or 1 in (a, b) for a, b in pairs) else "of tensors that do not fit each other"


def _dequantize(operator: Operator, computed: list[Tensor]) -> str:
    return "of int16" if operator.inputs[0].type == "INT16" else ""


def _gather(operator: Operator, computed: list[Tensor]) -> str:
    data, indices = operator.inputs[:2]
    fits = data.type != "INT32" and indices.type == "INT32" and len(indices.shape) == 1
    return "" if fits else f"of {data.type} by {indices.type} in {len(indices.shape)} axes"


def _choice(operator: Operator, computed: list[Tensor]) -> str:
    return "" if all(tensor.is_float for tensor in operator.inputs[1:]) else "between integers"


_RULES: Mapping[str, Callable[[Operator, list[Tensor]], str]] = {
    "ADD": _sum_or_product,
    "ADD_N": _two,
    "BATCH_MATMUL": _two,
    "CAST": _cast,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "DEPTH_TO_SPACE": _blocks,
    "DEQUANTIZE": _dequantize,
    "FULLY_CONNECTED": _convolution,
    "GATHER": _gather,
    "MEAN": _axes,
    "MIRROR_PAD": _padding,
    "MUL": _sum_or_product,
    "PAD": _padding,
    "PADV2": _padding,
    "REDUCE_MAX": _axes,
    "REDUCE_MIN": _axes,
    "REDUCE_PROD": _axes,
    "RESIZE_BILINEAR": _resize,
    "SELECT": _choice,
    "SELECT_V2": _choice,
    "SLICE": _slice,
    "SOFTMAX": _softmax,
    "SPACE_TO_DEPTH": _blocks,
    "STRIDED_SLICE": _strided_slice,
    "SUM": _axes,
    "TRANSPOSE_CONV": _convolution,
}

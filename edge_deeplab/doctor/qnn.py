"""LiteRT on Qualcomm's NPUs: its compiler plugin for Qualcomm AI Engine Direct (QNN).

The source is the plugin's own list, litert/vendors/qualcomm/compiler/Qualcomm_QNN_Compiler.md of google-ai-edge/LiteRT
(commit 08c8bf6e), to which LiteRT's documentation of Qualcomm NPUs leads. What the list has may still be left to the
CPU: the plugin asks Qualcomm's library about each operator (qnn_compiler_plugin.cc), which is not public. The table of
Qualcomm's older TFLite delegate (docs.qualcomm.com, 80-63442-10, "Acceleration Support") was not at hand.
"""

from __future__ import annotations

from collections.abc import Iterator

from edge_deeplab.doctor.finding import Client, Effect, Finding
from edge_deeplab.doctor.tflite_facts import TfliteFacts
from edge_deeplab.doctor.words import counted
from edge_deeplab.inspection.graph import Arithmetic

UNCHECKED = "which settings, sizes and types of a listed operator Qualcomm's library takes for a chip; free sizes"

_SUPPORTED = frozenset(
    {
        "ABS", "ADD", "ARG_MAX", "ARG_MIN", "AVERAGE_POOL_2D", "BATCH_MATMUL", "BROADCAST_TO", "CAST", "CEIL",
        "CONCATENATION", "CONV_2D", "CONV_3D", "COS", "CUMSUM", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE", "DEQUANTIZE",
        "DIV", "DYNAMIC_UPDATE_SLICE", "ELU", "EMBEDDING_LOOKUP", "EQUAL", "EXP", "FLOOR", "FLOOR_DIV",
        "FULLY_CONNECTED", "GATHER", "GATHER_ND", "GELU", "GREATER", "GREATER_EQUAL", "HARD_SWISH",
        "L2_NORMALIZATION", "L2_POOL_2D", "LEAKY_RELU", "LESS", "LESS_EQUAL", "LOG", "LOGICAL_AND", "LOGICAL_NOT",
        "LOGICAL_OR", "LOGISTIC", "MAXIMUM", "MAX_POOL_2D", "MEAN", "MINIMUM", "MIRROR_PAD", "MUL", "NEG",
        "NOT_EQUAL", "PACK", "PAD", "PADV2", "POW", "PRELU", "QUANTIZE", "REDUCE_ALL", "REDUCE_ANY", "REDUCE_MAX",
        "REDUCE_MIN", "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "RESHAPE", "RESIZE_BILINEAR",
        "RESIZE_NEAREST_NEIGHBOR", "REVERSE_V2", "ROUND", "RSQRT", "SELECT", "SELECT_V2", "SIGN", "SIN", "SLICE",
        "SOFTMAX", "SPACE_TO_DEPTH", "SPLIT", "SQRT", "SQUARE", "SQUARED_DIFFERENCE", "STABLEHLO_COMPOSITE",
        "STRIDED_SLICE", "SUB", "SUM", "TANH", "TILE", "TOPK_V2", "TRANSPOSE", "TRANSPOSE_CONV", "UNPACK",
    }
)  # fmt: skip


def unsupported(facts: TfliteFacts) -> Iterator[Finding]:
    """Operators that the list lacks. LiteRT's page "Hardware acceleration": the CPU is the fallback for them."""
    left = [operator for operator in facts.computing if operator.custom or operator.name not in _SUPPORTED]
    if left:
        yield Finding(
            "operator",
            Client.QNN,
            Effect.SLOWER,
            tuple(operator.outputs[0].name for operator in left if operator.outputs),
            f"its list lacks {len(left)} of {len(facts.computing)} operators: "
            f"{counted(operator.name for operator in left)}",
            "replace these operators in the network, or run this file on the CPU or GPU",
        )


def float_operators(facts: TfliteFacts) -> Iterator[Finding]:
    """A float file.

    Qualcomm's "Acceleration Support": "in general", the NPU (its HTP backend) "supports quantized 8 bits fixed-points".
    Its release notes: the default for floats is float16, and "some chips don't support HTP FP16 runtime".
    """
    floats = [node for node in facts.graph.nodes if node.arithmetic in (Arithmetic.FLOAT, Arithmetic.HYBRID)]
    if floats:
        yield Finding(
            "float-operators",
            Client.QNN,
            Effect.LIMITED,
            tuple(facts.graph.values[node.outputs[0]].name for node in floats),
            f"{counted(node.operator for node in floats)} compute in float: the NPU takes 8-bit integers in general, "
            "and float16 on some chips only",
            "convert to tflite-int8",
        )

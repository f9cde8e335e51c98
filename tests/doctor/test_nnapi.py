"""Operators that LiteRT's NNAPI delegate leaves to the CPU, and below which Android: one of each rule behind the
network. What is expected is what nnapi_delegate.cc says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import ArrayLike

from edge_deeplab.doctor.examination import examine
from edge_deeplab.doctor.finding import Client, Effect, Finding
from edge_deeplab.doctor.nnapi_operators import Need, need
from edge_deeplab.runtime.tflite_file import inspect_tflite
from edge_deeplab.spec import Precision
from edge_deeplab.weights import shipped_model

Published = Callable[..., Path]
Edit = Callable[[Any], None]


def last(
    name: str,
    *constants: ArrayLike,
    of: str = "FLOAT32",
    to: str = "",
    zero_point: int = 0,
    sizes: tuple[int, ...] = (1, 256, 256, 1),
    shape: tuple[int, ...] = (1, 256, 256, 1),
    version: int = 1,
    **options: Any,
) -> Edit:
    """An operator behind the network, on a tensor of a type and sizes.

    Args:
        name: the schema's word.
        constants: its further inputs.
        of: the type of its first input.
        to: the type of its output; empty: the same.
        zero_point: of the first input, where that is of 8 bits.
        sizes: of the first input.
        shape: of the output.
        version: of the operator.
        options: its settings, with their table's name as ``kind``.
    """

    def edit(sketch: Any) -> None:
        source = sketch.append("CAST", [sketch.cut_the_sigmoid()], type_=of, shape=sizes)
        if of in ("UINT8", "INT8"):
            sketch.graph.tensors[source].quantization = parameters(1 / 256, zero_point)
        rest = [sketch.constant(np.asarray(values)) for values in constants]
        made = None
        if options:
            made = getattr(schema, f"{options['kind']}OptionsT")()
            for key, value in options.items():
                if key != "kind":
                    setattr(made, key, value)
        sketch.append(name, [source, *rest], type_=to or of, shape=shape, options=made, version=version)

    return edit


def parameters(scale: float, zero_point: int) -> Any:
    made = schema.QuantizationParametersT()
    made.scale, made.zeroPoint = [scale], [zero_point]
    return made


def changed_scale(sketch: Any) -> None:
    last("MEAN", INTS([1]), of="INT8", shape=(1, 1, 256, 1))(sketch)
    sketch.graph.tensors[sketch.graph.outputs[0]].quantization = parameters(1 / 128, 0)


def same_scale(sketch: Any) -> None:
    last("MEAN", INTS([1]), of="INT8", shape=(1, 1, 256, 1))(sketch)
    sketch.graph.tensors[sketch.graph.outputs[0]].quantization = parameters(1 / 256, 0)


def computed_size(sketch: Any) -> None:
    source = sketch.cut_the_sigmoid()
    size = sketch.append("SHAPE", [source], type_="INT32", shape=(2,))
    made = schema.ResizeBilinearOptionsT()
    sketch.append("RESIZE_BILINEAR", [source, size], options=made, shape=(1, 256, 256, 1))


def custom(sketch: Any) -> None:
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM, schema.BuiltinOperator.CUSTOM
    code.customCode, code.version = b"Own", 1
    last("ABS")(sketch)
    sketch.model.operatorCodes.append(code)
    sketch.graph.operators[-1].opcodeIndex = len(sketch.model.operatorCodes) - 1


def per_channel(sketch: Any) -> None:
    weights = np.zeros((2, 1, 1, 1), np.uint8)
    last("CONV_2D", weights, INTS([0, 0]), of="UINT8", shape=(1, 256, 256, 2), kind="Conv2D")(sketch)
    kernel = sketch.graph.tensors[sketch.graph.operators[-1].inputs[1]]
    kernel.quantization = schema.QuantizationParametersT()
    kernel.quantization.scale, kernel.quantization.zeroPoint = [0.1, 0.2], [0, 0]


def INTS(values: ArrayLike) -> Any:  # noqa: N802 (reads as a constant of the tables below)
    return np.asarray(values, np.int32)


WEIGHTS = np.zeros((1, 3, 3, 1), np.float32)
BIAS = np.zeros(1, np.float32)
NARROW = (1, 128, 256, 1)

NEEDS: Mapping[str, tuple[Edit, int | None, str]] = {
    "relu": (last("RELU"), 27, ""),
    "sigmoid of int8": (last("LOGISTIC", of="INT8"), 27, ""),
    "resize": (last("RESIZE_BILINEAR", INTS([256, 256]), kind="ResizeBilinear"), 27, ""),
    "convolution": (last("CONV_2D", WEIGHTS, BIAS, kind="Conv2D"), 27, ""),
    "small average": (
        last("AVERAGE_POOL_2D", of="INT8", kind="Pool2D", filterWidth=16, filterHeight=16),
        27,
        "",
    ),
    "transpose": (last("TRANSPOSE", INTS([0, 2, 1, 3])), 28, ""),
    "padding": (last("PAD", INTS(np.zeros((4, 2)))), 28, ""),
    "mean": (last("MEAN", INTS([1])), 28, ""),
    "padding of int8": (last("PAD", INTS(np.zeros((4, 2))), of="INT8"), 29, "of int8"),
    "padding with a value": (
        last("PADV2", INTS(np.zeros((4, 2))), np.zeros(1, np.float32)),
        29,
        "with a value of its own",
    ),
    "mean of int8": (same_scale, 29, "of int8"),
    "mean to another scale": (changed_scale, None, "whose output has another scale or zero point than its input"),
    "prelu": (last("PRELU", np.zeros((1, 1, 1), np.float32)), 29, ""),
    "argmax to int32": (last("ARG_MAX", INTS([3]), to="INT32"), 29, ""),
    "argmax to int64": (last("ARG_MAX", INTS([3]), to="INT64"), None, "to int64"),
    "elu": (last("ELU"), 30, ""),
    "half-pixel centres": (
        last("RESIZE_BILINEAR", INTS([256, 256]), kind="ResizeBilinear", halfPixelCenters=True),
        30,
        "with half-pixel centres",
    ),
    "aligned corners": (
        last("RESIZE_BILINEAR", INTS([256, 256]), kind="ResizeBilinear", alignCorners=True),
        30,
        "with aligned corners",
    ),
    "not square": (
        last("RESIZE_BILINEAR", INTS([128, 256]), kind="ResizeBilinear", shape=NARROW),
        29,
        "to a size that is not square",
    ),
    "computed size": (computed_size, None, "with a computed size, shape or axis"),
    "nearest": (
        last("RESIZE_NEAREST_NEIGHBOR", INTS([256, 256]), kind="ResizeNearestNeighbor", halfPixelCenters=True),
        30,
        "with half-pixel centres",
    ),
    "dilated": (last("CONV_2D", WEIGHTS, BIAS, kind="Conv2D", dilationHFactor=2), 29, "dilated"),
    "dilated, depthwise": (
        last("DEPTHWISE_CONV_2D", WEIGHTS, BIAS, kind="DepthwiseConv2D", dilationWFactor=6),
        29,
        "dilated",
    ),
    "no bias": (last("CONV_2D", WEIGHTS, kind="Conv2D"), None, "without a bias"),
    "hybrid": (
        last("CONV_2D", WEIGHTS.astype(np.int8), BIAS, kind="Conv2D"),
        29,
        "with 8-bit weights and float32 input",
    ),
    "newer convolution": (
        last("CONV_2D", WEIGHTS.astype(np.int8), BIAS, version=5, kind="Conv2D"),
        None,
        "of version 5",
    ),
    "scales of channels": (per_channel, 29, "with a scale for each channel"),
    "large average": (
        last("AVERAGE_POOL_2D", of="INT8", kind="Pool2D", filterWidth=32, filterHeight=32),
        None,
        "over 1024 pixels, unless the app names an accelerator",
    ),
    "large average of float": (
        last("AVERAGE_POOL_2D", kind="Pool2D", filterWidth=32, filterHeight=32),
        27,
        "",
    ),
    "quantize to int8": (last("QUANTIZE", to="INT8"), 30, "to int8"),
    "quantize to uint8": (last("QUANTIZE", to="UINT8"), 29, ""),
    "dequantize uint8": (last("DEQUANTIZE", of="UINT8", to="FLOAT32"), 27, "of uint8"),
    "dequantize int8": (last("DEQUANTIZE", of="INT8", to="FLOAT32", version=2), 29, "of int8"),
    "dequantize with a zero point": (
        last("DEQUANTIZE", of="INT8", to="FLOAT32", zero_point=-128, version=2),
        30,
        "of int8 with a zero point",
    ),
    "dequantize float16": (last("DEQUANTIZE", of="FLOAT16", to="FLOAT32", version=3), 30, "of float16"),
    "cast to int32": (last("CAST", to="INT32", kind="Cast"), 29, ""),
    "cast to int8": (last("CAST", to="INT8", kind="Cast"), 30, "to int8"),
    "cast to int64": (last("CAST", to="INT64", kind="Cast"), None, "to int64"),
    "concatenation": (last("CONCATENATION", np.zeros((1, 256, 256, 1), np.float32), kind="Concatenation"), 27, ""),
    "concatenation with relu": (
        last("CONCATENATION", BIAS, kind="Concatenation", fusedActivationFunction=1),
        None,
        "with an activation",
    ),
    "sum of int32": (last("ADD", INTS([1]), of="INT32", kind="Add"), 30, "of int32"),
    "sum of int32 with relu": (
        last("ADD", INTS([1]), of="INT32", kind="Add", fusedActivationFunction=1),
        None,
        "with an activation",
    ),
    "difference": (last("SUB", BIAS, kind="Sub"), 28, ""),
    "softmax of three axes": (last("SOFTMAX", sizes=(1, 65536, 1), kind="Softmax"), 29, "of 3 axes"),
    "last axis": (last("PACK", kind="Pack", axis=-1), None, "along a new last axis"),
    "slice": (last("SLICE", INTS([0] * 4), INTS([1] * 4)), 29, ""),
    "slice by int64": (last("SLICE", np.zeros(4, np.int64), np.ones(4, np.int64)), None, "by int64"),
    "gather by int64": (last("GATHER", np.zeros(1, np.int64), kind="Gather"), None, "by int64"),
    "dimensions kept": (
        last("FULLY_CONNECTED", np.zeros((1, 1), np.float32), kind="FullyConnected", keepNumDims=True),
        30,
        "that keeps its dimensions",
    ),
    "choice by another shape": (
        last("SELECT", np.zeros((1, 256, 256, 1), np.float32), BIAS, of="BOOL", to="FLOAT32", sizes=(1, 1, 1, 1)),
        None,
        "whose condition has another shape",
    ),
    "difference of five axes": (last("SUB", BIAS, sizes=(1, 1, 256, 256, 1), kind="Sub"), None, "of 5 axes"),
    "l2 pool with relu": (last("L2_POOL_2D", kind="Pool2D", fusedActivationFunction=1), 29, "with an activation"),
    "l2 normalization": (last("L2_NORMALIZATION", sizes=(1, 65536, 1), kind="L2Norm"), 29, "of 3 axes"),
    "absolute value of int8": (last("ABS", of="INT8"), None, "of int8"),
    "unknown": (last("REVERSE_V2", INTS([3])), None, "not in its list"),
    "custom": (custom, None, "a custom operator"),
    "unread": (last("RNN"), 27, ""),
}


@pytest.mark.parametrize("rule", NEEDS)
def test_what_an_operator_needs(published: Published, rule: str) -> None:
    edit, level, reason = NEEDS[rule]
    assert need(inspect_tflite(published(edit)).operators[-1]) == Need(level, reason)


def left(path: Path) -> list[Finding]:
    return [f for f in examine(path).findings if f.client is Client.NNAPI and f.check == "operator"]


def test_the_shipped_file_by_android() -> None:
    """Counted here from the file: half-pixel resizes and bytes to int8 came with 11, int8 convolutions with 10."""
    operators = inspect_tflite(shipped_model()).operators
    never, eleven, ten = left(shipped_model())
    count = {name: sum(operator.name == name for operator in operators) for name in ("RESIZE_BILINEAR", "PAD")}
    assert "1 MEAN (whose output has another scale or zero point than its input)" in never.message
    assert f"{count['RESIZE_BILINEAR']} RESIZE_BILINEAR (with half-pixel centres), 1 QUANTIZE (to int8)" in (
        eleven.message
    )
    assert f"{count['PAD']} PAD (of int8)" in ten.message
    assert " from Android 11 on only: " in eleven.message
    assert "Android 10 (API level 29)" in ten.cure
    convolutions = [operator for operator in operators if "CONV_2D" in operator.name]
    assert len(convolutions) > 50
    assert set(ten.where) >= {operator.outputs[0].name for operator in convolutions}
    for finding in (never, eleven, ten):
        assert finding.effect is Effect.SLOWER
        assert f"takes {len(finding.where)} of {len(operators)} operators" in finding.message


def test_a_planted_operator_is_counted_and_named(published: Published) -> None:
    path = published(last("ELU"))
    (eleven,) = [finding for finding in left(path) if "Android 11" in finding.message]
    assert "1 ELU" in eleven.message
    assert inspect_tflite(path).outputs[0].name in eleven.where


def test_nnapi_is_deprecated_whatever_the_file() -> None:
    (finding,) = [f for f in examine(shipped_model()).of([Client.NNAPI]).findings if f.check == "deprecated"]
    assert finding.effect is Effect.NOTE
    assert "Android 15" in finding.message


@pytest.mark.convert
def test_float16_weights_are_no_operators_of_its_own(
    small_flatbuffers: Mapping[Precision, bytes], tmp_path: Path
) -> None:
    found = {}
    for precision in (Precision.FLOAT32, Precision.FLOAT16):
        path = tmp_path / f"{precision}.tflite"
        path.write_bytes(small_flatbuffers[precision])
        found[precision] = {f.check: f for f in examine(path).findings if f.client is Client.NNAPI}
    assert "float16-weights" not in found[Precision.FLOAT32]
    note = found[Precision.FLOAT16].pop("float16-weights")
    assert note.effect is Effect.NOTE
    assert len(note.where) > 5
    assert [f.message for f in found[Precision.FLOAT16].values()] == [
        f.message for f in found[Precision.FLOAT32].values()
    ]

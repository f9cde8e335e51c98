"""Operators that LiteRT's GPU delegate leaves to the CPU: one of each rule behind the network, and its neighbour that
is taken. What is expected is what gpu_compatibility.cc says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edge_deeplab.doctor.examination import examine
from edge_deeplab.doctor.finding import Client, Effect
from edge_deeplab.doctor.litert_gpu import objection
from edge_deeplab.runtime.tflite_file import inspect_tflite

Append = Callable[[Any, int], Any]


def options(kind: str, **values: Any) -> Any:
    made = getattr(schema, f"{kind}OptionsT")()
    for name, value in values.items():
        setattr(made, name, value)
    return made


def append(name: str, made: Any, *constants: Any, **result: Any) -> Append:
    def edit(sketch: Any, source: int) -> Any:
        rest = [sketch.constant(np.asarray(values, np.int32)) for values in constants]
        return sketch.append(name, [source, *rest], options=made, **result)

    return edit


def cast(type_: str) -> Append:
    made = options("Cast", inDataType=schema.TensorType.FLOAT32, outDataType=getattr(schema.TensorType, type_))
    return append("CAST", made, type_=type_)


def product(*axes: int) -> Append:
    """The input times its mean over an axis, or one mean times another."""

    def edit(sketch: Any, source: int) -> Any:
        factors = [source] * (2 - len(axes))
        for axis in axes:
            shape = tuple(1 if place == axis else size for place, size in enumerate((1, 256, 256, 1)))
            made, constant = options("Reducer", keepDims=True), sketch.constant(np.array([axis], np.int32))
            factors.append(sketch.append("MEAN", [source, constant], shape=shape, options=made))
        return sketch.append("MUL", factors, shape=(1, 256, 256, 1), options=options("Mul"))

    return edit


def computed_axes(sketch: Any, source: int) -> Any:
    axes = sketch.append("SHAPE", [source], type_="INT32", shape=(4,), options=options("Shape"))
    return sketch.append("MEAN", [source, axes], options=options("Reducer", keepDims=True))


def long_axes(sketch: Any, source: int) -> Any:
    axes = sketch.constant(np.array([1], np.int64))
    return sketch.append("MEAN", [source, axes], options=options("Reducer", keepDims=True))


def chosen(type_: str) -> Append:
    def edit(sketch: Any, source: int) -> Any:
        values = source if type_ == "FLOAT32" else cast(type_)(sketch, source)
        where = sketch.append("GREATER", [source, source], type_="BOOL", options=options("Greater"))
        return sketch.append("SELECT_V2", [where, values, values], type_=type_, options=options("SelectV2"))

    return edit


def bilinear(*, corners: bool, centers: bool) -> Append:
    made = options("ResizeBilinear", alignCorners=corners, halfPixelCenters=centers)
    return append("RESIZE_BILINEAR", made, (256, 256))


def stripped(mask: int) -> Append:
    made = options("StridedSlice", shrinkAxisMask=mask)
    return append("STRIDED_SLICE", made, (0, 0, 0, 0), (1, 256, 256, 1), (1, 1, 1, 1))


LEFT: Mapping[str, tuple[Append, str, str]] = {
    "argmax": (append("ARG_MAX", options("ArgMax", outputType=2), (3,), type_="INT32"), "ARG_MAX", "not in its list"),
    "cast": (cast("UINT8"), "CAST", "from FLOAT32 to UINT8"),
    "softmax": (append("SOFTMAX", options("Softmax", beta=2.0)), "SOFTMAX", "with beta 2"),
    "strided slice": (stripped(8), "STRIDED_SLICE", "with shrinkAxisMask"),
    "product": (product(1, 2), "MUL", "of two tensors that both must be spread"),
    "padding": (append("PAD", options("Pad"), np.zeros((5, 2))), "PAD", "of 5 axes"),
    "mirror": (append("MIRROR_PAD", options("MirrorPad", mode=1), np.zeros((4, 2))), "MIRROR_PAD", "symmetric"),
    "axes": (computed_axes, "MEAN", "with 2 computed inputs"),
    "axes of int64": (long_axes, "MEAN", "with axes of INT64"),
    "choice": (chosen("INT32"), "SELECT_V2", "between integers"),
    "resize": (
        bilinear(corners=True, centers=True),
        "RESIZE_BILINEAR",
        "with aligned corners and half-pixel centres",
    ),
    "blocks": (append("SPACE_TO_DEPTH", options("SpaceToDepth", blockSize=1)), "SPACE_TO_DEPTH", "with blocks of 1"),
    "gather": (append("GATHER", options("Gather", axis=3), ((0,),)), "GATHER", "of FLOAT32 by INT32 in 2 axes"),
}
TAKEN: Mapping[str, Append] = {
    "cast": cast("INT32"),
    "softmax": append("SOFTMAX", options("Softmax", beta=1.0)),
    "strided slice": stripped(0),
    "product": product(1),
    "padding": append("PAD", options("Pad"), np.zeros((4, 2))),
    "mirror": append("MIRROR_PAD", options("MirrorPad", mode=0), np.zeros((4, 2))),
    "choice": chosen("FLOAT32"),
    "resize": bilinear(corners=False, centers=True),
    "blocks": append("SPACE_TO_DEPTH", options("SpaceToDepth", blockSize=2)),
    "hard swish": append("HARD_SWISH", options("HardSwish")),
}


def objections(path: Path) -> dict[str, str]:
    graph = inspect_tflite(path)
    fixed = {tensor.index for tensor in graph.tensors if tensor.constant}
    found = {operator.name: objection(operator, fixed) for operator in graph.operators}
    return {name: reason for name, reason in found.items() if reason}


@pytest.mark.parametrize("rule", LEFT)
def test_what_goes_back_to_the_cpu(published: Callable[..., Path], rule: str) -> None:
    edit, operator, reason = LEFT[rule]
    found = objections(published(lambda sketch: edit(sketch, sketch.cut_the_sigmoid())))
    assert found[operator] == reason
    assert set(found) <= {operator, "SHAPE"}


@pytest.mark.parametrize("rule", TAKEN)
def test_what_is_taken(published: Callable[..., Path], rule: str) -> None:
    assert objections(published(lambda sketch: TAKEN[rule](sketch, sketch.cut_the_sigmoid()))) == {}


def test_the_operator_is_named_in_a_finding(published: Callable[..., Path]) -> None:
    edit, operator, reason = LEFT["argmax"]
    path = published(lambda sketch: edit(sketch, sketch.cut_the_sigmoid()))
    (finding,) = [f for f in examine(path).findings if f.client is Client.LITERT_GPU and f.check == "operator"]
    assert finding.effect is Effect.SLOWER
    assert finding.where == (inspect_tflite(path).outputs[0].name,)
    assert f"1 {operator} ({reason})" in finding.message

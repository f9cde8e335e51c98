"""TFLite files with a planted fault: who is said to trip over it, and over which tensor.

What MediaPipe does with these very files was seen with mediapipe 1.2.2 (edge_deeplab/doctor/mediapipe.py).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from converters.tflite_schema import op_name
from edge_deeplab.artifact import sidecar_path
from edge_deeplab.doctor.examination import examine
from edge_deeplab.doctor.finding import Client, Effect, Finding, Severity
from edge_deeplab.runtime.tflite_file import inspect_tflite
from edge_deeplab.spec import Precision
from edge_deeplab.weights import shipped_model

Published = Callable[..., Path]
Key = tuple[str, Client, Effect]

MEDIAPIPE, LITERT_JS, ANY = Client.MEDIAPIPE, Client.LITERT_JS, Client.ANY
REFUSED, WRONG, LIMITED, SLOWER = Effect.REFUSED, Effect.WRONG, Effect.LIMITED, Effect.SLOWER


def int8_input(sketch: Any) -> None:
    (first, *rest) = sketch.graph.operators
    sketch.graph.operators, sketch.graph.inputs = rest, [int(first.outputs[0])]


def int8_output(sketch: Any) -> None:
    (*rest, last) = sketch.graph.operators
    sketch.graph.operators, sketch.graph.outputs = rest, [int(last.inputs[0])]


def float_input(sketch: Any) -> None:
    image = sketch.graph.tensors[sketch.graph.inputs[0]]
    image.type, image.quantization = schema.TensorType.FLOAT32, None


def logits(sketch: Any) -> None:
    sketch.cut_the_sigmoid()


def class_numbers(type_: str) -> Callable[[Any], None]:
    def edit(sketch: Any) -> None:
        source, axis = sketch.cut_the_sigmoid(), sketch.constant(np.array([3], np.int32))
        options = schema.ArgMaxOptionsT()
        options.outputType = getattr(schema.TensorType, type_)
        sketch.append("ARG_MAX", [source, axis], type_=type_, shape=(1, 256, 256), options=options)

    return edit


def second_output(sketch: Any) -> None:
    sigmoid = next(op for op in sketch.graph.operators if op_name(sketch.model, op) == "LOGISTIC")
    sketch.graph.outputs = [*sketch.graph.outputs, int(sigmoid.inputs[0])]


def batch_of_two(sketch: Any) -> None:
    for tensor in sketch.graph.tensors:
        if tensor.shape is not None and len(tensor.shape) == 4 and sketch.model.buffers[tensor.buffer].data is None:
            tensor.shape = [2, *tensor.shape[1:]]


def channels_first(sketch: Any) -> None:
    old = int(sketch.graph.inputs[0])
    image, order = sketch.tensor(old, "UINT8"), sketch.constant(np.array([0, 2, 3, 1], np.int32))
    sketch.graph.tensors[image].shape = [1, 3, 256, 256]
    sketch.graph.tensors[image].quantization = sketch.graph.tensors[old].quantization
    sketch.graph.operators = [sketch.operator("TRANSPOSE", [image, order], old), *sketch.graph.operators]
    sketch.graph.inputs = [image]


def free_size(stored: int) -> Callable[[Any], None]:
    def edit(sketch: Any) -> None:
        image = sketch.graph.tensors[sketch.graph.inputs[0]]
        image.shape, image.shapeSignature = [1, stored, stored, 3], [1, -1, -1, 3]

    return edit


FAULTS: Mapping[str, tuple[Callable[[Any], None], set[Key]]] = {
    "int8 input": (int8_input, {("input-type", MEDIAPIPE, REFUSED), ("end-type", LITERT_JS, REFUSED)}),
    "int8 output": (int8_output, {("end-type", LITERT_JS, REFUSED)}),
    "float input": (float_input, {("normalization", MEDIAPIPE, REFUSED)}),
    "logits": (logits, {("activation", MEDIAPIPE, WRONG), ("logits", ANY, LIMITED)}),
    "argmax to int32": (  # of float logits, which are an island
        class_numbers("INT32"),
        {
            ("output", MEDIAPIPE, WRONG),
            ("argmax-inside", ANY, LIMITED),
            ("float-islands", Client.LITERT_CPU, SLOWER),
            ("float-operators", Client.QNN, LIMITED),
        },
    ),
    "argmax to int64": (
        class_numbers("INT64"),
        {
            ("output", MEDIAPIPE, REFUSED),
            ("end-type", LITERT_JS, REFUSED),
            ("argmax-inside", ANY, LIMITED),
            ("float-islands", Client.LITERT_CPU, SLOWER),
            ("float-operators", Client.QNN, LIMITED),
        },
    ),
    "two outputs": (second_output, {("one-output", MEDIAPIPE, WRONG), ("end-type", LITERT_JS, REFUSED)}),
    "batch": (batch_of_two, {("input-shape", MEDIAPIPE, REFUSED), ("batch", ANY, LIMITED)}),
    "NCHW": (
        channels_first,
        {("input-shape", MEDIAPIPE, REFUSED), ("channels-first", Client.LITERT_CPU, LIMITED)},
    ),
    "free size": (
        free_size(256),
        {
            ("free-size", MEDIAPIPE, LIMITED),
            ("free-size", LITERT_JS, REFUSED),
            ("free-size", Client.LITERT_CPU, LIMITED),
            ("free-size", Client.NNAPI, SLOWER),
        },
    ),
}
# What stands in the way of no mask, and is the same for all of these files but where the fault is about it.
USUAL = ("resize-alignment", "partitions", "operator", "execution")


def findings(path: Path) -> tuple[Finding, ...]:
    return examine(path).findings


def keys(found: tuple[Finding, ...]) -> set[Key]:
    return {
        (finding.check, finding.client, finding.effect)
        for finding in found
        if finding.effect is not Effect.NOTE and finding.check not in USUAL
    }


def test_the_shipped_file_fails_nobody() -> None:
    examination = examine(shipped_model())
    assert (examination.format, examination.failed) == ("TFLite", False)
    assert {(finding.check, finding.client, finding.effect) for finding in examination.findings} == {
        ("operator", Client.NNAPI, SLOWER),
        ("deprecated", Client.NNAPI, Effect.NOTE),
        ("labels", MEDIAPIPE, Effect.NOTE),
        ("integers", Client.LITERT_GPU, Effect.NOTE),
    }


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_and_its_tensor_named(published: Published, fault: str) -> None:
    edit, expected = FAULTS[fault]
    path = published(edit)
    found = findings(path)
    assert keys(found) == expected
    tensors = {tensor.name for tensor in inspect_tflite(path).tensors}
    for finding in found:
        if (finding.check, finding.client, finding.effect) in expected:
            assert finding.where
            assert tensors.issuperset(finding.where)
            assert finding.cure


def test_what_xnnpack_leaves_to_slower_kernels_is_named(published: Published) -> None:
    (left,) = (one for one in findings(published(class_numbers("INT32"))) if one.check == "partitions")
    assert (left.client, left.effect) == (Client.LITERT_CPU, SLOWER)
    assert "ARG_MAX" in left.where
    assert "leaves ARG_MAX" in left.message


def test_a_size_of_one_pixel_is_refused_by_mediapipe(published: Published) -> None:
    refused = [f for f in findings(published(free_size(1))) if f.client is MEDIAPIPE and f.effect is REFUSED]
    assert ("free-size", "it runs the stored size, which is 1x1") in {(f.check, f.message) for f in refused}


def test_metadata_cure_what_lacks_them(published: Published) -> None:
    assert keys(findings(published(float_input, labels=("person",), normalization=(0.0, 255.0)))) == set()
    notes = {finding.check for finding in findings(published(labels=("person",)))}
    assert "labels" not in notes


def test_labels_that_are_not_one_for_each_channel(published: Published) -> None:
    key = ("label-count", MEDIAPIPE, LIMITED)
    for labels, message in (
        (("background", "person"), "the file has 2 labels, and its output 1 channel"),
        (("a", "b", "c"), "the file has 3 labels"),
    ):
        path = published(labels=labels)
        (finding,) = [f for f in findings(path) if f.check == "label-count"]
        assert (finding.check, finding.client, finding.effect) == key
        assert finding.message.startswith(message)
        assert finding.where == (inspect_tflite(path).outputs[0].name,)
    assert key not in keys(findings(published(labels=("person",))))
    assert key not in keys(findings(published(class_numbers("INT32"), labels=("a", "b"))))  # no channels to count


def test_a_file_of_labels_without_any_is_refused(published: Published) -> None:
    (finding,) = [f for f in findings(published(labels=("",))) if f.check == "labels"]
    assert (finding.client, finding.effect) == (MEDIAPIPE, REFUSED)
    assert "labels.txt" in finding.message


def test_what_qualcomms_list_lacks(published: Published) -> None:
    def expanded(sketch: Any) -> None:
        source, axis = sketch.cut_the_sigmoid(), sketch.constant(np.array([4], np.int32))
        sketch.append("EXPAND_DIMS", [source, axis], shape=(1, 256, 256, 1, 1))

    def of_qnn(path: Path) -> list[Finding]:
        return [f for f in findings(path) if f.client is Client.QNN and f.check == "operator"]

    path = published(expanded)
    (finding,) = of_qnn(path)
    assert finding.effect is SLOWER
    assert finding.where == (inspect_tflite(path).outputs[0].name,)
    assert finding.message.endswith("operators: 1 EXPAND_DIMS")
    assert of_qnn(published(logits)) == []


def test_what_is_not_checked_is_said(published: Published) -> None:
    examination = examine(shipped_model())
    assert set(examination.unchecked) == {Client.NNAPI, Client.QNN}
    assert set(examination.of([Client.QNN]).unchecked) == {Client.QNN}
    assert "Qualcomm's library" in examination.to_dict()["unchecked"]["qnn"]


def test_normalization_that_differs_between_channels_or_counts_two(published: Published) -> None:
    for count, check in ((3, "normalization"), (2, "metadata")):
        path = published(float_input, normalization=(tuple(range(count)), tuple(range(50, 50 + count))))
        assert (check, MEDIAPIPE, REFUSED) in keys(findings(path))


def test_a_normalization_that_is_not_the_contract_is_wrong(published: Published) -> None:
    path = published(float_input, labels=("person",), normalization=(127.5, 127.5))
    assert keys(findings(path)) == set()
    shutil.copy(sidecar_path(shipped_model()), sidecar_path(path))  # now it says that it is one of ours
    assert ("normalization", MEDIAPIPE, WRONG) in keys(findings(path))


def test_a_resize_that_a_converter_changed(published: Published) -> None:
    def aligned(sketch: Any) -> None:
        for operator in sketch.graph.operators:
            if op_name(sketch.model, operator) == "RESIZE_BILINEAR":
                operator.builtinOptions.alignCorners, operator.builtinOptions.halfPixelCenters = True, False

    def alignment(path: Path) -> set[tuple[Effect, int]]:
        found = [f for f in findings(path) if f.check == "resize-alignment" and f.client is ANY]
        return {(finding.effect, len(finding.where)) for finding in found}

    path = published(aligned)
    assert alignment(path) == {(Effect.NOTE, 3)}
    shutil.copy(sidecar_path(shipped_model()), sidecar_path(path))
    assert alignment(path) == {(WRONG, 3)}


def test_a_float_island_is_named(published: Published) -> None:
    def island(sketch: Any) -> None:
        place, sigmoid = next(
            (i, op) for i, op in enumerate(sketch.graph.operators) if op_name(sketch.model, op) == "LOGISTIC"
        )
        before, after = int(sigmoid.inputs[0]), int(sigmoid.outputs[0])
        entered, left = sketch.tensor(before, "FLOAT32"), sketch.tensor(after, "FLOAT32")
        sigmoid.inputs, sigmoid.outputs = [entered], [left]
        steps = [
            sketch.operator("DEQUANTIZE", [before], entered, version=2),
            sigmoid,
            sketch.operator("QUANTIZE", [left], after),
        ]
        sketch.graph.operators[place : place + 1] = steps

    (finding,) = [f for f in findings(published(island)) if f.check == "float-islands"]
    assert (finding.client, finding.effect) == (Client.LITERT_CPU, SLOWER)
    assert finding.message.endswith("LOGISTIC")


def test_flex_and_custom_operators_are_refused_with_their_cure(published: Published) -> None:
    def custom(name: str) -> Callable[[Any], None]:
        def edit(sketch: Any) -> None:
            code = schema.OperatorCodeT()
            code.builtinCode, code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM, schema.BuiltinOperator.CUSTOM
            code.customCode, code.version = name.encode(), 1
            sketch.model.operatorCodes.append(code)
            sigmoid = next(op for op in sketch.graph.operators if op_name(sketch.model, op) == "LOGISTIC")
            sigmoid.opcodeIndex = len(sketch.model.operatorCodes) - 1

        return edit

    for name, cure in (("FlexSigmoid", "Flex delegate"), ("Own", "register these operators")):
        found = findings(published(custom(name)))
        execution = {f.client: f for f in found if f.check == "execution"}
        assert set(execution) == {Client.LITERT_CPU, MEDIAPIPE}
        assert execution[Client.LITERT_CPU].where == (name,)
        assert cure in execution[Client.LITERT_CPU].cure
        for client in (Client.NNAPI, Client.QNN):
            assert any(f.client is client and f"1 {name}" in f.message and f.effect is SLOWER for f in found)
        assert any(f.client is Client.LITERT_GPU and f.effect is SLOWER for f in found)


@pytest.mark.convert
@pytest.mark.parametrize("precision", [Precision.FLOAT32, Precision.FLOAT16, Precision.DYNAMIC])
def test_the_float_files(small_flatbuffers: Mapping[Precision, bytes], tmp_path: Path, precision: Precision) -> None:
    path = tmp_path / "small.tflite"
    path.write_bytes(small_flatbuffers[precision])
    examination = examine(path)
    errors = {(f.check, f.client) for f in examination.findings if f.effect.severity is Severity.ERROR}
    assert errors == {("normalization", MEDIAPIPE)}
    assert not any(f.check == "partitions" for f in examination.findings)
    if precision is not Precision.DYNAMIC:
        assert not any(f.client is Client.LITERT_GPU for f in examination.findings)
    (finding,) = [f for f in examination.findings if f.client is Client.QNN]
    assert (finding.check, finding.effect) == ("float-operators", LIMITED)

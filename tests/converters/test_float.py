"""The small network in every floating-point format, through the real converters and runtimes."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from converters import onnx, tflite
from converters.check import made_pictures
from converters.tflite_dynamic import restore_depthwise
from converters.tflite_float16 import halve_weights
from converters.tflite_schema import constant, op_name, read_model, write_model
from edge_deeplab.artifact import Artifact
from edge_deeplab.errors import ConversionError
from edge_deeplab.files import sha256
from edge_deeplab.models.loading import load_network
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.runtime.tflite_file import inspect_tflite
from edge_deeplab.runtime.tflite_session import TfliteSession
from edge_deeplab.spec import Format, IoType, ModelSpec, Precision, Target

pytestmark = pytest.mark.convert


@pytest.fixture(scope="module")
def convert(
    small_checkpoint: Path,
    small_onnx: bytes,
    small_flatbuffers: Mapping[Precision, bytes],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[Target], Artifact]:
    folder = tmp_path_factory.mktemp("artifacts")

    def convert(target: Target) -> Artifact:
        out = folder / f"{target}{target.suffix}"
        if target.format is Format.ONNX:
            return onnx.convert(small_checkpoint, out, exported=small_onnx)
        flatbuffer = small_flatbuffers[target.precision]
        return tflite.convert(small_checkpoint, out, target.precision, flatbuffer=flatbuffer)

    return convert


@pytest.mark.parametrize(
    ("target", "tolerance", "agreement"),
    [
        ("onnx", 1e-4, 0.999),
        ("tflite-float32", 1e-4, 0.999),
        ("tflite-float16", 1e-2, 0.999),
        ("tflite-dynamic", 0.3, 0.99),
    ],
)
def test_a_converted_file_gives_pytorchs_probabilities(
    convert: Callable[[Target], Artifact],
    small_checkpoint: Path,
    small_spec: ModelSpec,
    target: str,
    tolerance: float,
    agreement: float,
) -> None:
    artifact = convert(Target.parse(target))
    artifact.write_sidecar()
    agreements, low, high = [], 1.0, 0.0
    with open_session(small_checkpoint) as reference, open_session(artifact.path) as session:
        assert (session.height, session.width, session.classes) == (96, 96, ("person",))
        for picture in made_pictures(96, 96, count=8):
            expected, found = reference.run(picture), session.run(picture)
            np.testing.assert_allclose(found, expected, atol=tolerance)
            agreements.append(np.mean((found > 0.5) == (expected > 0.5)))
            low, high = min(low, expected.min()), max(high, expected.max())
    assert low < 0.1  # there was something to lose
    assert high > 0.9
    assert np.mean(agreements) >= agreement
    assert artifact.spec == small_spec
    assert artifact.io is IoType.FLOAT32
    assert artifact.sha256 == sha256(artifact.path)
    assert artifact.checkpoint_sha256 == sha256(small_checkpoint)


@pytest.mark.parametrize("precision", [Precision.FLOAT32, Precision.FLOAT16])
def test_a_float_tflite_file_is_one_partition_of_plain_operators(
    convert: Callable[[Target], Artifact], precision: Precision
) -> None:
    artifact = convert(Target(Format.TFLITE, precision))
    with TfliteSession(artifact.path) as session:
        assert session.fully_delegated
        assert session.partitions == 1
    graph = inspect_tflite(artifact.path)
    names = {operator.name for operator in graph.operators}
    assert "TRANSPOSE" not in names
    assert not any(name.startswith("Flex") for name in names)
    assert graph.operators[-1].name == "LOGISTIC"
    assert (graph.signature_inputs, graph.signature_outputs) == (("image",), ("probability",))
    assert [(tensor.type, tensor.shape) for tensor in graph.inputs] == [("FLOAT32", (1, 96, 96, 3))]
    assert [(tensor.type, tensor.shape) for tensor in graph.outputs] == [("FLOAT32", (1, 96, 96, 1))]


def test_the_sizes_are_those_of_their_precision(small_flatbuffers: Mapping[Precision, bytes]) -> None:
    sizes = {precision: len(content) for precision, content in small_flatbuffers.items()}
    assert sizes[Precision.FLOAT16] < 0.65 * sizes[Precision.FLOAT32]
    assert sizes[Precision.DYNAMIC] < 0.45 * sizes[Precision.FLOAT32]


def test_dynamic_keeps_depthwise_filters_in_float32(
    convert: Callable[[Target], Artifact], small_flatbuffers: Mapping[Precision, bytes]
) -> None:
    graphs = [inspect_tflite(convert(Target.parse(f"tflite-{name}")).path) for name in ("dynamic", "float32")]
    dynamic, exact = (
        {op.outputs[0].name: op for op in graph.operators if op.name.endswith("CONV_2D")} for graph in graphs
    )
    assert dynamic.keys() == exact.keys()
    types = {(op.name, op.inputs[1].type) for op in dynamic.values()}
    assert {kind for name, kind in types if name == "DEPTHWISE_CONV_2D"} == {"FLOAT32"}
    assert ("CONV_2D", "INT8") in types
    ours, theirs = (_depthwise_filters(small_flatbuffers[name]) for name in (Precision.DYNAMIC, Precision.FLOAT32))
    assert len(ours) > 10
    assert all(np.array_equal(values, theirs[name]) for name, values in ours.items())


def _depthwise_filters(flatbuffer: bytes) -> dict[bytes, NDArray[np.float32] | None]:
    model = read_model(flatbuffer)
    tensors = model.subgraphs[0].tensors
    return {
        tensors[op.outputs[0]].name: constant(model, tensors[op.inputs[1]], np.float32)
        for op in model.subgraphs[0].operators
        if op_name(model, op) == "DEPTHWISE_CONV_2D"
    }


def test_files_of_two_networks_are_not_mixed(small_flatbuffers: Mapping[Precision, bytes]) -> None:
    float32 = small_flatbuffers[Precision.FLOAT32]
    other = read_model(float32)
    (subgraph,) = other.subgraphs
    broken = read_model(float32)
    for op in subgraph.operators:
        if op_name(other, op) == "DEPTHWISE_CONV_2D":
            subgraph.tensors[op.outputs[0]].name = b"another"
    for op in broken.subgraphs[0].operators:
        if op_name(broken, op) == "DEPTHWISE_CONV_2D":
            broken.subgraphs[0].tensors[op.inputs[1]].type = schema.TensorType.INT8
    with pytest.raises(ConversionError, match="differ at"):
        restore_depthwise(write_model(broken), write_model(other))


def test_float16_halves_the_large_convolutions_and_leaves_the_sensitive_ones(
    convert: Callable[[Target], Artifact],
) -> None:
    operators = inspect_tflite(convert(Target.parse("tflite-float16")).path).operators
    widened = {operator.outputs[0].name: operator.inputs[0] for operator in operators if operator.name == "DEQUANTIZE"}
    assert {half.type for half in widened.values()} == {"FLOAT16"}
    sizes: dict[bool, list[int]] = {True: [], False: []}
    for operator in operators:
        if operator.name in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            _, weight, bias = operator.inputs
            assert (weight.name in widened) == (bias.name in widened)
            if operator.name == "DEPTHWISE_CONV_2D":
                assert weight.name not in widened
            else:
                sizes[weight.name in widened].append(math.prod(weight.shape))
    assert len(sizes[True]) > 5
    assert max(sizes[False]) <= min(sizes[True])


def test_a_weight_beyond_float16_is_refused(small_flatbuffers: Mapping[Precision, bytes]) -> None:
    model = read_model(small_flatbuffers[Precision.FLOAT32])
    for buffer in model.buffers:
        if buffer.data is not None and len(buffer.data) > 40_000:  # the weights of a large convolution
            buffer.data = np.full(len(buffer.data) // 4, 1e5, np.float32).view(np.uint8)
    with pytest.raises(ConversionError, match=r"a weight of 1e\+05 does not fit into float16"):
        halve_weights(write_model(model))


def test_the_same_checkpoint_gives_the_same_bytes(
    small_checkpoint: Path, small_onnx: bytes, small_flatbuffers: Mapping[Precision, bytes]
) -> None:
    network, checkpoint = load_network(small_checkpoint)
    again = onnx.export(network, checkpoint.spec)
    assert again == small_onnx
    assert tflite.flatbuffers(again, tflite.FLOAT_PRECISIONS) == small_flatbuffers


def test_an_onnx_file_says_nothing_of_this_machine(small_onnx: bytes) -> None:
    assert str(Path(__file__).parents[2]).encode() not in small_onnx
    assert b"forward" not in small_onnx  # a line of a stack trace


def test_the_graph_alone_is_handed_on_to_the_converter(small_onnx: bytes, tmp_path: Path) -> None:
    """Keras' own description beside it holds every layer once more: over 19 GB of memory for a large network."""
    source = tmp_path / "network.onnx"
    source.write_bytes(small_onnx)
    code = (
        "import sys; from pathlib import Path; from converters.tensorflow_worker import write_saved_model; "
        "write_saved_model(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    subprocess.run(
        [sys.executable, "-c", code, source, tmp_path / "saved"], check=True, capture_output=True, env=os.environ
    )
    saved = (tmp_path / "saved" / "saved_model.pb").read_bytes()
    assert len(saved) > len(small_onnx) / 2  # the weights are in it
    assert b"_tf_keras" not in saved

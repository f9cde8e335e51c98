"""The int8 file: its numbers, its types, how it runs, and that a planted fault does not pass."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from calibration.images import bundled_calibration
from converters.point_match import settle
from converters.tflite_check import (
    check_delegation,
    check_execution,
    check_integer,
    check_numbers,
    check_variant,
)
from converters.tflite_int8 import convert, quantize_model
from converters.tflite_match import Match, match
from converters.tflite_probe import tensor_values
from converters.tflite_schema import op_name, read_model, write_model
from edge_deeplab.errors import ConversionError, ModelFileError, RangesError, SpecError
from edge_deeplab.files import sha256
from edge_deeplab.image import resize_area
from edge_deeplab.quantization.graph import QuantizationGraph
from edge_deeplab.quantization.integers import layer_integers
from edge_deeplab.quantization.ranges import QuantRanges, activation_range
from edge_deeplab.runtime.tflite_file import inspect_flatbuffer, inspect_tflite
from edge_deeplab.runtime.tflite_session import TfliteSession
from edge_deeplab.spec import IoType

pytestmark = pytest.mark.convert

VARIANTS = (IoType.UINT8, IoType.INT8, IoType.FLOAT32)


@dataclasses.dataclass(frozen=True)
class Bench:
    """Everything that the writer takes, and what it gives for int8 input and output."""

    checkpoint: Path
    float32: bytes
    graph: QuantizationGraph
    ranges: QuantRanges
    pixels: np.ndarray
    matched: Match
    int8: bytes

    def write(self, io: IoType) -> bytes:
        return quantize_model(self.float32, self.graph, self.ranges, self.matched, io)


@pytest.fixture(scope="module")
def bench(
    small_checkpoint: Path,
    small_graph: QuantizationGraph,
    small_ranges: QuantRanges,
    probe: NDArray[np.uint8],
    small_float32_tflite: Path,
) -> Bench:
    float32 = small_float32_tflite.read_bytes()
    matched = match(small_graph, small_ranges, float32, probe)
    int8 = quantize_model(float32, small_graph, small_ranges, matched, IoType.INT8)
    return Bench(small_checkpoint, float32, small_graph, small_ranges, probe, matched, int8)


@pytest.fixture(scope="module")
def converted(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> dict[IoType, Path]:
    """The three I/O variants, each written and checked by ``convert`` itself."""
    folder = tmp_path_factory.mktemp("int8")
    for io in VARIANTS:
        convert(bench.checkpoint, folder / f"{io}.tflite", bench.ranges, bench.float32, io)
    return {io: folder / f"{io}.tflite" for io in VARIANTS}


def test_uint8_is_the_default_and_the_artifact_says_what_it_is(bench: Bench, tmp_path: Path) -> None:
    artifact = convert(bench.checkpoint, tmp_path / "a.tflite", bench.ranges, bench.float32)
    assert (artifact.io, str(artifact.target)) == (IoType.UINT8, "tflite-int8")
    assert artifact.sha256 == sha256(tmp_path / "a.tflite")
    assert artifact.checkpoint_sha256 == bench.ranges.checkpoint_sha256
    assert "tensorflow" in artifact.tools


def test_the_same_inputs_give_the_same_bytes(bench: Bench, converted: dict[IoType, Path]) -> None:
    for io, path in converted.items():
        assert path.read_bytes() == bench.write(io)


@pytest.mark.parametrize(
    ("io", "types", "border"),
    [
        (IoType.UINT8, "UINT8", ("QUANTIZE", "QUANTIZE")),
        (IoType.INT8, "INT8", ()),
        (IoType.FLOAT32, "FLOAT32", ("QUANTIZE", "DEQUANTIZE")),
    ],
)
def test_integer_kernels_from_end_to_end(
    converted: dict[IoType, Path], io: IoType, types: str, border: tuple[str, ...]
) -> None:
    graph = inspect_tflite(converted[io])
    names = [operator.name for operator in graph.operators]
    inside = graph.operators[1:-1] if border else graph.operators
    assert [tensor.type for tensor in (*graph.inputs, *graph.outputs)] == [types, types]
    assert tuple(name for name in names if "QUANTIZE" in name) == border
    assert (names[0], names[-1]) == border or not border
    assert {tensor.type for operator in inside for tensor in (*operator.inputs, *operator.outputs)} == {"INT8", "INT32"}
    assert len(graph.signature_inputs) == len(graph.signature_outputs) == 1


def test_the_ends_have_the_contract_s_numbers(converted: dict[IoType, Path]) -> None:
    for io, zero_point in ((IoType.UINT8, 0), (IoType.INT8, -128)):
        graph = inspect_tflite(converted[io])
        assert graph.inputs[0].scales == (float(np.float32(1 / 255)),)
        assert graph.outputs[0].scales == (1 / 256,)
        assert graph.inputs[0].zero_points == graph.outputs[0].zero_points == (zero_point,)


def test_one_partition(converted: dict[IoType, Path]) -> None:
    for path in converted.values():
        with TfliteSession(path) as session:
            assert session.partitions == 1
    with TfliteSession(converted[IoType.INT8]) as session:
        assert session.fully_delegated


def test_every_number_is_the_ranges_own(bench: Bench) -> None:
    """Read with LiteRT's schema alone; which tensor is which layer follows from counting, not from the match."""
    model = read_model(bench.int8)
    tensors = model.subgraphs[0].tensors
    kernels = {"CONV_2D": (0, (0, 2, 3, 1)), "DEPTHWISE_CONV_2D": (3, (1, 2, 3, 0))}
    found = {}
    for operator in model.subgraphs[0].operators:
        if op_name(model, operator) in kernels:
            axis, permutation = kernels[op_name(model, operator)]
            weights, bias, output = (tensors[int(i)] for i in (*operator.inputs[1:], *operator.outputs))
            assert weights.quantization.quantizedDimension == axis
            data = model.buffers[weights.buffer].data.tobytes()
            found[data] = (axis, permutation, weights, bias, output)
    assert len(found) == len(bench.graph.convolutions)
    for layer in bench.graph.convolutions:
        integers, scales, biases, steps = layer_integers(bench.graph, bench.ranges, layer)
        depthwise = bench.graph.conv(layer).groups > 1
        layout = integers.transpose((1, 2, 3, 0) if depthwise else (0, 2, 3, 1))
        axis, _, weights, bias, output = found[np.ascontiguousarray(layout).tobytes()]
        assert axis == (3 if depthwise else 0)
        assert tuple(weights.shape) == layout.shape
        assert np.array_equal(weights.quantization.scale, scales)
        assert np.array_equal(bias.quantization.scale, steps)
        assert np.array_equal(np.frombuffer(model.buffers[bias.buffer].data.tobytes(), np.int32), biases)
        affine = bench.ranges.activation(layer.output).affine
        assert (output.quantization.scale[0], output.quantization.zeroPoint[0]) == (affine.scale, affine.zero_point)


def test_every_point_arrives(bench: Bench) -> None:
    assert set(bench.matched.activations.values()) == {point.name for point in bench.graph.points}


def run_by_xnnpack(bench: Bench) -> dict[str, np.ndarray]:
    """Point name to int8, NCHW; the tensors that the exporter added have another layer's name and come first."""
    values = tensor_values(bench.int8, (bench.pixels.astype(np.int16) - 128).astype(np.int8))
    ordered = sorted(bench.matched.activations.items(), reverse=True)
    return {name: values[index].transpose(0, 3, 1, 2) for index, name in ordered if values[index].ndim == 4}


def test_first_layers_are_bit_equal_to_integer_arithmetic(
    bench: Bench, first_layers: Mapping[str, NDArray[np.int8]]
) -> None:
    found = run_by_xnnpack(bench)
    for name, expected in first_layers.items():
        assert np.array_equal(expected, found[name]), name


def test_first_layers_are_those_of_the_simulation(
    bench: Bench, first_layers: Mapping[str, NDArray[np.int8]], simulated: Mapping[str, NDArray[np.int8]]
) -> None:
    """Float64 knows on which side of a tie a value lies that float32 rounds to the tie: one step, hardly ever."""
    found = run_by_xnnpack(bench)
    for name in first_layers:
        difference = np.abs(simulated[name].astype(int) - found[name])
        assert difference.max() <= 1
        assert np.mean(difference > 0) < 1e-4


def test_io_variants_are_equal_to_the_last_bit(converted: dict[IoType, Path], bench: Bench) -> None:
    images = [bench.pixels, bench.pixels[::-1].copy(), np.zeros_like(bench.pixels), np.full_like(bench.pixels, 255)]
    outputs = {}
    for io, path in converted.items():
        with TfliteSession(path) as session:
            outputs[io] = np.stack([session.run_raw(image) for image in images])
    assert len(np.unique(outputs[IoType.INT8])) > 20
    assert np.array_equal(outputs[IoType.UINT8].astype(int) - 128, outputs[IoType.INT8])
    assert np.array_equal(outputs[IoType.FLOAT32] * 256 - 128, outputs[IoType.INT8])


def test_the_mask_is_the_float_network_s(converted: dict[IoType, Path], small_float32_tflite: Path) -> None:
    agreements = []
    with TfliteSession(converted[IoType.UINT8]) as int8, TfliteSession(small_float32_tflite) as float32:
        for photo in bundled_calibration():
            pixels = resize_area(photo, int8.height, int8.width)
            agreements.append(np.mean((int8.run(pixels) >= 0.5) == (float32.run(pixels) >= 0.5)))
    assert np.mean(agreements) > 0.97


def edit(data: bytes, change: Callable[[Any], None]) -> bytes:
    model = read_model(data)
    change(model)
    return write_model(model)


def kernel_of(model: Any, kind: str) -> Any:
    operator = next(operator for operator in model.subgraphs[0].operators if op_name(model, operator) == kind)
    return model.subgraphs[0].tensors[int(operator.inputs[1])]


def test_a_planted_wrong_zero_point_is_caught(bench: Bench) -> None:
    def shift(model: Any) -> None:
        index = next(index for index, name in bench.matched.activations.items() if name == "backbone.blocks.4.expand")
        model.subgraphs[0].tensors[index].quantization.zeroPoint = np.array([-127], np.int64)

    check_numbers(bench.int8, bench.graph, bench.ranges, bench.matched)
    broken = edit(bench.int8, shift)
    with pytest.raises(ConversionError, match=r"blocks\.4\.expand was written with"):
        check_numbers(broken, bench.graph, bench.ranges, bench.matched)
    with pytest.raises(ConversionError, match="computes something else"):
        check_execution(broken, bench.graph, bench.ranges, bench.matched, bench.pixels)


@pytest.mark.parametrize("kind", ["CONV_2D", "DEPTHWISE_CONV_2D"])
def test_a_planted_transposed_weight_is_caught(bench: Bench, kind: str) -> None:
    def transpose(model: Any) -> None:
        tensor = kernel_of(model, kind)
        values = model.buffers[tensor.buffer].data.view(np.int8).reshape(tensor.shape)
        model.buffers[tensor.buffer].data = (
            np.ascontiguousarray(values.transpose(0, 2, 1, 3)).reshape(-1).view(np.uint8)
        )

    check_execution(bench.int8, bench.graph, bench.ranges, bench.matched, bench.pixels)
    broken = edit(bench.int8, transpose)
    with pytest.raises(ConversionError, match="weights of backbone"):
        check_numbers(broken, bench.graph, bench.ranges, bench.matched)
    with pytest.raises(ConversionError, match=r"backbone.*computes something else"):
        check_execution(broken, bench.graph, bench.ranges, bench.matched, bench.pixels)


def test_a_single_planted_bit_is_caught(bench: Bench) -> None:
    def flip(model: Any) -> None:
        tensor = kernel_of(model, "CONV_2D")
        data = model.buffers[tensor.buffer].data.copy()
        data[0] ^= 1
        model.buffers[tensor.buffer].data = data

    with pytest.raises(ConversionError, match="weights of"):
        check_numbers(edit(bench.int8, flip), bench.graph, bench.ranges, bench.matched)


def test_a_float_tensor_inside_is_caught(bench: Bench) -> None:
    def float_inside(model: Any) -> None:
        model.subgraphs[0].tensors[int(model.subgraphs[0].operators[3].outputs[0])].type = schema.TensorType.FLOAT32

    check_integer(inspect_flatbuffer(bench.int8, "x"), IoType.INT8)
    with pytest.raises(ConversionError, match="FLOAT32"):
        check_integer(inspect_flatbuffer(edit(bench.int8, float_inside), "x"), IoType.INT8)
    with pytest.raises(ConversionError, match="input and output"):
        check_integer(inspect_flatbuffer(bench.int8, "x"), IoType.UINT8)
    with pytest.raises(ConversionError, match="input and output"):
        check_integer(inspect_flatbuffer(bench.float32, "x"), IoType.INT8)


@pytest.mark.parametrize("end", ["inputs", "outputs"])
def test_a_wrong_zero_point_at_an_end_is_caught_before_the_file_is_opened(bench: Bench, end: str) -> None:
    """LiteRT 2.1.0 crashes on such a file instead of refusing it."""

    def shift(model: Any) -> None:
        (index,) = getattr(model.subgraphs[0], end)
        model.subgraphs[0].tensors[int(index)].quantization.zeroPoint = np.array([-1], np.int64)

    check_integer(inspect_flatbuffer(bench.write(IoType.UINT8), "x"), IoType.UINT8)
    with pytest.raises(ConversionError, match=r"at the end of the file has scale .* zero point \(-1,\)"):
        check_integer(inspect_flatbuffer(edit(bench.write(IoType.UINT8), shift), "x"), IoType.UINT8)


def test_a_variant_of_another_network_is_caught(bench: Bench) -> None:
    def invert(model: Any) -> None:
        tensor = kernel_of(model, "CONV_2D")
        model.buffers[tensor.buffer].data = (-model.buffers[tensor.buffer].data.view(np.int8)).view(np.uint8)

    for io in VARIANTS:
        check_variant(bench.write(io), bench.int8, io, bench.pixels)
        with pytest.raises(ConversionError, match="another result"):
            check_variant(edit(bench.write(io), invert), bench.int8, io, bench.pixels)


def test_a_second_partition_is_caught(bench: Bench) -> None:
    def age(model: Any) -> None:  # XNNPACK has no squared difference of int8: one operator in the middle falls out
        code = schema.OperatorCodeT()
        code.builtinCode, code.version = schema.BuiltinOperator.SQUARED_DIFFERENCE, 2
        code.deprecatedBuiltinCode = code.builtinCode
        model.operatorCodes.append(code)
        operator = next(o for o in model.subgraphs[0].operators if op_name(model, o) == "ADD")
        operator.opcodeIndex = len(model.operatorCodes) - 1
        operator.builtinOptionsType = schema.BuiltinOptions.SquaredDifferenceOptions
        operator.builtinOptions = schema.SquaredDifferenceOptionsT()

    def rectify(model: Any) -> None:  # XNNPACK has no rectifier of int8, and this network none that stands alone
        tensors, operators = model.subgraphs[0].tensors, model.subgraphs[0].operators
        place = next(index for index, o in enumerate(operators) if op_name(model, o) == "ADD")
        code, copied = schema.OperatorCodeT(), copy.deepcopy(tensors[operators[place].outputs[0]])
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.RELU
        model.operatorCodes.append(code)
        tensors.append(copied)
        relu = schema.OperatorT()
        relu.opcodeIndex = len(model.operatorCodes) - 1
        relu.inputs, relu.outputs = [len(tensors) - 1], operators[place].outputs
        operators[place].outputs = [len(tensors) - 1]
        operators.insert(place + 1, relu)

    check_delegation(bench.int8, bench.graph)
    for change, left in ((age, "SQUARED_DIFFERENCE"), (rectify, "RELU")):
        with pytest.raises(ConversionError, match=f"2 partitions, and leaves out: {left}"):
            check_delegation(edit(bench.int8, change), bench.graph)


def test_ranges_of_another_checkpoint_are_refused(bench: Bench, tmp_path: Path) -> None:
    other = dataclasses.replace(bench.ranges, checkpoint_sha256="0" * 64)
    with pytest.raises(RangesError, match="000000000000"):
        convert(bench.checkpoint, tmp_path / "a.tflite", other, bench.float32)
    without = {name: value for name, value in bench.ranges.activations.items() if name != "decoder.skip"}
    with pytest.raises(RangesError, match=r"decoder\.skip"):
        convert(
            bench.checkpoint,
            tmp_path / "a.tflite",
            dataclasses.replace(bench.ranges, activations=without),
            bench.float32,
        )
    assert not list(tmp_path.iterdir())


def test_an_image_at_the_ends_is_refused(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="uint8, int8 or float"):
        convert(bench.checkpoint, tmp_path / "a.tflite", bench.ranges, bench.float32, IoType.IMAGE)
    assert not list(tmp_path.iterdir())


def test_the_float32_file_of_another_checkpoint_is_refused(bench: Bench, tmp_path: Path) -> None:
    def stretch(model: Any) -> None:
        tensor = kernel_of(model, "CONV_2D")
        model.buffers[tensor.buffer].data = (model.buffers[tensor.buffer].data.view(np.float32) * 1.5).view(np.uint8)

    with pytest.raises(ConversionError, match="no layer of the PyTorch network"):
        convert(bench.checkpoint, tmp_path / "a.tflite", bench.ranges, edit(bench.float32, stretch))
    for data in (b"not a model", bench.float32[:1000]):
        with pytest.raises(ModelFileError, match="TFLite file"):
            convert(bench.checkpoint, tmp_path / "a.tflite", bench.ranges, data)
    assert not list(tmp_path.iterdir())


def test_a_tensor_that_could_be_two_layers_is_refused_unless_they_share_their_range(bench: Bench) -> None:
    """Two branches made equal: harmless in one sharing group, refused where the ranges differ."""
    points = bench.ranges.activations
    assert points["classifier"].affine == points["logits"].affine
    other = activation_range(-9.0, 9.0, (-9.0, 9.0), "test", "twin")
    tensor, names = "the TFLite tensor 'x'", ("classifier", "logits")
    assert settle(tensor, names, bench.ranges) == "classifier"
    apart = dataclasses.replace(bench.ranges, activations={**points, "logits": other})
    with pytest.raises(ConversionError, match=r"tensor 'x' could be any of classifier, logits"):
        settle(tensor, names, apart)

"""The QDQ file: its numbers, what onnxruntime computes of it, and that a planted fault does not pass."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from PIL import Image

from calibration.collect import collect_ranges
from calibration.images import bundled_calibration
from converters import tflite_int8
from converters.onnx import export
from converters.onnx_match import Match, match
from converters.onnx_probe import optimized_graph
from converters.onnx_qdq import convert
from converters.onnx_qdq_check import check_execution, check_kernel_types, check_numbers, point_integers
from converters.onnx_qdq_write import quantize_model
from edge_deeplab.errors import ConversionError, RangesError
from edge_deeplab.files import sha256
from edge_deeplab.image import resize_area
from edge_deeplab.models.loading import load_network
from edge_deeplab.quantization.affine import bias_scales, quantize_bias, quantize_weights
from edge_deeplab.quantization.graph import QuantizationGraph
from edge_deeplab.quantization.ranges import QuantRanges, activation_range
from edge_deeplab.quantization.simulate import simulate
from edge_deeplab.runtime.onnx_session import OnnxSession, image_tensor
from edge_deeplab.runtime.tflite_session import TfliteSession
from edge_deeplab.spec import IoType, ModelSpec

Integers = Mapping[str, NDArray[np.int8]]


@dataclasses.dataclass(frozen=True)
class Bench:
    """Everything that the writer takes, and what it gives."""

    exported: bytes
    graph: QuantizationGraph
    ranges: QuantRanges
    pixels: NDArray[np.uint8]
    matched: Match
    qdq: bytes

    def check(self, data: bytes) -> list[str]:
        """What each of the three checks says to a file; nothing where all are content."""
        complaints = []
        for look in (
            lambda: check_numbers(data, self.graph, self.ranges, self.matched),
            lambda: check_kernel_types(data, self.graph),
            lambda: check_execution(data, self.graph, self.ranges, self.matched, self.pixels),
        ):
            try:
                look()
            except ConversionError as error:
                complaints.append(str(error))
        return complaints


def make_bench(exported: bytes, graph: QuantizationGraph, ranges: QuantRanges, pixels: NDArray[np.uint8]) -> Bench:
    matched = match(graph, ranges, exported, pixels)
    return Bench(exported, graph, ranges, pixels, matched, quantize_model(exported, graph, ranges, matched))


@pytest.fixture(scope="module")
def bench(
    small_onnx: bytes, small_graph: QuantizationGraph, small_ranges: QuantRanges, probe: NDArray[np.uint8]
) -> Bench:
    return make_bench(small_onnx, small_graph, small_ranges, probe)


@pytest.fixture(scope="module")
def converted(small_checkpoint: Path, bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file as ``convert`` itself writes and checks it."""
    path = tmp_path_factory.mktemp("qdq") / "small-qdq.onnx"
    artifact = convert(small_checkpoint, path, bench.ranges, exported=bench.exported)
    assert (artifact.io, str(artifact.target)) == (IoType.FLOAT32, "onnx-qdq")
    assert artifact.sha256 == sha256(path)
    assert artifact.checkpoint_sha256 == bench.ranges.checkpoint_sha256
    return path


def test_the_same_inputs_give_the_same_bytes(bench: Bench, converted: Path) -> None:
    assert converted.read_bytes() == bench.qdq


class Reader:
    """A QDQ file read with the onnx package alone."""

    def __init__(self, data: bytes) -> None:
        model = onnx.load_from_string(data)
        self.nodes: list[NodeProto] = list(model.graph.node)
        self.constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        self.writer = {name: node for node in self.nodes for name in node.output}

    def readers(self, tensor: str) -> list[NodeProto]:
        return [node for node in self.nodes if tensor in node.input]

    def affine(self, node: NodeProto) -> tuple[float, int]:
        """Scale and zero point of a Quantize- or DequantizeLinear of activations, as of int8."""
        scale, zero_point = (self.constants[name] for name in node.input[1:])
        assert (scale.dtype, scale.shape, zero_point.dtype, zero_point.shape) == (np.float32, (), np.uint8, ())
        return float(scale), int(zero_point) - 128

    def integers(self, tensor: str) -> tuple[NDArray[np.generic], NDArray[np.float32]]:
        """Integers and scales, one a channel, of a dequantized constant."""
        node = self.writer[tensor]
        assert node.op_type == "DequantizeLinear"
        assert [(attribute.name, attribute.i) for attribute in node.attribute] == [("axis", 0)]
        values, scales, zero_points = (self.constants[name] for name in node.input)
        assert zero_points.dtype == values.dtype
        assert not zero_points.any()
        return values, scales


def test_every_activation_has_one_pair_with_the_ranges_own_numbers(bench: Bench) -> None:
    """Of each point's pair one can count the numbers; which pair is which layer, the convolutions tell (below)."""
    file = Reader(bench.qdq)
    quantizers = [node for node in file.nodes if node.op_type == "QuantizeLinear"]
    for node in quantizers:
        (behind,) = file.readers(node.output[0])
        assert behind.op_type == "DequantizeLinear"
        assert behind.input[1:] == node.input[1:]
    affines = [bench.ranges.activation(point.name).affine for point in bench.graph.points]
    assert Counter(file.affine(node) for node in quantizers) == Counter((a.scale, a.zero_point) for a in affines)
    assert len(set(affines)) > 40
    pairs = {node.output[0] for node in file.nodes if node.op_type in ("QuantizeLinear", "DequantizeLinear")}
    for node in file.nodes:  # every operator reads integers, by a pair
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear", "Clip", "Resize"):
            assert {name for name in node.input if name not in file.constants} <= pairs, node.op_type


def test_every_convolution_has_the_ranges_own_integers(bench: Bench) -> None:
    """Computed from the float weights by the affine module; which layer is which follows from the integers."""
    file = Reader(bench.qdq)
    found = {}
    for node in file.nodes:
        if node.op_type == "Conv":
            weights, scales = file.integers(node.input[1])
            found[weights.tobytes()] = (node, weights, scales, *file.integers(node.input[2]))
    assert len(found) == len(bench.graph.convolutions)
    for layer in bench.graph.convolutions:
        conv, weight = bench.graph.conv(layer), bench.ranges.weight(layer.name)
        before, after = (bench.ranges.activation(name).affine for name in (layer.input, layer.output))
        expected = quantize_weights(conv.weight.detach().numpy(), weight.array(), 0)
        steps = bias_scales(before.scale, weight.array())
        assert conv.bias is not None
        biases = quantize_bias(conv.bias.detach().double().numpy() + weight.shifts(), steps)
        node, weights, scales, found_biases, bias_steps = found[expected.tobytes()]
        assert (weights.dtype, weights.shape) == (np.int8, tuple(conv.weight.shape))
        assert scales.dtype == bias_steps.dtype == np.float32
        assert np.array_equal(scales, weight.array()), layer.name
        assert np.array_equal(bias_steps, steps), layer.name
        assert found_biases.dtype == np.int32
        assert np.array_equal(found_biases, biases), layer.name
        assert file.affine(file.writer[node.input[0]]) == (before.scale, before.zero_point), layer.name
        (quantizer,) = file.readers(node.output[0])
        assert file.affine(quantizer) == (after.scale, after.zero_point), layer.name


def test_the_ends_are_floats_on_the_contract_s_grids(bench: Bench) -> None:
    file, graph = Reader(bench.qdq), onnx.load_from_string(bench.qdq).graph
    (entry,), (end,) = graph.input, graph.output
    assert entry.type.tensor_type.elem_type == end.type.tensor_type.elem_type == TensorProto.FLOAT
    (first,) = file.readers(entry.name)
    assert file.affine(first) == (float(np.float32(1 / 255)), -128)
    assert file.affine(file.writer[end.name]) == (1 / 256, -128)


def test_onnxruntime_has_integer_kernels_for_all_but_resizes(bench: Bench) -> None:
    kernels = Counter(node.op_type for node in optimized_graph(bench.qdq).node)
    assert kernels["QLinearConv"] == len(bench.graph.convolutions)
    assert {name for name in kernels if not name.startswith("QLinear")} == {
        *("QuantizeLinear", "DequantizeLinear", "Transpose", "Clip", "Resize")
    }
    assert kernels["Resize"] == kernels["Clip"] == kernels["DequantizeLinear"] - 1 == 3


def test_first_layers_are_bit_equal_to_integer_arithmetic(bench: Bench, first_layers: Integers) -> None:
    """The very integers that XNNPACK gives for the TFLite file: its test compares with the same arithmetic."""
    found = point_integers(bench.qdq, bench.matched, bench.pixels)
    for name, expected in first_layers.items():
        assert np.array_equal(expected, found[name]), name


@pytest.mark.parametrize("optimized", [True, False], ids=["kernels", "as written"])
def test_it_follows_the_simulation_to_the_first_upsampling(bench: Bench, simulated: Integers, optimized: bool) -> None:
    """Up to there only ties of float32 differ (see kernel_check), one step each. A bilinear resize by four has weights
    in sixteenths, so that a hundredth of its values lie on a tie, and from there the differences add up.
    """
    found = point_integers(bench.qdq, bench.matched, bench.pixels, optimized=optimized)
    assert list(simulated) == [point.name for point in bench.graph.points]
    assert set(found) == set(simulated)
    difference = {name: np.abs(simulated[name].astype(int) - found[name]) for name in simulated}
    for name in list(simulated)[: list(simulated).index("decoder.resize")]:
        assert difference[name].max() <= 1, name
        assert np.mean(difference[name] > 0) < 1e-3, name
    assert difference["decoder.resize"].max() == 1
    assert np.mean(difference["decoder.resize"]) < 0.03
    assert difference["probability"].mean() < 0.2


def test_each_layer_computes_what_the_simulation_does(bench: Bench) -> None:
    """On the inputs that onnxruntime computed itself, so that nothing adds up: convolutions are equal to the bit."""
    check_execution(bench.qdq, bench.graph, bench.ranges, bench.matched, bench.pixels)


@pytest.fixture(scope="module")
def portraits(made_persons: Path, small_spec: ModelSpec) -> list[NDArray[np.uint8]]:
    """Sixteen made persons, of the network's size."""
    places = sorted((made_persons / "images").iterdir())[:16]
    pictures = [np.asarray(Image.open(place).convert("RGB")) for place in places]
    return [resize_area(picture, small_spec.height, small_spec.width) for picture in pictures]


def agreement(
    portraits: list[NDArray[np.uint8]],
    one: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    other: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
) -> tuple[float, float]:
    """Share of the pixels that are decided alike, and mean error of the probabilities."""
    pairs = [(one(pixels), other(pixels)) for pixels in portraits]
    assert 0.1 < np.mean([first >= 0.5 for first, _ in pairs]) < 0.9
    alike = np.mean([(first >= 0.5) == (second >= 0.5) for first, second in pairs])
    return float(alike), float(np.mean([np.abs(first - second) for first, second in pairs]))


def test_its_masks_are_the_simulation_s(converted: Path, bench: Bench, portraits: list[NDArray[np.uint8]]) -> None:
    network = simulate(bench.graph, bench.ranges).double()

    def play(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        values = network(torch.from_numpy(image_tensor(pixels)).double())
        return np.ascontiguousarray(values[0].permute(1, 2, 0).numpy().astype(np.float32))

    with OnnxSession(converted) as session:
        alike, error = agreement(portraits, session.run, play)
    assert alike > 0.999
    assert error < 1e-3


@pytest.mark.convert
def test_its_masks_are_those_of_the_int8_tflite_file_of_the_same_ranges(
    converted: Path,
    bench: Bench,
    portraits: list[NDArray[np.uint8]],
    small_checkpoint: Path,
    small_float32_tflite: Path,
    tmp_path: Path,
) -> None:
    int8 = tmp_path / "small.tflite"
    tflite_int8.convert(small_checkpoint, int8, bench.ranges, small_float32_tflite.read_bytes())
    with OnnxSession(converted) as session, TfliteSession(int8) as other:
        alike, error = agreement(portraits, session.run, other.run)
    assert alike > 0.999
    assert error < 1e-3


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_a_range_wider_than_the_rectifier_is_clipped_on_integers(bench: Bench, low: float) -> None:
    """As learned ranges can be: without the Clip, values above 6 would pass."""
    name = "backbone.blocks.1.expand"
    wide = dataclasses.replace(
        bench.ranges,
        activations={**bench.ranges.activations, name: activation_range(low, 9.0, (low, 9.0), "test", "wide")},
    )
    other = make_bench(bench.exported, bench.graph, wide, bench.pixels)
    file = Reader(other.qdq)
    on_integers = [
        node for node in file.nodes if node.op_type == "Clip" and file.constants[node.input[1]].dtype == np.uint8
    ]
    affine = wide.activation(name).affine
    assert [[int(file.constants[end]) - 128 for end in node.input[1:]] for node in on_integers] == [
        [affine.zero_point, affine.zero_point + round(6 / affine.scale)]
    ]
    assert other.check(other.qdq) == []

    def open_up(model: ModelProto) -> None:
        constant(model, on_integers[0].input[2]).CopyFrom(
            numpy_helper.from_array(np.uint8(255), on_integers[0].input[2])
        )

    assert any(f"{name} computes something else" in complaint for complaint in other.check(edit(other.qdq, open_up)))


def test_several_classes_have_an_integer_softmax(three_classes: Path, probe: NDArray[np.uint8], tmp_path: Path) -> None:
    """Whose greatest integer stands for 255/256, so that the probabilities of a sure pixel sum to that."""
    network, loaded = load_network(three_classes)
    spec = loaded.spec
    ranges = collect_ranges(network, spec, bundled_calibration(4), checkpoint_sha256=loaded.sha256)
    artifact = convert(three_classes, tmp_path / "three.onnx", ranges, exported=export(network, spec))
    assert "QLinearSoftmax" in {node.op_type for node in optimized_graph(artifact.path.read_bytes()).node}
    with OnnxSession(artifact.path, classes=spec.classes) as session:
        probabilities = session.run(probe)
    np.testing.assert_allclose(probabilities.sum(axis=2), 1, atol=3 / 512)


def edit(data: bytes, change: Callable[[ModelProto], None]) -> bytes:
    model = onnx.load_from_string(data)
    change(model)
    return model.SerializeToString()


def constant(model: ModelProto, name: str) -> TensorProto:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def replace(model: ModelProto, name: str, change: Callable[[NDArray[np.generic]], NDArray[np.generic]]) -> None:
    """Put other values in the place of a constant, of the same type."""
    tensor = constant(model, name)
    values = numpy_helper.to_array(tensor)
    changed = np.asarray(change(values.copy()), values.dtype)
    assert not np.array_equal(changed, values)
    tensor.CopyFrom(numpy_helper.from_array(changed, name))


LAYER = "backbone.blocks.4.expand"


def wrong_zero_point(model: ModelProto) -> None:
    replace(model, f"{LAYER}.zero_point", lambda value: value + 1)


def wrong_zero_point_on_the_way_back(model: ModelProto) -> None:
    node = next(n for n in model.graph.node if n.op_type == "DequantizeLinear" and f"{LAYER}.scale" in n.input)
    node.input[2] = "backbone.blocks.4.add.zero_point"


def swapped_scales(model: ModelProto) -> None:
    one, other = (constant(model, f"{name}.scale") for name in (LAYER, "backbone.blocks.4.project"))
    assert numpy_helper.to_array(one) != numpy_helper.to_array(other)
    one.name, other.name = other.name, one.name


def one_bit_of_a_weight(model: ModelProto) -> None:
    replace(model, f"{LAYER}.weight_quantized", lambda value: value ^ (np.arange(value.size) == 7).reshape(value.shape))


def transposed_weights(model: ModelProto) -> None:
    replace(model, "backbone.blocks.4.depthwise.weight_quantized", lambda value: value.transpose(0, 1, 3, 2))


def shifted_bias(model: ModelProto) -> None:
    replace(model, f"{LAYER}.bias_quantized", lambda value: value + 100)


def swapped_channel_scales(model: ModelProto) -> None:
    replace(model, f"{LAYER}.weight_scale", lambda value: value[::-1])


def wrong_operator(model: ModelProto) -> None:
    next(node for node in model.graph.node if node.op_type == "Sigmoid").op_type = "Tanh"


def rectifier_of_its_own(model: ModelProto) -> None:
    """Between two pairs, as networks have it whose rectifiers stand alone; this one has none."""
    name, nodes = "backbone.blocks.4.project", model.graph.node
    place, pair = next(
        (i, n) for i, n in enumerate(nodes) if n.op_type == "DequantizeLinear" and f"{name}.scale" in n.input
    )
    tensor, parameters = pair.output[0], pair.input[1:]
    for node in nodes:
        node.input[:] = ["rectified" if read == tensor else read for read in node.input]
    nodes.insert(place + 1, helper.make_node("Relu", [tensor], ["relu"]))
    nodes.insert(place + 2, helper.make_node("QuantizeLinear", ["relu", *parameters], ["relu_quantized"]))
    nodes.insert(place + 3, helper.make_node("DequantizeLinear", ["relu_quantized", *parameters], ["rectified"]))


def integer_resize(model: ModelProto) -> None:
    """As if onnxruntime saw that the Clip in front of each resize changes nothing."""
    nodes = list(model.graph.node)
    clips = {node.output[0]: node.input[0] for node in nodes if node.op_type == "Clip"}
    del model.graph.node[:]
    model.graph.node.extend(node for node in nodes if node.op_type != "Clip")
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = clips.get(name, name)


@pytest.mark.parametrize(
    ("plant", "complaints"),
    [
        (wrong_zero_point, (f"{LAYER} was written with", f"{LAYER} computes something else")),
        (wrong_zero_point_on_the_way_back, (f"{LAYER} was written with", "computes something else")),
        (swapped_scales, (f"{LAYER} was written with", "computes something else")),
        (one_bit_of_a_weight, (f"weights of {LAYER} in the QDQ file", f"{LAYER} computes something else")),
        (transposed_weights, ("weights of backbone.blocks.4.depthwise", "blocks.4.depthwise computes something else")),
        (shifted_bias, (f"biases of {LAYER} in the QDQ file", f"{LAYER} computes something else")),
        (swapped_channel_scales, (f"weights of {LAYER} in the QDQ file", f"{LAYER} computes something else")),
        (wrong_operator, ("runs operators of the QDQ file in float: 1 Tanh", "probability computes something else")),
        (
            rectifier_of_its_own,
            ("runs operators of the QDQ file in float: 1 Relu", "computes something else"),
        ),
        (integer_resize, ("in integers, with a wrong rounding: 3 Resize",)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_planted_fault_is_named(
    bench: Bench, plant: Callable[[ModelProto], None], complaints: tuple[str, ...]
) -> None:
    found = bench.check(edit(bench.qdq, plant))
    assert len(found) == len(complaints), found
    for complaint, words in zip(found, complaints, strict=True):
        assert words in complaint


def test_a_file_without_fault_passes(bench: Bench) -> None:
    assert bench.check(edit(bench.qdq, lambda model: None)) == []


def test_ranges_that_do_not_fit_are_refused(bench: Bench, small_checkpoint: Path, tmp_path: Path) -> None:
    other = dataclasses.replace(bench.ranges, checkpoint_sha256="0" * 64)
    with pytest.raises(RangesError, match="000000000000"):
        convert(small_checkpoint, tmp_path / "a.onnx", other, exported=bench.exported)
    points = {name: value for name, value in bench.ranges.activations.items() if name != "decoder.skip"}
    with pytest.raises(RangesError, match=r"decoder\.skip"):
        convert(
            small_checkpoint,
            tmp_path / "a.onnx",
            dataclasses.replace(bench.ranges, activations=points),
            exported=bench.exported,
        )
    assert not list(tmp_path.iterdir())


def test_the_export_of_another_checkpoint_is_refused(bench: Bench, small_checkpoint: Path, tmp_path: Path) -> None:
    def stretch(model: ModelProto) -> None:
        weights = next(node for node in model.graph.node if node.op_type == "Conv").input[1]
        replace(model, weights, lambda value: value * 1.5)

    with pytest.raises(ConversionError, match="no layer of the PyTorch network"):
        convert(small_checkpoint, tmp_path / "a.onnx", bench.ranges, exported=edit(bench.exported, stretch))
    assert not list(tmp_path.iterdir())

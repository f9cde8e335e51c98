"""The mixed-precision answer against a file that really is so: what a runtime computes where one layer is left wide."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from calibration.collect import collect_ranges
from calibration.images import bundled_calibration
from converters.onnx_match import match
from converters.onnx_qdq_write import quantize_model
from edge_deeplab.image import resize_area
from edge_deeplab.models.deeplab import DeepLab, Deployed
from edge_deeplab.quantization.graph import QuantizationGraph, quantization_graph
from edge_deeplab.quantization.mixed_precision import choose_mixed_precision
from edge_deeplab.quantization.ranges import QuantRanges
from edge_deeplab.quantization.sensitivity import measure_sensitivity
from edge_deeplab.spec import ModelSpec

RECTIFIED, LINEAR = "backbone.blocks.1.depthwise", "backbone.blocks.2.project"


@pytest.fixture(scope="module")
def graph(small_network: DeepLab) -> QuantizationGraph:
    return quantization_graph(small_network, 1)


@pytest.fixture(scope="module")
def pixels(small_spec: ModelSpec) -> NDArray[np.uint8]:
    return np.stack([resize_area(photo, small_spec.height, small_spec.width) for photo in bundled_calibration(2)])


def spoilt(ranges: QuantRanges, layer: str) -> QuantRanges:
    """One layer with weights and output twelve times too coarse."""
    weight, activation = ranges.weight(layer), ranges.activation(layer)
    coarse = dataclasses.replace(activation.affine, scale=12 * activation.affine.scale)
    return dataclasses.replace(
        ranges,
        weights={**ranges.weights, layer: dataclasses.replace(weight, scales=tuple(12 * s for s in weight.scales))},
        activations={**ranges.activations, layer: dataclasses.replace(activation, affine=coarse)},
    )


def with_float_layer(quantized: bytes, graph: QuantizationGraph, layer: str, *, rectified: bool) -> bytes:
    """The QDQ file with one layer's float weights, and without the rounding of what it writes."""
    model = onnx.load_from_string(quantized)
    (convolution,) = (one for one in graph.convolutions if one.name == layer)
    conv = graph.conv(convolution)
    assert conv.bias is not None
    constants = {
        f"{layer}.weight": conv.weight.detach().numpy(),
        f"{layer}.bias": conv.bias.detach().numpy(),
        "zero": np.float32(0),
        "six": np.float32(6),
    }
    (rounding,) = (n for n in model.graph.node if n.op_type == "QuantizeLinear" and n.input[1] == f"{layer}.scale")
    (back,) = (n for n in model.graph.node if n.op_type == "DequantizeLinear" and n.input[1] == f"{layer}.scale")
    bounds = ["zero", "six"] if rectified else []  # the rectifier is in the integers: without them it is an operator
    wide = helper.make_node("Clip", [rounding.input[0], *bounds], list(back.output))
    nodes = [
        wide if node is back or node == back else node for node in model.graph.node if node.output[0] not in constants
    ]
    del model.graph.node[:]
    model.graph.node.extend(node for node in nodes if node != rounding and node.output[0] != back.input[0])
    model.graph.initializer.extend(numpy_helper.from_array(values, name) for name, values in constants.items())
    content: bytes = model.SerializeToString()
    return content


@pytest.mark.parametrize(("layer", "rectified"), [(RECTIFIED, True), (LINEAR, False)])
def test_leaving_a_layer_in_float_wins_what_it_says(
    layer: str,
    rectified: bool,
    graph: QuantizationGraph,
    pixels: NDArray[np.uint8],
    small_network: DeepLab,
    small_spec: ModelSpec,
    small_onnx: bytes,
) -> None:
    sound = collect_ranges(small_network, small_spec, list(bundled_calibration(2)), checkpoint_sha256="ab")
    ranges = spoilt(sound, layer)
    images = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), np.float32) / 255
    with torch.no_grad():
        expected = Deployed(small_network, 1)(torch.from_numpy(images)).numpy()

    quantized = quantize_model(small_onnx, graph, ranges, match(graph, ranges, small_onnx, pixels[0]))
    mixed = choose_mixed_precision(graph, ranges, pixels, measure_sensitivity(graph, ranges, pixels))
    for content, said in (
        (quantized, mixed.int8),
        (with_float_layer(quantized, graph, layer, rectified=rectified), mixed.steps[0].in_float),
    ):
        error = float(np.abs(computed(content, images) - expected).mean())
        # Not closer: what lies between two integers is rounded here one way and there the other, and that goes on.
        assert error == pytest.approx(said.mean_error, rel=0.1)
    assert mixed.steps[0].layer == layer
    assert mixed.steps[0].in_float.mean_error < 0.8 * mixed.int8.mean_error


def computed(content: bytes, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """What onnxruntime computes, pair by pair: without merging, which rounds a few values the other way."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # no warnings of the constants that are not used any more
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    return np.concatenate([session.run(None, {entry.name: image[None]})[0] for image in images])

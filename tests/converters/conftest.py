"""What the tests of both integer formats share: one set of ranges, and what integer arithmetic makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from calibration.collect import collect_ranges
from calibration.images import bundled_calibration
from converters.probe import point_values, probe_pixels
from edge_deeplab.checkpoint import load_checkpoint, save_checkpoint
from edge_deeplab.models.deeplab import DeepLab
from edge_deeplab.quantization.graph import QuantizationGraph, quantization_graph
from edge_deeplab.quantization.integers import layer_integers
from edge_deeplab.quantization.ranges import QuantRanges
from edge_deeplab.quantization.simulate import quantizer_node, simulate
from edge_deeplab.spec import ModelSpec

FIRST = ("backbone.stem", "backbone.blocks.0.depthwise", "backbone.blocks.0.project")

Integers = Mapping[str, NDArray[np.int8]]


@pytest.fixture(scope="session")
def small_ranges(small_checkpoint: Path, small_network: DeepLab, small_spec: ModelSpec) -> QuantRanges:
    """The small network's, observed on the bundled portrait."""
    digest = load_checkpoint(small_checkpoint).sha256
    return collect_ranges(small_network, small_spec, bundled_calibration(), checkpoint_sha256=digest)


@pytest.fixture(scope="session")
def small_graph(small_network: DeepLab) -> QuantizationGraph:
    """The small network, traced."""
    return quantization_graph(small_network, 1)


@pytest.fixture(scope="session")
def probe(small_spec: ModelSpec) -> NDArray[np.uint8]:
    """The picture on which a file's tensors are watched, RGB, HxWx3."""
    return probe_pixels(small_spec.height, small_spec.width)


@pytest.fixture(scope="session")
def simulated(small_graph: QuantizationGraph, small_ranges: QuantRanges, probe: NDArray[np.uint8]) -> Integers:
    """Point name to what the simulation, in float64, makes of the probe: int8, NCHW, in order of execution."""
    nodes = {point.name: quantizer_node(point) for point in small_graph.points}
    values = point_values(simulate(small_graph, small_ranges).double(), nodes, probe)
    integers = {}
    for name, value in values.items():
        affine = small_ranges.activation(name).affine
        integers[name] = (np.rint(value.numpy() / affine.scale) + affine.zero_point).astype(np.int8)
    return integers


@pytest.fixture(scope="session")
def first_layers(small_graph: QuantizationGraph, small_ranges: QuantRanges, probe: NDArray[np.uint8]) -> Integers:
    """What integer kernels make of the probe in the first three layers: int8, NCHW.

    Each on top of the one before, from the pixels on: sums of integers, scaled in float32, halves to even.
    """
    found = {}
    integers = torch.from_numpy(probe.astype(np.float64)).permute(2, 0, 1)[None]  # int8 + 128: zero point 0
    for name in FIRST:
        layer = next(layer for layer in small_graph.convolutions if layer.name == name)
        conv = small_graph.conv(layer)
        weights, _, bias, steps = layer_integers(small_graph, small_ranges, layer)
        output = small_ranges.activation(name).affine
        sums = torch.nn.functional.conv2d(
            integers,
            torch.from_numpy(weights.astype(np.float64)),
            torch.from_numpy(bias.astype(np.float64)),
            conv.stride,
            conv.padding,
            conv.dilation,
            conv.groups,
        ).numpy()
        factors = (steps / np.float32(output.scale))[None, :, None, None]
        scaled = np.rint(sums.astype(np.float32) * factors).astype(np.float64)
        if not name.endswith("project"):  # ReLU6
            scaled = np.clip(scaled, 0, np.rint(6 / output.scale))
        expected = np.clip(scaled + output.zero_point, -128, 127)
        assert len(np.unique(expected)) > 50  # nobody compares two blank tensors
        found[name] = expected.astype(np.int8)
        integers = torch.from_numpy(expected - output.zero_point)
    return found


@pytest.fixture(scope="session")
def three_classes(small_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the small network with three logits from random weights."""
    small, random = load_checkpoint(small_checkpoint), np.random.default_rng(0)
    spec = ModelSpec(replace(small.spec.network, num_classes=3), 96, 96, ("sky", "person", "chien d'été 犬"))
    weights = dict(small.weights)
    weights["classifier.weight"] = random.normal(size=(3, 32, 1, 1)).astype(np.float32)
    weights["classifier.bias"] = random.normal(size=3).astype(np.float32)
    path = tmp_path_factory.mktemp("three_classes") / "three.safetensors"
    save_checkpoint(path, spec, weights)
    return path

"""The pipeline: what each switch changes, what it brings, and what is in the files."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import fx

from calibration.adaround import Rounding
from calibration.collect import collect_ranges, network_input
from calibration.ptq import PtqMethods, Quantized, quantize
from calibration.save import quantized_path, save_quantized
from edge_deeplab.errors import CalibrationError, OutputError
from edge_deeplab.models.deeplab import DeepLab
from edge_deeplab.models.loading import load_network
from edge_deeplab.quantization.affine import dequantize_weights, quantize_weights
from edge_deeplab.quantization.graph import quantization_graph
from edge_deeplab.quantization.ranges import load_ranges, ranges_path
from edge_deeplab.quantization.simulate import simulate
from edge_deeplab.spec import ModelSpec

Pictures = list[NDArray[np.uint8]]
ADAROUND = PtqMethods(adaround=Rounding(steps=60))


@pytest.fixture(scope="module")
def rounded(small_network: DeepLab, small_spec: ModelSpec, pictures: Pictures) -> Quantized:
    return quantize(small_network, small_spec, pictures, ADAROUND)


class Recording(fx.Interpreter):
    """Keeps what every node gives."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.seen: dict[str, torch.Tensor] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = self.seen[n.name] = super().run_node(n)
        return value


def layer_errors(quantized: Quantized, network: DeepLab, pictures: Pictures) -> NDArray[np.float64]:
    """Mean squared error of every convolution in the integer network against the float network."""
    image, graph = network_input(np.stack(pictures)), quantization_graph(network, 1)
    with torch.no_grad():
        exact, found = Recording(graph.module), Recording(simulate(quantized.graph, quantized.ranges("0")))
        exact.run(image)
        found.run(image)
    nodes = [layer.node for layer in graph.convolutions]
    return np.array([float((exact.seen[node] - found.seen[node]).square().mean()) for node in nodes])


def test_without_switches_it_is_the_plain_calibration(
    small_network: DeepLab, small_spec: ModelSpec, pictures: Pictures
) -> None:
    quantized = quantize(small_network, small_spec, pictures, PtqMethods())
    assert quantized.network is small_network
    assert quantized.ranges("ab") == collect_ranges(small_network, small_spec, pictures, checkpoint_sha256="ab")


def test_adaround_beats_rounding_to_nearest_on_other_pictures(
    small_network: DeepLab, small_spec: ModelSpec, pictures: Pictures, held_out: Pictures
) -> None:
    """Layer after layer: at the end of a network as small as this one what is left is chance."""
    nearest = quantize(small_network, small_spec, pictures, PtqMethods(bias_correction=False))
    learned = quantize(small_network, small_spec, pictures, replace(ADAROUND, bias_correction=False))
    ratio = layer_errors(learned, small_network, held_out) / layer_errors(nearest, small_network, held_out)
    assert np.median(ratio) < 0.9
    assert (ratio < 1).mean() > 0.8
    ratio = layer_errors(learned, small_network, pictures) / layer_errors(nearest, small_network, pictures)
    assert np.median(ratio) < 0.72
    assert (ratio < 1).all()


def test_adaround_leaves_no_weight_between_two_integers(rounded: Quantized) -> None:
    ranges = rounded.ranges("0")
    for layer in rounded.graph.convolutions:
        weight, scales = rounded.graph.conv(layer).weight.detach().numpy(), ranges.weight(layer.name).array()
        assert np.array_equal(dequantize_weights(quantize_weights(weight, scales, 0), scales, 0), weight)


def test_bias_correction_brings_the_means_of_the_layers_back(
    rounded: Quantized, small_network: DeepLab, pictures: Pictures
) -> None:
    """On the photos that it saw, the mean of every linear layer's channels is the float network's."""
    image, seen = network_input(np.stack(pictures)), []
    layer = next(layer for layer in rounded.graph.convolutions if layer.name.endswith("blocks.2.project"))
    float_graph = quantization_graph(small_network, 1)
    for module in (float_graph.module, simulate(rounded.graph, rounded.ranges("0"))):
        hook = module.get_submodule(layer.module).register_forward_hook(
            lambda _, inputs, output: seen.append(output.mean((0, 2, 3)))
        )
        with torch.no_grad():
            module(image)
        hook.remove()
    torch.testing.assert_close(seen[1], seen[0], atol=1e-4, rtol=0)


@pytest.mark.parametrize("methods", [ADAROUND, replace(ADAROUND, equalize=True, observer="best")])
def test_the_same_seed_gives_the_same_files_and_the_integers_come_back(
    small_network: DeepLab,
    small_spec: ModelSpec,
    small_checkpoint: Path,
    pictures: Pictures,
    tmp_path: Path,
    methods: PtqMethods,
) -> None:
    paths = [tmp_path / name / "a.safetensors" for name in "12"]
    for path in paths:
        quantized = quantize(small_network, small_spec, pictures, methods)
        save_quantized(path, quantized, methods, small_checkpoint)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert ranges_path(paths[0]).read_bytes() == ranges_path(paths[1]).read_bytes()
    network, loaded = load_network(paths[0])
    assert loaded.notes["ptq"]["adaround"]["steps"] == 60
    ranges = load_ranges(ranges_path(paths[0]))
    ranges.require_checkpoint(loaded.sha256)
    graph = quantization_graph(network, 1)
    graph.require(ranges)
    for layer in graph.convolutions:
        scales = ranges.weight(layer.name).array()
        kept, chosen = (
            quantize_weights(which.conv(layer).weight.detach().numpy(), scales, 0) for which in (graph, quantized.graph)
        )
        assert np.array_equal(kept, chosen)


def test_another_seed_looks_elsewhere(
    rounded: Quantized, small_network: DeepLab, small_spec: ModelSpec, pictures: Pictures
) -> None:
    other = quantize(small_network, small_spec, pictures, replace(ADAROUND, seed=1))
    assert other.ranges("0") != rounded.ranges("0")


def test_stages_are_reported(small_network: DeepLab, small_spec: ModelSpec, pictures: Pictures) -> None:
    told: dict[str, tuple[int, int]] = {}
    methods = PtqMethods(observer="best", adaround=Rounding(steps=1))
    quantize(small_network, small_spec, pictures, methods, progress=lambda s, d, t: told.__setitem__(s, (d, t)))
    assert list(told) == ["observing the activations", "choosing the observers", "learning the rounding"]
    assert all(done == total > 0 for done, total in told.values())


def test_no_picture_is_refused(small_network: DeepLab, small_spec: ModelSpec) -> None:
    with pytest.raises(CalibrationError, match="no calibration image"):
        quantize(small_network, small_spec, [], ADAROUND)


def test_the_float_checkpoint_is_not_replaced_by_another(small_checkpoint: Path, tmp_path: Path) -> None:
    source = Path(shutil.copy(small_checkpoint, tmp_path))
    assert quantized_path(source, tmp_path, PtqMethods()) == source
    with pytest.raises(OutputError, match="choose another folder"):
        quantized_path(source, tmp_path, ADAROUND)

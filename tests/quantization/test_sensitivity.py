"""Where int8 loses, and what wins it back: planted faults are found, and the numbers add up."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from calibration.collect import collect_ranges
from calibration.images import bundled_calibration
from edge_deeplab.errors import RangesError
from edge_deeplab.image import resize_area
from edge_deeplab.models.deeplab import DeepLab, Deployed
from edge_deeplab.quantization.affine import Affine
from edge_deeplab.quantization.graph import QuantizationGraph, quantization_graph
from edge_deeplab.quantization.mixed_precision import (
    choose_mixed_precision,
    left_in_float,
    with_int16_tensors,
)
from edge_deeplab.quantization.ranges import QuantRanges
from edge_deeplab.quantization.sensitivity import (
    Effect,
    LayerSensitivity,
    Sensitivity,
    float_histograms,
    measure_sensitivity,
    to_tensor,
)
from edge_deeplab.quantization.simulate import simulate
from edge_deeplab.spec import ModelSpec

PHOTOS = list(bundled_calibration(2))
DEPTHWISE, POINTWISE = "backbone.blocks.1.depthwise", "backbone.blocks.2.expand"
SHARED = "decoder.skip"  # one of four points with one range


@pytest.fixture(scope="module")
def graph(small_network: DeepLab) -> QuantizationGraph:
    return quantization_graph(small_network, 1)


@pytest.fixture(scope="module")
def ranges(small_network: DeepLab, small_spec: ModelSpec) -> QuantRanges:
    return collect_ranges(small_network, small_spec, PHOTOS, checkpoint_sha256="ab")


@pytest.fixture(scope="module")
def pixels(small_spec: ModelSpec) -> NDArray[np.uint8]:
    return np.stack([resize_area(photo, small_spec.height, small_spec.width) for photo in PHOTOS])


@pytest.fixture(scope="module")
def sound(graph: QuantizationGraph, ranges: QuantRanges, pixels: NDArray[np.uint8]) -> Sensitivity:
    return measure_sensitivity(graph, ranges, pixels)


def coarse_weights(ranges: QuantRanges, layer: str) -> QuantRanges:
    """Every scale of one layer's weights twenty times too large."""
    weight = ranges.weight(layer)
    worse = dataclasses.replace(weight, scales=tuple(20 * scale for scale in weight.scales))
    return dataclasses.replace(ranges, weights={**ranges.weights, layer: worse})


def narrow_range(graph: QuantizationGraph, ranges: QuantRanges, layer: str) -> QuantRanges:
    """The range of one layer, and of those that share it, eight times too narrow."""
    group = next(point.group for point in graph.points if point.name == layer)
    changed = {}
    for point in graph.groups()[group]:
        activation = ranges.activation(point.name)
        narrow = Affine(activation.affine.scale / 8, activation.affine.zero_point)
        changed[point.name] = dataclasses.replace(activation, affine=narrow)
    return dataclasses.replace(ranges, activations={**ranges.activations, **changed})


def named(sensitivity: Sensitivity, layer: str) -> LayerSensitivity:
    return next(one for one in sensitivity.layers if one.layer == layer)


class TestNumbersAddUp:
    def test_layers_are_the_points_in_order_of_execution(self, graph: QuantizationGraph, sound: Sensitivity) -> None:
        assert [layer.layer for layer in sound.layers] == [point.name for point in graph.points]
        assert sound.images == len(PHOTOS)

    def test_pixels_lose_nothing(self, sound: Sensitivity) -> None:
        """0..255 over 255 lie on the grid of the input: only float32's rounding is left."""
        first = sound.layers[0]
        assert first.layer == "input"
        assert first.added > 120
        assert first.alone.mean_error < 1e-6
        assert first.alone.mask_agreement == 1.0

    def test_the_first_convolution_has_no_noise_but_its_own(self, sound: Sensitivity) -> None:
        stem = named(sound, "backbone.stem")
        assert stem.accumulated == pytest.approx(stem.added, abs=1e-3)

    def test_a_layer_without_weights_has_no_noise_of_weights(
        self, graph: QuantizationGraph, sound: Sensitivity
    ) -> None:
        convolutions = {convolution.output for convolution in graph.convolutions}
        for layer in sound.layers:
            if layer.layer not in convolutions:
                assert layer.by_weights == math.inf
                assert layer.added == layer.by_activation
            else:
                assert layer.by_weights < math.inf

    def test_the_parts_are_independent_and_make_the_whole(self, sound: Sensitivity) -> None:
        """The powers of independent noises add; rounding errors of the two parts are nearly so."""
        for layer in sound.layers:
            together = -10 * math.log10(10 ** (-layer.by_weights / 10) + 10 ** (-layer.by_activation / 10))
            assert layer.added == pytest.approx(together, abs=1.0), layer

    def test_the_whole_is_the_simulations_own_error(
        self, graph: QuantizationGraph, ranges: QuantRanges, pixels: NDArray[np.uint8], sound: Sensitivity,
        small_network: DeepLab,
    ) -> None:  # fmt: skip
        images = torch.cat([to_tensor(picture) for picture in pixels])
        with torch.no_grad():
            expected, found = Deployed(small_network, 1)(images), simulate(graph, ranges)(images)
        assert sound.whole.mean_error == pytest.approx(float((expected - found).abs().mean()), rel=1e-3)
        alike = ((expected >= 0.5) == (found >= 0.5)).float().mean()
        assert sound.whole.mask_agreement == pytest.approx(float(alike), abs=1e-3)

    def test_the_last_layer_alone_is_the_output_rounded(self, sound: Sensitivity) -> None:
        """A quarter of a step of 1/256 on average where probabilities are spread; less where they are sure."""
        assert 0 < named(sound, "probability").alone.mean_error < 1 / 512

    def test_json_has_no_infinity(self, sound: Sensitivity) -> None:
        values = json.loads(json.dumps(sound.to_dict(), allow_nan=False))
        by_name = {layer["layer"]: layer for layer in values["layers"]}
        assert by_name["decoder.resize"]["by_weights"] is None
        assert by_name["backbone.stem"]["alone"]["mean_error"] == named(sound, "backbone.stem").alone.mean_error

    def test_progress_counts_photos(
        self, graph: QuantizationGraph, ranges: QuantRanges, pixels: NDArray[np.uint8]
    ) -> None:
        told: list[tuple[int, int]] = []
        measure_sensitivity(graph, ranges, pixels, progress=lambda done, count: told.append((done, count)))
        assert told == [(1, 2), (2, 2)]


class TestAPlantedFault:
    @pytest.mark.parametrize("layer", [DEPTHWISE, POINTWISE])
    def test_in_the_weights_is_found_there(
        self, graph: QuantizationGraph, ranges: QuantRanges, pixels: NDArray[np.uint8], sound: Sensitivity, layer: str
    ) -> None:
        bad = coarse_weights(ranges, layer)
        found = measure_sensitivity(graph, bad, pixels)
        (worst,) = found.worst(1)
        assert worst.layer == layer
        assert worst.by_weights < named(sound, layer).by_weights - 15
        assert worst.by_activation == named(sound, layer).by_activation
        assert min(found.layers, key=lambda one: one.added).layer == layer
        for one, other in zip(found.layers, sound.layers, strict=True):
            if one.layer != layer:  # the layers behind it are innocent, though their accumulated noise is not
                assert one.added == other.added
                assert one.alone == other.alone
        mixed = choose_mixed_precision(graph, bad, pixels, found)
        assert mixed.int8 == found.whole
        step = mixed.steps[0]
        assert step.layer == layer
        assert step.in_float.mean_error < 0.7 * mixed.int8.mean_error
        assert step.in_int16.mean_error > 0.8 * mixed.int8.mean_error  # wider tensors do not mend weights
        weights = next(graph.conv(one).weight.numel() for one in graph.convolutions if one.name == layer)
        assert step.more_bytes == 3 * weights

    @pytest.mark.parametrize("layer", [DEPTHWISE, SHARED])
    def test_in_a_range_is_found_there_and_16_bits_mend_it(
        self, graph: QuantizationGraph, ranges: QuantRanges, pixels: NDArray[np.uint8], layer: str
    ) -> None:
        bad = narrow_range(graph, ranges, layer)
        found = measure_sensitivity(graph, bad, pixels)
        group = {point.name: point.group for point in graph.points}
        (worst,) = found.worst(1)
        assert group[worst.layer] == group[layer]
        assert worst.clipped > 0.01
        assert worst.by_activation < worst.by_weights
        mixed = choose_mixed_precision(graph, bad, pixels, found)
        assert group[mixed.steps[0].layer] == group[layer]
        assert mixed.steps[0].in_float.mean_error < 0.5 * mixed.int8.mean_error
        assert mixed.steps[0].in_int16.mean_error < 0.5 * mixed.int8.mean_error

    def test_steps_only_ever_win(
        self, graph: QuantizationGraph, ranges: QuantRanges, pixels: NDArray[np.uint8], sound: Sensitivity
    ) -> None:
        told: list[tuple[int, int]] = []
        mixed = choose_mixed_precision(
            graph, ranges, pixels, sound, progress=lambda done, count: told.append((done, count))
        )
        errors = [mixed.int8.mean_error, *(step.in_float.mean_error for step in mixed.steps)]
        assert errors == sorted(errors, reverse=True)
        assert len(set(errors)) == len(errors)
        assert [done for done, _ in told] == list(range(1, len(told) + 1))
        assert told[-1][0] <= told[-1][1]

    def test_the_ends_are_measured_but_not_to_blame(self, sound: Sensitivity) -> None:
        everything = sound.worst(len(sound.layers))
        assert {layer.layer for layer in sound.layers} - {layer.layer for layer in everything} == {
            "input",
            "probability",
        }
        errors = [layer.alone.mean_error for layer in everything]
        assert errors == sorted(errors, reverse=True)


class TestMixedNetworks:
    def test_with_everything_in_float_it_is_the_float_network(
        self, graph: QuantizationGraph, ranges: QuantRanges, pixels: NDArray[np.uint8], small_network: DeepLab
    ) -> None:
        image = to_tensor(pixels[0])
        with torch.no_grad():
            found = left_in_float(graph, ranges, [point.name for point in graph.points])(image)
            assert torch.allclose(found, Deployed(small_network, 1)(image), atol=1e-5)

    @pytest.mark.parametrize("mixed", [left_in_float, with_int16_tensors])
    def test_with_nothing_wider_it_is_the_integer_network(
        self, graph: QuantizationGraph, ranges: QuantRanges, pixels: NDArray[np.uint8], mixed: type
    ) -> None:
        image = to_tensor(pixels[0])
        with torch.no_grad():
            assert torch.equal(mixed(graph, ranges, [])(image), simulate(graph, ranges)(image))


def test_histograms_count_every_value_of_a_layer_once(
    graph: QuantizationGraph, pixels: NDArray[np.uint8], sound: Sensitivity
) -> None:
    seen = float_histograms(graph, pixels, ["logits", "input"])
    assert list(seen) == ["input", "logits"]
    assert seen["input"].counts.sum() == pixels.size
    assert (seen["input"].low, seen["input"].high) == (
        pytest.approx(pixels.min() / 255), pytest.approx(pixels.max() / 255)
    )  # fmt: skip


def test_ranges_that_do_not_fit_and_a_network_that_diverged_are_refused(
    graph: QuantizationGraph, ranges: QuantRanges, pixels: NDArray[np.uint8], small_network: DeepLab
) -> None:
    less = {name: value for name, value in ranges.activations.items() if name != "logits"}
    with pytest.raises(RangesError, match="logits"):
        measure_sensitivity(graph, dataclasses.replace(ranges, activations=less), pixels)
    broken = quantization_graph(small_network, 1)
    broken.conv(broken.convolutions[3]).weight.data[0] = math.nan
    with pytest.raises(RangesError, match=f"not finite at {broken.convolutions[3].name}: "):
        measure_sensitivity(broken, ranges, pixels)


@settings(deadline=None, max_examples=50)
@given(classes=st.integers(1, 4), seed=st.integers(0, 2**32 - 1))
def test_an_effect_is_nothing_only_between_equals(classes: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    one, other = torch.rand(2, 1, classes, 5, 7, generator=generator)
    assert Effect.between(one, one) == Effect(0.0, 1.0)
    effect = Effect.between(one, other)
    assert effect == Effect.between(other, one)
    assert 0 < effect.mean_error <= 1
    assert 0 <= effect.mask_agreement <= 1
    assert effect.mean_error == pytest.approx(float(np.abs(one.numpy() - other.numpy()).mean()), rel=1e-4)

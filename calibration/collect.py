"""Run calibration images through the float network and keep what its activation points saw."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from edge_deeplab.errors import CalibrationError, RangesError
from edge_deeplab.image import Rgb, resize_area
from edge_deeplab.models.deeplab import DeepLab
from edge_deeplab.quantization.affine import dequantize_weights, quantize_weights, symmetric_scales, widen_for_bias
from edge_deeplab.quantization.bias_correction import mean_loss
from edge_deeplab.quantization.graph import Convolution, QuantizationGraph, quantization_graph
from edge_deeplab.quantization.observers import Histogram, observer_named
from edge_deeplab.quantization.ranges import ActivationRange, QuantRanges, WeightRange, activation_range
from edge_deeplab.spec import ModelSpec

DEFAULT_OBSERVER = "mse"
"""Chosen on the validation split by benchmarks/ptq_methods.py. With the biases corrected it matters little."""

_BATCH = 4


@dataclass(frozen=True)
class Observations:
    """What a set of images showed of a network.

    Attributes:
        graph: the folded network and its points.
        histograms: group name to all values of the group's points.
        means: convolution name to the mean of each channel of its input, float64, (in channels,).
        peaks: convolution name to the largest value of each channel of its input, float64, (in channels,).
        images: how many images were run.
    """

    graph: QuantizationGraph
    histograms: dict[str, Histogram]
    means: dict[str, NDArray[np.float64]]
    peaks: dict[str, NDArray[np.float64]]
    images: int


def observe(
    network: DeepLab,
    spec: ModelSpec,
    images: Iterable[Rgb],
    *,
    progress: Callable[[int], None] = lambda count: None,
) -> Observations:
    """Run images through the BatchNorm-folded float network and count the values at each point.

    Args:
        network: trained; left as it is.
        spec: its size and classes.
        images: RGB, uint8, HxWx3, of any size; resized here as everywhere (``resize_area``).
        progress: called with the number of images done so far.

    Raises:
        CalibrationError: no image at all, only one picture again and again, or nothing but plain colours.
        ConversionError: the network holds an operator that has no rule for int8.
    """
    graph = quantization_graph(network, spec.network.num_classes)
    graph.require_integers()
    observer = _Observing(graph)
    count, distinct = 0, set()
    for pixels in _batches(images, spec):
        with torch.no_grad():
            observer.run(network_input(pixels))
        count += len(pixels)
        distinct |= {hash(image.tobytes()) for image in pixels if image.min() < image.max()}
        progress(count)
    _require_varied(count, len(distinct))
    means = {name: total / count for name, total in observer.totals.items()}
    return Observations(graph, observer.histograms, means, observer.peaks, count)


def network_input(pixels: NDArray[np.uint8]) -> Tensor:
    """RGB, uint8, (N, H, W, 3) -> float32, (N, 3, H, W), in [0, 1]."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255


def ranges_from(
    observations: Observations,
    *,
    checkpoint_sha256: str,
    observer: str | Mapping[str, str] = DEFAULT_OBSERVER,
    bias_correction: bool = True,
) -> QuantRanges:
    """Choose the ranges of all points by an observer, and the scales of all weights by their largest value.

    Args:
        observations: from :func:`observe`.
        checkpoint_sha256: the checkpoint that the network was loaded from.
        observer: a name of :data:`edge_deeplab.quantization.observers.OBSERVERS`, or such a name for each sharing
            group without fixed parameters (:func:`calibration.choose.best_observers`).
        bias_correction: take back in the biases what the rounded weights add on average.

    Raises:
        RangesError: a point that saw nothing but zeros, or values that are not finite.
        SpecError: no such observer.
    """
    graph = observations.graph
    activations: dict[str, ActivationRange] = {}
    for group, points in graph.groups().items():
        seen = observations.histograms[group]
        _require_finite(group, seen)
        fixed = points[0].fixed
        if fixed is not None:
            shared = ActivationRange(fixed, fixed.low, fixed.high, f"fixed: {_FIXED_ORIGINS.get(group, 'tied to it')}")
        else:
            name = observer if isinstance(observer, str) else observer[group]
            origin = f"observed: {name} over {observations.images} images"
            shared = activation_range(*observer_named(name)(seen), (seen.low, seen.high), origin, group)
        activations |= {point.name: shared for point in points}
    return QuantRanges(
        checkpoint_sha256=checkpoint_sha256,
        activations={point.name: activations[point.name] for point in graph.points},
        weights={
            convolution.name: _weight_range(
                graph,
                convolution,
                activations[convolution.input],
                observations.means[convolution.name] if bias_correction else None,
            )
            for convolution in graph.convolutions
        },
    )


def collect_ranges(
    network: DeepLab,
    spec: ModelSpec,
    images: Iterable[Rgb],
    *,
    checkpoint_sha256: str,
    observer: str = DEFAULT_OBSERVER,
    progress: Callable[[int], None] = lambda count: None,
) -> QuantRanges:
    """:func:`observe` and :func:`ranges_from` in one: post-training quantization without further ado."""
    observations = observe(network, spec, images, progress=progress)
    return ranges_from(observations, checkpoint_sha256=checkpoint_sha256, observer=observer)


_FIXED_ORIGINS = {"input": "pixels in [0, 1]", "probability": "probability in [0, 1)"}


class _Observing(fx.Interpreter):
    """Runs the traced network node by node and counts what each point gives."""

    def __init__(self, graph: QuantizationGraph) -> None:
        super().__init__(graph.module)
        # Copied values were counted where they came from: counting them twice would weigh them double.
        self._groups = {point.node: point.group for point in graph.points if not point.copied}
        self._convolutions = {convolution.node: convolution.name for convolution in graph.convolutions}
        self.histograms: dict[str, Histogram] = {}
        self.totals: dict[str, NDArray[np.float64]] = {}
        self.peaks: dict[str, NDArray[np.float64]] = {}

    def run_node(self, n: fx.Node) -> Any:
        if n.name in self._convolutions:
            (given, *_), _ = self.fetch_args_kwargs_from_env(n)
            assert isinstance(given, Tensor)
            name = self._convolutions[n.name]
            self.totals[name] = self.totals.get(name, 0.0) + given.double().mean((2, 3)).sum(0).numpy()
            self.peaks[name] = np.maximum(self.peaks.get(name, -np.inf), given.amax((0, 2, 3)).double().numpy())
        result = super().run_node(n)
        group = self._groups.get(n.name)
        if group is not None:
            assert isinstance(result, Tensor)
            seen = Histogram.of(result.detach().numpy())
            self.histograms[group] = self.histograms[group].merge(seen) if group in self.histograms else seen
        return result


def _batches(images: Iterable[Rgb], spec: ModelSpec) -> Iterator[NDArray[np.uint8]]:
    iterator = iter(images)
    while chunk := list(islice(iterator, _BATCH)):
        yield np.stack([resize_area(image, spec.height, spec.width) for image in chunk])


def _require_varied(count: int, distinct: int) -> None:
    if count == 0:
        raise CalibrationError("there is no calibration image: give a folder of photos")
    if distinct == 0:
        raise CalibrationError(f"all {count} calibration images are of one colour: give photos")
    if distinct == 1 and count > 1:
        raise CalibrationError(f"all {count} calibration images are the same: give photos that differ")


def _weight_range(
    graph: QuantizationGraph,
    convolution: Convolution,
    input_range: ActivationRange,
    input_means: NDArray[np.float64] | None,
) -> WeightRange:
    layer = graph.conv(convolution)
    assert layer.bias is not None
    weights, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    if not np.isfinite(weights).all() or not np.isfinite(bias).all():
        raise RangesError(
            f"a weight of {convolution.name} is not finite: the checkpoint is damaged, or training diverged"
        )
    scales = widen_for_bias(symmetric_scales(weights, 0), bias, input_range.affine.scale)
    shifts: tuple[float, ...] = ()
    if input_means is not None:
        rounded = dequantize_weights(quantize_weights(weights, scales, 0), scales, 0)
        shifts = tuple(float(np.float32(loss)) for loss in mean_loss(weights, rounded, input_means, layer.groups))
    return WeightRange(tuple(float(scale) for scale in scales), 0, shifts)


def _require_finite(name: str, seen: Histogram) -> None:
    if not np.isfinite([seen.low, seen.high]).all():
        raise RangesError(
            f"the network gives values that are not finite at {name}: the checkpoint is damaged, or training diverged"
        )

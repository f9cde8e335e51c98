"""Where int8 loses: the noise at every layer, and what each layer alone does to the probabilities.

A layer is one activation point with the kernel that writes it, weights included. Its noise is measured twice.
*Accumulated* noise is that of the whole integer network: it says how good the tensor is, not whose fault that is.
*Added* noise is the layer's own: it is fed with float input, and only its weights, its bias and its output are rounded.
Signal-to-quantization-noise ratios (SQNR; Lin et al. 2016, arXiv 1511.06393) make layers of different range
comparable; but a bad ratio does no harm where the layers behind it do not look. So each layer is also quantized alone,
the rest of the network in float, and what is then wrong with the probabilities is its own doing (Gluska and Grobman
2020, arXiv 2012.08420).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from edge_deeplab.errors import RangesError
from edge_deeplab.quantization.affine import Affine
from edge_deeplab.quantization.graph import ActivationPoint, QuantizationGraph
from edge_deeplab.quantization.observers import Histogram
from edge_deeplab.quantization.ranges import QuantRanges
from edge_deeplab.quantization.simulate import quantizer_node, simulate

Progress = Callable[[int, int], None]
"""Told how many steps are done, and of how many."""


@dataclass(frozen=True)
class Effect:
    """How far probabilities are from the float network's.

    Attributes:
        mean_error: mean absolute difference over pixels, classes and images.
        mask_agreement: the fraction of pixels that are decided alike.
    """

    mean_error: float
    mask_agreement: float

    @staticmethod
    def between(expected: Tensor, found: Tensor) -> Effect:
        """Compare probabilities with the float network's: both (N, classes, H, W)."""
        return Effect(
            float((found - expected).abs().mean()), float((_decided(found) == _decided(expected)).float().mean())
        )

    @staticmethod
    def mean(effects: Sequence[Effect]) -> Effect:
        """Over images of one size."""
        return Effect(
            float(np.mean([one.mean_error for one in effects])), float(np.mean([one.mask_agreement for one in effects]))
        )


@dataclass(frozen=True)
class LayerSensitivity:
    """One layer's noise and what comes of it. Ratios are in decibels; where nothing is lost they are infinite.

    Attributes:
        layer: the name of the activation point, which is also the convolution's where one writes it.
        fixed: its range is the contract's of the file (pixels, probabilities), whatever was calibrated.
        accumulated: SQNR of the whole integer network here.
        added: SQNR of the layer's own noise.
        by_weights: SQNR of the part of it that rounding weights and bias makes.
        by_activation: SQNR of the part that rounding and clipping the output makes.
        clipped: the fraction of the float values that lie outside of the int8 range, by more than rounding explains.
        alone: the probabilities if only this layer is quantized.
    """

    layer: str
    fixed: bool
    accumulated: float
    added: float
    by_weights: float
    by_activation: float
    clipped: float
    alone: Effect

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; a ratio is null where nothing is lost."""
        return {name: None if value in (math.inf, -math.inf) else value for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Sensitivity:
    """What quantization does to one network on a few photos.

    Attributes:
        images: how many photos.
        whole: the probabilities of the whole integer network.
        layers: in order of execution.
    """

    images: int
    whole: Effect
    layers: tuple[LayerSensitivity, ...]

    def worst(self, count: int) -> tuple[LayerSensitivity, ...]:
        """The layers that alone make the greatest mean error, the worst first; only those that can be changed."""
        changeable = (layer for layer in self.layers if not layer.fixed)
        return tuple(sorted(changeable, key=lambda layer: -layer.alone.mean_error)[:count])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        layers = [layer.to_dict() for layer in self.layers]
        return {"images": self.images, "whole": asdict(self.whole), "layers": layers}


def measure_sensitivity(
    graph: QuantizationGraph,
    ranges: QuantRanges,
    pixels: NDArray[np.uint8],
    *,
    progress: Progress = lambda done, count: None,
) -> Sensitivity:
    """Measure every layer of a network on a few photos.

    A photo takes one run of the float network, two of the integer network, and one of the float network behind each
    layer: with L layers about L / 2 runs.

    Args:
        graph: the float network.
        ranges: its ranges.
        pixels: RGB, uint8, (N, H, W, 3), at the network's size; N at least 1.
        progress: told after each photo.

    Raises:
        RangesError: the ranges do not fit the network, or it gives values that are not finite.
    """
    simulated = simulate(graph, ranges)
    behind = _behind(graph)
    sums = {point.name: _Sums() for point in graph.points}
    whole = []
    for index in range(len(pixels)):
        image = to_tensor(pixels[index])
        with torch.no_grad():
            floats = _FloatRun(graph, image)
            whole.append(Effect.between(floats.probabilities, _integer_run(simulated, graph, image, floats, sums)))
            rounded = _run_of_each(simulated, graph, image, floats, sums)
            for point in graph.points:
                found = floats.continued(point, rounded[point.name], behind[point.node])
                sums[point.name].alone.append(Effect.between(floats.probabilities, found))
                sums[point.name].see(floats.at(point), ranges.activation(point.name).affine)
        progress(index + 1, len(pixels))
    layers = tuple(sums[point.name].result(point) for point in graph.points)
    return Sensitivity(len(pixels), Effect.mean(whole), layers)


def float_histograms(
    graph: QuantizationGraph, pixels: NDArray[np.uint8], layers: Collection[str]
) -> dict[str, Histogram]:
    """What the float network's values look like at some layers.

    Args:
        graph: the float network.
        pixels: RGB, uint8, (N, H, W, 3), at the network's size; N at least 1.
        layers: names of activation points.

    Returns:
        Layer to histogram, in order of execution.
    """
    seen: dict[str, Histogram] = {}
    for picture in pixels:
        with torch.no_grad():
            floats = _FloatRun(graph, to_tensor(picture))
        for point in graph.points:
            if point.name in layers:
                here = Histogram.of(floats.at(point).numpy())
                seen[point.name] = seen[point.name].merge(here) if point.name in seen else here
    return seen


def to_tensor(picture: NDArray[np.uint8]) -> Tensor:
    """RGB, uint8, (H, W, 3) -> float32, (1, 3, H, W), in [0, 1]."""
    return torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255


class _FloatRun:
    """The float network's values on one image, from which it can go on with another value in one place."""

    def __init__(self, graph: QuantizationGraph, image: Tensor) -> None:
        self._module = graph.module
        self._nodes = {node.name: node for node in graph.module.graph.nodes}
        interpreter = fx.Interpreter(graph.module, garbage_collect_values=False)
        self.probabilities: Tensor = interpreter.run(image)
        self._values: dict[fx.Node, Any] = interpreter.env
        for point in graph.points:
            if not torch.isfinite(self.at(point)).all():
                raise RangesError(
                    f"the network gives values that are not finite at {point.name}: "
                    "the checkpoint is damaged, or training diverged"
                )

    def at(self, point: ActivationPoint) -> Tensor:
        """The float value of a point."""
        value = self._values[self._nodes[point.node]]
        assert isinstance(value, Tensor)
        return value

    def continued(self, point: ActivationPoint, value: Tensor, behind: Collection[fx.Node]) -> Tensor:
        """The probabilities if a point had another value; ``behind``: the nodes that depend on it."""
        known = {node: old for node, old in self._values.items() if node not in behind}
        known[self._nodes[point.node]] = value
        found = fx.Interpreter(self._module).run(initial_env=known)
        assert isinstance(found, Tensor)
        return found


class _Quantizing(fx.Interpreter):
    """Runs the integer network and asks, at every quantizer, what to hand on to the next layers."""

    def __init__(
        self, simulated: fx.GraphModule, graph: QuantizationGraph, hand_on: Callable[[str, Tensor, nn.Module], Tensor]
    ) -> None:
        super().__init__(simulated)
        self._points = {quantizer_node(point): point.name for point in graph.points}
        self._hand_on = hand_on

    def run_node(self, n: fx.Node) -> Any:
        point = self._points.get(n.name)
        if point is None:
            return super().run_node(n)
        (given,), _ = self.fetch_args_kwargs_from_env(n)
        return self._hand_on(point, given, self.fetch_attr(str(n.target)))


def _integer_run(
    simulated: fx.GraphModule, graph: QuantizationGraph, image: Tensor, floats: _FloatRun, sums: Mapping[str, _Sums]
) -> Tensor:
    """The integer network's probabilities; adds up the accumulated noise."""
    points = {point.name: point for point in graph.points}

    def hand_on(point: str, given: Tensor, quantizer: nn.Module) -> Tensor:
        result: Tensor = quantizer(given)
        sums[point].accumulated += _power(result - floats.at(points[point]))
        return result

    found = _Quantizing(simulated, graph, hand_on).run(image)
    assert isinstance(found, Tensor)
    return found


def _run_of_each(
    simulated: fx.GraphModule, graph: QuantizationGraph, image: Tensor, floats: _FloatRun, sums: Mapping[str, _Sums]
) -> dict[str, Tensor]:
    """What each layer makes of float input; adds up the added noise and its parts."""
    points = {point.name: point for point in graph.points}
    rounded: dict[str, Tensor] = {}

    def hand_on(point: str, given: Tensor, quantizer: nn.Module) -> Tensor:
        # What is given comes from rounded weights and float input, because the float value is what is handed on.
        expected = floats.at(points[point])
        rounded[point] = quantizer(given)
        sums[point].added += _power(rounded[point] - expected)
        sums[point].by_weights += _power(given - expected)
        sums[point].by_activation += _power(quantizer(expected) - expected)
        return expected

    _Quantizing(simulated, graph, hand_on).run(image)
    return rounded


@dataclass
class _Sums:
    """One layer's powers over all values of all images so far."""

    signal: float = 0.0
    accumulated: float = 0.0
    added: float = 0.0
    by_weights: float = 0.0
    by_activation: float = 0.0
    clipped: int = 0
    values: int = 0
    alone: list[Effect] = field(default_factory=list)

    def see(self, value: Tensor, affine: Affine) -> None:
        half = affine.scale / 2
        self.signal += _power(value)
        self.clipped += int(((value < affine.low - half) | (value > affine.high + half)).sum())
        self.values += value.numel()

    def result(self, point: ActivationPoint) -> LayerSensitivity:
        return LayerSensitivity(
            layer=point.name,
            fixed=point.fixed is not None,
            accumulated=_decibels(self.signal, self.accumulated),
            added=_decibels(self.signal, self.added),
            by_weights=_decibels(self.signal, self.by_weights),
            by_activation=_decibels(self.signal, self.by_activation),
            clipped=self.clipped / self.values,
            alone=Effect.mean(self.alone),
        )


def _behind(graph: QuantizationGraph) -> dict[str, frozenset[fx.Node]]:
    """Node name to all nodes that depend on it."""
    behind: dict[str, frozenset[fx.Node]] = {}
    for node in reversed(graph.module.graph.nodes):
        behind[node.name] = frozenset(node.users).union(*(behind[user.name] for user in node.users))
    return behind


def _power(values: Tensor) -> float:
    return float(values.square().sum())


def _decibels(signal: float, noise: float) -> float:
    if noise == 0.0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0.0 else -math.inf


def _decided(probabilities: Tensor) -> Tensor:
    """The class of every pixel: (N, classes, H, W) -> (N, H, W), as evaluation.metrics.class_map decides."""
    return probabilities[:, 0] >= 0.5 if probabilities.shape[1] == 1 else probabilities.argmax(1)

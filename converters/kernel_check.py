"""Does a runtime compute from its integers what the simulation computes from them? Layer by layer, for any format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from edge_deeplab.errors import ConversionError
from edge_deeplab.quantization.affine import INT8_MAX, INT8_MIN, quantize
from edge_deeplab.quantization.graph import QuantizationGraph
from edge_deeplab.quantization.ranges import QuantRanges
from edge_deeplab.quantization.simulate import quantizer_node, simulate


def check_kernels(
    integers: Mapping[str, NDArray[np.int8]],
    graph: QuantizationGraph,
    ranges: QuantRanges,
    pixels: NDArray[np.uint8],
) -> None:
    """Compare what a runtime computed at each point with the simulation.

    Each layer is compared on the inputs that the runtime itself computed, so that a difference is one of this layer and
    not the echo of an earlier one. Convolutions must be equal to the last bit; a resize, a sum, a mean or a sigmoid may
    be off by one step, because runtimes have them in fixed point or in float32.

    Args:
        integers: point name to int8, NCHW. A point that is not there (a concatenation of one) is not compared.
        graph: the float network.
        ranges: its ranges.
        pixels: what the runtime was given: RGB, uint8, HxWx3, of the network's size.

    Raises:
        ConversionError: a layer computes something else; the message names it.
    """
    _Following(graph, ranges, integers).run_pixels(pixels)


class _Following(fx.Interpreter):
    """Runs the simulation in float64, compares each point with the file's integers, and goes on with the latter."""

    def __init__(self, graph: QuantizationGraph, ranges: QuantRanges, integers: Mapping[str, NDArray[np.int8]]) -> None:
        super().__init__(simulate(graph, ranges).double())
        self.extra_traceback = False  # an error's message stays as it was raised
        self._ranges = ranges
        self._integers = integers
        self._points = {quantizer_node(point): point.name for point in graph.points}
        self._layers = {layer.output: layer for layer in graph.convolutions}

    def run_pixels(self, pixels: NDArray[np.uint8]) -> None:
        with torch.no_grad():
            self.run(torch.from_numpy(pixels.astype(np.float64) / 255).permute(2, 0, 1)[None])

    def run_node(self, n: fx.Node) -> Any:
        name = self._points.get(n.name)
        # A point without a tensor of its own in the file (a concatenation of one) has nothing to be compared with.
        if name is None or name not in self._integers:
            return super().run_node(n)
        (before,), _ = self.fetch_args_kwargs_from_env(n)
        affine = self._ranges.activation(name).affine
        found = torch.from_numpy(self._integers[name]).double()
        layer = self._layers.get(name)
        if layer is None:
            expected, slack = torch.from_numpy(quantize(before.numpy(), affine)).double(), 1
        else:
            expected, slack = self._requantized(before, name), 0
        difference = (expected - found).abs()
        if difference.max() > slack:
            raise ConversionError(
                f"{name} computes something else in the int8 file than in the simulation: "
                f"{int((difference > slack).sum())} of {difference.numel()} values differ, by up to "
                f"{int(difference.max())} steps"
            )
        return (found - affine.zero_point) * affine.scale

    def _requantized(self, before: Tensor, name: str) -> Tensor:
        """A convolution's sums brought to its output's scale as the kernels do it: in float32, halves to even.

        XNNPACK and onnxruntime are equal in this. The sums are integers times s_in * s_w, exactly recovered from
        float64; the rectifier before the rounding gives the same as the kernels' clamp behind it, because rounding is
        monotonic.
        """
        layer, output = self._layers[name], self._ranges.activation(name).affine
        source = np.float32(self._ranges.activation(layer.input).affine.scale)
        weights = self._ranges.weight(layer.name).array()
        steps = torch.from_numpy(np.float64(source) * weights.astype(np.float64))[None, :, None, None]
        factors = torch.from_numpy(source * weights / np.float32(output.scale))[None, :, None, None]
        sums = torch.round(before / steps).float()
        return (torch.round(sums * factors) + output.zero_point).clamp(INT8_MIN, INT8_MAX).double()

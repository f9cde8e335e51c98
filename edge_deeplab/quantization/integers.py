"""The integers of a convolution: the same ones for every file format."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.errors import RangesError
from edge_deeplab.quantization.affine import bias_scales, quantize_bias, quantize_weights
from edge_deeplab.quantization.graph import Convolution, QuantizationGraph
from edge_deeplab.quantization.ranges import QuantRanges


def layer_integers(
    graph: QuantizationGraph, ranges: QuantRanges, layer: Convolution
) -> tuple[NDArray[np.int8], NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]:
    """What a layer is in every integer file: weights (int8, OIHW) and their scales, bias (int32) and its scales.

    Raises:
        RangesError: a bias does not fit into int32 at s_in * s_w.
    """
    conv = graph.conv(layer)
    assert conv.bias is not None
    weight = ranges.weight(layer.name)
    scales = weight.array()
    steps = bias_scales(ranges.activation(layer.input).affine.scale, scales)
    try:
        bias = quantize_bias(conv.bias.detach().double().numpy() + weight.shifts(), steps)
    except ValueError as error:
        raise RangesError(f"{layer.name}: {error}: calibrate the network again") from error
    return quantize_weights(conv.weight.detach().numpy(), scales, 0), scales, bias, steps

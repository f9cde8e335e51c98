"""A network as an ML Program, by coremltools. Imported by the worker alone: coremltools talks and warns at import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import coremltools as ct
import numpy as np
import torch
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 (its own documentation's word)
from coremltools.converters.mil.mil.passes.graph_pass import AbstractGraphPass
from coremltools.converters.mil.mil.passes.pass_registry import register_pass
from numpy.typing import NDArray
from torch import Tensor, nn

from converters.coreml_recipe import INPUT, DeploymentTarget, Output, Recipe
from converters.coreml_storage import Storage, convolution_storage
from converters.palette import Palette, palettize
from edge_deeplab.errors import ConversionError
from edge_deeplab.quantization.affine import (
    Affine,
    dequantize_weights,
    quantize_weights,
    symmetric_scales,
)
from edge_deeplab.quantization.graph import QuantizationGraph
from edge_deeplab.quantization.integers import layer_integers
from edge_deeplab.quantization.ranges import QuantRanges
from edge_deeplab.quantization.simulate import insert_quantizers
from edge_deeplab.spec import ModelSpec, Precision

_TARGETS = {
    DeploymentTarget.IOS15: ct.target.iOS15,
    DeploymentTarget.IOS16: ct.target.iOS16,
    DeploymentTarget.IOS17: ct.target.iOS17,
}

# They rewrite scales and zero points, or take out pairs, which leaves the same function of real numbers, but no longer
# the numbers of the ranges: ten of forty scales by the last one alone.
_REWRITE_RANGES = {
    "common::int_op_canonicalization",
    "common::nullify_redundant_quantization_zero_point",
    "common::dequantize_quantize_pair_elimination",
    "common::distributive_quantized_binary_op_scale_normalization",
}
# Two layers with equal weights would share one constant, and could not have scales of their own.
_SHARE_WEIGHTS = {"common::const_deduplication"}

_COMPRESS = "edge_deeplab::compress_convolutions"

Compression = Callable[[int, NDArray[np.floating], Any], Any]
"""(number of the convolution, its weights, its constant operator) -> the constexpr variable in its place."""


def convert_network(graph: QuantizationGraph, spec: ModelSpec, recipe: Recipe, ranges: QuantRanges | None) -> Any:
    """Trace and convert a network.

    Args:
        graph: the network, BatchNorm folded, its last activation inside.
        spec: its sizes.
        recipe: what to make.
        ranges: of the network; for W8A8 only.

    Returns:
        A ``coremltools.models.MLModel``, not loaded, without metadata.

    Raises:
        ConversionError: the converter changed the order or the weights of the convolutions.
        RangesError: the ranges do not fit the network.
    """
    module: nn.Module = graph.module
    pipeline = ct.PassPipeline.DEFAULT
    compression = _compression(graph, recipe, ranges)
    if compression is not None:
        pipeline.remove_passes(_SHARE_WEIGHTS)
        pipeline.append_pass(_COMPRESS)
        pipeline.set_options(_COMPRESS, {"compression": compression})
    if recipe.precision is Precision.W8A8:
        assert ranges is not None
        pipeline.remove_passes(_REWRITE_RANGES)
        module = _rounded(graph, ranges)
    shape = (1, 3, spec.height, spec.width)
    with torch.no_grad():
        traced = torch.jit.trace(_Delivered(module, recipe.output).eval(), torch.zeros(shape), check_trace=False)
    output = (
        ct.ImageType(name=recipe.output.feature, color_layout=ct.colorlayout.GRAYSCALE)
        if recipe.output is Output.IMAGE
        else ct.TensorType(name=recipe.output.feature, dtype=np.float32)
    )
    return ct.convert(
        traced,
        convert_to="mlprogram",
        inputs=[ct.ImageType(name=INPUT, shape=shape, scale=1 / 255, color_layout=ct.colorlayout.RGB)],
        outputs=[output],
        minimum_deployment_target=_TARGETS[recipe.deployment_target],
        compute_precision=ct.precision.FLOAT16 if recipe.half_precision else ct.precision.FLOAT32,
        pass_pipeline=pipeline,
        skip_model_load=True,
    )


class _Delivered(nn.Module):
    """The network with the output that the package shall have."""

    def __init__(self, network: nn.Module, output: Output) -> None:
        super().__init__()
        self.network = network
        self.output = output

    def forward(self, image: Tensor) -> Tensor:  # (1, 3, H, W) -> (1, classes, H, W)
        probability: Tensor = self.network(image)
        return probability * 255 if self.output is Output.IMAGE else probability


def _rounded(graph: QuantizationGraph, ranges: QuantRanges) -> nn.Module:
    """The network with a pair of quantize and dequantize behind each point, and its weights on their grids."""
    graph.require(ranges)
    layers = {layer.name: layer for layer in graph.convolutions}

    def convolution(name: str, conv: nn.Conv2d) -> nn.Module:
        weights, scales, bias, steps = layer_integers(graph, ranges, layers[name])
        conv.weight = nn.Parameter(torch.from_numpy(dequantize_weights(weights, scales, 0)))
        conv.bias = nn.Parameter(torch.from_numpy((bias.astype(np.float64) * steps).astype(np.float32)))
        return _RoundedConv2d(conv)

    return insert_quantizers(graph, lambda group: _Pair(ranges.activation(group).affine), convolution)


class _Pair(nn.Module):
    """Quantize and dequantize, as two operators that coremltools takes over one to one with their numbers."""

    scale: Tensor

    def __init__(self, affine: Affine) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(affine.scale))
        self._affine = affine

    def forward(self, x: Tensor) -> Tensor:
        integers = torch.quantize_per_tensor(x, self._affine.scale, self._affine.zero_point, torch.qint8)
        return torch.dequantize(integers)


class _RoundedConv2d(nn.Module):
    """A convolution whose weights and bias are on their grids already."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor, _: Tensor) -> Tensor:
        result: Tensor = self.conv(x)
        return result


@register_pass(namespace="edge_deeplab")
class compress_convolutions(AbstractGraphPass):  # type: ignore[misc]  # noqa: N801 (passes are registered by their class's name)
    """Replace the weights of every convolution, in order of execution, by a constexpr operator.

    coremltools' own compression passes leave out small ones in silence, and choose scales of their own.
    """

    compression: Compression

    def apply(self, prog: Any) -> None:
        (function,) = prog.functions.values()
        convolutions = [operator for operator in function.operations if operator.op_type == "conv"]
        with function:
            for number, convolution in enumerate(convolutions):
                constant = convolution.weight.op
                if constant.op_type != "const":
                    raise ConversionError(f"the weights of {convolution.name} are {constant.op_type}, not constant")
                stored = self.compression(number, constant.val.val, constant)
                function.replace_uses_of_var_after_op(
                    anchor_op=constant, old_var=constant.outputs[0], new_var=stored, no_check_var_types=True
                )
                function.remove_ops([constant])


compress_convolutions.compression = None  # type: ignore[assignment]  # set by the pipeline's options


def _compression(graph: QuantizationGraph, recipe: Recipe, ranges: QuantRanges | None) -> Compression | None:
    """What is done to the weights of each convolution; None where they stay as they are."""
    storages = convolution_storage(graph, recipe)
    if set(storages) <= {Storage.FLOAT}:
        return None

    def compress(number: int, weights: NDArray[np.floating], constant: Any) -> Any:
        layer, bits = graph.convolutions[number], recipe.lut_bits
        if storages[number] is Storage.PALETTE:
            assert bits is not None
            return _palette(palettize(weights, bits), constant)
        if ranges is None:
            scales = _representable(symmetric_scales(weights, 0), weights.dtype)
            return _affine(quantize_weights(weights, scales.astype(np.float32), 0), scales, constant)
        integers, scales, _, _ = layer_integers(graph, ranges, layer)
        if not np.array_equal(weights, dequantize_weights(integers, scales, 0)):
            raise ConversionError(f"coremltools has put other weights than those of {layer.name} into {constant.name}")
        return _affine(integers, scales, constant)

    return compress


def _representable(scales: NDArray[np.float32], dtype: np.dtype[Any]) -> NDArray[np.floating]:
    """Scales in the type of the weights: never 0, which would be a channel without a grid."""
    return np.maximum(scales.astype(dtype), np.finfo(dtype).smallest_subnormal)


def _affine(integers: NDArray[np.int8], scales: NDArray[np.floating], constant: Any) -> Any:
    return mb.constexpr_affine_dequantize(
        quantized_data=integers,
        zero_point=np.zeros(len(scales), np.int8),
        scale=scales,
        axis=np.int32(0),
        before_op=constant,
        name=f"{constant.name}_int8",
    )


def _palette(palette: Palette, constant: Any) -> Any:
    return mb.constexpr_lut_to_dense(
        indices=palette.packed(),
        lut=palette.table,
        shape=np.array(palette.indices.shape, np.uint32),
        before_op=constant,
        name=f"{constant.name}_palettized",
    )

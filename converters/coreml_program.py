"""A network as an ML Program, by coremltools. Imported by the worker alone: coremltools talks and warns at import."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import coremltools as ct
import numpy as np
import torch
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 (its own documentation's word)
from coremltools.converters.mil.mil.passes.graph_pass import AbstractGraphPass
from coremltools.converters.mil.mil.passes.pass_registry import register_pass
from torch import Tensor, nn

from converters.coreml_recipe import INPUT, DeploymentTarget, Recipe
from converters.coreml_rounding import halves, input_moments
from converters.coreml_weights import Integers, StoredLayer, corrected_bias, input_means, stored_layers
from converters.palette import Palette
from edge_deeplab.errors import ConversionError
from edge_deeplab.quantization.affine import Affine
from edge_deeplab.quantization.graph import QuantizationGraph
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

_STORE = "edge_deeplab::store_convolutions"


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
        ConversionError: coremltools changed the order or the weights of the convolutions.
        RangesError: the ranges do not fit the network.
    """
    pipeline = ct.PassPipeline.DEFAULT
    module: nn.Module = graph.module
    stored = stored_layers(graph, spec, recipe, ranges)
    if stored:
        pipeline.remove_passes(_SHARE_WEIGHTS)
        pipeline.append_pass(_STORE)
        pipeline.set_options(_STORE, {"layers": stored})
    if recipe.precision is Precision.W8A8:
        assert ranges is not None
        pipeline.remove_passes(_REWRITE_RANGES)
        module = _rounded(graph, stored, ranges)
    elif stored:
        module = _with_stored(graph, stored)
    elif recipe.half_precision:
        module = _halved(graph, spec)
    if recipe.grey:
        module = _GreyImage(module)
        output = ct.ImageType(name=recipe.output, color_layout=ct.colorlayout.GRAYSCALE)
    else:
        output = ct.TensorType(name=recipe.output, dtype=np.float32)
    shape = (1, 3, spec.height, spec.width)
    with torch.no_grad():
        traced = torch.jit.trace(module.eval(), torch.zeros(shape), check_trace=False)  # type: ignore[no-untyped-call]
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


class _GreyImage(nn.Module):
    """The network with 0..255 instead of [0, 1]."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:  # (1, 3, H, W) -> (1, 1, H, W)
        grey: Tensor = self.network(image) * 255
        return grey


def _with_stored(graph: QuantizationGraph, stored: Sequence[StoredLayer]) -> nn.Module:
    """The network with the weights that the package stands for."""
    module = copy.deepcopy(graph.module)
    for layer, form in zip(graph.convolutions, stored, strict=True):
        conv = module.get_submodule(layer.module)
        assert isinstance(conv, nn.Conv2d)
        _set_weights(conv, form)
    return module


def _halved(graph: QuantizationGraph, spec: ModelSpec) -> nn.Module:
    """The network with the weights that float16 leaves, and what they take off on average given back by the biases."""
    module, means, moments = copy.deepcopy(graph.module), input_means(graph, spec), input_moments(graph, spec)
    for layer in graph.convolutions:
        conv = module.get_submodule(layer.module)
        assert isinstance(conv, nn.Conv2d)
        rounded = halves(conv, moments.get(layer.name), means[layer.name]).astype(np.float32)
        conv.bias = nn.Parameter(torch.from_numpy(corrected_bias(conv, rounded, means[layer.name])))
        conv.weight = nn.Parameter(torch.from_numpy(rounded))
    return module


def _rounded(graph: QuantizationGraph, stored: Sequence[StoredLayer], ranges: QuantRanges) -> nn.Module:
    """The network with a pair of quantize and dequantize behind each point, and its weights on their grids."""
    graph.require(ranges)
    forms = {layer.name: form for layer, form in zip(graph.convolutions, stored, strict=True)}

    def convolution(name: str, conv: nn.Conv2d) -> nn.Module:
        _set_weights(conv, forms[name])
        return _RoundedConv2d(conv)

    return insert_quantizers(graph, lambda group: _Pair(ranges.activation(group).affine), convolution)


def _set_weights(conv: nn.Conv2d, form: StoredLayer) -> None:
    conv.weight = nn.Parameter(torch.from_numpy(form.weights.weights().astype(np.float32)))
    conv.bias = nn.Parameter(torch.from_numpy(form.bias))


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
class store_convolutions(AbstractGraphPass):  # type: ignore[misc]  # noqa: N801 (a pass is named by its class)
    """Put stored weights in the place of each convolution's constant, in order of execution.

    coremltools' own compression leaves out small ones in silence, and chooses scales of its own.
    """

    layers: Sequence[StoredLayer] = ()

    def apply(self, prog: Any) -> None:
        """Change a program in place. Raises: ConversionError: its convolutions are not those of the layers."""
        (function,) = prog.functions.values()
        convolutions = [operator for operator in function.operations if operator.op_type == "conv"]
        if len(convolutions) != len(self.layers):
            raise ConversionError(f"coremltools made {len(convolutions)} convolutions of {len(self.layers)}")
        with function:
            for convolution, form in zip(convolutions, self.layers, strict=True):
                constant = convolution.weight.op
                if constant.op_type != "const" or not np.array_equal(constant.val.val, form.weights.weights()):
                    raise ConversionError(f"coremltools has changed the weights of {convolution.name}")
                function.replace_uses_of_var_after_op(
                    anchor_op=constant,
                    old_var=constant.outputs[0],
                    new_var=_weights_operator(form.weights, constant),
                    no_check_var_types=True,
                )
                function.remove_ops([constant])


def _weights_operator(stored: Integers | Palette, constant: Any) -> Any:
    """The operator that gives stored weights, in front of the constant that it replaces."""
    if isinstance(stored, Palette):
        return mb.constexpr_lut_to_dense(
            indices=stored.packed(),
            lut=stored.table,
            shape=np.array(stored.indices.shape, np.uint32),
            before_op=constant,
            name=f"{constant.name}_palettized",
        )
    return mb.constexpr_affine_dequantize(
        quantized_data=stored.values,
        zero_point=np.zeros(len(stored.scales), np.int8),
        scale=stored.scales,
        axis=np.int32(0),
        before_op=constant,
        name=f"{constant.name}_int8",
    )

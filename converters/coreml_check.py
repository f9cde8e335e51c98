"""What a package must be, checked on the written files before they get their name: its ends, weights and biases."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from converters.coreml_graph import Graph, read_graph
from converters.coreml_recipe import INPUT, Recipe
from converters.coreml_rounding import Moments, halves, input_moments
from converters.coreml_rounding_check import check_rounding
from converters.coreml_weights import Storage, corrected_bias, input_means, storages
from converters.point_match import close
from edge_deeplab.errors import ConversionError
from edge_deeplab.quantization.affine import dequantize_bias, dequantize_weights
from edge_deeplab.quantization.graph import Convolution, QuantizationGraph
from edge_deeplab.quantization.integers import layer_integers
from edge_deeplab.quantization.ranges import QuantRanges
from edge_deeplab.runtime.coreml.program import Operation
from edge_deeplab.runtime.coreml.protobuf import messages
from edge_deeplab.runtime.coreml.tensor_types import unpack
from edge_deeplab.spec import ModelSpec, NetworkSpec, Padding

_PIXEL = np.float32(1 / 255)
_RESIZES = frozenset({"resize", "resize_bilinear", "upsample_bilinear"})
# What float16 may change: half a unit in the last of eleven bits, and the least number below its normal ones.
_HALF, _LEAST = 2.0**-11, 2.0**-24


def check_package(
    package: Path, network: QuantizationGraph, spec: ModelSpec, recipe: Recipe, ranges: QuantRanges | None
) -> None:
    """Read a package back, and compare it with the network that it was made of.

    Args:
        package: the .mlpackage.
        network: the float network.
        spec: its sizes and classes.
        recipe: what was asked for.
        ranges: of the network; for W8A8 only.

    Raises:
        ConversionError: it is not what was asked for, or holds other numbers than the network and the ranges.
        ModelFileError: it cannot be read.
        MissingExtraError: coremltools is not installed.
    """
    graph = read_graph(package)
    _check_version(graph, recipe)
    _check_ends(graph, spec, recipe)
    pixels = _check_pixels(graph, spec.network)
    convolutions = [operation for operation in graph.operations if operation.type == "conv"]
    if len(convolutions) != len(network.convolutions):
        raise ConversionError(
            f"the package has {len(convolutions)} convolutions, and the network {len(network.convolutions)}: "
            "coremltools changed the network"
        )
    means, forms = input_means(network, spec), storages(network, recipe)
    halved = recipe.half_precision and Storage.FLOAT in forms.values()
    moments = input_moments(network, spec) if halved else {}
    for operation, layer in zip(convolutions, network.convolutions, strict=True):
        conv, stored = network.conv(layer), _Stored(graph, operation, recipe)
        stored.check_form(layer.name, forms[layer.name])
        if ranges is None:
            of_input = means[layer.name]
            right = stored.near(conv, moments.get(layer.name), of_input) and stored.bias_near(conv, of_input)
        else:
            right = stored.equal(network, ranges, layer)
        if not right:
            raise ConversionError(
                f"the weights or biases of {layer.name} in the package are not the checkpoint's: convert again"
            )
    check_rounding(graph, network, ranges, pixels, convolutions)


def stored_network(package: Path, network: QuantizationGraph, recipe: Recipe) -> nn.Module:
    """The network with the weights and biases that a package of :func:`check_package`'s liking holds, in float32."""
    graph, module = read_graph(package), copy.deepcopy(network.module)
    convolutions = [operation for operation in graph.operations if operation.type == "conv"]
    for operation, layer in zip(convolutions, network.convolutions, strict=True):
        conv = module.get_submodule(layer.module)
        assert isinstance(conv, nn.Conv2d)
        stored = _Stored(graph, operation, recipe)
        conv.weight = nn.Parameter(torch.from_numpy(stored.exact_weights()))
        conv.bias = nn.Parameter(torch.from_numpy(stored.exact_bias()))
    return module


def _check_version(graph: Graph, recipe: Recipe) -> None:
    found, wanted = graph.specification.specificationVersion, recipe.deployment_target.specification_version
    # Opsets are counted by Core ML's own versions, one behind the specification's.
    if (found, graph.opset) != (wanted, f"CoreML{wanted - 1}"):
        raise ConversionError(
            f"the package has specification version {found} ({graph.opset}) instead of {wanted}, that of "
            f"{recipe.deployment_target}"
        )


def _check_ends(graph: Graph, spec: ModelSpec, recipe: Recipe) -> None:
    description, types = graph.specification.description, messages().FeatureTypes_pb2
    size = (spec.height, spec.width)
    colors = types.ImageFeatureType
    found = [(feature.name, _image(feature)) for feature in description.input]
    if found != [(INPUT, (*size, colors.RGB))]:
        raise ConversionError(
            f"the package takes {found} instead of one RGB image {spec.height} x {spec.width} called {INPUT!r}"
        )
    (result,) = description.output
    if recipe.grey:
        right = _image(result) == (*size, colors.GRAYSCALE)
    else:
        array = result.type.multiArrayType
        right = list(array.shape) == [1, len(spec.classes), *size] and array.dataType == types.ArrayFeatureType.FLOAT32
    if not right or result.name != recipe.output or graph.outputs != (result.name,):
        raise ConversionError(f"the output {result.name!r} of the package is not what was asked for")


def _image(feature: Any) -> tuple[int, int, int] | None:
    """Rows, columns and colour space of an image of one size; None for anything else."""
    image = feature.type.imageType
    if feature.type.WhichOneof("Type") != "imageType" or image.WhichOneof("SizeFlexibility") is not None:
        return None
    return image.height, image.width, image.colorSpace


def _check_pixels(graph: Graph, network: NetworkSpec) -> str:
    """Pixels are multiplied by 1/255 in float32, and nothing is added. Give the tensor that the network reads.

    A border of zeros and smaller images leave their units alone, in networks that have such.
    """
    scaling, factor = graph.readers(INPUT), None
    if len(scaling) == 1 and scaling[0].type == "mul" and graph.argument(scaling[0], "x") == INPUT:
        factor = graph.constant(scaling[0], "y")
    if not isinstance(factor, np.ndarray) or factor.dtype != np.float32 or factor.shape != () or factor != _PIXEL:
        raise ConversionError(f"the package multiplies its pixels by {factor} instead of 1/255: convert again")
    tensor = scaling[0].outputs[0][0]
    readers = graph.readers(tensor)
    if [reader.type for reader in readers] == ["cast"]:
        tensor = readers[0].outputs[0][0]
    allowed = {"conv", "quantize"}
    if network.padding is Padding.SAME:
        allowed.add("pad")
    if network.input_scales != (1.0,):
        allowed |= _RESIZES
    if {reader.type for reader in graph.readers(tensor)} - allowed:
        raise ConversionError("the package does more to its pixels than to multiply them by 1/255: convert again")
    return tensor


class _Stored:
    """The weights and biases of one convolution of a package."""

    def __init__(self, graph: Graph, operation: Operation, recipe: Recipe) -> None:
        name = graph.argument(operation, "weight")
        self._writer = None if name is None else graph.writer(name)
        self._plain = graph.constant(operation, "weight")
        self._bias = graph.constant(operation, "bias")
        self._dtype: type[np.floating[Any]] = np.float16 if recipe.half_precision else np.float32

    def check_form(self, layer: str, wanted: Storage) -> None:
        """Raises: ConversionError: they are stored in another way, or with parameters that it must not have."""
        found = "const" if self._writer is None else self._writer.type
        if found != wanted.operator:
            raise ConversionError(f"the weights of {layer} are stored as {found} instead of {wanted.operator}")
        match wanted:
            case Storage.FLOAT:
                right = self._plain is not None and self._plain.dtype == self._dtype
            case Storage.INT8:
                right = self._is_symmetric_int8()
            case Storage.PALETTE6 | Storage.PALETTE4:
                assert wanted.bits is not None
                right = self._is_palette(wanted.bits)
        if not right:
            raise ConversionError(f"the weights of {layer} have another form than {wanted} weights: convert again")

    @property
    def _of(self) -> Mapping[str, Any]:
        assert self._writer is not None
        return self._writer.arguments

    def _is_symmetric_int8(self) -> bool:
        integers, scales = self._of["quantized_data"], self._of["scale"]
        return (
            integers.dtype == np.int8
            and (scales.dtype, scales.shape) == (self._dtype, (len(integers),))
            and self._of["axis"] == 0
            and not np.any(self._of["zero_point"])
            and integers.min() > -128
        )

    def equal(self, network: QuantizationGraph, ranges: QuantRanges, layer: Convolution) -> bool:
        """Integers, scales and bias are those of the ranges, to the last bit."""
        weights, scales, bias, steps = layer_integers(network, ranges, layer)
        return (
            np.array_equal(self._of["quantized_data"], weights)
            and np.array_equal(self._of["scale"], scales)
            and np.array_equal(self._bias, dequantize_bias(bias, steps))
        )

    def near(self, conv: nn.Conv2d, moments: Moments | None, means: NDArray[np.float64]) -> bool:
        """The stored weights are as near to the layer's as their form allows; in float16 the ones that were chosen."""
        wanted, found = conv.weight.detach().numpy(), self._weights()
        if found.shape != wanted.shape:
            return False
        if self._writer is None:
            if self._dtype is np.float32:
                return self._close(found, wanted)
            return np.array_equal(found, halves(conv, moments, means).astype(np.float32))
        if self._writer.type == Storage.PALETTE6.operator:
            # No entry of the table is nearer to a weight than the one that was chosen.
            ordered = np.sort(self._of["lut"].astype(np.float32))
            above = np.searchsorted(ordered, wanted).clip(1, len(ordered) - 1)
            least = np.minimum(np.abs(wanted - ordered[above - 1]), np.abs(wanted - ordered[above]))
        else:
            least = self._of["scale"].astype(np.float32).reshape(-1, *[1] * (wanted.ndim - 1)) / 2
        return bool((np.abs(found - wanted) <= least + 2 * _slack(wanted)).all())

    def bias_near(self, conv: nn.Conv2d, means: NDArray[np.float64]) -> bool:
        """The stored bias is the layer's; corrected where weights are compressed or halved."""
        if self._bias is None or conv.bias is None:
            return False
        if self._writer is None and self._dtype is np.float32:
            return self._close(self._bias, conv.bias.detach().numpy())
        return self._close(self._bias, corrected_bias(conv, self._weights(), means))

    def _weights(self) -> NDArray[np.float32]:
        """What the convolution reads, OIHW."""
        if self._writer is None:
            plain: NDArray[np.float32] = self._plain.astype(np.float32)
            return plain
        if self._writer.type == Storage.PALETTE6.operator:
            table, shape = self._of["lut"].astype(np.float32), tuple(int(size) for size in self._of["shape"])
            places = unpack(self._of["indices"], int(np.log2(len(table))), int(np.prod(shape)))
            entries: NDArray[np.float32] = table[places].reshape(shape)
            return entries
        # The operator gives them in the type of its scales.
        return self.exact_weights().astype(self._dtype).astype(np.float32)

    def exact_weights(self) -> NDArray[np.float32]:
        """What is stored stands for, OIHW, before the operator rounds it to the type of its scales."""
        if self._writer is None or self._writer.type != Storage.INT8.operator:
            return self._weights()
        return dequantize_weights(self._of["quantized_data"], self._of["scale"].astype(np.float32), 0)

    def exact_bias(self) -> NDArray[np.float32]:
        """The stored bias, (out channels,)."""
        bias: NDArray[np.float32] = np.array(self._bias, np.float32)
        return bias

    def _is_palette(self, bits: int) -> bool:
        table, count = self._of["lut"], int(np.prod(self._of["shape"]))
        stated = (table.dtype, table.shape) == (self._dtype, (1 << bits,))
        return stated and len(self._of["indices"]) == -(-count * bits // 8)

    def _close(self, found: NDArray[Any], wanted: NDArray[np.float32]) -> bool:
        if found.shape != wanted.shape:
            return False
        if self._dtype is np.float32:
            return close(found, wanted)
        return bool((np.abs(found.astype(np.float32) - wanted) <= _slack(wanted)).all())


def _slack(wanted: NDArray[np.float32]) -> NDArray[np.float32]:
    """What rounding to float16 may change (weights are rounded before they are compressed)."""
    return (1.01 * _HALF * np.abs(wanted) + _LEAST).astype(np.float32)

"""What a package must be, checked on the written files before they get their name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.coreml_file import Operator, Program, read_program
from converters.coreml_recipe import INPUT, Output, Recipe
from converters.coreml_storage import Storage, convolution_storage
from converters.point_match import close
from edge_deeplab.errors import ConversionError
from edge_deeplab.quantization.affine import WEIGHT_MAX, dequantize_weights
from edge_deeplab.quantization.graph import Convolution, QuantizationGraph
from edge_deeplab.quantization.integers import layer_integers
from edge_deeplab.quantization.ranges import QuantRanges
from edge_deeplab.spec import ModelSpec, Precision

_PAIR = ("quantize", "dequantize")
_RECTIFIERS = frozenset({"clip", "relu", "relu6"})
_PIXEL = np.float32(1 / 255)
_HALF = 2.0**-10  # relative error of a float16, twice over: weights and what they are compared with


def check_package(
    package: Path, graph: QuantizationGraph, spec: ModelSpec, recipe: Recipe, ranges: QuantRanges | None
) -> None:
    """Read a package back, and compare it with the network that it was made of.

    Args:
        package: the .mlpackage.
        graph: the float network.
        spec: its sizes and classes.
        recipe: what was asked for.
        ranges: of the network; for W8A8 only.

    Raises:
        ConversionError: it is not what was asked for, or holds other numbers than the network and the ranges.
        ModelFileError: it cannot be read.
        MissingExtraError: coremltools is not installed.
    """
    program = read_program(package)
    _check_version(program, recipe)
    _check_ends(program, spec, recipe)
    first = _check_pixels(program)
    convolutions = [operator for operator in program.operators if operator.kind == "conv"]
    if len(convolutions) != len(graph.convolutions):
        raise ConversionError(
            f"the package has {len(convolutions)} convolutions, and the network {len(graph.convolutions)}"
        )
    storages = convolution_storage(graph, recipe)
    for operator, layer, storage in zip(convolutions, graph.convolutions, storages, strict=True):
        _check_weights(program, operator, layer, storage, graph, recipe, ranges)
        _check_bias(program, operator, layer, graph, recipe, ranges)
    pairs = [operator for operator in program.operators if operator.kind in _PAIR]
    if recipe.precision is not Precision.W8A8:
        if pairs:
            raise ConversionError(f"{recipe.target} has float activations, and the package quantizes {len(pairs) // 2}")
        return
    assert ranges is not None
    _Rounding(program, graph, ranges).check(first, convolutions)


def _check_version(program: Program, recipe: Recipe) -> None:
    found, wanted = program.specification.specificationVersion, recipe.deployment_target.specification_version
    # Opsets are counted by Core ML's own versions, one behind the specification's.
    if (found, program.opset) != (wanted, f"CoreML{wanted - 1}"):
        raise ConversionError(
            f"the package has specification version {found} ({program.opset}) instead of {wanted}, that of "
            f"{recipe.deployment_target}"
        )


def _check_ends(program: Program, spec: ModelSpec, recipe: Recipe) -> None:
    description = program.specification.description
    enumeration = description.input[0].type.imageType.DESCRIPTOR.fields_by_name["colorSpace"].enum_type

    def image(feature: Any) -> tuple[Any, ...] | None:
        if feature.type.WhichOneof("Type") != "imageType" or feature.type.imageType.WhichOneof("SizeFlexibility"):
            return None
        kind = feature.type.imageType
        return kind.height, kind.width, enumeration.values_by_number[kind.colorSpace].name

    found = [(feature.name, image(feature)) for feature in description.input]
    if found != [(INPUT, (spec.height, spec.width, "RGB"))]:
        raise ConversionError(
            f"the package takes {found} instead of one RGB image {spec.height} x {spec.width} called {INPUT!r}"
        )
    (result,) = description.output
    if recipe.output is Output.IMAGE:
        right = image(result) == (spec.height, spec.width, "GRAYSCALE")
    else:
        kind = result.type.multiArrayType
        right = (
            result.type.WhichOneof("Type") == "multiArrayType"
            and list(kind.shape) == [1, len(spec.classes), spec.height, spec.width]
            and kind.DESCRIPTOR.enum_types_by_name["ArrayDataType"].values_by_number[kind.dataType].name == "FLOAT32"
        )
    if not right or result.name != recipe.output.feature or program.outputs != (result.name,):
        raise ConversionError(f"the output {result.name!r} of the package is not the {recipe.output} of each pixel")


def _check_pixels(program: Program) -> str:
    """Pixels are multiplied by 1/255 in float32, nothing is added. Give the tensor that the network reads."""
    (scaling,) = program.readers(INPUT) or (None,)
    factor = None if scaling is None or scaling.kind != "mul" else _other_operand(program, scaling, INPUT)
    if scaling is None or factor is None or (factor.dtype, factor.shape, factor) != (np.float32, (), _PIXEL):
        raise ConversionError(f"the package multiplies its pixels by {factor} instead of 1/255")
    (tensor,) = scaling.outputs
    (reader, *others) = program.readers(tensor) or (None,)
    if reader is not None and reader.kind == "cast" and not others:
        (tensor,) = reader.outputs
    if {reader.kind for reader in program.readers(tensor)} - {"conv", "quantize"}:
        raise ConversionError("the package does more to its pixels than to multiply them by 1/255")
    return tensor


def _other_operand(program: Program, operator: Operator, tensor: str) -> Any:
    """The constant that an operator of two inputs joins with ``tensor``; None if there is none."""
    others = [name for parameter in ("x", "y") for name in operator.inputs.get(parameter, ()) if name != tensor]
    return program.constants.get(others[0]) if len(others) == 1 else None


def _check_weights(
    program: Program,
    operator: Operator,
    layer: Convolution,
    storage: Storage,
    graph: QuantizationGraph,
    recipe: Recipe,
    ranges: QuantRanges | None,
) -> None:
    (name,) = operator.inputs["weight"]
    weights = graph.conv(layer).weight.detach().numpy()
    dtype = np.float16 if recipe.half_precision else np.float32
    writer = program.writer(name)
    kind = "const" if writer is None else writer.kind
    if kind != storage.operator:
        raise ConversionError(f"the weights of {layer.name} are stored as {kind} instead of {storage.operator}")
    match storage:
        case Storage.FLOAT:
            found = program.constants.get(name)
            limit = _HALF * np.abs(weights) + 1e-7 if recipe.half_precision else None
            right = found is not None and found.dtype == dtype and _near(found, weights, limit)
        case Storage.INT8:
            assert writer is not None
            right = _right_integers(writer.constants, weights, layer, dtype, graph, ranges)
        case Storage.PALETTE:
            assert writer is not None
            assert recipe.lut_bits is not None
            right = _right_palette(writer.constants, weights, dtype, recipe.lut_bits)
    if not right:
        raise ConversionError(f"the weights of {layer.name} in the package are not the checkpoint's: convert again")


def _near(found: NDArray[Any], expected: NDArray[Any], limit: NDArray[Any] | None) -> bool:
    if found.shape != expected.shape:
        return False
    if limit is None:
        return close(found, expected)
    return bool((np.abs(found.astype(np.float32) - expected) <= limit).all())


def _right_integers(
    stored: Any,
    weights: NDArray[np.float32],
    layer: Convolution,
    dtype: type[np.floating],
    graph: QuantizationGraph,
    ranges: QuantRanges | None,
) -> bool:
    """Integers and scales are those of the ranges; without ranges, weights are within half a step of theirs."""
    integers, scales = stored["quantized_data"], stored["scale"]
    if (
        integers.dtype != np.int8
        or scales.dtype != dtype
        or scales.shape != (len(weights),)
        or stored["axis"] != 0
        or stored["zero_point"].any()
        or np.abs(integers.astype(np.int16)).max() > WEIGHT_MAX
    ):
        return False
    if ranges is not None:
        expected, steps, _, _ = layer_integers(graph, ranges, layer)
        return np.array_equal(integers, expected) and np.array_equal(scales, steps)
    single = scales.astype(np.float32)
    slack = _HALF * np.abs(weights) + 1e-7
    return _near(
        dequantize_weights(integers, single, 0), weights, 0.5 * single.reshape(-1, *[1] * (weights.ndim - 1)) + slack
    )


def _right_palette(stored: Any, weights: NDArray[np.float32], dtype: type[np.floating], bits: int) -> bool:
    """The table has its size, and no entry of it is nearer to a weight than the one that was chosen."""
    table = stored["lut"]
    if table.dtype != dtype or table.shape != (1 << bits,) or tuple(stored["shape"]) != weights.shape:
        return False
    unpacked = np.unpackbits(stored["indices"], bitorder="little")[: weights.size * bits]
    if unpacked.size != weights.size * bits:
        return False
    indices = unpacked.reshape(-1, bits) @ (1 << np.arange(bits))
    entries, flat = table.astype(np.float64), weights.reshape(-1).astype(np.float64)
    ordered = np.sort(entries)
    place = np.searchsorted(ordered, flat).clip(1, len(ordered) - 1)
    nearest = np.minimum(np.abs(flat - ordered[place - 1]), np.abs(flat - ordered[place]))
    return bool((np.abs(entries[indices] - flat) <= nearest + _HALF * np.abs(flat) + 1e-7).all())


def _check_bias(
    program: Program,
    operator: Operator,
    layer: Convolution,
    graph: QuantizationGraph,
    recipe: Recipe,
    ranges: QuantRanges | None,
) -> None:
    bias = graph.conv(layer).bias
    assert bias is not None
    expected = bias.detach().numpy()
    found = next((program.constants.get(name) for name in operator.inputs.get("bias", ())), None)
    if ranges is not None:
        _, _, integers, steps = layer_integers(graph, ranges, layer)
        right = found is not None and np.array_equal(found, dequantize_weights(integers, steps, 0))
    else:
        limit = _HALF * np.abs(expected) + 1e-7 if recipe.half_precision else None
        right = found is not None and _near(found, expected, limit)
    if not right:
        raise ConversionError(f"the bias of {layer.name} in the package is not the checkpoint's: convert again")


class _Rounding:
    """The pairs of a W8A8 program: which point each is, and what stands between them."""

    def __init__(self, program: Program, graph: QuantizationGraph, ranges: QuantRanges) -> None:
        self._program, self._graph, self._ranges = program, graph, ranges
        self._point: dict[str, str] = {}  # tensor that a quantize reads, or a dequantize writes, to its point

    def check(self, first: str, convolutions: Sequence[Operator]) -> None:
        """Args: first: the tensor of scaled pixels. convolutions: of the program, in the order of the network's."""
        self._check_pairs()
        if self._point.get(first) != self._graph.points[0].name:
            raise ConversionError("the package does not quantize its pixels first")
        for operator, layer in zip(convolutions, self._graph.convolutions, strict=True):
            ends = (self._point.get(operator.inputs["x"][0]), self._point.get(self._rectified(operator.outputs[0])))
            if ends != (layer.input, layer.output):
                raise ConversionError(
                    f"{layer.name} reads {ends[0]} and writes {ends[1]} in the package instead of {layer.input} and "
                    f"{layer.output}"
                )
        self._check_between()

    def _check_pairs(self) -> None:
        """Pairs come in the order of the points, and each has its point's scale and zero point to the last bit."""
        quantizing = [operator for operator in self._program.operators if operator.kind == "quantize"]
        if len(quantizing) != len(self._graph.points):
            raise ConversionError(
                f"the package quantizes {len(quantizing)} tensors, and the ranges have {len(self._graph.points)} points"
            )
        for operator, point in zip(quantizing, self._graph.points, strict=True):
            affine = self._ranges.activation(point.name).affine
            readers = self._program.readers(operator.outputs[0])
            if [reader.kind for reader in readers] != ["dequantize"]:
                raise ConversionError(f"{point.name} is not rounded by one pair in the package")
            for half in (operator, readers[0]):
                scale, zero_point = (self._parameter(half, name) for name in ("scale", "zero_point"))
                # coremltools leaves out a zero point of 0.
                zero_point = np.int8(0) if zero_point is None else zero_point
                if (
                    scale is None
                    or (scale.dtype, zero_point.dtype) != (np.float32, np.int8)
                    or (float(scale), int(zero_point)) != (affine.scale, affine.zero_point)
                ):
                    raise ConversionError(
                        f"{point.name} was written with scale {scale} and zero point {zero_point}, not {affine.scale} "
                        f"and {affine.zero_point}"
                    )
            self._point[operator.inputs["input"][0]] = point.name
            self._point[readers[0].outputs[0]] = point.name

    def _parameter(self, operator: Operator, name: str) -> Any:
        return next((self._program.constants.get(tensor) for tensor in operator.inputs.get(name, ())), None)

    def _rectified(self, tensor: str) -> str:
        """The tensor behind a rectifier that alone reads ``tensor``; else ``tensor``."""
        readers = self._program.readers(tensor)
        return readers[0].outputs[0] if len(readers) == 1 and readers[0].kind in _RECTIFIERS else tensor

    def _check_between(self) -> None:
        """No float island: what computes reads rounded tensors and writes one that is rounded."""
        outer = self._outer()
        for operator in self._program.operators:
            if operator.kind in (*_PAIR, *_RECTIFIERS) or operator.kind.startswith("constexpr_") or operator in outer:
                continue
            data = [name for names in operator.inputs.values() for name in names if self._program.writer(name)]
            computed = [name for name in data if not self._is_stored(name)]
            if any(name not in self._point for name in computed):
                raise ConversionError(f"the {operator.kind} {operator.outputs[0]} reads a float tensor in the package")
            if self._rectified(operator.outputs[0]) not in self._point:
                raise ConversionError(f"the {operator.kind} {operator.outputs[0]} writes a float tensor in the package")

    def _outer(self) -> list[Operator]:
        """The scaling of the pixels and of a grey image: in float, outside of the pairs."""
        last = self._graph.points[-1].name
        return [
            operator
            for operator in self._program.operators
            if operator.kind == "mul"
            and (INPUT in operator.inputs["x"] or self._point.get(operator.inputs["x"][0]) == last)
        ]

    def _is_stored(self, tensor: str) -> bool:
        writer = self._program.writer(tensor)
        return writer is not None and writer.kind.startswith("constexpr_")

"""Deliberate faults in the Core ML packages: parity fails, or the converter refuses before the package has a name."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters import coreml
from converters.coreml_recipe import Recipe
from converters.palette import Palette
from edge_deeplab.artifact import Artifact
from edge_deeplab.errors import ConversionError
from edge_deeplab.evaluation.parity import ParityRow
from edge_deeplab.quantization.ranges import QuantRanges
from edge_deeplab.runtime.coreml.package import load_model, model_file
from edge_deeplab.runtime.coreml.protobuf import messages
from edge_deeplab.runtime.coreml.tensor_types import unpack
from edge_deeplab.spec import Format, IoType, Precision, Target

pytestmark = pytest.mark.convert

ALL = [target for target in Target.all() if target.format is Format.COREML]
PALETTES = [target for target in ALL if target.precision in (Precision.PALETTIZED6, Precision.PALETTIZED4)]
INTEGER_WEIGHTS = [target for target in ALL if target.quantized]
W8A8 = Target.parse("coreml-w8a8")
FLOAT16_PACKAGE = Target.parse("coreml-float16")
REFUSALS = (
    "differs from PyTorch|weights|computes something else|was written with|takes .* instead|multiplies its pixels"
)
WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"
INT8, FLOAT16, FLOAT32 = 21, 10, 11  # MIL.proto's numbers of the element types
DTYPES = {INT8: np.int8, FLOAT16: np.float16, FLOAT32: np.float32, 31: np.uint8}


class Package:
    """A package, opened to be changed: its protobuf and its weight file."""

    def __init__(self, path: Path) -> None:
        self._place, self._weights = model_file(path), path / WEIGHTS
        self.model = load_model(self._place)
        self._blob = bytearray(self._weights.read_bytes())
        (function,) = self.model.mlProgram.functions.values()
        (block,) = function.block_specializations.values()
        self.operations = list(block.operations)
        self._writers = {operation.outputs[0].name: operation for operation in self.operations}

    def of(self, kind: str) -> list[Any]:
        return [operation for operation in self.operations if operation.type == kind]

    def given(self, operation: Any, parameter: str) -> Any:
        """The operator that gives an operator's parameter."""
        return self._writers[operation.inputs[parameter].arguments[0].name]

    def constant(self, operation: Any, parameter: str) -> Any:
        return self.given(operation, parameter).attributes["val"].immediateValue.tensor

    def values(self, value: Any) -> np.ndarray:
        """A constant in its own shape, from the protobuf or from the weight file."""
        shape = [dimension.constant.size for dimension in value.type.tensorType.dimensions]
        dtype = DTYPES[value.type.tensorType.dataType]
        if value.WhichOneof("value") == "blobFileValue":
            start = self._start(value)
            size = int(np.prod(shape, dtype=int)) * np.dtype(dtype).itemsize
            content = bytes(self._blob[start : start + size])
        else:
            content = value.immediateValue.tensor.bytes.values
        return np.frombuffer(content, dtype).reshape(shape)

    def rewrite(self, value: Any, change: Callable[[np.ndarray], np.ndarray]) -> None:
        before = self.values(value)
        content = np.ascontiguousarray(change(before), before.dtype).tobytes()
        assert len(content) == before.nbytes
        if value.WhichOneof("value") == "blobFileValue":
            start = self._start(value)
            self._blob[start : start + len(content)] = content
        else:
            value.immediateValue.tensor.bytes.values = content

    def _start(self, value: Any) -> int:
        return int.from_bytes(self._blob[value.blobFileValue.offset + 16 :][:8], "little")

    def save(self) -> None:
        self._place.write_bytes(self.model.SerializeToString(deterministic=True))
        self._weights.write_bytes(self._blob)

    def parts(self) -> dict[str, Any]:
        """Every operator with the numbers that it holds in the weight file, and the description."""
        parts = {"description": self.model.description.SerializeToString(deterministic=True)}
        for operation in self.operations:
            held = [
                self.values(value).tobytes()
                for _, value in sorted(operation.attributes.items())
                if value.WhichOneof("value") == "blobFileValue"
            ]
            parts[operation.outputs[0].name] = (operation.SerializeToString(deterministic=True), *held)
        return parts


Fault = Callable[[Package], None]


def stored(package: Package, conv: Any) -> Any:
    """The weights of a convolution as they are stored: plain or integer values."""
    attributes = package.given(conv, "weight").attributes
    return attributes["quantized_data" if "quantized_data" in attributes else "val"]


def transposed_weight(package: Package) -> None:
    """Of a square 1x1 convolution: no shape tells it."""
    for conv in package.of("conv"):
        sizes = package.given(conv, "weight").outputs[0].type.tensorType.dimensions
        rows, columns, *kernel = (size.constant.size for size in sizes)
        if rows == columns and kernel == [1, 1]:
            package.rewrite(stored(package, conv), lambda values: values.transpose(1, 0, 2, 3))


def rounded_alone(package: Package) -> None:
    """One weight takes its other neighbour in float16."""
    conv = package.of("conv")[len(package.of("conv")) // 2]

    def turn(values: np.ndarray) -> np.ndarray:
        turned = values.copy()
        turned.flat[0] = np.nextafter(turned.flat[0], np.float16(np.inf))
        return turned

    package.rewrite(stored(package, conv), turn)


def transposed_palette(package: Package) -> None:
    """The indices of a palettized convolution in the order of the transposed matrix."""
    attributes = package.of("constexpr_lut_to_dense")[-1].attributes
    table = package.values(attributes["lut"])
    rows, columns, *_ = np.frombuffer(attributes["shape"].immediateValue.tensor.bytes.values, np.uint32)
    bits = int(np.log2(len(table)))

    def transpose(packed: np.ndarray) -> np.ndarray:
        indices = unpack(packed, bits, int(rows * columns)).reshape(rows, columns)
        return Palette(table, np.ascontiguousarray(indices.T), bits).packed()

    package.rewrite(attributes["indices"], transpose)


def blue_first(package: Package) -> None:
    package.rewrite(stored(package, package.of("conv")[0]), lambda values: values[:, ::-1])


def blue_first_described(package: Package) -> None:
    """A phone would hand over its pictures with blue first."""
    image = package.model.description.input[0].type.imageType
    image.colorSpace = messages().FeatureTypes_pb2.ImageFeatureType.BGR


def align_corners(package: Package) -> None:
    """The last resize, that of the logits, takes its samples elsewhere."""
    constant = package.constant(package.of("upsample_bilinear")[-1], "align_corners")
    assert list(constant.bools.values) == [False]
    constant.bools.values[0] = True


def corner_pixels(package: Package) -> None:
    """Pixels lie at their upper left corners instead of their centres: another operator's default."""
    resize = package.of("upsample_bilinear")[-1]
    resize.type = "resize_bilinear"
    for name in ("scale_factor_height", "scale_factor_width", "align_corners"):
        del resize.inputs[name]
    *_, height, width = (size.constant.size for size in resize.outputs[0].type.tensorType.dimensions)
    for name, size in (("target_size_height", height), ("target_size_width", width)):
        resize.attributes[name].type.tensorType.dataType = 23  # INT32
        resize.attributes[name].immediateValue.tensor.ints.values.append(size)


def pixels_over_256(package: Package) -> None:
    (scaling,) = [mul for mul in package.of("mul") if mul.inputs["x"].arguments[0].name == "image"]
    package.constant(scaling, "y").floats.values[0] *= 255 / 256


def uncapped(package: Package) -> None:
    """The second rectifier has lost its upper bound; the first one's input stays below it."""
    clip = package.of("clip")[1]
    clip.type = "relu"
    for name in ("alpha", "beta"):
        del clip.inputs[name]


def weight_zero_point(package: Package) -> None:
    """Of one layer in the middle."""
    value = package.of("constexpr_affine_dequantize")[30].attributes["zero_point"]
    package.rewrite(value, lambda values: values + 4)


def shift(package: Package, operation: Any) -> None:
    if "zero_point" in operation.inputs:
        value = package.given(operation, "zero_point").attributes["val"]
        package.rewrite(value, lambda values: values + 4)
    else:
        raise AssertionError("this pair has a zero point of 0, which is left out")


def input_zero_point(package: Package) -> None:
    for kind in ("quantize", "dequantize"):
        shift(package, package.of(kind)[0])


def zero_point(package: Package) -> None:
    """Of both halves of a pair: the range is shifted, and only what lies beyond its end is changed."""
    for kind in ("quantize", "dequantize"):
        shift(package, package.of(kind)[13])


def zero_point_of_one_half(package: Package) -> None:
    """The integers are read with another zero point than they were written with."""
    shift(package, package.of("dequantize")[13])


EVERYWHERE: tuple[Fault, ...] = (
    transposed_weight,
    blue_first,
    blue_first_described,
    align_corners,
    corner_pixels,
    pixels_over_256,
)
FAULTS = [
    *((target, fault) for target in ALL for fault in EVERYWHERE),
    # No range of W8A8 ends above 6 by more than a rounding, so that the rounding caps what a rectifier leaves uncapped.
    *((target, uncapped) for target in ALL if target != W8A8),
    *((target, transposed_palette) for target in PALETTES),
    *((target, weight_zero_point) for target in INTEGER_WEIGHTS),
    *((W8A8, fault) for fault in (input_zero_point, zero_point, zero_point_of_one_half)),
    (FLOAT16_PACKAGE, rounded_alone),
]
# What little these change is within what weights of few bits, or integers, or the roundings of float16 may lose. The
# converter compares the numbers themselves, and what the package computes with what the network computes from the same
# weights.
SEEN_BY_THE_CONVERTER_ALONE = [
    *((target, pixels_over_256) for target in INTEGER_WEIGHTS),
    *((target, uncapped) for target in INTEGER_WEIGHTS),
    *((target, weight_zero_point) for target in INTEGER_WEIGHTS),
    *((W8A8, fault) for fault in (input_zero_point, zero_point, zero_point_of_one_half)),
    (FLOAT16_PACKAGE, rounded_alone),
]


def spoil(package: Path, copy: Path, fault: Fault) -> Path:
    """A copy of the package with a fault in it."""
    shutil.copytree(package, copy)
    opened = Package(copy)
    fault(opened)
    opened.save()
    return copy


def differing(package: Path, spoilt: Path) -> list[str]:
    """The operators, or the description, in which two packages differ, read from their files."""
    whole, other = Package(package).parts(), Package(spoilt).parts()
    return sorted(name for name in whole.keys() | other.keys() if whole.get(name) != other.get(name))


def named(value: object) -> str:
    return value.__name__ if callable(value) else str(value)


@pytest.mark.parametrize(
    ("target", "fault"), [one for one in FAULTS if one not in SEEN_BY_THE_CONVERTER_ALONE], ids=named
)
def test_parity_fails(
    target: Target,
    fault: Fault,
    converted: Mapping[tuple[Target, IoType], Artifact],
    judge: Callable[[Path, Target], ParityRow],
    tmp_path: Path,
) -> None:
    package = converted[target, IoType.FLOAT32].path
    spoilt = spoil(package, tmp_path / "spoilt.mlpackage", fault)
    assert 1 <= len(differing(package, spoilt)) <= 2  # the two halves of a pair
    assert not judge(spoilt, target).passed


@pytest.mark.parametrize(("target", "fault"), FAULTS, ids=named)
def test_the_converter_refuses(
    target: Target,
    fault: Fault,
    converted: Mapping[tuple[Target, IoType], Artifact],
    small_checkpoint: Path,
    observed: QuantRanges,
    tmp_path: Path,
) -> None:
    """The fault sits in what coremltools gave."""
    spoilt = spoil(converted[target, IoType.FLOAT32].path, tmp_path / "spoilt.mlpackage", fault)
    ranges = observed if target.integer_activations else None
    with pytest.raises(ConversionError, match=REFUSALS):
        coreml.convert(
            small_checkpoint, tmp_path / "out.mlpackage", Recipe.of(target.precision), ranges, package=spoilt
        )
    assert list(tmp_path.iterdir()) == [spoilt]

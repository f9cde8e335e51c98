"""Deliberate faults in the ONNX files: parity fails, or the converter refuses before the file has a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from converters import onnx as float_converter
from converters import onnx_qdq
from edge_deeplab.artifact import Artifact
from edge_deeplab.errors import ConversionError
from edge_deeplab.evaluation.parity import ParityRow
from edge_deeplab.quantization.ranges import QuantRanges
from edge_deeplab.spec import IoType, Target

pytestmark = pytest.mark.convert

FLOAT, INTEGERS = Target.parse("onnx"), Target.parse("onnx-qdq")
REFUSALS = "differs from PyTorch|not those of|computes something else|was written with"
POINT = "backbone.blocks.4.expand"

Fault = Callable[[Any], None]


def nodes(model: Any, kind: str) -> list[Any]:
    return [node for node in model.graph.node if node.op_type == kind]


def stored(model: Any, name: str) -> Any:
    """The initializer behind an input of an operator; the integers of one that is dequantized."""
    for node in nodes(model, "DequantizeLinear"):
        if name in node.output:
            name = node.input[0]
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def rewrite(model: Any, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    tensor = stored(model, name)
    values = numpy_helper.to_array(tensor)
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(change(values), values.dtype), tensor.name))


def transposed_weight(model: Any) -> None:
    """Of a square 1x1 convolution: no shape tells it."""
    for conv in nodes(model, "Conv"):
        rows, columns, *kernel = stored(model, conv.input[1]).dims
        if rows == columns and kernel == [1, 1]:
            rewrite(model, conv.input[1], lambda values: values.transpose(1, 0, 2, 3))


def blue_first(model: Any) -> None:
    rewrite(model, nodes(model, "Conv")[0].input[1], lambda values: values[:, ::-1])


def resized(model: Any, mode: bytes) -> None:
    """The last resize, that of the logits, takes its samples elsewhere."""
    (attribute,) = [one for one in nodes(model, "Resize")[-1].attribute if one.name == "coordinate_transformation_mode"]
    assert attribute.s == b"half_pixel"
    attribute.s = mode


def align_corners(model: Any) -> None:
    resized(model, b"align_corners")


def corner_pixels(model: Any) -> None:
    """Pixels lie at their upper left corners instead of their centres."""
    resized(model, b"asymmetric")


def pixels_over_256(model: Any) -> None:
    """The picture is scaled outside of the float file: as the first layer would have it."""
    rewrite(model, nodes(model, "Conv")[0].input[1], lambda values: values * np.float32(255 / 256))


def uncapped(model: Any) -> None:
    """The second rectifier has lost its upper bound; the first one's input stays below it."""
    clip = nodes(model, "Clip")[1]
    clip.op_type = "Relu"
    del clip.input[1:]


def input_scale(model: Any) -> None:
    rewrite(model, "input.scale", lambda scale: scale * 255 / 256)


def input_zero_point(model: Any) -> None:
    rewrite(model, "input.zero_point", lambda value: value + 4)


def zero_point(model: Any) -> None:
    """Of both halves of a pair: the range is shifted, and only what lies beyond its end is changed."""
    rewrite(model, f"{POINT}.zero_point", lambda value: value + 4)


def zero_point_of_one_half(model: Any) -> None:
    """The integers are read with another zero point than they were written with."""
    (half,) = [node for node in nodes(model, "DequantizeLinear") if node.input[2] == f"{POINT}.zero_point"]
    value = numpy_helper.to_array(stored(model, half.input[2]))
    model.graph.initializer.append(numpy_helper.from_array(np.uint8(value + 4), "spoilt"))
    half.input[2] = "spoilt"


BOTH: tuple[Fault, ...] = (transposed_weight, blue_first, align_corners, corner_pixels)
SEEN_BY_PARITY = [(FLOAT, fault) for fault in (*BOTH, pixels_over_256, uncapped)] + [
    (INTEGERS, fault) for fault in BOTH
]
# A pair whose halves agree shifts its range by a hundredth, and a single layer of sixty that is off by four steps of
# 256 is within what int8 may lose. The converter compares the numbers themselves.
SEEN_BY_THE_CONVERTER_ALONE = [
    (INTEGERS, fault) for fault in (input_scale, input_zero_point, zero_point, zero_point_of_one_half)
]


def spoil(content: bytes, fault: Fault) -> bytes:
    """The file with a fault in it."""
    model = onnx.load_from_string(content)
    fault(model)
    spoilt: bytes = model.SerializeToString(deterministic=True)
    return spoilt


def differing(content: bytes, spoilt: bytes) -> list[str]:
    """The operators and constants in which two files differ, read from their bytes."""
    parts = []
    for data in (content, spoilt):
        graph = onnx.load_from_string(data).graph
        parts.append({part.name: part.SerializeToString() for part in graph.initializer})
        parts[-1] |= {" ".join(part.output): part.SerializeToString() for part in graph.node}
    whole, other = parts
    return sorted(name for name in whole.keys() | other.keys() if whole.get(name) != other.get(name))


def named(value: object) -> str:
    return value.__name__ if callable(value) else str(value)


@pytest.mark.parametrize(("target", "fault"), SEEN_BY_PARITY, ids=named)
def test_parity_fails(
    target: Target,
    fault: Fault,
    converted: Mapping[tuple[Target, IoType], Artifact],
    judge: Callable[[Path, Target], ParityRow],
    tmp_path: Path,
) -> None:
    content = converted[target, IoType.UINT8].path.read_bytes()
    path = tmp_path / "spoilt.onnx"
    path.write_bytes(spoil(content, fault))
    assert 1 <= len(differing(content, path.read_bytes())) <= 2
    assert not judge(path, target).passed


@pytest.mark.parametrize(("target", "fault"), [*SEEN_BY_PARITY, *SEEN_BY_THE_CONVERTER_ALONE], ids=named)
def test_the_converter_refuses(
    target: Target,
    fault: Fault,
    small_checkpoint: Path,
    small_onnx: bytes,
    observed: QuantRanges,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The fault sits in what the exporter gave, or in what the converter's own writer gives."""
    out = tmp_path / "out.onnx"
    if target == FLOAT:
        convert = partial(float_converter.convert, small_checkpoint, out, exported=spoil(small_onnx, fault))
    else:
        write = onnx_qdq.quantize_model
        monkeypatch.setattr(onnx_qdq, "quantize_model", lambda *given: spoil(write(*given), fault))
        convert = partial(onnx_qdq.convert, small_checkpoint, out, observed, exported=small_onnx)
    with pytest.raises(ConversionError, match=REFUSALS):
        convert()
    assert list(tmp_path.iterdir()) == []

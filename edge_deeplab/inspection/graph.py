"""A model file's graph in the terms that every format shares, and what can be counted in it."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

Shape = tuple[int | str, ...]  # a word stands for a size that is known only when the model runs


class Arithmetic(StrEnum):
    """What an operator computes with.

    INTEGER: integers that stand for real numbers by a scale. FLOAT: floating point. HYBRID: integer weights and float
    activations (dynamic range). CONVERSION: it only goes from one of these to another, or to another scale. OTHER: the
    arithmetic of shapes, indices and conditions, and what depends on constants alone.
    """

    INTEGER = "integer"
    FLOAT = "float"
    HYBRID = "hybrid"
    CONVERSION = "conversion"
    OTHER = "other"


@dataclass(frozen=True)
class Parameters:
    """Affine quantization of a tensor: real = scale * (integer - zero point).

    Attributes:
        scales: one, or one for each channel.
        zero_points: as many.
        axis: the channels' axis where there are several; None for one scale.
    """

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int | None

    def limits(self, type_: str) -> tuple[float, float] | None:
        """The least and the greatest real number that an integer of ``type_`` can stand for, over all channels.

        None for int32 (biases, whose range is of no interest) and for what is no integer.
        """
        bits = bits_of(type_)
        if not re.fullmatch(r"u?int\d+", type_) or bits > 16:
            return None
        least = 0 if type_.startswith("u") else -(1 << (bits - 1))
        pairs = list(zip(self.scales, self.zero_points, strict=True))
        return (
            min((least - point) * scale for scale, point in pairs),
            max((least + (1 << bits) - 1 - point) * scale for scale, point in pairs),
        )


@dataclass(frozen=True)
class Value:
    """A tensor.

    Attributes:
        name: its name in the file.
        type: numpy's word for its elements: "float32", "int8", ...
        shape: its sizes; None where the file does not tell.
        constant: its values lie in the file.
        stored: bytes that it takes there; 0 if it is computed, or shares the bytes of a tensor that was counted.
        parameters: its quantization, if it has one.
    """

    name: str
    type: str
    shape: Shape | None
    constant: bool
    stored: int
    parameters: Parameters | None = None


@dataclass(frozen=True)
class Node:
    """An operator.

    Attributes:
        operator: its kind, in the format's word.
        inputs: the values that it reads, as places in the graph's list.
        outputs: the values that it computes, likewise.
        arithmetic: what it computes with.
        multiply_adds: for one run; 0 where it multiplies no matrices; None: they are not known.
        custom: it is none of the format's own operators.
    """

    operator: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    arithmetic: Arithmetic
    multiply_adds: int | None = 0
    custom: bool = False


@dataclass(frozen=True)
class Graph:
    """The operators of a file in the order of execution.

    Attributes:
        values: every tensor.
        inputs: places of the inputs in it.
        outputs: places of the outputs.
        nodes: the operators.
        simulated: quantization is written as pairs of QuantizeLinear and DequantizeLinear around float operators
            (QDQ), which the runtime is to fuse.
    """

    values: tuple[Value, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    nodes: tuple[Node, ...]
    simulated: bool = False


def bits_of(type_: str) -> int:
    """Bits of one element: 32 of "float32", 8 of "bool"; 0 where it has no fixed size (text)."""
    digits = re.search(r"\d+", type_)
    if digits is not None:
        return int(digits[0])
    return 8 if type_ == "bool" else 0


def is_float(type_: str) -> bool:
    """The elements are floating-point numbers."""
    return type_.startswith(("float", "bfloat"))


def elements(shape: Shape | None) -> int | None:
    """How many elements a tensor has; None where that is known only when the model runs."""
    if shape is None:
        return None
    sizes = [size for size in shape if isinstance(size, int) and size >= 0]
    return math.prod(sizes) if len(sizes) == len(shape) else None


def tensor_bytes(type_: str, shape: Shape | None) -> int | None:
    """What a tensor takes, elements of 4 bits packed; None where that is known only when the model runs."""
    count = elements(shape)
    return None if count is None else (count * bits_of(type_) + 7) // 8


def affine_parameters(scales: Sequence[float], zero_points: Sequence[int], axis: int) -> Parameters:
    """Parameters with a zero point for each scale; some writers leave out zeros, or write one for all channels."""
    many = len(scales)
    points = tuple(zero_points) if len(zero_points) == many else (*zero_points, 0)[:1] * many
    return Parameters(tuple(scales), points, axis if many > 1 else None)


def multiply_adds(over: Shape | None, kernel: Shape | None, channels: int) -> int | None:
    """Multiply-adds of one convolution or matrix product, borders counted as if they were filled with pixels.

    Args:
        over: the output's shape; of a transposed convolution the input's.
        kernel: the weights' shape, in any order of its axes.
        channels: which of them is the channel of ``over``: each of its elements meets all weights of its channel.
    """
    count, weights = elements(over), elements(kernel)
    if count is None or weights is None or kernel is None:
        return None
    size = kernel[channels]
    return count * weights // size if isinstance(size, int) and size > 0 else None


def product_multiply_adds(left: Shape | None, output: Shape | None) -> int | None:
    """Multiply-adds of a product of two computed matrices, (..., M, K) x (..., K, N) -> (..., M, N)."""
    count, factors = elements(output), elements(left)
    if count is None or factors is None or left is None or output is None or min(len(left), len(output)) < 2:
        return None
    rows, outer = output[-2], elements(left[:-2])
    if not isinstance(rows, int) or not outer or rows == 0:
        return None
    return count * (factors // (outer * rows))


def derived_from_constants(nodes: Sequence[tuple[Sequence[int], Sequence[int]]], constants: set[int]) -> set[int]:
    """The values that do not depend on the model's input: ``constants``, and what is computed from them alone.

    Args:
        nodes: (inputs, outputs) of each operator, in the order of execution.
        constants: places of the values that lie in the file.
    """
    derived = set(constants)
    for inputs, outputs in nodes:
        if inputs and derived.issuperset(inputs):
            derived.update(outputs)
    return derived


def weight_bytes(graph: Graph) -> Mapping[str, int]:
    """Bytes of the constants by the type of their elements, the largest share first."""
    counted: Counter[str] = Counter()
    for value in graph.values:
        if value.constant and value.stored:
            counted[value.type] += value.stored
    return dict(counted.most_common())


def peak_activation_bytes(graph: Graph) -> int | None:
    """The greatest sum of the tensors that live at the same time, in the order of the file.

    A tensor lives from the operator that computes it (an input: from the start) to the last that reads it (an output:
    to the end). Constants, and what is computed from them alone, do not count. A runtime may need less, where it
    computes in place, or more, for its own scratch memory.

    Returns:
        bytes; None where a tensor's size is known only when the model runs.
    """
    constants = {place for place, value in enumerate(graph.values) if value.constant}
    fixed = derived_from_constants([(node.inputs, node.outputs) for node in graph.nodes], constants)
    last = len(graph.nodes)
    born = dict.fromkeys(graph.inputs, 0)
    died = dict.fromkeys(graph.inputs, 0)
    for step, node in enumerate(graph.nodes):
        for place in node.outputs:
            born[place] = died[place] = step
        for place in node.inputs:
            died[place] = step
    died |= dict.fromkeys(graph.outputs, last)
    change: Counter[int] = Counter()
    for place, step in born.items():
        if place in fixed:
            continue
        value = graph.values[place]
        size = tensor_bytes(value.type, value.shape)
        if size is None:
            return None
        change[step] += size
        change[died[place] + 1] -= size
    living = peak = 0
    for step in sorted(change):
        living += change[step]
        peak = max(peak, living)
    return peak

"""What is inside a model file: the one type that every reader gives, and that the tables and the JSON show."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edge_deeplab.inspection.graph import Arithmetic, Shape
from edge_deeplab.inspection.verdict import Kind
from edge_deeplab.runtime.litert import Delegation


@dataclass(frozen=True)
class ModelFile:
    """The file itself.

    Attributes:
        name: without its folder.
        format: "TFLite", "ONNX", "checkpoint".
        size: bytes.
        sha256: of its content.
    """

    name: str
    format: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Port:
    """An input or output.

    Attributes:
        name: its name in the file.
        type: numpy's word for its elements.
        shape: its sizes, None where the file does not tell.
        layout: "NHWC" or "NCHW" for what looks like a picture; else "".
        scale: of a quantized one.
        zero_point: likewise.
        meaning: which real numbers it holds, as far as that is known.
    """

    name: str
    type: str
    shape: Shape | None
    layout: str
    scale: float | None
    zero_point: int | None
    meaning: str


@dataclass(frozen=True)
class OperatorRow:
    """All operators of one kind.

    Attributes:
        operator: the kind, in the format's word.
        count: how many.
        arithmetic: how many of them compute with what.
        multiply_adds: of all of them; None: not known.
        custom: none of the format's own operators.
    """

    operator: str
    count: int
    arithmetic: Mapping[Arithmetic, int]
    multiply_adds: int | None
    custom: bool


@dataclass(frozen=True)
class QuantizedTensor:
    """A tensor with quantization parameters.

    Attributes:
        name: its name in the file; of a checkpoint's ranges, the point's or the layer's.
        type: the integers' type.
        shape: its sizes, None where the file does not tell.
        constant: a weight or bias instead of an activation.
        scales: one, or one for each channel.
        zero_points: as many.
        axis: the channels' axis; None for one scale.
        low: the least real number that its integers can stand for, over all channels; None for biases.
        high: the greatest.
        origin: where the numbers come from, where that is known.
    """

    name: str
    type: str
    shape: Shape | None
    constant: bool
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int | None
    low: float | None
    high: float | None
    origin: str = ""


@dataclass(frozen=True)
class Sidecar:
    """What the JSON beside a converted file says.

    Attributes:
        target: "tflite-int8", ...
        io: element type of input and output.
        network: the network and its input size, in words.
        classes: the output's channels.
        checkpoint_sha256: of the checkpoint that the file was made from.
        fits: it speaks of this very file (the hash is the file's).
        broken_promise: what the target promises and the file does not hold; "" if all is well.
    """

    target: str
    io: str
    network: str
    classes: tuple[str, ...]
    checkpoint_sha256: str
    fits: bool
    broken_promise: str


@dataclass(frozen=True)
class Execution:
    """What LiteRT does with a file.

    Attributes:
        runtime: with its version.
        delegation: what XNNPACK executes of it; None: that was not to be found out.
        problem: why LiteRT, or XNNPACK, does not execute the file; "" if it does.
    """

    runtime: str
    delegation: Delegation | None
    problem: str = ""


@dataclass(frozen=True)
class ModelSummary:
    """Everything that is known of a model file without running it on a picture.

    Attributes:
        file: the file.
        kind: what it computes with; None for a checkpoint.
        verdict: the same as a sentence.
        inputs: what it takes.
        outputs: what it gives.
        operators: a row for each kind, the most multiply-adds first; empty for a checkpoint.
        multiply_adds: of one run, as far as they are known.
        parameters: trained numbers; None where weights and other constants cannot be told apart.
        tensors: how many there are.
        weights: bytes of the constants by type.
        activation_bytes: the greatest sum of the tensors that live at the same time; None: not known.
        quantized: the tensors with quantization parameters.
        facts: what else the file says of itself, plain JSON under the words for it.
        notes: what the reader of the numbers above should know.
        sidecar: what the JSON beside it says; None if there is none.
        execution: what LiteRT does with it; None for other formats.
    """

    file: ModelFile
    kind: Kind | None
    verdict: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    operators: tuple[OperatorRow, ...]
    multiply_adds: int
    parameters: int | None
    tensors: int
    weights: Mapping[str, int]
    activation_bytes: int | None
    quantized: tuple[QuantizedTensor, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    sidecar: Sidecar | None = None
    execution: Execution | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return dataclasses.asdict(self)

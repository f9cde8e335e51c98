"""The shipped network with other ends, as people publish theirs: real TFLite files, and what they must answer."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from converters.tflite_schema import new_buffer, op_index, op_name, read_model, write_model
from edge_deeplab.data.bundled import bundled_portrait
from edge_deeplab.image import resize_area
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.weights import shipped_model

Edit = Callable[["Sketch"], None]


@pytest.fixture(scope="session")
def photo_pixels() -> NDArray[np.uint8]:
    """The bundled portrait at the network's size."""
    return resize_area(bundled_portrait(), 256, 256)


@pytest.fixture(scope="session")
def expected(photo_pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the shipped file answers, opened by its own contract: float32, 256x256x1, in steps of 1/256."""
    with open_session(shipped_model(), threads=1) as session:
        return session.run(photo_pixels)


@pytest.fixture
def published(tmp_path: Path) -> Callable[..., Path]:
    """The shipped network after some edits, as a file without a sidecar."""

    def write(*edits: Edit, labels: tuple[str, ...] = (), normalization: tuple[float, float] | None = None) -> Path:
        sketch = Sketch(read_model(shipped_model().read_bytes()))
        for edit in edits:
            edit(sketch)
        archive = b""
        if labels or normalization:
            archive = sketch.describe(labels, normalization)
        path = tmp_path / f"published-{len(list(tmp_path.iterdir()))}.tflite"
        path.write_bytes(write_model(sketch.model) + archive)
        return path

    return write


class Sketch:
    """The shipped model, with operators put before its input and behind its output."""

    def __init__(self, model: Any) -> None:
        self.model, self.graph = model, model.subgraphs[0]
        self._before = 0
        self.model.metadata = None

    def tensor(self, like: int, type_: str, channels: int | None = None) -> int:
        """A new tensor with the sizes of another."""
        tensor = schema.TensorT()
        tensor.name, tensor.type = f"new_{len(self.graph.tensors)}", getattr(schema.TensorType, type_)
        shape = list(self.graph.tensors[like].shape)
        tensor.shape = shape if channels is None else [*shape[:3], channels]
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def constant(self, values: NDArray[Any]) -> int:
        """A new constant, float32 or int32."""
        tensor = schema.TensorT()
        tensor.name, tensor.shape = f"constant_{len(self.graph.tensors)}", list(values.shape)
        tensor.type = getattr(schema.TensorType, values.dtype.name.upper())
        tensor.buffer = new_buffer(self.model, values)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(self, name: str, inputs: list[int], output: int, options: Any = None, version: int = 1) -> Any:
        """A new operator, not yet in the graph."""
        operator = schema.OperatorT()
        operator.opcodeIndex = op_index(self.model, name, version)
        operator.inputs, operator.outputs = inputs, [output]
        if options is not None:
            kind = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType, operator.builtinOptions = getattr(schema.BuiltinOptions, kind), options
        return operator

    def float_before(self, low: float, high: float, *, reverse: bool = False) -> None:
        """A float input that takes low to high, and blue first on request."""
        old = int(self.graph.inputs[0])
        image = source = self.tensor(old, "FLOAT32")
        steps = []
        if reverse:
            mirrored = self.tensor(old, "FLOAT32")
            axis = self.constant(np.array([3], np.int32))
            steps.append(self.operator("REVERSE_V2", [source, axis], mirrored))
            source = mirrored
        scaled, shifted = self.tensor(old, "FLOAT32"), self.tensor(old, "FLOAT32")
        factor, offset = (self.constant(np.array([v], np.float32)) for v in (1 / (high - low), -low / (high - low)))
        steps.append(self.operator("MUL", [source, factor], scaled))
        steps.append(self.operator("ADD", [scaled, offset], shifted))
        steps.append(self.operator("QUANTIZE", [shifted], old))
        self._prepend(steps, image)

    def integer_before(self, type_: str, scale: float, zero_point: int) -> None:
        """An integer input before the float one."""
        old = int(self.graph.inputs[0])
        image = self.tensor(old, type_)
        quantization = schema.QuantizationParametersT()
        quantization.scale, quantization.zeroPoint = [scale], [zero_point]
        self.graph.tensors[image].quantization = quantization
        self._prepend([self.operator("DEQUANTIZE", [image], old, version=2)], image)

    def cut_the_sigmoid(self) -> int:
        """Make the float logit the output, (1, 256, 256, 1)."""
        operators = list(self.graph.operators)
        place, sigmoid = next((i, op) for i, op in enumerate(operators) if op_name(self.model, op) == "LOGISTIC")
        self.graph.operators = operators[:place]
        return self.append("DEQUANTIZE", [int(sigmoid.inputs[0])], version=2)

    def append(
        self,
        name: str,
        inputs: list[int],
        *,
        channels: int | None = None,
        type_: str = "FLOAT32",
        shape: tuple[int, ...] | None = None,
        options: Any = None,
        version: int = 1,
    ) -> int:
        """One more operator at the end, whose result is the output."""
        result = self.tensor(inputs[0], type_, channels)
        if shape is not None:
            self.graph.tensors[result].shape = list(shape)
        self.graph.operators.append(self.operator(name, inputs, result, options, version))
        self.graph.outputs = [result]
        return result

    def describe(self, labels: tuple[str, ...], normalization: tuple[float, float] | None) -> bytes:
        """Metadata as TFLite Support writes them; gives the archive to append."""
        entry = schema.MetadataT()
        entry.name = "TFLITE_METADATA"
        entry.buffer = new_buffer(self.model, np.frombuffer(_metadata(bool(labels), normalization), np.uint8))
        self.model.metadata = [entry]
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("labels.txt", "\n".join(labels) + "\n")
        return archive.getvalue()

    def _prepend(self, steps: list[Any], image: int) -> None:
        self.graph.operators = [*steps, *self.graph.operators]
        self.graph.inputs = [image]


def _metadata(labels: bool, normalization: tuple[float, float] | None) -> bytes:
    """A ModelMetadata flatbuffer (metadata_schema.fbs), written field by field."""
    builder = flatbuffers.Builder(256)
    text = builder.CreateString("labels.txt")
    file = _table(builder, 5, {0: text}, {2: 2})  # AssociatedFile: name; TENSOR_AXIS_LABELS
    target = _table(builder, 7, {6: _vector(builder, [file])} if labels else {})
    units = {}
    if normalization is not None:
        mean, deviation = (_floats(builder, [value]) for value in normalization)
        options = _table(builder, 2, {0: mean, 1: deviation})
        units = {4: _vector(builder, [_table(builder, 2, {1: options}, {0: 1})])}
    source = _table(builder, 7, units)
    inputs, outputs = _vector(builder, [source]), _vector(builder, [target])
    graphs = _vector(builder, [_table(builder, 12, {2: inputs, 3: outputs})])
    builder.Finish(_table(builder, 8, {3: graphs}), b"M001")
    return bytes(builder.Output())


def _table(builder: Any, size: int, offsets: dict[int, int], bytes_: dict[int, int] | None = None) -> int:
    builder.StartObject(size)
    for slot, offset in offsets.items():
        builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
    for slot, value in (bytes_ or {}).items():
        builder.PrependUint8Slot(slot, value, 0)
    return int(builder.EndObject())


def _vector(builder: Any, offsets: list[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _floats(builder: Any, values: list[float]) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependFloat32(value)
    return int(builder.EndVector())

"""TFLite's flatbuffer as objects: read, changed, written again with the same bytes for the same content."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from converters.flatbuffer_tables import aligned_bytes
from edge_deeplab.errors import ModelFileError
from edge_deeplab.runtime.tflite_file import IDENTIFIER, builtin_code, operator_name
from edge_deeplab.runtime.tflite_metadata import NAME
from edge_deeplab.spec import IoType

IO_TYPES = {IoType.FLOAT32: "FLOAT32", IoType.UINT8: "UINT8", IoType.INT8: "INT8"}
"""The schema's word for the elements of a file's input and output."""


def read_model(data: bytes) -> Any:
    """Unpack a TFLite file into a ``ModelT``.

    Raises:
        ModelFileError: the bytes are no TFLite file, or are truncated.
    """
    if data[4:8] != IDENTIFIER:
        raise ModelFileError("the data is no TFLite file: convert the checkpoint again")
    try:
        model = schema.ModelT.InitFromPackedBuf(data, 0)
        for subgraph in model.subgraphs:
            for owner in (subgraph, *subgraph.operators):
                # Views of the bytes otherwise, which cannot be changed.
                owner.inputs, owner.outputs = np.array(owner.inputs), np.array(owner.outputs)
    except Exception as error:  # the generated reader raises whatever a wrong offset leads to
        raise ModelFileError(f"the TFLite file is truncated or damaged ({error}): convert again") from error
    return model


def read_bare_model(data: bytes) -> Any:
    """As :func:`read_model`, for a file that another one is made of: it must have no TFLite Model Metadata.

    They would be untrue of the new file (they say what the elements are, and how the input is normalized), and what
    they name lies behind the flatbuffer, where writing it anew loses it.

    Raises:
        ModelFileError: as :func:`read_model`, or the file has metadata.
    """
    model = read_model(data)
    if any(entry.name == NAME.encode() for entry in model.metadata or ()):
        raise ModelFileError(
            "the float32 TFLite file carries TFLite Model Metadata, which would be untrue of the file that is made of "
            "it: give the file as it was converted, and write metadata into the result"
        )
    return model


def write_model(model: Any) -> bytes:
    """Pack a ``ModelT``, without the buffers that nothing refers to.

    The same content gives the same bytes. ``model`` must not be used afterwards: its buffers are renumbered.
    """
    _drop_unused_buffers(model)
    model.buffers = [_AlignedBuffer(buffer.data) for buffer in model.buffers]
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def op_name(model: Any, operator: Any) -> str:
    """An operator's name: the schema's word ("CONV_2D"), or a custom operator's own."""
    return operator_name(model.operatorCodes[operator.opcodeIndex])


def op_index(model: Any, name: str, version: int) -> int:
    """The index of an operator code in the model, added where it is not there yet."""
    code = getattr(schema.BuiltinOperator, name)
    for index, existing in enumerate(model.operatorCodes):
        if builtin_code(existing) == code and existing.version == version:
            return index
    added = schema.OperatorCodeT()
    added.builtinCode, added.deprecatedBuiltinCode, added.version = code, min(code, 127), version
    model.operatorCodes.append(added)
    return len(model.operatorCodes) - 1


def tensor_name(tensor: Any) -> str:
    """A tensor's name as text."""
    return tensor.name.decode() if isinstance(tensor.name, bytes) else str(tensor.name)


def constant(model: Any, tensor: Any, dtype: type[np.generic]) -> NDArray[Any] | None:
    """The values of a constant tensor in its own shape, or None for one that is computed."""
    data = model.buffers[tensor.buffer].data
    if data is None or len(data) == 0:
        return None
    return np.frombuffer(np.asarray(data, np.uint8).tobytes(), dtype).reshape(_shape(tensor))


def new_buffer(model: Any, values: NDArray[Any]) -> int:
    """Append constant data, and give its index."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def _shape(tensor: Any) -> tuple[int, ...]:
    return () if tensor.shape is None else tuple(int(size) for size in tensor.shape)


def _drop_unused_buffers(model: Any) -> None:
    tensors = [tensor for subgraph in model.subgraphs for tensor in subgraph.tensors]
    entries = list(model.metadata or [])
    used = sorted({0} | {tensor.buffer for tensor in tensors} | {entry.buffer for entry in entries})
    renumbered = {old: new for new, old in enumerate(used)}
    for owner in (*tensors, *entries):
        owner.buffer = renumbered[owner.buffer]
    model.buffers = [model.buffers[old] for old in used]


class _AlignedBuffer:
    """A ``BufferT`` whose data starts at a multiple of 16 bytes, so that readers may map it as it lies.

    The schema's force_align of Buffer.data says so, which the generated Python writer forgets.
    """

    def __init__(self, data: Any) -> None:
        self._data = b"" if data is None else np.asarray(data, np.uint8).tobytes()

    def Pack(self, builder: Any) -> int:  # noqa: N802 (the name that ModelT.Pack calls)
        vector = aligned_bytes(builder, self._data) if self._data else None
        schema.BufferStart(builder)
        if vector is not None:
            schema.BufferAddData(builder, vector)
        return int(schema.BufferEnd(builder))

"""The numbers that lie in a .tflite file, as the real numbers that they stand for."""

from __future__ import annotations

import math

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edge_deeplab.errors import ModelFileError
from edge_deeplab.runtime.tflite_file import Tensor, damaged

_FLOATS = {"FLOAT32": "<f4", "FLOAT16": "<f2"}
_INTEGERS = {"UINT8": "u1", "INT8": "i1", "INT32": "<i4"}


def real_values(content: bytes, tensor: Tensor, name: str) -> NDArray[np.float32]:
    """The real numbers of a constant tensor: scale * (integer - zero point), or the floats themselves.

    Args:
        content: the file.
        tensor: a constant of its graph: float32, float16, or uint8, int8, int32 with one scale or one for each index
            along its quantized dimension.
        name: the file's, for error messages.

    Returns:
        float32, of the tensor's shape, a copy.

    Raises:
        ModelFileError: of another type, integers without a scale, numbers that are not finite, or damaged.
    """
    dtype = (_FLOATS | _INTEGERS).get(tensor.type)
    if dtype is None or not tensor.constant:
        what = f"elements of type {tensor.type}" if tensor.constant else "no values in the file"
        raise ModelFileError(f"{name}: the tensor {tensor.name!r} has {what}, and weights were wanted")
    stored = _stored(content, tensor, np.dtype(dtype), name)
    if tensor.type in _FLOATS:
        values = stored.astype(np.float32)
    else:
        scales, zero_points = _affine(tensor, name)
        values = ((stored.astype(np.float64) - zero_points) * scales).astype(np.float32)
    if not np.isfinite(values).all():
        raise ModelFileError(f"{name}: the tensor {tensor.name!r} has values that are not finite: get a fresh copy")
    return values


def _stored(content: bytes, tensor: Tensor, dtype: np.dtype[np.generic], name: str) -> NDArray[np.generic]:
    data = schema.Model.GetRootAs(content, 0).Buffers(tensor.buffer).DataAsNumpy()
    # The generated reader gives 0 for no data: then they lie behind the flatbuffer, in a file of more than 2 GB.
    if isinstance(data, int) or len(data) != math.prod(tensor.shape) * dtype.itemsize:
        raise damaged(name)
    return np.frombuffer(data.tobytes(), dtype).reshape(tensor.shape)


def _affine(tensor: Tensor, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scales and zero points, in a shape that goes with the values."""
    scales, zero_points = np.array(tensor.scales), np.array(tensor.zero_points, np.float64)
    if not scales.size:
        raise ModelFileError(
            f"{name}: the tensor {tensor.name!r} has integers without a scale: convert the model again"
        )
    axis = tensor.quantized_dimension
    channels = tensor.shape[axis] if 0 <= axis < len(tensor.shape) else 0
    if len(scales) not in (1, channels) or len(zero_points) != len(scales) or not (scales > 0).all():
        raise damaged(name)
    if len(scales) == 1:
        return scales.reshape(()), zero_points.reshape(())
    along = tuple(channels if place == axis else 1 for place in range(len(tensor.shape)))
    return scales.reshape(along), zero_points.reshape(along)

"""Integers and the real numbers that they stand for: activations (iOS 17) and compressed weights (iOS 16 and 18)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.runtime.coreml.operators.unsupported import UnsupportedError
from edge_deeplab.runtime.coreml.tensor_types import unpack

Array = NDArray[Any]
Floats = NDArray[np.float32]

_BITS = {2: 1, 4: 2, 16: 4, 64: 6, 256: 8}  # of an index, by the length of its table


def quantize(
    input: Floats, scale: Floats, output_dtype: str, zero_point: Array | int = 0, axis: int | None = None
) -> Array:
    """MIL's ``quantize``: clip(round(input / scale) + zero_point).

    A number halfway between two integers goes to the even one (coremltools' own evaluation of the operator, and IEEE
    754's default); what is outside the integers saturates.

    Args:
        input: float32.
        scale: zero-dimensional, or one number for each place of ``axis``.
        output_dtype: "int8" or "uint8".
        zero_point: as ``scale``.
        axis: which axis ``scale`` and ``zero_point`` go along.

    Raises:
        UnsupportedError: another type, or scales that do not fit the axis.
    """
    if output_dtype not in ("int8", "uint8"):
        raise UnsupportedError(f"quantization to {output_dtype!r} is not supported")
    limits = np.iinfo(output_dtype)
    steps = np.rint(input / _along(scale, axis, input))
    steps += _along(zero_point, axis, input).astype(np.float32)
    result: Array = steps.clip(limits.min, limits.max).astype(output_dtype)
    return result


def dequantize(input: Array, scale: Floats, zero_point: Array | int = 0, axis: int | None = None) -> Floats:
    """MIL's ``dequantize``: scale * (input - zero_point), float32; arguments as :func:`quantize`."""
    difference = np.subtract(input, _along(zero_point, axis, input), dtype=np.float32)
    difference *= _along(scale, axis, input)
    return difference


def constexpr_affine_dequantize(quantized_data: Array, zero_point: Array | int, scale: Floats, axis: int) -> Floats:
    """MIL's ``constexpr_affine_dequantize`` (iOS 16): scale * (data - zero_point), float32.

    ``zero_point`` and ``scale`` are zero-dimensional or go along ``axis``, each as it likes.
    """
    return dequantize(quantized_data, scale, zero_point, axis)


def constexpr_blockwise_shift_scale(data: Array, scale: Floats, offset: Array | None = None) -> Floats:
    """MIL's ``constexpr_blockwise_shift_scale`` (iOS 18): scale * (data - offset), one of each for a block.

    Args:
        data: integers or floats, any shape.
        scale: the same rank; its length divides that of ``data`` on every axis, and the quotient is the block's length.
        offset: of ``scale``'s shape; None: 0.

    Returns:
        float32, of ``data``'s shape.

    Raises:
        UnsupportedError: blocks that do not fit.
    """
    values = np.asarray(data, np.float32)
    if offset is not None:
        values = values - _blocks(np.asarray(offset, np.float32), values.shape)
    result: Floats = values * _blocks(scale, values.shape)
    return result


def constexpr_lut_to_dense(
    indices: NDArray[np.uint8], lut: Array, shape: Array | None = None, vector_axis: int | None = None
) -> Array:
    """MIL's ``constexpr_lut_to_dense``: look weights up in a palette.

    Args:
        indices: iOS 16: packed, lowest bit first, (ceil(bits * elements / 8),). iOS 18: one index for each element.
        lut: iOS 16: the palette, (2 ** bits,). iOS 18: palettes, (groups on each axis of ``indices`` ..., 2 ** bits,
            length of a vector).
        shape: of the result; only iOS 16 has it.
        vector_axis: along which the vectors of the palettes lie; only iOS 18, and only for vectors.

    Raises:
        UnsupportedError: a palette of another length, or groups that do not fit.
    """
    if shape is None:
        return _grouped_palettes(indices, lut, vector_axis)
    if lut.ndim != 1 or len(lut) not in _BITS:
        raise UnsupportedError(f"a palette of {lut.shape} colours does not exist")
    size = tuple(map(int, shape))
    bits, count = _BITS[len(lut)], int(np.prod(size))
    if len(indices) != -(-bits * count // 8):
        raise UnsupportedError(f"{len(indices)} bytes of indices do not fit {count} elements of {bits} bits")
    result: Array = lut[unpack(indices, bits, count)].reshape(size)
    return result


def constexpr_cast(source_val: Floats, output_dtype: str) -> Floats:
    """MIL's ``constexpr_cast`` (iOS 16): from float16 to float32, which is what it is already in here.

    Raises:
        UnsupportedError: to another type.
    """
    if output_dtype != "fp32":
        raise UnsupportedError(f"a cast to {output_dtype!r} is not supported")
    return source_val


def _grouped_palettes(indices: NDArray[np.uint8], lut: Array, vector_axis: int | None) -> Array:
    rank, length = indices.ndim, lut.shape[-1]
    if lut.ndim != rank + 2 or (length > 1 and vector_axis is None):
        raise UnsupportedError(f"palettes of rank {lut.ndim} do not fit indices of rank {rank}")
    # For each element the number of its palette, then palette and index together choose the vector.
    numbers = np.arange(int(np.prod(lut.shape[:rank]))).reshape(lut.shape[:rank])
    vectors = lut.reshape(-1, *lut.shape[rank:])[_blocks(numbers, indices.shape), indices]
    if length == 1:
        single: Array = vectors[..., 0]
        return single
    assert vector_axis is not None
    axis = vector_axis % rank
    joined = np.moveaxis(vectors, -1, axis + 1)
    return joined.reshape(*indices.shape[:axis], indices.shape[axis] * length, *indices.shape[axis + 1 :])


def _blocks(values: Array, shape: tuple[int, ...]) -> Array:
    """Repeat each number over its block, so that the result has ``shape``."""
    if values.ndim != len(shape) or any(
        length % blocks for length, blocks in zip(shape, values.shape, strict=True) if blocks
    ):
        raise UnsupportedError(f"blocks of {values.shape} do not fit {shape}")
    for axis, length in enumerate(shape):
        if values.shape[axis] != 1:  # one block: numpy broadcasts it
            values = values.repeat(length // values.shape[axis], axis)
    return np.broadcast_to(values, shape)


def _along(values: Array | int, axis: int | None, x: Array) -> Array:
    """Scales or zero points in the shape that broadcasts along an axis of ``x``."""
    vector = np.asarray(values)
    if vector.ndim == 0:
        return vector
    if vector.ndim != 1 or axis is None or len(vector) != x.shape[axis]:
        raise UnsupportedError(f"scales or zero points of {vector.shape} do not fit axis {axis} of {x.shape}")
    shape = [1] * x.ndim
    shape[axis] = -1
    return vector.reshape(shape)

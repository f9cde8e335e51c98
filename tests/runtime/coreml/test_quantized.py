"""Rounding, saturation, axes, bit order and blocks, by hand and against PyTorch's quantization."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_deeplab.runtime.coreml.operators import quantized
from edge_deeplab.runtime.coreml.operators.unsupported import UnsupportedError
from edge_deeplab.runtime.coreml.tensor_types import ElementType, TensorType, unpack


def test_halves_go_to_the_even_integer_and_extremes_saturate() -> None:
    values = np.float32([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 126.5, 127.5, 1e9, -1e9])
    found = quantized.quantize(values, np.float32(1), "int8")
    assert found.dtype == np.int8
    np.testing.assert_array_equal(found, [-2, -2, 0, 0, 2, 2, 126, 127, 127, -128])
    found = quantized.quantize(values, np.float32(1), "uint8", 3)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, [1, 1, 3, 3, 5, 5, 129, 131, 255, 0])  # rounded before the zero point


def test_the_scale_divides_before_the_rounding() -> None:
    np.testing.assert_array_equal(quantized.quantize(np.float32([0.124, 0.126]), np.float32(0.25), "int8"), [0, 1])


@settings(max_examples=50, deadline=None)
@given(scale=st.floats(2**-10, 8, width=32), zero_point=st.integers(-128, 127), seed=st.integers(0, 99))
def test_there_and_back_against_pytorch(scale: float, zero_point: int, seed: int) -> None:
    x = np.random.default_rng(seed).standard_normal((3, 7)).astype(np.float32) * 50
    expected = torch.fake_quantize_per_tensor_affine(torch.from_numpy(x), scale, zero_point, -128, 127).numpy()
    size = np.array(scale, np.float32)
    found = quantized.dequantize(quantized.quantize(x, size, "int8", zero_point), size, zero_point)
    steps = np.abs(found - expected) / scale
    assert steps.max() <= 1.001  # PyTorch multiplies by the reciprocal, so that a tie may fall the other way
    assert (steps > 0.001).mean() < 0.1


@pytest.mark.parametrize("axis", [1, -3])
def test_scales_along_an_axis(axis: int) -> None:
    x = np.ones((2, 3, 4, 5), np.float32)
    scales, zero_points = np.float32([1, 0.5, 0.25]), np.array([0, 1, 2], np.int8)
    found = quantized.quantize(x, scales, "int8", zero_points, axis)
    np.testing.assert_array_equal(found[0, :, 0, 0], [1, 3, 6])
    back = quantized.dequantize(found, scales, zero_points, axis)
    np.testing.assert_array_equal(back, x)


def test_affine_weights_with_a_scalar_beside_a_vector() -> None:
    data = np.array([[0, 128], [255, 128]], np.uint8)
    found = quantized.constexpr_affine_dequantize(data, 128, np.float32([1, 0.5]), 0)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [[-128, 0], [63.5, 0]])
    found = quantized.constexpr_affine_dequantize(data, np.array([0, 128], np.uint8), np.array(2, np.float32), 1)
    np.testing.assert_array_equal(found, [[0, 0], [510, 0]])


def test_the_difference_of_integers_does_not_wrap() -> None:
    found = quantized.dequantize(np.array([-128], np.int8), np.array(1, np.float32), 127)
    np.testing.assert_array_equal(found, [-255])


def test_blocks() -> None:
    data, scale = np.arange(8, dtype=np.int8).reshape(2, 4), np.float32([[1, 10], [100, 1000]])
    found = quantized.constexpr_blockwise_shift_scale(data, scale, np.array([[0, 1], [2, 3]], np.int8))
    np.testing.assert_array_equal(found, [[0, 1, 10, 20], [200, 300, 3000, 4000]])
    np.testing.assert_array_equal(quantized.constexpr_blockwise_shift_scale(data, np.float32([[2]])), data * 2.0)


# 4 bits: 0x21 is index 1, then 2. 6 bits: 1, 2, 3, 4 are the bits 100000 010000 110000 001000 from the lowest on, which
# fill three bytes: 10000001 00001100 00001000, written from the highest bit 0x81 0x30 0x10.
@pytest.mark.parametrize(
    ("bits", "content", "expected"),
    [
        (1, [0b00000101], [1, 0, 1, 0, 0]),
        (2, [0b01101100, 0b11], [0, 3, 2, 1, 3]),
        (4, [0x21, 0x43, 0x05], [1, 2, 3, 4, 5]),
        (6, [0x81, 0x30, 0x10, 0x05], [1, 2, 3, 4, 5]),
        (8, [1, 2, 3, 4, 5], [1, 2, 3, 4, 5]),
    ],
)
def test_indices_are_packed_lowest_bit_first(bits: int, content: list[int], expected: list[int]) -> None:
    packed = np.array(content, np.uint8)
    np.testing.assert_array_equal(unpack(packed, bits, 5), expected)
    lut = np.arange(2**bits, dtype=np.float32) * 10
    found = quantized.constexpr_lut_to_dense(packed, lut, np.array([5, 1], np.uint32))
    np.testing.assert_array_equal(found, np.float32(expected)[:, None] * 10)


def test_four_bits_with_a_sign() -> None:
    declared = TensorType(ElementType.INT4, (4,))
    np.testing.assert_array_equal(declared.decode(bytes([0x8F, 0x70])), [-1, -8, 0, 7])


def test_grouped_palettes_are_those_of_the_documentation() -> None:
    indices = np.array([2, 3, 3, 0, 1, 0, 3, 0, 2, 1, 0, 3], np.uint8).reshape(6, 2)
    lut = np.float32([1, 5, 9, 13, 2, 10, 18, 26]).reshape(2, 1, 4, 1)
    found = quantized.constexpr_lut_to_dense(indices, lut)
    np.testing.assert_array_equal(found, [[9, 13], [13, 1], [5, 1], [26, 2], [18, 10], [2, 26]])


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        (1, [[["a0", "a0"], ["a1", "a1"], ["b0", "a0"], ["b1", "a1"]]]),
        (2, [[["a0", "a1", "a0", "a1"], ["b0", "b1", "a0", "a1"]]]),
        (-1, [[["a0", "a1", "a0", "a1"], ["b0", "b1", "a0", "a1"]]]),
    ],
)
def test_palettes_of_vectors_are_those_of_the_documentation(axis: int, expected: list[object]) -> None:
    indices = np.array([[[0, 0], [1, 0]]], np.uint8)
    lut = np.array(["a0", "a1", "b0", "b1"]).reshape(1, 1, 1, 2, 2)
    np.testing.assert_array_equal(quantized.constexpr_lut_to_dense(indices, lut, None, axis), expected)


def test_what_does_not_fit_is_refused() -> None:
    x, one = np.zeros((2, 3), np.float32), np.array(1, np.float32)
    with pytest.raises(UnsupportedError, match="'int4' is not supported"):
        quantized.quantize(x, one, "int4")
    with pytest.raises(UnsupportedError, match="do not fit axis 0"):
        quantized.quantize(x, np.ones(3, np.float32), "int8", 0, 0)
    with pytest.raises(UnsupportedError, match="do not fit axis None"):
        quantized.dequantize(x, np.ones(3, np.float32))
    with pytest.raises(UnsupportedError, match="blocks of"):
        quantized.constexpr_blockwise_shift_scale(x, np.ones((1, 2), np.float32))
    with pytest.raises(UnsupportedError, match="3 bytes of indices do not fit 5 elements of 1 bits"):
        quantized.constexpr_lut_to_dense(np.zeros(3, np.uint8), np.zeros(2, np.float32), np.array([5]))
    with pytest.raises(UnsupportedError, match="colours does not exist"):
        quantized.constexpr_lut_to_dense(np.zeros(3, np.uint8), np.zeros(8, np.float32), np.array([5]))
    with pytest.raises(UnsupportedError, match="palettes of rank 3"):
        quantized.constexpr_lut_to_dense(np.zeros((2, 2), np.uint8), np.zeros((1, 16, 1), np.float32))
    with pytest.raises(UnsupportedError, match="a cast to 'fp16'"):
        quantized.constexpr_cast(x, "fp16")

"""The arithmetic on its own: properties that every scale and zero point must have."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edge_deeplab.quantization.affine import (
    INT8_MAX,
    INT8_MIN,
    PIXELS,
    Affine,
    affine_from_range,
    bias_scales,
    dequantize,
    dequantize_weights,
    quantize,
    quantize_bias,
    quantize_weights,
    symmetric_scales,
    widen_for_bias,
)

finite = st.floats(-1e6, 1e6)
widths = st.floats(1e-3, 1e6)
affines = st.builds(lambda low, width: affine_from_range(low, low + width), finite, widths)
weights = arrays.arrays(np.float32, (4, 3, 2), elements=st.floats(-50, 50, width=32))


@given(affines, arrays.arrays(np.float32, 32, elements=st.floats(0, 1, width=32)))
def test_a_value_inside_the_range_comes_back_within_half_a_step(affine: Affine, unit: np.ndarray) -> None:
    values = affine.low + unit.astype(np.float64) * (affine.high - affine.low)
    back = dequantize(quantize(values, affine), affine).astype(np.float64)
    # dequantize rounds to float32, which is 2**-24 of up to 255 steps.
    assert np.abs(back - values).max() <= affine.scale * 0.5 * (1 + 1e-4)


@given(affines)
def test_every_integer_comes_back_as_itself(affine: Affine) -> None:
    integers = np.arange(INT8_MIN, INT8_MAX + 1).astype(np.int8)
    assert np.array_equal(quantize(dequantize(integers, affine), affine), integers)


@given(affines)
def test_zero_is_exact(affine: Affine) -> None:
    zero = quantize(np.zeros(1), affine)
    assert zero == affine.zero_point
    assert dequantize(zero, affine) == 0.0


@given(finite, widths)
def test_the_range_is_covered_up_to_half_a_step(low: float, width: float) -> None:
    affine = affine_from_range(low, low + width)
    slack = affine.scale * 0.5 * (1 + 1e-5)
    assert affine.low <= low + slack
    assert affine.high >= low + width - slack


@given(affines)
def test_values_outside_saturate(affine: Affine) -> None:
    far = np.array([affine.low - 10 * affine.scale, affine.high + 10 * affine.scale, -1e30, 1e30])
    assert quantize(far, affine).tolist() == [INT8_MIN, INT8_MAX, INT8_MIN, INT8_MAX]


@given(affines)
def test_the_scale_is_a_float32(affine: Affine) -> None:
    assert affine.scale == np.float32(affine.scale)
    assert Affine(0.1, 0).scale == np.float32(0.1)


def test_pixels_are_exact() -> None:
    pixels = np.arange(256)
    assert np.array_equal(quantize(pixels / 255, PIXELS).astype(int) + 128, pixels)


def test_halves_round_to_even() -> None:
    assert quantize(np.array([0.5, 1.5, 2.5, -0.5, -1.5]), Affine(1.0, 0)).tolist() == [0, 2, 2, 0, -2]


@pytest.mark.parametrize(("low", "high"), [(0, 0), (1, -1), (np.nan, 1), (0, np.inf), (0, 1e-45)])
def test_a_range_without_width_is_refused(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="range"):
        affine_from_range(low, high)


@pytest.mark.parametrize(("scale", "zero_point"), [(0.0, 0), (-1.0, 0), (np.nan, 0), (1.0, 128), (1.0, -129)])
def test_impossible_parameters_are_refused(scale: float, zero_point: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        Affine(scale, zero_point)


@given(weights, st.integers(0, 2))
def test_weights_are_within_half_a_step_of_their_own_channel(values: np.ndarray, axis: int) -> None:
    scales = symmetric_scales(values, axis)
    integers = quantize_weights(values, scales, axis)
    steps = np.moveaxis(np.abs(dequantize_weights(integers, scales, axis) - values), axis, -1) / scales
    assert steps.max() <= 0.5 * (1 + 1e-4)
    assert np.abs(integers.astype(int)).max() <= 127


@given(weights)
def test_a_channel_reaches_127_and_does_not_change_its_neighbours(values: np.ndarray) -> None:
    values[0] = np.linspace(-3, 3, 6).reshape(3, 2)
    scales = symmetric_scales(values, 0)
    changed = values.copy()
    changed[1] *= 7
    assert np.abs(quantize_weights(values, scales, 0)[0]).max() == 127
    assert np.array_equal(symmetric_scales(changed, 0)[[0, 2, 3]][:1], scales[:1])


def test_a_channel_of_zeros_has_a_usable_scale() -> None:
    values = np.zeros((2, 3), np.float32)
    values[1] = 127.0
    assert symmetric_scales(values, 0).tolist() == [1.0, 1.0]
    assert symmetric_scales(np.zeros((2, 3), np.float32), 0).tolist() == [1.0, 1.0]


@given(
    arrays.arrays(np.float32, 8, elements=st.floats(-1e3, 1e3, width=32)),
    arrays.arrays(np.float32, 8, elements=st.floats(0, 2, width=32)),
    st.floats(1e-5, 10.0),
)
def test_a_bias_fits_once_its_scale_is_widened(bias: np.ndarray, peaks: np.ndarray, input_scale: float) -> None:
    scales = widen_for_bias(symmetric_scales(peaks[:, None], 0), bias, input_scale)
    steps = bias_scales(input_scale, scales)
    back = quantize_bias(bias, steps) * steps.astype(np.float64)
    assert (np.abs(back - bias) <= 0.5 * steps * (1 + 1e-5)).all()


def test_a_bias_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="int32"):
        quantize_bias(np.array([1e9]), np.array([1e-3], np.float32))

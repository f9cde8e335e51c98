"""The simple operators, against PyTorch's and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from torch.nn import functional

from edge_deeplab.runtime.coreml.operators import elementwise, shape
from edge_deeplab.runtime.coreml.operators.unsupported import UnsupportedError

FLOATS = st.floats(-100, 100, width=32)
X = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32) * 10


@settings(max_examples=50, deadline=None)
@given(x=arrays(np.float32, array_shapes(min_dims=2, max_dims=4, max_side=6), elements=FLOATS), data=st.data())
def test_activations_against_pytorch(x: np.ndarray, data: st.DataObject) -> None:
    tensor = torch.from_numpy(x)
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    for found, expected in (
        (elementwise.relu(x), functional.relu(tensor)),
        (elementwise.relu6(x), functional.relu6(tensor)),
        (elementwise.clip(x, np.float32(-1), np.float32(2)), tensor.clamp(-1, 2)),
        (elementwise.sigmoid(x), torch.sigmoid(tensor)),
        (elementwise.softmax(x, axis), torch.softmax(tensor, axis)),
        (elementwise.reduce_mean(x, [axis], True), tensor.mean(axis, keepdim=True)),
    ):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-6)


def test_sigmoid_and_softmax_do_not_overflow() -> None:
    with np.errstate(all="raise", under="ignore"):
        np.testing.assert_array_equal(elementwise.sigmoid(np.float32([-1e4, 0, 1e4])), [0, 0.5, 1])
        np.testing.assert_array_equal(elementwise.softmax(np.float32([-1e4, 1e4])), [0, 1])


def test_arithmetic_broadcasts() -> None:
    y = np.arange(1, 4, dtype=np.float32).reshape(3, 1, 1)
    np.testing.assert_array_equal(elementwise.add(X, y), torch.from_numpy(X) + torch.from_numpy(y))
    np.testing.assert_array_equal(elementwise.sub(X, y), torch.from_numpy(X) - torch.from_numpy(y))
    np.testing.assert_array_equal(elementwise.mul(X, y), torch.from_numpy(X) * torch.from_numpy(y))
    np.testing.assert_array_equal(elementwise.real_div(X, y), torch.from_numpy(X) / torch.from_numpy(y))
    with pytest.raises(UnsupportedError, match="only floating-point numbers"):
        elementwise.real_div(np.array([1, 2]), np.array([2, 2]))


def test_means_over_all_axes_and_without_them() -> None:
    assert elementwise.reduce_mean(X).shape == ()
    assert elementwise.reduce_mean(X, np.array([2, 3])).shape == (2, 3)
    assert elementwise.reduce_mean(X, np.array([2, 3]), True).shape == (2, 3, 1, 1)
    np.testing.assert_allclose(elementwise.reduce_mean(X), X.astype(np.float64).mean(), rtol=1e-5)


def test_casts_cut_the_fraction_off() -> None:
    values = np.float32([-1.9, -0.5, 0.5, 1.9])
    found = elementwise.cast(values, "int32")
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, [-1, 0, 0, 1])
    assert elementwise.cast(found, "fp16").dtype == np.float32
    np.testing.assert_array_equal(elementwise.cast(np.float32([0, 0.5]), "bool"), [False, True])
    with pytest.raises(UnsupportedError, match="'complex'"):
        elementwise.cast(values, "complex")


@pytest.mark.parametrize(
    ("mode", "name"), [("constant", "constant"), ("reflect", "reflect"), ("replicate", "replicate")]
)
def test_pad_against_pytorch(mode: str, name: str) -> None:
    options = {"constant_val": np.float32(7)} if mode == "constant" else {}
    value = {"value": 7} if mode == "constant" else {}
    expected = functional.pad(torch.from_numpy(X), (3, 4, 1, 2), name, **value)  # the last axis comes first there
    np.testing.assert_array_equal(shape.pad(X, np.array([1, 2, 3, 4]), mode, **options), expected)


@pytest.mark.parametrize(
    ("pad", "mode", "message"),
    [
        ([1, 1], "wrap", "'wrap' is unknown"),
        ([-1, 1], "constant", "does not fit rank 4"),
        ([0, 0] * 5, "constant", "does not fit rank 4"),
        ([5, 0], "reflect", "longer than its axis"),
    ],
)
def test_paddings_that_do_not_exist(pad: list[int], mode: str, message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        shape.pad(X, np.array(pad), mode)


def test_moving_elements() -> None:
    tensor = torch.from_numpy(X)
    np.testing.assert_array_equal(shape.transpose(X, np.array([0, 2, 3, 1])), tensor.permute(0, 2, 3, 1))
    np.testing.assert_array_equal(shape.reshape(X, np.array([0, -1])), tensor.reshape(2, -1))
    np.testing.assert_array_equal(shape.tile(X, np.array([1, 1, 2, 3])), tensor.tile(1, 1, 2, 3))
    np.testing.assert_array_equal(shape.concat([X, X + 1], 1), torch.cat([tensor, tensor + 1], 1))
    np.testing.assert_array_equal(shape.concat(X, 1), X)  # a program may concatenate a single array
    assert shape.expand_dims(X, np.array([0, 3])).shape == (1, 2, 3, 1, 4, 5)
    assert shape.squeeze(X[:1, :, :1]).shape == (3, 5)
    assert shape.squeeze(X[:1, :, :1], np.array([0])).shape == (3, 1, 5)
    with pytest.raises(UnsupportedError, match="interleaved"):
        shape.concat([X, X], 1, True)

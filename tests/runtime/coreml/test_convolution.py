"""Convolution and batch normalization against PyTorch's, and paddings worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from edge_deeplab.runtime.coreml.operators.convolution import batch_norm, conv
from edge_deeplab.runtime.coreml.operators.unsupported import UnsupportedError

PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


@settings(max_examples=150, deadline=None)
@given(
    images=st.integers(1, 2),
    groups=st.integers(1, 4),
    inputs=st.integers(1, 3),
    outputs=st.integers(1, 3),
    kernel=PAIR,
    strides=PAIR,
    dilations=PAIR,
    pad=st.tuples(*[st.integers(0, 3)] * 4),
    size=st.tuples(st.integers(7, 12), st.integers(7, 12)),
    biased=st.booleans(),
)
def test_every_geometry(
    images: int,
    groups: int,
    inputs: int,
    outputs: int,
    kernel: tuple[int, int],
    strides: tuple[int, int],
    dilations: tuple[int, int],
    pad: tuple[int, int, int, int],
    size: tuple[int, int],
    biased: bool,
) -> None:
    x, weight = random(images, groups * inputs, *size), random(groups * outputs, inputs, *kernel)
    bias = random(groups * outputs) if biased else None
    found = conv(x, weight, bias, strides, "custom", pad, dilations, groups)
    top, bottom, left, right = pad
    expected = functional.conv2d(
        functional.pad(torch.from_numpy(x), (left, right, top, bottom)),
        torch.from_numpy(weight),
        None if bias is None else torch.from_numpy(bias),
        strides,
        0,
        dilations,
        groups,
    )
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-5)


def test_a_depthwise_convolution_of_more_channels_than_fit_a_block() -> None:
    x, weight = random(2, 40, 70, 70), random(40, 1, 3, 3)
    expected = functional.conv2d(torch.from_numpy(x), torch.from_numpy(weight), None, 2, 1, 1, 40)
    found = conv(x, weight, strides=(2, 2), pad_type="custom", pad=(1, 1, 1, 1), groups=40)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-5)


ROW = np.array([1, 2, 3, 4, 5], np.float32).reshape(1, 1, 1, 5)
EDGE = np.array([1, 0, -1], np.float32).reshape(1, 1, 1, 3)  # left neighbour minus right neighbour


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [-2, -2, -2]),  # "valid" is the default
        ({"pad_type": "valid", "pad": (9, 9, 9, 9)}, [-2, -2, -2]),  # pad is heeded for "custom" alone
        ({"pad_type": "custom", "pad": (0, 0, 1, 0)}, [-2, -2, -2, -2]),  # rows first, then before and after
        ({"pad_type": "custom", "pad": (0, 0, 0, 1)}, [-2, -2, -2, 4]),
        ({"pad_type": "same"}, [-2, -2, -2, -2, 4]),
        ({"pad_type": "same_lower"}, [-2, -2, -2, -2, 4]),
        ({"pad_type": "same", "strides": (1, 2)}, [-2, -2, 4]),  # 5 pixels: one before and one after in any reading
        ({"pad_type": "same", "dilations": (1, 2)}, [-3, -4, -4, 2, 3]),
        ({"strides": (1, 2)}, [-2, -2]),
        ({"dilations": (1, 2)}, [-4]),
    ],
    ids=str,
)
def test_paddings_by_hand(options: dict[str, object], expected: list[float]) -> None:
    np.testing.assert_array_equal(conv(ROW, EDGE, **options), np.float32(expected).reshape(1, 1, 1, -1))


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        (6, {"pad_type": "same", "strides": (1, 2)}, "ambiguous for a filter that reaches over 3 pixels at stride 2"),
        (5, {"pad_type": "upper"}, "the padding 'upper' is unknown"),
        (5, {"pad_type": "custom"}, "needs four numbers"),
        (5, {"pad_type": "custom", "pad": (0, 0, -1, 0)}, "needs four numbers that are not negative"),
        (2, {}, "reaches over 1x3 pixels, further than its padded input"),
        (5, {"groups": 2}, "in 2 groups do not fit 1 channels"),
        (5, {"strides": (1,)}, "two positive numbers"),
    ],
    ids=str,
)
def test_what_is_ambiguous_or_unknown_is_refused(columns: int, options: dict[str, object], message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        conv(np.zeros((1, 1, 1, columns), np.float32), EDGE, **options)


def test_an_even_filter_with_same_padding_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="ambiguous for a filter that reaches over 2 pixels"):
        conv(ROW, np.ones((1, 1, 1, 2), np.float32), pad_type="same")


def test_signals_and_volumes_are_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"only images \(rank 4\)"):
        conv(random(1, 2, 9), random(2, 2, 3))


@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm(affine: bool) -> None:
    x, mean, gamma, beta = random(2, 5, 4, 3), random(5), random(5) + 2, random(5) - 2
    variance = np.abs(random(5)) + 0.01
    given_ = {"gamma": gamma, "beta": beta} if affine else {}
    tensors = [torch.from_numpy(values) for values in (gamma, beta)] if affine else [None, None]
    expected = functional.batch_norm(
        *(torch.from_numpy(values) for values in (x, mean, variance)), *tensors, training=False, eps=1e-3
    )
    found = batch_norm(x, mean, variance, epsilon=np.float32(1e-3), **given_)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-5)

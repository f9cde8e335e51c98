"""Every operator as coremltools writes it: read from the package and executed, against PyTorch's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from edge_deeplab.errors import ModelFileError
from edge_deeplab.runtime.coreml.kernels import KERNELS

RANDOM = np.random.default_rng(0)
WEIGHT = RANDOM.standard_normal((6, 4, 3, 3)).astype(np.float32)
BIAS = RANDOM.standard_normal(6).astype(np.float32)
CODES = RANDOM.integers(0, 256, (4, 5, 6), dtype=np.uint8)
SCALES = np.float32([0.5, 0.25, 0.125, 1])
OFFSETS = np.array([1, 128, 3, 255], np.uint8)
PALETTE = RANDOM.standard_normal(64).astype(np.float32)
INDICES = RANDOM.integers(0, 64, (4, 5, 6), dtype=np.uint8)
SHAPE = (1, 4, 5, 6)


def bits(values: np.ndarray, width: int) -> np.ndarray:
    """Numbers in a row of bits, each lowest bit first; then bytes of eight bits, lowest first."""
    text = "".join(format(int(value), f"0{width}b")[::-1] for value in values.flatten())
    return np.array([int(text[at : at + 8][::-1], 2) for at in range(0, len(text), 8)], np.uint8)


def quantized(x: Tensor, low: int, high: int) -> Tensor:
    steps = torch.round(x / torch.from_numpy(SCALES).reshape(4, 1, 1)) + 3
    return steps.clamp(low, high)


# What is written with coremltools' builder (mb), and what PyTorch makes of the same input.
CASES: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Tensor], Any]]] = {
    "conv": (
        lambda mb, x: mb.conv(x=x, weight=WEIGHT, bias=BIAS, strides=[2, 1], pad_type="custom", pad=[1, 1, 1, 1]),
        lambda x: functional.conv2d(x, torch.from_numpy(WEIGHT), torch.from_numpy(BIAS), (2, 1), 1),
    ),
    "batch_norm": (
        lambda mb, x: mb.batch_norm(x=x, mean=BIAS[:4], variance=BIAS[:4] ** 2, gamma=BIAS[2:], beta=BIAS[1:5]),
        lambda x: functional.batch_norm(
            x, *(torch.from_numpy(values) for values in (BIAS[:4], BIAS[:4] ** 2, BIAS[2:], BIAS[1:5]))
        ),
    ),
    "max_pool": (
        lambda mb, x: mb.max_pool(
            x=mb.sub(x=x, y=np.float32(9)),
            kernel_sizes=[3, 3],
            strides=[2, 1],
            pad_type="custom",
            pad=[1, 1, 1, 1],
            ceil_mode=False,
        ),
        lambda x: functional.max_pool2d(x - 9.0, 3, (2, 1), 1),  # below zero: a border of zeros would win
    ),
    "maximum": (lambda mb, x: mb.maximum(x=x, y=BIAS[0]), lambda x: x.clamp(min=float(BIAS[0]))),
    "thresholded_relu": (
        lambda mb, x: mb.thresholded_relu(x=x, alpha=-0.5),
        lambda x: functional.threshold(x, -0.5, 0.0),
    ),
    "sigmoid_hard": (
        lambda mb, x: mb.sigmoid_hard(x=mb.mul(x=x, y=np.float32(4)), alpha=1 / 6, beta=0.5),
        lambda x: functional.hardsigmoid(x * 4),
    ),
    "upsample_bilinear": (
        lambda mb, x: mb.upsample_bilinear(x=x, scale_factor_height=2.0, scale_factor_width=4.0, align_corners=False),
        lambda x: functional.interpolate(x, scale_factor=(2, 4), mode="bilinear", align_corners=False),
    ),
    "resize_bilinear": (
        lambda mb, x: mb.resize_bilinear(
            x=x, target_size_height=7, target_size_width=9, sampling_mode="STRICT_ALIGN_CORNERS"
        ),
        lambda x: functional.interpolate(x, (7, 9), mode="bilinear", align_corners=True),
    ),
    "resize": (
        lambda mb, x: mb.resize(
            x=x,
            shape=[7, 9],
            resized_dims=np.uint32(2),
            interpolation_mode="LINEAR",
            sampling_mode="UNALIGN_CORNERS",
        ),
        lambda x: functional.interpolate(x, (7, 9), mode="bilinear", align_corners=False),
    ),
    "add": (
        lambda mb, x: mb.add(x=x, y=SCALES.reshape(4, 1, 1)),
        lambda x: x + torch.from_numpy(SCALES)[:, None, None],
    ),
    "sub": (lambda mb, x: mb.sub(x=np.float32(2), y=x), lambda x: 2 - x),
    "mul": (lambda mb, x: mb.mul(x=x, y=np.float32(0.5)), lambda x: x * 0.5),
    "real_div": (lambda mb, x: mb.real_div(x=x, y=np.float32(3)), lambda x: x / 3),
    "relu": (lambda mb, x: mb.relu(x=x), functional.relu),
    "relu6": (lambda mb, x: mb.relu6(x=x), functional.relu6),
    "clip": (lambda mb, x: mb.clip(x=x, alpha=-1.0, beta=0.5), lambda x: x.clamp(-1, 0.5)),
    "sigmoid": (lambda mb, x: mb.sigmoid(x=x), torch.sigmoid),
    "softmax": (lambda mb, x: mb.softmax(x=x, axis=1), lambda x: torch.softmax(x, 1)),
    "reduce_mean": (lambda mb, x: mb.reduce_mean(x=x, axes=[2, 3], keep_dims=True), lambda x: x.mean((2, 3), True)),
    "cast": (lambda mb, x: mb.cast(x=mb.cast(x=x, dtype="int32"), dtype="fp32"), torch.trunc),
    "concat": (lambda mb, x: mb.concat(values=[x, mb.relu(x=x), x], axis=1), lambda x: torch.cat([x, x.relu(), x], 1)),
    "pad": (
        lambda mb, x: mb.pad(x=x, pad=[1, 0, 2, 3], mode="constant", constant_val=-1.0),
        lambda x: functional.pad(x, (2, 3, 1, 0), value=-1),
    ),
    "expand_dims": (lambda mb, x: mb.expand_dims(x=x, axes=[1]), lambda x: x[:, None]),
    "squeeze": (lambda mb, x: mb.squeeze(x=x, axes=[0]), lambda x: x[0]),
    "reshape": (lambda mb, x: mb.reshape(x=x, shape=[4, -1]), lambda x: x.reshape(4, -1)),
    "transpose": (lambda mb, x: mb.transpose(x=x, perm=[0, 2, 3, 1]), lambda x: x.permute(0, 2, 3, 1)),
    "tile": (lambda mb, x: mb.tile(x=x, reps=[1, 1, 2, 1]), lambda x: x.tile(1, 1, 2, 1)),
    "quantize": (
        lambda mb, x: mb.cast(
            x=mb.quantize(input=x, scale=SCALES, zero_point=np.full(4, 3, np.uint8), axis=1, output_dtype="uint8"),
            dtype="fp32",
        ),
        lambda x: quantized(x, 0, 255),
    ),
    "dequantize": (
        lambda mb, x: mb.dequantize(
            input=mb.quantize(input=x, scale=SCALES, zero_point=np.full(4, 3, np.int8), axis=1, output_dtype="int8"),
            scale=np.float32(0.1),
            zero_point=np.int8(-5),
        ),
        lambda x: (quantized(x, -128, 127) + 5) * 0.1,
    ),
    "constexpr_affine_dequantize": (
        lambda mb, x: mb.add(
            x=x,
            y=mb.constexpr_affine_dequantize(quantized_data=CODES, zero_point=OFFSETS, scale=SCALES, axis=np.int32(0)),
        ),
        lambda x: x + torch.from_numpy((CODES.astype(float) - OFFSETS[:, None, None]) * SCALES[:, None, None]).float(),
    ),
    "constexpr_lut_to_dense": (
        lambda mb, x: mb.add(
            x=x,
            y=mb.constexpr_lut_to_dense(indices=bits(INDICES, 6), lut=PALETTE, shape=np.uint32([4, 5, 6])),
        ),
        lambda x: x + torch.from_numpy(PALETTE[INDICES]),
    ),
    "constexpr_cast": (
        lambda mb, x: mb.add(x=x, y=mb.constexpr_cast(source_val=PALETTE[:6].astype(np.float16), output_dtype="fp32")),
        lambda x: x + torch.from_numpy(PALETTE[:6]).half().float(),
    ),
}


@pytest.mark.parametrize("operator", CASES)
def test_an_operator(write_operators: Any, execute: Any, operator: str) -> None:
    from coremltools.converters.mil import Builder

    written, reference = CASES[operator]
    x = RANDOM.standard_normal(SHAPE).astype(np.float32) * 3
    target = "iOS16" if operator.startswith("constexpr") else "iOS17"
    package = write_operators(lambda x: written(Builder, x), SHAPE, target=target)
    found, expected = execute(package, x), reference(torch.from_numpy(x)).numpy()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("kind", "low", "high"), [("int4", -8, 8), ("uint4", 0, 16)])
@pytest.mark.parametrize("elements", [6, 4000])  # in the protobuf, and in the weight file
def test_blocks_of_four_bits(write_operators: Any, execute: Any, kind: str, low: int, high: int, elements: int) -> None:
    from coremltools.converters.mil import Builder
    from coremltools.converters.mil.mil import types

    data = RANDOM.integers(low, high, (2, elements))
    scale = RANDOM.standard_normal((2, elements // 2)).astype(np.float32)
    dtype = types.np_int4_dtype if kind == "int4" else types.np_uint4_dtype
    package = write_operators(
        lambda x: Builder.add(x=x, y=Builder.constexpr_blockwise_shift_scale(data=data.astype(dtype), scale=scale)),
        (2, elements),
        target="iOS18",
    )
    found = execute(package, np.zeros((2, elements), np.float32))
    np.testing.assert_allclose(found, data * scale.repeat(2, 1), rtol=1e-6)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 6, 8])
@pytest.mark.parametrize("elements", [6, 4002])
def test_grouped_palettes(write_operators: Any, execute: Any, width: int, elements: int) -> None:
    from coremltools.converters.mil import Builder
    from coremltools.converters.mil.mil import types

    dtype = np.uint8 if width == 8 else getattr(types, f"np_uint{width}_dtype")
    indices = RANDOM.integers(0, 2**width, (2, elements))
    lut = RANDOM.standard_normal((2, 1, 2**width, 1)).astype(np.float32)
    package = write_operators(
        lambda x: Builder.add(x=x, y=Builder.constexpr_lut_to_dense(indices=indices.astype(dtype), lut=lut)),
        (2, elements),
        target="iOS18",
    )
    found = execute(package, np.zeros((2, elements), np.float32))
    np.testing.assert_array_equal(found, np.stack([lut[row, 0, indices[row], 0] for row in range(2)]))


def test_no_operator_is_left_out() -> None:
    assert {*CASES, "constexpr_blockwise_shift_scale"} == set(KERNELS)


def test_float16_is_rounded_after_each_operator_on_request(write_operators: Any, execute: Any) -> None:
    from coremltools.converters.mil import Builder

    package = write_operators(
        lambda x: Builder.sub(x=Builder.add(x=x, y=np.float16(2048)), y=np.float16(2048)), (4,), float16=True
    )
    x = np.float32([0.5, 1, 1 + 2**-10, 3])
    np.testing.assert_array_equal(execute(package, x), x)
    # From 2048 on, float16 has the even integers only; ties go to those divisible by four.
    np.testing.assert_array_equal(execute(package, x, imitate_float16=True), [0, 0, 2, 4])


def test_sums_inside_an_operator_are_float32_and_weights_are_rounded(write_operators: Any, execute: Any) -> None:
    from coremltools.converters.mil import Builder

    weight = np.ones((1, 3, 1, 1), np.float16)
    package = write_operators(lambda x: Builder.conv(x=x, weight=weight), (1, 3, 1, 1), float16=True)
    x = np.float32([2048, 1, 1]).reshape(1, 3, 1, 1)  # in float16, 2048 + 1 + 1 would stay 2048
    assert execute(package, x, imitate_float16=True).item() == 2050
    scale, data = np.float16(0.1), np.array([[3]], np.int8)
    package = write_operators(
        lambda x: Builder.add(
            x=x,
            y=Builder.constexpr_affine_dequantize(
                quantized_data=data, zero_point=np.int8(0), scale=scale, axis=np.int32(0)
            ),
        ),
        (1, 1),
        target="iOS16",
        float16=True,
    )
    zero = np.zeros((1, 1), np.float32)
    exact = np.float32(scale) * 3
    assert execute(package, zero).item() == exact
    assert execute(package, zero, imitate_float16=True).item() == np.float16(exact) != exact


def test_an_input_that_is_declared_float16_is_rounded_too(write_operators: Any, execute: Any) -> None:
    from coremltools.converters.mil import Builder

    package = write_operators(lambda x: Builder.relu(x=x), (1,), float16=True)
    assert execute(package, np.float32([2049])).item() == 2049
    assert execute(package, np.float32([2049]), imitate_float16=True).item() == 2048


def test_what_is_too_great_for_float16_becomes_infinite(write_operators: Any, execute: Any) -> None:
    from coremltools.converters.mil import Builder

    package = write_operators(lambda x: Builder.mul(x=x, y=np.float16(2)), (2,), float16=True)
    x = np.float32([30000, 40000])
    np.testing.assert_array_equal(execute(package, x), [60000, 80000])
    np.testing.assert_array_equal(execute(package, x, imitate_float16=True), [60000, np.inf])


def test_an_operator_that_is_lacking_is_named(write_operators: Any, execute: Any) -> None:
    from coremltools.converters.mil import Builder

    package = write_operators(lambda x: Builder.relu(x=Builder.erf(x=x, name="the_culprit")), (2,))
    with pytest.raises(ModelFileError, match=r"operator erf \(output 'the_culprit'\) is not supported"):
        execute(package, np.zeros(2, np.float32))


def test_a_use_that_is_lacking_is_named(write_operators: Any, execute: Any) -> None:
    from coremltools.converters.mil import Builder

    package = write_operators(
        lambda x: Builder.upsample_bilinear(x=x, scale_factor_width=1.5, name="odd"), (1, 1, 5, 5)
    )
    with pytest.raises(
        ModelFileError, match=r"operator upsample_bilinear \(output 'odd'\) is used in an unsupported way"
    ):
        execute(package, np.zeros((1, 1, 5, 5), np.float32))

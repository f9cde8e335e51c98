"""Which of MIL's operators can be executed: all that coremltools emits for this project's networks, in every target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from edge_deeplab.runtime.coreml.operators import convolution, elementwise, pooling, quantized, resize, shape

Kernel = Callable[..., Any]
"""A pure function on arrays. Its parameters have MIL's names and defaults; floats are float32 throughout."""

KERNELS: Mapping[str, Kernel] = {
    kernel.__name__: kernel
    for kernel in (
        convolution.conv,
        convolution.batch_norm,
        pooling.max_pool,
        resize.upsample_bilinear,
        resize.resize_bilinear,
        resize.resize,
        elementwise.add,
        elementwise.sub,
        elementwise.mul,
        elementwise.real_div,
        elementwise.maximum,
        elementwise.relu,
        elementwise.relu6,
        elementwise.clip,
        elementwise.thresholded_relu,
        elementwise.sigmoid_hard,
        elementwise.sigmoid,
        elementwise.softmax,
        elementwise.reduce_mean,
        elementwise.cast,
        shape.concat,
        shape.pad,
        shape.expand_dims,
        shape.squeeze,
        shape.reshape,
        shape.transpose,
        shape.tile,
        quantized.quantize,
        quantized.dequantize,
        quantized.constexpr_affine_dequantize,
        quantized.constexpr_blockwise_shift_scale,
        quantized.constexpr_lut_to_dense,
        quantized.constexpr_cast,
    )
}

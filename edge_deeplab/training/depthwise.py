"""Depthwise convolutions whose gradients are computed fast on a CPU: the same sums, asked for in another way.

What training on a CPU spends most of its time with are oneDNN's backward kernels for depthwise convolutions, in
bfloat16: fast at stride 1 without holes, several times slower otherwise (``benchmarks/depthwise_gradients.py`` measures
each layer). So the slow cases are brought to fast ones:

- At stride 1, the gradient of the input is itself a depthwise convolution: of the output's gradient, with the kernel
  turned round.
- At stride 2, the gradient of the input is computed in float32, whose kernel is the fast one.
- The gradient of the weights at an atrous rate r is that of r * r small pictures without holes, each of every r-th row
  and column (the polyphase view of an atrous convolution; TensorFlow's SpaceToBatch). Pictures of fewer than three rows
  or columns cost more that way, and stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_SMALLEST = 3  # rows or columns of a picture that pays


def fast_depthwise_gradients(device: torch.device) -> AbstractContextManager[object]:
    """Within this context, slow depthwise convolutions get fast gradients; nothing on another device than a CPU.

    The modules, their parameters and what they compute forward stay as they are; gradients may differ by the order of
    their sums. Under autocast, the convolution is done in autocast's type, as ever.
    """
    return _FastDepthwise() if device.type == "cpu" else nullcontext()


class _FastDepthwise(TorchFunctionMode):
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is functional.conv2d and not kwargs and len(args) == 7 and _is_slow(*args):
            x, weight, _, stride, _, dilation, _ = args
            if torch.is_autocast_enabled("cpu"):
                dtype = torch.get_autocast_dtype("cpu")
                x, weight = x.to(dtype), weight.to(dtype)
            return depthwise_conv2d(x, weight, stride[0], dilation[0])
        return func(*args, **(kwargs or {}))


def _is_slow(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> bool:
    """A depthwise 3x3 without bias, padded by its rate, strided or atrous, whose gradients will be asked for."""
    return (
        groups == len(weight) == x.shape[1]
        and weight.shape[1:] == (1, 3, 3)
        and bias is None
        and isinstance(stride, tuple)
        and isinstance(dilation, tuple)
        and padding == dilation
        and dilation[0] == dilation[1]
        and stride[0] == stride[1]
        and (stride[0] > 1 or dilation[0] > 1)
        and torch.is_grad_enabled()
        and (x.requires_grad or weight.requires_grad)
    )


def depthwise_conv2d(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    """A depthwise 3x3 convolution, padded by ``dilation``, with the gradients of this module.

    Args:
        x: float, (N, C, H, W).
        weight: of the same type, (C, 1, 3, 3).
        stride: of rows and columns.
        dilation: the atrous rate of rows and columns.

    Returns:
        (N, C, ceil(H / stride), ceil(W / stride)), of the type of ``x``.
    """
    y: Tensor = _DepthwiseConvolution.apply(x, weight, stride, dilation)
    return y


class _DepthwiseConvolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.dilation = stride, dilation
        return functional.conv2d(x, weight, None, stride, dilation, dilation, len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        of_x, of_weight = ctx.needs_input_grad[:2]
        return (
            _input_gradient(gradient, weight, x.shape, ctx.stride, ctx.dilation) if of_x else None,
            _weight_gradient(gradient, x, weight, ctx.stride, ctx.dilation) if of_weight else None,
            None,
            None,
        )


def _input_gradient(gradient: Tensor, weight: Tensor, shape: torch.Size, stride: int, dilation: int) -> Tensor:
    if stride == 1:
        return functional.conv2d(gradient, weight.flip(2, 3), None, 1, dilation, dilation, len(weight))
    wide = torch.promote_types(gradient.dtype, torch.float32)
    # Only the shape of the input is looked at, and its layout, which decides the kernel.
    x = torch.empty(shape, dtype=wide, memory_format=torch.channels_last)
    return _backward(gradient.to(wide), x, weight.to(wide), stride, dilation, of_x=True).to(gradient.dtype)


def _weight_gradient(gradient: Tensor, x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    if stride == 1 and -(-min(x.shape[2:]) // dilation) >= _SMALLEST:
        gradient, x, dilation = _phases(gradient, dilation), _phases(x, dilation), 1
    return _backward(gradient, x, weight, stride, dilation, of_x=False)


def _backward(gradient: Tensor, x: Tensor, weight: Tensor, stride: int, dilation: int, *, of_x: bool) -> Tensor:
    """PyTorch's own gradient, of the input or of the weights."""
    sizes = [[size, size] for size in (stride, dilation, dilation)]
    wanted = [of_x, not of_x, False]
    gradients: list[Tensor] = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, sizes[0], sizes[1], sizes[2], False, [0, 0], len(weight), wanted
    )
    return gradients[0 if of_x else 1]


def _phases(x: Tensor, rate: int) -> Tensor:
    """(N, C, H, W) -> (N * rate * rate, C, ceil(H / rate), ceil(W / rate)): every rate-th row and column together.

    Sizes that do not divide are filled up with zeros at the end: the padding of a convolution, and no gradient.
    """
    x = functional.pad(x, (0, -x.shape[3] % rate, 0, -x.shape[2] % rate))
    n, channels, height, width = x.shape
    height, width = height // rate, width // rate
    x = x.permute(0, 2, 3, 1).reshape(n, height, rate, width, rate, channels).permute(0, 2, 4, 1, 3, 5)
    return x.reshape(n * rate * rate, height, width, channels).permute(0, 3, 1, 2)

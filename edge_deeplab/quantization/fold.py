"""BatchNorm folded into the convolution before it: the network as it is deployed and quantized."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from edge_deeplab.models.deeplab import DeepLab
from edge_deeplab.models.layers import ConvBNAct


def fold_batchnorm(network: DeepLab) -> DeepLab:
    """Fold every BatchNorm into its convolution (Jacob et al. 2018, arXiv 1712.05877, section 3.2, equation 14).

    With the running statistics, gamma * (w x - mean) / sqrt(var + eps) + beta is again a convolution: its weights are
    scaled per output channel, and it has a bias. Computed in float64, so that folding rounds once.

    Args:
        network: trained; left as it is.

    Returns:
        A copy in eval mode, in which each :class:`ConvBNAct` has a convolution with bias and ``nn.Identity`` for its
        BatchNorm. Same output as ``network.eval()``, to float32's rounding. It can be folded again: nothing happens.
    """
    folded = copy.deepcopy(network).eval()
    for layer in folded.modules():
        if isinstance(layer, ConvBNAct) and isinstance(layer.bn, nn.BatchNorm2d):
            _fold(layer.conv, layer.bn)
            layer.bn = nn.Identity()  # type: ignore[assignment]
    return folded


def folded(conv: nn.Conv2d, bn: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """The convolution that stands for ``bn(conv(x))`` with the running statistics; gradients pass.

    Returns:
        Weight, float64, (out, in / groups, h, w), and bias, float64, (out,).
    """
    assert bn.running_mean is not None
    assert bn.running_var is not None
    scale = bn.weight.double() / torch.sqrt(bn.running_var.double() + bn.eps)
    bias = bn.bias.double() - bn.running_mean.double() * scale
    if conv.bias is not None:
        bias = bias + conv.bias.double() * scale
    return conv.weight.double() * scale[:, None, None, None], bias


@torch.no_grad()
def _fold(conv: nn.Conv2d, bn: nn.BatchNorm2d) -> None:
    weight, bias = folded(conv, bn)
    dtype = conv.weight.dtype
    conv.weight, conv.bias = nn.Parameter(weight.to(dtype)), nn.Parameter(bias.to(dtype))

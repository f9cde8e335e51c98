"""BatchNorm folded into the convolution before it: the network as it is deployed and quantized."""

from __future__ import annotations

import copy

import torch
from torch import nn

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


@torch.no_grad()
def _fold(conv: nn.Conv2d, bn: nn.BatchNorm2d) -> None:
    assert bn.running_mean is not None
    assert bn.running_var is not None
    scale = bn.weight.double() / torch.sqrt(bn.running_var.double() + bn.eps)
    bias = bn.bias.double() - bn.running_mean.double() * scale
    if conv.bias is not None:
        bias = bias + conv.bias.double() * scale
    dtype = conv.weight.dtype
    conv.weight = nn.Parameter((conv.weight.double() * scale[:, None, None, None]).to(dtype))
    conv.bias = nn.Parameter(bias.to(dtype))

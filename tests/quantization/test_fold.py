from __future__ import annotations

import torch
from torch import nn

from edge_deeplab.models.deeplab import DeepLab
from edge_deeplab.models.layers import ConvBNAct
from edge_deeplab.quantization.fold import fold_batchnorm


def test_folding_keeps_the_output(small_network: DeepLab) -> None:
    image = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before, after = small_network(image), fold_batchnorm(small_network)(image)
    assert before.std() > 0.5  # something to lose
    torch.testing.assert_close(after, before, atol=1e-4, rtol=0)


def test_no_batchnorm_is_left_and_the_original_keeps_its_own(small_network: DeepLab) -> None:
    folded = fold_batchnorm(small_network)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())
    assert all(layer.conv.bias is not None for layer in folded.modules() if isinstance(layer, ConvBNAct))
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in small_network.modules()) > 50
    assert all(layer.conv.bias is None for layer in small_network.modules() if isinstance(layer, ConvBNAct))


def test_folding_uses_the_running_statistics_of_a_network_in_training(small_network: DeepLab) -> None:
    image = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(2))
    small_network.train()
    try:
        folded = fold_batchnorm(small_network)
        assert small_network.training
        assert not folded.training
    finally:
        small_network.eval()
    with torch.no_grad():
        torch.testing.assert_close(folded(image), small_network(image), atol=1e-4, rtol=0)

"""What a network costs: parameters and multiply-adds."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Cost:
    """Parameters (running statistics of BatchNorm not counted) and multiply-adds of one image's convolutions."""

    parameters: int
    multiply_adds: int


def count_cost(network: nn.Module, height: int, width: int) -> Cost:
    """Count the cost of one image of ``height`` x ``width``, RGB, in eval mode."""
    training = network.training
    device = next(network.parameters()).device
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    counts: list[int] = []

    def count(layer: nn.Conv2d, _: object, output: Tensor) -> None:
        # Each element of the output meets all weights of its channel.
        counts.append(output.numel() * layer.weight[0].numel())

    # Not torch's FlopCounterMode, which gives the same numbers (tests compare them): it imports PyTorch's compiler.
    hooks = [layer.register_forward_hook(count) for layer in convolutions]
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, 3, height, width, device=device))
    finally:
        for hook in hooks:
            hook.remove()
        network.train(training)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Cost(parameters=parameters, multiply_adds=sum(counts))

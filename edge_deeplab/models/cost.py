"""What a network costs: parameters and multiply-adds."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Cost:
    """Parameters (running statistics of BatchNorm not counted) and multiply-adds of one image's convolutions."""

    parameters: int
    multiply_adds: int


def count_cost(network: nn.Module, height: int, width: int) -> Cost:
    """Count the cost of one image of ``height`` x ``width``, RGB, in eval mode."""
    training = network.training
    device = next(network.parameters()).device
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, 3, height, width, device=device))
    network.train(training)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Cost(parameters=parameters, multiply_adds=counter.get_total_flops() // 2)  # torch counts both halves

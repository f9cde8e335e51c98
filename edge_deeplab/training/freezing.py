"""Which part of the backbone learns in an epoch: nothing, more and more of it from its end on, all of it."""

from __future__ import annotations

import math

from torch import nn


def thawed_share(epoch: int, freeze_epochs: int, thaw_epochs: int) -> float:
    """The share of the backbone's layers that learn in an epoch.

    Gradual unfreezing (Howard and Ruder 2018, arXiv 1801.06146, section 3.3): the last layers know most about the
    pictures that they were trained on, so they learn first, and the general ones last.

    Args:
        epoch: counted from 0.
        freeze_epochs: first epochs in which nothing of it learns.
        thaw_epochs: epochs after these, over which the share rises in equal steps.

    Returns:
        0 to 1; 1 from ``freeze_epochs + thaw_epochs`` on.
    """
    if epoch < freeze_epochs:
        return 0.0
    return min(1.0, (epoch - freeze_epochs + 1) / (thaw_epochs + 1))


def freeze(backbone: nn.Module, share: float) -> None:
    """Let the last layers of a backbone learn, and hold the others: their weights and BatchNorm statistics.

    Args:
        backbone: changed in place; in training mode.
        share: of its layers that learn, 0 to 1, in the order in which they were built.
    """
    layers = [module for module in backbone.modules() if next(module.parameters(recurse=False), None) is not None]
    held = len(layers) - math.ceil(share * len(layers))
    for index, layer in enumerate(layers):
        layer.requires_grad_(index >= held)
        layer.train(index >= held)

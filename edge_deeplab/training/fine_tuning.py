"""A trained network as the start of another one: other classes, another output stride, a shorter backbone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from edge_deeplab.models.deeplab import DeepLab, build_network
from edge_deeplab.models.layers import ConvBNAct
from edge_deeplab.models.loading import load_network
from edge_deeplab.spec import NetworkSpec

CHECKPOINT_SUFFIX = ".safetensors"
"""What the name of first weights ends in that are taken whole."""


def network_for(
    path: Path, classes: tuple[str, ...], *, output_stride: int | None = None, last_bottleneck: bool = True
) -> tuple[DeepLab, NetworkSpec]:
    """A checkpoint's network with the weights of all layers but those that give the scores of classes.

    Where the classes are the checkpoint's, it is taken whole. Otherwise the score of a class that both know keeps its
    weights, if there are several classes before and after, and the others begin anew: one class alone is told from the
    background by a sigmoid, which is another question.

    Args:
        path: the checkpoint.
        classes: a name for each output channel.
        output_stride: 8, 16 or 32; None: the checkpoint's.
        last_bottleneck: False leaves MobileNetV2's out. The head's convolutions that read its channels, and their
            BatchNorms, then begin anew.

    Returns:
        The network, with fresh weights by PyTorch's random numbers where there are any, and its specification.

    Raises:
        CheckpointError: the checkpoint cannot be read, or its weights are not those of its specification.
        SpecError: there is no such output stride, or the backbone cannot do without its last bottleneck.
    """
    trained, loaded = load_network(path)
    known = loaded.spec
    stride = known.network.output_stride if output_stride is None else output_stride
    last_bottleneck = last_bottleneck and known.network.last_bottleneck
    spec = replace(known.network, num_classes=len(classes), output_stride=stride, last_bottleneck=last_bottleneck)
    network = build_network(spec)
    state = trained.state_dict()
    if last_bottleneck != known.network.last_bottleneck:
        state = _without_last_bottleneck(state, network)
    if classes != known.classes:
        both = [] if 1 in (len(classes), len(known.classes)) else [name for name in classes if name in known.classes]
        _keep_scores(
            trained, network, [known.classes.index(name) for name in both], [classes.index(name) for name in both]
        )
        scores = set(network.class_layers)
        fresh = {name for name, module in network.named_modules() if module in scores}
        state |= {name: value for name, value in network.state_dict().items() if name.rpartition(".")[0] in fresh}
    network.load_state_dict(state)
    return network.train(), spec


def _without_last_bottleneck(state: dict[str, Tensor], network: DeepLab) -> dict[str, Tensor]:
    """The weights of the layers that ``network`` has, too; its own where one reads other channels than it did."""
    own = network.state_dict()
    convolutions = {
        f"{name}.": f"{name}.conv.weight" if isinstance(module, ConvBNAct) else f"{name}.weight"
        for name, module in network.named_modules()
        if isinstance(module, (ConvBNAct, nn.Conv2d))
    }
    fresh = tuple(prefix for prefix, weight in convolutions.items() if own[weight].shape != state[weight].shape)
    return {name: value if name.startswith(fresh) else state[name] for name, value in own.items()}


@torch.no_grad()
def _keep_scores(trained: DeepLab, network: DeepLab, before: Sequence[int], after: Sequence[int]) -> None:
    """Copy the weights of some classes: their channels before, and their channels after."""
    for old, new in zip(trained.class_layers, network.class_layers, strict=True):
        if old.weight.shape[1:] != new.weight.shape[1:]:  # it reads other channels
            continue
        for theirs, ours in zip(old.parameters(), new.parameters(), strict=True):
            ours[list(after)] = theirs[list(before)]

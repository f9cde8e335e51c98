"""From a checkpoint file to the network in it, and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edge_deeplab.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from edge_deeplab.errors import CheckpointError
from edge_deeplab.models.deeplab import DeepLab, build_network
from edge_deeplab.spec import ModelSpec

_NAMED = 3  # how many keys a message names before it counts the rest


def load_network(path: Path) -> tuple[DeepLab, Checkpoint]:
    """Build the network that a checkpoint specifies, with the checkpoint's weights.

    Returns:
        The network (eval mode, float32, on the CPU), and the checkpoint it came from.

    Raises:
        CheckpointError: missing, truncated, not a checkpoint; or its weights are not those of the network
            that its own specification describes: the message names what is missing, extra or of another shape.
        MissingExtraError: safetensors is not installed.
    """
    checkpoint = load_checkpoint(path)
    network = build_network(checkpoint.spec.network)
    given = {name: torch.from_numpy(value.copy()) for name, value in checkpoint.weights.items()}
    if problems := differences(network.state_dict(), given):
        raise CheckpointError(
            f"{path} is a checkpoint of another architecture than its header says: {problems}. "
            "Use the file that training wrote"
        )
    network.load_state_dict(given)
    return network.eval(), checkpoint


def save_state(path: Path, spec: ModelSpec, state: Mapping[str, Tensor], *, notes: Mapping[str, Any]) -> None:
    """Write a network's state dict as a checkpoint. Raises: as :func:`edge_deeplab.checkpoint.save_checkpoint`."""
    weights = {name: value.detach().cpu().contiguous().numpy() for name, value in state.items()}
    save_checkpoint(path, spec, weights, notes=notes)


def differences(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    """What keeps a state dict from being loaded: keys that are missing, extra, or of another shape; empty: nothing."""
    problems = [
        _list("missing", [name for name in wanted if name not in given]),
        _list("extra", [name for name in given if name not in wanted]),
        _list(
            "of another shape",
            [
                f"{name} {tuple(given[name].shape)} instead of {tuple(value.shape)}"
                for name, value in wanted.items()
                if name in given and given[name].shape != value.shape
            ],
        ),
    ]
    return "; ".join(filter(None, problems))


def _list(kind: str, names: list[str]) -> str:
    if not names:
        return ""
    rest = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{len(names)} {kind} ({', '.join(names[:_NAMED])}{rest})"

"""Which layers make an int8 file bad, in words: for a message that refuses it."""

from __future__ import annotations

from collections.abc import Sequence

from edge_deeplab.quantization.sensitivity import LayerSensitivity

_CLIPPED = 0.01  # a well chosen range leaves out fewer values: what it clips then is no accident of the tail


def blame(layers: Sequence[LayerSensitivity]) -> str:
    """Name layers with what they do and why.

    Args:
        layers: the worst ones, the worst first.

    Returns:
        "backbone.stem (alone: mean error 0.13; its range clips 30% of the values), ..."
    """
    return ", ".join(
        f"{layer.layer} (alone: mean error {layer.alone.mean_error:.2g}; {_cause(layer)})" for layer in layers
    )


def _cause(layer: LayerSensitivity) -> str:
    if layer.by_weights < layer.by_activation:
        return f"its weights are too coarse: {layer.by_weights:.0f} dB"
    if layer.clipped >= _CLIPPED:
        return f"its range clips {layer.clipped:.0%} of the values"
    return f"its range is too coarse: {layer.by_activation:.0f} dB"

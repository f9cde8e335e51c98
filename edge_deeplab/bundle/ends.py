"""What a converted file says of itself where an app meets it."""

from __future__ import annotations

from dataclasses import dataclass

from edge_deeplab.bundle.contract import Activation, Client, ColourOrder, Tensor


@dataclass(frozen=True)
class Ends:
    """The two ends of a file.

    Attributes:
        source: the input.
        colour_order: of its channels.
        result: the output.
        activation: the operator that makes the output.
        clients: who takes the file.
        system: the oldest system that runs it; None where the file does not say.
    """

    source: Tensor
    colour_order: ColourOrder
    result: Tensor
    activation: Activation
    clients: tuple[Client, ...]
    system: str | None

"""What a file says about itself besides its two ends."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass

from edge_deeplab.runtime.foreign.adaptation import InputRange


@dataclass(frozen=True)
class Hints:
    """What is known before a file is run.

    Attributes:
        producer: the operator that computes the numbers of the output, in the words of the format, seen through
            those that only move or copy them; None where there is none.
        custom: that operator is none of the format's own.
        chosen_from: how many classes an argmax chooses from; None without one.
        labels: the names of the classes, where the file has them.
        input_range: what its metadata say.
    """

    producer: str | None = None
    custom: bool = False
    chosen_from: int | None = None
    labels: tuple[str, ...] = ()
    input_range: InputRange | None = None


def trace_back(
    output: Hashable, made_by: Mapping[Hashable, tuple[str, Hashable]], passing: Collection[str]
) -> Hashable:
    """The tensor whose numbers an output shows, seen through the operators that only move or copy them.

    Args:
        output: the output.
        made_by: to each computed tensor its operator, and what that reads: its first computed input, or None.
        passing: the operators that only move or copy.

    Returns:
        A tensor that is made by another operator, or by none.
    """
    tensor = output
    while tensor in made_by:
        operator, source = made_by[tensor]
        if operator not in passing or source is None:
            break
        tensor = source
    return tensor

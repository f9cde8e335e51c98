"""How long a checkpoint takes to become a file: what was measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ConversionTime:
    """One run of ``edge-deeplab convert`` in a process of its own: its start, the writing and the proof of parity.

    Attributes:
        checkpoint: its name.
        target: the target's name.
        wall: seconds that it took.
        processor: seconds of the processor that it and the processes that it started took together; 0 where the system
            does not tell (Windows).
    """

    checkpoint: str
    target: str
    wall: float
    processor: float

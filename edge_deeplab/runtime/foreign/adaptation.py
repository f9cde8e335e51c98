"""How a model file from elsewhere is fed and read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from edge_deeplab.errors import SpecError

Channels = tuple[float, float, float]
"""A number for each channel, in the order of the file: red, green, blue, or the reverse."""


class OutputKind(StrEnum):
    """What the numbers of the output are.

    PROBABILITIES: in [0, 1]. LOGITS: before the sigmoid (one channel) or the softmax (several). CLASSES: each pixel is
    the number of its class; the argmax is inside.
    """

    PROBABILITIES = "probabilities"
    LOGITS = "logits"
    CLASSES = "classes"


@dataclass(frozen=True)
class InputRange:
    """The real numbers that the network was trained to see for the bytes 0 and 255; linear between them.

    Attributes:
        low: for the byte 0, a number for each channel in the file's order.
        high: for the byte 255.
    """

    low: Channels
    high: Channels

    def __post_init__(self) -> None:
        if not all(math.isfinite(value) for value in (*self.low, *self.high)):
            raise SpecError(f"the input range {self} is not finite: give numbers such as -1,1")
        if not all(low < high for low, high in zip(self.low, self.high, strict=True)):
            raise SpecError(f"the input range {self} is empty or upside down: give the lower number first")

    @classmethod
    def uniform(cls, low: float, high: float) -> InputRange:
        """The same range for the three channels.

        Raises:
            SpecError: not finite, or ``low`` is not below ``high``.
        """
        return cls((low, low, low), (high, high, high))

    @classmethod
    def normalized(cls, mean: Channels, deviation: Channels) -> InputRange:
        """The range of (byte - mean) / deviation; both count in bytes, 0..255, as in TFLite's metadata.

        Raises:
            SpecError: not finite, or a deviation is not positive.
        """
        if not all(value > 0 for value in deviation):
            raise SpecError(f"the deviations {deviation} must be above 0")
        pairs = tuple(zip(mean, deviation, strict=True))
        low, high = ([(byte - mean) / deviation for mean, deviation in pairs] for byte in (0, 255))
        return cls((low[0], low[1], low[2]), (high[0], high[1], high[2]))

    @property
    def same(self) -> bool:
        """The three channels have one range."""
        return len(set(self.low)) == len(set(self.high)) == 1

    def __str__(self) -> str:
        ends = zip(self.low, self.high, strict=True)
        texts = [f"{low:.4g}..{high:.4g}" for low, high in ends]
        return texts[0] if self.same else " ".join(texts)


@dataclass(frozen=True)
class Adaptation:
    """How a file is fed, and where the person is in what it gives.

    Attributes:
        input_range: what the bytes 0 and 255 become.
        bgr: the file's first channel is blue.
        output: what the numbers of the output are.
        channel: the class that is looked at: a channel of the output, or a number in it.
        background: that class is the background, and everything else is the person.
    """

    input_range: InputRange
    bgr: bool
    output: OutputKind
    channel: int
    background: bool


@dataclass(frozen=True)
class Overrides:
    """What is known of a file from another place than the file; None: to be found in it, or guessed.

    Attributes:
        input_range: as in :class:`Adaptation`.
        bgr: as in :class:`Adaptation`.
        output: as in :class:`Adaptation`.
        person: the class of the person.
        background: the class of the background: everything else is the person.
    """

    input_range: InputRange | None = None
    bgr: bool = False
    output: OutputKind | None = None
    person: int | None = None
    background: int | None = None

    def __post_init__(self) -> None:
        if self.person is not None and self.background is not None:
            raise SpecError("the person and the background are both given: one says where the other is")

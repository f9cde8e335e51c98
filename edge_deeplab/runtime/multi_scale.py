"""How the papers evaluate: at several scales, mirrored too, at a finer output stride, and the mean of it all."""

from __future__ import annotations

from dataclasses import dataclass

from edge_deeplab.errors import SpecError

_LARGEST_SCALE = 4.0  # 16 times the time and memory of scale 1; the papers' largest is 1.75


@dataclass(frozen=True)
class MultiScale:
    """What is averaged (Chen et al. 2017, arXiv 1706.05587, section 4.1: 0.5 to 1.75 by 0.25, mirrored, stride 8).

    Attributes:
        scales: of the network's input size, each once.
        flip: every scale mirrored from left to right, too.
        output_stride: 8, 16 or 32; None: the one that the network was trained with.
    """

    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    output_stride: int | None = None

    def __post_init__(self) -> None:
        if not self.scales:
            raise SpecError("there is no scale to evaluate at: name one, for example 1.0")
        for scale in self.scales:
            if not 0 < scale <= _LARGEST_SCALE:  # also true for NaN
                raise SpecError(f"the scale {scale} does not exist: choose above 0, up to {_LARGEST_SCALE}")
        if len(set(self.scales)) != len(self.scales):
            raise SpecError(f"a scale is named twice in {', '.join(map(str, self.scales))}: name each once")


def scaled(side: int, scale: float, output_stride: int) -> int:
    """An input side at a scale, so that the features lie on the picture as they do at scale 1.

    The remainder by the output stride stays what it is: 0 for a network of 256 pixels, 1 for one of the papers' 513
    (research/deeplab's rule, a multiple of the stride and one more). At least one step of features.

    Args:
        side: of the network's input, pixels.
        scale: above 0.
        output_stride: input size over the size of the last features.

    Returns:
        Pixels; ``side`` itself at scale 1.
    """
    steps, remainder = divmod(side, output_stride)
    return max(1, round(steps * scale)) * output_stride + remainder

"""What checks look at that do not care about the format."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from edge_deeplab.inspection.graph import Graph
from edge_deeplab.runtime.foreign.hints import Hints


class Alignment(StrEnum):
    """Where a resize puts the pixels that it computes between the pixels that it reads.

    HALF_PIXEL: a pixel is an area; the pictures' edges lie on each other (PyTorch's align_corners=False, OpenCV).
    ALIGN_CORNERS: the centres of the corner pixels lie on each other. ASYMMETRIC: the first pixels' centres do
    (TensorFlow 1's default), which moves the picture by up to half a pixel of the smaller one.
    """

    HALF_PIXEL = "half-pixel centres"
    ALIGN_CORNERS = "aligned corners"
    ASYMMETRIC = "asymmetric"


@dataclass(frozen=True)
class Resize:
    """An operator that changes a picture's size between pixels.

    Attributes:
        name: of its output.
        alignment: of its pixels.
    """

    name: str
    alignment: Alignment


class ResizeFacts(Protocol):
    """What the readers of every format give."""

    @property
    def resizes(self) -> tuple[Resize, ...]:
        """Every bilinear resize."""

    @property
    def half_pixel_promised(self) -> bool:
        """A sidecar lies beside the file: it is one of this project, whose resizes all have half-pixel centres."""


class GraphFacts(Protocol):
    """What the readers of .tflite and .onnx files both give."""

    @property
    def graph(self) -> Graph:
        """Operators and tensors in the terms that every format shares."""

    @property
    def hints(self) -> Hints:
        """What the output is, as far as the file tells."""

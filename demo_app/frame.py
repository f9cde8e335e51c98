"""What travels from a source through the loop to a sink."""

from __future__ import annotations

from dataclasses import dataclass

from edge_deeplab.image import Rgb


@dataclass(frozen=True)
class Frame:
    """One picture on its way.

    Attributes:
        rgb: RGB, uint8, HxWx3, upright.
        name: the photo's file name; of a film or a camera, its own name.
    """

    rgb: Rgb
    name: str

"""What travels from a source through the loop to a sink."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from demo_app.still.metadata import PhotoMetadata
from edge_deeplab.image import Rgb


@dataclass(frozen=True)
class Frame:
    """One picture on its way.

    Attributes:
        rgb: RGB, uint8, HxWx3, upright.
        name: the photo's file name; of a film or a camera, its own name.
        alpha: the subject's coverage, uint8, HxW, for sinks that keep it (a cut-out); None: the picture is opaque.
        metadata: what a photo's file said besides its pixels, for sinks that keep it.
    """

    rgb: Rgb
    name: str
    alpha: NDArray[np.uint8] | None = None
    metadata: PhotoMetadata | None = None

"""Probabilities of a network, sharpened by the dense CRF at the papers' size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.crf.mean_field import DenseCrf, mean_field
from edge_deeplab.image import Rgb, resize_area, resize_map

LONGEST_SIDE = 513
"""Pixels: the crop of the papers on Pascal VOC, for whose pictures the field's parameters were found."""

# What a network is certain of would have an infinite energy. Large enough for float32 to tell 1 - p from 1, too.
_LEAST = 1e-6


class CrfPostProcessing:
    """The dense CRF as a step behind the network. It takes no more time for a large photo than for one of 513x513.

    Args:
        parameters: of the field; their pixels are those of the picture shrunk to 513 along its longer side.
    """

    def __init__(self, parameters: DenseCrf | None = None) -> None:
        self.parameters = DenseCrf() if parameters is None else parameters

    def __call__(self, rgb: Rgb, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Draw the edges of the classes to those of the picture.

        Args:
            rgb: RGB, uint8, HxWx3.
            probabilities: float32, (rows, columns, C) of any size, 0..1: one person's, or one for each class.

        Returns:
            The same, float32, hxwxC, at the size of the photo, or that of the photo shrunk to 513 pixels.
        """
        height, width = rgb.shape[:2]
        factor = min(1.0, LONGEST_SIDE / max(height, width))
        height, width = max(1, round(height * factor)), max(1, round(width * factor))
        channels = np.moveaxis(probabilities, 2, 0)
        planes = np.stack([resize_map(np.ascontiguousarray(plane), height, width) for plane in channels])
        alone = len(planes) == 1
        if alone:
            planes = np.concatenate([1.0 - planes, planes], dtype=np.float32)
        unary = -np.log(np.maximum(planes, np.float32(_LEAST)))
        q = mean_field(unary, resize_area(rgb, height, width), self.parameters)
        return np.ascontiguousarray(np.moveaxis(q[1:] if alone else q, 0, 2))

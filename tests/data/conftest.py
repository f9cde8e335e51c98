"""A photo and a mask that belong together, for layouts written to disk by the tests."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_deeplab.data.bundled import bundled_portrait
from edge_deeplab.image import resize_area


@pytest.fixture(scope="session")
def photo() -> NDArray[np.uint8]:
    """The bundled portrait at 114x152 (columns x rows): RGB, uint8, 152x114x3."""
    return resize_area(np.ascontiguousarray(bundled_portrait()[:, 64:448]), 152, 114)


@pytest.fixture(scope="session")
def coverage(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A soft-edged head and shoulders, drawn: uint8, 152x114, 0..255."""
    mask = np.zeros(photo.shape[:2], np.uint8)
    cv2.ellipse(mask, (45, 33), (16, 22), 0, 0, 360, (255,), cv2.FILLED, cv2.LINE_AA)
    cv2.ellipse(mask, (45, 120), (44, 75), 0, 0, 360, (255,), cv2.FILLED, cv2.LINE_AA)
    return mask

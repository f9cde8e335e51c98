"""The shipped network with other ends, as people publish theirs: real TFLite files, and what they must answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_deeplab.data.bundled import bundled_portrait
from edge_deeplab.image import resize_area
from edge_deeplab.runtime.opening import open_session


@pytest.fixture(scope="session")
def photo_pixels() -> NDArray[np.uint8]:
    """The bundled portrait at the published network's size."""
    return resize_area(bundled_portrait(), 256, 256)


@pytest.fixture(scope="session")
def expected(published_model: Path, photo_pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the shipped file answers, opened by its own contract: float32, 256x256x1, in steps of 1/256."""
    with open_session(published_model, threads=1) as session:
        return session.run(photo_pixels)

"""Pictures that cost nothing: smooth random colours, of the small network's size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray


def _made(count: int, seed: int) -> list[NDArray[np.uint8]]:
    random = np.random.default_rng(seed)
    return [
        cv2.resize(random.integers(0, 256, (5, 5, 3), dtype=np.uint8), (96, 96), interpolation=cv2.INTER_CUBIC)
        for _ in range(count)
    ]


@pytest.fixture(scope="session")
def pictures() -> list[NDArray[np.uint8]]:
    """To calibrate on."""
    return _made(8, seed=3)


@pytest.fixture(scope="session")
def held_out() -> list[NDArray[np.uint8]]:
    """To see whether it holds for others."""
    return _made(8, seed=4)

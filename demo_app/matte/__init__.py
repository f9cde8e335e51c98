"""From the network's small probability map to a matte with an edge: quickly for video, carefully for a photo."""

import numpy as np
from numpy.typing import NDArray

Alpha = NDArray[np.float32]
"""Person coverage: float32, HxW, 0..1."""

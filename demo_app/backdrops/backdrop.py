"""What a backdrop is: that which is shown behind the subject."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.image import Rgb


class Backdrop(Protocol):
    """Makes the picture behind the subject, frame by frame. Buffers are kept while the frames keep their size."""

    def __call__(self, frame: Rgb, coverage: NDArray[np.uint8]) -> Rgb:
        """The backdrop of one frame.

        Args:
            frame: RGB, uint8, HxWx3.
            coverage: the subject, uint8, 0..255, HxW of any size: it is to be thought of as stretched over the frame.

        Returns:
            RGB, uint8, of any size: the compositor stretches it over the frame. The next call may overwrite it.
        """
        ...

"""From a picture of any size to the matte of its person, at the picture's size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.errors import ImageError, ModelFileError
from edge_deeplab.image import Rgb, halved, resize_area, resize_map
from edge_deeplab.runtime.session import Session
from edge_deeplab.spec import PERSON


class Segmenter:
    """A session together with the resizes on both sides of it.

    Not safe to share between threads: the session's buffers are its own.
    """

    def __init__(self, session: Session) -> None:
        """Wrap a session; whoever opened it closes it.

        Raises:
            ModelFileError: none of its classes is "person".
        """
        if PERSON not in session.classes:
            raise ModelFileError(f"the model knows no person, only: {', '.join(session.classes)}")
        self._session = session
        self._person = session.classes.index(PERSON)

    def __call__(self, rgb: Rgb) -> NDArray[np.float32]:
        """Find the person.

        Args:
            rgb: RGB, uint8, HxWx3, at least 1x1.

        Returns:
            The person's probability, float32, HxW, in [0, 1].

        Raises:
            ImageError: another type or shape.
        """
        return resize_map(self.coarse(rgb), *rgb.shape[:2])

    def coarse(self, rgb: Rgb) -> NDArray[np.float32]:
        """As :meth:`__call__`, at the network's own output size: for the frame loop, which stretches it later."""
        return np.ascontiguousarray(self._run(rgb)[:, :, self._person])

    def shrunk(self, rgb: Rgb) -> Rgb:
        """A smaller picture that gives the same to the bit, where there is one: for those who need one, too.

        The input itself is returned where the way to the network's size does not begin with halves.
        """
        return halved(rgb, self._session.height, self._session.width)

    def probabilities(self, rgb: Rgb) -> NDArray[np.float32]:
        """As :meth:`__call__`, for every class: float32, HxWxC, in the order of the session's classes."""
        maps = self._run(rgb)
        return np.stack([self._to_frame(maps[:, :, index], rgb) for index in range(maps.shape[2])], axis=2)

    def _run(self, rgb: Rgb) -> NDArray[np.float32]:
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
            raise ImageError(
                f"a picture must be RGB uint8 HxWx3 of at least 1x1, and this one is {rgb.dtype} "
                f"{'x'.join(map(str, rgb.shape))}: read it with edge_deeplab.image.read_rgb"
            )
        return self._session.run(resize_area(rgb, self._session.height, self._session.width))

    @staticmethod
    def _to_frame(values: NDArray[np.float32], rgb: Rgb) -> NDArray[np.float32]:
        return resize_map(np.ascontiguousarray(values), *rgb.shape[:2])

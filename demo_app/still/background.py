"""What is behind the subject of a photo, finer than 8 bits: for stretching and mixing before the one rounding."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from demo_app.aperture import DEFAULT_F_NUMBER, disc_radius
from demo_app.backdrops.backdrop import Backdrop
from demo_app.backdrops.disc import STILL_SAMPLING, DiscBlur
from demo_app.linear_light import LINEAR_TOP
from edge_deeplab.image import Rgb, resize_area

# The blur's picture is kept below this, whatever the photo's size: a weak blur of a large photo would otherwise run on
# the photo itself, in float32, at 90 bytes a pixel.
_MOST_PIXELS = 2_500_000


class Background(Protocol):
    """Makes the picture behind the subject of one photo."""

    def __call__(self, photo: Rgb, coverage: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The background.

        Args:
            photo: RGB, uint8, HxWx3.
            coverage: the subject, uint8, 0..255, of any size: it is to be thought of as stretched over the photo.

        Returns:
            sRGB code values, float32, 0..255, hxwx3, of at most the photo's size: to be stretched over it.
        """
        ...


class OutOfFocus:
    """The photo's own background through the round aperture of a lens, at the sampling of stills.

    Args:
        f_number: see :mod:`demo_app.aperture`.

    Raises:
        SpecError: an f-number that does not exist.
    """

    def __init__(self, f_number: float = DEFAULT_F_NUMBER) -> None:
        disc_radius(f_number, 1, 1)  # refuses now what it would refuse at the first photo
        self._f_number = f_number

    def __call__(self, photo: Rgb, coverage: NDArray[np.uint8]) -> NDArray[np.float32]:
        """As :class:`Background` says."""
        height, width = photo.shape[:2]
        factor = 1
        while height * width > _MOST_PIXELS * factor * factor:
            factor *= 2
        most = max(1.0, disc_radius(self._f_number, height, width) / factor)
        sampling = STILL_SAMPLING.scaled(min(1.0, most / STILL_SAMPLING.by_8))
        return _code_values(DiscBlur(self._f_number, sampling=sampling).light(photo, coverage))


class AsItIs:
    """Any backdrop of the live portrait: a colour, a picture, a film's frame.

    Args:
        backdrop: gives 8-bit code values.
    """

    def __init__(self, backdrop: Backdrop) -> None:
        self._backdrop = backdrop

    def __call__(self, photo: Rgb, coverage: NDArray[np.uint8]) -> NDArray[np.float32]:
        """As :class:`Background` says."""
        given = self._backdrop(photo, coverage)
        rows, columns = (min(pair) for pair in zip(given.shape[:2], photo.shape[:2], strict=True))
        return resize_area(given, rows, columns).astype(np.float32)


_CODES = (np.arange(LINEAR_TOP + 1) / LINEAR_TOP).astype(np.float64)
_CODES = np.where(_CODES <= 0.0031308, _CODES * 12.92, 1.055 * _CODES ** (1 / 2.4) - 0.055) * 255.0
_TO_CODE_VALUES = _CODES.astype(np.float32)


def _code_values(linear: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Linear light, uint16 -> sRGB code values, float32, with what is between the codes."""
    values: NDArray[np.float32] = np.take(_TO_CODE_VALUES, linear)
    return values

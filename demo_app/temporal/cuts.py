"""Whether one picture carries on from another, and where: what flow and a change of exposure do not explain."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_app.temporal.flow import Grey

# Codes^2 added to every variance: the sensor's noise, so that pictures without any structure match.
_NOISE = 9.0

# A camera's automatic exposure moves by less than this within a frame.
_MAX_GAIN = 2.0

# Between frames of two photos it was above in 96 of 100 pairs; of a pan by an eighth of the width, below in 96 of 100.
# Either error is mild: what does not agree is smoothed little in any case.
_CUT = 0.6


def equal_exposure(picture: Grey, reference: Grey) -> Grey:
    """A picture with the mean and the contrast of another: what automatic exposure and white balance did is undone.

    Args:
        picture: uint8, HxW.
        reference: uint8, HxW.

    Returns:
        uint8, HxW; the contrast is changed by a factor of 2 at most.
    """
    mean, deviation = (float(value[0, 0]) for value in cv2.meanStdDev(picture))
    wanted, spread = (float(value[0, 0]) for value in cv2.meanStdDev(reference))
    gain = float(np.sqrt((spread**2 + _NOISE) / (deviation**2 + _NOISE)))
    gain = min(max(gain, 1.0 / _MAX_GAIN), _MAX_GAIN)
    table = np.rint(np.clip((np.arange(256) - mean) * gain + wanted, 0, 255)).astype(np.uint8)
    return cv2.LUT(picture, table)  # type: ignore[return-value]


def unexplained(difference: NDArray[np.uint8], picture: Grey) -> float:
    """The share of a picture's variance that the picture before it, warped and equally exposed, does not explain.

    Args:
        difference: of the two, absolute, uint8, HxW.
        picture: uint8, HxW.

    Returns:
        0: the same; about 1: no more alike than a picture and its own mean; up to 2 and a little above.
    """
    squares = cv2.norm(difference, cv2.NORM_L2SQR) / difference.size
    deviation = float(cv2.meanStdDev(picture)[1][0, 0])
    return squares / (deviation**2 + _NOISE)


def is_cut(difference: NDArray[np.uint8], picture: Grey) -> bool:
    """Whether the film has changed to another view, as :func:`unexplained` measures it."""
    return unexplained(difference, picture) > _CUT

"""How large a point of light far behind the subject becomes: the blur by its f-number, as photographers set it."""

from __future__ import annotations

import math

from edge_deeplab.errors import SpecError

DEFAULT_F_NUMBER = 2.0
"""About what video calls and portrait modes do."""

PRIVACY_F_NUMBER = 0.5
"""The blur that hides a person: weaker ones, f/2 for one, leave a face to be recognised."""

# The blur circle of a lens is inversely proportional to its f-number (circle of confusion, thin lens). Its diameter at
# f/1, in shares of the picture's diagonal, so that a photo and its thumbnail look alike.
_DIAMETER_AT_F1 = 0.08


def disc_radius(f_number: float, height: int, width: int) -> float:
    """The radius of the blur circle in pixels.

    Args:
        f_number: 1.0 is strong, 16 next to nothing; infinity leaves the background as it is.
        height: rows of the picture.
        width: columns of the picture.

    Raises:
        SpecError: an f-number below 0.5, or none at all.
    """
    if not f_number >= 0.5:
        raise SpecError(f"f/{f_number} does not exist: give an f-number of 0.5 or more, such as {DEFAULT_F_NUMBER}")
    return 0.5 * _DIAMETER_AT_F1 * math.hypot(height, width) / f_number


def gaussian_sigma(f_number: float, height: int, width: int) -> float:
    """The standard deviation, in pixels, of the Gaussian that spreads light as far as the disc of this f-number does.

    A disc of radius r has the variance r^2 / 4 along each axis.

    Raises:
        SpecError: as :func:`disc_radius`.
    """
    return disc_radius(f_number, height, width) / 2.0

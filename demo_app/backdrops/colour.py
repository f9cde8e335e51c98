"""One colour behind the subject: a studio's paper, or the green of a chroma key."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

from edge_deeplab.errors import SpecError
from edge_deeplab.image import Rgb

Colour = tuple[int, int, int]
"""sRGB: red, green, blue, 0..255 each."""


class ColourBackdrop:
    """The same colour everywhere.

    Args:
        colour: sRGB, 0..255 each.

    Raises:
        SpecError: a number outside 0..255.
    """

    def __init__(self, colour: Colour) -> None:
        if len(colour) != 3 or not all(0 <= part <= 255 for part in colour):
            raise SpecError(f"{colour} is no colour: give red, green and blue from 0 to 255")
        self._colour = colour
        self._for_size = lru_cache(maxsize=1)(self._make)

    def __call__(self, frame: Rgb, coverage: NDArray[np.uint8]) -> Rgb:
        """As :class:`demo_app.backdrops.backdrop.Backdrop` says; at the frame's size, where a stretch is a copy."""
        return self._for_size(*frame.shape[:2])

    def _make(self, height: int, width: int) -> Rgb:
        return np.full((height, width, 3), self._colour, np.uint8)


def parse_colour(text: str) -> Colour:
    """A colour as people write it: "#00b140", "#0b4", "green", "rgb(0, 177, 64)", "hsl(142, 100%, 35%)".

    Raises:
        SpecError: no such colour, or one with transparency.
    """
    try:
        colour = ImageColor.getrgb(text.strip())
    except ValueError as error:
        raise SpecError(f"there is no colour {text!r}: give a name such as 'green', or '#00b140'") from error
    if len(colour) != 3:
        raise SpecError(f"the colour {text!r} has a transparency, which a backdrop cannot have: give '#rrggbb'")
    if max(colour) > 255:
        raise SpecError(f"there is no colour {text!r}: red, green and blue go from 0 to 255")
    return colour

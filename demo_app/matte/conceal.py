"""From probabilities to what must be hidden: too much rather than too little."""

from __future__ import annotations

import cv2
import numpy as np

from demo_app.matte import Alpha

# Also what the network doubts is hidden: from this probability on a little, from the second one on wholly.
_DOUBTED, _HIDDEN = 0.1, 0.3

# And everything within this share of the longer side: the temples of glasses, fingers, strands of hair.
_REACH = 5.0 / 256


def conceal(alpha: Alpha) -> Alpha:
    """What privacy hides of a picture: everything that may be a person, and a rim around it.

    Args:
        alpha: probability of a person, float32, HxW, 0..1.

    Returns:
        float32, HxW, 0..1, with a soft edge outside of the person: 1 is hidden. Not to be refined: that would pull the
        edge back to the person's.
    """
    doubt = np.clip((alpha - _DOUBTED) * (1.0 / (_HIDDEN - _DOUBTED)), 0.0, 1.0)
    radius = max(1, round(_REACH * max(alpha.shape)))
    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    grown = cv2.dilate(doubt, window)
    # Softened by less than it was grown, so that the person itself stays hidden.
    return cv2.blur(grown, (radius, radius))  # type: ignore[return-value]

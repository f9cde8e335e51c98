"""From probabilities to a matte without a veil."""

from __future__ import annotations

import numpy as np

from demo_app.matte import Alpha
from edge_deeplab.image import Rgb

# Probabilities below and above these are taken as certain: a network is seldom at exactly 0 and 1, and a veil of 5 %
# over the whole background shows.
_SURELY_OUT, _SURELY_IN = 0.2, 0.8


def tighten(frame: Rgb, alpha: Alpha) -> Alpha:
    """Make nearly certain pixels certain, and the edge between them steeper; the loop's ``smooth`` signature.

    Args:
        frame: not looked at.
        alpha: probability of a person, float32, HxW.

    Returns:
        float32, HxW, 0..1; exactly 0 and 1 where the network was nearly sure.
    """
    step = np.clip((alpha - _SURELY_OUT) * (1.0 / (_SURELY_IN - _SURELY_OUT)), 0.0, 1.0)
    return step * step * (3.0 - 2.0 * step)
